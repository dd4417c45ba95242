/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `kubemarla doctor --scheduler-config`: each planted mistake is found, and only it. The file that
 * is changed is the one that deploy/ installs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/base/macros.h"

#include "support/tool.h"
#include "support/tree.h"

#define GOOD      "deploy/base/scheduler/scheduler-config.yaml"
#define TLS_OURS  "listen: {tls: {cert: /c, key: /k, clientCA: /ca}}\nkubernetes: {enabled: off}\n"
#define TLS_URL   "urlPrefix: https://127.0.0.1:9191\n  enableHTTPS: true\n"
#define TLS_FILES "{caFile: /ca, certFile: /c, keyFile: /k}"

static struct tree tree;

static int set_up(void **state)
{
	(void)state;
	tree_init(&tree);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	tree_fini(&tree);
	return 0;
}

/* The good file with `from` replaced by `to`; from NULL = as it is. */
static void put_changed(const char *from, const char *to)
{
	struct km_err err = { .code = 0 };
	struct km_buf text;
	const char *at;

	km_buf_init(&text);
	if (km_file_read(GOOD, 1 << 20, &text, &err) != 0)
		fail_msg("%s", err.text);
	at = strstr(km_buf_cstr(&text), from != NULL ? from : "");
	if (at == NULL)
		fail_msg("no \"%s\" in %s", from, GOOD);
	if (from == NULL)
		tree_put(&tree, "s.yaml", "%s", text.data);
	else
		tree_put(&tree, "s.yaml", "%.*s%s%s", (int)(at - text.data), text.data, to,
		         at + strlen(from));
	km_buf_fini(&text);
}

/* ours: the daemon's configuration, NULL = none is given. */
static void doctor(const char *ours, const char *option, struct tool_result *r)
{
	char config[128];
	char file[128];
	const char *args[8] = { "doctor", "--scheduler-config", file };
	size_t n = 3;

	(void)snprintf(file, sizeof(file), "%s/s.yaml", tree.root);
	(void)snprintf(config, sizeof(config), "%s/k.yaml", tree.root);
	if (ours != NULL) {
		tree_put(&tree, "k.yaml", "%s", ours);
		args[n++] = "-c";
		args[n++] = config;
	}
	args[n++] = option;
	args[n] = NULL;
	tool_run(args, NULL, 0, r);
}

static void each_planted_mistake_is_found(void **state)
{
	static const struct {
		const char *from, *to; /* in the scheduler's file */
		const char *ours;      /* the daemon's configuration, or NULL */
		const char *level, *about, *seen;
	} rows[] = {
		{ "weight: 10", "weight: 1", NULL, "warning", "extenders[0].weight", "8 %" },
		{ "weight: 10", "weight: 1", "decide: {scoreScale: 100}\n", NULL, NULL, NULL },
		{ "weight: 10", "weight: 10", "decide: {scoreScale: 100}\n", "warning",
		  "extenders[0].weight", "89 %" },
		{ "weight: 10", "weight: 0", NULL, "error", "extenders[0].weight",
		  "does not start" },
		{ "  weight: 10", "", NULL, "error", "extenders[0].weight", "none" },
		{ "- schedulerName: kubemarla",
		  "- schedulerName: kubemarla\n  plugins: {score: {enabled: [{name: "
		  "TaintToleration, "
		  "weight: 900}]}}",
		  NULL, "error", "extenders[0].weight", "1 %" },
		{ "nodeCacheCapable: true", "nodeCacheCapable: false", NULL, "error",
		  "extenders[0].nodeCacheCapable", "false" },
		{ "nodeCacheCapable: true", "", NULL, "error", "extenders[0].nodeCacheCapable",
		  "nothing" },
		{ "httpTimeout: 200ms", "", NULL, "warning", "extenders[0].httpTimeout", "5 s" },
		{ "httpTimeout: 200ms", "httpTimeout: 1m30s", NULL, "warning",
		  "extenders[0].httpTimeout", "1m30s" },
		{ "httpTimeout: 200ms", "httpTimeout: 5ms", NULL, "warning",
		  "extenders[0].httpTimeout", "5ms" },
		{ "httpTimeout: 200ms", "httpTimeout: soon", NULL, "error",
		  "extenders[0].httpTimeout", "no duration" },
		{ "httpTimeout: 200ms", "httpTimeout: 0.3s", NULL, NULL, NULL, NULL },
		{ "ignorable: true", "ignorable: false", NULL, "warning", "extenders[0].ignorable",
		  "false" },
		{ "ignorable: true", "", NULL, "warning", "extenders[0].ignorable", "nothing" },
		{ "filterVerb: filter", "", NULL, "warning", "extenders[0].filterVerb", "nothing" },
		{ "filterVerb: filter", "filterVerb: filters", NULL, "error",
		  "extenders[0].filterVerb", "/filters" },
		{ "prioritizeVerb: prioritize", "", NULL, "error", "extenders[0].prioritizeVerb",
		  "nothing" },
		{ "prioritizeVerb: prioritize", "prioritizeVerb: scheduler/prioritize", NULL,
		  "error", "extenders[0].prioritizeVerb", "/scheduler/prioritize" },
		{ "filterVerb: filter", "filterVerb: filter\n  bindVerb: bind", NULL, "error",
		  "extenders[0].bindVerb", "bind" },
		{ "filterVerb: filter", "filterVerb: filter\n  preemptVerb: preempt", NULL, "error",
		  "extenders[0].preemptVerb", "preempt" },
		{ "http://127.0.0.1:9191", "http://127.0.0.1:9191/api", NULL, "error",
		  "extenders[0].filterVerb", "/api/filter" },
		{ "http://127.0.0.1:9191", "127.0.0.1:9191", NULL, "error",
		  "extenders[0].urlPrefix", "127.0.0.1:9191" },
		{ "http://127.0.0.1:9191", "http://10.0.0.7:9191", NULL, "warning",
		  "extenders[0].urlPrefix", "unprotected" },
		{ "http://127.0.0.1:9191", "http://10.0.0.7:9191", "kubernetes: {enabled: off}\n",
		  "error", "extenders[0].urlPrefix", "listens on 127.0.0.1 only" },
		{ "http://127.0.0.1:9191", "http://127.0.0.1:9999", "kubernetes: {enabled: off}\n",
		  "error", "extenders[0].urlPrefix", "port 9191" },
		{ "http://127.0.0.1:9191", "http://127.0.0.1:9191", TLS_OURS, "error",
		  "extenders[0].urlPrefix", "listen.tls.cert is set" },
		{ "urlPrefix: http://127.0.0.1:9191\n", TLS_URL, NULL, "error",
		  "extenders[0].tlsConfig", "no CA" },
		{ "urlPrefix: http://127.0.0.1:9191\n", TLS_URL "  tlsConfig: " TLS_FILES "\n",
		  TLS_OURS, NULL, NULL, NULL },
		{ "urlPrefix: http://127.0.0.1:9191\n", TLS_URL "  tlsConfig: {caFile: /ca}\n",
		  TLS_OURS, "error", "extenders[0].tlsConfig.certFile", "403" },
		{ "urlPrefix: http://127.0.0.1:9191\n",
		  TLS_URL "  tlsConfig: {caFile: /ca, insecure: true}\n", NULL, "error",
		  "extenders[0].tlsConfig.insecure", "true" },
		{ "http://127.0.0.1:9191", "https://127.0.0.1:9191", NULL, "error",
		  "extenders[0].enableHTTPS", "public CAs" },
		{ "ignorable: true", "ignorable: true\n  enableHTTPS: true", NULL, "error",
		  "extenders[0].enableHTTPS", "true, with http://" },
		{ "ignorable: true", "ignorable: true\n  managedResources: [{name: example.org/x}]",
		  NULL, "error", "extenders[0].managedResources", "example.org/x" },
		{ "- schedulerName: kubemarla", "- schedulerName: other", NULL, "warning",
		  "profiles", "other" },
		{ "resourceName: kubemarla-scheduler",
		  "resourceName: kube-scheduler\n  resourceLock: leases", NULL, NULL, NULL, NULL },
		{ "  resourceNamespace: kubemarla-system\n  resourceName: kubemarla-scheduler\n",
		  "", NULL, "error", "leaderElection", "kube-system/kube-scheduler" },
		{ "leaderElect: true", "leaderElect: false", NULL, "note",
		  "leaderElection.leaderElect", "false" },
		{ "extenders:", "others:", NULL, "error", "extenders", "none of them ours" },
		{ "extenders:",
		  "extenders:\n- {urlPrefix: \"http://127.0.0.1:9191/\", prioritizeVerb: "
		  "prioritize, "
		  "filterVerb: filter, weight: 10, httpTimeout: 200ms, nodeCacheCapable: true, "
		  "ignorable: true}",
		  "kubernetes: {enabled: off}\n", "error", "extenders", "twice" },
		{ "kind: KubeSchedulerConfiguration", "kind: Policy", NULL, "error", "kind",
		  "Policy" },
		{ "kubescheduler.config.k8s.io/v1\n", "kubescheduler.config.k8s.io/v1beta3\n", NULL,
		  "error", "kind", "v1beta3" },
		{ "profiles:", "profiles: {", NULL, "error", "the file", "s.yaml:" },
	};
	struct tool_result r;

	(void)state;
	tool_result_init(&r);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		char head[160];
		const char *at;

		put_changed(rows[i].from, rows[i].to);
		doctor(rows[i].ours, NULL, &r);
		(void)snprintf(head, sizeof(head), "%-8s ",
		               rows[i].level != NULL ? rows[i].level : "0");
		if (rows[i].level == NULL) {
			if (r.code != 0 ||
			    strstr(r.out.data, "0 errors, 0 warnings, 0 notes") == NULL)
				fail_msg("row %zu: %d\n%s%s", i, r.code, r.out.data, r.err.data);
			continue;
		}
		at = strstr(r.out.data, head);
		if (at == NULL || strstr(at, rows[i].about) == NULL ||
		    strstr(at, rows[i].seen) == NULL ||
		    r.code != (strcmp(rows[i].level, "note") != 0))
			fail_msg("row %zu: code %d, want %s %s: %s\n%s%s", i, r.code, rows[i].level,
			         rows[i].about, rows[i].seen, r.out.data, r.err.data);
	}
	tool_result_fini(&r);
}

static void what_is_installed_is_well(void **state)
{
	struct tool_result r;

	(void)state;
	tool_result_init(&r);
	put_changed(NULL, NULL);
	doctor(NULL, NULL, &r);
	tool_want_code(&r, 0);
	assert_string_equal(r.out.data, "0 errors, 0 warnings, 0 notes\n");
	tool_result_fini(&r);
}

static void programs_get_json(void **state)
{
	struct tool_result r;

	(void)state;
	tool_result_init(&r);
	put_changed("ignorable: true", "ignorable: false");
	doctor(NULL, "--json", &r);
	tool_want_code(&r, 1);
	tool_want_text(r.out.data, "{\"findings\":[{\"level\":\"warning\",\"about\":\"");
	tool_want_text(r.out.data, "extenders[0].ignorable\",\"seen\":\"false: while kubemarlad is "
	                           "away no pod is scheduled\",\"wanted\":\"true\",\"mend\":"
	                           "\"ignorable: true\"}]}\n");
	put_changed(NULL, NULL);
	doctor(NULL, "--json", &r);
	tool_want_code(&r, 0);
	assert_string_equal(r.out.data, "{\"findings\":[]}\n");
	tool_result_fini(&r);
}

static void of_several_extenders_ours_is_named(void **state)
{
	static const char other[] = "extenders:\n- {urlPrefix: \"http://127.0.0.1:7000\", "
				    "filterVerb: filter}";
	char file[128];
	struct tool_result r;

	(void)state;
	tool_result_init(&r);
	put_changed("extenders:", other);
	doctor(NULL, NULL, &r);
	tool_want_code(&r, 1);
	tool_want_text(r.out.data, "2, none of them ours");
	(void)snprintf(file, sizeof(file), "%s/s.yaml", tree.root);
	tool_run((const char *[]){ "doctor", "--scheduler-config", file, "--extender",
	                           "http://127.0.0.1:9191/", NULL },
	         NULL, 0, &r);
	tool_want_code(&r, 0);
	tool_result_fini(&r);
}

static void bad_questions_are_usage(void **state)
{
	static const char *const rows[][6] = {
		{ "doctor", "--scheduler-config", "/nonexistent", NULL },
		{ "doctor", "--scheduler-config", GOOD, "-c", "/nonexistent", NULL },
		{ "doctor", "--node", "--cluster", NULL },
		{ "doctor", "--node", "--scheduler-config", GOOD, NULL },
		{ "doctor", "--scheduler-config", NULL },
		{ "doctor", "more", NULL },
	};
	struct tool_result r;

	(void)state;
	tool_result_init(&r);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		tool_run(rows[i], NULL, 0, &r);
		if (r.code != 2 || r.err.len == 0)
			fail_msg("row %zu: %d %s", i, r.code, r.out.data);
	}
	tool_result_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_installed_is_well),
		cmocka_unit_test(each_planted_mistake_is_found),
		cmocka_unit_test(programs_get_json),
		cmocka_unit_test(of_several_extenders_ours_is_named),
		cmocka_unit_test(bad_questions_are_usage),
	};

	return cmocka_run_group_tests_name("doctor on a scheduler's configuration", tests, set_up,
	                                   tear_down);
}
