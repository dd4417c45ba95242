// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubemarla.io/tests/e2e/controlplane/cluster"
)

// mirror is the daemon's reflector in a program of its own (tests/fixtures/kube_mirror.c).
type mirror struct {
	*cluster.Process
}

// told is what the mirror has said so far: the objects that it believes in, and how it came by them.
type told struct {
	objects               map[string]string // "namespace/name" -> resourceVersion
	listings, lists, lost int
	events                map[string]int
	live                  bool
	metrics               map[string]float64 // of the newest exposition
}

func (m *mirror) told() (*told, error) {
	f, err := os.Open(m.Log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t := &told{objects: map[string]string{}, events: map[string]int{}, metrics: map[string]float64{}}
	listed := map[string]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		word, rest, _ := strings.Cut(s.Text(), " ")
		name, version, _ := strings.Cut(rest, " ")
		switch word {
		case "listing":
			t.listings++
			listed = map[string]bool{}
		case "listed":
			t.lists++
			for n := range t.objects {
				if !listed[n] {
					delete(t.objects, n)
				}
			}
		case "live":
			t.live = true
		case "lost":
			t.live = false
			t.lost++
		case "LISTED", "ADDED", "MODIFIED":
			t.events[word]++
			t.objects[name] = version
			listed[name] = true
		case "DELETED":
			t.events[word]++
			delete(t.objects, name)
		default:
			if strings.HasPrefix(word, "kubemarla_") {
				t.metrics[word], _ = strconv.ParseFloat(rest, 64)
			}
		}
	}
	return t, nil
}

// restarts are those of its watch, by reason.
func (t *told) restarts(reason string) float64 {
	return t.metrics[fmt.Sprintf("kubemarla_kube_watch_restarts_total{resource=\"mirrored\",reason=%q}", reason)]
}

// seen are its events by type.
func (t *told) seen(kind string) float64 {
	return t.metrics[fmt.Sprintf("kubemarla_kube_watch_events_total{resource=\"mirrored\",type=%q}", kind)]
}

// The mirror of the scenario's ConfigMaps has to agree with the API server after each misfortune.
func aWatchKeepsUp(s *scenario) {
	const many, page = 1200, 500
	s.createMaps("first", many)
	m := s.mirror("kube_mirror", page)
	t := s.agrees(m, "listed in pages")
	if t.lists != 1 || t.events["LISTED"] < many {
		s.Errorf("%d lists with %d objects, want one with %d at least", t.lists, t.events["LISTED"], many)
	}
	s.createMaps("second", 100)
	s.removeMaps("first", 100)
	t = s.agrees(m, "100 added and 100 deleted")
	if t.lists != 1 || t.events["ADDED"] < 100 || t.events["DELETED"] < 100 {
		s.Errorf("%d lists, %d added, %d deleted, want one, 100 and 100 by the watch",
			t.lists, t.events["ADDED"], t.events["DELETED"])
	}

	// The connection breaks, nothing is lost meanwhile.
	s.Apiserver.Kill()
	until(s.T, func() error { return s.heard(m, func(t *told) bool { return !t.live }, "that the stream is lost") })
	must(s.T, s.StartApiserver())
	s.createMaps("third", 50)
	s.agrees(m, "the API server killed and back")

	// What it knew is too old: it hangs, its connection breaks, much happens, and etcd and the
	// newest API server's cache begin after that.
	must(s.T, m.Signal(syscall.SIGSTOP))
	s.restartApiserver()
	s.removeMaps("second", 100)
	s.createMaps("fourth", 50)
	s.compact()
	s.restartApiserver()
	s.createMaps("fifth", 10)
	must(s.T, m.Signal(syscall.SIGCONT))
	t = s.agrees(m, "its version compacted away")
	until(s.T, func() error { return s.heard(m, func(t *told) bool { return t.restarts("gone") > 0 }, "410 Gone") })

	// Compaction in the middle of lists: page after page of one object.
	sm := s.mirror("kube_mirror-slow", 1)
	until(s.T, func() error {
		return s.heard(sm, func(t *told) bool { return t.events["LISTED"] > 50 }, "the first pages")
	})
	must(s.T, sm.Signal(syscall.SIGSTOP))
	s.removeMaps("third", 50)
	s.compact()
	s.restartApiserver()
	must(s.T, sm.Signal(syscall.SIGCONT))
	t = s.agrees(sm, "compacted between two pages")
	s.Logf("lists begun for that: %d", t.listings)

	// A watch of five seconds, in which nothing of its own happens: a bookmark moves it on.
	bm := s.mirror("kube_mirror-brief", page, "5")
	s.agrees(bm, "listed for a brief watch")
	s.createMaps("marker", 1)
	until(s.T, func() error {
		return s.heard(bm, func(t *told) bool {
			return t.seen("bookmark") > 0 && t.restarts("timeout") > 1
		}, "bookmarks and ends in order")
	})
	if t = s.agrees(bm, "went on from bookmarks"); t.lost != 0 || t.lists != 1 {
		s.Errorf("lost %d times, %d lists, want none and one", t.lost, t.lists)
	}

	s.Etcd.Kill()
	s.unreachable()
	must(s.T, s.StartEtcd())
	s.reachable()
	s.createMaps("sixth", 10)
	s.agrees(m, "etcd killed and back")
	if m.Gone() || sm.Gone() {
		s.Error("a mirror did not survive")
	}
}

func (s *scenario) restartApiserver() {
	s.Helper()
	s.Apiserver.Kill()
	must(s.T, s.StartApiserver())
}

// mirror starts one, of the scenario's ConfigMaps.
func (s *scenario) mirror(name string, page int, more ...string) *mirror {
	s.Helper()
	p, err := cluster.Start(s.Dir, name, filepath.Join(s.out, "tests", "kube_mirror"), append([]string{
		s.Kubeconfig("admin"), "/api/v1/namespaces/" + s.namespace + "/configmaps", fmt.Sprint(page)}, more...))
	must(s.T, err)
	s.processes = append(s.processes, p)
	return &mirror{p}
}

// agrees waits until the mirror believes what the API server says, and returns how it came by it.
func (s *scenario) agrees(m *mirror, what string) *told {
	s.Helper()
	start := time.Now()
	var t *told
	until(s.T, func() error {
		list, err := s.CoreV1().ConfigMaps(s.namespace).List(s.ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if t, err = m.told(); err != nil {
			return err
		}
		if t.lists == 0 || len(t.objects) != len(list.Items) {
			return fmt.Errorf("the mirror has %d objects, the API server %d", len(t.objects), len(list.Items))
		}
		for _, o := range list.Items {
			if v := t.objects[o.Namespace+"/"+o.Name]; v != o.ResourceVersion {
				return fmt.Errorf("%s: the mirror has version %q, the API server %q", o.Name, v, o.ResourceVersion)
			}
		}
		return nil
	})
	s.Logf("%-34s %4d objects agree after %.1f s, %d lists, lost %d times", what+":", len(t.objects),
		time.Since(start).Seconds(), t.lists, t.lost)
	return t
}

func (s *scenario) heard(m *mirror, is func(*told) bool, what string) error {
	t, err := m.told()
	if err == nil && t.listings > 0 { // before that the signal would end it
		err = m.Signal(syscall.SIGUSR1)
	}
	if err == nil && !is(t) {
		err = fmt.Errorf("the mirror has not heard of %s", what)
	}
	return err
}

func (s *scenario) createMaps(prefix string, count int) {
	s.Helper()
	s.eachMap(prefix, count, func(ctx context.Context, name string) error {
		_, err := s.CoreV1().ConfigMaps(s.namespace).Create(ctx,
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		return err
	})
}

func (s *scenario) removeMaps(prefix string, count int) {
	s.Helper()
	s.eachMap(prefix, count, func(ctx context.Context, name string) error {
		return s.CoreV1().ConfigMaps(s.namespace).Delete(ctx, name, metav1.DeleteOptions{})
	})
}

func (s *scenario) eachMap(prefix string, count int, do func(context.Context, string) error) {
	s.Helper()
	var group sync.WaitGroup
	names := make(chan string)
	failures := make(chan error, count)
	for range 16 {
		group.Add(1)
		go func() {
			defer group.Done()
			for name := range names {
				if err := do(s.ctx, name); err != nil {
					failures <- err
				}
			}
		}()
	}
	for i := range count {
		names <- fmt.Sprintf("%s-%04d", prefix, i)
	}
	close(names)
	group.Wait()
	close(failures)
	for err := range failures {
		must(s.T, err)
	}
}

// compact makes etcd forget all versions but the newest.
func (s *scenario) compact() {
	s.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.EtcdURL()}, DialTimeout: 10 * time.Second})
	must(s.T, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Second)
	defer cancel()
	now, err := c.Get(ctx, "none")
	must(s.T, err)
	_, err = c.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical())
	must(s.T, err)
}
