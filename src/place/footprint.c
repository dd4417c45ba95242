/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From counters with some pods to counters with more. The row of a model holds means, extremes and
 * ratios, rarely the sums behind them; those come from the readings of the node and its host. So
 * each feature is moved by what its metric moves: shifted when it adds up, scaled when it is a
 * ratio.
 */
#include "km/place/footprint.h"

#include <math.h>
#include <string.h>

#include "km/core/metric.h"

static const char *const quantity_names[KM_QUANTITY_N] = {
	[KM_QUANTITY_ACTIVE] = "activeCpus",
	[KM_QUANTITY_WORK] = "workCpus",
	[KM_QUANTITY_INSTRUCTIONS] = "instructionsPerS",
	[KM_QUANTITY_L2_MISS] = "l2MissPerS",
	[KM_QUANTITY_L3_MISS] = "l3MissPerS",
	[KM_QUANTITY_READ_BYTES] = "memReadBytesPerS",
	[KM_QUANTITY_WRITE_BYTES] = "memWriteBytesPerS",
};

const char *km_quantity_name(enum km_quantity q)
{
	return quantity_names[q];
}

int km_quantity_parse(const char *name)
{
	for (int q = 0; q < KM_QUANTITY_N; q++) {
		if (strcmp(quantity_names[q], name) == 0) {
			return q;
		}
	}
	return -1;
}

static void quantities(const double *metric, double cpus, double *out)
{
	double active = metric[KM_METRIC_C0_RATIO] * cpus;
	double l2 = metric[KM_METRIC_L2_MISS_PER_S];
	double l3 = metric[KM_METRIC_L3_MISS_PER_S];

	out[KM_QUANTITY_ACTIVE] = active;
	out[KM_QUANTITY_WORK] = metric[KM_METRIC_IPC] * active;
	out[KM_QUANTITY_INSTRUCTIONS] = metric[KM_METRIC_INSTRUCTIONS_PER_S];
	out[KM_QUANTITY_L2_MISS] = l2;
	out[KM_QUANTITY_L3_MISS] = l3;
	out[KM_QUANTITY_READ_BYTES] = metric[KM_METRIC_MEM_READ_BYTES_PER_S];
	out[KM_QUANTITY_WRITE_BYTES] = metric[KM_METRIC_MEM_WRITE_BYTES_PER_S];
}

void km_footprint_base(const double *node, double node_cpus, const double *host, double host_cpus,
                       struct km_footprint_base *out)
{
	quantities(node, node_cpus, out->node);
	quantities(host, host_cpus, out->host);
	out->node[KM_QUANTITY_READ_BYTES] = NAN;
	out->node[KM_QUANTITY_WRITE_BYTES] = NAN;
	out->node_cpus = node_cpus;
	out->host_cpus = host_cpus;
}

/* How each metric is made of quantities: of / by, or a share of CPUs. by < 0: a sum. */
enum form { FORM_NONE, FORM_SUM, FORM_CPU_SHARE, FORM_RATIO };

static const struct {
	enum form form;
	int of, by;
} made_of[KM_METRIC_N] = {
	[KM_METRIC_IPC] = { FORM_RATIO, KM_QUANTITY_WORK, KM_QUANTITY_ACTIVE },
	[KM_METRIC_L2_MPKI] = { FORM_RATIO, KM_QUANTITY_L2_MISS, KM_QUANTITY_INSTRUCTIONS },
	[KM_METRIC_L3_MPKI] = { FORM_RATIO, KM_QUANTITY_L3_MISS, KM_QUANTITY_INSTRUCTIONS },
	[KM_METRIC_L3_PER_L2] = { FORM_RATIO, KM_QUANTITY_L3_MISS, KM_QUANTITY_L2_MISS },
	[KM_METRIC_L2_MISS_PER_S] = { FORM_SUM, KM_QUANTITY_L2_MISS, -1 },
	[KM_METRIC_L3_MISS_PER_S] = { FORM_SUM, KM_QUANTITY_L3_MISS, -1 },
	[KM_METRIC_INSTRUCTIONS_PER_S] = { FORM_SUM, KM_QUANTITY_INSTRUCTIONS, -1 },
	[KM_METRIC_C0_RATIO] = { FORM_CPU_SHARE, KM_QUANTITY_ACTIVE, -1 },
	[KM_METRIC_BUSY_RATIO] = { FORM_CPU_SHARE, KM_QUANTITY_ACTIVE, -1 },
	[KM_METRIC_MEM_READ_BYTES_PER_S] = { FORM_SUM, KM_QUANTITY_READ_BYTES, -1 },
	[KM_METRIC_MEM_WRITE_BYTES_PER_S] = { FORM_SUM, KM_QUANTITY_WRITE_BYTES, -1 },
	[KM_METRIC_L2_MISS_PER_ACTIVE_S] = { FORM_RATIO, KM_QUANTITY_L2_MISS, KM_QUANTITY_ACTIVE },
	[KM_METRIC_L3_MISS_PER_ACTIVE_S] = { FORM_RATIO, KM_QUANTITY_L3_MISS, KM_QUANTITY_ACTIVE },
	[KM_METRIC_WORK_RATIO] = { FORM_CPU_SHARE, KM_QUANTITY_WORK, -1 },
};

/* What is done to a value of a metric: x -> min(x + shift, most) x scale. */
struct move {
	double shift;
	double scale;
	double most;
};

static const struct move stay = { 0, 1, INFINITY };

static double more(const double *added, int q)
{
	return added[q] > 0 && isfinite(added[q]) ? added[q] : 0;
}

static double growth(double now, double added)
{
	if (added == 0) {
		return 1; /* whether or not anybody knows how much is there */
	}
	return now > 0 ? (now + added) / now : NAN;
}

/* No CPU is active for more than all of the time: what does not fit any more waits. */
static double active_room(double now, double cpus)
{
	return cpus - now > 0 ? cpus - now : 0;
}

static struct move move_of(enum km_metric m, const double *now, double cpus, const double *added)
{
	struct move r = stay;
	double scale;

	switch (made_of[m].form) {
	case FORM_SUM:
		r.shift = more(added, made_of[m].of);
		break;
	case FORM_CPU_SHARE:
		if (cpus > 0) {
			r.shift = more(added, made_of[m].of) / cpus;
			r.most = made_of[m].of == KM_QUANTITY_ACTIVE ? 1 : INFINITY;
		}
		break;
	case FORM_RATIO:
		scale = growth(now[made_of[m].of], more(added, made_of[m].of)) /
		        growth(now[made_of[m].by], more(added, made_of[m].by));
		r.scale = isfinite(scale) ? scale : 1;
		break;
	case FORM_NONE:
		break;
	}
	return r;
}

/* How many times as much the metric's mean is then; NaN = not known. */
static double grows_by(enum km_metric m, const double *now, double cpus, const double *added)
{
	double q;

	switch (made_of[m].form) {
	case FORM_SUM:
	case FORM_CPU_SHARE:
		q = more(added, made_of[m].of);
		if (made_of[m].of == KM_QUANTITY_ACTIVE && cpus > 0) {
			q = fmin(q, active_room(now[KM_QUANTITY_ACTIVE], cpus));
		}
		return growth(now[made_of[m].of], q);
	case FORM_RATIO:
		return move_of(m, now, cpus, added).scale;
	default:
		return 1;
	}
}

static double moved(double value, const struct move *r)
{
	double up = value + r->shift;

	/* a value that was beyond the most already is not pulled back */
	return (up > r->most ? fmax(value, r->most) : up) * r->scale;
}

static double project_one(const struct km_feature *f, double value,
                          const struct km_footprint_base *base, const double *added)
{
	struct move r = stay;
	double by;

	if (f->stat == KM_STAT_STD) {
		return value; /* a constant more of anything does not make it vary */
	}
	switch (f->scope) {
	case KM_SCOPE_NODE:
		r = move_of(f->metric, base->node, base->node_cpus, added);
		break;
	case KM_SCOPE_NODE_MIN:
	case KM_SCOPE_NODE_MAX:
		r = move_of(f->metric, base->node, base->node_cpus, added);
		if (made_of[f->metric].form == FORM_SUM && base->node_cpus > 0) {
			r.shift /= base->node_cpus; /* of one CPU */
		}
		break;
	case KM_SCOPE_NODE_VS_PEER:
	case KM_SCOPE_NODE_VS_REST:
	case KM_SCOPE_NODE_VS_SPARE:
		by = grows_by(f->metric, base->node, base->node_cpus, added);
		r.shift = by > 0 && isfinite(by) ? log(by) : 0;
		break;
	case KM_SCOPE_HOST:
		r = move_of(f->metric, base->host, base->host_cpus, added);
		break;
	default:
		break;
	}
	return moved(value, &r);
}

void km_footprint_project(const struct km_schema *schema, const double *row,
                          const struct km_footprint_base *base, const double added[KM_QUANTITY_N],
                          double *out)
{
	for (uint32_t i = 0; i < schema->count; i++) {
		const struct km_feature *f = &schema->feature[i];

		out[i] = f->scope < KM_SCOPE_POD ? project_one(f, row[i], base, added) : row[i];
	}
}
