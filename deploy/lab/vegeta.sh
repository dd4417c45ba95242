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
needs_minor=22 # of Go 1
dir=${1:-build/lab}

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
if [ -x "$dir/vegeta" ] &&
	[ "$("$dir/vegeta" -version | sed -n 's/^Version: //p')" = "$version" ]; then
	exit 0
fi
go=$(deploy/dev/go.sh $needs_minor)
unset GOFLAGS GOWORK
# It does not know its version unless it is told.
GOBIN=$dir "$go" install -trimpath -ldflags "-s -w -X main.Version=$version" \
	"github.com/tsenart/vegeta/v12@$version"
echo "$dir/vegeta $version"
