// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

type finding struct{ Level, About, Seen, Wanted, Mend string }

func (f finding) String() string {
	return fmt.Sprintf("%s: %s: saw %s, want %s", f.Level, f.About, f.Seen, f.Wanted)
}

// doctor runs `kubemarla doctor --cluster` as the administrator. It returns what must be mended, and
// checks that its exit code says the same.
func (s *scenario) doctor() []finding {
	s.Helper()
	cmd := exec.CommandContext(s.ctx, filepath.Join(s.out, "kubemarla"), "doctor", "--cluster", "--json",
		"--kubeconfig", s.Kubeconfig("admin"))
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.Fatal(err)
	}
	var answer struct{ Findings []finding }
	if err := json.Unmarshal(out, &answer); err != nil {
		s.Fatalf("doctor says %q: %v", out, err)
	}
	var trouble []finding
	for _, f := range answer.Findings {
		if f.Level != "note" {
			trouble = append(trouble, f)
		}
	}
	if code := cmd.ProcessState.ExitCode(); (code != 0) != (len(trouble) > 0) {
		s.Errorf("doctor ends with %d and %d findings: %v", code, len(trouble), trouble)
	}
	return trouble
}

var standIn = regexp.MustCompile("^(agent|nodes|Lease) ?")

// What an administrator may get wrong, how, and what doctor must then have among its findings.
var mistakes = []struct {
	name string
	do   [][]string // kubectl
	want []string   // parts of one finding
}{
	{"no-rights", [][]string{{"delete", "clusterrolebinding", "kubemarla"}},
		[]string{"rights: list interferencepolicies", "no policy holds"}},
	{"no-lease-rights", [][]string{{"delete", "-n", system, "rolebinding", "kubemarla-kube-scheduler"}},
		[]string{"rights: update leases", "kube-scheduler never leads"}},
	{"no-crd", [][]string{{"delete", "crd", "interferencepolicies.kubemarla.io"}}, []string{"CRD"}},
	{"inaudible", [][]string{schedulerSettings("weight: 10", "weight: 1")}, []string{"weight"}},
	{"whole-nodes", [][]string{schedulerSettings("nodeCacheCapable: true", "nodeCacheCapable: false")},
		[]string{"nodeCacheCapable"}},
	{"slow", [][]string{schedulerSettings("httpTimeout: 200ms", "httpTimeout: 5s")}, []string{"httpTimeout", "5"}},
	{"not-ignorable", [][]string{schedulerSettings("ignorable: true", "ignorable: false")}, []string{"ignorable"}},
	{"shared-lease", [][]string{schedulerSettings("resourceName: kubemarla-scheduler",
		"resourceName: kube-scheduler"), schedulerSettings("resourceNamespace: kubemarla-system",
		"resourceNamespace: kube-system")}, []string{"ease"}},
	// Go asks loopback without a proxy; an extender elsewhere it would ask through it.
	{"proxy", [][]string{schedulerSettings("http://127.0.0.1:9191", "http://kubemarla.example:9191"),
		{"set", "env", "-n", system, "deployment/kubemarla-scheduler", "-c", "kube-scheduler",
			"HTTP_PROXY=http://proxy.example:3128"}}, []string{"HTTP_PROXY"}},
	{"no-extender", [][]string{schedulerSettings("http://127.0.0.1:9191", "http://127.0.0.1:9999")},
		[]string{"urlPrefix"}},
}

// schedulerSettings marks a change of the text that kube-scheduler reads; planted does it.
func schedulerSettings(from, to string) []string { return []string{"", from, to} }

// plant makes the mistake in the live cluster.
func (s *scenario) plant(do [][]string) {
	s.Helper()
	const name, key = "kubemarla-scheduler-config", "scheduler-config.yaml"
	for _, args := range do {
		if args[0] == "" {
			text, err := s.Kubectl("", "get", "configmap", "-n", system, name, "-o", `jsonpath={.data.scheduler-config\.yaml}`)
			must(s.T, err)
			if !strings.Contains(text, args[1]) {
				s.Fatalf("%s has no %q:\n%s", name, args[1], text)
			}
			patch, err := json.Marshal(map[string]any{"data": map[string]string{
				key: strings.ReplaceAll(text, args[1], args[2])}})
			must(s.T, err)
			args = []string{"patch", "configmap", "-n", system, name, "--type=merge", "-p", string(patch)}
		}
		_, err := s.Kubectl("", args...)
		must(s.T, err)
	}
}

// doctorFindsMistakes plants one mistake after the other in what deploy/ installed. What doctor says
// without any is about agents and Leases: no processes belong to the pods here, which it rightly finds.
func doctorFindsMistakes(s *scenario) {
	before := map[finding]bool{}
	for _, f := range s.doctor() {
		s.Logf("without a mistake: %v", f)
		before[f] = true
		if !standIn.MatchString(f.About) {
			s.Errorf("not about what is a stand-in here: %v", f)
		}
	}
	for _, m := range mistakes {
		s.plant(m.do)
		until(s.T, func() error { // the API server's authorizer hears of it a moment later
			f, all := s.newFinding(before, m.want)
			if f == nil {
				return fmt.Errorf("%s: found %v, want one with %q", m.name, all, m.want)
			}
			s.Logf("%-16s %v", m.name, *f)
			return nil
		})
		_, err := s.Kubectl("", "apply", "--server-side", "--force-conflicts", "-k", filepath.Join(s.root, overlay))
		must(s.T, err)
	}
	// apply takes back what deploy/ says, not what others added
	_, err := s.Kubectl("", "set", "env", "-n", system, "deployment/kubemarla-scheduler", "HTTP_PROXY-")
	must(s.T, err)
	until(s.T, func() error {
		for _, f := range s.doctor() {
			if !standIn.MatchString(f.About) {
				return fmt.Errorf("after all is mended: %v", f)
			}
		}
		return nil
	})
}

// newFinding returns the first that was not there before and has all the parts, and all new ones.
func (s *scenario) newFinding(before map[finding]bool, parts []string) (*finding, []finding) {
	s.Helper()
	var found *finding
	var all []finding
	for _, f := range s.doctor() {
		if before[f] {
			continue
		}
		all = append(all, f)
		matches := true
		for _, part := range parts {
			matches = matches && strings.Contains(f.String(), part)
		}
		if matches && found == nil {
			found = &f
		}
	}
	return found, all
}
