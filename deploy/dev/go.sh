#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the path of a Go that is new enough: go.sh MINOR, 26 for go1.26 or newer
#
# The one in PATH, if it is. Else a newer one comes as a module through the Go proxy, once, into
# $XDG_CACHE_HOME/kubemarla (~/.cache/kubemarla): before 1.21, as Debian 12 has it, Go cannot exchange
# itself. Where there is none at all, deps.sh installs Debian's.
set -eu
minor=${1:?usage: go.sh MINOR}
cd "$(dirname "$0")"

go_version=1.26.8 # what an older Go is exchanged for
# Some services have no HOME; Go wants one for its modules, too.
export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kubemarla
unset GOFLAGS GOWORK GOROOT

die() {
	echo "go.sh: $*" >&2
	exit 1
}

# minor_of GO: 26 of go1.26.8; 0 when that is no Go.
minor_of() {
	GOTOOLCHAIN=local "$1" version 2>/dev/null |
		sed -n 's/^go version go1\.\([0-9]*\).*/\1/p' | grep . || echo 0
}

if ! command -v go >/dev/null; then
	./deps.sh go >&2 || die 'no Go: install golang-go, or put go into PATH'
fi
go=$(command -v go)
if [ "$(minor_of "$go")" -ge "$minor" ]; then
	echo "$go"
	exit 0
fi

# Executable bits are what module archives do not have.
have=$cache/go$go_version
if [ ! -x "$have/bin/go" ]; then
	module=golang.org/toolchain@v0.0.1-go$go_version.$("$go" env GOOS)-$("$go" env GOARCH)
	echo "Go $go_version comes as the module $module" >&2
	empty=$(mktemp -d)
	dir=$(cd "$empty" && "$go" mod download -json "$module" |
		sed -n 's/^[[:space:]]*"Dir": "\(.*\)".*/\1/p')
	rm -rf "$empty"
	[ -n "$dir" ] || die "no $module"
	mkdir -p "$cache"
	rm -rf "$have.new"
	cp -R "$dir" "$have.new"
	chmod -R u+w "$have.new"
	chmod +x "$have.new"/bin/* "$have.new"/pkg/tool/*/*
	mv "$have.new" "$have"
fi
echo "$have/bin/go"
