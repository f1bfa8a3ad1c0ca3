-- A drop is recorded after its change has been committed; so a snapshot that saw the drop saw the change. Where
-- the view is made of others, theirs must have seen it too.
--
-- In the order in which drops are recorded, so that neither can deadlock with the other. FOR UPDATE waits for a
-- drop that is being recorded again, and judges the WHERE on the row as that leaves it.
with covered as materialized (
    select namespace, is_pattern, key, xact
    from {schema}.view_drops
    where view = %(view)s
      and not exists (
          select from unnest(%(snapshots)s::text[]) as s (text) where not pg_visible_in_snapshot(xact, s.text::pg_snapshot)
      )
    order by namespace, is_pattern, key
    for update
)
delete from {schema}.view_drops as held
using covered
where held.view = %(view)s
  and held.namespace = covered.namespace
  and held.is_pattern = covered.is_pattern
  and held.key = covered.key
  and held.xact = covered.xact
