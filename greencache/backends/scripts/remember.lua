-- Sets a key if it has still the text that was read from it; what else somebody has put there counts as none.
-- KEYS: the key. ARGV: the new text; the one that was read, empty if there was none.
local held = ''
if redis.call('TYPE', KEYS[1]).ok == 'string' then
  held = redis.call('GET', KEYS[1])
end
if held == ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[1])
end
