// SPDX-License-Identifier: Apache-2.0

// Package scenarios says what must hold of KubeMarla on a real control plane. One control plane
// serves all of them, one after the other; each has a namespace and daemons of its own.
package scenarios

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubemarla.io/tests/e2e/controlplane/cluster"
)

var (
	rootFlag = flag.String("root", "../../../..", "the source tree")
	outFlag  = flag.String("out", "", "directory of kubemarlad and tests/gen_trace (ROOT/build)")
	binFlag  = flag.String("bin", "", "directory of kube-apiserver and the others (OUT/e2e/bin)")
	dirFlag  = flag.String("dir", "", "directory for logs and data, emptied first (OUT/e2e/run)")
)

// Everything that is waited for comes within seconds on an idle machine.
const patience = 90 * time.Second

const (
	system      = "kubemarla-system"
	account     = "kubemarla-scheduler"
	schedulerIs = "kubemarla" // the profile's name
)

type world struct {
	*cluster.ControlPlane
	ctx      context.Context
	kubelets *cluster.FakeKubelets
	traces   *cluster.Traces
	root     string
	out      string
	identity string // kubeconfig with the token of deploy/'s ServiceAccount
	started  []*cluster.Process
	daemons  int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	absolute := func(path string) string {
		full, err := filepath.Abs(path)
		must(t, err)
		return full
	}
	w := &world{root: absolute(*rootFlag)}
	w.out = filepath.Join(w.root, "build")
	if *outFlag != "" {
		w.out = absolute(*outFlag)
	}
	bin, dir := filepath.Join(w.out, "e2e", "bin"), filepath.Join(w.out, "e2e", "run")
	if *binFlag != "" {
		bin = absolute(*binFlag)
	}
	if *dirFlag != "" {
		dir = absolute(*dirFlag)
	}
	must(t, os.RemoveAll(dir))
	must(t, os.MkdirAll(dir, 0o755))
	ctx, cancel := context.WithCancel(context.Background())
	w.ctx = ctx
	t.Cleanup(func() {
		cancel()
		w.stop(t)
	})
	var err error
	w.ControlPlane, err = cluster.StartControlPlane(dir, bin)
	must(t, err)
	w.kubelets, err = cluster.StartFakeKubelets(ctx, w.Clientset)
	must(t, err)
	w.traces, err = cluster.NewTraces(filepath.Join(dir, "traces"), filepath.Join(w.out, "tests", "gen_trace"))
	must(t, err)
	go w.traces.Run(ctx)
	return w
}

func (w *world) stop(t *testing.T) {
	for _, p := range w.started {
		p.Stop(10 * time.Second)
	}
	if w.ControlPlane == nil {
		return
	}
	if t.Failed() {
		for _, p := range []*cluster.Process{w.Etcd, w.Apiserver, w.Manager, w.Scheduler} {
			if p != nil {
				t.Logf("the end of %s:\n%s", p.Log, p.Tail(5))
			}
		}
	}
	w.ControlPlane.Stop()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// until waits for something, generously.
func until(t *testing.T, what func() error) {
	t.Helper()
	must(t, cluster.Until(patience, nil, what))
}

// target reports a time beside what it should be. It fails nothing: how long things take is up to the
// machine, too, and what never comes fails where it is waited for.
func (s *scenario) target(what string, took, want time.Duration) {
	s.Helper()
	verdict := "met"
	if took > want {
		verdict = "MISSED"
	}
	s.Logf("%s: %.2f s, target %.0f s: %s", what, took.Seconds(), want.Seconds(), verdict)
}

// scenario is one of them: its own namespace, and its processes end with it.
type scenario struct {
	*testing.T
	*world
	namespace string
	processes []*cluster.Process
}

func (w *world) run(t *testing.T, name string, body func(s *scenario)) {
	t.Run(name, func(t *testing.T) {
		s := &scenario{T: t, world: w, namespace: strings.ReplaceAll(name, "_", "-")}
		start := time.Now()
		t.Cleanup(func() { s.end(start) })
		_, err := w.CoreV1().Namespaces().Create(w.ctx, &corev1.Namespace{
			ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}, metav1.CreateOptions{})
		must(t, err)
		body(s)
		must(t, w.traces.Err())
	})
}

func (s *scenario) end(start time.Time) {
	for i := len(s.processes) - 1; i >= 0; i-- {
		p := s.processes[i]
		if s.Failed() {
			s.Logf("the end of %s:\n%s", p.Log, p.Tail(25))
		}
		if code := p.Stop(10 * time.Second); code > 0 {
			s.Errorf("%s ended with %d:\n%s", p.Name, code, p.Tail(10))
		}
	}
	if s.Failed() {
		s.Log(s.events())
	}
	// pods of one scenario must not be on the nodes of the next
	if err := s.clear(); err != nil {
		s.Error(err)
	}
	s.Logf("%.1f s", time.Since(start).Seconds())
}

func (s *scenario) clear() error {
	err := s.CoreV1().Namespaces().Delete(s.ctx, s.namespace, metav1.DeleteOptions{})
	if err != nil {
		return err
	}
	return cluster.Until(patience, nil, func() error {
		pods, err := s.CoreV1().Pods(s.namespace).List(s.ctx, metav1.ListOptions{})
		if err == nil && len(pods.Items) > 0 {
			err = fmt.Errorf("%d pods are left in %s", len(pods.Items), s.namespace)
		}
		return err
	})
}

// events are the newest of the scenario's namespace, for a failure's report.
func (s *scenario) events() string {
	list, err := s.CoreV1().Events(s.namespace).List(s.ctx, metav1.ListOptions{Limit: 500})
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	b.WriteString("events:\n")
	items := list.Items
	if len(items) > 10 {
		items = items[len(items)-10:]
	}
	for _, e := range items {
		fmt.Fprintf(&b, "  %s %s %s\n", e.InvolvedObject.Name, e.Reason, e.Message)
	}
	return b.String()
}

// daemon starts a kubemarlad that measures all the nodes itself, by their traces, and watches the
// API server as the account of deploy/. more is appended to its configuration.
func (s *scenario) daemon(nodes []string, more string) *cluster.Daemon {
	s.Helper()
	return s.daemonOf(cluster.LocalConfig(s.traces, nodes, fmt.Sprintf(
		"model: {path: %q}\nfeatures: {from: local}\nkubernetes: {enabled: on, kubeconfig: %q, namespace: %s}\n%s",
		filepath.Join(s.root, "models/pcm-nginx/model.ubj"), s.identity, system, more)))
}

// daemonOf starts one with a whole configuration.
func (s *scenario) daemonOf(config string, env ...string) *cluster.Daemon {
	s.Helper()
	d := s.newDaemon(config)
	s.start(d, env...)
	return d
}

func (s *scenario) newDaemon(config string) *cluster.Daemon {
	s.Helper()
	s.daemons++
	d, err := cluster.NewDaemon(s.Dir, fmt.Sprintf("kubemarlad-%d-%s", s.daemons, s.namespace),
		filepath.Join(s.out, "kubemarlad"), config)
	must(s.T, err)
	return d
}

func (s *scenario) start(d *cluster.Daemon, env ...string) {
	s.Helper()
	err := d.Start(env...)
	s.processes = append(s.processes, d.Process)
	must(s.T, err)
}

// scheduler starts a kube-scheduler with deploy/'s configuration and identity. It is more patient
// with the extender than in deploy/, whose 200 ms a busy machine may miss: a call that is given up
// is a pod that is placed without us.
func (s *scenario) scheduler(extender string) *cluster.Scheduler {
	s.Helper()
	return s.hastyScheduler(extender, func(config map[string]any) {
		config["extenders"].([]any)[0].(map[string]any)["httpTimeout"] = "10s"
	})
}

// hastyScheduler has deploy/'s httpTimeout.
func (s *scenario) hastyScheduler(extender string, change func(map[string]any)) *cluster.Scheduler {
	s.Helper()
	return s.schedulerOf("deploy/base/scheduler/scheduler-config.yaml", extender, change)
}

func (s *scenario) schedulerOf(file, extender string, change func(map[string]any)) *cluster.Scheduler {
	s.Helper()
	config, err := cluster.SchedulerConfig(filepath.Join(s.root, file), s.identity, extender, change)
	must(s.T, err)
	s.daemons++
	k, err := s.NewScheduler(fmt.Sprintf("kube-scheduler-%d-%s", s.daemons, s.namespace), config, s.identity)
	must(s.T, err)
	err = k.Start()
	s.processes = append(s.processes, k.Process)
	must(s.T, err)
	return k
}

// pod is a small one, for a scheduler.
func podSpec(scheduler string) corev1.PodSpec {
	grace := int64(0)
	return corev1.PodSpec{SchedulerName: scheduler, TerminationGracePeriodSeconds: &grace,
		Containers: []corev1.Container{{Name: "main", Image: "none.invalid/none",
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceCPU:    resource.MustParse("20m"),
				corev1.ResourceMemory: resource.MustParse("16Mi")}}}}}
}

type shape struct {
	scheduler   string
	labels      map[string]string
	annotations map[string]string
	change      func(*corev1.PodSpec)
}

// exist waits until there are so many pods of the app.
func (s *scenario) exist(app string, want int) {
	s.Helper()
	until(s.T, func() error {
		list, err := s.CoreV1().Pods(s.namespace).List(s.ctx, metav1.ListOptions{
			LabelSelector: "app=" + app, ResourceVersion: "0"})
		if err == nil && len(list.Items) != want {
			err = fmt.Errorf("%d pods of %s, want %d", len(list.Items), app, want)
		}
		return err
	})
}

// deploy creates a Deployment, whose pods have the label app.
func (s *scenario) deploy(app string, replicas int32, sh shape) {
	s.Helper()
	labels := map[string]string{"app": app}
	for k, v := range sh.labels {
		labels[k] = v
	}
	spec := podSpec(sh.scheduler)
	if sh.change != nil {
		sh.change(&spec)
	}
	_, err := s.AppsV1().Deployments(s.namespace).Create(s.ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: app},
		Spec: appsv1.DeploymentSpec{Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: sh.annotations},
				Spec:       spec}}}, metav1.CreateOptions{})
	must(s.T, err)
}

func (s *scenario) pods(app string) ([]corev1.Pod, error) {
	list, err := s.CoreV1().Pods(s.namespace).List(s.ctx, metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// running waits until so many pods of the app run, and returns how many are on each node.
func (s *scenario) running(app string, want int) map[string]int {
	s.Helper()
	var counts map[string]int
	until(s.T, func() error {
		pods, err := s.pods(app)
		if err != nil {
			return err
		}
		counts = map[string]int{}
		n := 0
		for _, p := range pods {
			if p.Status.Phase == corev1.PodRunning {
				counts[p.Spec.NodeName]++
				n++
			}
		}
		if n != want {
			return fmt.Errorf("%d of %s's pods run, want %d", n, app, want)
		}
		return nil
	})
	return counts
}

// remove deletes a Deployment and waits until its pods are gone.
func (s *scenario) remove(app string) {
	s.Helper()
	foreground := metav1.DeletePropagationForeground
	must(s.T, s.AppsV1().Deployments(s.namespace).Delete(s.ctx, app,
		metav1.DeleteOptions{PropagationPolicy: &foreground}))
	s.running(app, 0)
	until(s.T, func() error {
		pods, err := s.pods(app)
		if err == nil && len(pods) > 0 {
			err = fmt.Errorf("%d pods of %s are left", len(pods), app)
		}
		return err
	})
}

// spread shows a placement: the nodes with most pods first.
func spread(counts map[string]int) string {
	names := make([]string, 0, len(counts))
	for n := range counts {
		names = append(names, n)
	}
	sort.Slice(names, func(i, j int) bool {
		if counts[names[i]] != counts[names[j]] {
			return counts[names[i]] > counts[names[j]]
		}
		return names[i] < names[j]
	})
	var b strings.Builder
	for i, n := range names {
		if i == 12 {
			fmt.Fprintf(&b, " and %d nodes more", len(names)-i)
			break
		}
		fmt.Fprintf(&b, " %s:%d", n, counts[n])
	}
	return b.String()
}

func sumOf(counts map[string]int, names []string) int {
	sum := 0
	for _, n := range names {
		sum += counts[n]
	}
	return sum
}

func nodeNames(prefix string, from, to int) []string {
	var names []string
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprintf("%s-%03d", prefix, i))
	}
	return names
}
