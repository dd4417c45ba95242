/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: what is accepted, and the exact words with which the rest is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/config/config.h"
#include "km/config/feature_list.h"
#include "km/config/tree.h"

#define MAN_PAGE "docs/man/kubemarla.yaml.5"
#define EXAMPLE  "deploy/examples/kubemarla.yaml"

static int parse(const char *text, struct km_settings *out, struct km_err *err)
{
	memset(err, 0, sizeof(*err));
	return km_config_parse("c.yaml", text, strlen(text), out, err);
}

static void defaults_are_those_of_the_design(void **state)
{
	struct km_settings s;

	(void)state;
	assert_int_equal(km_config_defaults(&s), 0);
	assert_int_equal(s.roles, KM_ROLE_AGENT | KM_ROLE_EXTENDER | KM_ROLE_CONTROLLER);
	assert_false(s.roles_given);
	assert_string_equal(s.listen.address, "127.0.0.1");
	assert_int_equal(s.listen.port, 9191);
	assert_string_equal(s.observe.address, "");
	assert_int_equal(s.observe.port, 9192);
	assert_int_equal(s.limits.body_bytes, 8388608);
	assert_int_equal(s.limits.connections, 512);
	assert_int_equal(s.limits.request_deadline_ns, INT64_C(5000000000));
	assert_int_equal(s.limits.json_depth, 64);
	assert_int_equal(s.node_count, 1);
	assert_true(s.node[0].name[0] != '\0');
	assert_false(s.node[0].cpus_given);
	assert_int_equal(s.collect.interval_ns, INT64_C(1000000000));
	assert_true(s.collect.window_s == 60);
	assert_true(s.collect.auto_sources);
	assert_int_equal(s.collect.source_count, 0);
	assert_true(s.collect.pcm_isolation_process);
	assert_string_equal(s.model_path, "models/pcm-nginx/model.ubj");
	assert_int_equal(s.features_from, KM_FEATURES_LOCAL);
	assert_int_equal(s.kubernetes, KM_KUBERNETES_AUTO);
	assert_int_equal(s.decide.max_age_ns, INT64_C(15000000000));
	assert_int_equal(s.decide.on_stale, KM_ON_STALE_NEUTRAL);
	assert_int_equal(s.decide.score_scale, 10);
	assert_true(s.decide.min_max_slowdown == 1.2);
	assert_true(s.decide.default_workload.rps == 1000);
	assert_true(s.decide.default_workload.replicas == 1);
	assert_true(s.decide.default_workload.max_slowdown == 2);
	assert_int_equal(s.decide.default_workload.mode, KM_MODE_PREFER);
	km_settings_fini(&s);
}

static void every_value_reaches_its_field(void **state)
{
	static const char text[] =
		"roles: [agent, extender]\n"
		"listen: {address: \"::1\", port: 0}\n"
		"observe: {address: 0.0.0.0, port: 99}\n"
		"limits: {bodyBytes: 2Mi, connections: 9, requestDeadline: 1m30s, jsonDepth: 32}\n"
		"nodes: [{name: a, cpus: \"0-2\", cgroup: kubepods}, {name: b.example_1, cpus: "
		"3-5}, "
		"{name: c}]\n"
		"collect:\n"
		"  interval: 200ms\n"
		"  window: 2m\n"
		"  sources: [{replay: {file: x.csv.gz, nodes: [a, b.example_1], speed: 60, loop: "
		"true}},"
		" {replay: {file: y.csv, node: c}}, pcm]\n"
		"  pcm: {library: /lib/libpcm.so, isolation: thread}\n"
		"model: {path: m.ubj}\n"
		"features: {from: local}\n"
		"kubernetes: {enabled: off}\n"
		"decide: {maxAge: 30s, onStale: Reject, scoreScale: 100, minMaxSlowdown: 1.5, log: "
		"d.log,\n"
		"  defaultWorkload: {rps: 10.5, replicas: 3, maxSlowdown: 1.25}}\n";
	struct km_settings s;
	struct km_err err;

	(void)state;
	if (parse(text, &s, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(s.roles, KM_ROLE_AGENT | KM_ROLE_EXTENDER);
	assert_true(s.roles_given);
	assert_string_equal(s.listen.address, "::1");
	assert_int_equal(s.listen.port, 0);
	assert_string_equal(s.observe.address, "0.0.0.0");
	assert_int_equal(s.observe.port, 99);
	assert_int_equal(s.limits.body_bytes, 2 << 20);
	assert_int_equal(s.limits.connections, 9);
	assert_int_equal(s.limits.request_deadline_ns, INT64_C(90000000000));
	assert_int_equal(s.limits.json_depth, 32);
	assert_int_equal(s.node_count, 3);
	assert_string_equal(s.node[1].name, "b.example_1");
	assert_true(s.node[1].cpus_given);
	assert_int_equal(km_cpuset_count(&s.node[1].cpus), 3);
	assert_string_equal(s.node[0].cgroup, "kubepods");
	assert_false(s.node[2].cpus_given);
	assert_int_equal(s.collect.interval_ns, 200000000);
	assert_true(s.collect.window_s == 120);
	assert_false(s.collect.auto_sources);
	assert_int_equal(s.collect.source_count, 3);
	assert_string_equal(s.collect.source[0].kind, "replay");
	assert_string_equal(s.collect.source[0].replay.file, "x.csv.gz");
	assert_int_equal(s.collect.source[0].replay.node_count, 2);
	assert_string_equal(s.collect.source[0].replay.node[1], "b.example_1");
	assert_true(s.collect.source[0].replay.speed == 60);
	assert_true(s.collect.source[0].replay.loop);
	assert_true(s.collect.source[1].replay.speed == 1);
	assert_false(s.collect.source[1].replay.loop);
	assert_string_equal(s.collect.source[2].kind, "pcm");
	assert_string_equal(s.collect.pcm_library, "/lib/libpcm.so");
	assert_false(s.collect.pcm_isolation_process);
	assert_string_equal(s.model_path, "m.ubj");
	assert_int_equal(s.kubernetes, KM_KUBERNETES_OFF);
	assert_int_equal(s.decide.on_stale, KM_ON_STALE_REJECT);
	assert_int_equal(s.decide.default_workload.on_stale, KM_ON_STALE_REJECT);
	assert_int_equal(s.decide.score_scale, 100);
	assert_true(s.decide.default_workload.rps == 10.5);
	assert_true(s.decide.default_workload.max_slowdown == 1.25);
	km_settings_fini(&s);
}

/* What is no mistake. */
static void harmless_forms_are_accepted(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "", "an empty file: all defaults" },
		{ "# only a comment\n", "the same" },
		{ "---\nlisten:\n  port: 1\n...\n", "document marks" },
		{ "observe:\n#  address: 0.0.0.0\n", "a section with everything commented out" },
		{ "nodes: []\n", "an extender without nodes of its own" },
		{ "roles: extender\n", "one role needs no list" },
		{ "listen: {port: 8080}\r\nmodel: {path: x}\r\n", "CRLF" },
		{ "\xef\xbb\xbflisten: {port: 8080}\n", "byte order mark" },
		{ "nodes: [{name: a, cpus: 0-3}, {name: b, cpus: 0-3}]\n"
		  "collect: {sources: [{replay: {file: x, node: a}}, {replay: {file: y, node: "
		  "b}}]}\n",
		  "the same CPU numbers on two hosts are not the same CPUs" },
		{ "nodes: [{name: a}, {name: b}]\n"
		  "collect: {sources: [{replay: {file: x, node: a}}]}\n",
		  "all CPUs twice, on two hosts" },
		{ "model: {path: \"\"}\n", "no model: neutral answers" },
		{ "decide: {log: 5}\n", "a number is a text too" },
	};
	struct km_settings s;
	struct km_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (parse(rows[i].text, &s, &err) != 0)
			fail_msg("%s: %s", rows[i].why, err.text);
		km_settings_fini(&s);
	}
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
		  "c.yaml:3: listen.tls.cert: saw /a.pem, want \"\": TLS is not built in yet; "
		  "listen "
		  "on loopback" },
		{ "features: {from: peers}\n",
		  "c.yaml:1: features.from: saw peers, want local: nothing else is built in yet" },
		{ "kubernetes: {enabled: on}\n", "c.yaml:1: kubernetes.enabled: saw on, want auto "
		                                 "or off: watching Kubernetes is not "
		                                 "built in yet" },
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

static void listen_addresses(void **state)
{
	static const struct {
		const char *text, *address;
		int port, rc;
	} rows[] = {
		{ "127.0.0.1:0", "127.0.0.1", 0, 0 },
		{ "0.0.0.0:65535", "0.0.0.0", 65535, 0 },
		{ "[::1]:9191", "::1", 9191, 0 },
		{ "::1:9191", NULL, 0, -EINVAL },
		{ "127.0.0.1", NULL, 0, -EINVAL },
		{ "127.0.0.1:", NULL, 0, -EINVAL },
		{ "127.0.0.1:65536", NULL, 0, -EINVAL },
		{ "127.0.0.1:-1", NULL, 0, -EINVAL },
		{ ":80", NULL, 0, -EINVAL },
		{ "[]:80", NULL, 0, -EINVAL },
		{ "[::1:80", NULL, 0, -EINVAL },
		{ "localhost:80", NULL, 0, -EINVAL },
		{ "", NULL, 0, -EINVAL },
	};
	struct km_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct km_listen_settings l = { .address = NULL };

		assert_int_equal(km_config_parse_listen(rows[i].text, &l, &err), rows[i].rc);
		if (rows[i].rc == 0) {
			assert_string_equal(l.address, rows[i].address);
			assert_int_equal(l.port, rows[i].port);
		} else {
			assert_null(l.address);
		}
		free(l.address);
	}
}

static void a_reload_names_what_it_cannot_change(void **state)
{
	struct km_settings a;
	struct km_settings b;
	struct km_err err;
	struct km_buf names;

	(void)state;
	km_buf_init(&names);
	assert_int_equal(parse("", &a, &err), 0);
	assert_int_equal(parse("roles: [agent]\nlisten: {address: 127.0.0.2, port: 1}\n"
	                       "model: {path: other}\nnodes: [{name: other}]\n",
	                       &b, &err),
	                 0);
	assert_int_equal(km_config_frozen_changes(&a, &a, &names), 0);
	assert_int_equal(km_config_frozen_changes(&a, &b, &names), 3);
	assert_string_equal(km_buf_cstr(&names), "roles, listen.address, listen.port");
	km_buf_fini(&names);
	km_settings_fini(&a);
	km_settings_fini(&b);
}

/* Sampling goes on through a reload unless what it samples has changed. */
static void layouts_differ_by_nodes_and_collect_only(void **state)
{
	static const char base[] = "nodes: [{name: a, cpus: 0-1}, {name: b, cpus: 2}]\n"
				   "collect: {sources: [{replay: {file: x, node: a}}, pcm]}\n";
	static const struct {
		const char *text;
		bool same;
	} rows[] = {
		{ base, true },
		{ "nodes: [{name: a, cpus: \"0,1\"}, {name: b, cpus: 2}]\n"
		  "collect: {sources: [{replay: {file: x, nodes: [a]}}, pcm]}\n"
		  "model: {path: z}\ndecide: {maxAge: 1s}\nlimits: {jsonDepth: 9}\n",
		  true },
		{ "", false },
		{ "nodes: [{name: a, cpus: 0-1}, {name: b, cpus: 3}]\n"
		  "collect: {sources: [{replay: {file: x, node: a}}, pcm]}\n",
		  false },
		{ "nodes: [{name: a, cpus: 0-1}, {name: b}]\n"
		  "collect: {sources: [{replay: {file: x, node: a}}, pcm]}\n",
		  false },
		{ "nodes: [{name: a, cpus: 0-1}, {name: b, cpus: 2}]\n"
		  "collect: {sources: [{replay: {file: x, node: b}}, pcm]}\n",
		  false },
		{ "nodes: [{name: a, cpus: 0-1}, {name: b, cpus: 2}]\n"
		  "collect: {sources: [{replay: {file: x, node: a, speed: 2}}, pcm]}\n",
		  false },
		{ "nodes: [{name: a, cpus: 0-1}, {name: b, cpus: 2}]\n"
		  "collect: {sources: [{replay: {file: x, node: a}}, perf]}\n",
		  false },
		{ "nodes: [{name: a, cpus: 0-1}, {name: b, cpus: 2}]\n"
		  "collect: {window: 61s, sources: [{replay: {file: x, node: a}}, pcm]}\n",
		  false },
	};
	struct km_settings a;
	struct km_settings b;
	struct km_err err;

	(void)state;
	assert_int_equal(parse(base, &a, &err), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(parse(rows[i].text, &b, &err), 0);
		assert_int_equal(km_config_same_layout(&a, &b), rows[i].same);
		km_settings_fini(&b);
	}
	km_settings_fini(&a);
}

static void an_absent_file_is_its_own_errno(void **state)
{
	struct km_settings s;
	struct km_err err;

	(void)state;
	assert_int_equal(km_config_load("tests/no-such.yaml", &s, &err), -ENOENT);
	assert_non_null(strstr(err.text, "tests/no-such.yaml"));
}

static void the_example_configuration_is_valid(void **state)
{
	struct km_settings s;
	struct km_err err;

	(void)state;
	if (km_config_load(EXAMPLE, &s, &err) != 0)
		fail_msg("%s", err.text);
	km_settings_fini(&s);
}

/* Rows of the page are generated: `kubemarla config --man` prints them. */
static void the_man_page_has_the_option_table(void **state)
{
	struct km_buf page;
	struct km_buf rows;
	struct km_err err;

	(void)state;
	km_buf_init(&page);
	km_buf_init(&rows);
	assert_int_equal(km_file_read(MAN_PAGE, 1 << 20, &page, &err), 0);
	km_config_describe_mdoc(&rows);
	if (strstr(km_buf_cstr(&page), km_buf_cstr(&rows)) == NULL)
		fail_msg("%s differs from the option table; put the output of `kubemarla config "
		         "--man` between its two marks",
		         MAN_PAGE);
	km_buf_clear(&rows);
	km_config_describe_text(&rows);
	assert_non_null(strstr(km_buf_cstr(&rows), "limits.connections = 512"));
	km_buf_fini(&page);
	km_buf_fini(&rows);
}

static void write_text(char *path, const char *text)
{
	struct km_err err;

	assert_int_equal(km_file_write_atomic(path, text, strlen(text), &err), 0);
}

static void feature_lists(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "name: a\nfeatures: [node.ipc.mean, pod.rps]\n", NULL },
		{ "name: a\n", ":1: features: saw nothing, want a list of feature names" },
		{ "features: [x]\n", ":1: name: saw nothing, want a text" },
		{ "name: a\nfeatures: []\n",
		  ":2: features: saw a list, want a list of feature names" },
		{ "name: a\nfeatures: [[x]]\n", ":2: features: saw a list, want a feature name" },
		{ "name: a\ntask: scoring\nfeatures: [x]\n",
		  ":2: task: saw scoring, want placement or diagnosis" },
		{ "name: a\nwindow: 5s\nbin: 6s\nfeatures: [x]\n",
		  ":3: bin: saw 6s, want at most window (5s)" },
	};
	char dir[] = "/tmp/km-config-XXXXXX";
	char path[64];
	struct km_feature_list l;
	struct km_err err;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/features.yaml", dir);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		write_text(path, rows[i].text);
		if (rows[i].want != NULL) {
			assert_int_equal(km_feature_list_load(path, &l, &err), -EINVAL);
			assert_non_null(strstr(err.text, rows[i].want));
			continue;
		}
		assert_int_equal(km_feature_list_load(path, &l, &err), 0);
		assert_string_equal(l.task, "placement");
		assert_true(l.window_s == 60 && l.bin_s == 5);
		assert_int_equal(l.feature_count, 2);
		assert_string_equal(l.feature[1], "pod.rps");
		km_feature_list_fini(&l);
	}
	(void)unlink(path);
	(void)rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_design),
		cmocka_unit_test(every_value_reaches_its_field),
		cmocka_unit_test(harmless_forms_are_accepted),
		cmocka_unit_test(every_refusal_names_file_line_key_seen_and_wanted),
		cmocka_unit_test(a_long_file_name_does_not_push_out_the_rest),
		cmocka_unit_test(too_many_values_are_refused),
		cmocka_unit_test(tree_keeps_lines_keys_and_quotes),
		cmocka_unit_test(listen_addresses),
		cmocka_unit_test(a_reload_names_what_it_cannot_change),
		cmocka_unit_test(layouts_differ_by_nodes_and_collect_only),
		cmocka_unit_test(an_absent_file_is_its_own_errno),
		cmocka_unit_test(the_example_configuration_is_valid),
		cmocka_unit_test(the_man_page_has_the_option_table),
		cmocka_unit_test(feature_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
