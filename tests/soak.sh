#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The daemon under load and reloads for a long time: soak.sh OUT
#
# Three synthetic traces run 60 times as fast as recorded, OUT/tests/load asks every route over
# keep-alive connections, and each second one thing changes, followed by a SIGHUP: settings, the
# layout (which restarts sampling), the model file, sometimes to a file that must be refused. Then:
#
#   every answer was 200 and named every node, no connection broke
#   every SIGHUP was applied or, where it should be, refused
#   memory did not grow from after the warm-up, each change once, to the end (not under a sanitizer)
#   file descriptors and threads are as many as before the first request
#   a SIGTERM under load ends it within 2 s, with exit code 0
#
# From the environment: SOAK_SECONDS (600), SOAK_CONNECTIONS (8), SOAK_RATE of requests a second
# (1500; 0 = as fast as they are answered).
# shellcheck disable=SC2317 # functions are called by name, and by trap
set -eu
cd "$(dirname "$0")/.."

out=${1:?usage: soak.sh OUT}
seconds=${SOAK_SECONDS:-600}
connections=${SOAK_CONNECTIONS:-8}
rate=${SOAK_RATE:-1500}
# What medians may differ by: the cache of 64 workloads fills, the allocator keeps a page here and
# there. A leak of 3 KiB a reload is over it in ten minutes; a run of less than two is too short to
# have settled, and gets as much again.
growth_kib=1024
[ "$seconds" -ge 120 ] || growth_kib=2048
drain_ms=2000
warm_changes=26 # two rounds of the models
tmp=$(mktemp -d)
# shellcheck source=tests/support/daemon.sh
. tests/support/daemon.sh
patience_s=20
end_signal=KILL

now_ms() {
	echo $(($(date +%s%N) / 1000000))
}

need() { # WHAT COMMAND...: waits for it
	what=$1
	shift
	until_true "$@" || die "not within $patience_s s: $what"
}

fds() {
	find "/proc/$pid/fd" -mindepth 1 | wc -l
}
# No connection is open: the two listeners are all the sockets.
is_idle() {
	[ "$(find "/proc/$pid/fd" -mindepth 1 -lname "socket:*" | wc -l)" -eq 2 ]
}
threads() {
	awk '/^Threads:/ { print $2 }' "/proc/$pid/status"
}
rss_kib() {
	awk '/^VmRSS:/ { print $2 }' "/proc/$pid/status"
}
metric() {
	curl -fsS "http://127.0.0.1:$port/metrics" | awk -v name="$1" '$1 == name { print $2 }'
}
outcomes() {
	grep -cE '^(info app reload applied|error app reload refused) ' "$tmp/log" || true
}
has_outcome() {
	[ "$(outcomes)" -gt "$1" ]
}
has_data() {
	curl -fsS "http://127.0.0.1:$port/v1/nodes" >"$tmp/nodes" &&
		[ "$(grep -o "\"ageSeconds\":[0-9]" "$tmp/nodes" | wc -l)" -eq 3 ]
}

# ---- what changes ------------------------------------------------------------------------------

trace() { # NODE INTERFERENCE
	"$out/tests/gen_trace" --cpus 8 --seconds 600 --interval 1 --seed "$1" --rps 1000 \
		--interference "$2" --victim-cpus 0-2 -o "$tmp/node-$1.csv"
}

config() { # INTERVAL MAX_AGE BODY_BYTES JSON_DEPTH RPS
	cat >"$tmp/next.yaml" <<EOF
nodes: [{name: node-0, cpus: 0-2}, {name: node-1, cpus: 0-2}, {name: node-2, cpus: 0-2}]
limits: {connections: 64, requestDeadline: 5s, bodyBytes: $3, jsonDepth: $4}
collect:
  interval: $1
  sources:
  - replay: {file: "$tmp/node-0.csv", node: node-0, speed: 60, loop: true}
  - replay: {file: "$tmp/node-1.csv", node: node-1, speed: 60, loop: true}
  - replay: {file: "$tmp/node-2.csv", node: node-2, speed: 60, loop: true}
model: {path: "$tmp/model.ubj"}
decide: {maxAge: $2, defaultWorkload: {rps: $5}}
observe: {address: 127.0.0.1, port: 0}
kubernetes: {enabled: off}
EOF
	mv "$tmp/next.yaml" "$tmp/kubemarla.yaml"
}

usual_config() {
	config 200ms 15s 8Mi 64 1000
}

model() { # FILE [BYTES]: by renaming, as an operator should
	if [ $# -gt 1 ]; then
		head -c "$2" "$1" >"$tmp/next.ubj"
	else
		cp "$1" "$tmp/next.ubj"
	fi
	mv "$tmp/next.ubj" "$tmp/model.ubj"
}

# Prints what this second brings and prepares it. Counts what must be refused.
change() { # SECOND
	if [ $(($1 % 7)) -eq 3 ]; then
		echo 'limits: {conections: 1}' >"$tmp/kubemarla.yaml"
		bad_configs=$((bad_configs + 1))
	elif [ $(($1 % 5)) -eq 4 ]; then
		config 250ms 15s 8Mi 64 1000 # another interval: sampling restarts
	elif [ $(($1 % 2)) -eq 0 ]; then
		config 200ms 20s 4Mi 32 $((1000 + $1)) # a workload nobody has asked for yet
	else
		usual_config
	fi
	case $(($1 % 13)) in
	2) model "$tmp/model-2.ubj" ;;
	6) model "$tmp/model-1.ubj" 3000 ;;
	8) model "$tmp/model-1.ubj" ;;
	11) [ ! -f models/pcm-nginx/model.ubj ] || model models/pcm-nginx/model.ubj ;;
	esac
}

hup() {
	before=$(outcomes)
	kill -HUP "$pid"
	sent=$((sent + 1))
	need 'a SIGHUP has an outcome in the log' has_outcome "$before"
}

# ---- the run -----------------------------------------------------------------------------------

for tool in curl awk find; do
	command -v "$tool" >/dev/null || die "$tool is missing"
done
trace 0 none
trace 1 cpu:2
trace 2 membw:4
"$out/tests/gen_model" "$tmp/model-1.ubj"
"$out/tests/gen_model" "$tmp/model-2.ubj" 2
model "$tmp/model-1.ubj"
usual_config
start "$out/kubemarlad" -c "$tmp/kubemarla.yaml" -l 127.0.0.1:0
need "all nodes have data" has_data
need "no connection is open" is_idle
fds_before=$(fds)
threads_before=$(threads)

# The last 10,000 decisions are remembered: all of that is in use before memory is looked at.
has_served() {
	[ "$(metric 'kubemarla_http_requests_total{listener="listen"}')" -ge "$1" ]
}
case $out in
*san-*) ;;
*)
	"$out/tests/load" -c "$connections" -s "$port" >"$tmp/load" &
	other_pids=$!
	need 'enough decisions to remember' has_served 40000
	kill -TERM "$other_pids"
	wait "$other_pids"
	other_pids=''
	need 'no connection is open' is_idle
	;;
esac

sent=0
bad_configs=0
set -- -c "$connections"
[ "$rate" -eq 0 ] || set -- "$@" -r "$rate"
"$out/tests/load" "$@" "$port" >"$tmp/load" &
other_pids=$!
# Every change once without a pause: each model, layout and refusal has left its mark on memory.
changes=0
while [ "$changes" -lt "$warm_changes" ]; do
	changes=$((changes + 1))
	change "$changes"
	hup
done
began_ms=$(now_ms)
second=0
while [ "$second" -lt "$seconds" ]; do
	second=$((second + 1))
	change $((warm_changes + second))
	hup
	echo "$second $(rss_kib) $(fds) $(threads)" >>"$tmp/series"
	kill -0 "$other_pids" 2>/dev/null || die 'the load has ended'
	left_ms=$((began_ms + second * 1000 - $(now_ms)))
	[ "$left_ms" -le 0 ] || sleep "$(awk -v ms="$left_ms" 'BEGIN { print ms / 1000 }')"
done
kill -TERM "$other_pids"
wait "$other_pids"
other_pids=''
model "$tmp/model-1.ubj"
usual_config
hup
need 'all nodes have data' has_data
need 'no connection is open' is_idle
fds_after=$(fds)
threads_after=$(threads)

# ---- what came of it ---------------------------------------------------------------------------

# Medians of a column of the series: of a tenth after a fifth, and of the last tenth.
medians() { # COLUMN
	awk -v column="$1" '
	function median(from, to,    i, j, n, v, t) {
		n = 0
		for (i = from; i <= to; i++) v[++n] = x[i]
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && v[j] < v[j - 1]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
		return v[int((n + 1) / 2)]
	}
	{ x[NR] = $column }
	END {
		some = int(NR / 10) > 0 ? int(NR / 10) : 1
		warm = int(NR / 5)
		print median(warm + 1, warm + some), median(NR - some + 1, NR)
	}' "$tmp/series"
}

read -r _ requests _ other _ wrong _ broken _ p50_us _ p99_us _ max_us <"$tmp/load"
applied=$(metric 'kubemarla_reloads_total{result="applied"}')
refused=$(metric 'kubemarla_reloads_total{result="refused"}')
models_refused=$(metric 'kubemarla_model_loads_total{result="refused"}')
models_applied=$(metric 'kubemarla_model_loads_total{result="applied"}')

echo "soak: $seconds s, $connections connections, $requests requests, p50 $p50_us us," \
	"p99 $p99_us us, max $max_us us"
echo "soak: $sent SIGHUPs, models read $models_applied, refused $models_refused"
awk -v n="$(wc -l <"$tmp/series")" '
	BEGIN { step = n > 20 ? n / 20 : 1; at = 1 }
	NR >= at || NR == n {
		printf "%s%s s %.1f MiB %d fds %d threads", (NR > 1 ? "; " : "soak: "), $1, $2 / 1024, $3, $4
		at += step
	}
	END { print "" }' "$tmp/series"

check "$([ "$requests" -gt 0 ] && [ "$other" -eq 0 ] && [ "$wrong" -eq 0 ] && [ "$broken" -eq 0 ] && echo 1 || echo 0)" \
	answers "$requests, other than 200: $other, not naming every node: $wrong, broken off: $broken"
check "$([ "$((applied + refused))" -eq "$sent" ] && [ "$refused" -eq "$bad_configs" ] && echo 1 || echo 0)" \
	reloads "$applied applied, $refused refused, want $((sent - bad_configs)) and $bad_configs"
case $out in
*san-*) skip memory 'a sanitizer keeps what was freed; it looks for leaks at the end' ;;
*)
	# shellcheck disable=SC2046 # two numbers
	set -- $(medians 2)
	check "$([ "$2" -le $(($1 + growth_kib)) ] && echo 1 || echo 0)" memory \
		"$1 KiB after the warm-up, $2 KiB at the end, want $growth_kib KiB more at most"
	;;
esac
check "$([ "$fds_after" -eq "$fds_before" ] && echo 1 || echo 0)" 'file descriptors' \
	"$fds_after, before the load $fds_before"
check "$([ "$threads_after" -eq "$threads_before" ] && echo 1 || echo 0)" threads \
	"$threads_after, before the load $threads_before"

# Under load once more; this time the load sees the end. /readyz says 503 then, and is not asked.
"$out/tests/load" -c "$connections" -s "$port" >"$tmp/load" 2>"$tmp/drain" &
other_pids=$!
served=$(metric 'kubemarla_http_requests_total{listener="listen"}')
need 'the second load has begun' has_served $((served + 100))
began_ms=$(now_ms)
code=0
stop || code=$?
took_ms=$(($(now_ms) - began_ms))
kill -TERM "$other_pids"
wait "$other_pids"
other_pids=''
read -r _ requests _ other _ wrong _ <"$tmp/load"
check "$([ "$code" -eq 0 ] && [ "$took_ms" -le "$drain_ms" ] && echo 1 || echo 0)" 'SIGTERM under load' \
	"exit code $code after $took_ms ms, want 0 within $drain_ms ms"
check "$([ "$other" -eq 0 ] && [ "$wrong" -eq 0 ] && echo 1 || echo 0)" 'answers in the drain' \
	"$requests, other than 200: $other, not naming every node: $wrong"
exit "$failed"
