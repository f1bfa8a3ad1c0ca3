insert into {schema}.entries (namespace, key, value, stale_until)
select %(namespace)s, w.key, w.value, clock_timestamp() + make_interval(secs => w.seconds)
from pg_temp.greencache_staged as w
order by w.key collate "C"
on conflict (namespace, key) do update
    set value = excluded.value,
        stale_until = excluded.stale_until,
        lease = null,
        lease_until = null,
        updated = clock_timestamp()
returning key
