-- Two that reserve the same key at once: the second waits for the first one's row, then judges its WHERE on
-- the row as it is by then, and finds the lease taken. A statement repeated after a lost connection finds its
-- own token and keeps it. ORDER BY: all batches take their locks in the same order, so none can deadlock.
insert into {schema}.entries as held (namespace, key, lease, lease_until)
select %(namespace)s, wanted.key, wanted.lease, clock_timestamp() + make_interval(secs => %(ttl)s)
from unnest(%(keys)s::text[], %(leases)s::text[]) as wanted (key, lease)
order by wanted.key collate "C"
on conflict (namespace, key) do update
    set lease = excluded.lease, lease_until = excluded.lease_until
    where held.lease is null or held.lease_until < clock_timestamp() or held.lease = excluded.lease
returning key
