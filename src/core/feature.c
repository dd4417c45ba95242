/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The windows of one host: samples in, feature rows out. Bins come from feature_bin.c, formulae
 * from feature_metric.c, the choice of series from feature_layout.c; here is time.
 */
#include "km/core/feature.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"

struct closed_bin {
	int64_t start_ns, end_ns;
	double elapsed_ns;
	unsigned kinds; /* enum km_bin_kind, or-ed */
};

struct km_features {
	struct km_schema *schema;
	struct km_cpuset *node_cpus; /* [node_count] */
	size_t node_count;
	struct km_layout layout;   /* empty until the first sample says how many CPUs there are */
	struct km_bin bin;         /* the open one */
	struct km_bin newest;      /* the last one closed, settled; of no CPUs = none */
	struct closed_bin *closed; /* [closed_cap] ring, in step with the layout's rings */
	uint32_t closed_cap, closed_head, closed_count;
	int64_t last_end_ns;
	bool any_sample;
	uint64_t version;
	struct km_features_stats stats;
};

/* A bin may be a tenth short, so a window may hold that many more; one over for the newest. */
static uint32_t ring_cap(const struct km_schema *schema)
{
	return (uint32_t)ceil(schema->window_s / (0.9 * schema->bin_s)) + 1;
}

int km_features_create(const struct km_schema *schema, const struct km_cpuset *node_cpus,
                       size_t node_count, struct km_features **out, struct km_err *err)
{
	struct km_features *f;

	*out = NULL;
	for (size_t i = 0; i < node_count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (km_cpuset_intersects(&node_cpus[i], &node_cpus[j])) {
				return km_err_set(err, EINVAL, "CPUs of nodes %zu and %zu overlap",
				                  j, i);
			}
		}
	}
	f = calloc(1, sizeof(*f));
	if (f == NULL) {
		return km_err_set(err, ENOMEM, "features: out of memory");
	}
	f->schema = km_schema_ref(schema);
	f->node_count = node_count;
	f->closed_cap = ring_cap(schema);
	f->node_cpus = calloc(node_count + 1, sizeof(f->node_cpus[0]));
	f->closed = calloc(f->closed_cap, sizeof(f->closed[0]));
	if (f->node_cpus == NULL || f->closed == NULL) {
		km_features_free(f);
		return km_err_set(err, ENOMEM, "features: out of memory");
	}
	if (node_count > 0) {
		memcpy(f->node_cpus, node_cpus, node_count * sizeof(f->node_cpus[0]));
	}
	*out = f;
	return 0;
}

void km_features_free(struct km_features *f)
{
	if (f == NULL) {
		return;
	}
	km_bin_fini(&f->bin);
	km_bin_fini(&f->newest);
	km_layout_fini(&f->layout);
	free(f->closed);
	free(f->node_cpus);
	km_schema_unref(f->schema);
	free(f);
}

static int start_windows(struct km_features *f, uint32_t cpu_count)
{
	struct km_layout layout;
	struct km_bin bin;
	struct km_bin newest;

	if (km_bin_init(&bin, cpu_count, (uint32_t)f->node_count) != 0) {
		return -ENOMEM;
	}
	if (km_bin_init(&newest, cpu_count, (uint32_t)f->node_count) != 0) {
		km_bin_fini(&bin);
		return -ENOMEM;
	}
	if (km_layout_init(&layout, f->schema, f->closed_cap, f->node_cpus, f->node_count,
	                   cpu_count) != 0) {
		km_bin_fini(&bin);
		km_bin_fini(&newest);
		return -ENOMEM;
	}
	km_bin_fini(&f->bin);
	km_bin_fini(&f->newest);
	km_layout_fini(&f->layout);
	f->bin = bin;
	f->newest = newest;
	f->layout = layout;
	f->closed_head = 0;
	f->closed_count = 0;
	return 0;
}

static void drop_oldest(struct km_features *f)
{
	for (uint32_t i = 0; i < f->layout.ring_count; i++) {
		km_ring_drop_oldest(&f->layout.ring[i]);
	}
	f->closed_head = (f->closed_head + 1) % f->closed_cap;
	f->closed_count--;
}

/* A bin is in the window if at least half of it is: bins are not cut, and clocks jitter. */
static void drop_expired(struct km_features *f, int64_t newest_end_ns)
{
	int64_t window_ns = (int64_t)(f->schema->window_s * 1e9);

	while (f->closed_count > 0) {
		const struct closed_bin *oldest = &f->closed[f->closed_head];
		int64_t middle_ns = oldest->start_ns + (oldest->end_ns - oldest->start_ns) / 2;

		if (f->closed_count < f->closed_cap && newest_end_ns - middle_ns <= window_ns) {
			return;
		}
		drop_oldest(f);
	}
}

static void push_series(struct km_features *f)
{
	for (uint32_t i = 0; i < f->layout.set_count; i++) {
		const struct km_set *set = &f->layout.set[i];
		struct km_ring *ring = &f->layout.ring[set->first];

		for (uint32_t left = set->metrics; left != 0; left &= left - 1) {
			bool implausible;
			double v = km_bin_metric(&f->bin, &set->of,
			                         (enum km_metric)__builtin_ctz(left), &implausible);

			km_ring_push(ring++, v);
			f->stats.implausible_values += implausible;
		}
	}
}

static void close_bin(struct km_features *f)
{
	struct km_bin *bin = &f->bin;
	struct km_bin closed;
	struct closed_bin *c;

	km_bin_settle(bin);
	drop_expired(f, bin->end_ns);
	push_series(f);
	c = &f->closed[(f->closed_head + f->closed_count) % f->closed_cap];
	c->start_ns = bin->start_ns;
	c->end_ns = bin->end_ns;
	c->elapsed_ns = bin->elapsed_ns;
	c->kinds = km_bin_kinds(bin);
	f->closed_count++;
	f->version++;
	f->stats.bins++;
	closed = *bin;
	f->bin = f->newest;
	f->newest = closed;
	km_bin_clear(&f->bin);
}

static bool check_sample(struct km_features *f, const struct km_sample *s)
{
	const char *why = km_sample_implausible(s);

	if (why == NULL && s->cpu_count > KM_CPU_MAX) {
		why = "too many CPUs";
	}
	if (why != NULL) {
		f->stats.implausible++;
		f->stats.last_reason = why;
		return false;
	}
	if (f->any_sample && s->end_ns <= f->last_end_ns) {
		f->stats.out_of_order++;
		f->stats.last_reason = "sample out of order";
		return false;
	}
	return true;
}

int km_features_push(struct km_features *f, const struct km_sample *sample)
{
	int64_t bin_ns = (int64_t)(f->schema->bin_s * 1e9);
	int closed = 0;

	if (!check_sample(f, sample)) {
		return 0;
	}
	if (f->bin.sum == NULL || sample->cpu_count > f->layout.cpu_count) {
		int ret = start_windows(f, sample->cpu_count);

		if (ret != 0) {
			return ret;
		}
	}
	if (f->bin.sample_count > 0 && sample->start_ns - f->bin.end_ns > bin_ns) {
		if (f->bin.elapsed_ns >= (double)bin_ns / 2) {
			close_bin(f);
			closed++;
		} else {
			km_bin_clear(&f->bin);
		}
	}
	km_bin_add(&f->bin, sample);
	f->last_end_ns = sample->end_ns;
	f->any_sample = true;
	f->stats.samples++;
	if (km_bin_full(&f->bin, f->schema->bin_s)) {
		close_bin(f);
		closed++;
	}
	return closed;
}

static double statistic(const struct km_ring *r, enum km_stat stat)
{
	if (r == NULL) {
		return NAN;
	}
	switch (stat) {
	case KM_STAT_MEAN:
		return km_ring_mean(r);
	case KM_STAT_STD:
		return km_ring_std(r);
	case KM_STAT_P95:
		return km_ring_quantile(r, 0.95);
	case KM_STAT_P5:
		return km_ring_quantile(r, 0.05);
	case KM_STAT_MAX:
		return km_ring_max(r);
	case KM_STAT_N:
		break;
	}
	return NAN;
}

/* Lowest, highest, or their difference, of the statistic of each CPU of the node. */
static double over_cpus(const struct km_features *f, size_t node, const struct km_feature *want)
{
	double low = NAN;
	double high = NAN;

	km_cpuset_each (cpu, &f->node_cpus[node]) {
		double v;

		if (cpu >= f->layout.cpu_count) {
			break;
		}
		v = statistic(km_layout_ring(&f->layout, f->layout.cpu_set[cpu], want->metric),
		              want->stat);
		low = fmin(low, v); /* of a number and NaN, the number */
		high = fmax(high, v);
	}
	switch (want->scope) {
	case KM_SCOPE_NODE_MIN:
		return low;
	case KM_SCOPE_NODE_MAX:
		return high;
	default:
		return high - low;
	}
}

static double read_one(const struct km_features *f, size_t node, const struct km_feature *want)
{
	const struct km_scope_sets *sets = km_scope_sets(want->scope);
	const uint32_t *of = f->layout.node_set + node * KM_SET_KIND_N;
	double v;
	double by;

	if (sets->kind == KM_SET_CPU) {
		return over_cpus(f, node, want);
	}
	v = statistic(km_layout_ring(&f->layout, of[sets->kind], want->metric), want->stat);
	if (!sets->has_versus) {
		return v;
	}
	by = statistic(km_layout_ring(&f->layout, of[sets->versus], want->metric), want->stat);
	return v > 0 && by > 0 ? log(v / by) : NAN;
}

uint32_t km_features_read(const struct km_features *f, size_t node, double *out)
{
	uint32_t measured = 0;

	for (uint32_t i = 0; i < f->schema->count; i++) {
		const struct km_feature *want = &f->schema->feature[i];

		out[i] = want->scope < KM_SCOPE_POD && f->closed_count > 0 ? read_one(f, node, want)
		                                                           : NAN;
		measured += isnan(out[i]) ? 0 : 1;
	}
	return measured;
}

struct km_readings *km_features_readings(const struct km_features *f)
{
	return f->closed_count > 0 ? km_bin_readings(&f->newest, f->node_cpus) : NULL;
}

uint64_t km_features_version(const struct km_features *f)
{
	return f->version;
}

static const struct closed_bin *closed_at(const struct km_features *f, uint32_t i)
{
	return &f->closed[(f->closed_head + i) % f->closed_cap];
}

int64_t km_features_end_ns(const struct km_features *f)
{
	return f->closed_count == 0 ? 0 : closed_at(f, f->closed_count - 1)->end_ns;
}

double km_features_covered_s(const struct km_features *f)
{
	double covered_ns = 0;

	for (uint32_t i = 0; i < f->closed_count; i++) {
		covered_ns += closed_at(f, i)->elapsed_ns;
	}
	return covered_ns * 1e-9;
}

enum km_tier km_features_tier(const struct km_features *f)
{
	unsigned kinds = 0;

	for (uint32_t i = 0; i < f->closed_count; i++) {
		kinds |= closed_at(f, i)->kinds;
	}
	if ((kinds & KM_BIN_CORE) && (kinds & KM_BIN_BANDWIDTH)) {
		return KM_TIER_UNCORE;
	}
	if (kinds & KM_BIN_CORE) {
		return KM_TIER_CORE;
	}
	return kinds & KM_BIN_OS ? KM_TIER_OS : KM_TIER_NONE;
}

void km_features_stats(const struct km_features *f, struct km_features_stats *out)
{
	*out = f->stats;
}
