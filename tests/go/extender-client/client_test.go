// SPDX-License-Identifier: Apache-2.0

package extenderclient

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"reflect"
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
	{"names unknown to us among known ones", pod(nil), nodes("quiet", "x", "noisy", "y")},
	{"UTF-8 name", pod(nil), nodes("nöde", "节点")},
	{"names that Go escapes", pod(nil), nodes("a<b>&c", "quote\"", "line\u2028")},
	{"empty-string name", pod(nil), nodes("")},
	{"no pod", nil, nodes("a")},
	{"an empty pod", &v1.Pod{}, nodes("a", "b")},
	{"labels", pod(func(p *v1.Pod) {
		p.Labels = map[string]string{"app": "web", "NodeNames": "x"}
	}), nodes("a", "b")},
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

// The nodes of integration/extender-client.sh: what the fixed test model says of their traces, for
// a pod that says nothing of itself; the last two have no counters.
func TestScoresOfTheFixedWorld(t *testing.T) {
	list := nodes("quiet", "some", "noisy", "blind", "unknown")
	want := map[string]int64{"quiet": 10, "some": 6, "noisy": 2, "blind": 5, "unknown": 5}
	for _, cacheCapable := range []bool{true, false} {
		scores, err := New(url(t), cacheCapable).Prioritize(pod(nil), list)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(scores, want) {
			t.Errorf("nodeCacheCapable=%v: %v, want %v", cacheCapable, scores, want)
		}
	}
}

// A pod's annotations change what is tolerated, and with it the scores.
func TestAnnotationsAreHeard(t *testing.T) {
	strict := pod(func(p *v1.Pod) {
		p.Annotations = map[string]string{
			"kubemarla.io/rps": "3000", "kubemarla.io/max-slowdown": "3",
		}
	})
	scores, err := New(url(t), true).Prioritize(strict, nodes("quiet", "some", "noisy"))
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]int64{"quiet": 8, "some": 4, "noisy": 2}; !reflect.DeepEqual(scores, want) {
		t.Errorf("%v, want %v", scores, want)
	}
}

// post sends a body as it is. It returns the status and the answer.
func post(t *testing.T, verb, body string) (int, []byte) {
	t.Helper()
	resp, err := http.Post(url(t)+"/"+verb, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// Go decodes keys in any case and ignores those it does not know, so a decoded answer proves little:
// what Go would have written must be what was sent, key by key.
func TestAnswersAreWhatGoWouldWrite(t *testing.T) {
	rows := []struct {
		verb, body string
		into       any
	}{
		{"filter", `{"Pod":null,"Nodes":null,"NodeNames":["a","node B","ö"]}`,
			&extenderv1.ExtenderFilterResult{}},
		{"filter", `{"Pod":null,"Nodes":null,"NodeNames":[]}`, &extenderv1.ExtenderFilterResult{}},
		{"filter", `{"Pod":null,"Nodes":null,"NodeNames":null}`, &extenderv1.ExtenderFilterResult{}},
		{"prioritize", `{"Pod":null,"Nodes":null,"NodeNames":["a","node B","ö"]}`,
			&extenderv1.HostPriorityList{}},
		{"prioritize", `{"Pod":null,"Nodes":null,"NodeNames":null}`, &extenderv1.HostPriorityList{}},
	}
	for _, row := range rows {
		var got, want any
		status, answer := post(t, row.verb, row.body)
		if status != http.StatusOK {
			t.Fatalf("%s %s: status %d", row.verb, row.body, status)
		}
		if err := json.Unmarshal(answer, row.into); err != nil {
			t.Fatalf("%s: %v", answer, err)
		}
		written, err := json.Marshal(row.into)
		if err != nil {
			t.Fatal(err)
		}
		if json.Unmarshal(answer, &got) != nil || json.Unmarshal(written, &want) != nil {
			t.Fatalf("%s or %s is no JSON", answer, written)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %s\nGo's %s", answer, written)
		}
	}
}

// What the scheduler would take for an answer must not come where there is none.
func TestRefusalsAreNoAnswers(t *testing.T) {
	names := `"NodeNames":["a"]`
	rows := []struct {
		name, verb, body string
		status           int
	}{
		{"truncated", "filter", `{` + names, http.StatusBadRequest},
		{"empty", "filter", "", http.StatusBadRequest},
		{"not JSON", "prioritize", "names", http.StatusBadRequest},
		{"an array on top", "prioritize", `["a"]`, http.StatusBadRequest},
		{"65 deep", "filter", strings.Repeat(`{"Pod":`, 65) + "0" + strings.Repeat("}", 65),
			http.StatusBadRequest},
		{"another path", "bind", `{` + names + `}`, http.StatusNotFound},
		{"over 8 MiB", "filter", `{` + names + `}` + strings.Repeat(" ", 8<<20),
			http.StatusRequestEntityTooLarge},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			status, answer := post(t, row.verb, row.body)
			if status != row.status {
				t.Errorf("status %d, want %d: %s", status, row.status, answer)
			}
		})
	}
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		req, err := http.NewRequest(method, url(t)+"/filter", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: status %d, want 405", method, resp.StatusCode)
		}
	}
}

// The scheduler reads one JSON value and closes the body. Unless that value ends where the body
// does, there are lengths at which the client has not seen its end then, and gives the connection
// up: every one of these requests must go over the first one's.
func TestConnectionIsReused(t *testing.T) {
	c := New(url(t), true)
	fresh := 0
	c.HTTP.Transport = &countingTransport{next: &http.Transport{}, fresh: &fresh}
	for n := 1; n < 1700; n++ {
		name := strings.Repeat("n", n)
		if _, _, err := c.Filter(pod(nil), nodes(name)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Prioritize(pod(nil), nodes(name)); err != nil {
			t.Fatal(err)
		}
		if fresh > 1 {
			t.Fatalf("a name of %d bytes cost the connection", n)
		}
	}
}

// countingTransport counts connections that had to be made.
type countingTransport struct {
	next  http.RoundTripper
	fresh *int
}

func (c *countingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if !info.Reused {
			*c.fresh++
		}
	}}
	return c.next.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
}
