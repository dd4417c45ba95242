#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Rebuilds every model under models/: make.sh OUT DATASET [MODEL...]
#
# Each folder with a features.yaml gets model.ubj and report.txt (cross-validation by campaign, with
# the baselines): from its own data/ where it has one, else from DATASET. Same data, same library
# build and CPU family: same bytes.
set -eu
cd "$(dirname "$0")/.."

out=${1:?usage: make.sh OUT DATASET [MODEL...]}
dataset=${2:?usage: make.sh OUT DATASET [MODEL...]}
shift 2

if [ $# -eq 0 ]; then
	set -- models/*/features.yaml
	for list; do
		set -- "$@" "$(basename "${list%/features.yaml}")"
		shift
	done
fi
for name; do
	dir=models/$name
	data=$dataset
	[ ! -d "$dir/data" ] || data=$dir/data
	if [ "$data" = "$dir/data" ] && [ ! -f "$data/runs.csv" ]; then
		echo "$dir: not made: no runs in $data yet" >&2
		continue
	fi
	[ -f "$data/runs.csv" ] || {
		echo "make model: no $data/runs.csv; DATASET=DIR names the folder with the recorded runs" >&2
		exit 2
	}
	echo "$dir"
	"$out/kubemarla" train --dataset "$data" --features "$dir/features.yaml" --out "$dir/model.ubj" >"$dir/report.tmp"
	# how long it took is no part of what is kept
	sed '/^  [0-9.]* s$/d' "$dir/report.tmp" >"$dir/report.txt"
	rm -f "$dir/report.tmp"
	sed -n '/model/p' "$dir/report.txt"
done
