/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for the whole of rig (km/rig/rig.h) in a world of two nodes with a CPU each, where p99
 * is 0.4 ms, and beside interference of level L 0.4 (1 + L / 10) ms. No process, and time is the
 * world's own. It proves the order of a play, what arms get to see, and what becomes of failures;
 * nothing of processes, control groups, generators or counters. Belongs to the including test.
 */
#ifndef KM_TESTS_FAKE_TRIAL_RIG_H
#define KM_TESTS_FAKE_TRIAL_RIG_H

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "km/base/clock.h"
#include "km/rig/rig.h"

#define FAKE_NODES 2

struct km_rig {
	int unused;
};

/* What fails, and when: the nth call (from 1) of an operation. rc 0 = nothing. */
struct fake_failure {
	const char *op; /* "open", "stress", "wait", "target", "load", "unstress" */
	unsigned nth;
	int rc;
};

static struct {
	struct km_rig rig;
	int64_t now_ns;
	unsigned level[FAKE_NODES]; /* of interference, % */
	int64_t stressed_ns;        /* since when; the last change */
	int64_t window_ns;          /* when the recorder began; 0 = it is off */
	size_t target[KM_PLAN_REPLICAS_MAX];
	unsigned replicas; /* 0 = no target runs */
	unsigned loads, calls;
	double foreign_cpus[64]; /* of each window in turn */
	unsigned windows;
	struct fake_failure failure;
	unsigned opened, closed, adopted, unstressed;
	/* what must never happen */
	unsigned window_before_stress, load_without_target, left_over;
} fake;

static int64_t fake_mono_ns(void *ctx)
{
	(void)ctx;
	return fake.now_ns;
}

static const struct km_clock fake_clock = { .mono_ns = fake_mono_ns, .wall_ns = fake_mono_ns };

static void fake_begin(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.now_ns = 1000 * KM_NS_PER_S;
}

static int fake_call(const char *op, struct km_err *err)
{
	struct fake_failure *f = &fake.failure;

	if (f->rc == 0 || strcmp(f->op, op) != 0 || ++fake.calls != f->nth)
		return 0;
	return km_err_set(err, -f->rc, "the fake's %s fails", op);
}

int km_rig_open(const struct km_plan *plan, const struct km_rig_options *options,
                struct km_rig **out, struct km_err *err)
{
	int rc = fake_call("open", err);

	(void)plan;
	(void)options;
	*out = rc == 0 ? &fake.rig : NULL;
	fake.opened += rc == 0;
	return rc;
}

void km_rig_close(struct km_rig *rig)
{
	fake.closed += rig != NULL;
}

const struct km_rig_facts *km_rig_facts(const struct km_rig *rig)
{
	static const struct km_rig_facts facts = { .target = "fake/1", .generator = "fake 2" };

	(void)rig;
	return &facts;
}

int km_rig_stress_start(struct km_rig *rig, size_t node, enum km_stress_kind kind,
                        unsigned level_pct, struct km_err *err)
{
	(void)rig;
	(void)kind;
	fake.level[node] = level_pct;
	fake.stressed_ns = fake.now_ns;
	return fake_call("stress", err);
}

int km_rig_stress_stop(struct km_rig *rig, struct km_stress_result *out, size_t max, size_t *count,
                       struct km_err *err)
{
	(void)rig;
	*count = 0;
	for (size_t i = 0; i < FAKE_NODES; i++) {
		if (fake.level[i] > 0 && *count < max)
			out[(*count)++] = (struct km_stress_result){ .duty_ratio = 0.5,
				                                     .ops_per_s = 7,
				                                     .bytes_per_s = NAN };
		fake.level[i] = 0;
	}
	fake.unstressed++;
	return fake_call("unstress", err);
}

int km_rig_target_start(struct km_rig *rig, const size_t *node_of_replica, unsigned replicas,
                        struct km_err *err)
{
	(void)rig;
	fake.left_over += fake.replicas > 0;
	memcpy(fake.target, node_of_replica, replicas * sizeof(fake.target[0]));
	fake.replicas = replicas;
	return fake_call("target", err);
}

void km_rig_target_stop(struct km_rig *rig)
{
	(void)rig;
	fake.replicas = 0;
}

void km_rig_kpi(const struct km_rig *rig, struct km_rig_kpi *out)
{
	(void)rig;
	*out = (struct km_rig_kpi){ 2500, 0, NAN, NAN };
}

int km_rig_load(struct km_rig *rig, const struct km_load_spec *spec, struct km_load_result *out,
                struct km_err *err)
{
	unsigned level = 0;

	(void)rig;
	fake.load_without_target += fake.replicas == 0;
	for (unsigned i = 0; i < fake.replicas; i++)
		level = fake.level[fake.target[i]] > level ? fake.level[fake.target[i]] : level;
	km_load_result_init(out);
	(void)snprintf(out->generator, sizeof(out->generator), "fake");
	fake.loads++;
	/* a little different each time, and never the same in two plays */
	out->p99_ms = 0.4 * (1 + level / 10.0) * (1 + 0.001 * (fake.loads % 50));
	out->requests = 2500;
	out->offered_rps = spec->rps;
	fake.now_ns += spec->warm_up_ns + spec->duration_ns;
	return fake_call("load", err);
}

int km_rig_wait(struct km_rig *rig, int64_t duration_ns, struct km_err *err)
{
	(void)rig;
	fake.now_ns += duration_ns;
	return fake_call("wait", err);
}

int km_rig_record_begin(struct km_rig *rig, struct km_err *err)
{
	(void)rig;
	(void)err;
	fake.window_before_stress += fake.stressed_ns >= fake.now_ns;
	fake.window_ns = fake.now_ns;
	return 0;
}

int km_rig_record_end(struct km_rig *rig, struct km_buf *trace_csv, struct km_rig_usage *usage,
                      struct km_err *err)
{
	double ns = (double)(fake.now_ns - fake.window_ns);

	(void)rig;
	(void)err;
	if (trace_csv != NULL)
		km_buf_printf(trace_csv,
		              "start_ns,end_ns,cpu0.busy_ns,cpu1.busy_ns\n%lld,%lld,%.0f,%.0f\n",
		              (long long)fake.window_ns, (long long)fake.now_ns,
		              ns * (0.1 + 0.008 * fake.level[0]),
		              ns * (0.1 + 0.008 * fake.level[1]));
	*usage = (struct km_rig_usage){ .seconds = ns / 1e9,
		                        .busy_cpus = 1,
		                        .own_cpus = 1,
		                        .foreign_cpus = fake.foreign_cpus[fake.windows % 64],
		                        .target_utilisation = 0.2 };
	fake.windows++;
	fake.window_ns = 0;
	return 0;
}

enum km_tier km_rig_tier(const struct km_rig *rig)
{
	(void)rig;
	return KM_TIER_OS;
}

void km_rig_reset(struct km_rig *rig)
{
	(void)rig;
	memset(fake.level, 0, sizeof(fake.level));
	fake.replicas = 0;
	fake.window_ns = 0;
}

const char *km_rig_group(const struct km_rig *rig, size_t node)
{
	(void)rig;
	(void)node;
	return "";
}

int km_rig_adopt(struct km_rig *rig, int pid, struct km_err *err)
{
	(void)rig;
	(void)err;
	fake.adopted += pid > 0;
	return 0;
}

#endif
