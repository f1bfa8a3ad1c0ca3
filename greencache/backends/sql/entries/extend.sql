with locked as materialized (
    select held.key, held.lease
    from {schema}.entries as held
    join unnest(%(keys)s::text[], %(leases)s::text[]) as w (key, lease) on w.key = held.key and w.lease = held.lease
    where held.namespace = %(namespace)s
      and held.lease_until >= clock_timestamp()
    order by held.key
    for update of held
)
update {schema}.entries as held
set lease_until = clock_timestamp() + make_interval(secs => %(ttl)s)
from locked
where held.namespace = %(namespace)s
  and held.key = locked.key
  and held.lease = locked.lease
returning held.key
