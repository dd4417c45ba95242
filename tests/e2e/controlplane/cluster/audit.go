// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Asked is a kind of request, as far as RBAC looks at it.
type Asked struct {
	Agent                            string // the program: the first word of its User-Agent
	Verb, Group, Resource, Namespace string
	Name                             string // "" where rules with resourceNames cannot match
	Forbidden                        bool
}

// Right is what it takes.
func (a Asked) Right() string { return rightOf(a.Verb, a.Group, a.Resource) }

func rightOf(verb, group, resource string) string {
	if group == "" {
		return verb + " " + resource
	}
	return fmt.Sprintf("%s %s.%s", verb, resource, group)
}

// Audited are the kinds of requests in the audit log, each once.
func (c *ControlPlane) Audited() ([]Asked, error) {
	f, err := os.Open(c.AuditLog())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	seen := map[Asked]bool{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var e struct {
			Verb, UserAgent string
			ObjectRef       *struct{ Resource, Subresource, APIGroup, Namespace, Name string }
			Annotations     map[string]string
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			continue // the last line of a process that was killed
		}
		if e.ObjectRef == nil {
			continue
		}
		agent, _, _ := strings.Cut(e.UserAgent, " ")
		agent, _, _ = strings.Cut(agent, "/")
		a := Asked{Agent: agent, Verb: e.Verb, Group: e.ObjectRef.APIGroup, Resource: e.ObjectRef.Resource,
			Namespace: e.ObjectRef.Namespace, Forbidden: e.Annotations["authorization.k8s.io/decision"] == "forbid"}
		if e.ObjectRef.Subresource != "" {
			a.Resource += "/" + e.ObjectRef.Subresource
		}
		if e.ObjectRef.Resource == "leases" {
			a.Name = e.ObjectRef.Name
		}
		seen[a] = true
	}
	asked := make([]Asked, 0, len(seen))
	for a := range seen {
		asked = append(asked, a)
	}
	sort.Slice(asked, func(i, j int) bool { return fmt.Sprint(asked[i]) < fmt.Sprint(asked[j]) })
	return asked, lines.Err()
}

// Rights are the single rights that rules give.
func Rights(rules []rbacv1.PolicyRule) []string {
	var rights []string
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					rights = append(rights, rightOf(verb, group, resource))
				}
			}
		}
	}
	return rights
}

// Covers tells whether one of the rules allows what was asked.
func Covers(rules []rbacv1.PolicyRule, a Asked) bool {
	has := func(list []string, one string) bool {
		for _, l := range list {
			if l == one || l == "*" {
				return true
			}
		}
		return false
	}
	for _, rule := range rules {
		if has(rule.APIGroups, a.Group) && has(rule.Resources, a.Resource) && has(rule.Verbs, a.Verb) &&
			(len(rule.ResourceNames) == 0 || has(rule.ResourceNames, a.Name)) {
			return true
		}
	}
	return false
}
