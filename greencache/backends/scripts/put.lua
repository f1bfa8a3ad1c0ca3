-- Stores an entry whatever is there, and voids the lease on its key in the same step.
-- KEYS: value, lease.  ARGV: bytes, milliseconds to keep it (0 for ever).
if ARGV[2] == '0' then
  redis.call('SET', KEYS[1], ARGV[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return redis.call('DEL', KEYS[2])
