#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the documents name is there: links, files, functions, rooms and their floors, make targets;
# and what there is, commands and routes, is in the man pages.
# TAP on standard output; runs from the repository root.
set -u
cd "$(dirname "$0")/../.." || exit 2

number=0
failed=0
bad=$(mktemp)
trap 'rm -f "$bad"' EXIT
trap 'exit 130' INT TERM

# verdict NAME: ok when nothing was written to $bad.
verdict() {
	number=$((number + 1))
	if [ -s "$bad" ]; then
		failed=1
		sed 's/^/# /' "$bad"
		echo "not ok $number - $1"
	else
		echo "ok $number - $1"
	fi
	: >"$bad"
}

documents() {
	for file in README.md docs/*.md docs/adr/*.md; do
		[ ! -f "$file" ] || echo "$file"
	done
}

# The texts in backticks of a document, a line each.
# shellcheck disable=SC2016 # backticks as such
quoted() {
	grep -o '`[^`]*`' "$1" | tr -d '`'
}

links_lead_somewhere() {
	for file in $(documents); do
		grep -o '](\([^)]*\))' "$file" | sed 's/^](//; s/)$//; s/#.*//' |
			while read -r link; do
				case $link in
				'' | http://* | https://*) continue ;;
				esac
				[ -e "$(dirname "$file")/$link" ] || echo "$file: no $link" >>"$bad"
			done
	done
	verdict links_lead_somewhere
}

# `decide/state.c` is short for `src/decide/state.c`, `core/settings.h` for the one in include/km.
files_are_there() {
	for file in README.md docs/ARCHITECTURE.md docs/ADDING.md; do
		[ -f "$file" ] || continue
		quoted "$file" | grep -E '^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*\.(c|h|sh|md|txt|yaml|json|ubj)$' |
			grep / | while read -r path; do
			[ -e "$path" ] || [ -e "src/$path" ] || [ -e "include/km/$path" ] ||
				echo "$file: no $path" >>"$bad"
		done
	done
	verdict files_are_there
}

functions_are_there() {
	quoted docs/ARCHITECTURE.md |
		grep -oE '^((km|app|start|stop|net|decide|conf|agent|say|expose)_[a-z_]+|[a-z_]+\(\))' |
		tr -d '()' | sort -u | while read -r name; do
		grep -rqw -- "$name" src include || echo "no $name in src or include" >>"$bad"
	done
	verdict functions_are_there
}

# Rows of the table are the rooms that are built; the sentence behind it names all others.
rooms_are_those_of_the_source() {
	awk -F'|' '/^\| [0-9]+ \| `[a-z]+` \|/ {
		gsub(/[ `]/, "", $2); gsub(/[ `]/, "", $3); print $3, $2 }' docs/ARCHITECTURE.md |
		sort >"$bad.table"
	for directory in src/*/; do
		room=${directory#src/}
		room=${room%/}
		grep "^$room " tests/lint/layers.txt
	done | sort >"$bad.built"
	diff "$bad.table" "$bad.built" | sed -n 's/^</no such room in src, or another floor: /p; s/^>/no row in docs\/ARCHITECTURE.md: /p' >>"$bad"
	sentence=$(grep '^Named in .layers.txt. and not built yet' docs/ARCHITECTURE.md)
	grep -v '^#' tests/lint/layers.txt | while read -r room _; do
		[ ! -d "src/$room" ] || continue
		case $sentence in
		*"\`$room\`"*) ;;
		*) echo "$room is not built and not named" >>"$bad" ;;
		esac
	done
	rm -f "$bad.table" "$bad.built"
	verdict rooms_are_those_of_the_source
}

architecture_is_short() {
	lines=$(wc -l <docs/ARCHITECTURE.md)
	[ "$lines" -le 250 ] || echo "docs/ARCHITECTURE.md: $lines lines, want 250 at most" >>"$bad"
	verdict architecture_is_short
}

make_targets_exist() {
	for file in $(documents); do
		{
			quoted "$file"
			sed -n 's/^ *\(\$ \)\{0,1\}\(make .*\)/\2/p' "$file"
		} | grep -oE '^make [a-z]+( |$)' | sort -u | while read -r _ target; do
			grep -qE "^([a-z]+ )*$target( [a-z]+)*:" Makefile ||
				echo "$file: make has no $target" >>"$bad"
		done
	done
	verdict make_targets_exist
}

# What `help` of each program lists, as items of its page.
commands_are_in_the_man_page() {
	for program in kubemarla kubemarla-lab; do
		page=docs/man/$program.1
		"${KM_BUILD:-build}/$program" help | awk '/^  [a-z]/ { print $1 }' >"$bad.commands"
		[ -s "$bad.commands" ] || echo "$program help lists nothing" >>"$bad"
		while read -r command; do
			grep -qE "^\.It Ic $command( |\$)" "$page" ||
				echo "$page: no $command" >>"$bad"
		done <"$bad.commands"
	done
	rm -f "$bad.commands"
	verdict commands_are_in_the_man_page
}

# The rows of the table, as items of kubemarlad(8).
routes_are_in_the_man_page() {
	grep -oE '^	\{ "/[a-z0-9/]*"' src/api/routes.c | cut -d'"' -f2 | while read -r route; do
		grep -qE "^\.It Ic .*(GET|POST|,) $route( |\$)" docs/man/kubemarlad.8 ||
			echo "docs/man/kubemarlad.8: no $route" >>"$bad"
	done
	verdict routes_are_in_the_man_page
}

echo 1..8
links_lead_somewhere
files_are_there
functions_are_there
rooms_are_those_of_the_source
architecture_is_short
make_targets_exist
commands_are_in_the_man_page
routes_are_in_the_man_page
exit "$failed"
