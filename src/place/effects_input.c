/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inputs of the regression: smooth functions of how long two workloads take, here and in general.
 * Which of them matter, and how, each platform learns for itself: where two programs take turns on
 * one core it is who takes longer, where they share a cache how large they are. The set was chosen
 * by trial (docs/PLACEMENT.md); leaving out any one group of it costs less than a point.
 */
#include <math.h>

#include "effects_internal.h"

/* ln; beyond it all are equally long: no prediction runs away. */
#define LEVEL_MAX 6.0

struct side {
	double here;    /* ln of what it takes alone here, against a typical workload */
	double general; /* the same over all platforms */
	const double *trait;
};

static double bounded(double v)
{
	return fmax(-LEVEL_MAX, fmin(LEVEL_MAX, v));
}

static void side_of(const struct km_effects *e, uint32_t platform, uint32_t workload, uint32_t cell,
                    struct side *out)
{
	static const double no_trait[EFFECTS_TRAITS];
	const struct effects_platform *p = effects_platform(e, platform);
	const struct effects_workload *w = effects_workload(e, workload);
	const struct effects_cell *c = effects_cell(e, cell);

	*out = (struct side){ .trait = no_trait };
	if (w == NULL || w->described <= 0)
		return;
	out->trait = w->trait;
	out->general = bounded(w->level);
	out->here = out->general;
	if (p == NULL || p->described <= 0)
		return;
	if (c != NULL && !isnan(c->alone))
		out->here = bounded(c->alone - p->level);
	else
		out->here = bounded(w->level + effects_dot(p->load, w->trait, EFFECTS_TRAITS));
}

/* A bend at `knot`: 0 well below, v - knot well above. */
static double bend(double v, double knot)
{
	double x = v - knot;

	return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static double *bends(double *out, double v)
{
	*out++ = bend(v, -1.5);
	*out++ = bend(v, 0);
	*out++ = bend(v, 2);
	return out;
}

void effects_inputs(const struct km_effects *e, const struct effects_case *c,
                    double out[EFFECTS_INPUTS])
{
	struct side s;
	struct side n;
	double longer;
	double *to = out;

	side_of(e, c->platform, c->subject, c->subject_cell, &s);
	side_of(e, c->platform, c->neighbour, c->neighbour_cell, &n);
	longer = tanh(s.here - n.here);
	*to++ = 1;
	*to++ = s.here;
	*to++ = n.here;
	*to++ = s.general;
	*to++ = n.general;
	*to++ = longer;
	*to++ = longer * longer;
	*to++ = s.here * n.here / 4;
	*to++ = s.here * n.general / 4;
	*to++ = s.general * n.here / 4;
	*to++ = s.general * n.general / 4;
	*to++ = tanh(s.here - s.general);
	*to++ = tanh(n.here - n.general);
	to = bends(to, s.here);
	to = bends(to, n.here);
	to = bends(to, s.general);
	to = bends(to, n.general);
	for (size_t k = 0; k < EFFECTS_TRAITS; k++) {
		*to++ = s.trait[k];
		*to++ = n.trait[k];
	}
}
