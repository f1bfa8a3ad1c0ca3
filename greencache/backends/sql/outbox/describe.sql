-- One row if the relation exists: its kind, its name as SQL spells it, and the type of each column. A domain is
-- what it is made of. Then the partitions and children too, which statements may also name directly.
select
    c.relkind::text,
    c.oid::bigint,
    format('%%I.%%I', n.nspname, c.relname),
    (
        select json_object_agg(
            a.attname,
            case when t.typtype = 'e' then 'enum' else format_type(coalesce(nullif(t.typbasetype, 0), t.oid), -1) end
        )
        from pg_attribute as a
        join pg_type as t on t.oid = a.atttypid
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ),
    (
        with recursive family (oid) as (
            select c.oid union select i.inhrelid from family join pg_inherits as i on i.inhparent = family.oid
        )
        select json_agg(json_build_array(m.nspname, member.relname) order by member.oid)
        from family
        join pg_class as member using (oid)
        join pg_namespace as m on m.oid = member.relnamespace
        where member.relkind in ('r', 'p')
    ),
    c.relpersistence = 't'
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.oid = to_regclass(%(name)s)
