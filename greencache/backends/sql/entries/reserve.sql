-- Two that reserve the same key at once: the second waits for the first one's row, then judges its WHERE on
-- the row as it is by then, and finds the lease taken. ORDER BY: all batches take their locks in the same
-- order, so none can deadlock.
-- Repeated after a lost connection, it brings other leases, and takes over from those that it brought before:
-- what was sent first may still run, after a drop has voided what was granted since. Were it the same lease,
-- that would make it good again, and what was read before the drop would be stored; so it is one that nobody
-- uses, which delays others until it ends.
insert into {schema}.entries as held (namespace, key, lease, lease_until)
select %(namespace)s, wanted.key, wanted.lease, clock_timestamp() + make_interval(secs => %(ttl)s)
from unnest(%(keys)s::text[], %(leases)s::text[]) as wanted (key, lease)
order by wanted.key collate "C"
on conflict (namespace, key) do update
    set lease = excluded.lease, lease_until = excluded.lease_until
    where held.lease is null or held.lease_until < clock_timestamp() or held.lease = any(%(former)s::text[])
returning key
