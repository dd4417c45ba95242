#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Rebuilds every model under models/ from the recorded runs: make.sh OUT DATASET
#
# Each folder with a features.yaml gets model.ubj and report.txt (cross-validation by campaign, with
# the baselines). Same data, same library build and CPU family: same bytes.
set -eu
cd "$(dirname "$0")/.."

out=${1:?usage: make.sh OUT DATASET}
dataset=${2:?usage: make.sh OUT DATASET}

[ -f "$dataset/runs.csv" ] || {
	echo "make model: no $dataset/runs.csv; DATASET=DIR names the folder with the recorded runs" >&2
	exit 2
}
for list in models/*/features.yaml; do
	dir=${list%/features.yaml}
	echo "$dir"
	"$out/kubemarla" train --dataset "$dataset" --features "$list" --out "$dir/model.ubj" >"$dir/report.tmp"
	# how long it took is no part of what is kept
	sed '/^  [0-9.]* s$/d' "$dir/report.tmp" >"$dir/report.txt"
	rm -f "$dir/report.tmp"
	sed -n '/model/p' "$dir/report.txt"
done
