#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A stand-in for kubectl that does what the laboratory's cluster backend asks of it, with files of the
# directory KUBECTL_FAKE as its cluster. It proves what the backend asks, in which order, and what it
# makes of answers; not that an API server takes the manifests, and nothing about pods.
#
#   calls       all calls so far, a line each       applied      all manifests so far
#   namespace   answer about the namespace          phase        answer about pods' phases
#   load        log of the Job's pod                port         nodePort of the Service
#   no-api, no-node, no-rollout, no-report, die: if they exist, that goes wrong
set -eu
state=${KUBECTL_FAKE:?wants a directory}

echo "$*" >>"$state/calls"
[ "$1" != --context ] || shift 2
[ "$1" != --namespace ] || shift 2

fail() {
	echo "$*" >&2
	exit 1
}

answer() { # FILE PRESET
	if [ -f "$state/$1" ]; then
		cat "$state/$1"
	else
		printf '%s' "$2"
	fi
}

# The stressor's log ends with its report once it was deleted. The mark comes before the wake-up:
# who opens the pipe after it needs none.
follow() { # POD
	echo "kubemarla-lab stress: l2 at 50 % on CPUs 0-2"
	[ ! -f "$state/die" ] || {
		echo 'killed: out of memory'
		return
	}
	exec 3<>"$state/end-$1"
	[ -f "$state/deleted" ] || read -r _ <&3
	[ -f "$state/no-report" ] || answer report '{"kind":"l2","intensity":50,"cpus":"0-2","seconds":3,"dutyRatio":0.5,"opsPerSecond":7,"bytesPerSecond":448,"workingSetBytes":4096,"unit":"cache lines","cachesAssumed":false}'
	echo
}

# As kubectl itself tells it: its library's log first.
[ ! -f "$state/no-api" ] || fail 'E1130 15:33:31.851748   29066 memcache.go:265] "Unhandled Error" err="dial tcp"
The connection to the server localhost:8080 was refused - did you specify the right host or port?'

case $* in
'get nodes '*) [ ! -f "$state/no-node" ] || fail 'Error from server (NotFound): nodes "m02" not found' ;;
'get namespace '*) answer namespace '' ;;
'get pods '*) answer phase 'Running ' ;;
'get node '*) printf '127.0.0.1' ;;
'get service '*) answer port 31234 ;;
'apply -f -')
	cat >"$state/manifest"
	cat "$state/manifest" >>"$state/applied"
	pod=$(sed -n 's/^  name: \(stressor-[0-9]*\)$/\1/p' "$state/manifest")
	[ -z "$pod" ] || mkfifo "$state/end-$pod"
	rm -f "$state/deleted"
	;;
'rollout status '*) [ ! -f "$state/no-rollout" ] || fail 'error: timed out waiting for the condition' ;;
'logs --follow -l '*)
	echo 'a line of standard error'
	answer load '{"latencies":{"total":8,"mean":1000000,"50th":1000000,"90th":2000000,"95th":3000000,"99th":4000000,"max":5000000,"min":1},"bytes_in":{"total":1,"mean":1},"bytes_out":{"total":0,"mean":0},"earliest":"2026-01-01T00:00:00Z","latest":"2026-01-01T00:00:01Z","end":"2026-01-01T00:00:01Z","duration":1000000000,"wait":1,"requests":500,"rate":500,"throughput":499,"success":1,"status_codes":{"200":500},"errors":[]}'
	;;
'logs --follow '*) follow "$3" ;;
'delete pods '*)
	: >"$state/deleted"
	for pipe in "$state"/end-*; do
		[ ! -p "$pipe" ] || {
			exec 3<>"$pipe"
			echo >&3
		}
	done
	;;
'delete namespace '*) rm -f "$state/namespace" ;;
'delete '*) ;;
*) fail "kubectl_fake: $*" ;;
esac
