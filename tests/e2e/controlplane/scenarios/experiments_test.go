// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const laboratory = "kubemarla-lab"

// The laboratory on a cluster, by the real kubectl: the API server takes what it applies, Pod
// Security's `restricted` lets it in, pods are where the plan has them, and of a failed experiment
// nothing is left. That it fails is the fake kubelets' doing, of whose pods nobody can read a log:
// what pods do and report is not tested here.
func experimentsArePods(s *scenario) {
	plan := filepath.Join(s.Dir, "experiment.yaml")
	must(s.T, os.WriteFile(plan, []byte(fmt.Sprintf(`name: e2e
mode: cluster
nodes: [{name: minikube, cpus: "0-2"}, {name: minikube-m02, cpus: "3-5"}]
cluster: {kubectl: %q, recorder: none}
`, filepath.Join(s.Bin, "kubectl"))), 0o644))
	stopped := s.watchPods(laboratory)
	s.experiment("stressor cpu at 50 % on minikube-m02", plan,
		"--stress", "cpu", "--intensity", "50", "--on", "minikube-m02")
	s.experiment("kubectl logs", plan, "--replicas", "2")
	pods := stopped()
	want := map[string]string{"stressor-": "minikube-m02", "target-0-": "minikube", "load-": ""}
	for prefix, node := range want {
		found := false
		for name, on := range pods {
			if strings.HasPrefix(name, prefix) {
				found = true
				if node != "" && on != node {
					s.Errorf("pod %s is on %q, want %q", name, on, node)
				}
			}
		}
		if !found {
			s.Errorf("no pod %s... ran; there were %v", prefix, pods)
		}
	}
	_, err := s.CoreV1().Namespaces().Get(s.ctx, laboratory, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		s.Errorf("namespace %s: %v, want it deleted", laboratory, err)
	}
	// another's namespace is not touched
	must(s.T, os.WriteFile(plan, []byte(fmt.Sprintf(`name: e2e
mode: cluster
nodes: [{name: minikube, cpus: "0-2"}, {name: minikube-m02, cpus: "3-5"}]
cluster: {kubectl: %q, namespace: %s, recorder: none}
`, filepath.Join(s.Bin, "kubectl"), s.namespace)), 0o644))
	s.experiment("is there and not ours", plan)
	_, err = s.CoreV1().Namespaces().Get(s.ctx, s.namespace, metav1.GetOptions{})
	must(s.T, err)
}

// experiment runs `kubemarla-lab load`, which has to fail with that text.
func (s *scenario) experiment(want, plan string, args ...string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.out, "kubemarla-lab"),
		append([]string{"load", plan, "--seconds", "1", "--rps", "10"}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.Kubeconfig("admin"), "HOME="+s.Dir)
	start := time.Now()
	out, err := cmd.CombinedOutput()
	s.Logf("kubemarla-lab load, %.1f s: %s", time.Since(start).Seconds(), out)
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), want) {
		s.Fatalf("%v, want exit code 1 and %q", err, want)
	}
}

// watchPods notes which pods of a namespace ran, and where, until the function is called.
func (s *scenario) watchPods(namespace string) func() map[string]string {
	s.Helper()
	w, err := s.CoreV1().Pods(namespace).Watch(s.ctx, metav1.ListOptions{})
	must(s.T, err)
	ran := map[string]string{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range w.ResultChan() {
			if pod, ok := e.Object.(*corev1.Pod); ok && pod.Status.Phase == corev1.PodRunning {
				ran[pod.Name] = pod.Spec.NodeName
			}
		}
	}()
	return func() map[string]string {
		w.Stop()
		<-done
		return ran
	}
}
