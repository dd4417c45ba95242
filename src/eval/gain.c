/* SPDX-License-Identifier: Apache-2.0 */
/* Which features the trees' splits gained from: of a given model, or of trees fitted for it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "exam.h"

static int by_share(const void *a, const void *b)
{
	double x = ((const struct km_eval_gain *)a)->share;
	double y = ((const struct km_eval_gain *)b)->share;

	return (x < y) - (x > y);
}

/* gain [e->name_count], of any scale. */
static int fill(const struct exam *e, const double *gain, struct km_eval_report *r,
                struct km_err *err)
{
	double sum = 0;

	r->gain = calloc(e->name_count + 1, sizeof(*r->gain));
	if (r->gain == NULL)
		return km_err_set(err, ENOMEM, "gain: out of memory");
	for (size_t i = 0; i < e->name_count; i++)
		sum += gain[i];
	for (size_t i = 0; i < e->name_count; i++) {
		struct km_eval_gain *g = &r->gain[r->gain_count++];

		(void)snprintf(g->feature, sizeof(g->feature), "%s", e->name[i]);
		g->share = sum > 0 ? gain[i] / sum : 0;
	}
	qsort(r->gain, r->gain_count, sizeof(*r->gain), by_share);
	return 0;
}

static int fit(struct exam *e, double *gain, struct km_err *err)
{
	struct table t = { .count = 0 };
	void *state = NULL;
	int rc = table_build(e->dataset, &e->subject, NULL, &t, err);

	if (rc == 0)
		rc = learner_trees.fit(&e->subject, &t, &state, err);
	if (rc == 0)
		rc = km_booster_gain(state, gain, err);
	if (state != NULL)
		learner_trees.release(state);
	table_fini(&t);
	return rc;
}

int exam_gain(struct exam *e, struct km_booster *trees, struct km_eval_report *r,
              struct km_err *err)
{
	double *gain = calloc(e->name_count + 1, sizeof(*gain));
	int rc;

	if (gain == NULL)
		return km_err_set(err, ENOMEM, "gain: out of memory");
	if (trees != NULL)
		rc = km_booster_gain(trees, gain, err);
	else if (e->model != NULL)
		rc = km_model_gain(e->model, gain, err);
	else
		rc = fit(e, gain, err);
	if (rc == 0)
		rc = fill(e, gain, r, err);
	free(gain);
	return rc;
}
