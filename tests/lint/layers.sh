#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fails when a source file includes an interface of its own floor or higher (other than its own
# room's), another room's private header, or a third-party library outside the room that owns it.
set -eu
cd "$(dirname "$0")/../.."
status=0

find src include -name '*.[ch]' -print0 | xargs -0 grep -nE '^#include "' |
awk -v map=tests/lint/layers.txt '
BEGIN {
	while ((getline line < map) > 0) {
		if (line ~ /^#/ || line == "") continue
		split(line, field, " ")
		floor[field[1]] = field[2]
	}
}
{
	split($0, at, ":"); where = at[1] ":" at[2]
	match($0, /"[^"]+"/); target = substr($0, RSTART + 1, RLENGTH - 2)
	split(at[1], dir, "/"); from = (dir[1] == "src") ? dir[2] : dir[3]
	if (target !~ /^km\//) {
		if (target ~ /\//) { print where ": private path include " target; bad = 1 }
		next
	}
	split(target, part, "/"); to = part[2]
	if (!(from in floor) || !(to in floor)) {
		print where ": unknown room " from " -> " to; bad = 1
	} else if (from != to && floor[to] >= floor[from]) {
		print where ": floor " floor[from] " (" from ") may not include floor " floor[to] " (" to ")"
		bad = 1
	}
}
END { exit bad }' || status=1

# library header : the one room that may see it
while read -r header room; do
	if find src include -name '*.[ch]' ! -path "src/$room/*" -print0 |
	   xargs -0 grep -nE "^#include <$header"; then
		echo "only src/$room may include <$header...>"
		status=1
	fi
done <<'LIBRARIES'
cjson/ wire
microhttpd net
gnutls/ net
curl/ net
yaml config
xgboost/ model
zlib base
LIBRARIES
exit $status
