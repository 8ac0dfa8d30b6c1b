-- The algorithm of limits.py over one or two buckets, on Redis' own clock.
-- KEYS: the buckets. ARGV: the spans, then for each bucket its microseconds a span and its burst.
-- Reply: which bucket refuses (0: none) and the microseconds to wait.
-- A bucket holds a time and the microseconds from then until it is full again. One absolute time
-- would be simpler, but at 10^15 microseconds a double is too coarse for the cost of a fast span.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local cost = tonumber(ARGV[1])
local longest_ms = 1e12 -- 31 years; Redis takes no time that is endless or in powers of ten
local refusing, longest = 0, 1 -- one microsecond is no wait: the clock is no finer
local debts = {}
for i, key in ipairs(KEYS) do
  local us_per_span, burst = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local debt = 0
  local stored = redis.call('GET', key)
  if stored then
    local since, was = struct.unpack('dd', stored)
    debt = math.max(0, was - math.max(0, now - since))
  end
  local wait = debt - math.max(0, burst - cost) * us_per_span
  if wait > longest then refusing, longest = i, wait end
  debts[i] = debt + cost * us_per_span
end
if refusing > 0 then return {refusing, math.ceil(math.min(longest, 1000 * longest_ms))} end
for i, key in ipairs(KEYS) do
  local full_in_ms = math.max(1, math.min(longest_ms, math.ceil(debts[i] / 1000)))
  redis.call('SET', key, struct.pack('dd', now, debts[i]), 'PX', full_in_ms)
end
return {0, 0}
