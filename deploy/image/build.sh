#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the image with docker, podman or buildah, whichever is there: build.sh [IMAGE]
# With --builder it only says which.
#
#   IMAGE             name and tag (kubemarla:local, kubemarla-lab:local)
#   LAB=1             the laboratory's image instead; wants Go, which builds vegeta
#   BUILDER           docker, podman or buildah (the first that works)
#   BUILDER_OPTIONS   further arguments to its `build`, before the context
#   BASE              image to build on (Debian 12)
#   PCM_LIB           file of libpcm.so to put in; without it the source pcm is absent, and
#                     `kubemarla doctor` says so
#
# The context is what git knows of the tree, in build/image; nothing else gets into the image.
set -eu
cd "$(dirname "$0")/../.."

if [ "${LAB:-0}" = 1 ]; then
	dockerfile=deploy/experiments/Dockerfile
	image=${1:-kubemarla-lab:local}
else
	dockerfile=deploy/image/Dockerfile
	image=${1:-kubemarla:local}
fi
context=build/image

die() {
	echo "image: $*" >&2
	exit 1
}

works() { # BUILDER
	command -v "$1" >/dev/null || return 1
	# docker without its daemon is no builder
	case $1 in
	docker | podman) "$1" info >/dev/null 2>&1 ;;
	esac
}

builder=${BUILDER:-}
for candidate in docker podman buildah; do
	[ -n "$builder" ] || ! works "$candidate" || builder=$candidate
done
[ -n "$builder" ] || die 'neither docker nor podman nor buildah works here; BUILDER names one'
if [ "$image" = --builder ]; then
	echo "$builder"
	exit
fi

git rev-parse --is-inside-work-tree >/dev/null 2>&1 ||
	die 'the context is what git knows of the tree: want git and a clone of the repository'
rm -rf "$context"
mkdir -p "$context/source" "$context/pcm"
git ls-files -z -- Makefile src include models deploy/dev deploy/experiments docs/man |
	tar -c --null --verbatim-files-from -T - | tar -x -C "$context/source"
: >"$context/pcm/.empty" # COPY wants something
if [ -n "${PCM_LIB:-}" ]; then
	[ -f "$PCM_LIB" ] || die "PCM_LIB: \"$PCM_LIB\" is no file"
	cp -L "$PCM_LIB" "$context/pcm/libpcm.so"
fi
if [ "${LAB:-0}" = 1 ]; then
	# without libc: that of the image may be older than the one here
	CGO_ENABLED=0 deploy/lab/vegeta.sh "$context/lab"
fi
version=$(git describe --tags --always --dirty 2>/dev/null || echo unknown)

set -- -f "$dockerfile" -t "$image" --build-arg "VERSION=$version"
[ -z "${BASE:-}" ] || set -- "$@" --build-arg "BASE=$BASE"
echo "Building $image with $builder${PCM_LIB:+, with $PCM_LIB in it}"
verb=build
[ "$builder" != buildah ] || verb=bud
# shellcheck disable=SC2086 # a list of words
exec "$builder" $verb ${BUILDER_OPTIONS:-} "$@" "$context"
