/* SPDX-License-Identifier: Apache-2.0 */
/* experiment: where results come from, read from a machine's files, and kept when it changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"

#include "experiment/provenance.h"
#include "support/tree.h"

static const struct km_rig_facts facts = { .target = "nginx/1.22.1",
	                                   .generator = "vegeta v12.12.0",
	                                   .groups = "cgroup v2",
	                                   .realtime = true };

struct world {
	struct tree tree;
	char plan_text[400];
	char os_release[100];
	char dir[100];
	struct km_plan *plan;
	struct experiment_origin origin;
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	tree_init(&w->tree);
	(void)snprintf(w->plan_text, sizeof(w->plan_text),
	               "name: t\nnodes: [{name: a, cpus: \"0\"}]\n"
	               "collect: {roots: {procfs: %s/proc, sysfs: %s/sys}}\n",
	               w->tree.root, w->tree.root);
	(void)snprintf(w->os_release, sizeof(w->os_release), "%s/os-release", w->tree.root);
	(void)snprintf(w->dir, sizeof(w->dir), "%s/out", w->tree.root);
	assert_int_equal(km_plan_parse("p", w->plan_text, strlen(w->plan_text), &w->plan, NULL), 0);
	w->origin = (struct experiment_origin){
		.plan = w->plan,
		.facts = &facts,
		.tier = KM_TIER_OS,
		.version = "v9",
		.os_release = w->os_release,
		.start_unix_ns = INT64_C(1800000000) * 1000000000,
	};
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	km_plan_free(w->plan);
	tree_fini(&w->tree);
	free(w);
	return 0;
}

static void a_machine(const struct world *w)
{
	tree_put(&w->tree, "proc/cpuinfo",
	         "processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nflags\t\t: fpu hypervisor lm\n");
	tree_put(&w->tree, "proc/meminfo", "MemTotal:       1024 kB\nMemFree: 1 kB\n");
	tree_put(&w->tree, "sys/devices/system/cpu/cpu0/cache/index0/level", "1\n");
	tree_put(&w->tree, "sys/devices/system/cpu/cpu0/cache/index0/type", "Data\n");
	tree_put(&w->tree, "sys/devices/system/cpu/cpu0/cache/index0/size", "48K\n");
	tree_put(&w->tree, "os-release", "ID=x\nPRETTY_NAME=\"Some Linux 1 \\\\n\"\n");
}

static void has(struct km_buf *text, const char *part)
{
	if (strstr(km_buf_cstr(text), part) == NULL)
		fail_msg("no %s in %s", part, km_buf_cstr(text));
}

static void it_says_machine_programs_and_plan(void **state)
{
	struct world *w = *state;
	struct km_buf text;

	a_machine(w);
	km_buf_init(&text);
	experiment_provenance(&w->origin, &text);
	has(&text, "\"cpu\":\"Some CPU @ 3 GHz\"");
	has(&text, "\"virtual\":true");
	has(&text, "\"caches\":[{\"level\":\"1\",\"type\":\"Data\",\"size\":\"48K\"}]");
	has(&text, "\"memoryBytes\":1048576");
	has(&text, "\"frequencyGovernor\":null");
	has(&text, "\"distribution\":\"Some Linux 1");
	has(&text, "\"target\":\"nginx/1.22.1\",\"generator\":\"vegeta v12.12.0\"");
	has(&text, "\"tier\":\"os\"");
	has(&text, "\"startTime\":\"2027-01-15T08:00:00Z\"}\n");
	km_buf_fini(&text);
}

static void what_cannot_be_read_is_null(void **state)
{
	struct world *w = *state;
	struct km_buf text;

	km_buf_init(&text);
	experiment_provenance(&w->origin, &text);
	has(&text, "\"cpu\":null");
	has(&text, "\"virtual\":null");
	has(&text, "\"caches\":[]");
	has(&text, "\"memoryBytes\":null");
	has(&text, "\"distribution\":null");
	km_buf_fini(&text);
}

static bool exists(const struct world *w, const char *name)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	return access(path, F_OK) == 0;
}

static void another_machine_is_another_file(void **state)
{
	struct world *w = *state;

	a_machine(w);
	assert_int_equal(mkdir(w->dir, 0777), 0);
	assert_int_equal(experiment_keep_provenance(w->dir, &w->origin, NULL), 0);
	w->origin.start_unix_ns += INT64_C(3600) * 1000000000;
	assert_int_equal(experiment_keep_provenance(w->dir, &w->origin, NULL), 0);
	assert_true(exists(w, "provenance.json"));
	assert_false(exists(w, "provenance.2.json"));
	tree_put(&w->tree, "proc/meminfo", "MemTotal:       2048 kB\n");
	assert_int_equal(experiment_keep_provenance(w->dir, &w->origin, NULL), 0);
	assert_int_equal(experiment_keep_provenance(w->dir, &w->origin, NULL), 0);
	assert_true(exists(w, "provenance.2.json"));
	assert_false(exists(w, "provenance.3.json"));
}

#define ON_A_MACHINE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_A_MACHINE(it_says_machine_programs_and_plan),
		ON_A_MACHINE(what_cannot_be_read_is_null),
		ON_A_MACHINE(another_machine_is_another_file),
	};

	return cmocka_run_group_tests_name("experiment provenance", tests, NULL, NULL);
}
