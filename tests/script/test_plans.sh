#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# docs/PLANS.md lists every key that a plan has and no other. TAP; runs from the repository root.
set -u
cd "$(dirname "$0")/../.." || exit 2

keys=$(mktemp)
listed=$(mktemp)
trap 'rm -f "$keys" "$listed"' EXIT
trap 'exit 130' INT TERM

grep -oE '(CHOICE|TEXT|WHOLE|NUMBER|TIME|LIST)\("[a-zA-Z0-9.]+"|\.key = "[a-zA-Z0-9.]+"' \
	src/plan/options.c | cut -d'"' -f2 | sort >"$keys"
# shellcheck disable=SC2016 # the document's own backquotes
sed -n 's/^| `\([a-zA-Z0-9.]*\)` |.*/\1/p' docs/PLANS.md | sort >"$listed"

echo 1..1
if [ "$(wc -l <"$keys")" -gt 40 ] && cmp -s "$keys" "$listed"; then
	echo 'ok 1 - docs_list_every_key_of_a_plan'
	exit 0
fi
diff "$keys" "$listed" | sed 's/^/# /'
echo 'not ok 1 - docs_list_every_key_of_a_plan'
exit 1
