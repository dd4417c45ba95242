/* SPDX-License-Identifier: Apache-2.0 */
/* decide: why a prediction is what it is, and how far the model is out of its depth. */
#include "support/decide_world.h"

static int explain(struct world *w, const char *node, struct km_contribution *out, size_t max,
                   struct km_explanation *sum)
{
	struct km_model *model = NULL;
	int count = km_decide_explain(w->decide, &w->settings.default_workload, name_of(node), out,
	                              max, sum, &model);

	if (count > 0)
		assert_ptr_equal(model, w->model);
	else
		assert_null(model);
	km_model_unref(model);
	return count;
}

static void the_largest_contributions_come_first(void **state)
{
	struct km_contribution all[FEATURES + 3];
	struct km_contribution two[2];
	struct world w;

	(void)state;
	world_init_ready(&w);
	assert_int_equal(explain(&w, "busy", all, FEATURES + 3, NULL), FEATURES);
	for (size_t i = 0; i + 1 < FEATURES; i++) {
		assert_true(fabs(all[i].log_slowdown) >= fabs(all[i + 1].log_slowdown));
		assert_true(fabs(all[i].slowdown) >= fabs(all[i + 1].slowdown));
	}
	for (size_t i = 0; i < FEATURES; i++) {
		if (strcmp(all[i].feature, "pod.rps") == 0)
			assert_true(all[i].value == 1000);
	}
	assert_int_equal(explain(&w, "busy", two, 2, NULL), 2);
	assert_string_equal(two[0].feature, all[0].feature);
	assert_string_equal(two[1].feature, all[1].feature);
	assert_int_equal(explain(&w, "busy", two, 0, NULL), 0);
	world_fini(&w);
}

static void contributions_add_up_to_the_slowdown(void **state)
{
	static const struct {
		const char *node;
		const double *row;
	} rows[] = { { "busy", busy_row }, { "idle", idle_row }, { "mid", mid_row } };
	double typical = NAN;
	struct world w;

	(void)state;
	world_init_ready(&w);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		double want = ask_model(&w, rows[i].row, 1000).slowdown;
		struct km_contribution share[FEATURES];
		struct km_explanation sum;
		double logs = 0;
		double whole;

		assert_int_equal(explain(&w, rows[i].node, share, FEATURES, &sum), FEATURES);
		assert_true(fabs(sum.slowdown - want) < 1e-4 * want);
		assert_true(fabs(sum.others) < 1e-6); /* all are among the largest */
		whole = sum.typical;
		for (size_t k = 0; k < FEATURES; k++) {
			whole += share[k].slowdown;
			logs += share[k].log_slowdown;
			assert_true(share[k].slowdown * share[k].log_slowdown >= 0);
		}
		assert_true(fabs(whole - want) < 1e-4 * want);
		assert_true(fabs(log(sum.typical) + logs - log(want)) < 1e-4);
		/* the model's own, whatever the node */
		assert_true(isnan(typical) || fabs(sum.typical - typical) < 1e-6);
		typical = sum.typical;

		/* what is not shown is said as one number */
		assert_int_equal(explain(&w, rows[i].node, share, 1, &sum), 1);
		assert_true(fabs(sum.typical + share[0].slowdown + sum.others - want) <
		            1e-4 * want);
	}
	world_fini(&w);
}

static void there_is_nothing_to_explain_without_data_or_model(void **state)
{
	struct km_contribution out[2];
	struct world w;

	(void)state;
	world_init_ready(&w);
	assert_int_equal(explain(&w, "dark", out, 2, NULL), 0);
	assert_int_equal(explain(&w, "nobody", out, 2, NULL), 0);
	km_decide_set_model(w.decide, NULL);
	assert_int_equal(explain(&w, "busy", out, 2, NULL), 0);
	world_fini(&w);
}

/* The test model was trained with up to 8e9 B/s and 2.5 instructions a cycle. */
static void predictions_out_of_range_are_counted_once_a_row(void **state)
{
	static const double far_row[FEATURES] = { 9, 0.05, 1e6, 5e11, NAN };
	struct world w;
	const double *const rows[] = { far_row, busy_row };
	const struct km_schema *schema;

	(void)state;
	world_init_ready(&w);
	schema = km_model_schema(w.model);
	(void)verdict_of(&w, &w.settings.default_workload, "mid");
	assert_int_equal(km_counter_value(w.decide->stats.outside), 0);
	publish(&w, host_rows(&w, schema, 0, 2, rows));
	(void)verdict_of(&w, &w.settings.default_workload, "mid");
	assert_int_equal(km_counter_value(w.decide->stats.outside), 1);
	/* the cache answers: the row was given to the model once */
	(void)verdict_of(&w, &w.settings.default_workload, "idle");
	assert_int_equal(km_counter_value(w.decide->stats.outside), 1);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_largest_contributions_come_first),
		cmocka_unit_test(contributions_add_up_to_the_slowdown),
		cmocka_unit_test(there_is_nothing_to_explain_without_data_or_model),
		cmocka_unit_test(predictions_out_of_range_are_counted_once_a_row),
	};

	return cmocka_run_group_tests_name("decide_explain", tests, NULL, NULL);
}
