// SPDX-License-Identifier: Apache-2.0

// Package extenderclient does what kube-scheduler's HTTPExtender does on the wire, with the
// scheduler's own types: marshal ExtenderArgs, POST, want 200, decode one JSON value, check the
// names. Its tests run against a kubemarlad at KUBEMARLA_URL.
package extenderclient

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"
)

// DefaultTimeout is kube-scheduler's default httpTimeout.
const DefaultTimeout = 5 * time.Second

// Client calls one extender.
type Client struct {
	URLPrefix        string
	NodeCacheCapable bool
	HTTP             http.Client
}

// New returns a client with the scheduler's default timeout.
func New(urlPrefix string, nodeCacheCapable bool) *Client {
	return &Client{
		URLPrefix:        urlPrefix,
		NodeCacheCapable: nodeCacheCapable,
		HTTP:             http.Client{Timeout: DefaultTimeout},
	}
}

// Send posts args to a verb and decodes the answer into result.
func (c *Client) Send(verb string, args, result any) error {
	body, err := json.Marshal(args)
	if err != nil {
		return err
	}
	url := strings.TrimRight(c.URLPrefix, "/") + "/" + verb
	resp, err := c.HTTP.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", url, resp.StatusCode)
	}
	return json.NewDecoder(resp.Body).Decode(result)
}

func (c *Client) args(pod *v1.Pod, nodes []v1.Node) *extenderv1.ExtenderArgs {
	args := &extenderv1.ExtenderArgs{Pod: pod}
	if !c.NodeCacheCapable {
		args.Nodes = &v1.NodeList{Items: nodes}
		return args
	}
	names := make([]string, 0, len(nodes))
	for i := range nodes {
		names = append(names, nodes[i].Name)
	}
	args.NodeNames = &names
	return args
}

// Filter returns the names that pass and those that do not, with their reasons. A name that was not
// asked for is an error, as in the scheduler.
func (c *Client) Filter(pod *v1.Pod, nodes []v1.Node) ([]string, map[string]string, error) {
	var result extenderv1.ExtenderFilterResult
	var pass []string

	if err := c.Send("filter", c.args(pod, nodes), &result); err != nil {
		return nil, nil, err
	}
	if result.Error != "" {
		return nil, nil, fmt.Errorf("extender: %s", result.Error)
	}
	asked := make(map[string]bool, len(nodes))
	for i := range nodes {
		asked[nodes[i].Name] = true
	}
	switch {
	case c.NodeCacheCapable && result.NodeNames != nil:
		pass = *result.NodeNames
	case result.Nodes != nil:
		for i := range result.Nodes.Items {
			pass = append(pass, result.Nodes.Items[i].Name)
		}
	}
	for _, name := range pass {
		if !asked[name] {
			return nil, nil, fmt.Errorf("extender passes %q, which was not asked for", name)
		}
	}
	failed := map[string]string{}
	for name, reason := range result.FailedNodes {
		failed[name] = reason
	}
	for name, reason := range result.FailedAndUnresolvableNodes {
		failed[name] = reason
	}
	return pass, failed, nil
}

// Prioritize returns each host's score summed, as the scheduler sums doubled hosts.
func (c *Client) Prioritize(pod *v1.Pod, nodes []v1.Node) (map[string]int64, error) {
	var result extenderv1.HostPriorityList

	if err := c.Send("prioritize", c.args(pod, nodes), &result); err != nil {
		return nil, err
	}
	scores := make(map[string]int64, len(result))
	for _, host := range result {
		scores[host.Host] += host.Score
	}
	return scores, nil
}
