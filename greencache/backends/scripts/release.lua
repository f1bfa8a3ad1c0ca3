-- Gives a lease up, unless it is somebody else's by now.
-- KEYS: lease, and waiters if they are to be told.  ARGV: token.
-- Returns 0 if it was not ours, 1 if it was, 2 if somebody waits for it.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
return 1 + (KEYS[2] and redis.call('DEL', KEYS[2]) or 0)
