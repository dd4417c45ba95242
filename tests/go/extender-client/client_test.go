// SPDX-License-Identifier: Apache-2.0

package extenderclient

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"
)

func url(t *testing.T) string {
	t.Helper()
	u := os.Getenv("KUBEMARLA_URL")
	if u == "" {
		t.Skip("KUBEMARLA_URL is not set: no kubemarlad to ask")
	}
	return u
}

func nodes(names ...string) []v1.Node {
	list := make([]v1.Node, 0, len(names))
	for _, name := range names {
		list = append(list, v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	return list
}

func many(n int) []v1.Node {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("node-%d", i)
	}
	return nodes(names...)
}

func pod(change func(*v1.Pod)) *v1.Pod {
	p := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default", UID: "u"}}
	if change != nil {
		change(p)
	}
	return p
}

func container(quantity string) v1.Container {
	return v1.Container{Name: "c", Resources: v1.ResourceRequirements{Requests: v1.ResourceList{
		v1.ResourceCPU: resource.MustParse(quantity), v1.ResourceMemory: resource.MustParse(quantity),
	}}}
}

// The rows of the extender protocol that a real client can send.
var conformance = []struct {
	name  string
	pod   *v1.Pod
	nodes []v1.Node
}{
	{"one name", pod(nil), nodes("a")},
	{"two names", pod(nil), nodes("a", "b")},
	{"no names", pod(nil), nodes()},
	{"5000 names", pod(nil), many(5000)},
	{"name with spaces", pod(nil), nodes("node A")},
	{"UTF-8 name", pod(nil), nodes("nöde", "节点")},
	{"names that Go escapes", pod(nil), nodes("a<b>&c", "quote\"", "line\u2028")},
	{"empty-string name", pod(nil), nodes("")},
	{"no pod", nil, nodes("a")},
	{"init containers only", pod(func(p *v1.Pod) {
		p.Spec.InitContainers = []v1.Container{container("1")}
	}), nodes("a", "b")},
	{"quantities in every notation", pod(func(p *v1.Pod) {
		for _, q := range []string{"500m", "1Gi", "2", "1e3", "0.5"} {
			p.Spec.Containers = append(p.Spec.Containers, container(q))
		}
	}), nodes("a", "b")},
	{"pod of 2 MB", pod(func(p *v1.Pod) {
		p.Annotations = map[string]string{"x": strings.Repeat("y", 2<<20)}
	}), nodes("a", "b")},
	{"annotations", pod(func(p *v1.Pod) {
		p.Annotations = map[string]string{"kubemarla.io/rps": "1500", "kubemarla.io/class": "batch"}
	}), nodes("a", "b")},
}

// Every name passes or has a reason, and every name has a score in range.
func TestConformance(t *testing.T) {
	for _, cacheCapable := range []bool{true, false} {
		c := New(url(t), cacheCapable)
		for _, row := range conformance {
			t.Run(fmt.Sprintf("nodeCacheCapable=%v/%s", cacheCapable, row.name), func(t *testing.T) {
				pass, failed, err := c.Filter(row.pod, row.nodes)
				if err != nil {
					t.Fatal(err)
				}
				if len(pass)+len(failed) != len(row.nodes) {
					t.Errorf("%d pass, %d fail of %d", len(pass), len(failed), len(row.nodes))
				}
				scores, err := c.Prioritize(row.pod, row.nodes)
				if err != nil {
					t.Fatal(err)
				}
				if len(scores) != len(row.nodes) {
					t.Errorf("%d scores for %d nodes", len(scores), len(row.nodes))
				}
				for host, score := range scores {
					if score < extenderv1.MinExtenderPriority || score > extenderv1.MaxExtenderPriority {
						t.Errorf("%s: score %d", host, score)
					}
				}
			})
		}
	}
}

// A doubled host must not be scored twice: the scheduler would sum it.
func TestDoubledNames(t *testing.T) {
	c := New(url(t), true)
	once, err := c.Prioritize(pod(nil), nodes("a"))
	if err != nil {
		t.Fatal(err)
	}
	twice, err := c.Prioritize(pod(nil), nodes("a", "a"))
	if err != nil {
		t.Fatal(err)
	}
	if once["a"] != twice["a"] {
		t.Errorf("once %d, twice %d", once["a"], twice["a"])
	}
}

// Two schedulers with 100 requests each at once.
func TestParallel(t *testing.T) {
	var wait sync.WaitGroup
	for i := 0; i < 200; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if _, err := New(url(t), true).Prioritize(pod(nil), many(100)); err != nil {
				t.Error(err)
			}
		}()
	}
	wait.Wait()
}
