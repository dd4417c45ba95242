#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# README shows what a run shows: the demo's output, the request, the scheduler's configuration.
# TAP on standard output; runs from the repository root, KM_BUILD has the programs.
# shellcheck disable=SC2317 # functions are called by name
set -u
cd "$(dirname "$0")/../.." || exit 2

out=${KM_BUILD:?wants the directory of the programs}
number=0
failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

verdict() { # STATUS NAME
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number - $2"
	else
		failed=1
		echo "not ok $number - $2"
	fi
}

# same WANT GOT: their difference as a comment.
same() {
	diff "$1" "$2" >"$tmp/diff" && [ -s "$1" ] && return 0
	sed 's/^/# /' "$tmp/diff"
	return 1
}

# The block of README that contains a text, without its fences.
block() {
	awk -v text="$1" '
		/^```/ { if (inside && index(all, text)) printf "%s", all; inside = !inside; all = ""; next }
		inside { all = all $0 "\n" }' README.md
}

# What does not depend on the port and the moment of asking: not the scores, and of the table node,
# tier and filter. That scores fall as slowdowns rise is a test of its own.
steady() {
	awk '
		/^NODE / { table = 1; for (i = 1; i <= NF; i++) print $i; next }
		table && NF == 0 { table = 0 }
		table { print $1, $2, $8; next }
		{ gsub(/"Score":[0-9]+/, "\"Score\":N"); sub(/127\.0\.0\.1:[0-9]+/, "127.0.0.1:PORT"); print }' "$1"
}

demo_runs() {
	deploy/demo/demo.sh "$out" once >"$tmp/demo" 2>"$tmp/log" && return 0
	sed 's/^/# /' "$tmp/demo" "$tmp/log"
	return 1
}

readme_shows_the_demo() {
	block 'POST /filter' >"$tmp/shown"
	lines=$(wc -l <"$tmp/shown")
	head -n "$lines" "$tmp/demo" >"$tmp/printed"
	steady "$tmp/shown" >"$tmp/want"
	steady "$tmp/printed" >"$tmp/got"
	same "$tmp/want" "$tmp/got"
}

slowdowns_rise_with_the_interference() {
	awk '/^node-(quiet|busy|noisy) / {
			if ($3 <= before || (n > 0 && $7 > score)) bad = 1
			before = $3; score = $7; n++
		}
		END { exit bad || n != 3 }' "$tmp/demo"
}

readme_shows_the_request_and_its_answer() {
	block 'curl -s -H' >"$tmp/shown"
	sed -n 's/^\$ //p' "$tmp/shown" >"$tmp/want"
	sed -n 's/^ *\(curl .*\)/\1/p' "$tmp/demo" >"$tmp/got"
	same "$tmp/want" "$tmp/got" || return 1
	grep '^\[' "$tmp/shown" >"$tmp/printed"
	steady "$tmp/printed" >"$tmp/want"
	sed -n 's/.*POST \/prioritize *//p' "$tmp/demo" >"$tmp/printed"
	steady "$tmp/printed" >"$tmp/got"
	same "$tmp/want" "$tmp/got"
}

annotations_are_those_of_the_request() {
	block 'kubemarla.io/rps' | sed 's/ *#.*//; s/^ *\(.*\): /"\1": /' >"$tmp/want"
	while read -r line; do
		grep -qF -- "$line" deploy/examples/prioritize.json || {
			echo "# deploy/examples/prioritize.json: no $line"
			return 1
		}
	done <"$tmp/want"
	[ -s "$tmp/want" ]
}

scheduler_configuration_is_the_example() {
	block 'filterVerb' >"$tmp/want"
	sed -n "/^extenders:/,\$p" deploy/examples/scheduler-config.yaml |
		head -n "$(wc -l <"$tmp/want")" >"$tmp/got"
	same "$tmp/want" "$tmp/got"
}

echo 1..6
for test in demo_runs readme_shows_the_demo slowdowns_rise_with_the_interference \
	readme_shows_the_request_and_its_answer annotations_are_those_of_the_request \
	scheduler_configuration_is_the_example; do
	$test
	verdict $? "$test"
done
exit "$failed"
