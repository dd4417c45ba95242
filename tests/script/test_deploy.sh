#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What of deploy/ needs no cluster: the daemon takes its configurations, the scripts print their
# steps, and versions agree. Whether an API server takes the manifests, and what they come to, is
# tests/e2e's. kubectl and minikube are fakes. TAP on standard output; runs from the repository root.
# shellcheck disable=SC2317 # tests are called by name
set -u
cd "$(dirname "$0")/../.." || exit 2

build=${KM_BUILD:?wants the directory of the programs}
number=0
failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

verdict() { # NAME: ok when nothing was written to $tmp/bad
	number=$((number + 1))
	if [ -s "$tmp/bad" ]; then
		failed=1
		sed 's/^/# /' "$tmp/bad"
		echo "not ok $number - $1"
	else
		echo "ok $number - $1"
	fi
	: >"$tmp/bad"
}
: >"$tmp/bad"

configurations_are_taken() {
	deploy/overlays/tls/certificates.sh "$tmp/tls" >/dev/null 2>"$tmp/bad" || return
	cp "$tmp/tls/kubemarla-agent.crt" "$tmp/tls/tls.crt"
	cp "$tmp/tls/kubemarla-agent.key" "$tmp/tls/tls.key"
	for file in deploy/base/*/kubemarla.yaml deploy/overlays/*/*/kubemarla.yaml \
		deploy/overlays/tls/agent.yaml deploy/overlays/tls/scheduler.yaml; do
		sed "s|/etc/kubemarla-tls|$tmp/tls|g" "$file" >"$tmp/config.yaml"
		"$build/kubemarlad" -n -c "$tmp/config.yaml" >"$tmp/out" 2>&1 ||
			sed "s|^|$file: |" "$tmp/out" >>"$tmp/bad"
	done
}

# fake_cluster VERSION CONTEXT
fake_cluster() {
	mkdir -p "$tmp/bin"
	cat >"$tmp/bin/kubectl" <<-FAKE
		#!/bin/sh
		case "\$*" in
		'version -o json') printf '{"clientVersion":{"gitVersion":"v1.2.3"},\n "serverVersion": {\n "gitVersion": "$1"\n}}\n' ;;
		'config current-context') echo '$2' ;;
		get*) printf 'daemonset.apps/kubemarla-agent\ndeployment.apps/kubemarla-scheduler\n' ;;
		*) echo "changed: \$*" >>"$tmp/changed" ;;
		esac
	FAKE
	chmod +x "$tmp/bin/kubectl"
}

wants() { # TEXT: in $tmp/out
	grep -qF -e "$1" "$tmp/out" || {
		echo "want \"$1\" in:"
		cat "$tmp/out"
	} >>"$tmp/bad"
}

dry_run() { # VERB [VARIABLE=VALUE...]
	verb=$1
	shift
	env PATH="$tmp/bin:$PATH" DRY_RUN=1 BUILDER=docker "$@" deploy/cluster.sh "$verb" >"$tmp/out" 2>&1 ||
		echo "exit code $?" >>"$tmp/out"
}

real_run() { # VERB [VARIABLE=VALUE...]: it has to fail
	verb=$1
	shift
	env PATH="$tmp/bin:$PATH" "$@" deploy/cluster.sh "$verb" >"$tmp/out" 2>&1 &&
		echo "$verb $*: exit code 0" >>"$tmp/bad"
}

a_dry_run_changes_nothing() {
	fake_cluster v1.34.1+vendor.2 minikube
	dry_run up
	wants 'deploy/image/build.sh kubemarla:local'
	wants 'minikube -p minikube image load build/image.tar'
	wants 'kubectl apply --server-side --force-conflicts -k build/deploy'
	wants 'rollout restart -n kubemarla-system daemonset.apps/kubemarla-agent deployment.apps/kubemarla-scheduler'
	wants 'rollout status -n kubemarla-system deployment.apps/kubemarla-scheduler'
	dry_run down
	wants 'kubectl delete -k deploy/overlays/minikube --ignore-not-found'
	[ ! -f "$tmp/changed" ] || cat "$tmp/changed" >>"$tmp/bad"
}

the_clusters_version_is_taken() {
	for version in v1.34.1 v1.34.1+k3s1 v1.34.1-gke.1000; do
		fake_cluster "$version" minikube
		dry_run up
		wants 'with kube-scheduler v1.34.1'
		grep -q 'kube-scheduler, newTag: v1.34.1}' build/deploy/kustomization.yaml ||
			echo "$version: $(grep newTag build/deploy/kustomization.yaml)" >>"$tmp/bad"
	done
	rm -rf build/deploy
}

elsewhere_one_pushes_the_image() {
	fake_cluster v1.34.1 production
	dry_run up IMAGE=registry.invalid:5000/team/kubemarla:7
	wants 'push registry.invalid:5000/team/kubemarla:7'
	grep -q 'newName: registry.invalid:5000/team/kubemarla, newTag: "7"' build/deploy/kustomization.yaml ||
		cat build/deploy/kustomization.yaml >>"$tmp/bad"
	rm -rf build/deploy
}

mistakes_are_told() {
	fake_cluster v1.34.1 minikube
	dry_run up IMAGE=kubemarla
	wants 'IMAGE: "kubemarla" has no tag'
	dry_run up IMAGE=registry.invalid:5000/kubemarla
	wants 'IMAGE: "registry.invalid:5000/kubemarla" has no tag'
	dry_run up OVERLAY=deploy/nothing
	wants 'OVERLAY: no kustomization in "deploy/nothing"'
	dry_run sideways
	wants 'saw "sideways", want up or down'
	# from here on it is no dry run: nothing is built first
	real_run up KUBECTL=no-such-kubectl
	wants 'no no-such-kubectl in PATH'
	if [ ! -x /usr/bin/minikube ]; then
		real_run up PATH="$tmp/bin:/usr/bin:/bin"
		wants 'no minikube in PATH'
	fi
	[ ! -f "$tmp/changed" ] || cat "$tmp/changed" >>"$tmp/bad"
	fake_cluster v1.34.1 production
	real_run up BUILDER=true
	wants 'The context "production" is no Minikube'
	[ ! -f "$tmp/changed" ] || cat "$tmp/changed" >>"$tmp/bad"
	printf '#!/bin/sh\nexit 1\n' >"$tmp/bin/kubectl"
	for verb in up down; do
		real_run "$verb"
		wants 'no cluster answers'
	done
}

versions_agree() {
	pinned=$(sed -n 's/^[[:space:]]*k8s.io\/kubernetes \(v[^ ]*\).*/\1/p' tests/e2e/controlplane/go.mod)
	grep -q "kube-scheduler, newTag: $pinned}" deploy/base/scheduler/kustomization.yaml ||
		echo "deploy/base has another kube-scheduler than the $pinned that tests/e2e runs" >>"$tmp/bad"
	grep -qF "**${pinned#v}**" docs/DEPLOY.md || echo "docs/DEPLOY.md does not speak of $pinned" >>"$tmp/bad"
}

for test in configurations_are_taken a_dry_run_changes_nothing the_clusters_version_is_taken \
	elsewhere_one_pushes_the_image mistakes_are_told versions_agree; do
	"$test"
	verdict "$test"
done
echo "1..$number"
exit "$failed"
