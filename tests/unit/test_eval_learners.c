/* SPDX-License-Identifier: Apache-2.0 */
/* eval: what learns, and what it learns from. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/buf.h"
#include "km/base/rng.h"

#include "eval/eval_internal.h"
#include "support/dataset_world.h"

/* ---- learners on tables of our own ---- */

#define ROWS 4000

struct made {
	struct table t;
	float rows[ROWS * 4];
	float labels[ROWS];
	float weights[ROWS];
};

static struct made *made(size_t columns)
{
	struct made *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->t = (struct table){ .count = ROWS,
		               .columns = columns,
		               .rows = m->rows,
		               .labels = m->labels,
		               .weights = m->weights };
	for (size_t i = 0; i < ROWS; i++)
		m->weights[i] = 1;
	return m;
}

static float ask(const struct learner *l, void *fitted, const float *row)
{
	float out = NAN;

	assert_int_equal(l->predict(fitted, row, 1, &out, NULL), 0);
	return out;
}

static void *fit(const struct learner *l, const struct subject *s, const struct table *t)
{
	void *fitted = NULL;
	struct km_err err = { .code = 0 };

	if (l->fit(s, t, &fitted, &err) != 0)
		fail_msg("%s", err.text);
	return fitted;
}

/* y = 0.3 + 2 a - b; c is the same as a, d is constant: nothing of that may break it. */
static void ridge_recovers_a_line(void **state)
{
	static const float at[][4] = { { 0.1f, 0.9f, 0.1f, 7 }, { 0.9f, 0.2f, 0.9f, 7 } };
	struct subject s = { .name = "line" };
	struct made *m = made(4);
	struct km_rng rng;
	void *fitted;
	float missing[4] = { NAN, NAN, NAN, NAN };

	(void)state;
	km_rng_init(&rng, 1);
	for (size_t i = 0; i < ROWS; i++) {
		float a = (float)km_rng_unit(&rng);
		float b = (float)km_rng_unit(&rng);

		memcpy(m->rows + 4 * i, (float[]){ a, b, a, 7 }, 4 * sizeof(float));
		m->labels[i] = 0.3f + 2 * a - b;
	}
	fitted = fit(&learner_ridge, &s, &m->t);
	for (size_t i = 0; i < 2; i++) {
		float want = 0.3f + 2 * at[i][0] - at[i][1];
		float got = ask(&learner_ridge, fitted, at[i]);

		/* the penalty is 10 rows' worth of 4,000 */
		if (!(fabsf(got - want) < 0.01f))
			fail_msg("%g, want %g", (double)got, (double)want);
	}
	/* what is missing is taken to be at its mean: 0.3 + 1 - 0.5 */
	assert_true(fabsf(ask(&learner_ridge, fitted, missing) - 0.8f) < 0.03f);
	learner_ridge.release(fitted);
	free(m);
}

static void ridge_bears_columns_that_say_nothing(void **state)
{
	struct subject s = { .name = "line" };
	struct made *m = made(3);
	void *fitted;

	(void)state;
	for (size_t i = 0; i < ROWS; i++) { /* never measured; always 5; sometimes missing */
		float a = i % 2 == 0 ? 1.0f : 3.0f;

		memcpy(m->rows + 3 * i, (float[]){ NAN, 5, i % 10 == 0 ? NAN : a },
		       3 * sizeof(float));
		m->labels[i] = a;
	}
	fitted = fit(&learner_ridge, &s, &m->t);
	assert_true(fabsf(ask(&learner_ridge, fitted, (float[]){ NAN, 5, 1 }) - 1) < 0.15f);
	assert_true(fabsf(ask(&learner_ridge, fitted, (float[]){ 9, 9, 3 }) - 3) < 0.15f);
	learner_ridge.release(fitted);
	free(m);
}

static void weights_are_how_much_a_row_counts(void **state)
{
	struct subject s = { .name = "line" };
	struct made *m = made(1);
	void *fitted;

	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		m->rows[i] = 1;
		m->labels[i] = i % 2 == 0 ? 0.0f : 1.0f;
		m->weights[i] = i % 2 == 0 ? 0.5f : 1.5f;
	}
	fitted = fit(&learner_ridge, &s, &m->t);
	assert_true(fabsf(ask(&learner_ridge, fitted, (float[]){ 1 }) - 0.75f) < 1e-5f);
	learner_ridge.release(fitted);
	free(m);
}

/* The mean of NP, not of ln slowdown: that is what is scored. */
static void the_mean_errs_least_in_np(void **state)
{
	struct subject s = { .name = "mean" };
	struct made *m = made(1);
	void *fitted;

	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		m->rows[i] = (float)i;
		m->labels[i] = i % 4 == 0 ? 0.0f : logf(4); /* NP 1, and thrice 1/4 */
	}
	fitted = fit(&learner_mean, &s, &m->t);
	/* whatever the row says */
	for (int i = 0; i < 3; i++) {
		float got = ask(&learner_mean, fitted, (float[]){ i == 2 ? NAN : (float)i });

		assert_true(fabsf(expf(-got) - (1 + 0.75f) / 4) < 1e-5f);
	}
	learner_mean.release(fitted);
	learner_mean.release(NULL);
	learner_ridge.release(NULL);
	learner_trees.release(NULL);
	free(m);
}

/* The data says that more in flight is better; the trees may not. */
static void trees_never_predict_less_for_more_in_flight(void **state)
{
	static const char *const names[] = { "pod.rps", "inflight.cpu" };
	struct km_schema *schema = NULL;
	struct subject s = { .name = "trees" };
	struct made *m = made(2);
	bool falls = false;

	(void)state;
	assert_int_equal(km_schema_create(names, 2, 60, 5, &schema, NULL), 0);
	assert_int_equal(subject_init(&s, schema, names, 2, NULL), 0);
	s.recipe = (struct km_recipe){ .rounds = 20,
		                       .max_depth = 3,
		                       .max_bin = 32,
		                       .parallel_trees = 1,
		                       .eta = 0.3,
		                       .subsample = 1,
		                       .colsample_bytree = 1,
		                       .colsample_bynode = 1,
		                       .lambda = 1 };
	for (size_t i = 0; i < ROWS; i++) {
		m->rows[2 * i] = (float)(i % 7);
		m->rows[2 * i + 1] = (float)(i % 4);
		m->labels[i] = 1 - 0.2f * (float)(i % 4);
	}
	for (int constrained = 0; constrained < 2; constrained++) {
		void *fitted;

		s.recipe.monotone_inflight = constrained != 0;
		fitted = fit(&learner_trees, &s, &m->t);
		for (int rps = 0; rps < 7; rps++) {
			for (int n = 1; n < 4; n++) {
				float less = ask(&learner_trees, fitted,
				                 (float[]){ (float)rps, (float)(n - 1) });
				float more = ask(&learner_trees, fitted,
				                 (float[]){ (float)rps, (float)n });

				if (constrained)
					assert_true(more >= less);
				else
					falls = falls || more < less;
			}
		}
		learner_trees.release(fitted);
	}
	assert_true(falls); /* without the constraint it does what the data says */
	subject_fini(&s);
	km_schema_unref(schema);
	free(m);
}

/* Half of the rows are at 1, half at 5: what is between belongs to the nearer ones. */
static void exact_splits_lie_midway(void **state)
{
	static const char *const names[] = { "pod.rps", "pod.replicas" };
	struct km_schema *schema = NULL;
	struct subject s = { .name = "trees" };
	struct made *m = made(2);
	float at[2][4]; /* predictions at 1, 2.9, 3.1 and 5 */

	(void)state;
	assert_int_equal(km_schema_create(names, 2, 60, 5, &schema, NULL), 0);
	assert_int_equal(subject_init(&s, schema, names, 2, NULL), 0);
	s.recipe = (struct km_recipe){ .rounds = 10,
		                       .max_depth = 1,
		                       .max_bin = 32,
		                       .parallel_trees = 1,
		                       .eta = 0.5,
		                       .subsample = 1,
		                       .colsample_bytree = 1,
		                       .colsample_bynode = 1,
		                       .lambda = 1 };
	for (size_t i = 0; i < ROWS; i++) {
		m->rows[2 * i] = i % 2 == 0 ? 1 : 5;
		m->labels[i] = i % 2 == 0 ? 0 : 1;
	}
	for (int exact = 0; exact < 2; exact++) {
		static const float x[4] = { 1, 2.9F, 3.1F, 5 };
		void *fitted;

		s.recipe.exact_splits = exact != 0;
		fitted = fit(&learner_trees, &s, &m->t);
		for (size_t i = 0; i < 4; i++)
			at[exact][i] = ask(&learner_trees, fitted, (float[]){ x[i], 0 });
		learner_trees.release(fitted);
	}
	assert_true(at[1][0] == at[1][1] && at[1][2] == at[1][3] && at[1][0] < at[1][3]);
	/* with bins the edge is at the next value that was measured */
	assert_true(at[0][2] == at[0][0] && at[0][0] < at[0][3]);
	subject_fini(&s);
	km_schema_unref(schema);
	free(m);
}

/* ---- tables of a folder ---- */

static const char *const columns[] = { "node.ipc.mean", "peer.ipc.mean", "rest.ipc.mean",
	                               "pod.rps",       "pod.rps_now",   "inflight.cpu" };
#define COLUMNS KM_ARRAY_LEN(columns)
#define LOAD    3
#define NOW     4
#define MANY    36000 /* pairs of which there are nine times as many rows of a table */

/* A lighter pair with interference, one without, and an empty one. */
static struct km_dataset *small_folder(struct dataset_world *w)
{
	dataset_world_init(w);
	(void)dataset_world_run(w, "A_V01", "200", DATASET_LOCAL, 500);
	(void)dataset_world_run(w, "A_V01", "200", DATASET_LOCAL, 1000);
	(void)dataset_world_run(w, "A_V01", "000", DATASET_NONE, 500);
	(void)dataset_world_run(w, "A_V01", "000", DATASET_NONE, 1000);
	(void)dataset_world_run(w, "B_V01", "200", DATASET_REMOTE, 500);
	(void)dataset_world_pair(w, 0, 1);
	(void)dataset_world_pair(w, 2, 3);
	(void)dataset_world_empty_pair(w, 4, 1);
	w->pair[1].slowdown = 1.1;
	dataset_world_write(w);
	return dataset_world_open(w, true, columns, COLUMNS);
}

static struct km_recipe plain_recipe(void)
{
	return (struct km_recipe){ .seed = 1,
		                   .weight_recorded = 1,
		                   .weight_one_node = 1,
		                   .weight_alone = 1,
		                   .weight_lighter = 1,
		                   .weight_empty = 1,
		                   .weight_inflight = 1,
		                   .windows = 1 };
}

static void build(const struct km_dataset *d, const struct km_recipe *recipe, const bool *keep,
                  struct table *t)
{
	struct subject s = { .name = "t", .recipe = *recipe };
	struct km_err err = { .code = 0 };
	double sum = 0;

	assert_int_equal(subject_init(&s, km_dataset_schema(d), columns, COLUMNS, NULL), 0);
	if (table_build(d, &s, keep, t, &err) != 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < t->count; i++)
		sum += (double)t->weights[i];
	assert_true(fabs(sum - (double)t->count) < 1e-3);
	subject_fini(&s);
}

static void each_row_comes_in_each_layout_and_window(void **state)
{
	struct km_recipe r = plain_recipe();
	struct dataset_world w;
	struct km_dataset *d = small_folder(&w);
	static const bool keep[] = { false, true, true };
	struct table t;

	(void)state;
	build(d, &r, NULL, &t);
	assert_int_equal(t.count, 3 * KM_LAYOUT_N);
	for (size_t i = 0; i < t.count; i++) {
		const float *row = t.rows + i * COLUMNS;

		assert_true(!isnan(row[0]) && isnan(row[1]) == (i % KM_LAYOUT_N != 0));
		assert_true(isnan(row[2]) == (i % KM_LAYOUT_N == KM_LAYOUT_ALONE));
		assert_true(fabsf(t.weights[i] - 1) < 1e-6f);
	}
	assert_true(fabs((double)t.labels[0] - log(w.pair[0].slowdown)) < 1e-5);
	assert_true(fabs((double)t.labels[KM_LAYOUT_N] - log(1.1)) < 1e-5);
	table_fini(&t);
	r.windows = 0; /* all: three of each trace, which share the row's weight */
	build(d, &r, NULL, &t);
	assert_int_equal(t.count, 3 * KM_LAYOUT_N * 3);
	table_fini(&t);
	build(d, &r, keep, &t);
	assert_int_equal(t.count, 2 * KM_LAYOUT_N * 3);
	table_fini(&t);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

static void the_recipe_weighs_layouts_and_kinds(void **state)
{
	struct km_recipe r = plain_recipe();
	struct dataset_world w;
	struct km_dataset *d = small_folder(&w);
	struct subject s = { .name = "t" };
	struct km_err err = { .code = 0 };
	struct table t;

	(void)state;
	r.weight_one_node = 0;
	r.weight_alone = 0.5;
	r.weight_empty = 3;
	r.zero_label = 1;
	build(d, &r, NULL, &t);
	/* lighter, lighter without interference, empty; recorded and alone of each */
	assert_int_equal(t.count, 6);
	for (size_t i = 0; i < 6; i++) {
		double want = (i % 2 == 0 ? 1 : 0.5) * (i >= 4 ? 3 : 1) * 6 / 7.5;

		assert_true(fabs((double)t.weights[i] - want) < 1e-5);
	}
	assert_true(t.labels[0] != 0 && t.labels[4] != 0);
	assert_true(t.labels[2] == 0 && t.labels[3] == 0); /* ln 1: what was measured is chance */
	table_fini(&t);
	r.weight_lighter = r.weight_empty = 0;
	s.recipe = r;
	assert_int_equal(subject_init(&s, km_dataset_schema(d), columns, COLUMNS, NULL), 0);
	assert_int_equal(table_build(d, &s, NULL, &t, &err), -ENODATA);
	assert_non_null(strstr(err.text, "no training row"));
	subject_fini(&s);
	assert_int_equal(subject_init(&s, km_dataset_schema(d),
	                              (const char *const[]){ "node.ipc.p5" }, 1, &err),
	                 -EINVAL);
	assert_non_null(strstr(err.text, "node.ipc.p5"));
	subject_fini(&s);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

static size_t hidden(const struct table *t)
{
	size_t count = 0;

	for (size_t i = 0; i < t->count; i++)
		count += isnan(t->rows[i * COLUMNS + NOW]);
	return count;
}

static void what_is_carried_now_is_hidden_in_a_share_of_rows(void **state)
{
	struct km_recipe r = plain_recipe();
	struct dataset_world w;
	struct km_dataset *d;
	struct table t;
	struct table again;
	size_t half;
	bool *keep;

	(void)state;
	dataset_world_init(&w);
	dataset_world_plan(&w, 2);
	dataset_world_write(&w);
	d = dataset_world_open(&w, true, columns, COLUMNS);
	for (int i = 0; i <= 2; i++) {
		r.mask_now = i / 2.0;
		build(d, &r, NULL, &t);
		assert_true(t.count > 200);
		half = hidden(&t);
		if (i == 1)
			assert_true(half > t.count / 3 && half < t.count * 2 / 3);
		else
			assert_int_equal(half, i == 0 ? 0 : t.count);
		table_fini(&t);
	}
	/* which ones does not depend on which other rows there are */
	r.mask_now = 0.5;
	build(d, &r, NULL, &t);
	keep = calloc(w.pair_count, sizeof(*keep));
	keep[17] = true;
	build(d, &r, keep, &again);
	assert_int_equal(again.count, KM_LAYOUT_N);
	for (size_t i = 0; i < KM_LAYOUT_N * COLUMNS; i++) {
		float a = t.rows[17 * KM_LAYOUT_N * COLUMNS + i];

		assert_true(isnan(a) ? isnan(again.rows[i]) : a == again.rows[i]);
	}
	free(keep);
	table_fini(&again);
	table_fini(&t);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

/* What there is too much of is learned from in an even sample, the same one each time. */
static void of_too_many_rows_a_sample_is_learned_from(void **state)
{
	struct km_recipe r = plain_recipe();
	struct dataset_world w;
	struct km_dataset *d;
	struct km_buf text;
	struct table t;
	struct table again;
	double early = 0;
	double high = 0;

	(void)state;
	r.windows = 0; /* nine rows of the table for each */
	dataset_world_init(&w);
	(void)dataset_world_run(&w, "Alpha_V01", "000", DATASET_NONE, 500);
	dataset_world_write(&w);
	km_buf_init(&text);
	km_buf_printf(&text, "kind,role,before_run_id,candidate_cores,before_replicas,before_rps,"
	                     "campaign,scenario,placement,replicas,rps,slowdown\n");
	for (size_t i = 0; i < MANY; i++)
		km_buf_printf(&text, "lighter,score,%s,3-5,1,500,A,s,local,1,%d,%d\n", w.run[0].id,
		              i < MANY / 2 ? 1000 : 2000, i % 2 == 0 ? 2 : 4);
	dataset_world_put(&w, "pairs.csv", text.data, text.len);
	km_buf_fini(&text);
	d = dataset_world_open(&w, true, columns, COLUMNS);
	build(d, &r, NULL, &t);
	assert_true(t.count > TABLE_ROWS_MAX * 98 / 100 && t.count < TABLE_ROWS_MAX * 102 / 100);
	for (size_t i = 0; i < t.count; i++) {
		early += t.rows[i * COLUMNS + LOAD] == 1000;
		high += t.labels[i] > 1;
	}
	assert_true(fabs(early / (double)t.count - 0.5) < 0.02);
	assert_true(fabs(high / (double)t.count - 0.5) < 0.02);
	build(d, &r, NULL, &again);
	assert_int_equal(again.count, t.count);
	assert_memory_equal(again.labels, t.labels, t.count * sizeof(*t.labels));
	table_fini(&again);
	table_fini(&t);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ridge_recovers_a_line),
		cmocka_unit_test(ridge_bears_columns_that_say_nothing),
		cmocka_unit_test(weights_are_how_much_a_row_counts),
		cmocka_unit_test(the_mean_errs_least_in_np),
		cmocka_unit_test(trees_never_predict_less_for_more_in_flight),
		cmocka_unit_test(exact_splits_lie_midway),
		cmocka_unit_test(each_row_comes_in_each_layout_and_window),
		cmocka_unit_test(the_recipe_weighs_layouts_and_kinds),
		cmocka_unit_test(of_too_many_rows_a_sample_is_learned_from),
		cmocka_unit_test(what_is_carried_now_is_hidden_in_a_share_of_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
