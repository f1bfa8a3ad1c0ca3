-- Where a view is, or would be created; and whether it is there.
select coalesce(n.nspname, current_schema()), c.oid is not null
from (select to_regclass(%(name)s) as oid) as named
left join pg_class as c on c.oid = named.oid
left join pg_namespace as n on n.oid = c.relnamespace
