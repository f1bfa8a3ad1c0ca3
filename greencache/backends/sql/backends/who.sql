-- Who works for this connection. Its process alone would not do: the number may be another's soon. The time is
-- null for a role that may not see its own session, and so could not end it either.
select pid, (extract(epoch from backend_start) * 1000000)::bigint
from pg_stat_get_activity(pg_backend_pid())
