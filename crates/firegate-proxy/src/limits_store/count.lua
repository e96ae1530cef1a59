-- Counts one request of one key under one rule. The arithmetic is that of firegate-core's limiter, window.rs; a test compares
-- the two. All times are milliseconds of `now`, which the line before this script reads from the server's own clock.
local count_max, interval, slides = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local bans, ban_duration = ARGV[4] == '1', tonumber(ARGV[5])
local total_max, total_interval = tonumber(ARGV[6]), tonumber(ARGV[7])
local unreported = tonumber(ARGV[8])

local kept = redis.call('HMGET', KEYS[1], 'end', 'count', 'previous', 'total_end', 'total', 'banned')
local is_new, is_banned = not kept[1], kept[6] == '1'
local interval_end, count, previous = tonumber(kept[1] or 0), tonumber(kept[2] or 0), tonumber(kept[3] or 0)
local total_end, total = tonumber(kept[4] or 0), tonumber(kept[5] or 0)

-- If the server's clock was put back, nothing lasts longer than it could have from now on.
local rest = is_banned and math.max(interval, total_interval) + ban_duration or interval
interval_end, total_end = math.min(interval_end, now + rest), math.min(total_end, now + total_interval)

local function over()
  return math.max(slides and interval_end + interval or interval_end, total_end)
end

local function keep(banned, until_when)
  redis.call('HSET', KEYS[1], 'end', string.format('%.0f', interval_end), 'count', count, 'previous', previous,
    'total_end', string.format('%.0f', total_end), 'total', total, 'banned', banned)
  redis.call('PEXPIRE', KEYS[1], math.max(1, until_when - now))
end

local function answer(outcome)
  return { outcome, math.max(0, interval_end - now), count, previous, math.max(0, total_end - now), total }
end

local function ban()
  interval_end = math.max(interval_end, total_end, now) + ban_duration
  count, previous, total_end, total = 0, 0, 0, 0
  keep('1', interval_end)
  return answer(2)
end

local function advance()
  if now < interval_end then return end
  if slides and now < interval_end + interval then
    previous, interval_end = count, interval_end + interval
  else
    previous, interval_end = 0, now + interval
  end
  count = 0
end

if is_banned and now < interval_end then return answer(2) end
if is_new or is_banned or now >= over() then
  interval_end, count, previous, total_end, total = now + interval, 0, 0, 0, 0
end
if unreported > 0 then
  advance()
  count = math.min(count + unreported, count_max)
end
if bans and total_max > 0 then
  if now >= total_end then total_end, total = now + total_interval, 0 end
  total = total + 1
  if total > total_max then return ban() end
end
advance()
local outcome = 1
if count < count_max - math.ceil(previous * (interval_end - now) / interval) then
  count, outcome = count + 1, 0
elseif bans and total_max == 0 then
  return ban()
end
keep('0', over())
return answer(outcome)
