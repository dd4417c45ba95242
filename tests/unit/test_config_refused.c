/* SPDX-License-Identifier: Apache-2.0 */
/* The exact words with which a configuration is refused; and the tree under it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/config/config.h"
#include "km/config/tree.h"

static int parse(const char *text, struct km_settings *out, struct km_err *err)
{
	memset(err, 0, sizeof(*err));
	return km_config_parse("c.yaml", text, strlen(text), out, err);
}

static void every_refusal_names_file_line_key_seen_and_wanted(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		/* not YAML, or YAML of a kind nobody needs */
		{ "a: [1, 2\nb: 3\n", "c.yaml:2: not YAML: did not find expected ',' or ']'" },
		{ "a: \"x\n", "c.yaml:2: not YAML: found unexpected end of stream" },
		{ "listen: {port: 1}\n\xff\xfe\n",
		  "c.yaml:2: not YAML: invalid leading UTF-8 octet" },
		{ "a: &x 1\n", "c.yaml:1: saw the anchor &x, want none" },
		{ "a: *x\n", "c.yaml:1: saw the alias *x, want none" },
		{ "a: !!str 1\n", "c.yaml:1: saw the tag tag:yaml.org,2002:str, want none" },
		{ "a: 1\n---\nb: 2\n", "c.yaml:2: saw a second document, want one" },
		{ "a: \"x\\0y\"\n", "c.yaml:1: saw a NUL byte in a text, want none" },
		{ "? [a]\n: 1\n", "c.yaml:1: saw a list or map as a key, want a plain name" },
		{ "model: {path: a}\nmodel: {path: b}\n",
		  "c.yaml:2: model: saw this key twice, want it once" },
		{ "a: [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]\n",
		  "c.yaml:1: nested deeper than 16, want less" },
		{ "- a\n", "c.yaml:1: the file: saw a list, want a map of keys" },
		{ "hello\n", "c.yaml:1: the file: saw hello, want a map of keys" },
		/* unknown keys */
		{ "limits:\n  conections: 5\n",
		  "c.yaml:2: limits.conections: no such key, did you mean limits.connections?" },
		{ "port: 5\n", "c.yaml:1: port: no such key, did you mean listen.port?" },
		{ "limit:\n  connections: 5\n",
		  "c.yaml:1: limit: no such key, did you mean limits?" },
		{ "decide: {defaultWorkloads: {rps: 1}}\n",
		  "c.yaml:1: decide.defaultWorkloads: no such key, did you mean "
		  "decide.defaultWorkload?" },
		{ "zzzzzzzz: 1\n", "c.yaml:1: zzzzzzzz: no such key, see kubemarla.yaml(5)" },
		{ "listen.port: 1\n",
		  "c.yaml:1: listen.port: saw a dot in a key, want maps within maps" },
		{ "nodes: [{name: a, cpu: 1}]\n",
		  "c.yaml:1: nodes[0].cpu: no such key, did you mean cpus?" },
		/* wrong types and ranges */
		{ "listen: 5\n", "c.yaml:1: listen: saw 5, want a map of keys" },
		{ "listen:\n  port: http\n",
		  "c.yaml:2: listen.port: saw http, want a whole number from 0 to 65535" },
		{ "listen:\n  port: 65536\n",
		  "c.yaml:2: listen.port: saw 65536, want a whole number from 0 to 65535" },
		{ "listen: {port: \"80\"}\n", "c.yaml:1: listen.port: saw \"80\" in quotes, want a "
		                              "whole number from 0 to 65535" },
		{ "listen: {port: [80]}\n",
		  "c.yaml:1: listen.port: saw a list, want a whole number from 0 to 65535" },
		{ "listen: {port: }\n",
		  "c.yaml:1: listen.port: saw nothing, want a whole number from 0 to 65535" },
		{ "limits: {connections: 0}\n",
		  "c.yaml:1: limits.connections: saw 0, want a whole number from 1 to 65536" },
		{ "limits: {connections: -1}\n",
		  "c.yaml:1: limits.connections: saw -1, want a whole number from 1 to 65536" },
		{ "limits: {bodyBytes: 1Ti}\n",
		  "c.yaml:1: limits.bodyBytes: saw 1Ti, want a whole number from 4096 to "
		  "1073741824" },
		{ "limits: {bodyBytes: 9223372036854775807Gi}\n",
		  "c.yaml:1: limits.bodyBytes: saw 9223372036854775807Gi, want a whole number from "
		  "4096 to 1073741824" },
		{ "limits: {requestDeadline: 5}\n",
		  "c.yaml:1: limits.requestDeadline: saw 5, want a duration like 5s from 100ms to "
		  "10m" },
		{ "collect: {interval: 1e400s}\n",
		  "c.yaml:1: collect.interval: saw 1e400s, want a duration like 5s from 100ms to "
		  "60s" },
		{ "collect: {window: 2h}\n",
		  "c.yaml:1: collect.window: saw 2h, want a duration like 60s from 1s to 1h" },
		{ "decide: {minMaxSlowdown: nan}\n",
		  "c.yaml:1: decide.minMaxSlowdown: saw nan, want a number from 1.05 to 100" },
		{ "decide: {defaultWorkload: {rps: -5}}\n",
		  "c.yaml:1: decide.defaultWorkload.rps: saw -5, want a number from 0.001 to "
		  "1000000000" },
		{ "decide: {onStale: neutral}\n",
		  "c.yaml:1: decide.onStale: saw neutral, want one of Neutral, Avoid, Reject" },
		{ "decide: {scoreScale: 50}\n",
		  "c.yaml:1: decide.scoreScale: saw 50, want one of 10, 100" },
		{ "model: {path: {a: b}}\n", "c.yaml:1: model.path: saw a map, want a text" },
		{ "model: {path: }\n", "c.yaml:1: model.path: saw nothing, want a text" },
		/* lists of things */
		{ "roles: []\n",
		  "c.yaml:1: roles: saw a list, want a list of agent, extender, controller" },
		{ "roles:\n- agent\n- master\n",
		  "c.yaml:3: roles: saw master, want a list of agent, extender, controller" },
		{ "nodes: a\n", "c.yaml:1: nodes: saw a, want a list of {name, cpus, cgroup}" },
		{ "nodes: [a]\n", "c.yaml:1: nodes[0]: saw a, want a map of keys" },
		{ "nodes:\n- cpus: 0-1\n",
		  "c.yaml:2: nodes[0].name: saw nothing, want a node name of 1 to 253 letters, "
		  "digits, '-', '.' or '_'" },
		{ "nodes: [{name: \"node A\"}]\n",
		  "c.yaml:1: nodes[0].name: saw \"node A\" in quotes, want a node name of 1 to 253 "
		  "letters, digits, '-', '.' or '_'" },
		{ "nodes: [{name: a, cpus: 3-1}]\n",
		  "c.yaml:1: nodes[0].cpus: saw 3-1, want a CPU list such as \"0-2,5\"" },
		{ "nodes: [{name: a, cpus: \"\"}]\n", "c.yaml:1: nodes[0].cpus: saw \"\" in "
		                                      "quotes, want a CPU list such as \"0-2,5\"" },
		{ "nodes:\n- {name: a, cpus: 0-3}\n- {name: a, cpus: 4-5}\n",
		  "c.yaml:3: nodes[1].name: saw a again, want each name once (it is nodes[0] "
		  "too)" },
		{ "nodes:\n- {name: a, cpus: 0-3}\n- {name: b, cpus: 2-5}\n",
		  "c.yaml:3: nodes[1].cpus: a and b share a host and both have CPU 2-3, want each "
		  "CPU in one node" },
		{ "nodes:\n- {name: a, cpus: 0-3}\n- {name: b}\n",
		  "c.yaml:3: nodes[1].cpus: a and b share a host and b has all its CPUs, want a "
		  "CPU "
		  "list for each" },
		{ "collect: {sources: pcm}\n",
		  "c.yaml:1: collect.sources: saw pcm, want auto, or a list of source names and "
		  "{replay: {file, node, speed, loop}}" },
		{ "nodes:\n- {name: a, cgroup: x/../y}\n",
		  "c.yaml:2: nodes[0].cgroup: saw x/../y, want a path below the hierarchy's root "
		  "without .." },
		{ "nodes: [{name: a, cgroup: g}, {name: b}, {name: c}]\n",
		  "c.yaml:1: nodes[2].cpus: b and c share a host and b has all its CPUs, want a "
		  "CPU "
		  "list for each" },
		{ "collect: {sources: [os, perf, os]}\n",
		  "c.yaml:1: collect.sources[2]: saw os again, want it once" },
		{ "collect: {sources: [perf, resctrl, pcm]}\n",
		  "c.yaml:1: collect.sources[2]: saw pcm beside perf, want one owner of the core "
		  "counters (perf goes with either when collect.perf.coreEvents is false)" },
		{ "collect: {sources: [pcm-server, pcm]}\n",
		  "c.yaml:1: collect.sources[1]: saw pcm beside pcm-server, want one owner of the "
		  "core counters (perf goes with either when collect.perf.coreEvents is false)" },
		{ "collect: {roots: {procfs: host/proc}}\n",
		  "c.yaml:1: collect.roots.procfs: saw \"host/proc\", want an absolute path" },
		{ "collect: {pcmServer: {url: \"localhost:9738\"}}\n",
		  "c.yaml:1: collect.pcmServer.url: saw localhost:9738, want "
		  "http://HOST:PORT/metrics, or \"\"" },
		{ "collect: {sources: [replay]}\n", "c.yaml:1: collect.sources[0]: saw replay, "
		                                    "want pcm, pcm-server, perf, resctrl, os "
		                                    "or {replay: {file, node}}" },
		{ "collect: {sources: [{pcm: {}}]}\n",
		  "c.yaml:1: collect.sources[0]: saw the key pcm, want replay" },
		{ "nodes: [{name: a}]\ncollect: {sources: [{replay: {node: a}}]}\n",
		  "c.yaml:2: collect.sources[0].replay.file: saw nothing, want a text" },
		{ "nodes: [{name: a}]\ncollect: {sources: [{replay: {file: x}}]}\n",
		  "c.yaml:2: collect.sources[0].replay: saw neither node nor nodes, want the node "
		  "on "
		  "the traced host" },
		{ "nodes: [{name: a}]\ncollect: {sources: [{replay: {file: x, node: a, nodes: "
		  "[a]}}]}\n",
		  "c.yaml:2: collect.sources[0].replay.nodes: saw both node and nodes, want one of "
		  "them" },
		{ "nodes: [{name: a}]\ncollect: {sources: [{replay: {file: x, node: a, speed: "
		  "0}}]}\n",
		  "c.yaml:2: collect.sources[0].replay.speed: saw 0, want a number from 0.001 to "
		  "1000000" },
		{ "nodes: [{name: a}]\ncollect: {sources: [{replay: {file: x, node: a, loop: "
		  "yes}}]}\n",
		  "c.yaml:2: collect.sources[0].replay.loop: saw yes, want true or false" },
		{ "nodes: [{name: a}]\ncollect:\n  sources:\n  - replay: {file: x, node: b}\n",
		  "c.yaml:4: collect.sources[0].replay: saw node b, want a name from nodes" },
		{ "nodes: [{name: a}]\ncollect:\n  sources:\n  - replay: {file: x, node: a}\n"
		  "  - replay: {file: y, node: a}\n",
		  "c.yaml:5: collect.sources[1].replay: saw node a again, want each node in one "
		  "trace" },
		{ "nodes:\n- {name: a, cpus: 0-1}\n- {name: b, cpus: 1}\n"
		  "collect: {sources: [{replay: {file: x, nodes: [a, b]}}]}\n",
		  "c.yaml:3: nodes[1].cpus: a and b share a host and both have CPU 1, want each "
		  "CPU "
		  "in one node" },
		/* the whole */
		{ "collect: {interval: 5s,\n  window: 1s}\n",
		  "c.yaml:2: collect.window: saw 1s, want at least collect.interval (5s)" },
		{ "listen: {address: localhost}\n",
		  "c.yaml:1: listen.address: saw \"localhost\", want a numeric address such as "
		  "127.0.0.1" },
		{ "listen: {address: \"\"}\n",
		  "c.yaml:1: listen.address: saw \"\", want a numeric address such as 127.0.0.1" },
		{ "observe: {address: 127.0.0.1, port: 9191}\n",
		  "c.yaml:1: observe.port: saw 9191, want another port than listen.port" },
		{ "listen:\n  tls:\n    cert: /a.pem\n",
		  "c.yaml:3: listen.tls.cert: saw /a.pem alone, want listen.tls.key too" },
		{ "listen: {tls: {key: /a.key}}\n",
		  "c.yaml:1: listen.tls.key: saw /a.key alone, want listen.tls.cert too" },
		{ "listen: {tls: {clientCA: /ca.pem}}\n",
		  "c.yaml:1: listen.tls.clientCA: saw /ca.pem, want listen.tls.cert and "
		  "listen.tls.key too" },
		{ "observe: {tls: true}\n", "c.yaml:1: observe.tls: saw true, want "
		                            "listen.tls.cert and listen.tls.key too" },
		{ "features: {from: peers}\nkubernetes: {enabled: off}\n",
		  "c.yaml:1: features.from: saw peers with kubernetes.enabled: off, want local: "
		  "agents are found through Kubernetes" },
		{ "features:\n  from: prometheus\n",
		  "c.yaml: features.url: saw \"\", want http://HOST:PORT of a Prometheus server" },
		{ "features: {selector: \"a in (b)\"}\n",
		  "c.yaml:1: features.selector: saw \"a in (b)\", want key=value or key, with "
		  "commas between, 16 at most" },
		{ "features: {selector: \"\"}\n",
		  "c.yaml:1: features.selector: saw no label, want one at least" },
		{ "features: {tls: {ca: /ca, cert: /c}}\n",
		  "c.yaml:1: features.tls.cert: saw one of cert and key, want both or neither" },
		{ "features: {tls: {serverName: x}}\n",
		  "c.yaml:1: features.tls.ca: saw \"\" beside other keys of features.tls, want the "
		  "file of the agents' CA" },
	};
	struct km_settings s;
	struct km_err err;
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = parse(rows[i].text, &s, &err);

		if (rc == -EINVAL && strcmp(err.text, rows[i].want) == 0) {
			assert_null(s.node); /* *out is zeroed on error */
			continue;
		}
		print_error("row %zu: rc %d\n  got  %s\n  want %s\n", i, rc, err.text,
		            rows[i].want);
		wrong++;
		if (rc == 0)
			km_settings_fini(&s);
	}
	assert_int_equal(wrong, 0);
}

static void a_long_file_name_does_not_push_out_the_rest(void **state)
{
	char name[400];
	struct km_settings s;
	struct km_err err;

	(void)state;
	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(km_config_parse(name, "port: 1\n", 8, &s, &err), -EINVAL);
	assert_non_null(strstr(err.text, "d:1: port: no such key"));
}

static void too_many_values_are_refused(void **state)
{
	struct km_tree_doc *doc;
	struct km_err err;
	struct km_buf b;

	(void)state;
	km_buf_init(&b);
	km_buf_str(&b, "a: [");
	for (int i = 0; i < 100001; i++)
		km_buf_str(&b, "1,");
	km_buf_str(&b, "]\n");
	assert_int_equal(km_tree_parse("big", b.data, b.len, &doc, &err), -EINVAL);
	assert_null(doc);
	assert_string_equal(err.text, "big:1: more than 100000 values, want fewer");
	km_buf_fini(&b);
}

static void tree_keeps_lines_keys_and_quotes(void **state)
{
	static const char text[] = "a: 1\nb:\n  c: \"2\"\n  d: [x, {e: ~}]\n";
	const struct km_tree *root;
	const struct km_tree *b;
	struct km_tree_doc *doc;
	struct km_err err;

	(void)state;
	assert_int_equal(km_tree_parse("t", text, strlen(text), &doc, &err), 0);
	root = km_tree_root(doc);
	assert_int_equal(root->kind, KM_TREE_MAP);
	b = km_tree_get(root, "b");
	assert_int_equal(b->line, 2);
	assert_string_equal(km_tree_get(b, "c")->text, "2");
	assert_true(km_tree_get(b, "c")->quoted);
	assert_int_equal(km_tree_get(b, "c")->line, 3);
	assert_int_equal(km_tree_get(b, "d")->kind, KM_TREE_LIST);
	assert_string_equal(km_tree_get(km_tree_get(b, "d")->child->next, "e")->text, "~");
	assert_null(km_tree_get(b, "x"));
	assert_null(km_tree_get(km_tree_get(b, "c"), "x"));
	assert_null(km_tree_get(NULL, "x"));
	km_tree_free(doc);
	km_tree_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_refusal_names_file_line_key_seen_and_wanted),
		cmocka_unit_test(a_long_file_name_does_not_push_out_the_rest),
		cmocka_unit_test(too_many_values_are_refused),
		cmocka_unit_test(tree_keeps_lines_keys_and_quotes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
