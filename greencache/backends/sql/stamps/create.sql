-- The update changes nothing. It makes RETURNING answer for a stamp that another process has created since the
-- first look too, which DO NOTHING would pass over.
insert into {schema}.stamps as held (namespace, tag, stamp)
select %(namespace)s, w.tag, w.stamp
from unnest(%(tags)s::text[], %(stamps)s::text[]) as w (tag, stamp)
order by w.tag collate "C"
on conflict (namespace, tag) do update set stamp = held.stamp
returning tag, stamp
