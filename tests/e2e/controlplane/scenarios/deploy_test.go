// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"kubemarla.io/tests/e2e/controlplane/cluster"
)

// The nodes of deploy/overlays/minikube.
var minikube = []string{"minikube", "minikube-m02"}

const overlay = "deploy/overlays/minikube"

// Where the agents' pods are told to be: a loopback address each, since their port is the same, and
// others for each run.
var agentAddress = map[string]string{"minikube": ownAddress(1), "minikube-m02": ownAddress(2)}

func ownAddress(n int) string {
	run := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 65+run/250%60, 1+run%250, n)
}

// install applies deploy/ to two nodes: the base, then the overlay over it, both until everything
// is ready. Then it takes the identity that the scheduler pod has.
func (w *world) install(t *testing.T) {
	w.kubelets.PodIP = func(pod *corev1.Pod) string {
		if pod.Namespace == system && pod.Labels["app.kubernetes.io/component"] == "agent" {
			return agentAddress[pod.Spec.NodeName]
		}
		return ""
	}
	must(t, w.kubelets.AddNodes(w.ctx, minikube, smallNode))
	ok := t.Run("base-is-accepted", func(t *testing.T) {
		out := w.applyAll(t, "deploy/base")
		if strings.Contains(out, "Warning") {
			t.Errorf("kubectl warns, want no objection of Pod Security's `restricted`:\n%s", out)
		}
		w.ready(t, "daemonset/kubemarla-agent", "deployment/kubemarla-scheduler")
	})
	ok = t.Run("make-deploy-puts-the-minikube-overlay-there", func(t *testing.T) {
		t.Logf("make deploy:\n%s", w.script(t, "up"))
		w.ready(t, "daemonset/kubemarla-agent", "daemonset/kubemarla-agent-host",
			"deployment/kubemarla-scheduler")
		w.oneAgentEach(t)
	}) && ok
	if !ok {
		t.Fatal("nothing else makes sense")
	}
	var err error
	w.identity, err = w.AccountKubeconfig(w.ctx, system, account)
	must(t, err)
}

// cordon lets no more pods onto nodes.
func (w *world) cordon(t *testing.T, nodes []string) {
	t.Helper()
	for _, n := range nodes {
		_, err := w.Kubectl("", "cordon", n)
		must(t, err)
	}
}

func (w *world) applyAll(t *testing.T, dir string) string {
	t.Helper()
	out, err := w.Kubectl("", "apply", "--server-side", "-k", filepath.Join(w.root, dir))
	must(t, err)
	return out
}

// script runs deploy/cluster.sh, that is make deploy and make undeploy, without the image, which no
// node here would run.
func (w *world) script(t *testing.T, verb string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(w.root, "deploy/cluster.sh"), verb)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+w.Kubeconfig("admin"), "SKIP_IMAGE=1",
		"OVERLAY="+overlay, "KUBECTL="+filepath.Join(w.Bin, "kubectl"), "HOME="+w.Dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("deploy/cluster.sh %s: %v:\n%s", verb, err, out)
	}
	return string(out)
}

// ready waits for roll-outs. Pods are created by the real controllers and admitted by the real API
// server; that their containers run is what the fake kubelets say.
func (w *world) ready(t *testing.T, objects ...string) {
	t.Helper()
	for _, object := range objects {
		_, err := w.Kubectl("", "rollout", "status", "-n", system, object, "--timeout=90s")
		must(t, err)
	}
}

// oneAgentEach checks that the host's agent is on the first node, and the other node's own on it.
func (w *world) oneAgentEach(t *testing.T) {
	t.Helper()
	until(t, func() error {
		pods, err := w.CoreV1().Pods(system).List(w.ctx, metav1.ListOptions{
			LabelSelector: "app.kubernetes.io/component=agent"})
		if err != nil {
			return err
		}
		var got []string
		for _, p := range pods.Items {
			got = append(got, p.Labels["kubemarla.io/agent"]+" on "+p.Spec.NodeName+" at "+p.Status.PodIP)
		}
		if len(got) != 2 || !contains(got, "host on minikube at "+agentAddress["minikube"]) ||
			!contains(got, "node on minikube-m02 at "+agentAddress["minikube-m02"]) {
			return fmt.Errorf("agents: %v", got)
		}
		return nil
	})
}

func contains(list []string, text string) bool {
	for _, one := range list {
		if one == text {
			return true
		}
	}
	return false
}

// deployed is a configuration of deploy/ with what can only be different here put in: the keys of
// changes, as maps.
func (s *scenario) deployed(file string, changes map[string]any) string {
	s.Helper()
	text, err := os.ReadFile(filepath.Join(s.root, file))
	must(s.T, err)
	config := map[string]any{}
	must(s.T, yaml.UnmarshalStrict(text, &config))
	config["model"] = map[string]any{"path": filepath.Join(s.root, "models/pcm-nginx/model.ubj")}
	for key, value := range changes {
		section, _ := config[key].(map[string]any)
		if changed, ok := value.(map[string]any); ok && section != nil {
			for k, v := range changed {
				section[k] = v
			}
		} else {
			config[key] = value
		}
	}
	text, err = yaml.Marshal(config)
	must(s.T, err)
	return string(text)
}

// The deployment of the Minikube overlay as processes, with its own configurations: the host's agent
// speaks for both nodes by their CPUs, of which the first node's suffer, the other node's agent says
// what the kernel tells, and the scheduler pod's kubemarlad finds both through the API server. An
// agent that hangs is noticed: its nodes' data grow old, and that is said.
func agentsAreAsked(s *scenario) {
	must(s.T, s.traces.Set("host", "cpu:4"))
	host := s.daemonOf(s.deployed(overlay+"/agent-host/kubemarla.yaml", map[string]any{
		"observe": map[string]any{"address": agentAddress["minikube"]},
		"collect": map[string]any{"interval": "200ms", "sources": []any{map[string]any{
			"replay": map[string]any{"file": s.traces.File("host"), "nodes": []any{minikube[0], minikube[1]},
				"speed": 100000}}}},
	}))
	own := s.deployed("deploy/base/agent/kubemarla.yaml", map[string]any{
		"observe": map[string]any{"address": agentAddress["minikube-m02"]},
		"collect": map[string]any{"sources": []any{"os"}}, // not what this machine may have
	})
	s.daemonOf(own, "NODE_NAME="+minikube[1])
	d := s.daemonOf(s.deployed("deploy/base/scheduler/kubemarla.yaml", map[string]any{
		"observe":    map[string]any{"address": ""},
		"kubernetes": map[string]any{"kubeconfig": s.identity, "namespace": system},
		"decide":     map[string]any{"effects": ""},
	}))
	must(s.T, d.Seen(minikube[:1], func(slowdown float64) bool { return slowdown > 3 }))
	must(s.T, d.Seen(minikube[1:], func(slowdown float64) bool { return slowdown < 2 }))
	nodes, err := d.Nodes()
	must(s.T, err)
	for _, name := range minikube {
		if n := nodes[name]; n.Tier != "uncore" {
			s.Errorf("node %s has tier %q, want that of the host's agent", name, n.Tier)
		}
	}
	s.scheduler(d.URL())
	// tolerant ones, or those on their way (ours of kubemarla-system, too) would soon fill both nodes
	const pods = 4
	s.deploy("ours", pods, shape{scheduler: schedulerIs,
		annotations: map[string]string{"kubemarla.io/max-slowdown": "4"}})
	if counts := s.running("ours", pods); counts["minikube-m02"] != pods {
		s.Errorf("placed on%s, want all on minikube-m02", spread(counts))
		if body, err := d.Get("/v1/decisions?limit=10"); err == nil {
			s.Logf("decisions: %s", body)
		}
	}
	s.hang(host, d)
}

// hang stops the host's agent for longer than maxAge (15 s).
func (s *scenario) hang(host, d *cluster.Daemon) {
	s.Helper()
	must(s.T, host.Signal(syscall.SIGSTOP))
	until(s.T, func() error {
		nodes, err := d.Nodes()
		if err != nil {
			return err
		}
		if n := nodes["minikube"]; n.AgeSeconds == nil || *n.AgeSeconds < 15 {
			return fmt.Errorf("node minikube: %+v", n)
		}
		return nil
	})
	s.create("meanwhile", shape{scheduler: schedulerIs})
	s.running("meanwhile", 1)
	body, err := d.Get("/v1/decisions?namespace=" + s.namespace + "&pod=meanwhile&limit=1")
	must(s.T, err)
	if !strings.Contains(string(body), `"StaleData"`) {
		s.Errorf("a decision from old data does not say so: %s", body)
	}
	must(s.T, host.Signal(syscall.SIGCONT))
	must(s.T, d.Seen(minikube[:1], func(slowdown float64) bool { return slowdown > 3 }))
	until(s.T, func() error {
		nodes, err := d.Nodes()
		if n := nodes["minikube"]; err == nil && (n.AgeSeconds == nil || *n.AgeSeconds > 10) {
			err = fmt.Errorf("node minikube: %+v", n)
		}
		return err
	})
}

// uninstall deletes the overlay again: nothing is left of it.
func (w *world) uninstall(t *testing.T) {
	t.Run("make-undeploy-leaves-nothing", func(t *testing.T) {
		w.script(t, "down")
		out, err := w.Kubectl("", "api-resources", "--verbs=list", "-o", "name")
		must(t, err)
		kinds := strings.Join(strings.Fields(out), ",")
		for _, kind := range []string{"events", "events.events.k8s.io"} { // they expire
			kinds = strings.ReplaceAll(kinds, kind+",", "")
		}
		until(t, func() error {
			out, err := w.Kubectl("", "get", kinds, "-A", "-o", "name", "--ignore-not-found")
			if err != nil {
				return err
			}
			var left []string
			for _, name := range strings.Fields(out) {
				if strings.Contains(name, "kubemarla") || strings.Contains(name, "interferencepolic") {
					left = append(left, name)
				}
			}
			if len(left) > 0 {
				return fmt.Errorf("left behind: %v", left)
			}
			return nil
		})
	})
}
