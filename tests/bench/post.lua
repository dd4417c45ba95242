-- SPDX-License-Identifier: Apache-2.0
-- For wrk: POSTs the file named first behind "--"; with a number behind it, as so many pods in turn,
-- each with a UID of its own in place of "". Ends with one line for run.sh:
--   RESULT requests seconds errors p50_us p99_us
local requests = {}
local at = 0

local function next_request()
	at = at % #requests + 1
	return requests[at]
end

function init(args)
	local file = assert(io.open(args[1], "rb"))
	wrk.method = "POST"
	wrk.body = file:read("*a")
	wrk.headers["Content-Type"] = "application/json"
	file:close()
	for pod = 1, tonumber(args[2]) or 0 do
		local body = wrk.body:gsub('"uid":""', string.format('"uid":"pod-%d"', pod), 1)
		requests[pod] = wrk.format(nil, nil, nil, body)
	end
	if #requests > 0 then
		request = next_request
	end
end

function done(summary, latency)
	local e = summary.errors
	io.write(string.format("RESULT %d %.6f %d %d %d\n", summary.requests,
		summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
		latency:percentile(50), latency:percentile(99)))
end
