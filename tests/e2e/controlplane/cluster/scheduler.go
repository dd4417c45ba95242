// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"
)

// Scheduler is a stock kube-scheduler with a configuration of deploy/.
type Scheduler struct {
	*Process
	port     int
	bin, dir string
	config   string // file
	identity string // kubeconfig
	client   *http.Client
}

// SchedulerConfig takes a KubeSchedulerConfiguration as it is in deploy/ and puts in what can only
// be different here: where the API server and the extender are. change may do more to it.
func SchedulerConfig(file, kubeconfig, extender string, change func(config map[string]any)) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	config := map[string]any{}
	if err := yaml.UnmarshalStrict(text, &config); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	connection, _ := config["clientConnection"].(map[string]any)
	if connection == nil {
		connection = map[string]any{}
		config["clientConnection"] = connection
	}
	connection["kubeconfig"] = kubeconfig
	extenders, _ := config["extenders"].([]any)
	if len(extenders) != 1 {
		return nil, fmt.Errorf("%s: %d extenders, want 1", file, len(extenders))
	}
	extenders[0].(map[string]any)["urlPrefix"] = extender
	if change != nil {
		change(config)
	}
	return yaml.Marshal(config)
}

// NewScheduler has its configuration and does not run yet. kubeconfig is the identity for all that
// it asks.
func (c *ControlPlane) NewScheduler(name string, config []byte, kubeconfig string) (*Scheduler, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	certificate, err := tls.LoadX509KeyPair(c.pki.path("admin.crt"), c.pki.path("admin.key"))
	if err != nil {
		return nil, err
	}
	// the server's certificate is one that it made itself, as in the pod
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, Certificates: []tls.Certificate{certificate}}}}
	s := &Scheduler{port: port, client: client, dir: c.Dir, bin: c.Bin, identity: kubeconfig,
		config: filepath.Join(c.Dir, name+".yaml"), Process: &Process{Name: name}}
	return s, os.WriteFile(s.config, config, 0o644)
}

// Start runs it and waits until it leads and schedules.
func (s *Scheduler) Start() error {
	p, err := Start(s.dir, s.Name, filepath.Join(s.bin, "kube-scheduler"), []string{
		"--config=" + s.config, "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", s.port),
		"--authentication-kubeconfig=" + s.identity, "--authorization-kubeconfig=" + s.identity, "-v=2",
	})
	if err != nil {
		return err
	}
	s.Process = p
	return Until(startPatience, p, func() error {
		m, err := s.Metrics()
		if err != nil {
			return err
		}
		if m.Sum("leader_election_master_status") != 1 {
			return fmt.Errorf("%s does not lead", s.Name)
		}
		return nil
	})
}

// Metrics are the scheduler's, shown to the administrator.
func (s *Scheduler) Metrics() (Metrics, error) {
	body, err := get(s.client, fmt.Sprintf("https://127.0.0.1:%d/metrics", s.port))
	if err != nil {
		return nil, err
	}
	return parseMetrics(body)
}
