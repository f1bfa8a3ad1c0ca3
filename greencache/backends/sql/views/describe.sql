-- One row if the view exists. format_type(…, -1): without it, bpchar would read "character", which is char(1).
select
    c.relkind = 'm',
    c.relispopulated,
    (
        select json_object_agg(a.attname, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), -1))
        from pg_attribute as a
        join pg_type as t on t.oid = a.atttypid
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ),
    (
        select coalesce(json_agg(indexed.names), '[]')
        from (
            select (
                select json_agg(a.attname)
                from pg_attribute as a
                where a.attrelid = c.oid and a.attnum = any(i.indkey[:i.indnkeyatts - 1])
            ) as names
            from pg_index as i
            where i.indrelid = c.oid and i.indisunique and i.indisvalid
              and i.indpred is null and i.indexprs is null
        ) as indexed
    )
from pg_class as c
where c.oid = to_regclass(%(name)s)
