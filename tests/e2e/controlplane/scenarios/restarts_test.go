// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"context"
	"fmt"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubemarla.io/tests/e2e/controlplane/cluster"
)

// kill -9 of each process in turn, while pods keep coming: none of them is lost, and as soon as the
// daemon is back its scores count again.
func killedProcessesComeBack(s *scenario) {
	nodes := nodeNames("node", 0, 20)
	harmed := nodes[:6]
	for i, n := range nodes {
		level := "none"
		if i < len(harmed) {
			level = "l3:4"
		}
		must(s.T, s.traces.Set(n, level))
	}
	d := s.daemon(nodes, "")
	ready := func() {
		must(s.T, d.Seen(harmed, func(slowdown float64) bool { return slowdown > 3 }))
		must(s.T, d.Seen(nodes[6:], func(slowdown float64) bool { return slowdown < 2 }))
	}
	ready()
	k := s.scheduler(d.URL())
	const pods = 20
	app := 0
	place := func(what string, wantAsked bool) {
		s.Helper()
		app++
		name := fmt.Sprintf("pods-%d", app)
		s.deploy(name, pods, shape{scheduler: schedulerIs})
		counts := s.running(name, pods)
		s.Logf("%-28s %d of %d pods on the %d harmed nodes", what+":", sumOf(counts, harmed), pods, len(harmed))
		if n := sumOf(counts, harmed); wantAsked && n != 0 {
			s.Errorf("%s: %d pods are on harmed nodes, want none", what, n)
		}
	}

	place("all is well", true)
	s.forget(d.Process)
	d.Kill()
	place("no kubemarlad", false)
	s.start(d)
	ready()
	place("kubemarlad is back", true)

	// Without etcd or the API server nothing can be placed: the pods come as soon as they are back.
	// One that hangs is as bad as one that is gone.
	s.Etcd.Kill()
	s.unreachable()
	must(s.T, s.StartEtcd())
	s.reachable()
	place("etcd is back", true)
	s.Apiserver.Kill()
	must(s.T, s.StartApiserver())
	s.reachable()
	place("the API server is back", true)

	s.expire(d)
	ready()
	place("its versions were too old", true)
	if d.Gone() || k.Gone() {
		s.Error("kubemarlad or kube-scheduler did not survive")
	}
}

// expire lets the daemon hang until all versions that it has seen are compacted away: its watches end
// with 410 Gone, and it lists anew.
func (s *scenario) expire(d *cluster.Daemon) {
	s.Helper()
	gone := func() (float64, error) {
		m, err := d.Metrics()
		if err != nil {
			return 0, err
		}
		return m.Sum("kubemarla_kube_watch_restarts_total", "reason", "gone"), nil
	}
	before, err := gone()
	must(s.T, err)
	must(s.T, d.Signal(syscall.SIGSTOP))
	s.createMaps("meanwhile", 100)
	s.compact()
	s.restartApiserver()
	s.reachable()
	must(s.T, d.Signal(syscall.SIGCONT))
	until(s.T, func() error {
		now, err := gone()
		if err == nil && now <= before {
			err = fmt.Errorf("%.0f watches ended with 410 so far, as before", now)
		}
		return err
	})
}

// forget is for a process that the scenario killed.
func (s *scenario) forget(dead *cluster.Process) {
	for i, p := range s.processes {
		if p == dead {
			s.processes = append(s.processes[:i], s.processes[i+1:]...)
			return
		}
	}
}

func (s *scenario) reachable() {
	s.Helper()
	until(s.T, s.probe)
}

func (s *scenario) unreachable() {
	s.Helper()
	until(s.T, func() error {
		if err := s.probe(); err == nil {
			return fmt.Errorf("the API server still answers")
		}
		return nil
	})
}

func (s *scenario) probe() error {
	ctx, cancel := context.WithTimeout(s.ctx, 2*time.Second)
	defer cancel()
	_, err := s.CoreV1().Namespaces().Get(ctx, s.namespace, metav1.GetOptions{})
	return err
}
