#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The set-up step of `make build`, `make demo` and `make test` on machines with other packages and
# rights than this one: dpkg-query, apt-get, sudo and id are fakes, and write down how they were
# called. TAP on standard output; runs from the repository root. Installs nothing.
# shellcheck disable=SC2015,SC2016,SC2317 # `say` is for when anything before it failed; fakes; calls by name
set -u
cd "$(dirname "$0")/../.." || exit 2

deps=$PWD/deploy/dev/deps.sh
number=0
failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

say() {
	sed 's/^/# /' "$@"
	return 1
}

fake() { # NAME: its body is standard input
	{
		echo '#!/bin/sh'
		cat
	} >"$tmp/bin/$1"
	chmod +x "$tmp/bin/$1"
}

# A machine: machine UID MISSING..., in $tmp/bin the only tools there are.
machine() {
	rm -rf "${tmp:?}/bin" "$tmp/calls"
	mkdir "$tmp/bin"
	for tool in sh env awk sed cat find git make nproc uname mkdir rm dirname setsid touch; do
		path=$(command -v "$tool") && ln -s "$path" "$tmp/bin/$tool"
	done
	: >"$tmp/calls"
	echo "echo $1" | fake id
	echo "exit 0" | fake true
	shift
	printf '%s\n' "$@" >"$tmp/missing"
	# As dpkg-query: a line for each package that is there, complaint and 1 when one is not.
	fake dpkg-query <<-EOF
		status=0
		for p in "\$@"; do
			case \$p in -*|*{*) continue ;; esac
			case " $* " in
			*" \$p "*) status=1 ;;
			*) echo "ii  \$p" ;;
			esac
		done
		exit \$status
	EOF
	echo "echo \"apt-get \$*\" >>$tmp/calls" | fake apt-get
}

usable_sudo() {
	printf 'echo sudo >>%s\n[ "$1" = -n ] && shift\nexec "$@"\n' "$tmp/calls" | fake sudo
}

# run COMMAND...: without a terminal to ask for a password at. returns its status.
run() {
	PATH=$tmp/bin setsid -w "$@" >"$tmp/out" 2>&1 </dev/null
}

called() {
	grep -v '^sudo$' "$tmp/calls"
}

nothing_missing_is_silent() {
	machine 1000
	run "$deps" build test dev || say "$tmp/out" || return 1
	[ ! -s "$tmp/out" ] && [ ! -s "$tmp/calls" ]
}

root_installs_what_is_missing() {
	machine 0 libyaml-dev libcmocka-dev
	run "$deps" build test || say "$tmp/out" || return 1
	grep -q '^Installing missing Debian packages: libyaml-dev libcmocka-dev$' "$tmp/out" &&
		[ "$(called | tail -n 1)" = \
			'apt-get -q install -y --no-install-recommends libyaml-dev libcmocka-dev' ] &&
		! grep -q '^sudo$' "$tmp/calls" || say "$tmp/out" "$tmp/calls"
}

others_install_through_sudo() {
	machine 1000 libyaml-dev
	usable_sudo
	run "$deps" build || say "$tmp/out" || return 1
	grep -q '^Installing missing Debian packages (with sudo): libyaml-dev$' "$tmp/out" &&
		grep -q '^sudo$' "$tmp/calls" &&
		[ "$(called | tail -n 1)" = \
			'apt-get -q install -y --no-install-recommends libyaml-dev' ] ||
		say "$tmp/out" "$tmp/calls"
}

old_lists_are_renewed_first() {
	machine 0 libyaml-dev
	fake apt-get <<-EOF
		echo "apt-get \$*" >>$tmp/calls
		case "\$*" in
		*update*) touch $tmp/renewed ;;
		*) [ -e $tmp/renewed ] ;;
		esac
	EOF
	rm -f "$tmp/renewed"
	run "$deps" build || say "$tmp/out" || return 1
	called | grep -q 'update' && called | tail -n 1 | grep -q 'install -y' || say "$tmp/calls"
}

# The packages are named, and nothing was tried.
names_and_stops() {
	grep -q '^Missing Debian packages: libyaml-dev zlib1g-dev$' "$tmp/out" &&
		grep -q '^  apt-get install --no-install-recommends libyaml-dev zlib1g-dev$' "$tmp/out" &&
		[ -z "$(called)" ] || say "$tmp/out" "$tmp/calls"
}

without_sudo_it_names_the_packages() {
	machine 1000 libyaml-dev zlib1g-dev
	run "$deps" build && return 1
	names_and_stops
}

with_a_sudo_that_refuses_it_names_the_packages() {
	machine 1000 libyaml-dev zlib1g-dev
	echo 'exit 1' | fake sudo
	run "$deps" build && return 1
	names_and_stops
}

# All files that git would commit, without anything built.
make_stops_with_nothing_half_done() {
	machine 1000 libyaml-dev zlib1g-dev
	mkdir "$tmp/tree" &&
		git ls-files --cached --others --exclude-standard -z -- Makefile deploy include src tests models |
		xargs -0 cp --parents -t "$tmp/tree" || return 1
	for target in build demo test; do
		run make -C "$tmp/tree" "$target" && return 1
		names_and_stops || return 1
		[ ! -e "$tmp/tree/build" ] || {
			find "$tmp/tree/build" | say
			return 1
		}
	done
}

# Debian starts a service as it installs it; while apt is at work a policy of no forbids that.
no_service_is_started() {
	machine 0 nginx
	for tool in tee chmod; do
		ln -s "$(command -v "$tool")" "$tmp/bin/$tool"
	done
	fake apt-get <<-EOF
		case "\$*" in
		*simulate*) ;;
		*) sh $tmp/policy >/dev/null; echo "policy says \$?" >>$tmp/calls ;;
		esac
	EOF
	POLICY_RC_D=$tmp/policy run "$deps" lab || say "$tmp/out" || return 1
	grep -q '^policy says 101$' "$tmp/calls" && [ ! -e "$tmp/policy" ] || say "$tmp/calls" || return 1
	echo 'exit 0' >"$tmp/policy" # somebody's own stays
	POLICY_RC_D=$tmp/policy run "$deps" lab || say "$tmp/out" || return 1
	[ "$(cat "$tmp/policy")" = 'exit 0' ]
}

unknown_sets_are_refused() {
	machine 1000
	run "$deps" biuld && return 1
	grep -q 'unknown set "biuld"' "$tmp/out"
}

tests='nothing_missing_is_silent root_installs_what_is_missing others_install_through_sudo
	old_lists_are_renewed_first without_sudo_it_names_the_packages
	with_a_sudo_that_refuses_it_names_the_packages make_stops_with_nothing_half_done
	no_service_is_started unknown_sets_are_refused'
# shellcheck disable=SC2086 # a list of words
set -- $tests
echo "1..$#"
for test; do
	number=$((number + 1))
	if $test; then
		echo "ok $number - $test"
	else
		failed=1
		echo "not ok $number - $test"
	fi
done
exit "$failed"
