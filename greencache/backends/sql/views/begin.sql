-- What a refresh that is about to begin will have seen at least, and what is known of the materialized views that
-- the view reads from, directly or through plain ones. Those beneath them are in their snapshots.
with recursive beneath (oid, kind) as (
    select c.oid, 'v'::"char" from pg_class as c where c.oid = to_regclass(%(name)s)
    union
    select d.refobjid, c.relkind
    from beneath
    join pg_rewrite as r on r.ev_class = beneath.oid
    join pg_depend as d
        on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
        and d.refclassid = 'pg_class'::regclass and d.refobjid <> beneath.oid
    join pg_class as c on c.oid = d.refobjid and c.relkind in ('v', 'm')
    where beneath.kind = 'v'
), sources as (
    select beneath.oid, held.snapshots, held.as_of
    from beneath
    left join {schema}.view_refreshes as held on held.relation = beneath.oid
    where beneath.kind = 'm'
)
select
    clock_timestamp(),
    pg_current_snapshot()::text,
    has_database_privilege(current_database(), 'temporary'),
    (select coalesce(array_agg(distinct s.text), array[]::text[]) from sources, unnest(sources.snapshots) as s (text)),
    (select coalesce(array_agg(oid::regclass::text), array[]::text[]) from sources where as_of is null),
    (select min(as_of) from sources),
    (select extract(epoch from refreshed_at)::text from {schema}.view_refreshes where view = %(view)s)
