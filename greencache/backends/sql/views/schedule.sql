-- What is known of the wanted views, by the server's clock: that of a process may be another.
select
    w.view,
    extract(epoch from held.refreshed_at)::text,
    extract(epoch from held.refreshed_at)::float8,
    extract(epoch from clock_timestamp())::float8,
    (
        select extract(epoch from clock_timestamp() - min(wished.written))::float8
        from {schema}.view_wishes as wished
        where wished.view = w.view
    ),
    coalesce(extract(epoch from held.retry_at - clock_timestamp()), 0)::float8,
    coalesce(held.failures, 0)
from unnest(%(views)s::text[]) as w (view)
left join {schema}.view_refreshes as held on held.view = w.view
