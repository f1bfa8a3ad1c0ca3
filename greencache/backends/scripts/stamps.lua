-- Returns what is under the names of stamps, and lets what is there live on.
-- KEYS: stamps.  ARGV: for each the seconds from now, 0 for one that never ends.
local found = redis.call('MGET', unpack(KEYS))
for index, stamp in ipairs(found) do
  if stamp and ARGV[index] ~= '0' then
    -- A server that takes no writes for now answers all the same.
    redis.pcall('EXPIRE', KEYS[index], ARGV[index])
  end
end
return found
