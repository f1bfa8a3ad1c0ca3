-- Within the refresh's own transaction: whoever can see the new rows can see that they must be told of.
insert into {schema}.outbox (namespace, size, keys, tags, patterns, is_everything, is_refresh)
select %(namespace)s, count(*), array_agg(key), array[]::text[], array[]::text[], false, true
from unnest(%(keys)s::text[]) with ordinality as given (key, number)
group by (number - 1) / 1000
having count(*) > 0
union all
select namespace, 1, array[]::text[], array[]::text[], array[pattern], false, true
from {schema}.view_readers
where view = %(view)s and (namespace <> %(namespace)s or pattern = any(%(patterns)s::text[]))
