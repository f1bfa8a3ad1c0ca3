-- Rows that nobody has read for long, since no cache of their namespace runs, become one that covers them all.
with old as (
    delete from {schema}.outbox
    where (namespace, xact, id) in (
        select namespace, xact, id
        from {schema}.outbox
        where written < clock_timestamp() - make_interval(secs => %(age)s) and not is_everything
        limit 100000
        for update skip locked
    )
    returning namespace
)
select {schema}.invalidate(namespace, everything => true, notify => false)
from (select distinct namespace from old) as forgotten
