#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the control plane that go.mod pins, and the test program of this module: build.sh DIR
#
# Into DIR come links to kube-apiserver, kube-controller-manager, kube-scheduler, kubectl and etcd,
# and the test program `scenarios`. Modules come from the Go proxy, checked against go.sum. What is
# built lives in $XDG_CACHE_HOME/kubemarla (~/.cache/kubemarla), by the sum of the pins: a second
# call builds only what changed of the test program. BUILD_JOBS (2) compilers at once: the largest
# package takes some 2 GB.
set -eu
out=${1:?usage: build.sh DIR}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")"

# Some services have no HOME; Go wants one for its modules, too.
export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kubemarla
jobs=${BUILD_JOBS:-2}
# What a caller set would change what is built.
unset GOFLAGS GOWORK GOROOT

die() {
	echo "build.sh: $*" >&2
	exit 1
}

go=$(../../../deploy/dev/go.sh 26) # go.mod wants 1.26.0 at least

export GOCACHE="$cache/go-build" CGO_ENABLED=0
kubernetes=$(sed -n "s/^[[:space:]]*k8s.io\/kubernetes \(v[^ ]*\).*/\1/p" go.mod)
[ -n "$kubernetes" ] || die 'go.mod pins no k8s.io/kubernetes'
key=$({ cat go.mod go.sum; "$go" version; } | sha256sum | cut -c1-16)
bin=$cache/controlplane-$kubernetes-$key
programs='kube-apiserver kube-controller-manager kube-scheduler kubectl etcd'

is_built() {
	for program in $programs; do
		[ -x "$bin/$program" ] || return 1
	done
}

build_programs() {
	start=$(date +%s)
	minor=${kubernetes#v1.}
	minor=${minor%%.*}
	stamp='-s -w'
	for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
		stamp="$stamp -X $package.gitVersion=$kubernetes"
		stamp="$stamp -X $package.gitMajor=1 -X $package.gitMinor=$minor"
	done
	new=$(mktemp -d "$cache/new-XXXXXX")
	set -- k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-controller-manager \
		k8s.io/kubernetes/cmd/kube-scheduler k8s.io/kubernetes/cmd/kubectl
	if ! "$go" build -trimpath -p "$jobs" -ldflags "$stamp" -o "$new/" "$@" ||
		! "$go" build -trimpath -p "$jobs" -ldflags '-s -w' -o "$new/etcd" \
			go.etcd.io/etcd/server/v3; then
		rm -rf "$new"
		die 'the control plane does not build'
	fi
	chmod 755 "$new"
	rm -rf "$bin"
	mv "$new" "$bin"
	echo "Built Kubernetes $kubernetes in $(($(date +%s) - start)) s, into $bin"
}

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # another run builds the same
if ! is_built; then
	echo "Building Kubernetes $kubernetes with $("$go" version | cut -d' ' -f3): many minutes, once"
	build_programs
	# of earlier pins one is kept: another branch may have it
	find "$cache" -maxdepth 1 -name 'controlplane-*' -printf '%T@ %p\n' | sort -rn |
		sed -e 1,2d -e 's/^[^ ]* //' | while read -r old; do rm -rf "$old"; done
fi
touch "$bin"
for program in $programs; do
	ln -sfn "$bin/$program" "$out/$program"
done
unformatted=$("$("$go" env GOROOT)/bin/gofmt" -l .)
[ -z "$unformatted" ] || die "not as gofmt writes it: $unformatted"
"$go" vet -trimpath ./... 9>&-
"$go" test -c -trimpath -p "$jobs" -o "$out/scenarios" ./scenarios 9>&-
