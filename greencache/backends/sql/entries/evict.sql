-- What is being loaded stays, with its lease. Rows in use by others are passed over; one that was changed
-- meanwhile is judged anew.
with chosen as materialized (
    select ctid, pg_column_size(value) + pg_column_size(key) as bytes
    from {schema}.entries
    where namespace = %(namespace)s
      and value is not null
      and (lease_until is null or lease_until < now())
    order by (case when value is null then lease_until else stale_until end), updated
    limit %(limit)s
    for update skip locked
), gone as (
    delete from {schema}.entries as held
    using chosen
    where held.ctid = chosen.ctid
    returning chosen.bytes
)
select count(*), coalesce(sum(bytes), 0)::bigint from gone
