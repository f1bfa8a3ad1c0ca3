-- Stores an entry as fill does, while the slot of its key is being moved to another node of a Cluster.
-- KEYS: value.  ARGV: token, bytes, milliseconds to keep it (0 for ever), and where the lease is.
-- Returns 0 if refused, also where the lease is on the other node, 1 if stored.
-- The lease is in the same slot but not among the keys: a node refuses to run scripts on several keys of
-- which it lacks one, and it lacks the value. A node that does not have the lease says so by an error.
if redis.pcall('GET', ARGV[4]) ~= ARGV[1] then
  return 0
end
if ARGV[3] == '0' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return redis.call('DEL', ARGV[4])
