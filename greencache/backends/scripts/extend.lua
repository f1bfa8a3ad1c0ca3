-- Lets a lease last longer, unless it is void or somebody else's by now.
-- KEYS: lease.  ARGV: token, milliseconds from now.  Returns 1 if it is still ours.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
