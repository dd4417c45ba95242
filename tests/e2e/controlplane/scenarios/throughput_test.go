// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubemarla.io/tests/e2e/controlplane/cluster"
)

// How fast 500 pods are scheduled onto 500 nodes, with and without the extender, in turn. The only
// change to deploy/'s configuration is that kube-scheduler may ask the API server as often as it
// wants, or its limit of 50 requests a second would be all that is measured. Nothing is asserted
// but that all pods are placed, and that we were asked: times depend on the machine.
func throughputAt500Nodes(s *scenario) {
	const pods = 500
	nodes := nodeNames("node", 0, 500)
	// a pod of ours on each of them would only be more for the API server to do
	must(s.T, s.AppsV1().DaemonSets(system).Delete(s.ctx, "kubemarla-agent", metav1.DeleteOptions{}))
	must(s.T, s.kubelets.AddNodes(s.ctx, nodes[20:], smallNode))
	for i, n := range nodes {
		level := "none"
		if i%4 == 0 {
			level = "l3:2"
		}
		must(s.T, s.traces.Set(n, level))
	}
	d := s.daemon(nodes, "")
	must(s.T, d.Seen(nodes, func(slowdown float64) bool { return slowdown > 1 }))
	before, err := d.Metrics()
	must(s.T, err)
	for round := 1; round <= 2; round++ {
		for _, asked := range []bool{true, false} {
			s.measure(d, round, asked, pods)
		}
	}
	after, err := d.Metrics()
	must(s.T, err)
	for _, route := range []string{"/filter", "/prioritize"} {
		n := after.Sum("kubemarla_http_answers_total", "route", route, "code", "200") -
			before.Sum("kubemarla_http_answers_total", "route", route, "code", "200")
		s.Logf("we answered %s %.0f times, half of them within %.2f ms, 99 of 100 within %.2f ms", route, n,
			1e3*after.Quantile(before, 0.5, "kubemarla_http_handler_seconds", "route", route),
			1e3*after.Quantile(before, 0.99, "kubemarla_http_handler_seconds", "route", route))
		if n < pods { // some may have been given up
			s.Errorf("%.0f answers to %s, want %d", n, route, 2*pods)
		}
	}
}

// measure creates the pods first and starts kube-scheduler then: what is timed is scheduling.
func (s *scenario) measure(d *cluster.Daemon, round int, asked bool, pods int) {
	s.Helper()
	app := fmt.Sprintf("round-%d-%v", round, asked)
	s.deploy(app, int32(pods), shape{scheduler: schedulerIs})
	s.exist(app, pods)
	k := s.hastyScheduler(d.URL(), func(config map[string]any) {
		connection := config["clientConnection"].(map[string]any)
		connection["qps"], connection["burst"] = 5000, 5000
		if !asked {
			delete(config, "extenders")
		}
	})
	scheduled := func() (float64, cluster.Metrics) {
		m, err := k.Metrics()
		must(s.T, err)
		return m.Sum("scheduler_schedule_attempts_total", "result", "scheduled"), m
	}
	first, _ := scheduled()
	start := time.Now()
	var m cluster.Metrics
	until(s.T, func() error {
		n, now := scheduled()
		m = now
		if int(n) < pods {
			return fmt.Errorf("%.0f of %d pods are scheduled", n, pods)
		}
		return nil
	})
	took := time.Since(start).Seconds()
	quantile := func(q float64, name string, labels ...string) float64 {
		return 1e3 * m.Quantile(nil, q, name, labels...)
	}
	who := "without extender"
	if asked {
		who = "with extender   "
	}
	s.Logf("round %d, %s %4.0f pods/s; algorithm p50 <= %.1f ms, p99 <= %.1f ms; whole attempt p50 <= %.1f ms, p99 <= %.1f ms",
		round, who+":", (float64(pods)-first)/took,
		quantile(0.5, "scheduler_scheduling_algorithm_duration_seconds"),
		quantile(0.99, "scheduler_scheduling_algorithm_duration_seconds"),
		quantile(0.5, "scheduler_scheduling_attempt_duration_seconds", "result", "scheduled"),
		quantile(0.99, "scheduler_scheduling_attempt_duration_seconds", "result", "scheduled"))
	s.finish(k.Process)
	s.remove(app)
}
