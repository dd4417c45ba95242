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
port=9738 # any will do in a namespace of one's own
patience_s=60
pid=''
pcm_pid=''
failed=0

die() {
	echo "pcm-server: $*" >&2
	exit 1
}
skip() {
	printf '  skip  %-28s %s\n' pcm-server "$1"
	exit 0
}
check() { # OK NAME DETAIL: OK is 1 or 0
	if [ "$1" -eq 1 ]; then
		printf '  ok    %-28s %s\n' "$2" "$3"
	else
		printf '  FAIL  %-28s %s\n' "$2" "$3"
		failed=1
	fi
}

# ---- a namespace of our own ---------------------------------------------------------------------

if [ "${KM_IN_NETNS:-}" != 1 ]; then
	command -v ip >/dev/null || skip 'no ip (iproute2) to bring loopback up'
	if unshare -n true 2>/dev/null; then
		flags=-n
	elif unshare -rn true 2>/dev/null; then
		flags=-rn
	else
		skip 'may not make a network namespace, and pcm-sensor-server listens on all addresses'
	fi
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	server=$(PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v pcm-sensor-server || true)
	if [ -z "$server" ]; then
		command -v apt-get >/dev/null || skip 'no pcm-sensor-server, and no apt-get to fetch it'
		(cd "$tmp" && apt-get -q download pcm) >"$tmp/apt" 2>&1 ||
			skip "no pcm-sensor-server, and apt-get download pcm fails: $(tail -1 "$tmp/apt")"
		dpkg -x "$tmp"/pcm_*.deb "$tmp/pcm"
		server=$tmp/pcm/usr/sbin/pcm-sensor-server
		[ -x "$server" ] || skip 'the package pcm has no pcm-sensor-server'
	fi
	status=0
	KM_IN_NETNS=1 KM_PCM_SERVER=$server KM_TMP=$tmp unshare "$flags" -- "$0" "$out" || status=$?
	exit "$status"
fi

tmp=$KM_TMP
server=$KM_PCM_SERVER
finish() {
	status=$?
	trap '' INT TERM
	for p in $pcm_pid $pid; do
		kill -TERM "$p" 2>/dev/null || true
		wait "$p" 2>/dev/null || true
	done
	[ "$status" -eq 0 ] || tail -20 "$tmp/log" "$tmp/pcm.log" >&2 2>/dev/null || true
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
ip link set lo up || skip 'cannot bring loopback up in the namespace'

# ---- Intel's program ----------------------------------------------------------------------------

# Nothing to read: where it would ask whether to reset other people's counters, that is a no.
"$server" -p "$port" </dev/null >"$tmp/pcm.log" 2>&1 &
pcm_pid=$!
deadline=$(($(date +%s) + patience_s))
runs=0
while kill -0 "$pcm_pid" 2>/dev/null; do
	if curl -fs -m 5 "http://127.0.0.1:$port/metrics" >"$tmp/page" 2>/dev/null; then
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
	pcm_pid=''
	echo "  pcm-sensor-server ends with $code: $(tail -1 "$tmp/pcm.log" | cut -c1-100)"
fi

# ---- doctor and daemon --------------------------------------------------------------------------

cat >"$tmp/kubemarla.yaml" <<YAML
collect:
  interval: 1s
  sources: [pcm-server, os]
  pcmServer: {url: "http://127.0.0.1:$port/metrics"}
model: {path: ""}
YAML
row=$("$out/kubemarla" doctor --node -c "$tmp/kubemarla.yaml" | grep '^pcm-server ') ||
	die 'doctor has no row pcm-server'
"$out/kubemarlad" -c "$tmp/kubemarla.yaml" -l 127.0.0.1:0 >"$tmp/ready" 2>"$tmp/log" &
pid=$!

metric() { # SERIES: its value, or 0
	curl -fsS "http://127.0.0.1:$daemon_port/metrics" |
		awk -v name="$1" '$1 == name { v = $2 } END { print v + 0 }'
}
# until_least SERIES LEAST: polls, at most patience_s.
until_least() {
	deadline=$(($(date +%s) + patience_s))
	until value=$(metric "$1") && awk "BEGIN { exit !($value >= $2) }"; do
		kill -0 "$pid" 2>/dev/null || die 'the daemon has gone'
		[ "$(date +%s)" -lt "$deadline" ] || return 1
		sleep 0.2
	done
}

deadline=$(($(date +%s) + patience_s))
until [ -s "$tmp/ready" ]; do
	kill -0 "$pid" 2>/dev/null || die 'the daemon has gone'
	[ "$(date +%s)" -lt "$deadline" ] || die 'the daemon is not ready'
	sleep 0.1
done
daemon_port=$(sed -n 's/.*:\([0-9]*\)$/\1/p' "$tmp/ready")

if [ "$runs" -eq 1 ]; then
	case $row in *instructions_per_s*) ok=1 ;; *) ok=0 ;; esac
	check "$ok" 'doctor sees its counters' "$row"
	until_least 'kubemarla_agent_samples_total{source="pcm-server"}' 3 && ok=1 || ok=0
	check "$ok" 'the daemon has its samples' "$value samples"
else
	case $row in *absent*"127.0.0.1:$port"*onnect*) ok=1 ;; *) ok=0 ;; esac
	check "$ok" 'doctor says why it is absent' "$(echo "$row" | cut -c1-90)"
	until_least 'kubemarla_agent_sources{state="absent"}' 1 && ok=1 || ok=0
	check "$ok" 'the daemon counts it absent' "$value"
	grep -q 'source absent kind=pcm-server reason="http' "$tmp/log" && ok=1 || ok=0
	check "$ok" 'and logs why' "$(grep -m1 'source absent' "$tmp/log" | cut -c1-90)"
fi
until_least 'kubemarla_agent_samples_total{source="os"}' 3 && ok=1 || ok=0
check "$ok" 'os goes on beside it' "$value samples"
exit "$failed"
