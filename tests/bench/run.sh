#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The figures of docs/PERFORMANCE.md: run.sh OUT
#
# /prioritize beside two baselines in one run: (a) an empty libmicrohttpd handler, (b) plain cJSON
# both ways. Server on CPU 0, wrk on CPU 1, bodies with a pod of about 3.9 KB and so many node names,
# shuffled. CPU time is the server's around the run, over the requests of that run. A row during
# which other processes wanted the CPUs is repeated, and the least disturbed one kept; how much it
# was disturbed (the kernel's "some" pressure) is a column.
# Then an agent of 128 CPUs on its own, the other benchmarks of OUT/bench one after the other, and at
# the end the targets beside what was measured.
#
# From the environment:
#   BENCH_SECONDS  of load for each row (5)
#   BENCH_NODES    sizes ("100 1000 5000 15000")
#   BENCH_TRIES    at most so many for each row (4)
#   BENCH_AGENT_SECONDS  of the agent (60), also for bench_agent
#   BENCH_MODEL    (the trained model when it is there, else the synthetic one of the tests)
set -eu
cd "$(dirname "$0")/../.."

out=${1:?usage: run.sh OUT}
seconds=${BENCH_SECONDS:-5}
sizes=${BENCH_NODES:-100 1000 5000 15000}
tries=${BENCH_TRIES:-4}
pods='' # of a request: so many in turn; empty = one without UID
agent_seconds=${BENCH_AGENT_SECONDS:-60}
model=${BENCH_MODEL:-models/pcm-nginx/model.ubj}
[ -f "$model" ] || model=tests/fixtures/model/test.ubj
per_host=128         # nodes of one CPU each on a synthetic host
disturbed_permille=20 # above it a row is tried again
server_cpu=0
client_cpu=1
tmp=$(mktemp -d)
# shellcheck source=tests/support/daemon.sh
. tests/support/daemon.sh

for tool in wrk taskset curl awk shuf; do
	command -v "$tool" >/dev/null || die "$tool is missing"
done
if [ "$(nproc)" -lt 2 ]; then
	echo 'bench: one CPU only: server and wrk share it, figures are no use for comparison' >&2
	client_cpu=0
fi

# ---- what is asked, and of whom ------------------------------------------------------------------

names() { # N: in an order of no meaning, the same each time
	seq 0 $(($1 - 1)) | shuf --random-source=/dev/zero
}

# body N: an ExtenderArgs as kube-scheduler sends it with nodeCacheCapable.
body() {
	names "$1" | awk '
	BEGIN {
		printf "{\"Pod\":{\"metadata\":{\"name\":\"web-1\",\"namespace\":\"shop\",\"uid\":\"\","
		printf "\"labels\":{\"app\":\"web\"},\"annotations\":{\"kubemarla.io/rps\":\"1200\""
		for (i = 0; i < 50; i++)
			printf ",\"example.org/annotation-%02d\":\"a value of forty bytes, or thereabouts\"", i
		printf "}},\"spec\":{\"containers\":[{\"name\":\"web\",\"resources\":{\"requests\":"
		printf "{\"cpu\":\"500m\",\"memory\":\"256Mi\"}}}]}},\"Nodes\":null,\"NodeNames\":["
	}
	{ printf "%s\"node-%05d.cluster.example\"", (NR > 1 ? "," : ""), $1 }
	END { printf "]}" }' >"$tmp/body-$1.json"
}

trace() { # HOST SECONDS INTERVAL
	[ -f "$tmp/host-$1.csv" ] ||
		"$out/tests/gen_trace" --cpus "$per_host" --seconds "$2" --interval "$3" \
			--seed "$1" --interference "membw:$(($1 % 5))" \
			--victim-cpus "0-$((per_host - 1))" -o "$tmp/host-$1.csv"
}

# config N SPEED LOOP: N nodes on as many synthetic hosts as it takes.
config() {
	host=0
	while [ $((host * per_host)) -lt "$1" ]; do
		trace "$host" 180 2
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

# serve COMMAND...: on its own CPU. end: of whatever serves; baselines end by the signal.
serve() {
	start taskset -c "$server_cpu" "$@"
}
end() {
	stop || true
}

# The sum of a metric's series that match a pattern.
metric() {
	curl -fsS "http://127.0.0.1:$port/metrics" |
		awk -v name="$1" '$0 ~ "^" name { sum += $NF } END { printf "%d\n", sum }'
}

has_data() {
	curl -fsS "http://127.0.0.1:$port/readyz" >"$tmp/ready-reasons"
	! grep -q 'no node has data' "$tmp/ready-reasons"
}
# Waits until there are features.
wait_for_data() {
	until_true has_data || die 'there are no features'
}

# Waits until there are, and the scores of N names no longer change: the traces are over.
wait_for_rest() {
	before=''
	polls=0
	wait_for_data
	while :; do
		curl -fsS -d "@$tmp/body-$1.json" "http://127.0.0.1:$port/prioritize" >"$tmp/scores"
		now=$(cksum <"$tmp/scores")
		[ "$now" != "$before" ] || return 0
		before=$now
		polls=$((polls + 1))
		[ "$polls" -le "$patience_s" ] || die "the scores of $1 nodes do not settle"
		sleep 2
	done
}

# ---- measuring -----------------------------------------------------------------------------------

# CPU time of the server's threads so far, in microseconds.
cpu_us() {
	cat "/proc/$pid/task/"*/schedstat | awk '{ ns += $1 } END { printf "%d\n", ns / 1000 }'
}
rss_kib() {
	awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"
}
# Time in which something waited for a CPU, in microseconds; 0 where the kernel does not say.
pressure_us() {
	if [ -r /proc/pressure/cpu ]; then
		sed -n 's/^some .*total=//p' /proc/pressure/cpu
	else
		echo 0
	fi
}

ask() { # NAMES CONNECTIONS SECONDS
	taskset -c "$client_cpu" wrk -t1 -c"$2" -d"${3}s" -s tests/bench/post.lua \
		"http://127.0.0.1:$port/prioritize" -- "$tmp/body-$1.json" ${pods:+"$pods"}
}

# load VARIANT NAMES CONNECTIONS: one line
#   variant names connections req/s p50_us p99_us cpu_us rss_mib errors disturbed_permille
load() {
	try=0
	: >"$tmp/tries"
	ask "$2" "$3" 1 >/dev/null # warm
	while [ "$try" -lt "$tries" ]; do
		try=$((try + 1))
		waited=$(pressure_us)
		before=$(cpu_us)
		ask "$2" "$3" "$seconds" >"$tmp/wrk"
		used=$(($(cpu_us) - before))
		waited=$(($(pressure_us) - waited))
		awk -v variant="$1" -v names="$2" -v connections="$3" -v used="$used" \
			-v rss="$(rss_kib)" -v waited="$waited" '
			/^RESULT/ && $2 > 0 {
				printf "%s %d %d %.1f %d %d %.1f %.1f %d %d\n", variant, names,
					connections, $2 / $3, $5, $6, used / $2, rss / 1024, $4,
					waited / $3 / 1000
				found = 1
			}
			END { exit !found }' "$tmp/wrk" >>"$tmp/tries" || die "wrk got no answers from $1"
		[ "$(tail -n 1 "$tmp/tries" | cut -d' ' -f10)" -gt "$disturbed_permille" ] || break
	done
	sort -n -k10,10 "$tmp/tries" | head -n 1 >>"$tmp/results"
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

# One host of 128 CPUs, half of them one Kubernetes node, read each second: what the agent's role
# takes of a core, and its memory.
agent() {
	rm -f "$tmp/host-0.csv"
	trace 0 $((agent_seconds + 120)) 1
	cat >"$tmp/kubemarla.yaml" <<EOF
roles: [agent]
kubernetes: {enabled: off}
model: {path: "$model"}
nodes: [{name: half, cpus: "0-$((per_host / 2 - 1))"}]
collect: {interval: 1s, sources: [{replay: {file: "$tmp/host-0.csv", node: half}}]}
EOF
	serve "$out/kubemarlad" -c "$tmp/kubemarla.yaml" -l 127.0.0.1:0
	wait_for_data
	before=$(cpu_us)
	ticks=$(metric kubemarla_agent_tick_seconds_count)
	sleep "$agent_seconds"
	used=$(($(cpu_us) - before))
	ticks=$(($(metric kubemarla_agent_tick_seconds_count) - ticks))
	echo "$per_host $agent_seconds $used $(rss_kib) $ticks" >"$tmp/agent"
	end
}

load_before=$(cut -d' ' -f1-3 /proc/loadavg)
for n in $sizes; do
	body "$n"
	serve "$out/bench/bench_http_baseline" empty
	loads a-empty "$n"
	end
	serve "$out/bench/bench_http_baseline" cjson
	loads b-cjson "$n"
	end
	config "$n" 1e6 false
	serve "$out/kubemarlad" -c "$tmp/kubemarla.yaml" -l 127.0.0.1:0
	wait_for_rest "$n"
	loads kubemarlad "$n"
	note_cache "$n" 'traces at rest'
	end
done
# The same with the ledger at work: 64 pods, each of them asked for again and again.
body 5000
config 5000 1e6 false
serve "$out/kubemarlad" -c "$tmp/kubemarla.yaml" -l 127.0.0.1:0
wait_for_rest 5000
pods=64
loads kubemarlad-pods 5000
pods=''
note_cache 5000 'traces at rest, pods in flight'
end
# The same with features that change at every tick.
body 5000
config 5000 20 true
serve "$out/kubemarlad" -c "$tmp/kubemarla.yaml" -l 127.0.0.1:0
wait_for_data
loads kubemarlad-live 5000
note_cache 5000 'traces running 20 times as fast'
end
[ "$agent_seconds" -eq 0 ] || agent

echo "Model: $model. Load: $seconds s for each row. $(uname -m), $(nproc) CPUs:" \
	"$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)."
echo "Load average before: $load_before, after: $(cut -d' ' -f1-3 /proc/loadavg). Percentiles are wrk's."
echo
awk '
	{ key = $2 "/" $3; rate[$1, key] = $4; line[NR] = $0 }
	END {
		print "| variant | names | connections | req/s | p50 ms | p99 ms | CPU µs/req | RSS MiB | p99 / (a) | req/s / (b) | disturbed |"
		print "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |"
		for (i = 1; i <= NR; i++) {
			split(line[i], f, " ")
			key = f[2] "/" f[3]
			if (f[1] == "a-empty") p99[key] = f[6]
			split("", r)
			r[1] = p99[key] > 0 ? sprintf("%.2f", f[6] / p99[key]) : "-"
			r[2] = rate["b-cjson", key] > 0 ? sprintf("%.1f", f[4] / rate["b-cjson", key]) : "-"
			printf "| %s | %d | %d | %d | %.2f | %.2f | %.0f | %.1f | %s | %s | %.1f %% |\n", f[1],
				f[2], f[3], f[4], f[5] / 1000, f[6] / 1000, f[7], f[8], r[1], r[2], f[10] / 10
			errors += f[9]
		}
		printf "\nAnswers other than 200, and broken connections: %d\n", errors
	}' "$tmp/results"
echo
cat "$tmp/cache"

: >"$tmp/benches"
for bench in "$out"/bench/*; do
	case $bench in
	*.d | *.o | */bench_http_baseline) continue ;;
	*/bench_cluster) set -- "$bench" "$out" ;;
	*/bench_decide | */bench_extender) set -- "$bench" "$model" ;;
	*) set -- "$bench" ;;
	esac
	printf '\n## %s\n' "${bench##*/}"
	taskset -c "$server_cpu" "$@" | tee "$tmp/one"
	{
		echo "## ${bench##*/}"
		cat "$tmp/one"
	} >>"$tmp/benches"
done

# What our stressors do beside stress-ng's, the neighbour on the client's CPU. Three times, since a
# neighbour is easily disturbed.
if [ "$server_cpu" != "$client_cpu" ]; then
	for round in 1 2 3; do
		printf '\n## stress --compare, round %s\n' "$round"
		"$out/kubemarla-lab" stress --compare --cpus "$server_cpu" --neighbour "$client_cpu" \
			--seconds "$seconds"
	done
fi

# ---- targets -------------------------------------------------------------------------------------

target() { # WHAT WANT MEASURED OP: OP is max or min
	awk -v what="$1" -v want="$2" -v got="$3" -v op="$4" 'BEGIN {
		split(got, number, " ")
		met = op == "max" ? number[1] + 0 <= want + 0 : number[1] + 0 >= want + 0
		printf "| %s | %s %s | %s | %s |\n", what, op == "max" ? "≤" : "≥", want,
			got == "" ? "not measured" : got, got == "" ? "-" : met ? "yes" : "NO"
	}'
}
row() { # VARIANT NAMES CONNECTIONS FIELD
	awk -v v="$1" -v n="$2" -v c="$3" -v f="$4" '$1 == v && $2 == n && $3 == c { print $f }' "$tmp/results"
}
quotient() { # A B
	[ -n "$1" ] && [ -n "$2" ] || return 0
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'
}
thousandth() {
	[ -z "$1" ] || awk -v v="$1" 'BEGIN { printf "%.2f", v / 1000 }'
}
features_ns() { # WINDOW
	awk -v window="window of $1 values" '
		index($0, window) == 1 { here = 1 }
		here && /sorted window, exact/ { print $4; exit }' "$tmp/benches"
}
cold_ms() {
	awk '/^## / { here = $2 == "bench_decide" }
		here && /cold, all/ { table = 1 }
		table && $1 == 5000 { print $2; exit }' "$tmp/benches"
}

printf '\n## Targets\n\n| what | target | measured | met |\n| --- | --- | --- | --- |\n'
target '/prioritize, 5,000 names, 4 connections: requests/s' 2000 "$(row kubemarlad 5000 4 4)" min
target '  p99, ms' 3 "$(thousandth "$(row kubemarlad 5000 4 6)")" max
target '  server CPU a request, µs' 450 "$(row kubemarlad 5000 4 7)" max
target '  requests/s over (b)' 6 "$(quotient "$(row kubemarlad 5000 4 4)" "$(row b-cjson 5000 4 4)")" min
target '100 names, 4 connections: p99 over (a)' 2 \
	"$(quotient "$(row kubemarlad 100 4 6)" "$(row a-empty 100 4 6)")" max
target '100 names, 1 connection: p99 over (a)' 2 \
	"$(quotient "$(row kubemarlad 100 1 6)" "$(row a-empty 100 1 6)")" max
target '5,000 rows predicted cold, ms' 10 "$(cold_ms)" max
target 'features, 60 samples: ns a sample' 250 "$(features_ns 60)" max
target 'features, 600 samples: ns a sample' 1200 "$(features_ns 600)" max
if [ -f "$tmp/agent" ]; then
	read -r cpus over used rss ticks <"$tmp/agent"
	target "agent, $cpus CPUs each second: % of a core (over $over s, $ticks ticks)" 0.2 \
		"$(awk -v us="$used" -v s="$over" 'BEGIN { printf "%.3f", us / s / 1e4 }')" max
	target '  RSS, MiB' 25 "$(awk -v kib="$rss" 'BEGIN { printf "%.1f", kib / 1024 }')" max
fi
target '5,000 agents read every 5 s: % of a core' 20 \
	"$(awk '/^## / { here = $2 == "bench_pull" } here && $1 == "pull" { print $5 }' "$tmp/benches")" max
in_cluster() { # ROW FIELD
	awk -v row="$1" -v field="$2" '/^## / { here = $2 == "bench_cluster" }
		here && $1 == row { print $field }' "$tmp/benches"
}
target '5,000 nodes, 50,000 pods: first listed whole, s' 10 "$(in_cluster view 2)" max
target '  RSS with 5,000 agents, MiB' 150 "$(in_cluster peers 6)" max
target '  100 changes/s: % of a core' 5 "$(in_cluster view 4)" max
target '  and 5,000 agents every 5 s: % of a core' 25 "$(in_cluster peers 4)" max
target '5,000 nodes: RSS, MiB' 60 "$(row kubemarlad 5000 4 8)" max
