/* SPDX-License-Identifier: Apache-2.0 */
/* Whose CPUs are whose: the load generator out of the service's way, cores that nodes share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"

#include "rig/cores.h"
#include "rig/load_cpus.h"
#include "support/tree.h"

static struct km_cpuset set(const char *text)
{
	struct km_cpuset out;

	assert_int_equal(km_cpuset_parse(text, &out, NULL), 0);
	return out;
}

static void keeps_out_of_the_services_way(void **state)
{
	static const struct {
		const char *given, *allowed, *target, *want, *why;
	} row[] = {
		{ "0", "0-3", "0", "0", "the plan has the last word" },
		{ NULL, "0-7", "0-2", "6-7", "CPUs of no node are free of stressors too" },
		{ NULL, "0-5", "0-2", "3-5", "nodes take all: not the target's" },
		{ NULL, "0-5", "3-5", "0-2", "and the other way round" },
		{ NULL, "0-5", "0-5", "0-5", "replicas on all nodes: anywhere" },
		{ NULL, "0-2", "0-2", "0-2", "nothing else is allowed" },
	};
	struct km_node_settings node[2] = { { .cpus_given = true }, { .cpus_given = true } };
	struct km_plan plan = { .node = node, .node_count = 2 };

	(void)state;
	node[0].cpus = set("0-2");
	node[1].cpus = set("3-5");
	for (size_t i = 0; i < KM_ARRAY_LEN(row); i++) {
		const struct km_cpuset allowed = set(row[i].allowed);
		const struct km_cpuset target = set(row[i].target);
		const struct km_cpuset want = set(row[i].want);
		struct km_cpuset got;

		plan.load.cpus_given = row[i].given != NULL;
		plan.load.cpus = set(row[i].given != NULL ? row[i].given : "");
		rig_load_cpus(&plan, &allowed, &target, &got);
		if (memcmp(&got, &want, sizeof(got)) != 0)
			fail_msg("%s", row[i].why);
	}
}

/* Four cores of two threads, numbered as most machines do: CPU 4 is CPU 0's other thread. */
static void a_core_in_two_nodes_is_told(void **state)
{
	static const struct {
		const char *a, *b, *want; /* NULL = nothing */
	} row[] = {
		{ "0-3", "4-7", "nodes a and b share the core of CPU 0: " },
		{ "0,4", "1,5", NULL },
		{ "0-1,4", "2,5", "nodes a and b share the core of CPU 1: " },
		{ "9", "0", NULL }, /* of which the machine says nothing */
	};
	struct km_node_settings node[2] = { { .name = "a" }, { .name = "b" } };
	struct tree t;

	(void)state;
	tree_init(&t);
	for (unsigned cpu = 0; cpu < 8; cpu++) {
		char path[96];

		(void)snprintf(path, sizeof(path),
		               "devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
		tree_put(&t, path, "%u,%u\n", cpu % 4, cpu % 4 + 4);
	}
	for (size_t i = 0; i < KM_ARRAY_LEN(row); i++) {
		char line[224] = "";

		node[0].cpus = set(row[i].a);
		node[1].cpus = set(row[i].b);
		assert_int_equal(rig_cores_shared(t.root, node, 2, line, sizeof(line)),
		                 row[i].want != NULL);
		if (row[i].want != NULL)
			assert_int_equal(strncmp(line, row[i].want, strlen(row[i].want)), 0);
	}
	tree_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_out_of_the_services_way),
		cmocka_unit_test(a_core_in_two_nodes_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
