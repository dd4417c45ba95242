// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubemarla.io/tests/e2e/controlplane/cluster"
)

// Rights whose use does not come up in a run, and why kubemarlad has them all the same.
var rarelyUsed = map[string]string{
	"patch events.events.k8s.io": "an Event that repeats word for word within six minutes is counted up",
}

// What the whole run asked of the API server, by its audit log, beside what deploy/ allows:
// kubemarlad gets along with its own roles (it shares its account, and so could use
// kube-scheduler's), and needs all of them; nothing that was asked for is forbidden.
func (w *world) rightsAreThoseThatAreUsed(t *testing.T) {
	t.Run("rights-are-those-that-are-used", func(t *testing.T) {
		everywhere, err := w.RbacV1().ClusterRoles().Get(w.ctx, "kubemarla", metav1.GetOptions{})
		must(t, err)
		ours, err := w.RbacV1().Roles(system).Get(w.ctx, "kubemarla", metav1.GetOptions{})
		must(t, err)
		asked, err := w.Audited()
		must(t, err)
		used := map[string]map[string]bool{"kubemarla": {}, "kube-scheduler": {}}
		for _, a := range asked {
			if used[a.Agent] != nil && !a.Forbidden {
				used[a.Agent][a.Right()] = true
			}
		}
		for _, a := range asked {
			if used[a.Agent] == nil { // the scenarios themselves
				continue
			}
			// an API server that has just begun does not know its roles yet, and forbids everything
			if a.Forbidden && !used[a.Agent][a.Right()] {
				t.Errorf("%s may not %s (%s %s)", a.Agent, a.Right(), a.Namespace, a.Name)
			}
			rules := append([]rbacv1.PolicyRule{}, everywhere.Rules...)
			if a.Namespace == system {
				rules = append(rules, ours.Rules...)
			}
			if a.Agent == "kubemarla" && !cluster.Covers(rules, a) {
				t.Errorf("kubemarlad does %s (%s %s), which is not in its own roles", a.Right(), a.Namespace, a.Name)
			}
		}
		var idle []string
		seen := 0
		rights := cluster.Rights(append(everywhere.Rules, ours.Rules...))
		for _, right := range rights {
			if used["kubemarla"][right] {
				seen++
				continue
			}
			if why := rarelyUsed[right]; why != "" {
				t.Logf("not used in this run: %s (%s)", right, why)
				continue
			}
			idle = append(idle, right)
		}
		t.Logf("kubemarlad used %d of %d rights of its own; kube-scheduler used %d", seen, len(rights),
			len(used["kube-scheduler"]))
		if len(idle) > 0 {
			t.Errorf("never used: %s", strings.Join(idle, ", "))
		}
	})
}
