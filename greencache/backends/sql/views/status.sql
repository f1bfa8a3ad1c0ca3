select
    (
        select extract(epoch from clock_timestamp() - refreshed_at)::float8
        from {schema}.view_refreshes
        where view = %(view)s
    ),
    (
        select count(*)
        from {schema}.view_drops
        where namespace = %(namespace)s and view = %(view)s
    )
