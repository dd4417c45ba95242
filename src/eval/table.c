/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a dataset as inputs of a learner. A training row comes in each host layout, as most
 * clusters are not laid out like the machine that was recorded, and some of them without what the
 * node carries now, as a daemon without a pod watch does not know it.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"

#include "eval_internal.h"

#define SAMPLE_CHANCE UINT_MAX /* what for; others are small */
#define JUDGED_SEED   4        /* whichever: it only has to be the same each time */

int subject_init(struct subject *s, const struct km_schema *schema, const char *const *names,
                 size_t count, struct km_err *err)
{
	s->schema = schema;
	s->column_count = count;
	s->column = calloc(count + 1, sizeof(*s->column));
	if (s->column == NULL)
		return km_err_set(err, ENOMEM, "eval: out of memory");
	for (size_t i = 0; i < count; i++) {
		uint32_t at = 0;

		while (at < schema->count && strcmp(schema->feature[at].name, names[i]) != 0)
			at++;
		if (at == schema->count)
			return km_err_set(err, EINVAL, "no feature \"%s\" in the dataset's rows",
			                  names[i]);
		s->column[i] = at;
	}
	return 0;
}

void subject_fini(struct subject *s)
{
	free(s->column);
	s->column = NULL;
}

static bool has_scope(const struct subject *s, enum km_scope scope)
{
	for (size_t i = 0; i < s->column_count; i++) {
		if (s->schema->feature[s->column[i]].scope == scope)
			return true;
	}
	return false;
}

bool table_takes(const struct subject *s, const struct km_dataset_row *row)
{
	return row->kind != KM_ROW_INFLIGHT || has_scope(s, KM_SCOPE_INFLIGHT);
}

void table_input(const struct km_dataset *d, const struct subject *s,
                 const struct km_dataset_row *row, enum km_layout_kind layout, size_t window,
                 bool mask_now, float *out)
{
	float all[KM_FEATURES_MAX];

	km_dataset_features(d, row, layout, window, all);
	for (size_t i = 0; i < s->column_count; i++) {
		const struct km_feature *f = &s->schema->feature[s->column[i]];
		bool now = f->scope == KM_SCOPE_POD &&
		           (f->input == KM_POD_RPS_NOW || f->input == KM_POD_REPLICAS_NOW);

		out[i] = now && mask_now ? NAN : all[s->column[i]];
	}
}

bool subject_is_measured(const struct km_dataset *d, const struct subject *s)
{
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);
	bool counters = false;

	for (size_t i = 0; i < row_count; i++) {
		float all[KM_FEATURES_MAX];

		km_dataset_features(d, &row[i], KM_LAYOUT_RECORDED, 0, all);
		for (size_t c = 0; c < s->column_count; c++) {
			if (s->schema->feature[s->column[c]].scope >= KM_SCOPE_POD)
				continue;
			counters = true;
			if (!isnan(all[s->column[c]]))
				return true;
		}
	}
	return !counters;
}

static double layout_weight(const struct km_recipe *r, enum km_layout_kind layout)
{
	const double weight[KM_LAYOUT_N] = {
		[KM_LAYOUT_RECORDED] = r->weight_recorded,
		[KM_LAYOUT_ONE_NODE] = r->weight_one_node,
		[KM_LAYOUT_ALONE] = r->weight_alone,
	};

	return weight[layout];
}

static double kind_weight(const struct km_recipe *r, enum km_row_kind kind)
{
	const double weight[KM_ROW_KIND_N] = {
		[KM_ROW_DIAGNOSIS] = 1,
		[KM_ROW_LIGHTER] = r->weight_lighter,
		[KM_ROW_EMPTY] = r->weight_empty,
		[KM_ROW_INFLIGHT] = r->weight_inflight,
	};

	return weight[kind];
}

/* A number in [0, 1) of a row's own: the same whichever other rows there are. */
static double chance(const struct km_recipe *r, size_t row, unsigned layout, unsigned what)
{
	const uint64_t key[4] = { r->seed, row, layout, what };

	return (double)(km_hash64(key, sizeof(key), 0) >> 11) * 0x1p-53;
}

static size_t windows_of(const struct km_recipe *r, size_t there)
{
	return r->windows == 0 || r->windows > there ? there : r->windows;
}

/* Which window is the i-th to be taken: a single one by chance, else the newest, then the others.
 */
static size_t pick_window(const struct km_recipe *r, size_t row, unsigned layout, size_t i,
                          size_t there)
{
	size_t shift = (size_t)(chance(r, row, layout, 1) * (double)there);

	if (r->windows == 1)
		return shift;
	return (there - 1 + i) % there;
}

static int table_alloc(struct table *t, size_t count, size_t columns)
{
	t->columns = columns;
	t->rows = reallocarray(NULL, count + 1, columns * sizeof(*t->rows));
	t->labels = calloc(count + 1, sizeof(*t->labels));
	t->weights = calloc(count + 1, sizeof(*t->weights));
	if (t->rows != NULL && t->labels != NULL && t->weights != NULL)
		return 0;
	table_fini(t);
	return -ENOMEM;
}

static void add_row(const struct km_dataset *d, const struct subject *s, size_t row,
                    enum km_layout_kind layout, struct table *t)
{
	size_t row_count;
	const struct km_dataset_row *r = &km_dataset_rows(d, &row_count)[row];
	const struct km_recipe *recipe = &s->recipe;
	size_t there = km_dataset_windows(d, r);
	size_t windows = windows_of(recipe, there);
	double weight = (double)r->weight * layout_weight(recipe, layout) *
	                kind_weight(recipe, (enum km_row_kind)r->kind) / (double)windows;
	double label = log((double)r->slowdown);

	if (r->norm_perf == 1) /* nothing interferes: what was measured is chance */
		label *= 1 - recipe->zero_label;
	if (!(weight > 0) || !table_takes(s, r))
		return;
	for (size_t w = 0; w < windows; w++) {
		bool mask =
			chance(recipe, row, (unsigned)layout, 2 + (unsigned)w) < recipe->mask_now;

		table_input(d, s, r, layout, pick_window(recipe, row, (unsigned)layout, w, there),
		            mask, t->rows + t->count * t->columns);
		t->labels[t->count] = (float)label;
		t->weights[t->count] = (float)weight;
		t->count++;
	}
}

/* Is the row in a sample of that share of all? */
static bool is_sampled(const struct subject *s, size_t row, double share)
{
	return share >= 1 || chance(&s->recipe, row, 0, SAMPLE_CHANCE) < share;
}

/* How many rows of a table at most come of a sample of those to keep. */
static size_t expanded(const struct km_dataset *d, const struct subject *s, const bool *keep,
                       double share)
{
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);
	size_t sum = 0;

	for (size_t i = 0; i < row_count; i++) {
		if ((keep == NULL || keep[i]) && is_sampled(s, i, share))
			sum += KM_LAYOUT_N * windows_of(&s->recipe, km_dataset_windows(d, &row[i]));
	}
	return sum;
}

int table_build(const struct km_dataset *d, const struct subject *s, const bool *keep,
                struct table *out, struct km_err *err)
{
	size_t most = expanded(d, s, keep, 1);
	double share = fmin(1, (double)TABLE_ROWS_MAX / (double)most);
	size_t row_count;
	double sum = 0;

	(void)km_dataset_rows(d, &row_count);
	*out = (struct table){ .count = 0 };
	if (share < 1)
		most = expanded(d, s, keep, share);
	if (table_alloc(out, most, s->column_count) != 0)
		return km_err_set(err, ENOMEM, "training table: out of memory for %zu rows", most);
	for (size_t i = 0; i < row_count; i++) {
		if ((keep != NULL && !keep[i]) || !is_sampled(s, i, share))
			continue;
		for (int l = 0; l < KM_LAYOUT_N; l++)
			add_row(d, s, i, (enum km_layout_kind)l, out);
	}
	for (size_t i = 0; i < out->count; i++)
		sum += (double)out->weights[i];
	if (!(sum > 0)) {
		table_fini(out);
		return km_err_set(err, ENODATA, "no training row with a weight over 0");
	}
	for (size_t i = 0; i < out->count; i++)
		out->weights[i] = (float)((double)out->weights[i] * (double)out->count / sum);
	return 0;
}

void table_fini(struct table *t)
{
	free(t->rows);
	free(t->labels);
	free(t->weights);
	*t = (struct table){ .count = 0 };
}

void table_ranges(const struct table *t, double *low, double *high)
{
	for (size_t c = 0; c < t->columns; c++) {
		low[c] = NAN;
		high[c] = NAN;
	}
	for (size_t i = 0; i < t->count; i++) {
		for (size_t c = 0; c < t->columns; c++) {
			double v = (double)t->rows[i * t->columns + c];

			low[c] = fmin(low[c], v); /* of a number and NaN, the number */
			high[c] = fmax(high[c], v);
		}
	}
}

struct span judged_windows(const struct km_dataset *d, size_t row)
{
	size_t row_count;
	const struct km_dataset_row *r = &km_dataset_rows(d, &row_count)[row];
	size_t there = km_dataset_windows(d, r);

	if (r->kind == KM_ROW_DIAGNOSIS)
		return (struct span){ 0, there };
	return (struct span){ km_hash64(&row, sizeof(row), JUDGED_SEED) % there, 1 };
}

void judged_input(const struct km_dataset *d, const struct subject *s, size_t row, size_t window,
                  float *out)
{
	size_t row_count;
	const struct km_dataset_row *r = &km_dataset_rows(d, &row_count)[row];

	for (size_t k = 0; k < PREDICTIONS_PER_ROW; k++)
		table_input(d, s, r, (enum km_layout_kind)(k / 2), window, k % 2 != 0,
		            out + k * s->column_count);
}

static int predict_row(const struct km_dataset *d, const struct subject *s, void *state, size_t row,
                       float *input, float *out, struct km_err *err)
{
	struct span judged = judged_windows(d, row);
	double sum[PREDICTIONS_PER_ROW] = { 0 };
	float one[PREDICTIONS_PER_ROW];

	for (size_t w = judged.first; w < judged.first + judged.count; w++) {
		int rc;

		judged_input(d, s, row, w, input);
		rc = s->learner->predict(state, input, PREDICTIONS_PER_ROW, one, err);
		if (rc != 0)
			return rc;
		for (size_t k = 0; k < PREDICTIONS_PER_ROW; k++)
			sum[k] += (double)one[k];
	}
	for (size_t k = 0; k < PREDICTIONS_PER_ROW; k++)
		out[k] = (float)(sum[k] / (double)judged.count);
	return 0;
}

int predict_rows(const struct km_dataset *d, const struct subject *s, void *state, const bool *ask,
                 float *out, struct km_err *err)
{
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);
	float *input =
		reallocarray(NULL, s->column_count + 1, PREDICTIONS_PER_ROW * sizeof(*input));
	int rc = 0;

	if (input == NULL)
		return km_err_set(err, ENOMEM, "predictions: out of memory");
	for (size_t i = 0; rc == 0 && i < row_count; i++) {
		if ((ask == NULL || ask[i]) && row[i].score && table_takes(s, &row[i]))
			rc = predict_row(d, s, state, i, input, out + i * PREDICTIONS_PER_ROW, err);
	}
	free(input);
	return rc;
}
