insert into {schema}.view_refreshes as held (view, relation, refreshed_at, as_of, snapshots, seconds, changed, dead)
values (
    %(view)s, to_regclass(%(name)s), %(began)s, %(as_of)s, %(snapshots)s,
    extract(epoch from clock_timestamp() - %(began)s::timestamptz), %(changed)s::bigint, coalesce(%(changed)s::bigint, 0)
)
on conflict (view) do update
    set relation = excluded.relation,
        refreshed_at = excluded.refreshed_at,
        as_of = excluded.as_of,
        snapshots = excluded.snapshots,
        seconds = excluded.seconds,
        changed = excluded.changed,
        -- A refresh that is not concurrent writes the view anew, without dead rows.
        dead = case when %(changed)s::bigint is null then 0 else held.dead + excluded.dead end,
        failures = 0,
        error = '',
        retry_at = null
returning seconds, dead > 1000 + 0.2 * (select greatest(reltuples, 0) from pg_class where oid = held.relation)
