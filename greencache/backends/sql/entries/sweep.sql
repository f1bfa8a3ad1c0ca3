-- now(), not clock_timestamp(): only what does not change during a statement can be looked up in an index.
-- Rows that another statement holds are left for the next sweep; one changed meanwhile is judged anew.
delete from {schema}.entries
where ctid = any(array(
    select ctid
    from {schema}.entries
    where namespace = %(namespace)s
      and (case when value is null then lease_until else stale_until end) < now()
      and (lease_until is null or lease_until < now())
    limit %(limit)s
    for update skip locked
))
