#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Three nodes from synthetic counter traces, one placement request: demo.sh OUT once|stay
#
#   once   any free port; prints the answer, stops the daemon
#   stay   127.0.0.1:9191; prints the answer, then waits for Ctrl-C
#
# OUT has kubemarlad, kubemarla and tests/gen_trace. Everything written is in a temporary directory,
# which is removed at the end, as is the daemon.
set -eu
cd "$(dirname "$0")/../.."

out=${1:?usage: demo.sh OUT once|stay}
mode=${2:?usage: demo.sh OUT once|stay}
request=deploy/examples/prioritize.json
wait_s=30 # for readiness, and again for the first features
pid=''
failed=0 # 1 = show the daemon's log
tmp=$(mktemp -d)

finish() {
	status=$?
	trap '' INT TERM
	if [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null; then
		wait "$pid" || true
		echo 'The daemon has stopped.'
	fi
	[ "$failed" -eq 0 ] || sed 's/^/  /' "$tmp/log" >&2
	rm -rf "$tmp"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
	echo "demo: $*; the daemon's log:" >&2
	failed=1
	exit 1
}

# trace NAME INTERFERENCE SEED
trace() {
	"$out/tests/gen_trace" --cpus 8 --seconds 300 --interval 1 --seed "$3" --rps 1000 \
		--interference "$2" --victim-cpus 0-2 -o "$tmp/$1.csv"
}

case $mode in
once) listen=127.0.0.1:0 ;;
stay) listen=127.0.0.1:9191 ;;
*)
	echo "demo: saw \"$mode\", want once or stay" >&2
	exit 2
	;;
esac

echo 'Three nodes, each with a synthetic counter trace:'
echo '  node-quiet: no interference'
echo '  node-busy:  some, of a computing neighbour'
echo '  node-noisy: a lot, of neighbours that thrash the last-level cache'
trace node-quiet none 5
trace node-busy cpu:1 5
trace node-noisy l3:3 5
sed "s|@TRACES@|$tmp|" deploy/demo/kubemarla.yaml >"$tmp/kubemarla.yaml"

# Its own session: Ctrl-C comes here only, and `finish` stops it once. The ready line comes through
# a pipe, so that waiting for it needs no polling and a daemon that dies is seen at once.
mkfifo "$tmp/ready"
setsid "$out/kubemarlad" -c "$tmp/kubemarla.yaml" -l "$listen" >"$tmp/ready" 2>"$tmp/log" &
pid=$!
ready=$(timeout "$wait_s" head -n 1 "$tmp/ready") || true
case $ready in
'kubemarlad ready on '*) url=http://${ready##* } ;;
*) fail 'no ready line' ;;
esac
curl -sS -f -o "$tmp/body" --retry "$wait_s" --retry-delay 1 --retry-max-time "$wait_s" "$url/readyz" ||
	fail '/readyz is not ready'

# The first features come when a bin of 5 s of trace is full; wait until the window of 60 s nearly is.
windows_are_full() {
	curl -sS -f -o "$tmp/features" "$url/v1/features" || return 1
	grep -o '"coveredSeconds":[0-9]*' "$tmp/features" | cut -d: -f2 |
		awk '$1 < 50 { short = 1 } END { exit short || NR != 3 }'
}
deadline=$(($(date +%s) + wait_s))
until windows_are_full; do
	[ "$(date +%s)" -lt "$deadline" ] || fail 'no features'
	sleep 0.2
done

echo
echo "kubemarlad listens on ${url#http://}. A real scheduler request, $request:"
for verb in filter prioritize; do
	printf '  POST /%-11s' "$verb"
	curl -sS -f -w '\n' -H 'Content-Type: application/json' --data-binary "@$request" "$url/$verb" ||
		fail "/$verb failed"
done
echo
"$out/kubemarla" ask -s "$url" -f "$request" || fail 'ask failed'
echo
echo 'Lower predicted slowdown, higher score: that is where the pod should go. Try yourself:'
if [ "$mode" = stay ]; then
	echo "  curl -s -H 'Content-Type: application/json' -d @$request $url/prioritize; echo"
	echo "  $out/kubemarla ask -s $url -f $request"
	echo 'Ctrl-C stops the daemon.'
	trap 'exit 0' INT
	wait "$pid" || fail 'the daemon ended'
	pid=''
else
	echo '  make run    # keeps the daemon in the foreground on 127.0.0.1:9191, and then'
	echo "  curl -s -H 'Content-Type: application/json' -d @$request http://127.0.0.1:9191/prioritize; echo"
fi
