insert into {schema}.view_refreshes (view, refreshed_at, seconds)
values (%(view)s, %(began)s, extract(epoch from clock_timestamp() - %(began)s::timestamptz))
on conflict (view) do update set refreshed_at = excluded.refreshed_at, seconds = excluded.seconds
