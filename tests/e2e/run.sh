#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# KubeMarla on a real control plane: run.sh OUT [SCENARIO-PATTERN]
#
# etcd, kube-apiserver, kube-controller-manager and kube-scheduler of tests/e2e/controlplane, fake
# kubelets, and OUT/kubemarlad with the rights of deploy/; scenarios one after the other, each passed
# or failed. Everything is on 127.0.0.1, is written below OUT/e2e and ends with this script. The
# last line is `N passed, N failed`, as is OUT/e2e/test-summary.
set -eu
cd "$(dirname "$0")/../.."

out=${1:?usage: run.sh OUT [SCENARIO-PATTERN]}
pattern=${2:-}
limit=25m # warm it takes a fifth of that
here=$out/e2e
mkdir -p "$here"
rm -f "$here/test-summary"

# Two runs would be in each other's directories. The scenarios hold the lock, too, should this script
# be killed; their processes end with them.
exec 9>"$here/lock"
flock -n 9 || {
	echo "e2e: another run is using $here" >&2
	exit 1
}

tests/e2e/controlplane/build.sh "$here/bin" 9>&-

root=$PWD
case $out in /*) ;; *) out=$root/$out ;; esac
# Nothing works without what installs deploy/.
[ -z "$pattern" ] || pattern="TestCluster/(base-is-accepted|minikube-overlay|$pattern)"
# In the background, where a signal to this script is heard at once and passed on.
(cd tests/e2e/controlplane/scenarios &&
	exec timeout --foreground --kill-after=30s "$limit" "$out/e2e/bin/scenarios" -test.v -test.timeout 0 \
		-root "$root" -out "$out" ${pattern:+-test.run "$pattern"}) >"$here/log" 2>&1 &
scenarios=$!
trap 'kill "$scenarios"; wait "$scenarios" || true; exit 130' INT TERM HUP
status=0
wait "$scenarios" || status=$?
trap - INT TERM HUP
# A scenario's own lines, without the file they are said in.
sed -n -e '/^=== RUN/d' -e '/^=== NAME/d' -e 's/^ *[a-z_0-9]*_test\.go:[0-9]*: /    /' -e p "$here/log"

count() { # PATTERN
	awk -v pattern="$1" '$0 ~ pattern { n++ } END { print n + 0 }' "$here/log"
}
passed=$(count '^    --- PASS')
failed=$(count '^    --- FAIL')
skipped=$(count '--- SKIP')
[ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
[ "$skipped" -eq 0 ] || {
	echo "e2e: $skipped skipped scenarios count as failed"
	failed=$((failed + skipped))
}
[ "$failed" -eq 0 ] || printf 'e2e: logs are in %s\n' "$here/run"
printf '%s passed, %s failed\n' "$passed" "$failed" | tee "$here/test-summary"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
