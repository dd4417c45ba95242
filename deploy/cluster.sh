#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Puts KubeMarla onto the cluster that kubectl talks to, and takes it off again:
#
#   cluster.sh up      image, load, apply, wait until ready, say how to try it
#   cluster.sh down    delete all of it
#
#   OVERLAY        directory with a kustomization (deploy/overlays/minikube)
#   IMAGE          name and tag (kubemarla:local)
#   SKIP_IMAGE=1   neither build nor load it: it is where the nodes pull from
#   PROFILE        Minikube's profile (minikube)
#   KUBECTL        kubectl, with arguments such as --context
#   DRY_RUN=1      print the steps, change nothing
#   and for the image BUILDER, BASE, PCM_LIB: see deploy/image/build.sh
set -eu
cd "$(dirname "$0")/.."

verb=${1:-}
overlay=${OVERLAY:-deploy/overlays/minikube}
image=${IMAGE:-kubemarla:local}
profile=${PROFILE:-minikube}
kubectl=${KUBECTL:-kubectl}
namespace=kubemarla-system
wait_s=${WAIT_SECONDS:-180}
made=build/deploy # the overlay with this cluster's image and version

die() {
	echo "cluster.sh: $*" >&2
	exit 1
}
step() { # WHAT: for who watches
	printf '==> %s\n' "$*"
}
run() { # COMMAND...: printed, and run unless this is a dry run
	printf '    %s\n' "$*"
	[ "${DRY_RUN:-0}" = 1 ] || "$@"
}
kube() {
	# shellcheck disable=SC2086 # kubectl may have arguments of its own
	run $kubectl "$@"
}
# Asked also in a dry run; a cluster that does not answer gives what is said instead.
asked() { # INSTEAD COMMAND...
	instead=$1
	shift
	if answer=$("$@" 2>/dev/null); then
		printf '%s\n' "$answer"
	elif [ "${DRY_RUN:-0}" = 1 ]; then
		printf '%s\n' "$instead"
	fi
}

cluster_version() { # v1.34.1 of v1.34.1-vendor.3+build
	# shellcheck disable=SC2086 # as above
	asked '"serverVersion"{"gitVersion": "v0.0.0"}' $kubectl version -o json |
		tr '\n' ' ' | sed -n 's/.*"serverVersion".*"gitVersion": *"\(v[0-9]*\.[0-9]*\.[0-9]*\).*/\1/p'
}

# Ends this when there is nobody to talk to; a dry run goes on.
need_cluster() {
	program=${kubectl%% *}
	command -v "$program" >/dev/null || [ "${DRY_RUN:-0}" = 1 ] ||
		die "no $program in PATH; KUBECTL names another"
	version=$(cluster_version)
	[ -n "$version" ] || die "no cluster answers: $kubectl version says why"
}

is_minikube() { # whether kubectl talks to it
	# shellcheck disable=SC2086 # as above
	context=$(asked "$profile" $kubectl config current-context)
	[ "$context" = "$profile" ]
}

# The kustomization of $made: OVERLAY with our image, and kube-scheduler in the cluster's version.
write_kustomization() { # VERSION
	up=$(printf '%s' "$made" | sed 's/[^/][^/]*/../g')
	mkdir -p "$made"
	cat >"$made/kustomization.yaml" <<-YAML
		# Made by deploy/cluster.sh.
		apiVersion: kustomize.config.k8s.io/v1beta1
		kind: Kustomization
		resources: [$up/$overlay]
		images:
		- {name: kubemarla, newName: ${image%:*}, newTag: "${image##*:}"}
		- {name: registry.k8s.io/kube-scheduler, newTag: ${1}}
	YAML
}

load_image() {
	archive=build/image.tar
	if ! is_minikube; then
		step "The context \"$context\" is no Minikube (PROFILE is \"$profile\"): push $image where its nodes find it, then make deploy SKIP_IMAGE=1"
		[ "${DRY_RUN:-0}" = 1 ] || exit 1
		return
	fi
	step "Load it into Minikube's nodes"
	rm -f "$archive"
	builder=${BUILDER:-$(deploy/image/build.sh --builder)}
	case $builder in
	buildah | podman) run "$builder" push -q "$image" "docker-archive:$archive:$image" ;;
	*) run docker save -o "$archive" "$image" ;;
	esac
	run minikube -p "$profile" image load "$archive"
	run rm -f "$archive"
}

# What reads its configuration once is restarted when it was there before: names of ConfigMaps do
# not change with their content.
workloads() {
	# shellcheck disable=SC2086 # as above
	asked '' $kubectl get daemonset,deployment -n "$namespace" -o name \
		-l app.kubernetes.io/name=kubemarla
}

up() {
	[ -f "$overlay/kustomization.yaml" ] || die "OVERLAY: no kustomization in \"$overlay\""
	case $overlay in /*) die "OVERLAY: \"$overlay\" is absolute, want a directory of this tree" ;; esac
	case ${image##*/} in *:*) ;; *) die "IMAGE: \"$image\" has no tag" ;; esac
	need_cluster
	if [ "${SKIP_IMAGE:-0}" != 1 ]; then
		# known before minutes are spent on the image
		! is_minikube || command -v minikube >/dev/null || [ "${DRY_RUN:-0}" = 1 ] ||
			die 'no minikube in PATH, which loads the image; SKIP_IMAGE=1 if the nodes have it'
		step "Build $image"
		run deploy/image/build.sh "$image"
		load_image
	fi
	step "Apply $overlay, with kube-scheduler $version"
	before=$(workloads)
	write_kustomization "$version"
	kube apply --server-side --force-conflicts -k "$made"
	if [ -n "$before" ]; then
		# shellcheck disable=SC2086 # a list of names
		kube rollout restart -n "$namespace" $before
	fi
	step 'Wait until it is ready'
	now=$(workloads)
	for object in ${now:-deployment/kubemarla-scheduler daemonset/kubemarla-agent}; do
		if ! kube rollout status -n "$namespace" "$object" --timeout="${wait_s}s"; then
			kube get pods -n "$namespace" -o wide || true
			kube get events -n "$namespace" --sort-by=.lastTimestamp || true
			die "$object is not ready after $wait_s s"
		fi
	done
	[ "${DRY_RUN:-0}" != 1 ] || return 0
	cat <<-TEXT

		KubeMarla is there. Pods choose it by their scheduler's name:

		  $kubectl create deployment web --image=nginx --replicas=4
		  $kubectl patch deployment web -p '{"spec":{"template":{"spec":{"schedulerName":"kubemarla"}}}}'
		  $kubectl get pods -o wide

		What it sees, and why a pod is where it is:

		  $kubectl port-forward -n $namespace deployment/kubemarla-scheduler 9191:9191 &
		  build/kubemarla top
		  build/kubemarla why POD

		make undeploy takes it off again.
	TEXT
}

down() {
	need_cluster
	step "Delete $overlay"
	kube delete -k "$overlay" --ignore-not-found --wait --timeout="${wait_s}s"
	step 'Remove the annotation from nodes'
	kube annotate nodes --all kubemarla.io/verdict-
	if is_minikube && command -v minikube >/dev/null; then
		step "Remove $image from Minikube's nodes"
		run minikube -p "$profile" image rm "$image" || true # it may never have been there
	fi
	rm -rf "$made"
}

case $verb in
up | down) "$verb" ;;
*) die "saw \"$verb\", want up or down" ;;
esac
