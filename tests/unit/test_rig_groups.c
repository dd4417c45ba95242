/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig: whose processes, whose groups. The control groups here are fake: directories that know
 * nothing of processes and CPUs. That the kernel takes what is written shows
 * tests/integration/lab-rig.sh.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig/groups.h"
#include "rig/proc.h"
#include "support/tree.h"

#define STAT(comm, rest)                                                                           \
	"42 (" comm ") S 1 77 42 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 " rest                  \
	" 1 2 18446744073709551615 1\n"

static void a_process_line_is_read(void **state)
{
	static const struct {
		const char *text;
		int rc;
		int64_t pgrp, cpu, start;
	} rows[] = {
		{ STAT("sh", "5000"), 0, 77, 100, 5000 },
		{ STAT("a) R 1 2 (b", "5000"), 0, 77, 100, 5000 },
		{ "42 (sh) S 1 77 42 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0\n", -EBADMSG, 0, 0,
		  0 },
		{ "42 (sh S 1 77", -EBADMSG, 0, 0, 0 },
		{ "", -EBADMSG, 0, 0, 0 },
		{ STAT("sh", "many"), -EBADMSG, 0, 0, 0 },
		{ "42 (sh) S 1 77 42 0 -1 4194560 1 2 3 4 x 20 30 40 20 0 1 0 5000 1\n", -EBADMSG,
		  0, 0, 0 },
		{ "42 (sh) S 1 77 42 0 -1 4194560 1 2 3 4 9223372036854775807 20 30 40 20 0 1 0 5 "
		  "1\n",
		  -EBADMSG, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct rig_proc p;
		int rc = rig_proc_parse(rows[i].text, strlen(rows[i].text), &p);

		if (rc != rows[i].rc)
			fail_msg("row %zu: %d", i, rc);
		if (rc != 0)
			continue;
		assert_int_equal(p.pgrp, rows[i].pgrp);
		assert_int_equal(p.cpu_ticks, rows[i].cpu);
		assert_int_equal(p.start_ticks, rows[i].start);
	}
}

static void our_own_name_is_alive_and_others_are_dead(void **state)
{
	char self[RIG_BASE_MAX];
	char other[RIG_BASE_MAX + 1];

	(void)state;
	assert_int_equal(rig_base_name("/proc", self, sizeof(self), NULL), 0);
	assert_false(rig_base_is_dead("/proc", self));
	/* the same pid of another time */
	(void)snprintf(other, sizeof(other), "%s0", self);
	assert_true(rig_base_is_dead("/proc", other));
	/* above the kernel's largest */
	assert_true(rig_base_is_dead("/proc", RIG_GROUP_PREFIX "4194999-1"));
	/* what is no name of ours is nobody's to remove */
	assert_false(rig_base_is_dead("/proc", RIG_GROUP_PREFIX));
	assert_false(rig_base_is_dead("/proc", RIG_GROUP_PREFIX "4194999"));
	assert_false(rig_base_is_dead("/proc", RIG_GROUP_PREFIX "4194999-"));
	assert_false(rig_base_is_dead("/proc", RIG_GROUP_PREFIX "-1-1"));
	assert_false(rig_base_is_dead("/proc", "system.slice"));
}

/* ---- groups ---- */

static bool exists(const struct tree *t, const char *name)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", t->root, name);
	return access(path, F_OK) == 0;
}

static void two_nodes(struct km_node_settings node[2])
{
	static char none[] = "";

	for (int i = 0; i < 2; i++) {
		node[i] = (struct km_node_settings){ .cpus_given = true, .cgroup = none };
		(void)snprintf(node[i].name, sizeof(node[i].name), "node-%c", 'a' + i);
		km_cpuset_add(&node[i].cpus, (unsigned)i);
	}
}

static void accounting_alone_is_said(void **state)
{
	struct tree t;
	struct km_node_settings node[2];
	struct rig_entrance entrance;
	struct rig_groups g;
	const char *const *list;
	char text[64];

	(void)state;
	two_nodes(node);
	tree_init(&t);
	tree_dir(&t, "cpuacct");
	tree_put(&t, "cpuacct/cgroup.procs", "\n");
	tree_dir(&t, "cpu");
	tree_put(&t, "cpu/cgroup.procs", "\n");
	rig_groups_open(&g, t.root, "base", node, 2, NULL);
	assert_int_equal(g.count, 2);
	assert_false(g.cpuset);
	assert_true(exists(&t, "cpuacct/base/node-a"));
	assert_true(exists(&t, "cpuacct/base/node-b"));
	assert_true(exists(&t, "cpuacct/base/_load"));
	assert_true(exists(&t, "cpu/base/node-a"));
	/* SCHED_RR may be refused there */
	assert_false(exists(&t, "cpu/base/_load"));
	rig_groups_describe(&g, text, sizeof(text));
	assert_string_equal(text, "cgroup v1 cpuacct, v1 cpu; CPUs by affinity only");
	list = rig_groups_entrance(&g, "node-b", &entrance);
	assert_non_null(strstr(list[0], "/cpuacct/base/node-b/cgroup.procs"));
	assert_non_null(strstr(list[1], "/cpu/base/node-b/cgroup.procs"));
	assert_null(list[2]);
	list = rig_groups_entrance(&g, RIG_GROUP_LOAD, &entrance);
	assert_non_null(strstr(list[0], "/cpuacct/base/_load/cgroup.procs"));
	assert_null(list[1]);
	tree_put(&t, "cpuacct/base/cpuacct.usage", "1234567\n");
	assert_true(rig_groups_cpu_ns(&g) == 1234567);
	tree_put(&t, "cpuacct/base/cpuacct.usage", "none\n");
	assert_true(isnan(rig_groups_cpu_ns(&g)));
	tree_fini(&t);
}

/* As systemd mounts v1: "cpu" and "cpuacct" are links to "cpu,cpuacct". */
static void one_hierarchy_of_two_names_has_its_groups_once(void **state)
{
	struct tree t;
	struct km_node_settings node[2];
	struct rig_entrance entrance;
	struct rig_groups g;
	const char *const *list;
	char link[PATH_MAX];

	(void)state;
	two_nodes(node);
	tree_init(&t);
	tree_dir(&t, "cpu,cpuacct");
	tree_put(&t, "cpu,cpuacct/cgroup.procs", "\n");
	tree_dir(&t, "unified");
	tree_put(&t, "unified/cgroup.controllers", "\n");
	(void)snprintf(link, sizeof(link), "%s/cpu", t.root);
	assert_int_equal(symlink("cpu,cpuacct", link), 0);
	(void)snprintf(link, sizeof(link), "%s/cpuacct", t.root);
	assert_int_equal(symlink("cpu,cpuacct", link), 0);
	rig_groups_open(&g, t.root, "base", node, 2, NULL);
	assert_int_equal(g.count, 2);
	assert_string_equal(g.why_not, "");
	assert_true(exists(&t, "cpu,cpuacct/base/node-a"));
	list = rig_groups_entrance(&g, RIG_GROUP_LOAD, &entrance);
	assert_non_null(strstr(list[0], "/unified/base/_load/cgroup.procs"));
	assert_null(list[1]);
	/* the generator is in the one and not in the other */
	tree_put(&t, "cpu,cpuacct/base/cpuacct.usage", "1234567\n");
	tree_put(&t, "unified/base/cpu.stat", "usage_usec 1500\n");
	assert_true(rig_groups_cpu_ns(&g) == 1.5e6);
	tree_fini(&t);
}

static void where_none_can_be_made_there_are_none(void **state)
{
	struct tree t;
	struct km_node_settings node[2];
	struct rig_entrance entrance;
	struct rig_groups g;
	char text[64];

	(void)state;
	two_nodes(node);
	tree_init(&t);
	rig_groups_open(&g, t.root, "base", node, 2, NULL);
	assert_int_equal(g.count, 0);
	assert_non_null(strstr(g.why_not, "no hierarchy"));
	rig_groups_describe(&g, text, sizeof(text));
	assert_string_equal(text, "no control groups: CPU affinity only");
	assert_null(rig_groups_entrance(&g, "node-a", &entrance)[0]);
	assert_true(isnan(rig_groups_cpu_ns(&g)));
	/* a cpuset that takes no memory nodes: what was made is gone again */
	tree_dir(&t, "cpuset");
	tree_put(&t, "cpuset/cgroup.procs", "\n");
	rig_groups_open(&g, t.root, "base", node, 2, NULL);
	assert_int_equal(g.count, 0);
	assert_non_null(strstr(g.why_not, "cpuset: No such file"));
	assert_false(exists(&t, "cpuset/base"));
	rig_groups_close(&g);
	tree_fini(&t);
}

static void a_v2_without_cpuset_accounts(void **state)
{
	struct tree t;
	struct km_node_settings node[2];
	struct rig_groups g;
	char text[64];

	(void)state;
	two_nodes(node);
	tree_init(&t);
	tree_put(&t, "cgroup.controllers", "cpu memory\n");
	rig_groups_open(&g, t.root, "base", node, 2, NULL);
	assert_int_equal(g.count, 1);
	rig_groups_describe(&g, text, sizeof(text));
	assert_string_equal(text, "cgroup v2; CPUs by affinity only");
	tree_put(&t, "base/cpu.stat", "usage_usec 1500\nuser_usec 1000\n");
	assert_true(rig_groups_cpu_ns(&g) == 1.5e6);
	tree_fini(&t);
}

static void a_v2_that_takes_no_cpus_accounts(void **state)
{
	struct tree t;
	struct km_node_settings node[2];
	struct rig_groups g;

	(void)state;
	two_nodes(node);
	tree_init(&t);
	tree_put(&t, "cgroup.controllers", "cpuset cpu memory\n");
	tree_put(&t, "cgroup.subtree_control", "\n");
	/* a directory made here has no cgroup.subtree_control to write */
	rig_groups_open(&g, t.root, "base", node, 2, &node[1].cpus);
	assert_int_equal(g.count, 1);
	assert_false(g.cpuset);
	assert_non_null(strstr(g.why_not, "No such file"));
	assert_true(exists(&t, "base/node-b"));
	rig_groups_close(&g);
	assert_false(exists(&t, "base"));
	tree_fini(&t);
}

static void groups_of_the_dead_go_and_others_stay(void **state)
{
	struct tree t;
	char self[RIG_BASE_MAX];
	char path[RIG_BASE_MAX + 16];

	(void)state;
	tree_init(&t);
	tree_dir(&t, "cpuacct");
	tree_put(&t, "cpuacct/cgroup.procs", "\n");
	tree_dir(&t, "cpuacct/" RIG_GROUP_PREFIX "4194999-1");
	tree_dir(&t, "cpuacct/" RIG_GROUP_PREFIX "4194999-1/node-a");
	tree_dir(&t, "cpuacct/" RIG_GROUP_PREFIX "4194999-1/.hidden");
	tree_dir(&t, "cpuacct/docker");
	assert_int_equal(rig_base_name("/proc", self, sizeof(self), NULL), 0);
	(void)snprintf(path, sizeof(path), "cpuacct/%s", self);
	tree_dir(&t, path);
	rig_groups_clear_dead(t.root, "/proc");
	assert_false(exists(&t, "cpuacct/" RIG_GROUP_PREFIX "4194999-1"));
	assert_true(exists(&t, "cpuacct/docker"));
	assert_true(exists(&t, path));
	tree_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_line_is_read),
		cmocka_unit_test(our_own_name_is_alive_and_others_are_dead),
		cmocka_unit_test(accounting_alone_is_said),
		cmocka_unit_test(one_hierarchy_of_two_names_has_its_groups_once),
		cmocka_unit_test(where_none_can_be_made_there_are_none),
		cmocka_unit_test(a_v2_without_cpuset_accounts),
		cmocka_unit_test(a_v2_that_takes_no_cpus_accounts),
		cmocka_unit_test(groups_of_the_dead_go_and_others_stay),
	};

	return cmocka_run_group_tests_name("rig: groups", tests, NULL, NULL);
}
