// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"fmt"
	"math"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubemarla.io/tests/e2e/controlplane/cluster"
)

// The words of src/place/reason.c.
const tooSlow = "predicted slowdown is above what the pod tolerates"

const strictPolicy = `apiVersion: kubemarla.io/v1alpha1
kind: InterferencePolicy
metadata: {name: strict}
spec:
  selector: {matchLabels: {app: strict}}
  mode: Enforce
  maxSlowdown: 2
`

// apply gives objects to the API server. Their namespace is the scenario's.
func (s *scenario) apply(objects string) {
	s.Helper()
	_, err := s.Kubectl(objects, "apply", "--server-side", "-n", s.namespace, "-f", "-")
	must(s.T, err)
}

func condition(p *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == kind {
			return &p.Status.Conditions[i]
		}
	}
	return &corev1.PodCondition{}
}

// create makes a single pod with the label app.
func (s *scenario) create(app string, sh shape) {
	s.Helper()
	spec := podSpec(sh.scheduler)
	if sh.change != nil {
		sh.change(&spec)
	}
	_, err := s.CoreV1().Pods(s.namespace).Create(s.ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: app, Labels: map[string]string{"app": app}, Annotations: sh.annotations}, Spec: spec},
		metav1.CreateOptions{})
	must(s.T, err)
}

func (s *scenario) get(name string) *corev1.Pod {
	s.Helper()
	pod, err := s.CoreV1().Pods(s.namespace).Get(s.ctx, name, metav1.GetOptions{})
	must(s.T, err)
	return pod
}

// rejected waits until kube-scheduler says of a pod that it fits nowhere, with our reason, in its
// condition and in an event.
func (s *scenario) rejected(name, reason string) {
	s.Helper()
	until(s.T, func() error {
		c := condition(s.get(name), corev1.PodScheduled)
		if c.Status != corev1.ConditionFalse || !strings.Contains(c.Message, reason) {
			return fmt.Errorf("pod %s: PodScheduled is %q, %q", name, c.Status, c.Message)
		}
		events, err := s.CoreV1().Events(s.namespace).List(s.ctx, metav1.ListOptions{
			FieldSelector: "reason=FailedScheduling,involvedObject.name=" + name})
		if err != nil {
			return err
		}
		for _, e := range events.Items {
			if strings.Contains(e.Message, reason) {
				return nil
			}
		}
		return fmt.Errorf("pod %s: no FailedScheduling event with %q", name, reason)
	})
}

// verdict is the annotation by which rejected pods are woken up.
func (s *scenario) verdict(node string) string {
	s.Helper()
	n, err := s.CoreV1().Nodes().Get(s.ctx, node, metav1.GetOptions{})
	must(s.T, err)
	return n.Annotations["kubemarla.io/verdict"]
}

// pastBackOff waits until the only pod that is pending is tried again at once when something
// happens: kube-scheduler's back-off doubles with each attempt, from 1 s to 10 s.
func (s *scenario) pastBackOff(k *cluster.Scheduler) {
	s.Helper()
	attempts, since := -1.0, time.Now()
	until(s.T, func() error {
		m, err := k.Metrics()
		if err != nil {
			return err
		}
		if n := m.Sum("scheduler_schedule_attempts_total", "result", "unschedulable"); n != attempts {
			attempts, since = n, time.Now()
		}
		wait := time.Duration(math.Min(10, math.Pow(2, attempts-1)) * float64(time.Second))
		if attempts < 1 || time.Since(since) < wait+500*time.Millisecond {
			return fmt.Errorf("%.0f attempts, the last %v ago", attempts, time.Since(since))
		}
		return nil
	})
}

// All nodes suffer: a pod under a policy in mode Enforce stays Pending with our reason, one without
// a policy is placed all the same. A node recovers; the controller flips its annotation, which has
// the pod scheduled at once.
func enforceHoldsBack(s *scenario) {
	nodes := nodeNames("node", 0, 20)
	for _, n := range nodes {
		must(s.T, s.traces.Set(n, "l3:4"))
	}
	s.apply(strictPolicy)
	d := s.daemon(nodes, "")
	must(s.T, d.Seen(nodes, func(slowdown float64) bool { return slowdown > 3 }))
	k := s.scheduler(d.URL())

	s.create("strict", shape{scheduler: schedulerIs})
	s.create("other", shape{scheduler: schedulerIs})
	s.rejected("strict", tooSlow)
	s.Logf("strict: %s", condition(s.get("strict"), corev1.PodScheduled).Message)
	s.running("other", 1)
	if p := s.get("strict"); p.Spec.NodeName != "" {
		s.Fatalf("strict is on %s", p.Spec.NodeName)
	}

	recovered := nodes[13]
	s.pastBackOff(k)
	before := s.verdict(recovered)
	must(s.T, s.traces.Set(recovered, "none"))
	var start time.Time
	until(s.T, func() error {
		if s.verdict(recovered) == before {
			return fmt.Errorf("node %s has no new annotation", recovered)
		}
		start = time.Now()
		return nil
	})
	until(s.T, func() error {
		if p := s.get("strict"); p.Spec.NodeName == "" {
			return fmt.Errorf("strict is pending: %s", condition(p, corev1.PodScheduled).Message)
		}
		return nil
	})
	// without the annotation it would be looked at again after five minutes, beyond all patience
	s.target("scheduled after the annotation", time.Since(start), 2*time.Second)
	if p := s.get("strict"); p.Spec.NodeName != recovered {
		s.Errorf("strict is on %s, want %s", p.Spec.NodeName, recovered)
	}
}
