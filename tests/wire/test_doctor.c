/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla doctor` over trees made for the test: the table, the JSON, the reasons. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/tool.h"
#include "support/tree.h"

/* Roots in the tree and nobody to ask for pcm-server's metrics: nothing of this machine is seen. */
static void put_config(const struct tree *t, const char *sources)
{
	tree_put(
		t, "kubemarla.yaml",
		"nodes:\n"
		"- {name: pinned, cpus: \"0\"}\n"
		"- {name: grouped, cgroup: docker/g}\n"
		"- {name: lost, cgroup: docker/lost}\n"
		"collect:\n"
		"  sources: %s\n"
		"  pcmServer: {url: \"\"}\n"
		"  pcm: {library: %s/no-libpcm.so}\n"
		"  roots: {procfs: %s/proc, sysfs: %s/sys, resctrl: %s/resctrl, cgroupfs: %s/cg}\n",
		sources, t->root, t->root, t->root, t->root, t->root);
}

static void doctor(const struct tree *t, const char *option, struct tool_result *r)
{
	char config[128];
	const char *const args[] = { "doctor", "--node", "-c", config, option, NULL };

	(void)snprintf(config, sizeof(config), "%s/kubemarla.yaml", t->root);
	tool_run(args, NULL, 0, r);
}

static void want(const struct km_buf *text, const char *part)
{
	if (strstr(text->data, part) == NULL) {
		fail_msg("no \"%s\" in:\n%s", part, text->data);
	}
}

static void each_source_is_taken_or_says_why_not(void **state)
{
	/* perf asks the kernel itself, not a tree: it may be there */
	static const char *const absent[] = { "pcm-server", "pcm", "resctrl" };
	struct tool_result r;
	struct tree t;

	(void)state;
	tree_init(&t);
	tool_result_init(&r);
	put_config(&t, "auto");
	tree_put(&t, "proc/stat", "cpu0 1 0 0 9\nctxt 7\n");
	tree_put(&t, "cg/docker/g/cpuset.cpus.effective", "1-3,5\n");
	tree_put(&t, "cg/docker/g/cpu.stat", "nr_throttled 0\nthrottled_usec 0\n");
	doctor(&t, NULL, &r);
	assert_int_equal(r.code, 0);
	assert_string_equal(r.err.data, "");
	for (size_t i = 0; i < KM_ARRAY_LEN(absent); i++) {
		char row[32];
		const char *at;

		(void)snprintf(row, sizeof(row), "\n%-10s  absent  ", absent[i]);
		want(&r.out, row);
		at = strstr(r.out.data, row) + strlen(row);
		assert_true(*at != '\n'); /* with a reason */
	}
	want(&r.out, "\nos          taken   busy_ratio, steal_ratio, throttled_ratio, "
	             "context_switches_per_s (no pressure: ");
	want(&r.out, "\nperf        ");
	want(&r.out, "\ntier ");
	want(&r.out, "\npinned   settings   0\n");
	want(&r.out, "\ngrouped  group      1-3,5\n");
	want(&r.out, "\nlost     group      unknown: ");
	tool_result_fini(&r);
	tree_fini(&t);
}

static void programs_get_the_same_as_json(void **state)
{
	struct tool_result r;
	struct tree t;

	(void)state;
	tree_init(&t);
	tool_result_init(&r);
	put_config(&t, "[resctrl]");
	tree_put(&t, "proc/stat", "cpu0 1 0 0 9\n");
	doctor(&t, "--json", &r);
	assert_int_equal(r.code, 0);
	want(&r.out, "{\"tier\":\"none\",\"sources\":[{\"source\":\"pcm-server\",");
	want(&r.out, "{\"source\":\"os\",\"state\":\"spare\",\"metrics\":[\"busy_ratio\","
	             "\"steal_ratio\"],\"ownsPmu\":false,\"note\":\"no pressure: ");
	want(&r.out, "\"reason\":\"not in collect.sources\"}");
	want(&r.out, "{\"name\":\"pinned\",\"cpus\":\"0\",\"cpusFrom\":\"settings\"}");
	tool_result_fini(&r);
	tree_fini(&t);
}

static void nothing_at_all_is_an_answer_too(void **state)
{
	struct tool_result r;
	struct tree t;

	(void)state;
	tree_init(&t);
	tool_result_init(&r);
	put_config(&t, "[pcm, resctrl, os]");
	doctor(&t, NULL, &r);
	assert_int_equal(r.code, 0);
	want(&r.out, "\nos          absent  ");
	want(&r.out, "/proc/stat: No such file or directory");
	want(&r.out, "\ntier none\n");
	tree_put(&t, "kubemarla.yaml", "colect: {}\n");
	doctor(&t, NULL, &r);
	assert_int_equal(r.code, 2);
	want(&r.err, "kubemarla.yaml:1: colect: no such key");
	tool_result_fini(&r);
	tree_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_source_is_taken_or_says_why_not),
		cmocka_unit_test(programs_get_the_same_as_json),
		cmocka_unit_test(nothing_at_all_is_an_answer_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
