-- In the order in which drops are recorded, so that neither can deadlock with the other. A drop recorded again
-- since has another id by now, which FOR UPDATE notices.
with covered as materialized (
    select namespace, is_pattern, key, id
    from {schema}.view_drops
    where view = %(view)s and id = any(%(ids)s::bigint[])
    order by namespace, is_pattern, key
    for update
)
delete from {schema}.view_drops as held
using covered
where held.view = %(view)s
  and held.namespace = covered.namespace
  and held.is_pattern = covered.is_pattern
  and held.key = covered.key
  and held.id = covered.id
