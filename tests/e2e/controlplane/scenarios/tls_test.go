// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const tlsOverlay = "deploy/overlays/tls"

// certificates runs the overlay's script, and returns what is to be in place of a pod's mount.
func (s *scenario) certificates(dir string) func(config, pod string) string {
	s.Helper()
	out, err := exec.Command(filepath.Join(s.root, tlsOverlay, "certificates.sh"), dir).CombinedOutput()
	if err != nil {
		s.Fatalf("certificates.sh: %v: %s", err, out)
	}
	return func(config, pod string) string {
		return strings.NewReplacer("/etc/kubemarla-tls/tls", filepath.Join(dir, pod),
			"/etc/kubemarla-tls/ca", filepath.Join(dir, "ca")).Replace(config)
	}
}

// client trusts the CA and, with a name, shows that certificate.
func (s *scenario) client(dir, server, name string) *tls.Config {
	s.Helper()
	pem, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	must(s.T, err)
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: server}
	config.RootCAs.AppendCertsFromPEM(pem)
	if name != "" {
		certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
		must(s.T, err)
		config.Certificates = []tls.Certificate{certificate}
	}
	return config
}

// The overlay tls with the certificates of its script: kube-scheduler asks the extender and the
// extender asks the agent, each showing a certificate; who has none learns nothing but that they
// live.
func tlsIsSpokenEverywhere(s *scenario) {
	if out, err := s.Kubectl("", "apply", "--server-side", "--dry-run=server", "--force-conflicts", "-k",
		filepath.Join(s.root, tlsOverlay)); err != nil {
		s.Errorf("the overlay is refused: %v: %s", err, out)
	}
	dir := filepath.Join(s.Dir, "certificates")
	mounted := s.certificates(dir)
	must(s.T, s.traces.Set("host", "cpu:4"))
	agent := s.newDaemon(mounted(s.deployed(tlsOverlay+"/agent.yaml", map[string]any{
		"observe": map[string]any{"address": agentAddress["minikube"]},
		"nodes": []any{map[string]any{"name": minikube[0], "cpus": "0-2"},
			map[string]any{"name": minikube[1], "cpus": "3-5"}},
		"collect": map[string]any{"interval": "200ms", "sources": []any{map[string]any{
			"replay": map[string]any{"file": s.traces.File("host"), "nodes": []any{minikube[0], minikube[1]},
				"speed": 100000}}}},
	}), "kubemarla-agent"))
	agent.Secure(s.client(dir, "kubemarla-agent", "kubemarla-scheduler"))
	s.start(agent)
	d := s.newDaemon(mounted(s.deployed(tlsOverlay+"/scheduler.yaml", map[string]any{
		"observe":    map[string]any{"address": ""},
		"kubernetes": map[string]any{"kubeconfig": s.identity, "namespace": system},
		"decide":     map[string]any{"effects": ""},
	}), "kubemarla-scheduler"))
	d.Secure(s.client(dir, "kubemarla-scheduler", "kubemarla-scheduler"))
	s.start(d)
	must(s.T, d.Seen(minikube[:1], func(slowdown float64) bool { return slowdown > 3 }))
	must(s.T, d.Seen(minikube[1:], func(slowdown float64) bool { return slowdown < 2 }))

	s.schedulerOf(tlsOverlay+"/scheduler-config.yaml", d.URL(), func(config map[string]any) {
		extender := config["extenders"].([]any)[0].(map[string]any)
		extender["httpTimeout"] = "10s"
		files := extender["tlsConfig"].(map[string]any)
		for key, file := range files {
			files[key] = mounted(file.(string), "kubemarla-scheduler")
		}
	})
	s.deploy("ours", 2, shape{scheduler: schedulerIs,
		annotations: map[string]string{"kubemarla.io/max-slowdown": "4"}})
	if counts := s.running("ours", 2); counts["minikube-m02"] != 2 {
		s.Errorf("placed on%s, want both on minikube-m02", spread(counts))
	}
	m, err := d.Metrics()
	must(s.T, err)
	if n := m.Sum("kubemarla_http_answers_total", "route", "/prioritize", "code", "200"); n < 2 {
		s.Errorf("%.0f answers to /prioritize, want 2 at least", n)
	}

	nobody := &http.Client{Timeout: 5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: s.client(dir, "kubemarla-agent", "")}}
	for path, want := range map[string]int{"/v1/features": 403, "/metrics": 403, "/healthz": 200, "/readyz": 200} {
		url := fmt.Sprintf("https://%s:9192%s", agentAddress["minikube"], path)
		answer, err := nobody.Get(url)
		must(s.T, err)
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode != want {
			s.Errorf("%s without a certificate: %s, want %d", path, answer.Status, want)
		}
	}
}
