select
    extract(epoch from clock_timestamp() - held.as_of)::float8,
    (
        select count(*)
        from {schema}.view_drops
        where namespace = %(namespace)s and view = %(view)s
    ),
    held.seconds, held.changed, coalesce(held.failures, 0), coalesce(held.error, ''),
    coalesce(stat.n_live_tup, 0), coalesce(stat.n_dead_tup, 0), coalesce(pg_total_relation_size(stat.relid), 0),
    (
        select extract(epoch from clock_timestamp() - min(xact_start))::float8
        from pg_stat_activity
        where backend_xmin is not null and pid <> pg_backend_pid() and datname = current_database()
    )
from (select) as always
left join {schema}.view_refreshes as held on held.view = %(view)s
left join pg_stat_all_tables as stat on stat.relid = to_regclass(%(name)s)
