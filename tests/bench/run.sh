#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The figures of docs/PERFORMANCE.md: run.sh OUT
#
# /prioritize beside two baselines in one run: (a) an empty libmicrohttpd handler, (b) plain cJSON
# both ways. Server on CPU 0, wrk on CPU 1, bodies with a pod of about 3.9 KB and so many node names.
# CPU time is the server's user and system time around the run, over the requests of that run.
# Then the other benchmarks of OUT/bench, one after the other.
#
# From the environment: BENCH_SECONDS of load for each figure (5), BENCH_NODES ("100 1000 5000
# 15000"), BENCH_MODEL (the trained model when it is there, else the synthetic one of the tests).
set -eu
cd "$(dirname "$0")/../.."

out=${1:?usage: run.sh OUT}
seconds=${BENCH_SECONDS:-5}
sizes=${BENCH_NODES:-100 1000 5000 15000}
model=${BENCH_MODEL:-models/pcm-nginx/model.ubj}
[ -f "$model" ] || model=tests/fixtures/model/test.ubj
per_host=128 # nodes of one CPU each on a synthetic host
wait_s=60    # for readiness, and again for the first features
ticks_per_s=$(getconf CLK_TCK)
server_cpu=0
client_cpu=1
pid=''
tmp=$(mktemp -d)

stop() {
	[ -n "$pid" ] || return 0
	kill -TERM "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	pid=''
}
finish() {
	status=$?
	trap '' INT TERM
	stop
	rm -rf "$tmp"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
	echo "bench: $*" >&2
	[ ! -s "$tmp/log" ] || tail -5 "$tmp/log" >&2
	exit 1
}

for tool in wrk taskset curl awk; do
	command -v "$tool" >/dev/null || fail "$tool is missing"
done
if [ "$(nproc)" -lt 2 ]; then
	echo 'bench: one CPU only: server and wrk share it, figures are no use for comparison' >&2
	client_cpu=0
fi

# body N: an ExtenderArgs as kube-scheduler sends it with nodeCacheCapable.
body() {
	awk -v n="$1" 'BEGIN {
		printf "{\"Pod\":{\"metadata\":{\"name\":\"web-1\",\"namespace\":\"shop\",\"uid\":\"\","
		printf "\"labels\":{\"app\":\"web\"},\"annotations\":{\"kubemarla.io/rps\":\"1200\""
		for (i = 0; i < 50; i++)
			printf ",\"example.org/annotation-%02d\":\"a value of forty bytes, or thereabouts\"", i
		printf "}},\"spec\":{\"containers\":[{\"name\":\"web\",\"resources\":{\"requests\":"
		printf "{\"cpu\":\"500m\",\"memory\":\"256Mi\"}}}]}},\"Nodes\":null,\"NodeNames\":["
		for (i = 0; i < n; i++)
			printf "%s\"node-%05d.cluster.example\"", i ? "," : "", i
		printf "]}"
	}' >"$tmp/body-$1.json"
}

# config N SPEED LOOP: N nodes on as many synthetic hosts as it takes.
config() {
	hosts=$((($1 + per_host - 1) / per_host))
	host=0
	while [ "$host" -lt "$hosts" ]; do
		[ -f "$tmp/host-$host.csv" ] ||
			"$out/tests/gen_trace" --cpus "$per_host" --seconds 180 --interval 2 \
				--seed "$host" --interference "membw:$((host % 5))" \
				--victim-cpus "0-$((per_host - 1))" -o "$tmp/host-$host.csv"
		host=$((host + 1))
	done
	awk -v n="$1" -v speed="$2" -v repeat="$3" -v per="$per_host" -v dir="$tmp" \
		-v model="$model" 'BEGIN {
		print "kubernetes: {enabled: off}"
		print "decide: {maxAge: 3600s}"
		print "model: {path: \"" model "\"}"
		print "nodes:"
		for (i = 0; i < n; i++)
			printf "- {name: node-%05d.cluster.example, cpus: \"%d\"}\n", i, i % per
		print "collect:\n  interval: 1s\n  sources:"
		for (h = 0; h * per < n; h++) {
			printf "  - replay: {file: \"%s/host-%d.csv\", speed: %s, loop: %s, nodes: [",
				dir, h, speed, repeat
			for (i = h * per; i < n && i < (h + 1) * per; i++)
				printf "%snode-%05d.cluster.example", (i == h * per ? "" : ","), i
			print "]}"
		}
	}' >"$tmp/kubemarla.yaml"
}

# start COMMAND...: in the background, its port (the end of its first line) into $port.
start() {
	: >"$tmp/ready"
	taskset -c "$server_cpu" "$@" >"$tmp/ready" 2>"$tmp/log" &
	pid=$!
	port=''
	tries=0
	while [ -z "$port" ]; do
		kill -0 "$pid" 2>/dev/null || fail "$1 did not start"
		tries=$((tries + 1))
		[ "$tries" -le $((wait_s * 20)) ] || fail "$1 is not ready"
		sleep 0.05
		port=$(sed -n '1s/.*[: ]\([0-9][0-9]*\)$/\1/p' "$tmp/ready")
	done
}

# The sum of a metric's series that match a pattern.
metric() {
	curl -fsS "http://127.0.0.1:$port/metrics" |
		awk -v name="$1" '$0 ~ "^" name { sum += $NF } END { printf "%d\n", sum }'
}

# Waits until there are features and the scores of N names no longer change: the traces are over.
wait_for_features() {
	before=''
	tries=0
	while :; do
		curl -fsS "http://127.0.0.1:$port/readyz" >"$tmp/ready-reasons"
		curl -fsS -d "@$tmp/body-$1.json" "http://127.0.0.1:$port/prioritize" >"$tmp/scores"
		now=$(cksum <"$tmp/scores")
		[ "$now" != "$before" ] || grep -q 'no node has data' "$tmp/ready-reasons" || return 0
		before=$now
		tries=$((tries + 1))
		[ "$tries" -le "$wait_s" ] || fail "the scores of $1 nodes do not settle"
		sleep 2
	done
}

ticks() {
	# Behind the name, which may hold blanks: utime and stime are the 12th and 13th field.
	sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }'
}

# load VARIANT NAMES CONNECTIONS: one line "variant names connections req/s p50 p99 cpu rss errors"
load() {
	url=http://127.0.0.1:$port/prioritize
	taskset -c "$client_cpu" wrk -t1 -c"$3" -d1s -s tests/bench/post.lua "$url" \
		-- "$tmp/body-$2.json" >/dev/null # warm
	before=$(ticks)
	taskset -c "$client_cpu" wrk -t1 -c"$3" -d"${seconds}s" -s tests/bench/post.lua "$url" \
		-- "$tmp/body-$2.json" >"$tmp/wrk"
	used=$(($(ticks) - before))
	rss_kib=$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")
	awk -v variant="$1" -v names="$2" -v connections="$3" -v used="$used" -v rss="$rss_kib" \
		-v hz="$ticks_per_s" '
		/^RESULT/ && $2 > 0 {
			printf "%s %d %d %.1f %d %d %.1f %.1f %d\n", variant, names, connections,
				$2 / $3, $5, $6, used / hz * 1e6 / $2, rss / 1024, $4
			found = 1
		}
		END { exit !found }' "$tmp/wrk" >>"$tmp/results" || fail "wrk got no answers from $1"
}

loads() {
	load "$1" "$2" 4
	load "$1" "$2" 1
}

# What the daemon that runs has predicted, and for how many requests.
note_cache() {
	{
		printf '%s nodes, %s: %s requests, %s rows predicted, ' "$1" "$2" \
			"$(metric kubemarla_http_requests_total)" "$(metric kubemarla_predictions_total)"
		printf '%s nodes judged by a prediction that was there, %s by one that was waited for\n' \
			"$(metric kubemarla_prediction_cache_hits_total)" \
			"$(metric kubemarla_prediction_cache_misses_total)"
	} >>"$tmp/cache"
}

load_before=$(cut -d' ' -f1-3 /proc/loadavg)
busy=$(awk '{ print ($1 > 0.5) }' /proc/loadavg)
body 5000
for n in $sizes; do
	body "$n"
	start "$out/bench/bench_http_baseline" empty
	loads a-empty "$n"
	stop
	start "$out/bench/bench_http_baseline" cjson
	loads b-cjson "$n"
	stop
	config "$n" 1e6 false
	start "$out/kubemarlad" -c "$tmp/kubemarla.yaml" -l 127.0.0.1:0
	wait_for_features "$n"
	loads kubemarlad "$n"
	note_cache "$n" 'traces at rest'
	stop
done
# The same with features that change at every tick.
config 5000 20 true
start "$out/kubemarlad" -c "$tmp/kubemarla.yaml" -l 127.0.0.1:0
sleep 8
loads kubemarlad-live 5000
note_cache 5000 'traces running 20 times as fast'
stop

echo "Model: $model. Load: $seconds s for each row. $(uname -m), $(nproc) CPUs."
echo "Load average before: $load_before, after: $(cut -d' ' -f1-3 /proc/loadavg). Percentiles are wrk's."
[ "$busy" -eq 0 ] || echo 'The machine was busy before: the percentiles and rates say little.'
echo
awk '
	{ key = $2 "/" $3; rate[$1, key] = $4; line[NR] = $0; last[key] = 1 }
	END {
		print "| variant | names | connections | req/s | p50 ms | p99 ms | CPU µs/req | RSS MiB | p99 / (a) | req/s / (b) |"
		print "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |"
		for (i = 1; i <= NR; i++) {
			split(line[i], f, " ")
			key = f[2] "/" f[3]
			if (f[1] == "a-empty") p99[key] = f[6]
			split("", r)
			r[1] = p99[key] > 0 ? sprintf("%.2f", f[6] / p99[key]) : "-"
			r[2] = rate["b-cjson", key] > 0 ? sprintf("%.1f", f[4] / rate["b-cjson", key]) : "-"
			printf "| %s | %d | %d | %d | %.2f | %.2f | %.0f | %.1f | %s | %s |\n", f[1], f[2],
				f[3], f[4], f[5] / 1000, f[6] / 1000, f[7], f[8], r[1], r[2]
			errors += f[9]
		}
		printf "\nAnswers other than 200, and broken connections: %d\n", errors
	}' "$tmp/results"
echo
cat "$tmp/cache"

for bench in "$out"/bench/*; do
	case $bench in
	*.d | *.o | */bench_http_baseline) continue ;;
	esac
	printf '\n## %s\n' "${bench##*/}"
	taskset -c "$server_cpu" "$bench"
done
