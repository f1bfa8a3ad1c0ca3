-- Together with how far that goes, so that nobody sees the one without the other.
with old as (
    delete from {schema}.changes
    where (namespace, xact, id) in (
        select namespace, xact, id
        from {schema}.changes
        where namespace = %(namespace)s and written < clock_timestamp() - make_interval(secs => %(age)s)
        order by xact, id
        limit %(limit)s
        for update skip locked
    )
    returning xact, lsn
)
insert into {schema}.horizons as known (namespace, xact, lsn)
select %(namespace)s, (select xact from old order by xact desc limit 1), max(lsn)
from old
having count(*) > 0
on conflict (namespace) do update
    set xact = case when excluded.xact > known.xact then excluded.xact else known.xact end,
        lsn = greatest(excluded.lsn, known.lsn)
