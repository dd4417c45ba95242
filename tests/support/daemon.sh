# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Sourced by the scripts that run a daemon: words for what came out, waiting with a deadline, a
# daemon that is started and stopped, and an end that leaves nothing behind.
#
# Who sources it has made $tmp, a directory of its own. At the end of the script what $other_pids
# and $pid name is ended and $tmp removed, with the end of $tmp/log shown when something failed.
# Before that a script may have its own at_end called.
# shellcheck disable=SC2317 # functions are called by name, and by trap
# shellcheck disable=SC2154,SC2034 # tmp is theirs, failed is for them

script=${0##*/}
script=${script%.sh}
pid=''        # of the daemon, '' when there is none
other_pids='' # what else to end
end_signal=TERM
patience_s=60 # for what must come; nothing takes half of it on an idle machine
failed=0

at_end() {
	:
}
finish() {
	status=$?
	trap '' INT TERM
	for p in $other_pids $pid; do
		kill "-$end_signal" "$p" 2>/dev/null || true
		wait "$p" 2>/dev/null || true
	done
	at_end
	[ "$status" -eq 0 ] || [ ! -s "$tmp/log" ] || tail -n 20 "$tmp/log" >&2
	rm -rf "$tmp"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

die() {
	echo "$script: $*" >&2
	exit 1
}
skip() { # NAME WHY
	printf '  skip  %-28s %s\n' "$1" "$2"
}
check() { # OK NAME DETAIL: OK is 1 or 0
	if [ "$1" -eq 1 ]; then
		printf '  ok    %-28s %s\n' "$2" "$3"
	else
		printf '  FAIL  %-28s %s\n' "$2" "$3"
		failed=1
	fi
}

# until_true COMMAND...: polls, at most patience_s. returns whether it came true.
until_true() {
	deadline=$(($(date +%s) + patience_s))
	until "$@"; do
		[ -z "$pid" ] || kill -0 "$pid" 2>/dev/null || die "the daemon has gone; wanted: $*"
		[ "$(date +%s)" -lt "$deadline" ] || return 1
		sleep 0.1
	done
}

# start COMMAND...: in the background, as $pid, its port (the end of its first line) into $port. The
# line comes through a pipe: waiting for it needs no polling, and one that dies is seen at once.
start() {
	rm -f "$tmp/ready"
	mkfifo "$tmp/ready"
	"$@" >"$tmp/ready" 2>"$tmp/log" &
	pid=$!
	port=$(timeout "$patience_s" head -n 1 "$tmp/ready" | sed -n 's/.*[: ]\([0-9][0-9]*\)$/\1/p')
	[ -n "$port" ] || die "no ready line of $1"
}

# Ends the daemon as an operator would, and has no other. returns its exit code.
stop() {
	stopped=$pid
	pid=''
	kill -TERM "$stopped" 2>/dev/null || true
	wait "$stopped"
}
# The same, as a check.
check_stop() {
	code=0
	stop || code=$?
	[ "$code" -eq 0 ] && ok=1 || ok=0
	check "$ok" 'SIGTERM ends it' "exit code $code, want 0"
}
