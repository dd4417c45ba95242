#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds vegeta, the laboratory's load generator, at the version pinned here: vegeta.sh [DIR]
#
# DIR: build/lab of this tree by default; ~/.cache/kubemarla is the other place where kubemarla-lab
# looks beside PATH. Sources come through the Go module proxy, checked by Go's checksum database.
# Does nothing when that version is there.
set -eu
cd "$(dirname "$0")/../.."

version=v12.12.0
needs_go=1.22
dir=${1:-build/lab}

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
if [ -x "$dir/vegeta" ] &&
	[ "$("$dir/vegeta" -version | sed -n 's/^Version: //p')" = "$version" ]; then
	exit 0
fi
if ! command -v go >/dev/null; then
	echo "vegeta.sh: no go in PATH, want Go $needs_go or newer (go.dev/dl)" >&2
	exit 1
fi
# From 1.21 on Go fetches the newer one that a module wants.
has=$(go env GOVERSION | sed 's/^go1\.\([0-9]*\).*/\1/')
if [ "$has" -lt 21 ]; then
	echo "vegeta.sh: saw $(go env GOVERSION), want Go $needs_go or newer (1.21 fetches it)" >&2
	exit 1
fi
unset GOFLAGS GOWORK
# It does not know its version unless it is told.
GOBIN=$dir go install -trimpath -ldflags "-s -w -X main.Version=$version" \
	"github.com/tsenart/vegeta/v12@$version"
echo "$dir/vegeta $version"
