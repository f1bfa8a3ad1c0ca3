-- Gives a lease up, unless it is somebody else's by now.
-- KEYS: lease.  ARGV: token.  Returns 1 if it was still ours.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
