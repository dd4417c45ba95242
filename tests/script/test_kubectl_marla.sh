#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kubectl-marla is kubemarla under another name: kubectl finds it, and it calls itself as it was
# called. TAP on standard output; runs from the repository root, KM_BUILD has the programs.
set -u
cd "$(dirname "$0")/../.." || exit 2

out=${KM_BUILD:?wants the directory of the programs}
failed=0

# check NUMBER NAME WANT COMMAND...: the first line of what it prints.
check() {
	number=$1 name=$2 want=$3
	shift 3
	got=$("$@" 2>&1 | head -n 1)
	if [ "$got" = "$want" ]; then
		echo "ok $number - $name"
	else
		failed=1
		echo "not ok $number - $name"
		echo "# saw \"$got\", want \"$want\""
	fi
}

echo 1..4
check 1 'by its own name' 'Usage: kubectl marla COMMAND [ARGUMENTS]' "$out/kubectl-marla" --help
check 2 'a command too' "Usage: kubectl marla top$("$out/kubemarla" top --help | head -n 1 |
	sed 's/^Usage: kubemarla top//')" "$out/kubectl-marla" top --help
if command -v kubectl >/dev/null; then
	PATH=$(cd "$out" && pwd):$PATH
	export PATH
	check 3 'kubectl finds it' 'Usage: kubectl marla COMMAND [ARGUMENTS]' kubectl marla --help
	check 4 'with arguments' "$("$out/kubectl-marla" why --help | head -n 1)" \
		kubectl marla why --help
else
	echo 'ok 3 - kubectl finds it # SKIP no kubectl'
	echo 'ok 4 - with arguments # SKIP no kubectl'
fi
exit "$failed"
