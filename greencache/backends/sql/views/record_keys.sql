-- A new id each time: a refresh deletes the ids that it saw before it began, and this drop may be of a change
-- that it did not see.
insert into {schema}.view_drops (namespace, view, is_pattern, key)
select %(namespace)s, w.view, false, w.key
from unnest(%(views)s::text[], %(keys)s::text[]) as w (view, key)
order by w.view collate "C", w.key collate "C"
on conflict (namespace, view, is_pattern, key) do update set id = default
returning 1
