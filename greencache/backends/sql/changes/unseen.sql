-- What was dropped that some of the positions do not see: rows of transactions that were running then, and of
-- later ones, each a range of the primary key. On a replica what has been replayed is seen as well.
--
-- Nothing is missed by asking only what this statement sees: what is recorded later is dropped later still,
-- and takes the leases of whoever asks now.
with position as (
    select given.snapshot::pg_snapshot as snapshot, given.replayed::pg_lsn as replayed, to_timestamp(given.since) as since
    from unnest(%(snapshots)s::text[], %(replayed)s::text[], %(since)s::float8[]) as given (snapshot, replayed, since)
), unseen as materialized (
    select held.keys, held.tags, held.patterns
    from position
    join {schema}.changes as held
        on held.namespace = %(namespace)s and held.xact = any(array(select pg_snapshot_xip(position.snapshot)))
    where (position.replayed is null or held.lsn > position.replayed) and held.xact <> all(%(own)s::text[]::xid8[])
    union all
    select held.keys, held.tags, held.patterns
    from position
    join {schema}.changes as held
        on held.namespace = %(namespace)s and held.xact >= pg_snapshot_xmax(position.snapshot)
    where (position.replayed is null or held.lsn > position.replayed) and held.xact <> all(%(own)s::text[]::xid8[])
    union all
    -- Who has read since a moment, and not only at the snapshot, may have missed what was committed after that
    -- moment: it was recorded later still, by this same server's clock. Lateral, so that nobody else looks at all.
    select held.keys, held.tags, held.patterns
    from position
    cross join lateral (
        select held.keys, held.tags, held.patterns
        from {schema}.changes as held
        where held.namespace = %(namespace)s and held.written >= position.since
          and held.xact <> all(%(own)s::text[]::xid8[])
        offset 0
    ) as held
    where position.since is not null
)
select
    array(select distinct name from unseen, unnest(unseen.keys) as name where name = any(%(keys)s::text[])),
    array(select distinct name from unseen, unnest(unseen.tags) as name where name = any(%(tags)s::text[])),
    array(select distinct name from unseen, unnest(unseen.patterns) as name),
    -- Of what was deleted only this is known: it had been committed, and was no later than the horizon.
    exists (
        select from position
        join {schema}.horizons as past on past.namespace = %(namespace)s
        where (position.replayed is null or past.lsn > position.replayed)
          and (
              past.xact >= pg_snapshot_xmax(position.snapshot)
              or position.since < clock_timestamp() - make_interval(secs => %(window)s)
              or exists (
                  select from pg_snapshot_xip(position.snapshot) as running (xact)
                  where running.xact <= past.xact and pg_visible_in_snapshot(running.xact, pg_current_snapshot())
              )
          )
    )
