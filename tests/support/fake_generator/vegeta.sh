#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A fake of vegeta for the rig's tests: an attack sends nothing and is over at once, its report is
# always the same. It proves nothing of vegeta but how it is called: the attacks' arguments are
# appended to the file KM_FAKE_ATTACKS.
set -eu
case $1 in
-version)
	printf 'Version: v0-fake\nCommit: \n'
	;;
attack)
	shift
	echo "$*" >>"${KM_FAKE_ATTACKS:-/dev/null}"
	while [ "$1" != -output ]; do
		shift
	done
	echo result >"$2"
	;;
report)
	shift 3
	[ "$(cat "$@" | grep -c result)" -eq $# ]
	echo '{"latencies":{"mean":1e6,"50th":1e6,"90th":2e6,"95th":3e6,"99th":4e6,"max":5e6},"requests":8,"rate":50,"throughput":49,"success":1,"errors":[]}'
	;;
esac
