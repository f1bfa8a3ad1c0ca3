-- Who may act between the snapshot and the update: a drop (the row is gone: not locked, not filled), a put (the
-- lease is null), another reserve after the lease's end (the lease differs). FOR UPDATE waits for each of them
-- and judges the WHERE on the row as they left it; a row deleted and reserved anew is a row that this statement
-- does not see at all.
with wanted as (
    select *
    from unnest(%(keys)s::text[], %(values)s::bytea[], %(leases)s::text[], %(seconds)s::float8[])
        as w (key, value, lease, seconds)
), locked as materialized (
    select held.key, wanted.value, wanted.lease, wanted.seconds
    from {schema}.entries as held
    join wanted on wanted.key = held.key
    where held.namespace = %(namespace)s
      and held.lease = wanted.lease
      and held.lease_until >= clock_timestamp()
    order by held.key
    for update of held
)
update {schema}.entries as held
set value = locked.value,
    stale_until = clock_timestamp() + make_interval(secs => locked.seconds),
    lease = null,
    lease_until = null,
    updated = clock_timestamp()
from locked
where held.namespace = %(namespace)s
  and held.key = locked.key
  and held.lease = locked.lease
returning held.key
