-- What has become visible since a snapshot: rows of the transactions that were running then, and of later ones.
-- The statement's own snapshot comes with them, from which the next one reads on: no row is between the two,
-- however transactions overlapped, and none has to wait for another transaction to end. Each half is a range
-- of the primary key, so that the rows of long ago cost nothing, deleted and not yet vacuumed as they are.
with fresh as (
    select xact, id, size
    from {schema}.outbox
    where namespace = %(namespace)s
      and xact = any(array(select pg_snapshot_xip(%(since)s::pg_snapshot)))
      and (xact, id) > (%(xact)s::xid8, %(id)s)
    union all
    select xact, id, size
    from {schema}.outbox
    where namespace = %(namespace)s
      and xact >= pg_snapshot_xmax(%(since)s::pg_snapshot)
      and (xact, id) > (%(xact)s::xid8, %(id)s)
), page as (
    select xact, id, size from fresh order by xact, id limit %(rows)s
), measured as (
    select xact, id, count(*) over () as total, sum(size) over (order by xact, id) - size as before from page
)
select
    pg_current_snapshot()::text, found.total, found.xact::text, found.id,
    extract(epoch from clock_timestamp() - found.written)::float8,
    found.keys, found.tags, found.patterns, found.is_everything, found.is_refresh
from (select) as always
left join (
    select measured.total, held.*
    from measured
    join {schema}.outbox as held on held.namespace = %(namespace)s and (held.xact, held.id) = (measured.xact, measured.id)
    where measured.before < %(names)s
) as found on true
order by found.xact, found.id
