/* SPDX-License-Identifier: Apache-2.0 */
/* The matrix as runs, and what identifies them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"
#include "km/base/rng.h"

#include "plan_internal.h"

#define HASH_SEED UINT64_C(0x6b6d706c616e)

/* Names what is the same in every repeat; the rest of the spec is filled in. */
static void name_run(struct km_run_spec *r, unsigned baseline)
{
	char what[KM_PLAN_ON_MAX + 24];

	if (r->stressed)
		(void)snprintf(what, sizeof(what), "%s%u_on-%s", km_stress_kind_name(r->kind),
		               r->level_pct, r->on);
	else
		(void)snprintf(what, sizeof(what), "none%u", baseline);
	(void)snprintf(r->id, sizeof(r->id), "r%u__%s__%ureplicas_%.10grps", r->repeat, what,
	               r->replicas, r->rps);
}

static size_t stressed_runs(const struct km_plan *p, struct km_run_spec base,
                            struct km_run_spec *out)
{
	const struct km_plan_matrix *m = &p->matrix;
	size_t n = 0;

	base.stressed = true;
	for (size_t s = 0; s < m->stressor_count; s++) {
		for (size_t l = 0; l < m->level_count; l++) {
			for (size_t o = 0; o < m->on_count; o++) {
				base.kind = m->stressor[s];
				base.level_pct = m->level_pct[l];
				base.stress_node = m->on[o].node;
				memcpy(base.on, m->on[o].word, sizeof(base.on));
				name_run(&base, 0);
				out[n++] = base;
			}
		}
	}
	return n;
}

static size_t one_repeat(const struct km_plan *p, unsigned repeat, struct km_run_spec *out)
{
	const struct km_plan_matrix *m = &p->matrix;
	struct km_rng rng;
	size_t n = 0;

	for (size_t c = 0; c < m->replicas_count * m->rps_count; c++) {
		struct km_run_spec base = {
			.repeat = repeat,
			.target_node = p->target.node,
			.replicas = m->replicas[c / m->rps_count],
			.rps = m->rps[c % m->rps_count],
		};

		n += stressed_runs(p, base, out + n);
		for (unsigned b = 1; b <= m->baselines; b++) {
			name_run(&base, b);
			out[n++] = base;
		}
	}
	/* Seeded by the repeat too: more repeats leave the order of the first ones alone. */
	km_rng_init(&rng, p->seed * UINT64_C(0x9e3779b97f4a7c15) + repeat);
	for (size_t i = n; i > 1; i--) {
		size_t j = km_rng_below(&rng, (uint32_t)i);
		struct km_run_spec swap = out[i - 1];

		out[i - 1] = out[j];
		out[j] = swap;
	}
	return n;
}

int km_plan_runs(const struct km_plan *p, struct km_run_spec **out, size_t *count)
{
	const struct km_plan_matrix *m = &p->matrix;
	size_t stressed = m->stressor_count * m->level_count * m->on_count;
	size_t each = m->replicas_count * m->rps_count * (stressed + m->baselines);
	struct km_run_spec *r = calloc(each * m->repeats, sizeof(*r));

	*count = 0;
	*out = r;
	if (r == NULL)
		return -ENOMEM;
	for (unsigned repeat = 1; repeat <= m->repeats; repeat++)
		*count += one_repeat(p, repeat, r + *count);
	return 0;
}

double km_plan_run_seconds(const struct km_plan *p)
{
	const struct km_plan_times *t = &p->times;

	return (double)(t->warm_up_ns + t->before_ns + t->settle_ns + t->during_ns +
	                t->cool_down_ns) /
	       1e9;
}

static void put_cpus(const char *key, const struct km_cpuset *cpus, struct km_buf *out)
{
	km_buf_printf(out, "%s: ", key);
	km_cpuset_format(cpus, out);
	km_buf_char(out, '\n');
}

static void put_load(const struct km_plan_load *l, struct km_buf *out)
{
	km_buf_printf(out, "load.generator: %s\nload.realtime: %d\nload.profile: %s\n",
	              plan_generators[l->generator], l->realtime, plan_profiles[l->profile]);
	km_buf_printf(out, "load.connections: %u\n", l->connections);
	if (l->cpus_given)
		put_cpus("load.cpus", &l->cpus, out);
	for (size_t i = 0; l->profile == KM_PLAN_STEPPED && i < l->step_count; i++)
		km_buf_printf(out, "load.steps[%zu]: %.17g\n", i, l->step[i]);
	if (l->profile == KM_PLAN_BURSTY)
		km_buf_printf(out, "load.burst: %.17g for %lld ns every %lld ns\n", l->burst_factor,
		              (long long)l->burst_length_ns, (long long)l->burst_every_ns);
	for (size_t i = 0; i < l->trace_count; i++)
		km_buf_printf(out, "load.trace[%zu]: %.17g,%.17g\n", i, l->trace[i].at_s,
		              l->trace[i].factor);
}

static void put_matrix(const struct km_plan_matrix *m, struct km_buf *out)
{
	km_buf_str(out, "matrix.stressors:");
	for (size_t i = 0; i < m->stressor_count; i++)
		km_buf_printf(out, " %s", km_stress_kind_name(m->stressor[i]));
	km_buf_str(out, "\nmatrix.levels:");
	for (size_t i = 0; i < m->level_count; i++)
		km_buf_printf(out, " %u", m->level_pct[i]);
	km_buf_str(out, "\nmatrix.on:");
	for (size_t i = 0; i < m->on_count; i++)
		km_buf_printf(out, " %s=%zu", m->on[i].word, m->on[i].node);
	km_buf_str(out, "\nmatrix.replicas:");
	for (size_t i = 0; i < m->replicas_count; i++)
		km_buf_printf(out, " %u", m->replicas[i]);
	km_buf_str(out, "\nmatrix.rps:");
	for (size_t i = 0; i < m->rps_count; i++)
		km_buf_printf(out, " %.17g", m->rps[i]);
	km_buf_printf(out, "\nmatrix.baselines: %u\n", m->baselines);
}

void km_plan_identity(const struct km_plan *p, struct km_buf *out)
{
	const struct km_plan_times *t = &p->times;

	km_buf_printf(out, "name: %s\nmode: %s\nseed: %llu\n", p->name, plan_modes[p->mode],
	              (unsigned long long)p->seed);
	for (size_t i = 0; i < p->node_count; i++) {
		km_buf_printf(out, "nodes[%zu].name: %s\n", i, p->node[i].name);
		put_cpus("nodes.cpus", &p->node[i].cpus, out);
	}
	km_buf_printf(out, "target.kind: %s\ntarget.node: %zu\ntarget.bodyBytes: %zu\n",
	              plan_target_kinds[p->target.kind], p->target.node, p->target.body_bytes);
	put_load(&p->load, out);
	put_matrix(&p->matrix, out);
	km_buf_printf(out, "times.warmUp: %lld ns\ntimes.before: %lld ns\ntimes.settle: %lld ns\n",
	              (long long)t->warm_up_ns, (long long)t->before_ns, (long long)t->settle_ns);
	km_buf_printf(out, "times.during: %lld ns\ntimes.coolDown: %lld ns\n",
	              (long long)t->during_ns, (long long)t->cool_down_ns);
	km_buf_printf(out, "collect.interval: %lld ns\ncollect.sources:",
	              (long long)p->collect.interval_ns);
	if (p->collect.auto_sources)
		km_buf_str(out, " auto");
	for (size_t i = 0; i < p->collect.source_count; i++)
		km_buf_printf(out, " %s", p->collect.source[i].kind);
	km_buf_char(out, '\n');
}

uint64_t km_plan_hash(const struct km_plan *p)
{
	struct km_buf text;
	uint64_t hash = 0;

	km_buf_init(&text);
	km_plan_identity(p, &text);
	if (km_buf_ok(&text)) {
		hash = km_hash64(text.data, text.len, HASH_SEED);
		hash += hash == 0;
	}
	km_buf_fini(&text);
	return hash;
}
