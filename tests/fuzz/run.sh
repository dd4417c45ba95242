#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fuzzes each target for SECONDS, one on each CPU at a time: run.sh SECONDS BINARY...
# (build/fuzz/fuzz_<name>).
# Works on a copy of the corpus, so the tree stays clean; an input that fails is kept in
# build/fuzz-artifacts/, and belongs into tests/fuzz/regression/<name>/ once it is fixed.
# Each run goes other ways than the one before; FUZZ_SEED=N makes it go (nearly) the same, so that
# CI judges a change and not its luck.
set -eu
cd "$(dirname "$0")/../.."

artifacts=build/fuzz-artifacts

# One target: its words, and pass or fail in $work/NAME.result.
one() { # SECONDS BINARY
	name=${2##*/fuzz_}
	corpus=$work/$name
	log=$work/$name.log
	mkdir -p "$corpus"
	for kind in corpus regression; do
		find "tests/fuzz/$kind/$name" -type f -exec cp {} "$corpus/" \; 2>/dev/null || true
	done
	dictionary=''
	[ ! -f "tests/fuzz/dict/$name.dict" ] || dictionary="-dict=tests/fuzz/dict/$name.dict"
	# A hang in the target is its own -timeout; the outer one is for a fuzzer that hangs itself.
	# shellcheck disable=SC2086 # dictionary and seed are one word or none
	if timeout -k 10 $(($1 + 120)) "$2" -max_total_time="$1" -timeout=10 \
		-rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$artifacts/$name-" \
		${FUZZ_SEED:+-seed=$FUZZ_SEED} $dictionary "$corpus" >"$log" 2>&1; then
		runs=$(awk '/stat::number_of_executed_units/ { print $2 }' "$log")
		printf '  ok    %-20s %s runs in %s s\n' "$name" "${runs:-?}" "$1"
		echo pass >"$work/$name.result"
	else
		printf '  FAIL  %-20s\n' "$name"
		tail -n 60 "$log" | sed 's/^/        | /'
		echo fail >"$work/$name.result"
	fi
	rm -rf "$corpus"
}

if [ "$1" = --one ]; then
	work=$2
	one "$3" "$4"
	exit 0
fi

seconds=$1
shift
mkdir -p "$artifacts"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1}"
if [ -f tests/sanitizers/leak.supp ]; then
	export LSAN_OPTIONS="suppressions=$PWD/tests/sanitizers/leak.supp"
fi

printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 tests/fuzz/run.sh --one "$work" "$seconds"
passed=0
for binary in "$@"; do
	# without a result it did not even end
	[ "$(cat "$work/${binary##*/fuzz_}.result" 2>/dev/null)" != pass ] || passed=$((passed + 1))
done
failed=$(($# - passed))
echo "$passed passed, $failed failed" >build/fuzz-summary
cat build/fuzz-summary
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
