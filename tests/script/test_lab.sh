#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the laboratory says where it cannot go on: exit codes, and how to resume in words that a shell
# reads. TAP on standard output; runs from the repository root, KM_BUILD has the programs.
set -u
cd "$(dirname "$0")/../.." || exit 2

lab=${KM_BUILD:?wants the directory of the programs}/kubemarla-lab
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
failed=0
number=0

verdict() { # NAME BAD
	number=$((number + 1))
	if [ -z "$2" ]; then
		echo "ok $number - $1"
	else
		failed=1
		echo "not ok $number - $1"
		echo "# $2"
	fi
}

plan() { # FILE CPU
	printf 'name: t\nnodes: [{name: a, cpus: "%s"}]\ntarget: {program: /no/such/nginx}\n' "$2" >"$1"
}

# The CPU is the first that this process may use.
cpu=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
dir="$work/it's here"
echo 1..2

plan "$work/a plan.yaml" "$cpu"
"$lab" run "$work/a plan.yaml" --out "$dir" >/dev/null 2>"$work/err"
code=$?
bad=
[ "$code" -eq 1 ] || bad="exit code $code, want 1"
printf "resume with: kubemarla-lab run '%s' --out '%s'\n" "$work/a plan.yaml" \
	"$work/it'\\''s here" >"$work/want"
tail -n 1 "$work/err" | cmp -s - "$work/want" || bad="said \"$(tail -n 1 "$work/err")\""
verdict 'to_resume_is_a_command_as_a_shell_reads_it' "$bad"

plan "$work/far.yaml" 1023
"$lab" run "$work/far.yaml" --out "$work/far" >/dev/null 2>"$work/err"
code=$?
bad=
[ "$code" -eq 2 ] || bad="exit code $code, want 2"
grep -q 'node a: CPU 1023 is not there or not allowed' "$work/err" || bad=$(cat "$work/err")
! grep -q resume "$work/err" || bad='resuming is no help'
verdict 'cpus_that_are_not_there_are_a_bad_plan' "$bad"
exit "$failed"
