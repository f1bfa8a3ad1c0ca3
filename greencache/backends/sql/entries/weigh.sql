-- Of a namespace, estimated from about %(pages)s pages: how many values, and how many bytes they take as stored.
-- A table that is as a whole smaller than the limit needs no look.
with measured as (
    select
        pg_table_size(%(table)s::regclass) as bytes,
        least(100.0, 100.0 * %(pages)s * 8192 / greatest(pg_relation_size(%(table)s::regclass), 1)) as part
)
select
    (select bytes from measured),
    (count(*) * 100 / (select part from measured))::bigint,
    (coalesce(sum(pg_column_size(value) + pg_column_size(key)), 0) * 100 / (select part from measured))::bigint
from {schema}.entries tablesample system ((select part from measured))
where namespace = %(namespace)s and value is not null
