#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# models/os-nginx is what its own data gives: trained anew it has the committed bytes. With another
# build of XGBoost, or on another CPU family, it may not have; what differs is printed. And the
# recorded trial gives the verdicts that docs/EXPERIMENTS.md tells.
# Skips while there is neither data nor a model; one without the other fails.
set -eu
cd "$(dirname "$0")/../.."

build=${KM_BUILD:-build}
dir=models/os-nginx
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "1..2"

if [ ! -f "$dir/data/runs.csv" ] && [ ! -f "$dir/model.ubj" ]; then
	echo "ok 1 - the_data_gives_the_model # SKIP no runs in $dir/data, and no model yet"
	echo "ok 2 - the_plays_give_the_verdicts # SKIP the same"
	exit 0
fi
if ! "$build/kubemarla" train --dataset "$dir/data" --features "$dir/features.yaml" \
	--out "$work/model.ubj" >"$work/report" 2>"$work/log"; then
	sed 's/^/# /' "$work/log"
	echo "not ok 1 - the_data_gives_the_model: it cannot be trained"
	exit 1
fi
if [ ! -f "$dir/model.ubj" ]; then
	echo "not ok 1 - the_data_gives_the_model: there is data, and no $dir/model.ubj"
	exit 1
fi
if ! cmp "$work/model.ubj" "$dir/model.ubj" >"$work/cmp" 2>&1; then
	sed 's/^/# /' "$work/cmp"
	"$build/kubemarla" model diff "$dir/model.ubj" "$work/model.ubj" 2>&1 | sed 's/^/# /' || true
	echo "not ok 1 - the_data_gives_the_model: trained anew it has other bytes"
	exit 1
fi
echo "ok 1 - the_data_gives_the_model"

# ---- the trial ----------------------------------------------------------------------------------

"$build/kubemarla-lab" report "$dir/data" >"$work/report" 2>"$work/log" || {
	sed 's/^/# /' "$work/log"
	echo "not ok 2 - the_plays_give_the_verdicts: no report"
	exit 1
}
grep ' against .*: p99 ' "$work/report" >"$work/now"
grep ' against .*: p99 ' docs/EXPERIMENTS.md >"$work/told"
if ! diff "$work/told" "$work/now" >"$work/diff"; then
	sed 's/^/# /' "$work/diff"
	echo "not ok 2 - the_plays_give_the_verdicts: docs/EXPERIMENTS.md says others"
	exit 1
fi
echo "ok 2 - the_plays_give_the_verdicts"
