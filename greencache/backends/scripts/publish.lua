-- Appends a message to the bus, numbered one higher than the last, and bound to it by the last one's mark.
-- KEYS: stream.  ARGV: longest length, mark, origin, body.  Returns the number.
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local number, previous = 0, ''
if last then
  number = tonumber(string.match(last[1], '^%d+'))
  previous = last[2][2]
elseif redis.call('EXISTS', KEYS[1]) == 1 then
  -- Emptied by XTRIM or XDEL: Redis still refuses an id that is not above the last.
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      number = tonumber(string.match(info[i + 1], '^%d+'))
    end
  end
end
number = number + 1
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], string.format('%.0f-0', number),
  'mark', ARGV[2], 'previous', previous, 'origin', ARGV[3], 'body', ARGV[4])
return number
