-- Every read compares its keys with every pattern: past some number, one that covers all others is cheaper.
insert into {schema}.view_drops (namespace, view, is_pattern, key)
select %(namespace)s, w.view, true, case when taken.patterns < %(limit)s then %(like)s::text else '%%' end
from unnest(%(views)s::text[]) as w (view)
cross join lateral (
    select count(*) as patterns
    from {schema}.view_drops as held
    where held.namespace = %(namespace)s and held.view = w.view and held.is_pattern
) as taken
order by w.view collate "C"
on conflict (namespace, view, is_pattern, key) do update set xact = default
returning 1
