-- One node's exchange about one swarm: `Sync` in registry.rs; memory.rs does the same.
-- KEYS: counts by node, claims by peer.  ARGV: node, its count or '', seconds to live, size of the sample, milliseconds by
-- which an elder claim is elder, number of claims, (peer, node to take it from or '', milliseconds for which it is bound)…,
-- number of discards, (peer, node)…, nodes to forget…
-- A claim is its node's 16 digits and since when the peer is bound there, by Redis' own clock.
-- Gives: holders of the claims, each with the node it was taken from if that does not know, counts, sample.
local counts, claims = KEYS[1], KEYS[2]
local node, elder, at = ARGV[1], ARGV[5], 6
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function take()
  at = at + 1
  return ARGV[at - 1]
end
local function holder(peer)
  local claim = redis.call('HGET', claims, peer)
  if claim then return string.sub(claim, 1, 16), tonumber(string.sub(claim, 18)) or 0 end
end

if ARGV[2] == '' then redis.call('HDEL', counts, node) else redis.call('HSET', counts, node, ARGV[2]) end
local claimed, discarded, holders = {}, {}, {}
for _ = 1, tonumber(take()) do
  table.insert(claimed, { take(), take(), take() })
end
for _ = 1, tonumber(take()) do
  table.insert(discarded, { take(), take() })
end
for _, pair in ipairs(discarded) do
  if holder(pair[1]) == pair[2] then redis.call('HDEL', claims, pair[1]) end
end
for _, claim in ipairs(claimed) do
  local held_by, held_since = holder(claim[1])
  local since = now - claim[3]
  local is_free = not held_by or held_by == node or held_by == claim[2]
  local is_elder = not is_free and since + elder < held_since
  if is_free or is_elder then
    redis.call('HSET', claims, claim[1], string.format('%s %.0f', node, since))
  end
  table.insert(holders, is_free and node or is_elder and node .. ' ' .. held_by or held_by)
end
while at <= #ARGV do
  redis.call('HDEL', counts, take())
end
redis.call('EXPIRE', counts, ARGV[3])
redis.call('EXPIRE', claims, ARGV[3])
return { holders, redis.call('HGETALL', counts), redis.call('HRANDFIELD', claims, ARGV[4], 'WITHVALUES') }
