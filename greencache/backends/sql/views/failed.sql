insert into {schema}.view_refreshes as held (view, failures, error, retry_at)
values (%(view)s, 1, %(error)s, clock_timestamp() + make_interval(secs => %(pause)s))
on conflict (view) do update
    set failures = held.failures + 1,
        error = excluded.error,
        retry_at = excluded.retry_at
returning failures
