/* SPDX-License-Identifier: Apache-2.0 */
/* Why the model predicts what it predicts for one node: on demand, never on the main path. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decide_internal.h"

/* Keeps out[] sorted by magnitude while it grows to `max`. returns the new count. */
static int keep_largest(struct km_contribution *out, int count, size_t max,
                        const struct km_contribution *c)
{
	int at = count;

	while (at > 0 && fabs(out[at - 1].log_slowdown) < fabs(c->log_slowdown)) {
		at--;
	}
	if ((size_t)at >= max) {
		return count;
	}
	if ((size_t)count < max) {
		count++;
	}
	memmove(&out[at + 1], &out[at], (size_t)(count - 1 - at) * sizeof(out[0]));
	out[at] = *c;
	return count;
}

/* The logarithmic mean of e^a and e^b: what a part of the way from a to b is worth there. */
static double log_mean(double a, double b)
{
	double way = b - a;

	return way == 0 ? exp(a) : exp(a) * expm1(way) / way;
}

/* From shares [columns] of ln(slowdown), the bias behind them, to shares of the slowdown. */
static void settle(const float *share, uint32_t columns, struct km_contribution *out, int count,
                   struct km_explanation *sum)
{
	double bias = (double)share[columns];
	double margin = bias;
	double worth;

	for (uint32_t i = 0; i < columns; i++) {
		margin += (double)share[i];
	}
	worth = log_mean(bias, margin);
	*sum = (struct km_explanation){
		.typical = exp(bias),
		.slowdown = exp(margin),
		.others = exp(margin) - exp(bias),
	};
	for (int i = 0; i < count; i++) {
		out[i].slowdown = out[i].log_slowdown * worth;
		sum->others -= out[i].slowdown;
	}
}

/* returns how many, or -ENOMEM, -EIO. */
static int contributions(const struct decide_context *c, const double *row,
                         const struct km_workload *w, struct km_contribution *out, size_t max,
                         struct km_explanation *sum)
{
	uint32_t columns = c->schema->count;
	float *in = malloc((2u * columns + 1) * sizeof(*in));
	float *share; /* [columns + 1], the last one is the bias */
	int count = 0;
	int rc;

	if (in == NULL) {
		return -ENOMEM;
	}
	share = in + columns;
	decide_fill_row(c->schema, row, w, decide_now_input(c), in);
	rc = km_model_contributions(c->model, in, share, NULL);
	for (uint32_t i = 0; i < columns && rc == 0; i++) {
		const struct km_contribution one = { c->schema->feature[i].name, (double)in[i],
			                             (double)share[i], NAN };

		if (isfinite(share[i])) {
			count = keep_largest(out, count, max, &one);
		}
	}
	if (rc == 0) {
		settle(share, columns, out, count, sum);
	}
	free(in);
	return rc != 0 ? rc : count;
}

int km_decide_explain(struct km_decide *d, const struct km_workload *w, struct km_name name,
                      struct km_contribution *out, size_t max, struct km_explanation *sum,
                      struct km_model **model)
{
	struct decide_context *c = decide_context_get(d);
	const struct km_cluster_snapshot *s = km_cluster_get(d->cluster);
	int64_t at = km_cluster_find(s, name.text, name.len);
	const struct km_host_features *f = at >= 0 ? s->node[at].features : NULL;
	struct km_explanation unwanted;
	struct km_workload normal;
	int rc = 0;

	*model = NULL;
	decide_workload_normalise(w, &normal);
	if (f != NULL && decide_data_state(c, f) == KM_DATA_FRESH) {
		rc = contributions(c, km_host_features_row(f, s->node[at].row), &normal, out, max,
		                   sum != NULL ? sum : &unwanted);
		if (rc > 0) {
			*model = km_model_ref(c->model);
		}
	}
	km_cluster_put(s);
	decide_context_unref(c);
	return rc;
}
