delete from {schema}.outbox as held
using unnest(%(xacts)s::text[]::xid8[], %(ids)s::bigint[]) as done (xact, id)
where held.namespace = %(namespace)s and held.xact = done.xact and held.id = done.id
