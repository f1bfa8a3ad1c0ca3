-- Which of these still work. Whoever has gone from here has ended its transaction before that.
select a.pid, given_up.began
from pg_stat_activity as a
join unnest(%(pids)s::int[], %(began)s::bigint[]) as given_up (pid, began)
    on given_up.pid = a.pid
    and given_up.began = (extract(epoch from a.backend_start) * 1000000)::bigint
