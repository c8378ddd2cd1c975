-- Renews a lease, drops those that ended, and tells who lives. Time is Redis' own, so nodes need no common clock.
-- KEYS: leases.  ARGV: member, milliseconds.  Gives: 1 if the lease had not ended, the members.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return { ends and tonumber(ends) > now and 1 or 0, redis.call('ZRANGE', KEYS[1], 0, -1) }
