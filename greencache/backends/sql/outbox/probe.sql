-- Whether anybody need listen, whether nobody does, and how many seconds the oldest row has waited. The lock is
-- shared among those who ask, and given back at once.
select
    exists (
        select from pg_proc as p
        join pg_namespace as s on s.oid = p.pronamespace
        where s.nspname = %(schema)s and p.proname like 'watch\_%%'
    ) or oldest.age is not null or exists (
        select from {schema}.view_readers where namespace = %(namespace)s
    ),
    pg_try_advisory_xact_lock_shared(hashtextextended(%(lock)s, 0)),
    coalesce(oldest.age, 0)
from (select) as always
left join lateral (
    select extract(epoch from clock_timestamp() - written)::float8 as age
    from {schema}.outbox
    where namespace = %(namespace)s
    order by xact, id
    limit 1
) as oldest on true
