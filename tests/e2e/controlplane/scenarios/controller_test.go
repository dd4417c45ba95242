// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"kubemarla.io/tests/e2e/controlplane/cluster"
)

func leads(d *cluster.Daemon) bool {
	m, err := d.Metrics()
	return err == nil && m.Sum("kubemarla_controller_leader") == 1
}

// Of two controllers one acts. Killed, it is followed by the other within 20 s; stopped, at once,
// since it lets its Lease go. Never do both act.
func anotherControllerTakesOver(s *scenario) {
	nodes := nodeNames("node", 0, 2)
	for _, n := range nodes {
		must(s.T, s.traces.Set(n, "none"))
	}
	both := []*cluster.Daemon{s.daemon(nodes, ""), s.daemon(nodes, "")}
	var twice atomic.Int64
	done := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Add(1)
	go func() {
		defer watcher.Done()
		for {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
			}
			// asked one after the other: the first again, or a hand-over between the two looks counts
			if leads(both[0]) && leads(both[1]) && leads(both[0]) {
				twice.Add(1)
			}
		}
	}()
	defer watcher.Wait()
	defer close(done)

	leader := func() int {
		n := -1
		until(s.T, func() error {
			for i, d := range both {
				if leads(d) {
					n = i
					return nil
				}
			}
			return fmt.Errorf("nobody leads")
		})
		return n
	}
	first := leader()
	s.forget(both[first].Process)
	both[first].Kill()
	start := time.Now()
	until(s.T, func() error {
		if !leads(both[1-first]) {
			return fmt.Errorf("the other does not lead")
		}
		return nil
	})
	s.target("the other leads after the leader was killed", time.Since(start), 20*time.Second)
	s.start(both[first])
	s.finish(both[1-first].Process)
	start = time.Now()
	if n := leader(); n != first {
		s.Errorf("controller %d leads, want %d", n, first)
	}
	s.Logf("and %.1f s after it was stopped", time.Since(start).Seconds())
	if n := twice.Load(); n > 0 {
		s.Errorf("seen to lead both at once %d times", n)
	}
}

const moving = `apiVersion: kubemarla.io/v1alpha1
kind: InterferencePolicy
metadata: {name: moving}
spec:
  selector: {matchLabels: {app: moving}}
  mode: Prefer
  maxSlowdown: 2
  rebalance: {enabled: true, dryRun: false, minGainRatio: 0.2, cooldown: 1m, maxEvictionsPerHour: 6}
`

// The node of two pods turns bad: the controller wants to move one of them, once the gain has lasted
// a whole window of a minute. A PodDisruptionBudget that allows nothing holds it back; once it
// allows one pod, that one is evicted, and its replacement goes to a better node.
func evictionsRespectBudgets(s *scenario) {
	nodes := nodeNames("node", 0, 20)
	for i, n := range nodes {
		level := "l3:4"
		if i == 0 {
			level = "none"
		}
		must(s.T, s.traces.Set(n, level))
	}
	d := s.daemon(nodes, "controller: {interval: 1s}\n")
	must(s.T, d.Seen(nodes[:1], func(slowdown float64) bool { return slowdown < 1.5 }))
	must(s.T, d.Seen(nodes[1:], func(slowdown float64) bool { return slowdown > 3 }))
	s.apply(moving)
	s.scheduler(d.URL())
	s.deploy("moving", 2, shape{scheduler: schedulerIs})
	if counts := s.running("moving", 2); counts[nodes[0]] != 2 {
		s.Fatalf("placed on%s, want both on %s", spread(counts), nodes[0])
	}
	all := intstr.FromInt32(2)
	_, err := s.PolicyV1().PodDisruptionBudgets(s.namespace).Create(s.ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "moving"},
		Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: &all,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "moving"}}}}, metav1.CreateOptions{})
	must(s.T, err)
	must(s.T, s.traces.Set(nodes[0], "l3:4"))
	for _, n := range nodes[1:] {
		must(s.T, s.traces.Set(n, "none"))
	}
	evictions := func(result string, want float64) func() error {
		return func() error {
			m, err := d.Metrics()
			if err != nil {
				return err
			}
			if n := m.Sum("kubemarla_controller_evictions_total", "result", result); n < want {
				return fmt.Errorf("%.0f evictions %s, want %.0f", n, result, want)
			}
			return nil
		}
	}
	start := time.Now()
	must(s.T, cluster.Until(2*patience, d.Process, evictions("refused", 1)))
	s.Logf("wanted to move a pod after %.0f s, and was refused", time.Since(start).Seconds())
	if counts := s.running("moving", 2); counts[nodes[0]] != 2 {
		s.Errorf("pods are on%s, want both still on %s", spread(counts), nodes[0])
	}
	start = time.Now()
	_, err = s.PolicyV1().PodDisruptionBudgets(s.namespace).Patch(s.ctx, "moving", types.MergePatchType,
		[]byte(`{"spec":{"minAvailable":1}}`), metav1.PatchOptions{})
	must(s.T, err)
	must(s.T, cluster.Until(2*patience, d.Process, evictions("evicted", 1)))
	until(s.T, func() error {
		if counts := s.running("moving", 2); counts[nodes[0]] != 1 {
			return fmt.Errorf("pods are on%s, want one still on %s", spread(counts), nodes[0])
		}
		return nil
	})
	s.Logf("moved %.0f s after the budget allowed it", time.Since(start).Seconds())
	s.eventually("Rebalanced")
}
