-- Ends one of them, and waits for that. False if it takes longer, or if it has just ended by itself.
select pg_terminate_backend(a.pid, %(patience)s)
from pg_stat_activity as a
where a.pid = %(pid)s
  and (extract(epoch from a.backend_start) * 1000000)::bigint = %(began)s
