// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

var policyResource = schema.GroupVersionResource{Group: "kubemarla.io", Version: "v1alpha1",
	Resource: "interferencepolicies"}

// What is wrong in each file of tests/policies/bad is what kubectl says (a comment in it tells the
// words), and the good ones are taken.
func badPoliciesAreRefused(s *scenario) {
	type verdict struct{ file, problem string }
	files, err := filepath.Glob(filepath.Join(s.root, "tests/policies/*/*.yaml"))
	must(s.T, err)
	results := make(chan verdict, len(files))
	todo := make(chan string)
	var workers sync.WaitGroup
	for range 4 {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for file := range todo {
				results <- verdict{filepath.Base(file), s.judgePolicy(file)}
			}
		}()
	}
	for _, file := range files {
		todo <- file
	}
	close(todo)
	workers.Wait()
	close(results)
	for r := range results {
		if r.problem != "" {
			s.Errorf("%s: %s", r.file, r.problem)
		}
	}
	s.Logf("%d policies judged", len(files))
	if len(files) < 50 {
		s.Errorf("%d policies, want those of tests/policies", len(files))
	}
}

func (s *scenario) judgePolicy(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	out, err := s.Kubectl(string(text), "create", "--dry-run=server", "-n", s.namespace, "-f", "-")
	if filepath.Base(filepath.Dir(file)) == "good" {
		if err != nil {
			return err.Error()
		}
		return ""
	}
	_, want, found := strings.Cut(string(text), "# apiserver: ")
	want, _, _ = strings.Cut(want, "\n")
	switch {
	case !found:
		return "no comment tells what kubectl has to say"
	case err == nil:
		return "it is taken"
	case !strings.Contains(out, want):
		return fmt.Sprintf("kubectl says %q, want %q in it", out, want)
	}
	return ""
}

type policyStatus struct {
	ObservedGeneration     int64   `json:"observedGeneration"`
	MatchedPods            int     `json:"matchedPods"`
	WorstPredictedSlowdown float64 `json:"worstPredictedSlowdown"`
	Nodes                  []struct {
		Name string `json:"name"`
		Pods int    `json:"pods"`
	} `json:"nodes"`
	Conditions []metav1.Condition `json:"conditions"`
}

func (p *policyStatus) is(kind string) metav1.ConditionStatus {
	for _, c := range p.Conditions {
		if c.Type == kind {
			return c.Status
		}
	}
	return ""
}

func (s *scenario) policyStatus(name string) (*policyStatus, string, error) {
	object, err := s.Dynamic.Resource(policyResource).Namespace(s.namespace).Get(s.ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, "", err
	}
	text, err := json.Marshal(object.Object["status"])
	if err != nil {
		return nil, "", err
	}
	status := &policyStatus{}
	return status, object.GetResourceVersion(), json.Unmarshal(text, status)
}

// The status of a policy follows what is so: its pods, where they are, what is predicted there, and
// whether they are at risk when their node turns.
func policyStatusIsLive(s *scenario) {
	nodes := nodeNames("node", 0, 20)
	for _, n := range nodes {
		must(s.T, s.traces.Set(n, "none"))
	}
	d := s.daemon(nodes, "controller: {interval: 1s}\n")
	must(s.T, d.Seen(nodes, func(slowdown float64) bool { return slowdown < 1.5 }))
	s.apply(strictPolicy)
	s.scheduler(d.URL())
	const pods = 6
	s.deploy("strict", pods, shape{scheduler: schedulerIs})
	counts := s.running("strict", pods)
	wait := func(risk metav1.ConditionStatus) *policyStatus {
		var status *policyStatus
		until(s.T, func() error {
			var err error
			if status, _, err = s.policyStatus("strict"); err != nil {
				return err
			}
			if status.MatchedPods != pods || status.ObservedGeneration != 1 || status.is("Ready") != "True" ||
				status.is("ModelUsable") != "True" || status.is("SLOAtRisk") != risk ||
				len(status.Nodes) != len(counts) || status.WorstPredictedSlowdown < 1 {
				return fmt.Errorf("status: %+v", status)
			}
			return nil
		})
		return status
	}
	wait("False")
	var turned string
	for turned = range counts {
		break
	}
	must(s.T, s.traces.Set(turned, "l3:4"))
	status := wait("True")
	if status.WorstPredictedSlowdown < 3 {
		s.Errorf("the worst predicted slowdown is %.2f, want that of %s", status.WorstPredictedSlowdown, turned)
	}
	out, err := s.Kubectl("", "get", "ipol", "-n", s.namespace, "-o", "wide")
	must(s.T, err)
	s.Logf("kubectl get ipol:\n%s", out)
	s.eventually("SLOAtRisk")
}

// eventually waits for an Event with a reason in the scenario's namespace.
func (s *scenario) eventually(reason string) {
	s.Helper()
	until(s.T, func() error {
		list, err := s.EventsV1().Events(s.namespace).List(s.ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, e := range list.Items {
			if e.Reason == reason {
				s.Logf("Event %s of %s %s: %s", e.Reason, e.Regarding.Kind, e.Regarding.Name, e.Note)
				return nil
			}
		}
		return fmt.Errorf("no Event with reason %s", reason)
	})
}

// What RBAC cannot say, the ValidatingAdmissionPolicy does: our account changes annotations of ours
// on nodes, and nothing else of them.
func nodesArePatchedInOurAnnotationsOnly(s *scenario) {
	client, err := s.As(s.identity)
	must(s.T, err)
	const node = "node-007"
	patch := func(body string, sub ...string) error {
		_, err := client.CoreV1().Nodes().Patch(s.ctx, node, types.MergePatchType, []byte(body),
			metav1.PatchOptions{}, sub...)
		return err
	}
	_, err = s.CoreV1().Nodes().Patch(s.ctx, node, types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"example.com/owner":"someone"}}}`), metav1.PatchOptions{})
	must(s.T, err)
	must(s.T, patch(`{"metadata":{"annotations":{"kubemarla.io/verdict":"one"}}}`))
	must(s.T, patch(`{"metadata":{"annotations":{"kubemarla.io/verdict":"two"}}}`))
	must(s.T, patch(`{"metadata":{"annotations":{"kubemarla.io/verdict":null}}}`))
	for _, bad := range []struct{ body, want string }{
		{`{"metadata":{"annotations":{"example.com/owner":"us"}}}`, "may be set"},
		{`{"metadata":{"annotations":{"other":"us"}}}`, "may be set"},
		{`{"metadata":{"annotations":{"kubemarla.io.example.com/x":"us"}}}`, "may be set"},
		{`{"metadata":{"annotations":{"example.com/owner":null}}}`, "may be removed"},
		{`{"metadata":{"annotations":null}}`, "may be removed"},
		{`{"metadata":{"labels":{"kubemarla.io/x":"us"}}}`, "not its other metadata"},
		{`{"metadata":{"labels":{"kubernetes.io/hostname":null}}}`, "not its other metadata"},
		{`{"metadata":{"finalizers":["kubemarla.io/x"]}}`, "not its other metadata"},
		{`{"spec":{"unschedulable":true}}`, "not its spec"},
		{`{"spec":{"taints":[{"key":"kubemarla.io/x","effect":"NoExecute"}]}}`, "not its spec"},
		{`{"metadata":{"annotations":{"kubemarla.io/verdict":"three"}},"spec":{"unschedulable":true}}`, "not its spec"},
	} {
		if err := patch(bad.body); err == nil || !strings.Contains(err.Error(), bad.want) {
			s.Errorf("%s: %v, want a refusal with %q", bad.body, err, bad.want)
		}
	}
	if err := patch(`{"status":{"phase":"us"}}`, "status"); !apierrors.IsForbidden(err) {
		s.Errorf("a patch of its status: %v, want it forbidden", err)
	}
	if err := client.CoreV1().Nodes().Delete(s.ctx, node, metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		s.Errorf("its deletion: %v, want it forbidden", err)
	}
	must(s.T, s.administrate(node))
}

// administrate: others are not affected by it.
func (s *scenario) administrate(node string) error {
	_, err := s.CoreV1().Nodes().Patch(s.ctx, node, types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"example.com/owner":null},"labels":{"example.com/x":"y"}}}`),
		metav1.PatchOptions{})
	return err
}
