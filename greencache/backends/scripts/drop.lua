-- Removes an entry, and voids the lease on its key in the same step.
-- KEYS: value, lease.  Returns 1 if there was an entry.
redis.call('UNLINK', KEYS[2])
return redis.call('UNLINK', KEYS[1])
