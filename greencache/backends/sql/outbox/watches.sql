-- The catalogue is the list of watches: a trigger function that no table uses any more is told apart by its
-- missing table. Partitions and children are not listed beside their parent.
select
    p.proname::text,
    obj_description(p.oid, 'pg_proc'),
    (
        select format('%%I.%%I', n.nspname, c.relname)
        from pg_trigger as t
        join pg_class as c on c.oid = t.tgrelid
        join pg_namespace as n on n.oid = c.relnamespace
        where t.tgfoid = p.oid
          and not exists (
              select from pg_inherits as i
              join pg_trigger as above on above.tgrelid = i.inhparent and above.tgfoid = p.oid
              where i.inhrelid = c.oid
          )
        order by c.oid
        limit 1
    ),
    (select count(*) from {schema}.outbox as o where o.namespace = obj_description(p.oid, 'pg_proc')::json ->> 'namespace')
from pg_proc as p
join pg_namespace as s on s.oid = p.pronamespace
where s.nspname = %(schema)s and p.proname like 'watch\_%%'
order by 3, 1
