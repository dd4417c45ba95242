#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The laboratory's rig with the real nginx, vegeta and wrk: lab-rig.sh OUT
#
# nginx is the one on this machine, or that of Debian's package, unpacked into a temporary directory
# and not installed: its service would listen on all addresses. vegeta is built by
# deploy/lab/vegeta.sh where Go can. Then, on 127.0.0.1 only:
#
#   each profile's load is sent, nginx' own count agrees with the generator's
#   a stressor, nginx, the generator and the lab itself are killed; what is missing or busy is said:
#   after each of these no process, no control group and no file is left
#
# Times are printed, never judged.
# shellcheck disable=SC2317 # functions are called by name, and by trap
set -eu
cd "$(dirname "$0")/../.."

out=$(cd "${1:?usage: lab-rig.sh OUT}" && pwd)
lab=$out/kubemarla-lab
tmp=$(mktemp -d)
# shellcheck source=tests/support/daemon.sh
. tests/support/daemon.sh

full=''
at_end() {
	[ -z "$full" ] || umount "$full"
}

# ---- programs -----------------------------------------------------------------------------------

command -v jq >/dev/null || die 'no jq; deploy/dev/deps.sh dev installs it'
command -v wrk >/dev/null || die 'no wrk; deploy/dev/deps.sh dev installs it'
nginx=$(PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v nginx || true)
if [ -z "$nginx" ]; then
	if ! command -v apt-get >/dev/null ||
		! (cd "$tmp" && apt-get -q download nginx) >"$tmp/apt" 2>&1; then
		skip lab-rig 'no nginx, and none to download'
		exit 0
	fi
	dpkg -x "$tmp"/nginx_*.deb "$tmp/nginx"
	nginx=$tmp/nginx/usr/sbin/nginx
	"$nginx" -v 2>/dev/null || die "the package's nginx does not run"
fi
vegeta=''
if deploy/lab/vegeta.sh "$tmp/vegeta" >"$tmp/vegeta.log" 2>&1; then
	vegeta=$tmp/vegeta/vegeta
else
	skip vegeta "$(tail -1 "$tmp/vegeta.log")"
fi

allowed=$(awk '/^Cpus_allowed_list:/ { print $2 }' /proc/self/status)
# shellcheck disable=SC2046 # words
set -- $(echo "$allowed" | tr ',' '\n' | awk -F- '{ for (c = $1; c <= ($2 == "" ? $1 : $2); c++) print c }')
cpu_a=$1
cpu_b=${2:-$1}

# ---- plans, and what must not be left -----------------------------------------------------------

mkdir "$tmp/scratch"
write_plan() { # FILE GENERATOR PROGRAM EXTRA...: EXTRA are lines
	plan_file=$1 plan_generator=$2 program=$3
	shift 3
	{
		echo 'name: rig'
		echo "nodes: [{name: node-a, cpus: \"$cpu_a\"}, {name: node-b, cpus: \"$cpu_b\"}]"
		echo "load: {generator: $plan_generator, program: \"$program\", cpus: \"$cpu_b\"}"
		printf '%s\n' "$@"
	} >"$tmp/$plan_file"
}
# The `load` line again, with more in it; target stays.
target="target: {program: \"$nginx\"}"
write_plan plan.yaml vegeta "$vegeta" "$target"
write_plan wrk.yaml wrk '' "$target"

# Processes by what their command lines name, groups by the labs that made them, files.
labs=''
echo "$tmp/scratch" >"$tmp/words"
left() {
	# the words from a file: grep would find itself
	grep -lsFf "$tmp/words" /proc/[0-9]*/cmdline || true
	for p in $labs; do
		find /sys/fs/cgroup -maxdepth 2 -name "kubemarla-lab-$p-*" 2>/dev/null || true
	done
	ls "$tmp/scratch"
}
nothing_left() {
	[ -z "$(left)" ]
}
check_left() { # NAME
	until_true nothing_left && ok=1 || ok=0
	check "$ok" "$1: nothing is left" "$(left | head -3 | tr '\n' ' ')"
}

# load NAME PLAN ARGS...: to its end; output in $tmp/NAME.out and .err, code in $code
load() {
	load_name=$1 load_plan=$2
	shift 2
	"$lab" load "$tmp/$load_plan" --scratch "$tmp/scratch" --json "$@" \
		>"$tmp/$load_name.out" 2>"$tmp/$load_name.err" &
	other_pids="$other_pids $!"
	labs="$labs $!"
	code=0
	wait "$!" || code=$?
}
value() { # NAME JQ
	jq -r "$2" "$tmp/$1.out" 2>/dev/null || echo none
}
check_load() { # NAME JQ-CONDITION
	[ "$code" -eq 0 ] && [ "$(value "$1" "$2")" = true ] && ok=1 || ok=0
	check "$ok" "$1" "$(value "$1" '"\(.requests) requests, p99 \(.p99Ms) ms, \(.generator)"') $(head -c 150 "$tmp/$1.err" | tr '\n' ' ')"
	check_left "$1"
}

# ---- loads --------------------------------------------------------------------------------------

agrees='.requests > 0 and .errors == 0 and .servedByTarget == .requests and .p99Ms > 0'
load wrk wrk.yaml --seconds 1 --replicas 2
check_load wrk '.requests > 0 and .openLoop == false and .offeredRps == null and .p95Ms == null'
echo "  groups here: $(value wrk .groups)"

if [ -n "$vegeta" ]; then
	load steady plan.yaml --rps 200 --seconds 2 --warm-up 0.5 --replicas 2
	check_load steady "$agrees and .requests <= 400 and .openLoop and .p95Ms > 0"
	load stressed plan.yaml --rps 200 --seconds 2 --stress cpu --intensity 40
	check_load stressed "$agrees and .stress.dutyRatio > 0"
	for profile in 'stepped, steps: [0.5, 1, 1.5]' \
		'bursty, burst: {factor: 4, length: 200ms, every: 1s}' \
		'trace, trace: rates.csv'; do
		name=${profile%%,*}
		printf 'seconds,factor\n0,0.5\n1,1\n' >"$tmp/rates.csv"
		sed "s|^load: {|load: {profile: $profile, |" "$tmp/plan.yaml" >"$tmp/$name.yaml"
		load "$name" "$name.yaml" --rps 100 --seconds 2
		check_load "$name" "$agrees"
	done
fi

# ---- what ends before its time ------------------------------------------------------------------

# child_of PID PATTERN: the process below PID whose command line has PATTERN, into $found
child_of() {
	found=''
	for status in /proc/[0-9]*/status; do
		grep -qs "^PPid:	$1\$" "$status" || continue
		found=${status#/proc/}
		found=${found%/status}
		! { tr '\0' ' ' <"/proc/$found/cmdline"; } 2>/dev/null | grep -q "$2" || return 0
	done
	return 1
}
# A load for long, in the background as $lab_pid, until its generator runs.
load_long() { # NAME PLAN
	"$lab" load "$tmp/$2" --scratch "$tmp/scratch" --rps 50 --seconds 600 --stress cpu \
		--intensity 10 >"$tmp/$1.out" 2>"$tmp/$1.err" &
	lab_pid=$!
	other_pids="$other_pids $lab_pid"
	labs="$labs $lab_pid"
	until_true child_of "$lab_pid" "$generator" || die "no $generator in $1: $(cat "$tmp/$1.err")"
}
end_of() { # NAME CODE WORDS
	code=0
	wait "$lab_pid" || code=$?
	[ "$code" -eq "$2" ] && grep -q "$3" "$tmp/$1.err" && ok=1 || ok=0
	check "$ok" "$1" "exit code $code, want $2: $(tail -1 "$tmp/$1.err")"
	check_left "$1"
}

plan=wrk.yaml
generator='wrk --latency'
if [ -n "$vegeta" ]; then
	plan=plan.yaml
	generator='vegeta attack'
fi
load_long interrupted "$plan"
kill -INT "$lab_pid"
end_of interrupted 3 interrupted

load_long stressor-killed "$plan"
child_of "$lab_pid" ' stress cpu' && kill -KILL "$found"
end_of stressor-killed 1 'stressor cpu at 10 % on node-a has ended: died of signal 9'

load_long nginx-killed "$plan"
child_of "$lab_pid" nginx.conf && kill -KILL "$found"
end_of nginx-killed 1 'nginx of replica 1 on node-a has ended: died of signal 9'

load_long generator-killed "$plan"
child_of "$lab_pid" "$generator" && kill -KILL "$found"
end_of generator-killed 1 'died of signal 9'

# The lab itself, by what nobody can catch: its processes go at once, the rest at the next start.
load_long lab-killed "$plan"
kill -KILL "$lab_pid"
wait "$lab_pid" 2>/dev/null || true
no_process() {
	! left | grep -q cmdline
}
until_true no_process && ok=1 || ok=0
check "$ok" 'lab-killed: no process' "$(left | grep cmdline | head -2)"
load after wrk.yaml --seconds 1
check_load after '.requests > 0'

# ---- what is not there, busy, or garbage --------------------------------------------------------

refused() { # NAME PLAN WORDS [CODE]
	load "$1" "$2"
	[ "$code" -eq "${4:-1}" ] && grep -q "$3" "$tmp/$1.err" && ok=1 || ok=0
	check "$ok" "$1" "exit code $code: $(head -c 150 "$tmp/$1.err")"
	check_left "$1"
}
write_plan no-nginx.yaml wrk '' 'target: {program: /no/such/nginx}'
refused no-nginx no-nginx.yaml '/no/such/nginx: No such file'
write_plan no-generator.yaml wrk /no/such/wrk "$target"
refused no-generator no-generator.yaml '/no/such/wrk: No such file'
write_plan garbage.yaml vegeta "$tmp/garbage" "$target"
printf '#!/bin/sh\necho garbage\n' >"$tmp/garbage"
chmod +x "$tmp/garbage"
refused garbage garbage.yaml 'vegeta'
write_plan fails.yaml wrk "$tmp/fails" "$target"
printf '#!/bin/sh\necho out of luck >&2\nexit 3\n' >"$tmp/fails"
chmod +x "$tmp/fails"
refused fails fails.yaml 'wrk: out of luck'
write_plan cpus.yaml wrk '' "$target"
sed -i 's/name: node-b, cpus: "[0-9]*"/name: node-b, cpus: "1000"/' "$tmp/cpus.yaml"
refused cpus cpus.yaml 'node node-b: CPU 1000 is not there or not allowed' 2

# A full disk: of 64 KiB, which a second of results is more than.
mkdir "$tmp/full"
if [ -n "$vegeta" ] && mount -t tmpfs -o size=64k none "$tmp/full" 2>/dev/null; then
	full=$tmp/full
	load full-disk plan.yaml --scratch "$full" --rps 1000 --seconds 3
	[ "$code" -eq 1 ] && grep -qi 'no space left' "$tmp/full-disk.err" && ok=1 || ok=0
	check "$ok" full-disk "exit code $code: $(head -c 150 "$tmp/full-disk.err")"
	[ -z "$(ls "$full")" ] && ok=1 || ok=0
	check "$ok" 'full-disk: nothing is left' "$(ls "$full")"
else
	skip full-disk 'needs vegeta, and to mount a small file system'
fi

# A port that somebody has: another lab's nginx, which beside it is left alone.
load_long occupant "$plan"
port=$(sed -n 's/.*listen 127.0.0.1:\([0-9]*\);/\1/p' "$tmp"/scratch/*/replica-0/nginx.conf)
write_plan busy.yaml wrk '' "target: {program: \"$nginx\", port: $port}"
load busy busy.yaml
[ "$code" -eq 1 ] && grep -q "127.0.0.1:$port is in use" "$tmp/busy.err" && ok=1 || ok=0
check "$ok" busy "exit code $code: $(head -c 150 "$tmp/busy.err")"
kill -TERM "$lab_pid"
end_of occupant 3 interrupted

exit "$failed"
