#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The source `pcm-server` against Intel's own pcm-sensor-server: pcm-server.sh OUT
#
# The program is the one on this machine, or else that of Debian's package `pcm`, unpacked into a
# temporary directory and not installed. It has no way to listen on loopback only (202302), so all of
# this runs in a network namespace of its own. Then:
#
#   where it refuses to run (no PMU, no rights), doctor says that the source is absent and why, the
#   daemon goes on with os, and counts the source as absent
#   where it runs, doctor takes it, and the daemon has its samples
#
# Skips, with a reason, without the program or without network namespaces.
# shellcheck disable=SC2317 # functions are called by name, and by trap
set -eu
cd "$(dirname "$0")/../.."

out=${1:?usage: pcm-server.sh OUT}
pcm_port=9738 # any will do in a namespace of one's own
tmp=${KM_TMP:-$(mktemp -d)}
# shellcheck source=tests/support/daemon.sh
. tests/support/daemon.sh

nothing_to_do() {
	skip pcm-server "$1"
	exit 0
}

# ---- a namespace of our own ---------------------------------------------------------------------

if [ "${KM_IN_NETNS:-}" != 1 ]; then
	command -v ip >/dev/null || nothing_to_do 'no ip (iproute2) to bring loopback up'
	if unshare -n true 2>/dev/null; then
		flags=-n
	elif unshare -rn true 2>/dev/null; then
		flags=-rn
	else
		nothing_to_do 'may not make a network namespace, and pcm-sensor-server listens on all addresses'
	fi
	server=$(PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v pcm-sensor-server || true)
	if [ -z "$server" ]; then
		command -v apt-get >/dev/null || nothing_to_do 'no pcm-sensor-server, and no apt-get to fetch it'
		(cd "$tmp" && apt-get -q download pcm) >"$tmp/apt" 2>&1 ||
			nothing_to_do "no pcm-sensor-server, and apt-get download pcm fails: $(tail -1 "$tmp/apt")"
		dpkg -x "$tmp"/pcm_*.deb "$tmp/pcm"
		server=$tmp/pcm/usr/sbin/pcm-sensor-server
		[ -x "$server" ] || nothing_to_do 'the package pcm has no pcm-sensor-server'
	fi
	status=0
	KM_IN_NETNS=1 KM_PCM_SERVER=$server KM_TMP=$tmp unshare "$flags" -- "$0" "$out" || status=$?
	exit "$status"
fi

server=$KM_PCM_SERVER
at_end() {
	[ "$status" -eq 0 ] || [ ! -s "$tmp/pcm.log" ] || tail -n 20 "$tmp/pcm.log" >&2
}
ip link set lo up || nothing_to_do 'cannot bring loopback up in the namespace'

# ---- Intel's program ----------------------------------------------------------------------------

# Nothing to read: where it would ask whether to reset other people's counters, that is a no.
"$server" -p "$pcm_port" </dev/null >"$tmp/pcm.log" 2>&1 &
pcm_pid=$!
other_pids=$pcm_pid
deadline=$(($(date +%s) + patience_s))
runs=0
while kill -0 "$pcm_pid" 2>/dev/null; do
	if curl -fs -m 5 "http://127.0.0.1:$pcm_port/metrics" >"$tmp/page" 2>/dev/null; then
		runs=1
		break
	fi
	[ "$(date +%s)" -lt "$deadline" ] || break
	sleep 0.2
done
if [ "$runs" -eq 1 ]; then
	echo "  pcm-sensor-server runs here: $(grep -c . "$tmp/page") lines a page"
elif kill -0 "$pcm_pid" 2>/dev/null; then
	die "pcm-sensor-server neither ends nor answers in $patience_s s"
else
	code=0
	wait "$pcm_pid" || code=$?
	other_pids=''
	echo "  pcm-sensor-server ends with $code: $(tail -1 "$tmp/pcm.log" | cut -c1-100)"
fi

# ---- doctor and daemon --------------------------------------------------------------------------

cat >"$tmp/kubemarla.yaml" <<YAML
collect:
  interval: 1s
  sources: [pcm-server, os]
  pcmServer: {url: "http://127.0.0.1:$pcm_port/metrics"}
model: {path: ""}
YAML
row=$("$out/kubemarla" doctor --node -c "$tmp/kubemarla.yaml" | grep '^pcm-server ') ||
	die 'doctor has no row pcm-server'
start "$out/kubemarlad" -c "$tmp/kubemarla.yaml" -l 127.0.0.1:0

metric() { # SERIES: its value, or 0
	curl -fsS "http://127.0.0.1:$port/metrics" |
		awk -v name="$1" '$1 == name { v = $2 } END { print v + 0 }'
}
# Has a series reached this? Its value stays in $value.
at_least() { # SERIES LEAST
	value=$(metric "$1")
	awk "BEGIN { exit !($value >= $2) }"
}

if [ "$runs" -eq 1 ]; then
	case $row in *instructions_per_s*) ok=1 ;; *) ok=0 ;; esac
	check "$ok" 'doctor sees its counters' "$row"
	until_true at_least 'kubemarla_agent_samples_total{source="pcm-server"}' 3 && ok=1 || ok=0
	check "$ok" 'the daemon has its samples' "$value samples"
else
	case $row in *absent*"127.0.0.1:$pcm_port"*onnect*) ok=1 ;; *) ok=0 ;; esac
	check "$ok" 'doctor says why it is absent' "$(echo "$row" | cut -c1-90)"
	until_true at_least 'kubemarla_agent_sources{state="absent"}' 1 && ok=1 || ok=0
	check "$ok" 'the daemon counts it absent' "$value"
	grep -q 'source absent kind=pcm-server reason="http' "$tmp/log" && ok=1 || ok=0
	check "$ok" 'and logs why' "$(grep -m1 'source absent' "$tmp/log" | cut -c1-90)"
fi
until_true at_least 'kubemarla_agent_samples_total{source="os"}' 3 && ok=1 || ok=0
check "$ok" 'os goes on beside it' "$value samples"
check_stop
exit "$failed"
