#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs test binaries and adds up their results: run.sh OUT BINARY...
#
# Each binary speaks TAP (cmocka and the corpus replayers do) and runs from the repository root with
# KM_BUILD=OUT, where it finds the programs. A line per binary; all of its output only when it
# failed. A crash, a time-out and a binary that ran fewer tests than it planned each count as one
# failed test. The totals are the last line and go to OUT/test-summary.
#
# From the environment:
#   DATASET             the recorded runs; tests that need them skip when they are absent,
#   KM_REQUIRE_DATASET  1 = such a test fails instead of skipping (the tests look at it themselves),
#   KM_TEST_SECONDS     the most a binary may take (300).
set -eu
cd "$(dirname "$0")/.."

out=$1
shift
limit_s=${KM_TEST_SECONDS:-300}
logs=$out/test-logs
rm -rf "$logs"
mkdir -p "$logs"
export KM_BUILD="$out" CMOCKA_MESSAGE_OUTPUT=TAP

# Suppressions are for libraries that were not built with the sanitizers; each line says why.
suppressions() {
	[ ! -f "tests/sanitizers/$1.supp" ] || printf 'suppressions=%s' "$PWD/tests/sanitizers/$1.supp"
}
TSAN_OPTIONS=${TSAN_OPTIONS:-$(suppressions thread)}
LSAN_OPTIONS=${LSAN_OPTIONS:-$(suppressions leak)}
UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS

# Prints "passed failed skipped" of one TAP log. cmocka writes a skip as "not ok N # SKIP".
count() {
	awk -v status="$2" '
	/^1\.\.[0-9]+/ { planned += substr($0, 4) }
	/^(not )?ok / {
		seen++
		if (/# SKIP/) skipped++
		else if (/^ok /) passed++
		else failed++
	}
	END {
		if (status != 0 && failed == 0 || seen == 0 || seen < planned) failed++
		print passed + 0, failed + 0, skipped + 0
	}' "$1"
}

# What was skipped, with the reasons the tests gave.
skips() {
	sed -n 's/^skipped: /        | /p
		s/^\(not \)\{0,1\}ok [0-9]* # SKIP \(.*\)/        | skipped: \2/p' "$1"
}

passed=0
failed=0
skipped=0
for binary in "$@"; do
	name=${binary##*/}
	log=$logs/$name.log
	status=0
	timeout -k 10 "$limit_s" "$binary" >"$log" 2>&1 </dev/null || status=$?
	# shellcheck disable=SC2046 # three numbers
	set -- $(count "$log" "$status")
	passed=$((passed + $1))
	failed=$((failed + $2))
	skipped=$((skipped + $3))
	note=''
	[ "$3" -eq 0 ] || note=", $3 skipped"
	if [ "$2" -eq 0 ]; then
		printf '  ok    %-28s %s passed%s\n' "$name" "$1" "$note"
		skips "$log"
		continue
	fi
	[ "$status" -ne 124 ] && [ "$status" -ne 137 ] || note="$note, timed out after $limit_s s"
	[ "$status" -le 128 ] || [ "$status" -eq 137 ] || note="$note, died of signal $((status - 128))"
	printf '  FAIL  %-28s %s passed, %s failed%s\n' "$name" "$1" "$2" "$note"
	sed 's/^/        | /' "$log"
done

summary="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || summary="$summary, $skipped skipped"
echo "$summary" >"$out/test-summary"
echo "$summary"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
