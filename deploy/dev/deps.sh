#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that are missing: deps.sh SET... with the sets build, test, dev, go,
# image and lab. Silent when nothing is missing. Asks apt through sudo when not root; where neither is
# possible it names the packages and stops before anything is changed.
set -eu

# libgomp comes with gcc; curl is for the demo.
build='gcc libc6-dev make pkg-config git libmicrohttpd-dev libgnutls28-dev libcurl4-openssl-dev libcjson-dev
	libyaml-dev libxgboost-dev zlib1g-dev curl'
# gnuplot draws what `kubemarla eval --html` shows; without it those pages have tables only.
# openssl makes the certificates of tests/integration.
test='libcmocka-dev gnuplot-nox openssl'
# libclang-rt-14-dev has the sanitizer and fuzzer run-times of Debian 12's clang.
# stress-ng keeps a CPU busy in tests/integration.
dev='clang libclang-rt-14-dev clang-format clang-tidy cppcheck shellcheck mandoc codespell wrk jq
	stress-ng'
# For tests/integration/extender-client.sh where there is no other Go.
go='golang-go ca-certificates'

# For the laboratory: the service, a load generator, plots of its reports; vegeta is built by
# deploy/lab/vegeta.sh, with a newer Go than Debian 12's.
lab='nginx wrk gnuplot-nox ca-certificates'

# For tests/integration/image.sh: an image without a container engine.
image='buildah debootstrap ca-certificates'

wanted=''
for set_name in "$@"; do
	case $set_name in
	build) wanted="$wanted $build" ;;
	test) wanted="$wanted $test" ;;
	dev) wanted="$wanted $dev" ;;
	go) wanted="$wanted $go" ;;
	image) wanted="$wanted $image" ;;
	lab) wanted="$wanted $lab" ;;
	*)
		echo "deps.sh: unknown set \"$set_name\", want build, test, dev, go, image or lab" >&2
		exit 2
		;;
	esac
done
[ -n "$wanted" ] || {
	echo 'usage: deps.sh build|test|dev|go|image|lab...' >&2
	exit 2
}

if ! command -v dpkg-query >/dev/null; then
	# Not Debian: the compiler will say what is missing.
	echo "deps.sh: no dpkg here; these Debian packages' counterparts are needed:" >&2
	# shellcheck disable=SC2086 # a list of words
	printf '  %s\n' $wanted >&2
	exit 0
fi

# shellcheck disable=SC2086 # a list of words
missing=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' $wanted 2>/dev/null |
	awk -v wanted="$wanted" '
	$1 == "ii" { have[$2] = 1 }
	END { n = split(wanted, p); for (i = 1; i <= n; i++) if (!(p[i] in have)) printf "%s ", p[i] }')
missing=${missing% }
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
	as_root=''
elif command -v sudo >/dev/null && { sudo -n true || (: </dev/tty); } 2>/dev/null; then
	as_root='sudo'
else
	{
		echo "Missing Debian packages: $missing"
		echo 'Not root and no usable sudo. As root, run:'
		echo "  apt-get install --no-install-recommends $missing"
	} >&2
	exit 1
fi

apt() {
	# shellcheck disable=SC2086 # as_root is one word or none
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@"
}

# Debian starts a service when it installs it, and nginx' would listen to everybody.
policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d} # where invoke-rc.d looks
start_nothing() {
	case " $missing " in
	*' nginx '*) [ ! -e "$policy" ] || return 0 ;;
	*) return 0 ;;
	esac
	trap '$as_root rm -f "$policy"' EXIT
	trap 'exit 130' INT TERM
	printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
	$as_root chmod 755 "$policy"
	echo 'nginx is installed, not started; at boot it would be: systemctl disable nginx'
}

install_missing() {
	# shellcheck disable=SC2086 # a list of words
	apt install -y --no-install-recommends $missing
}

echo "Installing missing Debian packages${as_root:+ (with sudo)}: $missing"
start_nothing
# Lists that are absent or too old to name the packages, or to fetch them, are renewed first.
# shellcheck disable=SC2086 # a list of words
if ! apt install --simulate --no-install-recommends $missing >/dev/null 2>&1; then
	apt update
	install_missing
elif ! install_missing; then
	apt update
	install_missing
fi
