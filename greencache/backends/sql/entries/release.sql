-- A lone lease goes with its row; a lease beside a value leaves the value.
with locked as materialized (
    select held.key, held.lease, held.value is null as is_lone
    from {schema}.entries as held
    join unnest(%(keys)s::text[], %(leases)s::text[]) as w (key, lease) on w.key = held.key and w.lease = held.lease
    where held.namespace = %(namespace)s
    order by held.key
    for update of held
), gone as (
    delete from {schema}.entries as held
    using locked
    where locked.is_lone and held.namespace = %(namespace)s and held.key = locked.key
)
update {schema}.entries as held
set lease = null, lease_until = null
from locked
where not locked.is_lone
  and held.namespace = %(namespace)s
  and held.key = locked.key
  and held.lease = locked.lease
returning held.key
