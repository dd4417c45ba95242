#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The source `os` for real, on this machine: os-source.sh OUT
#
# Two Kubernetes nodes, each one CPU and, where this machine lets us make them, each a control group.
# stress-ng runs in the first. Then, from the daemon's own /metrics and /v1/nodes:
#
#   collect.sources: auto takes os and says of every other source why it is absent
#   the stressed node's busy_ratio is high, the other's is what /proc/stat says of its CPU
#   the stressed group's pressure is high and the other group's is nothing: "neighbour"
#   with a CPU quota on the group throttling shows: "self"
#
# Other work on the machine may keep the second CPU busy too: that costs one comparison, and is said.
# Everything ends with this script: processes by their pid, groups by their name.
# shellcheck disable=SC2317 # functions are called by name, and by trap
set -eu
cd "$(dirname "$0")/../.."

out=${1:?usage: os-source.sh OUT}
cgroupfs=${KM_CGROUPFS:-/sys/fs/cgroup}
quiet_s=20       # for other work to leave the second CPU alone
stress_s=180     # stress-ng ends by itself should this script be killed
busy_least=0.85  # of a CPU that three workers share, steal included
apart_least=0.3  # between the stressed CPU and the quiet one
busy_off_most=0.15 # between our own reading of /proc/stat and the daemon's, which is 5 s of it
psi_least=0.3    # three runnable tasks on one CPU
psi_most=0.02    # of a group without tasks
throttled_least=0.3
group=kubemarla-test-$$
groups=''
tmp=$(mktemp -d)
# shellcheck source=tests/support/daemon.sh
. tests/support/daemon.sh

# A group can go once its last task has: some milliseconds after the wait for its parent.
at_end() {
	for g in $groups; do
		tries=50
		until rmdir "$g" 2>/dev/null || [ ! -d "$g" ] || [ "$tries" -eq 0 ]; do
			tries=$((tries - 1))
			sleep 0.1
		done
	done
}

# holds EXPRESSION: of numbers, by awk; a word that is none ("absent") makes it false.
holds() {
	case $1 in *absent*) return 1 ;; esac
	awk "BEGIN { exit !($1) }"
}

# ---- two CPUs, and groups where we may ----------------------------------------------------------

command -v stress-ng >/dev/null || die 'no stress-ng; deploy/dev/deps.sh dev installs it'
allowed=$(awk '/^Cpus_allowed_list:/ { print $2 }' /proc/self/status)
# shellcheck disable=SC2046 # words
set -- $(echo "$allowed" | tr ',' '\n' | awk -F- '{ for (c = $1; c <= ($2 == "" ? $1 : $2); c++) print c }')
if [ $# -lt 2 ]; then
	skip os-source "needs two CPUs, may use CPU $allowed only"
	exit 0
fi
cpu_a=$1
cpu_b=$2

make_group() { # DIRECTORY: of a hierarchy. Makes its test group and those of the two nodes in it.
	for g in "$1/$group" "$1/$group/a" "$1/$group/b"; do
		mkdir "$g" 2>/dev/null || return 1
		groups="$g $groups"
	done
}

if [ -f "$cgroupfs/cgroup.controllers" ]; then
	v2=$cgroupfs
else
	v2=$cgroupfs/unified
fi
has_groups=0
if [ -f "$v2/cgroup.controllers" ] && make_group "$v2"; then
	has_groups=1
fi
# The node's CPUs come from its cpuset where there is one to write, else from the configuration.
cpuset=''
if [ "$has_groups" -eq 1 ] && [ -d "$cgroupfs/cpuset" ] && make_group "$cgroupfs/cpuset"; then
	cpuset=$cgroupfs/cpuset/$group
	mems=$(cat "$cgroupfs/cpuset/cpuset.mems")
	for pair in ":$cpu_a,$cpu_b" "/a:$cpu_a" "/b:$cpu_b"; do
		echo "$mems" >"$cpuset${pair%%:*}/cpuset.mems"
		echo "${pair#*:}" >"$cpuset${pair%%:*}/cpuset.cpus"
	done
fi
# A quota needs the CPU controller: v1's hierarchy, or v2's once it is given to the groups.
quota=''
if [ "$has_groups" -eq 1 ] && [ -d "$cgroupfs/cpu" ] && make_group "$cgroupfs/cpu"; then
	quota=$cgroupfs/cpu/$group/a/cpu.cfs_quota_us
elif [ "$has_groups" -eq 1 ] && { echo +cpu >"$v2/$group/cgroup.subtree_control"; } 2>/dev/null; then
	quota=$v2/$group/a/cpu.max
fi

# ---- the daemon ---------------------------------------------------------------------------------

node() { # NAME CPU
	if [ "$has_groups" -eq 0 ]; then
		echo "- {name: $1, cpus: \"$2\"}"
	elif [ -n "$cpuset" ]; then
		echo "- {name: $1, cgroup: $group/$1}"
	else
		echo "- {name: $1, cpus: \"$2\", cgroup: $group/$1}"
	fi
}
{
	echo 'nodes:'
	node a "$cpu_a"
	node b "$cpu_b"
	echo 'collect: {interval: 1s, window: 15s, sources: auto}'
	echo 'model: {path: ""}'
} >"$tmp/kubemarla.yaml"
start "$out/kubemarlad" -c "$tmp/kubemarla.yaml" -l 127.0.0.1:0

metric() { # NAME NODE: its value, or "absent"
	curl -fsS "http://127.0.0.1:$port/metrics" |
		awk -v name="$1{node=\"$2\"}" '$1 == name { v = sprintf("%.3f", $2) }
			END { print v == "" ? "absent" : v }'
}
contention() { # NODE
	curl -fsS "http://127.0.0.1:$port/v1/nodes" | tr '{' '\n' |
		awk -v node="\"name\":\"$1\"" 'index($0, node) { mine = 1 }
			mine && match($0, /"cause":"[a-z]*"/) {
				print substr($0, RSTART + 9, RLENGTH - 10); exit }'
}

taken=$(sed -n 's/.*preflight source=\([^ ]*\) taken.*/\1/p' "$tmp/log" | tr '\n' ' ')
mute=$(grep 'preflight source=' "$tmp/log" | grep -cvE ' taken | absent reason="[^"]' || true)
case " $taken " in *' os '*) ok=1 ;; *) ok=0 ;; esac
check "$ok" 'auto takes os' "taken: $taken"
[ "$mute" -eq 0 ] && ok=1 || ok=0
check "$ok" 'the others say why not' "$(grep -c 'preflight source=.* absent' "$tmp/log") absent"
if [ -n "$cpuset" ]; then
	[ "$(grep -cE "node map node=(a cpus=$cpu_a|b cpus=$cpu_b) from=group" "$tmp/log")" -eq 2 ] &&
		ok=1 || ok=0
	check "$ok" 'CPUs from the groups' "a: $cpu_a, b: $cpu_b"
else
	skip 'CPUs from the groups' "cannot make groups in $cgroupfs/cpuset"
fi

# ---- stress on the first node -------------------------------------------------------------------

has_data() {
	[ "$(metric kubemarla_node_busy_ratio b)" != absent ]
}
until_true has_data || die 'no reading of node b'

join_and_stress() { # in a shell of its own: its children are born in the groups
	for hierarchy in "$v2/$group/a" "$cpuset/a" "$cgroupfs/cpu/$group/a"; do
		[ ! -w "$hierarchy/cgroup.procs" ] || echo 0 >"$hierarchy/cgroup.procs"
	done
	exec stress-ng --cpu 3 --taskset "$cpu_a" --timeout "$stress_s" --quiet
}
join_and_stress &
other_pids=$!

ticks_b() { # busy and all ticks of CPU b since boot
	awk -v cpu="cpu$cpu_b" '$1 == cpu { print $2 + $3 + $4 + $7 + $8, $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9 }' /proc/stat
}
busy_a_seen() {
	busy_a=$(metric kubemarla_node_busy_ratio a)
	steal_a=$(metric kubemarla_node_steal_ratio a)
	holds "$busy_a + $steal_a >= $busy_least"
}
until_true busy_a_seen && ok=1 || ok=0
check "$ok" 'the stressed node is busy' "busy $busy_a, steal $steal_a, want $busy_least together"

# Our own reading over 6 s, and the daemon's bins of 5 s in and after them: one agrees.
agrees() {
	# shellcheck disable=SC2046 # words
	set -- $(ticks_b) "$(date +%s)"
	while [ "$(date +%s)" -lt $(($3 + 6)) ]; do
		sleep 0.5
	done
	own_b=$(ticks_b | awk -v busy="$1" -v all="$2" '{ printf "%.3f", ($1 - busy) / ($2 - all) }')
	busy_b=$(metric kubemarla_node_busy_ratio b)
	holds "($busy_b - $own_b)^2 <= $busy_off_most^2"
}
until_true agrees && ok=1 || ok=0
check "$ok" 'the other is as /proc/stat' "busy $busy_b, by /proc/stat $own_b"

apart() {
	busy_a=$(metric kubemarla_node_busy_ratio a)
	busy_b=$(metric kubemarla_node_busy_ratio b)
	holds "$busy_a - $busy_b >= $apart_least"
}
patience_s=$quiet_s
until_true apart && ok=1 || ok=0
patience_s=60
if [ "$ok" -eq 1 ]; then
	check 1 'set apart' "busy $busy_a and $busy_b"
else
	skip 'set apart' "CPU $cpu_b is kept busy by others: $busy_b by the daemon, $own_b by /proc/stat"
fi

# ---- pressure and throttling of the groups ------------------------------------------------------

pressed() {
	psi_a=$(metric kubemarla_node_cpu_psi_ratio a)
	psi_b=$(metric kubemarla_node_cpu_psi_ratio b)
	cause_a=$(contention a)
	holds "$psi_a >= $psi_least && $psi_b <= $psi_most" && [ "$cause_a" = neighbour ]
}
throttled() {
	throttled_a=$(metric kubemarla_node_throttled_ratio a)
	cause_a=$(contention a)
	holds "$throttled_a >= $throttled_least" && [ "$cause_a" = self ]
}
if [ "$has_groups" -eq 0 ]; then
	skip 'pressure of its group' "cannot make groups in $v2"
elif [ "$(metric kubemarla_node_cpu_psi_ratio a)" = absent ]; then
	skip 'pressure of its group' "no cpu.pressure in $v2/$group/a"
else
	until_true pressed && ok=1 || ok=0
	check "$ok" 'pressure of its group' "$psi_a and $psi_b, $cause_a"
fi
if [ -z "$quota" ]; then
	skip 'throttling of its group' "cannot set a quota in $cgroupfs/cpu or $v2"
else
	# 3 % of a CPU: less than its share even among many others, so that the quota is what binds
	case $quota in
	*cpu.max) echo '3000 100000' >"$quota" ;;
	*) echo 3000 >"$quota" ;;
	esac
	until_true throttled && ok=1 || ok=0
	check "$ok" 'throttling of its group' "$throttled_a, $cause_a"
fi
check_stop
exit "$failed"
