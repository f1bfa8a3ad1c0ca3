insert into {schema}.stamps (namespace, tag, stamp)
select %(namespace)s, w.tag, w.stamp
from unnest(%(tags)s::text[], %(stamps)s::text[]) as w (tag, stamp)
order by w.tag collate "C"
on conflict (namespace, tag) do update set stamp = excluded.stamp
returning tag
