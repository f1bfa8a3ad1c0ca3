-- A lease reserved by a statement that commits after this one's snapshot survives, and may: its load begins
-- after that commit, so after the change of the source that this drop follows. A fill under way is waited for,
-- and the row it leaves is deleted.
with locked as materialized (
    select key, value is not null and (stale_until is null or stale_until > clock_timestamp()) as was_there
    from {schema}.entries
    where namespace = %(namespace)s
      and key = any(%(keys)s::text[])
    order by key
    for update
), gone as (
    delete from {schema}.entries as held
    using locked
    where held.namespace = %(namespace)s
      and held.key = locked.key
)
select count(*) filter (where was_there) from locked
