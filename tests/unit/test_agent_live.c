/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of live sources under the agent: merged, late, broken, refused. The table of sources is a
 * fake one, in this file, so that a source can misbehave as the test wants it to.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "km/sources/preflight.h"

#include "support/agent_world.h"
#include "support/fake_source_table.h"

struct fake {
	struct km_source base;
	int64_t last_ns;
	unsigned reads;
};

/* How the fake of each name behaves in the test that runs. */
struct script {
	int open, probe;     /* 0 or negative errno */
	int state;           /* of reads */
	unsigned good_reads; /* of each opening, before it breaks; 0 = it does not */
	bool silent;         /* reads deliver nothing */
	bool owns_pmu;
	double instructions, cycles, c0_ns, read_bytes; /* per second */
	unsigned opened, closed, reads;
};

static struct script core, more;

static struct script *script_of(const char *name)
{
	return strcmp(name, "core") == 0 ? &core : &more;
}

static int fake_probe(struct script *s, struct km_source_offer *out, struct km_err *err)
{
	if (s->probe != 0) {
		return km_err_set(err, -s->probe, "no such luck");
	}
	out->owns_pmu = s->owns_pmu;
	out->cpu = isnan(s->cycles) ? 0 : 1U << KM_COUNT_CYCLES | 1U << KM_COUNT_INSTRUCTIONS;
	out->host = isnan(s->read_bytes) ? 0 : 1U << KM_HOST_MEM_READ_BYTES;
	return 0;
}

static int probe_core(const struct km_source_args *a, struct km_source_offer *o, struct km_err *e)
{
	assert_non_null(a->live);
	return fake_probe(&core, o, e);
}

static int probe_more(const struct km_source_args *a, struct km_source_offer *o, struct km_err *e)
{
	assert_non_null(a->live);
	return fake_probe(&more, o, e);
}

static int fake_open(const struct km_source_args *args, struct km_source **out, struct km_err *err)
{
	struct script *s = script_of(args->settings->kind);
	struct fake *f;

	if (s->open != 0) {
		return km_err_set(err, -s->open, "not today");
	}
	f = calloc(1, sizeof(*f));
	assert_non_null(f);
	s->opened++;
	*out = &f->base;
	return 0;
}

static int fake_read(struct km_source *base, int64_t now_ns, km_sample_fn *emit, void *ctx,
                     struct km_err *err)
{
	struct fake *f = (struct fake *)base;
	struct script *s = script_of(base->ops->name);
	struct km_sample_space sp = { .cpu_cap = 0 };
	double elapsed_s = (double)(now_ns - f->last_ns) * 1e-9;

	s->reads++;
	f->reads++;
	if (s->state < 0 || (s->good_reads != 0 && f->reads > s->good_reads)) {
		return km_err_set(err, s->state < 0 ? -s->state : EIO, "it broke");
	}
	if (!s->silent && f->last_ns != 0) {
		assert_int_equal(km_sample_space_reset(&sp, 2), 0);
		for (size_t c = 0; c < 2; c++) {
			double *cpu = sp.cpu + c * KM_COUNT_CPU_N;

			cpu[KM_COUNT_INSTRUCTIONS] = s->instructions * elapsed_s;
			cpu[KM_COUNT_CYCLES] = s->cycles * elapsed_s;
			cpu[KM_COUNT_C0_NS] = s->c0_ns * elapsed_s;
		}
		sp.sample.host[KM_HOST_MEM_READ_BYTES] = s->read_bytes * elapsed_s;
		sp.sample.start_ns = f->last_ns;
		sp.sample.end_ns = now_ns;
		emit(ctx, &sp.sample);
		km_sample_space_fini(&sp);
	}
	f->last_ns = s->silent ? f->last_ns : now_ns;
	return s->state;
}

static void fake_close(struct km_source *base)
{
	script_of(base->ops->name)->closed++;
	free(base);
}

static void fake_stats(const struct km_source *base, struct km_source_stats *out)
{
	memset(out, 0, sizeof(*out));
	out->fault[KM_FAULT_TIMEOUT] = ((const struct fake *)base)->reads;
	strcpy(out->note, "fine");
}

static const struct km_source_ops fake_core = { "core",    "",        true,       probe_core,
	                                        fake_open, fake_read, fake_close, fake_stats };
static const struct km_source_ops fake_more = { "more",    "",        true,       probe_more,
	                                        fake_open, fake_read, fake_close, fake_stats };
const struct km_source_ops *const fake_source_table[] = { &fake_core, &fake_more, NULL };

/* Fakes that work: one gives core counts, the other C0 and bandwidth. */
static void live_world(struct world *w)
{
	core = (struct script){
		.instructions = 2e9, .cycles = 1e9, .c0_ns = NAN, .read_bytes = NAN
	};
	more = (struct script){
		.instructions = NAN, .cycles = NAN, .c0_ns = 5e8, .read_bytes = 3e6
	};
	world_init(w);
	add_node(w, "a", "0");
}

static uint64_t counter(struct world *w, const char *name, const char *source)
{
	return km_counter_value(
		km_metrics_counter(w->metrics, name, "", "source", source, KM_LABELS_END));
}

static void samples_of_a_set_are_one_sample(void **state)
{
	struct world w;

	(void)state;
	live_world(&w);
	add_source(&w, "core", NULL, NULL, NULL);
	add_source(&w, "more", NULL, NULL, NULL);
	create(&w);
	for (int i = 0; i <= 5; i++) {
		tick_after(&w, 1);
	}
	assert_int_equal(w.last[0]->version, 1);
	assert_int_equal(w.last[0]->tier, KM_TIER_UNCORE);
	assert_int_equal(w.last[0]->outside_cpus, 1);
	assert_true(fabs(w.last[0]->row[0] - 0.5) < 1e-9); /* node.c0_ratio.mean */
	assert_true(fabs(w.last[0]->row[1] - 2) < 1e-9);   /* node.ipc.mean */
	assert_true(fabs(w.last[0]->row[2] - 3e6) < 1e-3); /* host.mem_read_bytes_per_s.mean */
	world_fini(&w);
	assert_int_equal(core.closed, 1);
	assert_int_equal(more.closed, 1);
}

static void a_source_that_falls_silent_costs_its_own_counts_only(void **state)
{
	struct world w;

	(void)state;
	live_world(&w);
	add_source(&w, "core", NULL, NULL, NULL);
	add_source(&w, "more", NULL, NULL, NULL);
	create(&w);
	tick_after(&w, 1);
	more.silent = true; /* it never delivered: starting, not late */
	tick_after(&w, 1);
	assert_int_equal(counter(&w, "kubemarla_agent_source_late_total", "more"), 0);
	more.silent = false;
	tick_after(&w, 1);
	more.silent = true;
	for (int i = 0; i < 60; i++) {
		tick_after(&w, 1);
	}
	assert_true(isnan(w.last[0]->row[0]));
	assert_true(fabs(w.last[0]->row[1] - 2) < 1e-9);
	assert_int_equal(w.last[0]->tier, KM_TIER_CORE);
	/* the sample before the silence was 2 s long and spoke for one tick more */
	assert_int_equal(counter(&w, "kubemarla_agent_source_late_total", "more"), 59);
	assert_int_equal(counter(&w, "kubemarla_agent_source_late_total", "core"), 0);
	world_fini(&w);
}

static void a_source_that_breaks_is_closed_and_tried_again(void **state)
{
	struct km_agent_source_status st[2];
	struct world w;

	(void)state;
	live_world(&w);
	add_source(&w, "core", NULL, NULL, NULL);
	add_source(&w, "more", NULL, NULL, NULL);
	create(&w);
	more.state = KM_SOURCE_STARTING;
	more.silent = true;
	tick_after(&w, 1);
	assert_int_equal(km_agent_sources(w.agent, st, 2), 2);
	assert_int_equal(st[0].state, KM_SOURCE_LIVE);
	assert_string_equal(st[0].detail, "fine");
	assert_int_equal(st[1].state, KM_SOURCE_STARTING);
	more.state = -EIO;
	tick_after(&w, 1);
	assert_int_equal(more.closed, 1);
	km_agent_sources(w.agent, st, 2);
	assert_int_equal(st[1].state, -EIO);
	assert_string_equal(st[1].detail, "it broke");
	more.state = KM_SOURCE_LIVE;
	more.silent = false;
	tick_after(&w, 0.5); /* the back-off is 1 s */
	assert_int_equal(more.opened, 1);
	for (int i = 0; i < 12; i++) {
		tick_after(&w, 1);
	}
	assert_int_equal(more.opened, 2);
	assert_int_equal(w.last[0]->tier, KM_TIER_UNCORE);
	assert_int_equal(km_counter_value(km_metrics_counter(
				 w.metrics, "kubemarla_agent_source_faults_total", "", "source",
				 "more", "reason", "timeout", KM_LABELS_END)),
	                 more.reads);
	world_fini(&w);
}

static double gauge(struct world *w, const char *state)
{
	return km_gauge_value(km_metrics_gauge(w->metrics, "kubemarla_agent_sources", "", "state",
	                                       state, KM_LABELS_END));
}

/* Each start of a helper costs the node something: one that dies at once is not had once a second.
 */
static void a_source_that_keeps_breaking_is_tried_less_and_less(void **state)
{
	struct world w;

	(void)state;
	live_world(&w);
	add_source(&w, "more", NULL, NULL, NULL);
	create(&w);
	more.good_reads = 1;
	for (int i = 0; i < 60; i++) {
		tick_after(&w, 1);
	}
	assert_int_equal(more.opened, 6); /* 1, 2, 4, 8, 16 s between them */
	more.good_reads = 0;
	for (int i = 0; i < 80; i++) {
		tick_after(&w, 1);
	}
	assert_int_equal(more.opened, 7);
	more.good_reads = 1; /* it was well for a minute: once more at once */
	tick_after(&w, 1);
	tick_after(&w, 1);
	assert_int_equal(more.opened, 8);
	world_fini(&w);
}

static void a_source_is_starting_up_or_absent(void **state)
{
	struct world w;

	(void)state;
	live_world(&w);
	add_source(&w, "core", NULL, NULL, NULL);
	add_source(&w, "more", NULL, NULL, NULL);
	core.state = KM_SOURCE_STARTING;
	create(&w);
	tick_after(&w, 1);
	assert_true(gauge(&w, "starting") == 1 && gauge(&w, "up") == 1);
	core.state = KM_SOURCE_LIVE;
	more.state = -EIO;
	tick_after(&w, 1);
	assert_true(gauge(&w, "starting") == 0 && gauge(&w, "up") == 1);
	assert_true(gauge(&w, "absent") == 1);
	world_fini(&w);
}

static void what_cannot_be_costs_one_source_its_sample(void **state)
{
	struct world w;

	(void)state;
	live_world(&w);
	more.c0_ns = 2e9; /* more than there is time */
	add_source(&w, "core", NULL, NULL, NULL);
	add_source(&w, "more", NULL, NULL, NULL);
	create(&w);
	for (int i = 0; i <= 5; i++) {
		tick_after(&w, 1);
	}
	assert_true(isnan(w.last[0]->row[0]));
	assert_true(fabs(w.last[0]->row[1] - 2) < 1e-9);
	assert_int_equal(km_counter_value(km_metrics_counter(
				 w.metrics, "kubemarla_agent_samples_dropped_total", "", "reason",
				 "implausible", KM_LABELS_END)),
	                 5);
	world_fini(&w);
}

static void auto_takes_all_that_work_but_one_owner_of_the_pmu(void **state)
{
	static const struct {
		int probe;
		bool both_own;
		const char *set, *why;
		enum km_tier tier;
	} rows[] = {
		{ 0, false, "core+more", "", KM_TIER_UNCORE },
		{ 0, true, "core", "not taken: core has the core counters, and one source may",
		  KM_TIER_CORE },
		{ -EACCES, false, "more", "", KM_TIER_OS },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_agent_source_status st[2];
		struct km_agent_host host;
		struct world w;

		live_world(&w);
		core.probe = rows[i].probe;
		core.owns_pmu = true;
		more.owns_pmu = rows[i].both_own;
		w.settings.collect.auto_sources = true;
		create(&w);
		km_agent_host(w.agent, 0, &host);
		assert_string_equal(host.source, rows[i].set);
		for (int t = 0; t <= 5; t++) {
			tick_after(&w, 1);
		}
		assert_int_equal(km_agent_sources(w.agent, st, 2), 2);
		if (rows[i].probe != 0) {
			assert_int_equal(st[0].state, rows[i].probe);
			assert_string_equal(st[0].detail, "no such luck");
			assert_int_equal(core.opened, 0);
		}
		if (rows[i].why[0] != '\0') {
			assert_int_equal(st[1].state, -EBUSY);
			assert_string_equal(st[1].detail, rows[i].why);
			assert_int_equal(more.opened, 0);
		}
		world_fini(&w);
	}
}

/* A CPU list in the place where v2 keeps a group's. NULL: the group goes. */
static void put_group(const struct world *w, const char *group, const char *cpus)
{
	char path[160];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, group);
	(void)mkdir(path, 0700); /* there already, the second time */
	(void)snprintf(path, sizeof(path), "%s/%s/cpuset.cpus.effective", w->dir, group);
	if (cpus == NULL) {
		assert_int_equal(unlink(path), 0);
		return;
	}
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(cpus, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void add_group_node(struct world *w, const char *name, const char *cpus, const char *group)
{
	add_node(w, name, cpus);
	w->settings.node[w->settings.node_count - 1].cgroup = strdup(group);
}

/* IPC of a node: 2 with the fake, NaN when it has no CPU. */
static double ipc_of(const struct world *w, uint32_t node)
{
	return km_host_features_row(w->last[0], node)[1];
}

static void a_node_has_the_cpus_of_its_group_also_when_they_change(void **state)
{
	struct world w;

	(void)state;
	core = (struct script){
		.instructions = 2e9, .cycles = 1e9, .c0_ns = NAN, .read_bytes = NAN
	};
	world_init(&w);
	w.settings.collect.live.cgroupfs = strdup(w.dir);
	put_group(&w, "ga", "0\n");
	put_group(&w, "gb", "1\n");
	add_group_node(&w, "a", NULL, "ga");
	add_group_node(&w, "b", NULL, "/gb");
	add_group_node(&w, "c", NULL, "gc"); /* not there yet */
	add_source(&w, "core", NULL, NULL, NULL);
	create(&w);
	for (int i = 0; i <= 6; i++) {
		tick_after(&w, 1);
	}
	assert_int_equal(w.last[0]->version, 1);
	assert_int_equal(w.last[0]->outside_cpus, 0);
	assert_true(ipc_of(&w, 0) == 2 && ipc_of(&w, 1) == 2 && isnan(ipc_of(&w, 2)));
	put_group(&w, "gb", NULL); /* restarting: what was known stays */
	put_group(&w, "ga", "0-1\n");
	for (int i = 0; i <= 6; i++) {
		tick_after(&w, 1); /* one of them looks: CPU 1 is of two groups now, so of none */
	}
	assert_int_equal(w.last[0]->outside_cpus, 1);
	for (int i = 0; i <= 6; i++) {
		tick_after(&w, 1);
	}
	assert_true(w.last[0]->version > 1); /* a version never comes twice */
	assert_true(ipc_of(&w, 0) == 2 && isnan(ipc_of(&w, 1)));
	put_group(&w, "ga", "0\n");
	put_group(&w, "gc", "1\n");
	put_group(&w, "gb", "\n");
	for (int i = 0; i <= 20; i++) {
		tick_after(&w, 1);
	}
	assert_true(ipc_of(&w, 0) == 2 && isnan(ipc_of(&w, 1)) && ipc_of(&w, 2) == 2);
	world_fini(&w);
}

static void settings_go_before_groups_and_a_node_alone_has_all(void **state)
{
	struct world w;

	(void)state;
	for (int alone = 0; alone < 2; alone++) {
		live_world(&w); /* node a has CPU 0 by its settings */
		w.settings.collect.live.cgroupfs = strdup(w.dir);
		if (alone) {
			w.settings.node[0].cpus_given = false;
			w.settings.node[0].cgroup = strdup("nowhere");
		} else {
			put_group(&w, "gb", "0-1\n");
			add_group_node(&w, "b", NULL, "gb");
		}
		add_source(&w, "core", NULL, NULL, NULL);
		create(&w);
		for (int i = 0; i <= 6; i++) {
			tick_after(&w, 1);
		}
		assert_int_equal(w.last[0]->outside_cpus, 0);
		assert_true(ipc_of(&w, 0) == 2);
		assert_true(alone || ipc_of(&w, 1) == 2);
		world_fini(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_of_a_set_are_one_sample),
		cmocka_unit_test(a_source_that_falls_silent_costs_its_own_counts_only),
		cmocka_unit_test(a_source_that_breaks_is_closed_and_tried_again),
		cmocka_unit_test(a_source_that_keeps_breaking_is_tried_less_and_less),
		cmocka_unit_test(a_source_is_starting_up_or_absent),
		cmocka_unit_test(what_cannot_be_costs_one_source_its_sample),
		cmocka_unit_test(auto_takes_all_that_work_but_one_owner_of_the_pmu),
		cmocka_unit_test(a_node_has_the_cpus_of_its_group_also_when_they_change),
		cmocka_unit_test(settings_go_before_groups_and_a_node_alone_has_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
