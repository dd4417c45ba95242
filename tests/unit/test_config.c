/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: defaults, what is accepted, reload rules, the page that documents it. */
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

#include "config/config_internal.h"

#define MAN_PAGE "docs/man/kubemarla.yaml.5"
#define EXAMPLE  "deploy/examples/kubemarla.yaml"

static int parse(const char *text, struct km_settings *out, struct km_err *err)
{
	memset(err, 0, sizeof(*err));
	return km_config_parse("c.yaml", text, strlen(text), out, err);
}

/* In a pod the host's name is the pod's: the node's comes from the downward API. */
static void the_node_is_called_what_the_environment_says(void **state)
{
	struct km_settings s;
	char long_name[400];

	(void)state;
	assert_int_equal(setenv("NODE_NAME", "Minikube-m02", 1), 0);
	assert_int_equal(km_config_defaults(&s), 0);
	assert_string_equal(s.node[0].name, "minikube-m02");
	km_settings_fini(&s);

	memset(long_name, 'n', sizeof(long_name) - 1); /* no node is called so */
	long_name[sizeof(long_name) - 1] = '\0';
	const char *const odd[] = { long_name, "" };
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(setenv("NODE_NAME", odd[i], 1), 0);
		assert_int_equal(km_config_defaults(&s), 0);
		assert_true(s.node[0].name[0] != '\0' && strlen(s.node[0].name) < 254);
		assert_null(strstr(s.node[0].name, "nnnnnnnn"));
		km_settings_fini(&s);
	}
	assert_int_equal(unsetenv("NODE_NAME"), 0);
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
	assert_true(s.collect.live.pcm_isolation_process);
	assert_string_equal(s.model_path, "models/pcm-nginx/model.ubj");
	assert_int_equal(s.features.from, KM_FEATURES_AUTO);
	assert_int_equal(s.kubernetes.enabled, KM_KUBERNETES_AUTO);
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
	assert_string_equal(s.collect.live.pcm_library, "/lib/libpcm.so");
	assert_false(s.collect.live.pcm_isolation_process);
	assert_string_equal(s.model_path, "m.ubj");
	assert_int_equal(s.kubernetes.enabled, KM_KUBERNETES_OFF);
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
		  "collect: {sources: [{replay: {file: x, node: a}}, pcm], "
		  "roots: {procfs: /host/proc}}\n",
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

static bool same_bytes_or_text(const struct km_conf_option *o, const void *a, const void *b)
{
	const char *x = (const char *)a + o->offset;
	const char *y = (const char *)b + o->offset;
	const char *x_text;
	const char *y_text;

	if (o->type != KM_CONF_STRING)
		return memcmp(x, y, o->size) == 0;
	memcpy(&x_text, x, sizeof(x_text));
	memcpy(&y_text, y, sizeof(y_text));
	return strcmp(x_text, y_text) == 0;
}

/* It is what people copy: nothing may be missing from it, and it must not change what they have. */
static void the_example_has_every_option_with_its_default(void **state)
{
	struct km_settings example;
	struct km_settings preset;
	struct km_tree_doc *doc = NULL;
	struct km_buf text;
	struct km_err err;

	(void)state;
	km_buf_init(&text);
	assert_int_equal(km_file_read(EXAMPLE, 1 << 20, &text, &err), 0);
	if (km_config_load(EXAMPLE, &example, &err) != 0 ||
	    km_tree_parse(EXAMPLE, text.data, text.len, &doc, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(km_config_defaults(&preset), 0);
	for (size_t i = 0; i < conf_settings_table.count; i++) {
		const struct km_conf_option *o = &conf_settings_table.row[i];

		if (conf_line_of(km_tree_root(doc), o->key) == 0)
			fail_msg("%s: no %s", EXAMPLE, o->key);
		if (o->type != KM_CONF_CUSTOM && !same_bytes_or_text(o, &example, &preset))
			fail_msg("%s: %s is not the default", EXAMPLE, o->key);
	}
	km_tree_free(doc);
	km_settings_fini(&preset);
	km_settings_fini(&example);
	km_buf_fini(&text);
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
		cmocka_unit_test(the_node_is_called_what_the_environment_says),
		cmocka_unit_test(defaults_are_those_of_the_design),
		cmocka_unit_test(every_value_reaches_its_field),
		cmocka_unit_test(harmless_forms_are_accepted),
		cmocka_unit_test(listen_addresses),
		cmocka_unit_test(a_reload_names_what_it_cannot_change),
		cmocka_unit_test(layouts_differ_by_nodes_and_collect_only),
		cmocka_unit_test(an_absent_file_is_its_own_errno),
		cmocka_unit_test(the_example_has_every_option_with_its_default),
		cmocka_unit_test(the_man_page_has_the_option_table),
		cmocka_unit_test(feature_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
