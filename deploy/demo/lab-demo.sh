#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The laboratory on this machine, in three minutes: lab-demo.sh OUT [DIR]
#
#   1  what is missing is installed (Debian) or named; vegeta is built where Go is at hand, else the
#      load comes from wrk, which waits for answers and so hides part of a slowdown
#   2  deploy/examples/lab-demo.yaml is run on the first two CPUs that we may use
#   3  a model is trained from what was counted before each load
#   4  the report is written, and where it is is printed
#
# DIR (build/lab-demo) keeps the results. Interrupted, the same command goes on from there; remove
# DIR to begin anew. Listens on and asks 127.0.0.1 only; opens nothing.
set -eu
cd "$(dirname "$0")/../.."

out=${1:?usage: lab-demo.sh OUT [DIR]}
dir=${2:-build/lab-demo}
example=deploy/examples/lab-demo.yaml
model=os-nginx

die() {
	echo "lab-demo: $*" >&2
	exit 1
}
have() {
	PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$1" >/dev/null
}

# ---- what it needs ------------------------------------------------------------------------------

if ! have nginx || ! have wrk || ! have gnuplot; then
	deploy/dev/deps.sh lab || have nginx || die 'nginx is needed; see above'
fi
have gnuplot || echo 'lab-demo: without gnuplot the reports have no plots'
have nginx || die 'no nginx in PATH'
generator=vegeta
if ! have vegeta && ! deploy/lab/vegeta.sh "$out/lab"; then
	generator=wrk
	have wrk || die 'neither vegeta nor wrk'
	echo 'lab-demo: without vegeta the load comes from wrk: a closed loop, its latencies are too kind'
fi

allowed=$(awk '/^Cpus_allowed_list:/ { print $2 }' /proc/self/status)
# shellcheck disable=SC2046 # words
set -- $(echo "$allowed" | tr ',' '\n' | awk -F- '{ for (c = $1; c <= ($2 == "" ? $1 : $2); c++) print c }')
[ $# -ge 2 ] || die "needs two CPUs, may use CPU $allowed only"
if [ "$(id -u)" -ne 0 ]; then
	echo 'lab-demo: not root: no control groups, pinning by affinity only, no real-time generator'
fi

mkdir -p "$dir"
plan=$dir.yaml
# The second one first: what it becomes is never 0, what 0 becomes may be 1.
sed "s/cpus: \"1\"/cpus: \"$2\"/g; s/cpus: \"0\"/cpus: \"$1\"/g; s/generator: vegeta/generator: $generator/" \
	"$example" >"$plan"
if [ "$generator" = wrk ]; then
	# It has no rate, so two of them would be the same runs twice.
	sed -i 's/rps: \[\([0-9]*\),.*\]/rps: [\1]/' "$plan"
fi

# ---- run, train, report -------------------------------------------------------------------------

"$out/kubemarla-lab" run "$plan" --out "$dir"
"$out/kubemarla" train --dataset "$dir" --features "models/$model/features.yaml" \
	--out "$dir/model.ubj" --html "$dir/model.html" >"$dir/model.txt"
echo "dataset  $dir (runs.csv, pairs.csv, traces/)"
echo "model    $dir/model.ubj: of so few runs, a demonstration and no more"
where=$(cd "$dir" && pwd)
echo "reports  $where/report.html of the runs, $where/model.html of the model"
