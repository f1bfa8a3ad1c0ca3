insert into {schema}.view_wishes (view)
select w.view from unnest(%(views)s::text[]) as w (view)
on conflict do nothing
