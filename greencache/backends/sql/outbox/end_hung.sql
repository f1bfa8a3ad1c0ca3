-- Whoever leads asks something every second or so. Who holds the lock and has been silent for long is a stopped
-- process, or one that a network has lost; ending its session gives the lock free.
select count(pg_terminate_backend(a.pid))
from pg_locks as l
join pg_stat_activity as a on a.pid = l.pid
cross join (select hashtextextended(%(lock)s, 0)) as wanted (key)
where l.locktype = 'advisory'
  and l.granted
  and l.mode = 'ExclusiveLock'
  and l.database = (select oid from pg_database where datname = current_database())
  and l.objsubid = 1
  and l.classid::bigint = (wanted.key >> 32) & 4294967295
  and l.objid::bigint = wanted.key & 4294967295
  and a.state in ('idle', 'idle in transaction')
  and a.state_change < clock_timestamp() - make_interval(secs => %(patience)s)
