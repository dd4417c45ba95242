#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A stressor that is ended by a signal reports, and exits with 0. TAP on standard output; runs from
# the repository root, KM_BUILD has the programs.
set -u
cd "$(dirname "$0")/../.." || exit 2

lab=${KM_BUILD:?wants the directory of the programs}/kubemarla-lab
work=$(mktemp -d)
stressor=
trap '[ -z "$stressor" ] || kill -KILL "$stressor" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
failed=0
number=0

verdict() { # NAME BAD...
	number=$((number + 1))
	if [ -z "$2" ]; then
		echo "ok $number - $1"
	else
		failed=1
		echo "not ok $number - $1"
		echo "# $2"
	fi
}

# The CPU is the first that this process may use.
cpu=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
echo 1..3
for signal in TERM INT HUP; do
	mkfifo "$work/err.$signal"
	"$lab" stress cpu --intensity 10 --cpus "$cpu" --json >"$work/out" 2>"$work/err.$signal" &
	stressor=$!
	# this line says that it is at work
	said=$(timeout 60 head -n 1 "$work/err.$signal")
	kill -s "$signal" "$stressor"
	wait "$stressor"
	code=$?
	stressor=
	bad=
	[ "$code" -eq 0 ] || bad="exit code $code, want 0"
	[ "$said" = "kubemarla-lab stress: cpu at 10 % on CPUs $cpu" ] || bad="said \"$said\""
	grep -q "^{\"kind\":\"cpu\",\"intensity\":10,\"cpus\":\"$cpu\",\"seconds\":.*}\$" "$work/out" ||
		bad="printed \"$(cat "$work/out")\""
	verdict "SIG$signal" "$bad"
done
exit "$failed"
