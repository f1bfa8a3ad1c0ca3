-- Another transaction each time: this drop may be of a change that a refresh under way has not seen, though it
-- saw the drop before.
insert into {schema}.view_drops (namespace, view, is_pattern, key)
select %(namespace)s, w.view, false, w.key
from unnest(%(views)s::text[], %(keys)s::text[]) as w (view, key)
order by w.view collate "C", w.key collate "C"
on conflict (namespace, view, is_pattern, key) do update set xact = default
returning 1
