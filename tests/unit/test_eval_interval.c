/* SPDX-License-Identifier: Apache-2.0 */
/* eval: intervals from held-out residuals. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "eval/exam.h"
#include "support/dataset_world.h"

static const char *const columns[] = { "node.ipc.mean", "pod.rps" };
#define COLUMNS KM_ARRAY_LEN(columns)

/* Pairs of `count` campaigns; the i-th campaign has sizes[i] of them. All slowdowns are 2. */
static struct km_dataset *folder_of(struct dataset_world *w, const size_t *sizes, size_t count)
{
	dataset_world_init(w);
	for (size_t c = 0; c < count; c++) {
		char campaign[32];

		(void)snprintf(campaign, sizeof(campaign), "C%zu_V01", c);
		dataset_world_run(w, campaign, "200", DATASET_LOCAL, 500)->samples = 12;
		for (size_t i = 0; i < sizes[c]; i++)
			dataset_world_pair(w, c, c)->slowdown = 2;
	}
	dataset_world_write(w);
	return dataset_world_open(w, true, columns, COLUMNS);
}

/* Predictions that are off by off[campaign] in ln slowdown, for every row and layout. */
static float *margins(const struct km_dataset *d, const double *off)
{
	size_t count;
	const struct km_dataset_row *row = km_dataset_rows(d, &count);
	float *m = calloc(count * PREDICTIONS_PER_ROW, sizeof(*m));
	size_t campaign = 0;

	assert_non_null(m);
	for (size_t i = 0; i < count; i++) {
		campaign += i > 0 && row[i].campaign != row[i - 1].campaign;
		for (size_t k = 0; k < PREDICTIONS_PER_ROW; k++)
			m[i * PREDICTIONS_PER_ROW + k] = (float)(log(2) - off[campaign]);
	}
	return m;
}

static bool near(double a, double b)
{
	return fabs(a - b) < 1e-5;
}

static void each_campaign_counts_the_same_in_an_interval(void **state)
{
	static const size_t sizes[] = { 60, 2, 2 };
	static const double off[] = { 0, 1, -1 };
	struct dataset_world w;
	struct km_dataset *d = folder_of(&w, sizes, 3);
	float *m = margins(d, off);
	size_t count;
	const struct km_dataset_row *row = km_dataset_rows(d, &count);
	struct interval i;

	(void)state;
	assert_int_equal(interval_fit(d, m, UINT32_MAX, &i, NULL), 0);
	/* two rows of 64 are a third of what campaigns there are */
	assert_true(near(i.low, -1) && near(i.high, 1) && near(i.sd, sqrt(2.0 / 3)));
	assert_int_equal(interval_fit(d, m, row[0].campaign, &i, NULL), 0);
	assert_true(near(i.low, -1) && near(i.high, 1) && near(i.sd, 1));
	assert_int_equal(interval_fit(d, m, row[60].campaign, &i, NULL), 0);
	assert_true(near(i.low, -1) && near(i.high, 0));
	for (size_t k = 0; k < count * PREDICTIONS_PER_ROW; k++)
		m[k] = NAN;
	assert_int_equal(interval_fit(d, m, UINT32_MAX, &i, NULL), -ENODATA);
	free(m);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

/* Rows without weight, and a whole campaign of them, are no part of an interval. */
static void rows_without_weight_do_not_count_in_an_interval(void **state)
{
	static const size_t sizes[] = { 10, 10, 10 };
	static const double off[] = { 0.1, -0.1, 9 };
	struct dataset_world w;
	struct km_dataset *d = folder_of(&w, sizes, 3);
	struct interval i;
	float *m;

	(void)state;
	km_dataset_free(d);
	for (size_t p = 0; p < w.pair_count; p++)
		w.pair[p].weight = p >= 20 || p % 2 == 0 ? 0 : 1;
	dataset_world_write(&w);
	d = dataset_world_open(&w, true, columns, COLUMNS);
	m = margins(d, off);
	assert_int_equal(interval_fit(d, m, UINT32_MAX, &i, NULL), 0);
	assert_true(near(i.low, -0.1) && near(i.high, 0.1) && near(i.sd, 0.1));
	assert_true(i.knot_count >= 1);
	for (size_t k = 0; k < i.knot_count; k++)
		assert_true(isfinite(i.knot[k].margin) && i.knot[k].low >= -0.1001 &&
		            i.knot[k].high <= 0.1001);
	free(m);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

/* The bounds a held-out row is judged by come from the other campaigns' residuals, whatever the
 * order of the file. */
static void bounds_of_a_row_are_those_without_its_campaign(void **state)
{
	struct km_eval_options o = { .threads = 1, .no_baselines = true };
	const struct km_dataset_row *row;
	struct km_err err = { .code = 0 };
	struct dataset_world w;
	struct exam e;
	size_t count;

	(void)state;
	dataset_world_init(&w);
	dataset_world_plan(&w, 3);
	for (size_t i = 0; i < w.pair_count; i += 2) { /* shuffled: far apart ones change places */
		size_t k = (i * 37 + 11) % w.pair_count;
		struct dataset_pair swap = w.pair[i];

		w.pair[i] = w.pair[k];
		w.pair[k] = swap;
	}
	dataset_world_write(&w);
	o.dataset = w.dir;
	o.features = dataset_world_features(&w, "placement", "  rounds: 5\n", columns, COLUMNS);
	if (exam_open(&o, false, &e, &err) != 0 ||
	    exam_crossval(&e, KM_PROTOCOL_CAMPAIGN, &err) != 0)
		fail_msg("%s", err.text);
	row = km_dataset_rows(e.dataset, &count);
	for (size_t i = 0; i < count; i += 7) {
		size_t at = prediction_at(i, KM_LAYOUT_ONE_NODE, true);
		struct interval want;
		double low;
		double high;

		assert_int_equal(interval_fit(e.dataset, e.margin, row[i].campaign, &want, &err),
		                 0);
		km_interval_at(want.knot, want.knot_count, (double)e.margin[at], &low, &high);
		assert_true(near((double)(e.low[at] - e.margin[at]), fmin(low, 0)));
		assert_true(near((double)(e.high[at] - e.margin[at]), fmax(high, 0)));
	}
	exam_close(&e);
	dataset_world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_campaign_counts_the_same_in_an_interval),
		cmocka_unit_test(bounds_of_a_row_are_those_without_its_campaign),
		cmocka_unit_test(rows_without_weight_do_not_count_in_an_interval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
