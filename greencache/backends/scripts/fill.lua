-- Stores an entry if the lease on its key is still the one given, and uses the lease up.
-- KEYS: value, lease, waiters.  ARGV: token, bytes, milliseconds to keep it (0 for ever).
-- Returns 0 if refused, 1 if stored, 2 if stored and somebody waits for it.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
if ARGV[3] == '0' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
redis.call('DEL', KEYS[2])
return 1 + redis.call('DEL', KEYS[3])
