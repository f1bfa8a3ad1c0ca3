-- Returns the id and the mark of the last message on the bus, but not its body, or nil when there is none.
-- KEYS: stream.
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
return last and {last[1], last[2][2]}
