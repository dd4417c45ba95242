// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Daemon is a kubemarlad. Killed and started again it listens on the same port.
type Daemon struct {
	*Process
	Port int

	dir, program, config string
	args                 []string
	client               *http.Client
	scheme               string
}

// NewDaemon has a configuration and a free port, and does not run yet.
func NewDaemon(dir, name, program, config string) (*Daemon, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	d := &Daemon{Port: port, dir: dir, program: program, Process: &Process{Name: name},
		client: httpClient, scheme: "http"}
	d.args = []string{"-l", fmt.Sprintf("127.0.0.1:%d", port)}
	return d, d.Configure(config)
}

// Configure writes another configuration, for the next start or SIGHUP.
func (d *Daemon) Configure(config string) error {
	d.config = filepath.Join(d.dir, d.Name+".yaml")
	return os.WriteFile(d.config, []byte(config), 0o644)
}

// Start runs it and waits until it is ready.
func (d *Daemon) Start(env ...string) error {
	p, err := Start(d.dir, d.Name, d.program, append([]string{"-c", d.config}, d.args...), env...)
	if err != nil {
		return err
	}
	d.Process = p
	return Until(startPatience, p, func() error {
		_, err := d.Get("/readyz")
		return err
	})
}

// Secure has it asked by TLS.
func (d *Daemon) Secure(config *tls.Config) {
	d.scheme = "https"
	d.client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: config}}
}

// URL is where the extender answers.
func (d *Daemon) URL() string { return fmt.Sprintf("%s://127.0.0.1:%d", d.scheme, d.Port) }

// One that is stopped answers nobody.
var httpClient = &http.Client{Timeout: 5 * time.Second}

// Get asks the daemon.
func (d *Daemon) Get(path string) ([]byte, error) { return get(d.client, d.URL()+path) }

func get(client *http.Client, url string) ([]byte, error) {
	answer, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.300s", url, answer.Status, body)
	}
	return body, err
}

// Metrics are the daemon's.
func (d *Daemon) Metrics() (Metrics, error) {
	body, err := d.Get("/metrics")
	if err != nil {
		return nil, err
	}
	return parseMetrics(body)
}

// Node is what /v1/nodes says of one.
type Node struct {
	Name              string   `json:"name"`
	Tier              string   `json:"tier"`
	AgeSeconds        *float64 `json:"ageSeconds"`
	PredictedSlowdown *float64 `json:"predictedSlowdown"`
}

// Nodes are what the daemon knows of them, by name.
func (d *Daemon) Nodes() (map[string]Node, error) {
	body, err := d.Get("/v1/nodes")
	if err != nil {
		return nil, err
	}
	var answer struct {
		Nodes []Node `json:"nodes"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	nodes := map[string]Node{}
	for _, n := range answer.Nodes {
		nodes[n.Name] = n
	}
	return nodes, nil
}

// Seen waits until the daemon's prediction for each of the nodes is as the caller wants it.
func (d *Daemon) Seen(names []string, want func(slowdown float64) bool) error {
	return Until(30*time.Second, d.Process, func() error {
		nodes, err := d.Nodes()
		if err != nil {
			return err
		}
		for _, name := range names {
			n := nodes[name]
			if n.PredictedSlowdown == nil {
				return fmt.Errorf("node %s has no prediction", name)
			}
			if !want(*n.PredictedSlowdown) {
				return fmt.Errorf("node %s: predicted slowdown %.2f", name, *n.PredictedSlowdown)
			}
		}
		return nil
	})
}

// LocalConfig is a daemon that measures all the nodes itself, by their traces.
func LocalConfig(t *Traces, nodes []string, more string) string {
	var b strings.Builder
	b.WriteString("nodes:\n")
	for _, n := range nodes {
		fmt.Fprintf(&b, "- {name: %s, cpus: \"0-2\"}\n", n)
	}
	b.WriteString("collect:\n  interval: 200ms\n  sources:\n")
	for _, n := range nodes {
		fmt.Fprintf(&b, "  - replay: {file: %q, node: %s, speed: 100000}\n", t.File(n), n)
	}
	b.WriteString(more)
	return b.String()
}
