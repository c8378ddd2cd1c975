-- Takes or renews a lease, drops those that ended, and tells who lives. Time is Redis' own, so that nodes need no common
-- clock. A lease that ended is not renewed; a new one may take the place of one that the process had before.
-- KEYS: leases.  ARGV: member, milliseconds, 'new' or 'renew', the member before or ''.
-- Gives: 1 if the lease is held, the members.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if ARGV[3] == 'renew' and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return { 0, {} }
end
redis.call('ZREM', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return { 1, redis.call('ZRANGE', KEYS[1], 0, -1) }
