/* SPDX-License-Identifier: Apache-2.0 */
/* The source "os" over trees made for the test: procfs and control groups of v1, v2 and both. */
#include <errno.h>
#include <math.h>
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

#include "km/base/clock.h"
#include "km/base/macros.h"
#include "km/sources/cgroup.h"
#include "km/sources/source.h"

#include "sources/os_parse.h"
#include "support/tree.h"

#define NODES_MAX 2

struct os_world {
	struct tree tree;
	char procfs[96], cgroupfs[96];
	struct km_live_settings live;
	struct km_source_settings settings;
	struct km_node_settings node[NODES_MAX];
	const struct km_node_settings *nodes[NODES_MAX];
	struct km_source_args args;
	struct km_source *source;
	int64_t now_ns;
	/* the last sample */
	unsigned count;
	uint32_t cpu_count;
	int64_t length_ns;
	double cpu[8][KM_COUNT_CPU_N], host[KM_HOST_COUNT_N], group[NODES_MAX][KM_NODE_COUNT_N];
	int state;
	struct km_err err;
};

static void put_pressure(const struct os_world *t, const char *path, unsigned long total_us)
{
	tree_put(&t->tree, path,
	         "some avg10=1.00 avg60=0.00 avg300=0.00 total=%lu\n"
	         "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n",
	         total_us);
}

static void world_init(struct os_world *t)
{
	memset(t, 0, sizeof(*t));
	tree_init(&t->tree);
	(void)snprintf(t->procfs, sizeof(t->procfs), "%s/proc", t->tree.root);
	(void)snprintf(t->cgroupfs, sizeof(t->cgroupfs), "%s/cg", t->tree.root);
	t->live.procfs = t->procfs;
	t->live.cgroupfs = t->cgroupfs;
	strcpy(t->settings.kind, "os");
	t->now_ns = 900 * KM_NS_PER_S;
	t->args = (struct km_source_args){ .settings = &t->settings,
		                           .live = &t->live,
		                           .node = t->nodes,
		                           .interval_ns = KM_NS_PER_S };
}

static char no_group[] = "";

static void add_node(struct os_world *t, const char *name, char *group)
{
	struct km_node_settings *n = &t->node[t->args.node_count];

	(void)snprintf(n->name, sizeof(n->name), "%s", name);
	n->cgroup = group;
	t->nodes[t->args.node_count++] = n;
}

static void world_open(struct os_world *t)
{
	t->args.now_ns = t->now_ns;
	if (km_source_open(&t->args, &t->source, &t->err) != 0) {
		fail_msg("%s", t->err.text);
	}
}

static void on_sample(void *ctx, const struct km_sample *s)
{
	struct os_world *t = ctx;

	assert_null(km_sample_implausible(s));
	assert_true(s->cpu_count <= KM_ARRAY_LEN(t->cpu));
	t->count++;
	t->cpu_count = s->cpu_count;
	t->length_ns = s->end_ns - s->start_ns;
	assert_int_equal(s->end_ns, t->now_ns);
	memcpy(t->cpu, s->cpu, s->cpu_count * sizeof(t->cpu[0]));
	memcpy(t->host, s->host, sizeof(t->host));
	assert_int_equal(s->node_count, t->args.node_count);
	if (s->node_count > 0) {
		memcpy(t->group, s->node, s->node_count * sizeof(t->group[0]));
	}
}

/* returns how many samples came. */
static unsigned read_after(struct os_world *t, double seconds)
{
	t->now_ns += llround(seconds * 1e9);
	t->count = 0;
	t->state = km_source_read(t->source, t->now_ns, on_sample, t, &t->err);
	return t->count;
}

static uint64_t fault(const struct os_world *t, enum km_source_fault f)
{
	struct km_source_stats stats;

	km_source_get_stats(t->source, &stats);
	return stats.fault[f];
}

static void world_fini(struct os_world *t)
{
	km_source_close(t->source);
	tree_fini(&t->tree);
}

static void near(double got, double want)
{
	if (isnan(want) ? !isnan(got) : !(fabs(got - want) <= 1e-6 * fmax(1, fabs(want)))) {
		fail_msg("saw %.9g, want %.9g", got, want);
	}
}

static void every_count_is_the_change_between_two_reads(void **state)
{
	struct os_world t;

	(void)state;
	world_init(&t);
	tree_put(&t.tree, "proc/stat",
	         "cpu  999 0 0 0 0 0 0 0 0 0\n"
	         "cpu0 100 10 20 1000 50 1 2 30 5 0\n"
	         "cpu1 200 0 0 2000 0 0 0 0 0 0\n"
	         "intr 5 1 2\nctxt 1000\nprocs_running 4\n");
	put_pressure(&t, "proc/pressure/cpu", 1000000);
	put_pressure(&t, "proc/pressure/io", 5);
	world_open(&t);
	assert_int_equal(read_after(&t, 0), 0); /* the baseline */
	tree_put(&t.tree, "proc/stat",
	         "cpu  999 0 0 0 0 0 0 0 0 0\n"
	         /* +20 user +10 nice +5 sys +100 idle +20 iowait +1 irq +4 softirq
	            +40 steal; the guest's 5 are in user already */
	         "cpu0 120 20 25 1100 70 2 6 70 10 0\n"
	         "cpu1 200 0 0 2200 0 0 0 0 0 0\n"
	         "intr 5 1 2\nctxt 4000\nprocs_running 1\n");
	put_pressure(&t, "proc/pressure/cpu", 1600000);
	put_pressure(&t, "proc/pressure/io", 5);
	assert_int_equal(read_after(&t, 2), 1);
	assert_int_equal(t.state, KM_SOURCE_LIVE);
	assert_int_equal(t.length_ns, 2 * KM_NS_PER_S);
	assert_int_equal(t.cpu_count, 2);
	near(t.cpu[0][KM_COUNT_BUSY_NS], 40.0 / 200 * 2e9);
	near(t.cpu[0][KM_COUNT_STEAL_NS], 40.0 / 200 * 2e9);
	near(t.cpu[1][KM_COUNT_BUSY_NS], 0); /* measured, and idle */
	near(t.cpu[1][KM_COUNT_STEAL_NS], 0);
	near(t.cpu[0][KM_COUNT_CONTEXT_SWITCHES], NAN);
	near(t.cpu[0][KM_COUNT_CYCLES], NAN);
	near(t.host[KM_HOST_CPU_PSI_NS], 0.6e9);
	near(t.host[KM_HOST_MEMORY_PSI_NS], NAN); /* no such file */
	near(t.host[KM_HOST_IO_PSI_NS], 0);
	near(t.host[KM_HOST_RUNNABLE], 0); /* the reader does not count itself */
	near(t.host[KM_HOST_CONTEXT_SWITCHES], 3000);
	near(t.host[KM_HOST_MEM_READ_BYTES], NAN);
	world_fini(&t);
}

static void cpus_come_and_go(void **state)
{
	struct km_source_stats stats;
	struct os_world t;

	(void)state;
	world_init(&t);
	tree_put(&t.tree, "proc/stat", "cpu0 0 0 0 100\ncpu1 0 0 0 100\n");
	world_open(&t);
	assert_int_equal(read_after(&t, 0), 0);
	tree_put(&t.tree, "proc/stat", "cpu0 50 0 0 150\n"); /* CPU 1 went offline */
	assert_int_equal(read_after(&t, 1), 1);
	assert_int_equal(t.cpu_count, 2);
	near(t.cpu[0][KM_COUNT_BUSY_NS], 0.5e9);
	near(t.cpu[1][KM_COUNT_BUSY_NS], NAN);
	assert_int_equal(fault(&t, KM_FAULT_VANISHED), 1);
	km_source_get_stats(t.source, &stats);
	assert_string_equal(stats.note, "1 of 2 CPUs offline");
	tree_put(&t.tree, "proc/stat", "cpu0 50 0 0 250\ncpu1 9 0 0 109\ncpu3 0 0 0 1\n");
	assert_int_equal(read_after(&t, 1), 1); /* back, but since when is not known */
	assert_int_equal(t.cpu_count, 4);
	near(t.cpu[0][KM_COUNT_BUSY_NS], 0);
	near(t.cpu[1][KM_COUNT_BUSY_NS], NAN);
	near(t.cpu[2][KM_COUNT_BUSY_NS], NAN);
	near(t.cpu[3][KM_COUNT_BUSY_NS], NAN);
	tree_put(&t.tree, "proc/stat", "cpu0 150 0 0 250\ncpu1 9 0 0 209\ncpu3 100 0 0 1\n");
	assert_int_equal(read_after(&t, 1), 1);
	near(t.cpu[0][KM_COUNT_BUSY_NS], 1e9);
	near(t.cpu[1][KM_COUNT_BUSY_NS], 0);
	near(t.cpu[3][KM_COUNT_BUSY_NS], 1e9);
	assert_int_equal(fault(&t, KM_FAULT_VANISHED), 1);
	world_fini(&t);
}

static void what_runs_backwards_is_not_known_once(void **state)
{
	struct os_world t;

	(void)state;
	world_init(&t);
	tree_put(&t.tree, "proc/stat", "cpu0 50 0 0 100\nctxt 500\n");
	put_pressure(&t, "proc/pressure/cpu", 9000);
	world_open(&t);
	assert_int_equal(read_after(&t, 0), 0);
	tree_put(&t.tree, "proc/stat", "cpu0 40 0 0 200\nctxt 400\n");
	put_pressure(&t, "proc/pressure/cpu", 8000);
	assert_int_equal(read_after(&t, 1), 1);
	near(t.cpu[0][KM_COUNT_BUSY_NS], NAN);
	near(t.host[KM_HOST_CONTEXT_SWITCHES], NAN);
	near(t.host[KM_HOST_CPU_PSI_NS], NAN);
	assert_int_equal(fault(&t, KM_FAULT_BACKWARDS), 3);
	tree_put(&t.tree, "proc/stat", "cpu0 40 0 0 300\nctxt 410\n");
	put_pressure(&t, "proc/pressure/cpu", 8000 + 1010000); /* 1 % over: read a little later */
	assert_int_equal(read_after(&t, 1), 1);
	near(t.cpu[0][KM_COUNT_BUSY_NS], 0);
	near(t.host[KM_HOST_CONTEXT_SWITCHES], 10);
	near(t.host[KM_HOST_CPU_PSI_NS], 1e9);
	tree_put(&t.tree, "proc/stat", "cpu0 40 0 0 300\nctxt 410\n");
	put_pressure(&t, "proc/pressure/cpu", 90000000); /* 88 s in one */
	assert_int_equal(read_after(&t, 1), 1);
	near(t.cpu[0][KM_COUNT_BUSY_NS], NAN); /* it accounted for nothing at all */
	near(t.host[KM_HOST_CPU_PSI_NS], NAN);
	assert_int_equal(fault(&t, KM_FAULT_GARBLED), 1);
	world_fini(&t);
}

static void a_stat_that_is_none_costs_a_tick_and_one_that_is_gone_the_source(void **state)
{
	struct km_source_stats stats;
	struct os_world t;

	(void)state;
	world_init(&t);
	tree_put(&t.tree, "proc/stat", "cpu0 50 0 0 100\n");
	put_pressure(&t, "proc/pressure/cpu", 0);
	world_open(&t);
	assert_int_equal(read_after(&t, 0), 0);
	tree_put(&t.tree, "proc/stat", "cpu0 nonsense\n");
	put_pressure(&t, "proc/pressure/cpu", 500000);
	assert_int_equal(read_after(&t, 1), 1);
	near(t.cpu[0][KM_COUNT_BUSY_NS], NAN);
	near(t.host[KM_HOST_CPU_PSI_NS], 0.5e9);
	assert_int_equal(fault(&t, KM_FAULT_GARBLED), 1);
	km_source_get_stats(t.source, &stats);
	assert_int_equal(stats.bad_rows, 1);
	assert_non_null(strstr(stats.last_bad, "cpu0 nonsense"));
	tree_remove(&t.tree, "proc/stat");
	assert_int_equal(read_after(&t, 1), 0);
	assert_int_equal(t.state, -ENOENT);
	assert_non_null(strstr(t.err.text, "proc/stat"));
	world_fini(&t);
}

static char docker_a[] = "/docker/a";
static char docker_b[] = "docker/b";

/* Where the files are in v2, in v1 beside v2 (hybrid), and by v1's other name. */
static void a_nodes_group_is_found_in_every_layout(void **state)
{
	static const struct {
		const char *pressure, *throttled, *text, *later;
	} rows[] = {
		{ "cg/docker/a/cpu.pressure", "cg/docker/a/cpu.stat",
		  "usage_usec 9\nnr_throttled 1\nthrottled_usec 100\n",
		  "usage_usec 9\nnr_throttled 2\nthrottled_usec 250100\n" },
		{ "cg/unified/docker/a/cpu.pressure", "cg/cpu/docker/a/cpu.stat",
		  "nr_throttled 1\nthrottled_time 5\n",
		  "nr_throttled 2\nthrottled_time 250000005\n" },
		{ "cg/unified/docker/a/cpu.pressure", "cg/cpu,cpuacct/docker/a/cpu.stat",
		  "nr_throttled 1\nthrottled_time 5\n",
		  "nr_throttled 2\nthrottled_time 250000005\n" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_source_offer offer;
		struct os_world t;

		world_init(&t);
		add_node(&t, "a", docker_a);
		add_node(&t, "b", no_group);
		tree_put(&t.tree, "proc/stat", "cpu0 50 0 0 100\n");
		put_pressure(&t, rows[i].pressure, 1000);
		tree_put(&t.tree, rows[i].throttled, "%s", rows[i].text);
		assert_int_equal(km_source_probe(&t.args, &offer, &t.err), 0);
		assert_int_equal(offer.node, 1U << KM_NODE_CPU_PSI_NS | 1U << KM_NODE_THROTTLED_NS);
		world_open(&t);
		assert_int_equal(read_after(&t, 0), 0);
		put_pressure(&t, rows[i].pressure, 201000);
		tree_put(&t.tree, rows[i].throttled, "%s", rows[i].later);
		assert_int_equal(read_after(&t, 1), 1);
		near(t.group[0][KM_NODE_CPU_PSI_NS], 0.2e9);
		near(t.group[0][KM_NODE_IO_PSI_NS], NAN);
		near(t.group[0][KM_NODE_THROTTLED_NS], 0.25e9);
		for (size_t c = 0; c < KM_NODE_COUNT_N; c++) {
			near(t.group[1][c], NAN);
		}
		world_fini(&t);
	}
}

static void a_group_may_come_and_go(void **state)
{
	struct km_source_stats stats;
	struct os_world t;

	(void)state;
	world_init(&t);
	add_node(&t, "b", docker_b);
	tree_put(&t.tree, "proc/stat", "cpu0 50 0 0 100\n");
	world_open(&t);
	assert_int_equal(read_after(&t, 0), 0);
	assert_int_equal(read_after(&t, 1), 1);
	near(t.group[0][KM_NODE_CPU_PSI_NS], NAN);
	km_source_get_stats(t.source, &stats);
	assert_string_equal(stats.note, "node b: no control group");
	put_pressure(&t, "cg/docker/b/cpu.pressure", 1000);
	assert_int_equal(read_after(&t, 1), 1);
	near(t.group[0][KM_NODE_CPU_PSI_NS], NAN); /* its first value */
	put_pressure(&t, "cg/docker/b/cpu.pressure", 2000);
	assert_int_equal(read_after(&t, 1), 1);
	near(t.group[0][KM_NODE_CPU_PSI_NS], 1e6);
	km_source_get_stats(t.source, &stats);
	assert_string_equal(stats.note, "");
	tree_remove(&t.tree, "cg/docker/b/cpu.pressure");
	assert_int_equal(read_after(&t, 1), 1);
	near(t.group[0][KM_NODE_CPU_PSI_NS], NAN);
	assert_int_equal(fault(&t, KM_FAULT_VANISHED), 1);
	/* a new group of that name counts from 0: no difference to the old one */
	put_pressure(&t, "cg/docker/b/cpu.pressure", 10);
	assert_int_equal(read_after(&t, 1), 1);
	near(t.group[0][KM_NODE_CPU_PSI_NS], NAN);
	assert_int_equal(fault(&t, KM_FAULT_BACKWARDS), 0);
	world_fini(&t);
}

static void a_probe_says_what_is_there_and_why_not(void **state)
{
	struct km_source_offer offer;
	struct os_world t;

	(void)state;
	world_init(&t);
	assert_int_equal(km_source_probe(&t.args, &offer, &t.err), -ENOENT);
	assert_non_null(strstr(t.err.text, "proc/stat: "));
	tree_put(&t.tree, "proc/stat", "intr 5\n");
	assert_int_equal(km_source_probe(&t.args, &offer, &t.err), -EBADMSG);
	assert_non_null(strstr(t.err.text, "proc/stat: saw no line cpuN"));
	tree_put(&t.tree, "proc/stat", "cpu0 50 0 0 100\nctxt 5\n");
	assert_int_equal(km_source_probe(&t.args, &offer, &t.err), 0);
	assert_int_equal(offer.cpu, 1U << KM_COUNT_BUSY_NS | 1U << KM_COUNT_STEAL_NS);
	assert_int_equal(offer.host, 1U << KM_HOST_CONTEXT_SWITCHES);
	assert_non_null(strstr(offer.note, "no pressure: "));
	put_pressure(&t, "proc/pressure/cpu", 1);
	add_node(&t, "b", docker_b);
	assert_int_equal(km_source_probe(&t.args, &offer, &t.err), 0);
	assert_true((offer.host & 1U << KM_HOST_CPU_PSI_NS) != 0);
	assert_false(offer.owns_pmu);
	assert_string_equal(offer.note, "node b: no control group");
	world_fini(&t);
}

static void a_fifo_in_the_place_of_a_file_does_not_hang(void **state)
{
	char path[128];
	struct os_world t;

	(void)state;
	world_init(&t);
	tree_put(&t.tree, "proc/stat", "cpu0 50 0 0 100\n");
	put_pressure(&t, "proc/pressure/io", 1);
	(void)snprintf(path, sizeof(path), "%s/proc/pressure/cpu", t.tree.root);
	assert_int_equal(mkfifo(path, 0600), 0);
	world_open(&t);
	assert_int_equal(read_after(&t, 0), 0);
	assert_int_equal(read_after(&t, 1), 1);
	near(t.host[KM_HOST_CPU_PSI_NS], NAN);
	world_fini(&t);
}

static void a_groups_cpus_are_its_list(void **state)
{
	static const struct {
		const char *path, *text;
		int want; /* CPUs, or negative errno */
	} rows[] = {
		{ "cg/docker/a/cpuset.cpus.effective", "0-2,5\n", 4 },
		{ "cg/cpuset/docker/a/cpuset.effective_cpus", "1\n", 1 },
		{ "cg/cpuset/docker/a/cpuset.cpus", "0-1\n", 2 },
		{ "cg/docker/a/cpuset.cpus.effective", "\n", 0 },
		{ "cg/docker/a/cpuset.cpus.effective", "many\n", -EBADMSG },
		{ "cg/docker/other/cpuset.cpus.effective", "0\n", -ENOENT },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_cpuset cpus;
		struct os_world t;
		int ret;

		world_init(&t);
		tree_put(&t.tree, rows[i].path, "%s", rows[i].text);
		ret = km_cgroup_cpus(t.cgroupfs, "/docker/a", &cpus, &t.err);
		assert_int_equal(ret == 0 ? (int)km_cpuset_count(&cpus) : ret, rows[i].want);
		world_fini(&t);
	}
}

/* The real thing: whatever Linux this is has a /proc/stat, and time passes in it. */
static void this_machine_can_be_read(void **state)
{
	struct km_source_offer offer;
	struct os_world t;
	char proc[] = "/proc";
	char cgroup[] = "/sys/fs/cgroup";

	(void)state;
	world_init(&t);
	t.live.procfs = proc;
	t.live.cgroupfs = cgroup;
	assert_int_equal(km_source_probe(&t.args, &offer, &t.err), 0);
	assert_true((offer.cpu & 1U << KM_COUNT_BUSY_NS) != 0);
	assert_true((offer.host & 1U << KM_HOST_CONTEXT_SWITCHES) != 0);
	assert_int_equal(km_source_open(&t.args, &t.source, &t.err), 0);
	assert_int_equal(km_source_read(t.source, t.now_ns, on_sample, &t, &t.err), 0);
	world_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_count_is_the_change_between_two_reads),
		cmocka_unit_test(cpus_come_and_go),
		cmocka_unit_test(what_runs_backwards_is_not_known_once),
		cmocka_unit_test(a_stat_that_is_none_costs_a_tick_and_one_that_is_gone_the_source),
		cmocka_unit_test(a_nodes_group_is_found_in_every_layout),
		cmocka_unit_test(a_group_may_come_and_go),
		cmocka_unit_test(a_probe_says_what_is_there_and_why_not),
		cmocka_unit_test(a_fifo_in_the_place_of_a_file_does_not_hang),
		cmocka_unit_test(a_groups_cpus_are_its_list),
		cmocka_unit_test(this_machine_can_be_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
