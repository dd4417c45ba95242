/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods in flight, from what was recorded: of two runs of a campaign, the one with fewer interfering
 * pods on the node (and less of the service) is what a scheduler would have seen, the other is what
 * came of it, and the difference was on its way. Only pods on the candidate itself count, so the
 * interference of both runs is local.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dataset_internal.h"

#define INFLIGHT_MAX   3
#define NO_RUN         SIZE_MAX
#define BEFORE_RPS_MAX 500 /* as pairs.csv has it: a lighter load than what is to come */

/* How many pods `after` has more; 0 when it is no superset. */
static unsigned difference(const struct run *before, const struct run *after, uint8_t *out)
{
	unsigned sum = 0;

	for (int i = 0; i < DATASET_CLASSES; i++) {
		if (after->pods[i] < before->pods[i])
			return 0;
		out[i] = (uint8_t)(after->pods[i] - before->pods[i]);
		sum += out[i];
	}
	return sum;
}

/* The load of a service on two nodes is on one of them only in part. */
static bool is_on_one_node(const struct run *run)
{
	return run->replicas_all <= run->replicas_here;
}

static bool is_before(const struct run *before, const struct run *after)
{
	return before->placement != PLACEMENT_REMOTE && is_on_one_node(before) &&
	       strcmp(before->target, after->target) == 0 &&
	       before->replicas_here <= after->replicas_here && before->rps_all <= BEFORE_RPS_MAX &&
	       before->rps_all < after->rps_all;
}

/* Runs of one campaign as lists: which comes next, in the order of the file. */
struct by_campaign {
	size_t *first; /* [names]; NO_RUN = none */
	size_t *next;  /* [runs] */
};

static int list_campaigns(const struct km_dataset *d, struct by_campaign *out)
{
	out->first = reallocarray(NULL, d->name_count + 1, sizeof(*out->first));
	out->next = reallocarray(NULL, d->run_count + 1, sizeof(*out->next));
	if (out->first == NULL || out->next == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < d->name_count; i++)
		out->first[i] = NO_RUN;
	for (size_t i = d->run_count; i-- > 0;) {
		out->next[i] = out->first[d->run[i].campaign];
		out->first[d->run[i].campaign] = i;
	}
	return 0;
}

static int add_rows(struct km_dataset *d, const struct by_campaign *runs, const struct run *after,
                    struct km_err *err)
{
	size_t first = d->row_count;

	for (size_t i = runs->first[after->campaign]; i != NO_RUN; i = runs->next[i]) {
		const struct run *before = &d->run[i];
		struct sight sight = dataset_sight(before, false);
		struct km_dataset_row row = {
			.campaign = after->campaign,
			.family = after->family,
			.scenario = after->scenario,
			.before_campaign = after->campaign,
			.before_family = after->family,
			.before_scenario = before->scenario,
			.kind = KM_ROW_INFLIGHT,
			.score = true,
			.rps = after->rps_all,
			.replicas = after->replicas_here,
			.rps_now = before->rps_all,
			.replicas_now = before->replicas_here,
			.slowdown = after->slowdown,
			.p99_ms = after->p99_ms,
			.norm_perf = after->norm_perf,
		};
		unsigned more;
		int rc;

		if (!is_before(before, after))
			continue;
		more = difference(before, after, row.inflight);
		if (more == 0 || more > INFLIGHT_MAX)
			continue;
		rc = dataset_view(d, &sight, &row.view, err);
		if (rc == 0)
			rc = dataset_add_row(d, &row, err);
		if (rc != 0 && rc != -ENODATA)
			return rc;
	}
	for (size_t i = first; i < d->row_count; i++)
		d->row[i].weight = 1 / (float)(d->row_count - first);
	return 0;
}

int dataset_add_inflight(struct km_dataset *d, struct km_err *err)
{
	struct by_campaign runs = { .first = NULL };
	int rc = list_campaigns(d, &runs);

	if (rc != 0)
		rc = km_err_set(err, ENOMEM, "dataset: out of memory");
	for (size_t i = 0; rc == 0 && i < d->run_count; i++) {
		const struct run *after = &d->run[i];

		if (after->placement == PLACEMENT_LOCAL && !isnan(after->slowdown) &&
		    is_on_one_node(after))
			rc = add_rows(d, &runs, after, err);
	}
	free(runs.first);
	free(runs.next);
	return rc;
}
