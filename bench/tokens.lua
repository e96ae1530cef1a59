-- wrk -s tokens.lua URL -- PATH [FILE]: one request for each token of FILE, over and over; without FILE none has a token.
local requests, at, count = {}, 0, 0

local function add(path, authorization)
  count = count + 1
  requests[count] = "GET " .. path .. " HTTP/1.1\r\nHost: api.example.com\r\n" .. authorization
    .. "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: */*\r\n\r\n"
end

function init(arguments)
  local path, file = arguments[1], arguments[2]
  if not file then return add(path, "") end
  for line in io.lines(file) do add(path, "Authorization: Bearer " .. line .. "\r\n") end
end

function request()
  at = at % count + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("OUTCOME %d %d %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
