// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"testing"

	"kubemarla.io/tests/e2e/controlplane/cluster"
)

// The nodes of a host of eight cores, of which three are the node's, as in the traces.
var smallNode = cluster.NodeShape{CPU: "8", Memory: "32Gi", Pods: "250"}

// TestCluster is the whole run: from an empty cluster to one of 500 nodes.
func TestCluster(t *testing.T) {
	w := newWorld(t)
	w.install(t)
	w.run(t, "agents-are-asked", agentsAreAsked)
	w.run(t, "experiments-are-pods", experimentsArePods)
	w.run(t, "doctor-finds-mistakes", doctorFindsMistakes)
	w.run(t, "tls-is-spoken-everywhere", tlsIsSpokenEverywhere)
	w.cordon(t, minikube) // what follows has nodes, and traces, of its own
	must(t, w.kubelets.AddNodes(w.ctx, nodeNames("node", 0, 20), smallNode))
	w.run(t, "unharmed-nodes-are-preferred", unharmedNodesArePreferred)
	w.run(t, "enforce-holds-back", enforceHoldsBack)
	w.run(t, "bad-policies-are-refused", badPoliciesAreRefused)
	w.run(t, "policy-status-is-live", policyStatusIsLive)
	w.run(t, "nodes-are-patched-in-our-annotations-only", nodesArePatchedInOurAnnotationsOnly)
	w.run(t, "another-controller-takes-over", anotherControllerTakesOver)
	w.run(t, "evictions-respect-budgets", evictionsRespectBudgets)
	w.run(t, "a-burst-does-not-herd", aBurstDoesNotHerd)
	w.run(t, "identical-pods-are-not-batched", identicalPodsAreNotBatched)
	w.run(t, "a-watch-keeps-up", aWatchKeepsUp)
	w.run(t, "killed-processes-come-back", killedProcessesComeBack)
	w.run(t, "throughput-at-500-nodes", throughputAt500Nodes)
	w.rightsAreThoseThatAreUsed(t)
	w.uninstall(t)
}
