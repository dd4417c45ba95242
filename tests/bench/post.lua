-- SPDX-License-Identifier: Apache-2.0
-- For wrk: POSTs the file named first behind "--"; ends with one line for run.sh:
--   RESULT requests seconds errors p50_us p99_us
function init(args)
	local file = assert(io.open(args[1], "rb"))
	wrk.method = "POST"
	wrk.body = file:read("*a")
	wrk.headers["Content-Type"] = "application/json"
	file:close()
end

function done(summary, latency)
	local e = summary.errors
	io.write(string.format("RESULT %d %.6f %d %d %d\n", summary.requests,
		summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
		latency:percentile(50), latency:percentile(99)))
end
