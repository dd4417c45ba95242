// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"kubemarla.io/tests/e2e/controlplane/cluster"
)

func most(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		n = max(n, c)
	}
	return n
}

// 100 pods at once, faster than any counter can show them, and one node that looks far better than
// the 19 others: the ledger counts those that are on their way there, and they spread. Without it
// they all see the same best node.
func aBurstDoesNotHerd(s *scenario) {
	nodes := nodeNames("node", 0, 20)
	for i, n := range nodes {
		level := "cpu:2"
		if i == 0 {
			level = "none"
		}
		must(s.T, s.traces.Set(n, level))
	}
	const pods = 100
	place := func(ledger string) map[string]int {
		d := s.daemon(nodes, "decide: {ledger: "+ledger+"}\n")
		must(s.T, d.Seen(nodes[:1], func(slowdown float64) bool { return slowdown < 1.5 }))
		must(s.T, d.Seen(nodes[1:], func(slowdown float64) bool { return slowdown > 1.7 }))
		app := "ledger-" + ledger
		s.deploy(app, pods, shape{scheduler: schedulerIs,
			annotations: map[string]string{"kubemarla.io/class": "cpu"}})
		s.exist(app, pods)
		k := s.scheduler(d.URL())
		counts := s.running(app, pods)
		s.Logf("ledger %-4s at most %d of %d pods on a node, %d nodes used:%s", ledger+":",
			most(counts), pods, len(counts), spread(counts))
		s.remove(app)
		s.finish(k.Process, d.Process)
		return counts
	}
	with, without := place("on"), place("off")
	if 2*most(with) > most(without) {
		s.Errorf("%d pods on one node with the ledger, %d without: want at most half", most(with), most(without))
	}
	if most(with) > pods/4 {
		s.Errorf("%d of %d pods on one node, want a quarter at most", most(with), pods)
	}
}

// One pod per node, identical ones in quick succession. A kube-scheduler that batches (1.35 and
// later) takes the next node of its last answer for such pods, asking /filter about that one alone
// and /prioritize not at all, so a policy in mode Enforce has to hold in /filter: the pods fill the
// unharmed nodes, and the rest stays Pending. This version knows batching, has it on, and turns it
// off where there are extenders: should that change, we want to be told.
func identicalPodsAreNotBatched(s *scenario) {
	nodes := nodeNames("node", 0, 20)
	harmed, well := nodes[:6], nodes[6:]
	for i, n := range nodes {
		level := "none"
		if i < len(harmed) {
			level = "l3:4"
		}
		must(s.T, s.traces.Set(n, level))
	}
	s.apply(strictPolicy)
	d := s.daemon(nodes, "")
	must(s.T, d.Seen(harmed, func(slowdown float64) bool { return slowdown > 3 }))
	must(s.T, d.Seen(well, func(slowdown float64) bool { return slowdown < 1.5 }))
	k := s.scheduler(d.URL())
	s.fillUnharmed(harmed, well)

	m, err := k.Metrics()
	must(s.T, err)
	own, err := d.Metrics()
	must(s.T, err)
	hints := m.Sum("scheduler_batch_attempts_total", "result", "hint_used")
	s.Logf("%.0f attempts by a batch's hint, %.0f without; we were asked %.0f times to filter, %.0f to prioritize",
		hints, m.Sum("scheduler_batch_attempts_total", "result", "no_hint"),
		own.Sum("kubemarla_http_answers_total", "route", "/filter"),
		own.Sum("kubemarla_http_answers_total", "route", "/prioritize"))
	if hints != 0 || m["scheduler_batch_attempts_total"] == nil {
		s.Errorf("%.0f hints used, want a kube-scheduler that knows batching and uses none", hints)
	}
}

// fillUnharmed creates more pods than there are unharmed nodes, of which each takes one.
func (s *scenario) fillUnharmed(harmed, well []string) {
	s.Helper()
	const tooMany = 2
	s.deploy("strict", int32(len(well)+tooMany), shape{scheduler: schedulerIs,
		change: func(spec *corev1.PodSpec) { // more than half of a node
			spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("5")
		}})
	counts := s.running("strict", len(well))
	if n := sumOf(counts, harmed); n != 0 {
		s.Errorf("%d pods are on harmed nodes, want none", n)
	}
	until(s.T, func() error {
		pods, err := s.pods("strict")
		if err != nil {
			return err
		}
		pending := 0
		for i := range pods {
			c := condition(&pods[i], corev1.PodScheduled)
			if c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
				pending++
			}
		}
		if pending != tooMany {
			return fmt.Errorf("%d pods are unschedulable, want %d", pending, tooMany)
		}
		return nil
	})
}

// finish ends processes before the scenario does.
func (s *scenario) finish(processes ...*cluster.Process) {
	s.Helper()
	for _, p := range processes {
		if code := p.Stop(patience); code != 0 {
			s.Errorf("%s ended with %d, want 0", p.Name, code)
		}
	}
}
