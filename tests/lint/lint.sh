#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The static checks, a line each; all output of one that failed. With names as arguments, only those:
# lint.sh format tidy
# shellcheck disable=SC2317 # the check_* functions are called by name
set -u
cd "$(dirname "$0")/../.." || exit 2

jobs=$(nproc)
c_dirs='src include tests'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# Only what git knows or would add: editors' and sanitizers' droppings are nobody's concern.
files() {
	git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
		[ ! -f "$file" ] || printf '%s\n' "$file"
	done
}

c_files() {
	# shellcheck disable=SC2086 # a list of words
	files $c_dirs | grep '\.[ch]$'
}

shell_files() {
	files '*.sh' .ci/run
}

check_layers() {
	tests/lint/layers.sh
}

check_format() {
	c_files | xargs clang-format --dry-run -Werror
}

# One file per process: clang-tidy 14 carries state over from one file to the next and then reports
# va_lists that are fine.
check_tidy() {
	flags="-std=c17 -D_GNU_SOURCE -DKM_VERSION='\"lint\"' -Iinclude"
	flags="$flags $(pkg-config --cflags libmicrohttpd gnutls libcurl libcjson yaml-0.1 xgboost zlib)"
	tidied=0
	c_files | grep '^src/.*\.c$' |
		xargs -P "$jobs" -I{} sh -c "clang-tidy --quiet {} -- $flags 2>/dev/null" || tidied=1
	c_files | grep '^tests/.*\.c$' |
		xargs -P "$jobs" -I{} sh -c "clang-tidy --quiet {} -- $flags -Isrc -Itests 2>/dev/null" ||
		tidied=1
	return "$tidied"
}

# internalAstError: cppcheck 2.10 gives up on the address of a compound literal.
check_cppcheck() {
	cppcheck --quiet -j "$jobs" --enable=warning,performance,portability --inline-suppr \
		--error-exitcode=1 --std=c11 --suppress=missingIncludeSystem \
		--suppress=internalAstError -D_GNU_SOURCE -DXGBOOST_VER_MAJOR=1 \
		-DXGBOOST_VER_MINOR=7 -Iinclude src
}

check_shellcheck() {
	shell_files | xargs shellcheck -x # what a script sources too
}

check_man() {
	files docs/man | xargs -r mandoc -Tlint -Wwarning
}

check_spelling() {
	files src include tests docs deploy models README.md Makefile .ci |
		grep -vE '^tests/fuzz/(corpus|regression|dict)/|\.(ubj|json|gz|csv|svg)$|/go\.(mod|sum)$' |
		xargs codespell --ignore-words=tests/lint/words.txt
}

check_size() {
	# wc's total lines are no files.
	c_files | xargs wc -l |
		awk '$2 != "total" && $1 > 500 { print $2 ": " $1 " lines, want 500 at most"; bad = 1 }
		     END { exit bad }'
}

check_licence() {
	{ c_files; shell_files; files '*.go'; } | xargs grep -L 'SPDX-License-Identifier: Apache-2.0' |
		awk '{ print $0 ": no SPDX line"; bad = 1 } END { exit bad }'
}

[ $# -gt 0 ] || set -- layers format tidy cppcheck shellcheck man spelling size licence
failed=0
for check in "$@"; do
	if "check_$check" >"$work/log" 2>&1; then
		printf '  ok    %s\n' "$check"
	else
		printf '  FAIL  %s\n' "$check"
		sed 's/^/        | /' "$work/log"
		failed=1
	fi
done
exit $failed
