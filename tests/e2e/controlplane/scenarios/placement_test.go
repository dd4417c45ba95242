// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"encoding/json"
	"fmt"

	"kubemarla.io/tests/e2e/controlplane/cluster"
)

// A service of 60 pods on 20 nodes, of which six suffer: none of the pods goes there. Without the
// extender the stock scheduler, which sees equal nodes, spreads them evenly.
func unharmedNodesArePreferred(s *scenario) {
	nodes := nodeNames("node", 0, 20)
	harmed, well := nodes[:6], nodes[6:]
	for _, n := range harmed {
		must(s.T, s.traces.Set(n, "l3:4"))
	}
	for _, n := range well {
		must(s.T, s.traces.Set(n, "none"))
	}
	d := s.daemon(nodes, "")
	must(s.T, d.Seen(harmed, func(slowdown float64) bool { return slowdown > 3 }))
	must(s.T, d.Seen(well, func(slowdown float64) bool { return slowdown < 2 }))
	s.scheduler(d.URL())

	const pods = 60
	s.deploy("ours", pods, shape{scheduler: schedulerIs})
	s.deploy("control", pods, shape{scheduler: "default-scheduler"})
	ours, control := s.running("ours", pods), s.running("control", pods)
	s.Logf("with the extender:   %s", spread(ours))
	s.Logf("without (control):   %s", spread(control))
	s.Logf("on the %d harmed of %d nodes: %d of %d pods, control %d", len(harmed), len(nodes),
		sumOf(ours, harmed), pods, sumOf(control, harmed))
	if n := sumOf(ours, harmed); n != 0 {
		s.Errorf("%d pods are on harmed nodes, want none", n)
	}
	if n := sumOf(control, harmed); n < pods*len(harmed)/len(nodes)/2 {
		s.Errorf("without the extender %d pods are on harmed nodes, want some %d: no control", n,
			pods*len(harmed)/len(nodes))
	}
	followed, of := s.ranking(d, "ours")
	s.Logf("placements that follow our ranking: %d of %d", followed, of)
	if of < pods {
		s.Errorf("the daemon remembers decisions about %d of %d pods", of, pods)
	}
}

// ranking tells how many of the app's pods are where the daemon scored highest, of those that it
// remembers. The scheduler adds its own plugins' scores to ours, so not all need to.
func (s *scenario) ranking(d *cluster.Daemon, app string) (followed, of int) {
	s.Helper()
	pods, err := s.pods(app)
	must(s.T, err)
	for _, p := range pods {
		body, err := d.Get(fmt.Sprintf("/v1/decisions?namespace=%s&pod=%s&limit=1", s.namespace, p.Name))
		must(s.T, err)
		var answer struct {
			Decisions []struct {
				BestScore *int `json:"bestScore"`
				Nodes     []struct {
					Node  string `json:"node"`
					Score *int   `json:"score"`
				} `json:"nodes"`
			} `json:"decisions"`
		}
		must(s.T, json.Unmarshal(body, &answer))
		if len(answer.Decisions) == 0 {
			continue
		}
		of++
		best := answer.Decisions[0].BestScore
		for _, n := range answer.Decisions[0].Nodes {
			if best != nil && n.Score != nil && n.Node == p.Spec.NodeName && *n.Score == *best {
				followed++
			}
		}
	}
	return followed, of
}
