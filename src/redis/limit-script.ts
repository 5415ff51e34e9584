import { createHash } from 'node:crypto'

/** A script with the name that EVALSHA knows it by. */
export interface RedisScript {
  readonly text: string
  readonly sha: string
}

/**
 * The state of one token is one hash (so one slot of a cluster), a field a limit: `level:at:capacity:drain`. The level
 * is as `access/gcra.ts` explains it: a unit adds `unit`, a millisecond drains `drain`, all whole numbers. A limit that has
 * changed keeps the share that is used up. The time is the server's.
 *
 * ARGV: the cost (negative = give back), whether it is taken (else only asked about), then name, unit, drain, capacity and
 * slack of each limit.
 * Answer: whether it was granted, then the level of each limit now, as texts.
 */
const LEVELS = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local cost = tonumber(ARGV[1])
local names, levels = {}, {}
for i = 3, #ARGV, 5 do names[#names + 1] = ARGV[i] end
local fields = redis.call('HMGET', KEYS[1], unpack(names))
local granted = true
for i = 1, #names do
  local base = 3 + (i - 1) * 5
  local unit, drain = tonumber(ARGV[base + 1]), tonumber(ARGV[base + 2])
  local capacity, slack = tonumber(ARGV[base + 3]), tonumber(ARGV[base + 4])
  local level = 0
  if fields[i] then
    local was, at, of, drained = string.match(fields[i], '^(%d+):(%d+):(%d+):(%d+)$')
    local elapsed = math.max(0, now - tonumber(at))
    level = math.max(0, tonumber(was) - elapsed * tonumber(drained))
    if tonumber(of) ~= capacity or tonumber(drained) ~= drain then
      level = math.min(capacity, math.ceil(level / tonumber(of) * capacity))
    end
  end
  levels[i] = level
  if cost > 0 and level + cost * unit > capacity + slack then granted = false end
end
if granted and cost ~= 0 and ARGV[2] == '1' then
  local writes, longest = {}, 0
  for i = 1, #names do
    local base = 3 + (i - 1) * 5
    local drain, capacity = tonumber(ARGV[base + 2]), tonumber(ARGV[base + 3])
    levels[i] = math.max(0, levels[i] + cost * tonumber(ARGV[base + 1]))
    writes[#writes + 1] = names[i]
    writes[#writes + 1] = string.format('%.0f:%.0f:%.0f:%.0f', levels[i], now, capacity, drain)
    longest = math.max(longest, math.ceil(levels[i] / drain))
  end
  redis.call('HSET', KEYS[1], unpack(writes))
  -- Never sooner than before: there may be fields of limits that other instances still know, or know already.
  longest = math.max(longest + 1000, redis.call('PTTL', KEYS[1]))
  redis.call('PEXPIRE', KEYS[1], math.min(longest, 40000000000))
end
local answer = { granted and '1' or '0' }
for i = 1, #names do answer[i + 1] = string.format('%.0f', levels[i]) end
return answer
`

/** Reserves units of all limits of a token, or of none; or gives them back. */
export const LIMIT_SCRIPT: RedisScript = Object.freeze({
  text: LEVELS,
  sha: createHash('sha1').update(LEVELS).digest('hex'),
})
