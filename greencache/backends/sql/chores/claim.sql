-- One row for the one process that may begin; the others wait for it here, and then find that it has.
insert into {schema}.chores as held (namespace, name, began)
values (%(namespace)s, %(name)s, clock_timestamp())
on conflict (namespace, name) do update
    set began = excluded.began
    where held.began <= clock_timestamp() - make_interval(secs => %(interval)s)
returning 1
