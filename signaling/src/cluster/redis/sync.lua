-- One node's exchange about one swarm: `Sync` in registry.rs.
-- KEYS: counts by node, claims by peer.  ARGV: node, its count or '', seconds to live, size of the sample,
-- number of claims, (peer, node to take it from or '')…, number of discards, (peer, node)…, nodes to forget…
-- Gives: holders of the claims, counts, sample.
local counts, claims = KEYS[1], KEYS[2]
local node, at = ARGV[1], 5
local function take()
  at = at + 1
  return ARGV[at - 1]
end

if ARGV[2] == '' then redis.call('HDEL', counts, node) else redis.call('HSET', counts, node, ARGV[2]) end
local claimed, discarded, holders = {}, {}, {}
for _ = 1, tonumber(take()) do
  table.insert(claimed, { take(), take() })
end
for _ = 1, tonumber(take()) do
  table.insert(discarded, { take(), take() })
end
for _, pair in ipairs(discarded) do
  if redis.call('HGET', claims, pair[1]) == pair[2] then redis.call('HDEL', claims, pair[1]) end
end
for _, pair in ipairs(claimed) do
  local holder = redis.call('HGET', claims, pair[1])
  if not holder or holder == pair[2] then
    redis.call('HSET', claims, pair[1], node)
    holder = node
  end
  table.insert(holders, holder)
end
while at <= #ARGV do
  redis.call('HDEL', counts, take())
end
redis.call('EXPIRE', counts, ARGV[3])
redis.call('EXPIRE', claims, ARGV[3])
return { holders, redis.call('HGETALL', counts), redis.call('HRANDFIELD', claims, ARGV[4], 'WITHVALUES') }
