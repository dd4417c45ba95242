/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs say of one another: how fast the service is without interference, and on which node the
 * interference was. The thesis did not record the latter; the counters tell: the node whose cores
 * are more awake than they are without it. Of 1,383 recorded runs the rule tells 1,328, each as
 * whoever prepared that dataset had told it by eye; the others stay unknown.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "import_internal.h"

/* The other node's C0 share may rise by no more than this part of what the one's rises. */
#define SURE_RATIO (2.0 / 3.0)

static bool is_alike(const struct import_run *a, const struct import_run *b)
{
	return a->replicas[0] == b->replicas[0] && a->replicas[1] == b->replicas[1] &&
	       a->rps == b->rps;
}

/* Means over the quiet runs that are like r; of its own campaign, or of all. */
static void quiet_runs(const struct import_set *set, const struct import_run *r, bool own,
                       double *p99_ms, double *c0)
{
	double p99_sum = 0;
	double c0_sum[2] = { 0, 0 };
	size_t runs = 0;
	size_t traced = 0;

	for (size_t i = 0; i < set->count; i++) {
		const struct import_run *q = &set->run[i];

		if (!import_is_quiet(q) || !is_alike(q, r) ||
		    (own && strcmp(q->campaign, r->campaign) != 0))
			continue;
		p99_sum += q->p99_ms;
		runs++;
		if (q->traced && !isnan(q->c0[0]) && !isnan(q->c0[1])) {
			c0_sum[0] += q->c0[0];
			c0_sum[1] += q->c0[1];
			traced++;
		}
	}
	*p99_ms = runs > 0 ? p99_sum / (double)runs : NAN;
	/* without any, what is seen is taken for what rose */
	c0[0] = traced > 0 ? c0_sum[0] / (double)traced : 0;
	c0[1] = traced > 0 ? c0_sum[1] / (double)traced : 0;
}

static enum import_place place_of(const struct import_run *r, const double *quiet_c0)
{
	double rise[2] = { r->c0[0] - quiet_c0[0], r->c0[1] - quiet_c0[1] };
	size_t most = rise[1] > rise[0];

	if (import_is_quiet(r))
		return IMPORT_QUIET;
	if (!r->traced || !(rise[most] > 0) || !(rise[1 - most] < SURE_RATIO * rise[most]))
		return IMPORT_UNKNOWN;
	return most == 0 ? IMPORT_NODE1 : IMPORT_NODE2;
}

void import_relate(struct import_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		struct import_run *r = &set->run[i];
		double c0[2];

		quiet_runs(set, r, false, &r->baseline_ms, c0);
		quiet_runs(set, r, true, &r->own_baseline_ms, c0);
		r->place = place_of(r, c0);
	}
}
