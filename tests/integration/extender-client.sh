#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A real client of the extender protocol against a real kubemarlad: extender-client.sh OUT
#
# The client, tests/go/extender-client, is Go on kube-scheduler's own types; its modules come from
# the Go proxy. The daemon replays synthetic traces for three nodes (a fourth has none), under the
# fixed test model. A second daemon is behind TLS. Everything written is in a temporary directory, which is removed at the end, as
# is the daemon. Without Go, Debian's is installed.
set -eu
cd "$(dirname "$0")/../.."

out=${1:?usage: extender-client.sh OUT}
tests_s=900 # downloading and building Kubernetes' API types takes minutes where nothing is cached
tmp=$(mktemp -d)
# shellcheck source=tests/support/daemon.sh
. tests/support/daemon.sh
patience_s=30

if ! command -v go >/dev/null; then
	deploy/dev/deps.sh go || die 'no Go: install golang-go, or put go into PATH'
fi
go version
# What a caller set would change where modules and tests come from.
unset GOFLAGS GOWORK

make -s "$out/kubemarlad" "$out/tests/gen_trace"
# trace NAME INTERFERENCE SEED
trace() {
	"$out/tests/gen_trace" --cpus 8 --seconds 300 --interval 1 --seed "$3" --interference "$2" \
		--victim-cpus 0-3 --noisy-cpus 4-7 -o "$tmp/$1.csv"
}
trace quiet none 1
trace some l3:2 2
trace noisy l3:4 3
cat >"$tmp/kubemarla.yaml" <<EOF
nodes:
- {name: quiet, cpus: 0-3}
- {name: some, cpus: 0-3}
- {name: noisy, cpus: 0-3}
- {name: blind, cpus: 0-3}
collect:
  interval: 100ms
  sources:
  - replay: {file: "$tmp/quiet.csv", node: quiet, speed: 100000}
  - replay: {file: "$tmp/some.csv", node: some, speed: 100000}
  - replay: {file: "$tmp/noisy.csv", node: noisy, speed: 100000}
  - replay: {file: "$tmp/none.csv", node: blind}
model: {path: tests/fixtures/model/test.ubj}
decide: {maxAge: 1h}
EOF

key() { # NAME ARGUMENTS...: a key and what openssl req makes of it
	name=$1
	shift
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$tmp/$name.key" \
		-subj "/CN=$name" "$@" 2>/dev/null
}
signed() { # NAME CA: a certificate
	key "$1" -out "$tmp/$1.csr"
	echo 'subjectAltName = DNS:kubemarla' >"$tmp/extensions"
	openssl x509 -req -in "$tmp/$1.csr" -CA "$tmp/$2.crt" -CAkey "$tmp/$2.key" -CAcreateserial \
		-days 1 -extfile "$tmp/extensions" -out "$tmp/$1.crt" 2>/dev/null
}
key ca -x509 -days 1 -out "$tmp/ca.crt"
key other-ca -x509 -days 1 -out "$tmp/other-ca.crt"
signed server ca
signed client ca
signed foreign other-ca
cat >"$tmp/tls.yaml" <<EOF
kubernetes: {enabled: off}
listen: {tls: {cert: "$tmp/server.crt", key: "$tmp/server.key", clientCA: "$tmp/ca.crt"}}
nodes: [{name: a, cpus: 0}]
model: {path: ""}
EOF
start "$out/kubemarlad" -c "$tmp/tls.yaml" -l 127.0.0.1:0
tls_url=https://127.0.0.1:$port
other_pids=$pid

start "$out/kubemarlad" -c "$tmp/kubemarla.yaml" -l 127.0.0.1:0
url=http://127.0.0.1:$port

traces_are_over() {
	curl -sS -f "$url/metrics" | grep -q '^kubemarla_agent_sources{state="ended"} 3$'
}
until_true traces_are_over || die 'the traces are not over'

status=0
(cd tests/go/extender-client &&
	KUBEMARLA_URL=$url KUBEMARLA_TLS_URL=$tls_url KUBEMARLA_TLS_DIR=$tmp timeout "$tests_s" go test -count=1 -v ./...) >"$tmp/tests" 2>&1 || status=$?
grep -E '^(---|ok|FAIL|PASS|go:)' "$tmp/tests" || true
if [ "$status" -ne 0 ] || grep -q -e '--- SKIP' "$tmp/tests" || ! grep -q -e '^--- PASS' "$tmp/tests"; then
	cat "$tmp/tests" >&2
	die "go test: status $status; skipped tests count as failed"
fi
kill -0 "$pid" 2>/dev/null || die 'the daemon did not survive'
code=0
stop || code=$?
[ "$code" -eq 0 ] || die "the daemon ended with $code after SIGTERM, want 0"
