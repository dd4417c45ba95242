#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The image, built and run without any container engine: image.sh OUT
#
# buildah builds deploy/image/Dockerfile, and then deploy/experiments/Dockerfile, in a chroot, on a
# Debian 12 that debootstrap makes; that base, with the packages that a build needs, is kept in
# $XDG_CACHE_HOME/kubemarla/image. Then the manifests' own command lines are run from the image, as
# their user. What it does not show: namespaces, capabilities and seccomp, which an engine would add.
set -eu
cd "$(dirname "$0")/../.."

: "${1:?usage: image.sh OUT}" # as its neighbours; what it builds is not of OUT
tmp=$(mktemp -d)
# shellcheck source=tests/support/daemon.sh
. tests/support/daemon.sh
patience_s=30
export HOME="${HOME:-$(getent passwd 0 | cut -d: -f6)}"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kubemarla/image
image=localhost/kubemarla:test
lab_image=localhost/kubemarla-lab:test
# another one when other packages are wanted
base=localhost/debian-bookworm:$(sha256sum deploy/dev/deps.sh | cut -c1-12)

[ "$(id -u)" -eq 0 ] || die 'debootstrap and a chroot want root'
deploy/dev/deps.sh image || die 'buildah or debootstrap are missing'

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
cat >"$tmp/storage.conf" <<CONF
[storage]
driver = "vfs"
graphroot = "$cache/storage"
runroot = "$tmp/run"
CONF
export CONTAINERS_STORAGE_CONF="$tmp/storage.conf" BUILDAH_ISOLATION=chroot BUILDAH_FORMAT=oci

took_since() { # SECOND
	printf '%s s' $(($(date +%s) - $1))
}

if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
	start=$(date +%s)
	debootstrap --variant=minbase bookworm "$tmp/base" >"$tmp/log" 2>&1 || die 'debootstrap failed'
	made=$(buildah from scratch)
	buildah add -q "$made" "$tmp/base" / >/dev/null
	buildah copy -q "$made" deploy/dev/deps.sh /deps.sh >/dev/null
	# what the Dockerfile will ask for, so that it finds it there
	buildah run "$made" -- sh -c 'apt-get -q update && /deps.sh build &&
		apt-get install -y --no-install-recommends ca-certificates' >"$tmp/log" 2>&1 ||
		die 'the base lacks packages'
	buildah commit -q "$made" "$base" >/dev/null
	buildah rm "$made" >/dev/null
	rm -rf "$tmp/base"
	buildah images --format '{{.Name}}:{{.Tag}}' | grep '^localhost/debian-bookworm:' |
		while read -r old; do [ "$old" = "$base" ] || buildah rmi "$old" >/dev/null; done
	: >"$tmp/log"
	check 1 'base' "made in $(took_since "$start")"
fi

start=$(date +%s)
if BUILDER=buildah BASE=$base BUILDER_OPTIONS=--pull-never \
	deploy/image/build.sh "$image" >"$tmp/log" 2>&1; then
	check 1 'make image' "in $(took_since "$start")"
else
	die 'the image does not build'
fi
: >"$tmp/log"

container=$(buildah from --pull-never "$image")
root=$(buildah mount "$container")
# shellcheck disable=SC2317 # called at the end
at_end() {
	buildah rm "$container" >/dev/null 2>&1 || true
	# the images of earlier runs, and what builds leave between their stages
	buildah rmi --prune >/dev/null 2>&1 || true
}

size=$(du -sm "$root" | cut -f1)
[ "$size" -lt 100 ] && ok=1 || ok=0
check "$ok" 'small' "$size MB unpacked, want less than 100"
extra=$(find "$root" -perm /6000 -o -name '*.a' -o -name sh -type f -o -name 'kubemarla-lab*' |
	head -n 3)
[ -z "$extra" ] && ok=1 || ok=0
check "$ok" 'nothing else in it' "no shell, no setuid file, no laboratory${extra:+: $extra}"

# in_image COMMAND...: as the image's user, in its root, without a network of its own
in_image() {
	chroot --userspec=65532:65532 "$root" "$@"
}
user=$(buildah inspect --type image --format '{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}}' "$image")
[ "$user" = '65532:65532 [/usr/sbin/kubemarlad]' ] && ok=1 || ok=0
check "$ok" 'user and entry point' "$user"

# As the manifests mount them: each configuration at /etc/kubemarla.
mkdir -p "$root/etc/kubemarla" "$root/proc"
for config in deploy/base/agent/kubemarla.yaml deploy/base/scheduler/kubemarla.yaml \
	deploy/overlays/minikube/agent-host/kubemarla.yaml; do
	cp "$config" "$root/etc/kubemarla/kubemarla.yaml"
	said=$(in_image /usr/sbin/kubemarlad -n -c /etc/kubemarla/kubemarla.yaml 2>&1) && ok=1 || ok=0
	check "$ok" 'kubemarlad -n' "$config: $said"
done
for tool in '/usr/bin/kubemarla --version' '/usr/bin/kubectl-marla --version' \
	'/usr/sbin/kubemarla-pcm --version'; do
	# shellcheck disable=SC2086 # a list of words
	said=$(in_image $tool 2>&1) && ok=1 || ok=0
	check "$ok" 'runs' "$tool: $said"
done

# The agent's command, on a port of its own here, with the kernel's own numbers.
cp deploy/base/agent/kubemarla.yaml "$root/etc/kubemarla/kubemarla.yaml"
sed -i 's/^observe:.*/observe: {address: "", port: 0}/; s/sources: auto/sources: []/' \
	"$root/etc/kubemarla/kubemarla.yaml"
start env NODE_NAME=from-the-pod chroot --userspec=65532:65532 "$root" /usr/sbin/kubemarlad \
	-c /etc/kubemarla/kubemarla.yaml -l 127.0.0.1:0
curl -sS -f "http://127.0.0.1:$port/healthz" >/dev/null && ok=1 || ok=0
check "$ok" 'serves' "/healthz"
curl -sS -f "http://127.0.0.1:$port/v1/features" | grep -q from-the-pod && ok=1 || ok=0
check "$ok" 'node name' 'as the environment says'
grep -q 'model loaded' "$tmp/log" && ok=1 || ok=0
check "$ok" 'model' 'the one of the image is loaded'
check_stop

# The laboratory's image: what the manifests of deploy/experiments run, as their user.
buildah rm "$container" >/dev/null
start=$(date +%s)
if LAB=1 BUILDER=buildah BASE=$base BUILDER_OPTIONS=--pull-never \
	deploy/image/build.sh "$lab_image" >"$tmp/log" 2>&1; then
	check 1 'make lab-image' "in $(took_since "$start")"
else
	die "the laboratory's image does not build"
fi
container=$(buildah from --pull-never "$lab_image")
root=$(buildah mount "$container")
mkdir -p "$root/proc" "$root/sys" "$root/tmp"
said=$(in_image kubemarla-lab stress l2 --seconds 0.1 --json 2>"$tmp/log") && ok=1 || ok=0
check "$ok" 'stressor' "$said"
said=$(in_image vegeta -version | head -n 1) && ok=1 || ok=0
check "$ok" 'vegeta' "$said"
# the Job's own script; nobody answers it
script=$(sed -n '/^        - |$/,/^        - load$/p' deploy/experiments/load.yaml | sed '1d; $d; s/^          //')
said=$(in_image sh -euc "$script" load http://127.0.0.1:1/ 2 0 0.000 20/1s 0.100s 0 0.010 2000/1000s 1.000s) &&
	ok=1 || ok=0
requests=$(printf '%s' "$said" | jq .requests)
[ "$requests" = 4 ] || ok=0
check "$ok" 'the Job' "$requests requests, want 2 of each of its two attacks"
[ ! -e "$root/usr/sbin/kubemarlad" ] && ok=1 || ok=0
check "$ok" 'nothing of the daemon' 'in it'

exit "$failed"
