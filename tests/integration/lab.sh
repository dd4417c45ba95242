#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An experiment for real, with nginx and a generator, and everything that may come between:
# lab.sh OUT
#
#   the lab is killed in the middle of a run, interrupted in another, and goes on each time
#   a stressor is killed: that attempt is kept aside, and made again
#   a full disk (root only) ends it, and with more room it goes on
#   a finished run is never touched again; another plan is refused
#   `kubemarla train` takes what came out
#   the closed loop with that model and a live kubemarlad: interrupted, resumed, reported twice
#   after each of these no process, no control group and no file of it is left
#
# nginx is the one on this machine, or that of Debian's package, unpacked and not installed. A minute
# and a half; times are printed, never judged.
# shellcheck disable=SC2317,SC2034 # functions are called by name, and by trap; used by daemon.sh
set -eu
cd "$(dirname "$0")/../.."

out=$(cd "${1:?usage: lab.sh OUT}" && pwd)
lab=$out/kubemarla-lab
tmp=$(mktemp -d)
labs=''    # pids of all that were started
mounted='' # what is to be unmounted
# shellcheck source=tests/support/daemon.sh
. tests/support/daemon.sh
end_signal=INT # its own way out: it takes its children along

at_end() {
	[ -z "$mounted" ] || umount "$mounted"
}

# ---- programs and plans -------------------------------------------------------------------------

nginx=$(PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v nginx || true)
if [ -z "$nginx" ]; then
	if ! command -v apt-get >/dev/null ||
		! (cd "$tmp" && apt-get -q download nginx) >"$tmp/apt" 2>&1; then
		skip lab 'no nginx, and none to download'
		exit 0
	fi
	dpkg -x "$tmp"/nginx_*.deb "$tmp/nginx"
	nginx=$tmp/nginx/usr/sbin/nginx
fi
generator=vegeta
if ! deploy/lab/vegeta.sh "$tmp/vegeta" >"$tmp/vegeta.log" 2>&1; then
	skip vegeta "$(tail -1 "$tmp/vegeta.log")"
	generator=wrk
	command -v wrk >/dev/null || die 'no wrk; deploy/dev/deps.sh dev installs it'
fi
PATH="$tmp/vegeta:$PATH"
export PATH

allowed=$(awk '/^Cpus_allowed_list:/ { print $2 }' /proc/self/status)
# shellcheck disable=SC2046 # words
set -- $(echo "$allowed" | tr ',' '\n' | awk -F- '{ for (c = $1; c <= ($2 == "" ? $1 : $2); c++) print c }')
if [ $# -lt 2 ]; then
	skip lab "needs two CPUs, may use CPU $allowed only"
	exit 0
fi

write_plan() { # FILE LEVEL REPEATS
	cat >"$tmp/$1" <<-EOF
		name: lab
		nodes: [{name: node-a, cpus: "$cpu_a"}, {name: node-b, cpus: "$cpu_b"}]
		target: {program: "$nginx"}
		load: {generator: $generator, cpus: "$cpu_b"}
		matrix: {stressors: [cpu], levels: [$2], on: [target], rps: [200], repeats: $3, baselines: 1}
		times: {warmUp: 200ms, before: 2s, settle: 200ms, during: 1s, coolDown: 100ms}
		collect: {interval: 500ms}
		gates: {action: keep}
	EOF
}
cpu_a=$1
cpu_b=$2
write_plan plan.yaml 60 2
write_plan other.yaml 61 2
write_plan small.yaml 60 1

# ---- what must not be left ----------------------------------------------------------------------

TMPDIR=$tmp/scratch
export TMPDIR
mkdir "$TMPDIR"

# Processes by what their command lines name, or their program; groups by the lab's pid in theirs.
echo "$TMPDIR/" >"$tmp/named"
servants() {
	grep -alF -f "$tmp/named" /proc/[0-9]*/cmdline 2>/dev/null || true
}
processes() {
	servants
	find /proc/[0-9]* -maxdepth 1 -name exe -lname "$lab" 2>/dev/null || true
}
left() {
	processes
	for l in $labs; do
		find /sys/fs/cgroup -maxdepth 2 -name "kubemarla-lab-$l-*" 2>/dev/null || true
	done
	ls "$TMPDIR"
}
nothing_left() {
	[ -z "$(left)" ]
}
check_left() { # NAME
	until_true nothing_left && ok=1 || ok=0
	check "$ok" "$1: nothing is left" "$(left | head -3 | tr '\n' ' ')"
}
no_process() {
	[ -z "$(processes)" ]
}

# ---- running it ---------------------------------------------------------------------------------

start() { # PLAN DIR: in the background, $lab_pid
	"$lab" run "$tmp/$1" --out "$2" >"$tmp/out" 2>"$tmp/err" &
	lab_pid=$!
	other_pids="$other_pids $!"
	labs="$labs $!"
}
finish_lab() { # into $code
	code=0
	{ wait "$lab_pid"; } 2>/dev/null || code=$?
}
records() { # DIR
	find "$1/runs" -name '*.json' 2>/dev/null | wc -l
}
at_least() { # N DIR
	[ "$(records "$2")" -ge "$1" ] || ! kill -0 "$lab_pid" 2>/dev/null
}
serving() {
	[ -n "$(servants)" ]
}

began=$(date +%s)
dir=$tmp/results

start plan.yaml "$dir"
until_true at_least 1 "$dir" || die 'no run is finished'
until_true serving || die 'no second run is under way'
kill -KILL "$lab_pid"
finish_lab
done_first=$(records "$dir")
until_true no_process && ok=1 || ok=0
check "$ok" 'killed' "$done_first of 4 runs finished; its processes went along"
# Of what was under way traces may be there, of what is finished everything is.
for run in "$dir"/runs/*.json; do
	id=$(basename "$run" .json)
	cksum "$run" "$dir/traces/${id}__before.csv.gz" "$dir/traces/${id}__during.csv.gz"
done >"$tmp/first"

start plan.yaml "$dir"
until_true at_least $((done_first + 1)) "$dir" || die 'it does not go on'
kill -INT "$lab_pid"
finish_lab
[ "$code" -eq 3 ] && grep -q '^resume with: kubemarla-lab run ' "$tmp/err" && ok=1 || ok=0
check "$ok" 'interrupted' "exit code $code, $(records "$dir") of 4 runs finished"
check_left 'interrupted'

start plan.yaml "$dir"
finish_lab
[ "$code" -eq 0 ] && [ "$(records "$dir")" -eq 4 ] && ok=1 || ok=0
check "$ok" 'resumed' "exit code $code, $(records "$dir") of 4 runs finished $(head -c 200 "$tmp/err")"
check_left 'resumed'
awk '{ print $3 }' "$tmp/first" | xargs cksum | cmp -s - "$tmp/first" && ok=1 || ok=0
check "$ok" 'finished runs stay' "$(wc -l <"$tmp/first") files, byte for byte"
[ "$(wc -l <"$dir/runs.csv")" -eq 5 ] && [ "$(wc -l <"$dir/pairs.csv")" -eq 5 ] && ok=1 || ok=0
check "$ok" 'tables' 'a line for each run'
[ -s "$dir/report.html" ] && grep -q '^4 runs in 2 conditions' "$tmp/out" && ok=1 || ok=0
check "$ok" 'report' "$(wc -c <"$dir/report.html") bytes"

start other.yaml "$dir"
finish_lab
[ "$code" -eq 2 ] && grep -q 'has "matrix.levels: 60", here "matrix.levels: 61"' "$tmp/err" && ok=1 || ok=0
check "$ok" 'another plan' "$(head -c 160 "$tmp/err" | tr '\n' ' ')"

start small.yaml "$tmp/killed"
stressor() {
	victim=$(find /proc/[0-9]* -maxdepth 1 -name exe -lname "$lab" 2>/dev/null |
		cut -d/ -f3 | grep -vx "$lab_pid" | head -1)
	[ -n "$victim" ]
}
until_true stressor || die 'no stressor is at work'
kill -KILL "$victim"
finish_lab
[ "$code" -eq 0 ] && [ "$(records "$tmp/killed")" -eq 2 ] &&
	[ "$(find "$tmp/killed/gated" -name '*.json' | wc -l)" -eq 1 ] && ok=1 || ok=0
check "$ok" 'a stressor killed' "$(grep '^again' "$tmp/out" | head -c 160)"
check_left 'a stressor killed'

mkdir "$tmp/disk"
if mount -t tmpfs -o size=40k none "$tmp/disk" 2>/dev/null; then
	mounted=$tmp/disk
	start small.yaml "$tmp/disk/results"
	finish_lab
	[ "$code" -eq 1 ] && grep -q 'No space left' "$tmp/err" && ok=1 || ok=0
	check "$ok" 'a full disk' "exit code $code, $(records "$tmp/disk/results") of 2 runs finished"
	check_left 'a full disk'
	mount -o remount,size=4m "$tmp/disk"
	start small.yaml "$tmp/disk/results"
	finish_lab
	[ "$code" -eq 0 ] && [ "$(records "$tmp/disk/results")" -eq 2 ] && ok=1 || ok=0
	check "$ok" 'with more room' "exit code $code"
else
	skip 'a full disk' 'not allowed to mount'
fi

sed 's/^window: .*/window: 2s/; s/^bin: .*/bin: 500ms/; s/rounds: .*/rounds: 10/' \
	models/os-nginx/features.yaml >"$tmp/features.yaml"
"$out/kubemarla" train --dataset "$dir" --features "$tmp/features.yaml" --out "$tmp/model.ubj" \
	--no-baselines >"$tmp/train" 2>&1 && [ -s "$tmp/model.ubj" ] && ok=1 || ok=0
check "$ok" 'trains' "$(sed -n '/runs,/p' "$tmp/train" | head -1)"

# ---- the closed loop ----------------------------------------------------------------------------

cat >"$tmp/trial.yaml" <<-EOF
	name: lab-trial
	nodes: [{name: node-a, cpus: "$cpu_a"}, {name: node-b, cpus: "$cpu_b"}]
	target: {program: "$nginx"}
	load: {generator: $generator, cpus: "$cpu_b"}
	times: {warmUp: 200ms, settle: 200ms, coolDown: 100ms}
	collect: {interval: 500ms}
	gates: {action: keep}
	trial: {repeats: 1, episodes: 1, arms: [least-cpu, kubemarla], rps: 200, stressors: [cpu],
	  levels: [60], window: 2s, during: 1s}
EOF
start_trial() { # in the background, $lab_pid
	"$lab" trial "$tmp/trial.yaml" --out "$tmp/loop" --model "$tmp/model.ubj" \
		>"$tmp/out" 2>"$tmp/err" &
	lab_pid=$!
	other_pids="$other_pids $!"
	labs="$labs $!"
}
plays() {
	find "$tmp/loop/trial" -maxdepth 1 -name 'r*__*.json' 2>/dev/null | wc -l
}
a_play() {
	[ "$(plays)" -ge 1 ] || ! kill -0 "$lab_pid" 2>/dev/null
}

start_trial
until_true a_play || die 'no play is finished'
kill -INT "$lab_pid"
finish_lab
[ "$code" -eq 3 ] && grep -q '^resume with: kubemarla-lab trial ' "$tmp/err" && ok=1 || ok=0
check "$ok" 'a trial interrupted' "exit code $code, $(plays) of 4 plays finished"
check_left 'a trial interrupted'

start_trial
finish_lab
[ "$code" -eq 0 ] && [ "$(plays)" -eq 4 ] && ok=1 || ok=0
check "$ok" 'a trial resumed' "exit code $code, $(plays) of 4 plays $(tail -1 "$tmp/err" | head -c 200)"
check_left 'a trial resumed'
grep -q 'the daemon: 3 requests, 0 without a usable answer (luck chose), 0 choices without' "$tmp/out" &&
	grep -q 'too few repeats, want 5' "$tmp/out" && ok=1 || ok=0
check "$ok" 'the arm asks a live daemon' "$(sed -n 's/^  the daemon: //p' "$tmp/out" | head -c 120)"
"$lab" report "$tmp/loop" --json >"$tmp/report.json" 2>"$tmp/err" &&
	cmp -s "$tmp/report.json" "$tmp/loop/trial/result.json" && ok=1 || ok=0
check "$ok" 'the same from the recorded plays' 'byte for byte'

echo "  $(($(date +%s) - began)) s"
exit "$failed"
