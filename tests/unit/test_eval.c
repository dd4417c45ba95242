/* SPDX-License-Identifier: Apache-2.0 */
/* eval: judging by folds that would show a leak, and judging a given model on any folder. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "support/eval_world.h"

#define TEST_MODEL "tests/fixtures/model/test.ubj"

/* ---- folds ---- */

#define FAMILIES  4
#define SCENARIOS 4

/* What gives a pair both its label and the input that betrays it. */
enum key { KEY_CAMPAIGN, KEY_FAMILY, KEY_SCENARIO };

/*
 * Two campaigns to each of four families, four mixes. The key sets the number of replicas, and the
 * slowdown, low and high in turns: who saw the number knows the slowdown, who did not sees that of
 * its neighbours and is wrong.
 */
static void betraying_folder(struct dataset_world *w, enum key key)
{
	static const char *const features[] = { "pod.replicas", "node.ipc.mean" };
	static const char *const mixes[SCENARIOS] = { "100", "200", "300", "400" };

	dataset_world_init(w);
	for (unsigned c = 0; c < 2 * FAMILIES; c++) {
		for (unsigned s = 0; s < SCENARIOS; s++) {
			unsigned k = key == KEY_CAMPAIGN ? c : key == KEY_FAMILY ? c / 2 : s;
			struct dataset_pair *p;
			char campaign[32];

			(void)snprintf(campaign, sizeof(campaign), "%c_V0%u", 'A' + (int)c / 2,
			               c % 2);
			(void)dataset_world_run(w, campaign, mixes[s], DATASET_LOCAL, 500);
			w->run[w->run_count - 1].samples = 12;
			p = dataset_world_pair(w, w->run_count - 1, w->run_count - 1);
			p->replicas = 1 + (int)k;
			p->slowdown = k % 2 == 0 ? 1.2 : 3;
		}
	}
	dataset_world_write(w);
	(void)dataset_world_features(w, "placement",
	                             "  rounds: 150\n  maxDepth: 4\n  eta: 0.3\n  subsample: 1\n"
	                             "  colsampleByNode: 1\n  maskNow: 0\n",
	                             features, KM_ARRAY_LEN(features));
}

static void a_left_out_group_cannot_be_known(void **state)
{
	static const struct {
		enum key key;
		bool known[3]; /* by leave-campaign-out, -family-out, -scenario-out */
		const char *why;
	} rows[] = {
		{ KEY_CAMPAIGN, { false, false, true }, "of a campaign, told by its other mixes" },
		{ KEY_FAMILY, { true, false, true }, "of a family, told by the sister campaign" },
		{ KEY_SCENARIO, { true, true, false }, "of a mix, told by all campaigns" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_eval_report r;
		struct dataset_world w;

		betraying_folder(&w, rows[i].key);
		for (int p = KM_PROTOCOL_CAMPAIGN; p <= KM_PROTOCOL_SCENARIO; p++) {
			struct km_eval_options o = eval_options(&w, "model.ubj");
			double mae;

			eval_ok(&o, (enum km_protocol)p, &r);
			mae = r.metrics.scores.mae;
			assert_int_equal(r.metrics.scores.rows, 2 * FAMILIES * SCENARIOS);
			/* NP is 0.83 or 0.33 */
			if (rows[i].known[p] ? mae > 0.05 : mae < 0.2)
				fail_msg("a label %s: MAE %.3f by %s", rows[i].why, mae,
				         km_protocol_name((enum km_protocol)p));
			km_eval_report_fini(&r);
		}
		dataset_world_fini(&w);
	}
}

/* ---- a given model ---- */

static struct dataset_world shared; /* four campaigns, and a model of them */

static int set_up(void **state)
{
	(void)state;
	eval_world_init(&shared, 4);
	eval_train_ok(&shared, "model.ubj");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	dataset_world_fini(&shared);
	return 0;
}

static void a_folder_it_was_trained_on_is_told_from_others(void **state)
{
	struct km_eval_options o = eval_options(&shared, "model.ubj");
	struct dataset_world other;
	struct km_eval_report r;

	(void)state;
	eval_ok(&o, KM_PROTOCOL_GIVEN, &r);
	assert_string_equal(r.model, "synthetic");
	assert_true(r.placement && r.in_sample);
	assert_int_equal(r.protocol, KM_PROTOCOL_GIVEN);
	assert_true(r.metrics.scores.mae < 0.1);
	assert_true(r.metrics.scores.coverage90 > 0.8);
	km_eval_report_fini(&r);
	eval_world_init(&other, 5);
	o.dataset = other.dir;
	eval_ok(&o, KM_PROTOCOL_GIVEN, &r);
	assert_false(r.in_sample);
	km_eval_report_fini(&r);
	dataset_world_fini(&other);
}

/* Campaigns, mixes and layouts never seen: replicas on both nodes, a target on node1, 2 s rows. */
static void it_is_judged_on_any_folder(void **state)
{
	struct km_eval_options o = eval_options(&shared, "model.ubj");
	struct dataset_world w;
	struct km_eval_report r;

	(void)state;
	dataset_world_init(&w);
	(void)dataset_world_run(&w, "Omega_V09", "033", DATASET_LOCAL, 500);
	(void)dataset_world_run(&w, "Omega_V09", "033", DATASET_LOCAL, 3000);
	(void)dataset_world_run(&w, "Omega_V09", "010", DATASET_LOCAL, 3000);
	(void)dataset_world_run(&w, "Psi_V01", "111", DATASET_REMOTE, 250);
	(void)dataset_world_run(&w, "Psi_V01", "111", DATASET_REMOTE, 750);
	for (size_t i = 0; i < 3; i++) {
		w.run[i].target = 1;
		w.run[i].here = 2;
		w.run[i].on[0] = 2;
		w.run[i].on[1] = 1;
		w.run[i].interval_s = 2;
		w.run[i].samples = 92;
	}
	(void)dataset_world_pair(&w, 0, 1);
	(void)dataset_world_pair(&w, 0, 2);
	(void)dataset_world_pair(&w, 3, 4);
	(void)dataset_world_empty_pair(&w, 3, 1);
	dataset_world_write(&w);
	o.dataset = w.dir;
	o.no_baselines = false;
	eval_ok(&o, KM_PROTOCOL_GIVEN, &r);
	assert_int_equal(r.metrics.scores.rows, 3);
	assert_int_equal(r.metrics.scores.pairs, 1);
	assert_int_equal(r.empty.scores.rows, 1);
	assert_int_equal(r.scenario_count, 3);
	assert_int_equal(r.stats.no_trace + r.stats.no_label + r.stats.no_run, 0);
	assert_true(isfinite(r.metrics.scores.mae) && isfinite(r.metrics.scores.coverage90));
	for (int l = 0; l < KM_LAYOUT_N; l++)
		assert_int_equal(r.by_layout[l].scores.rows, 3);
	assert_int_equal(r.baseline_count, 4);
	assert_string_equal(r.baseline_protocol, "leave-campaign-out on this folder");
	km_eval_report_fini(&r);
	dataset_world_fini(&w);
}

static void baselines_need_two_groups_of_something(void **state)
{
	struct km_eval_options o = eval_options(&shared, "model.ubj");
	struct dataset_world w;
	struct km_eval_report r;

	(void)state;
	o.no_baselines = false;
	dataset_world_init(&w);
	dataset_world_plan(&w, 1);
	dataset_world_write(&w);
	o.dataset = w.dir;
	eval_ok(&o, KM_PROTOCOL_GIVEN, &r);
	assert_int_equal(r.baseline_count, 4);
	assert_string_equal(r.baseline_protocol, "leave-scenario-out on this folder");
	km_eval_report_fini(&r);
	w.pair_count = 2; /* one scenario */
	dataset_world_write(&w);
	eval_ok(&o, KM_PROTOCOL_GIVEN, &r);
	assert_int_equal(r.baseline_count, 0);
	assert_string_equal(r.baseline_protocol, "none: too few rows to learn from");
	assert_int_equal(r.baseline_count, 0);
	assert_int_equal(r.metrics.scores.rows, 2);
	km_eval_report_fini(&r);
	dataset_world_fini(&w);
}

static void the_model_beats_what_it_has_to(void **state)
{
	static const char *const names[] = { "mean", "rps+replicas", "linear", "thesis" };
	struct km_eval_options o = eval_options(&shared, "model.ubj");
	struct km_eval_report r;

	(void)state;
	o.no_baselines = false;
	eval_ok(&o, KM_PROTOCOL_CAMPAIGN, &r);
	assert_int_equal(r.baseline_count, KM_ARRAY_LEN(names));
	for (size_t i = 0; i < r.baseline_count; i++) {
		assert_string_equal(r.baseline[i].name, names[i]);
		assert_int_equal(r.baseline[i].scores.rows, r.metrics.scores.rows);
	}
	/* counters tell more than the load, the load no more than nothing: mixes decide here */
	assert_true(r.metrics.scores.mae < r.baseline[0].scores.mae / 2);
	assert_true(r.metrics.scores.mae < r.baseline[1].scores.mae / 2);
	/* one prediction for all: every pair is a toss */
	assert_true(r.baseline[0].scores.pair_accuracy == 0.5);
	assert_true(r.metrics.scores.pair_accuracy > 0.8);
	km_eval_report_fini(&r);
}

/* The label follows from nothing else. */
static void what_the_node_carries_now_can_be_hidden(void **state)
{
	static const char *const features[] = { "pod.rps", "pod.rps_now" };
	struct dataset_world w;
	struct km_eval_options o;
	struct km_eval_report known;
	struct km_eval_report hidden;

	(void)state;
	dataset_world_init(&w);
	for (int i = 0; i < 40; i++) {
		struct dataset_pair *p;

		(void)dataset_world_run(&w, i < 20 ? "A_V01" : "B_V01", "100", DATASET_LOCAL,
		                        i % 2 == 0 ? 100 : 400);
		w.run[i].samples = 12;
		p = dataset_world_pair(&w, (size_t)i, (size_t)i);
		p->rps = 1000;
		p->slowdown = i % 2 == 0 ? 1.2 : 3;
	}
	dataset_world_write(&w);
	(void)dataset_world_features(&w, "placement",
	                             "  rounds: 60\n  eta: 0.3\n  subsample: 1\n"
	                             "  colsampleByNode: 1\n",
	                             features, KM_ARRAY_LEN(features));
	o = eval_options(&w, "model.ubj");
	eval_ok(&o, KM_PROTOCOL_CAMPAIGN, &known);
	o.mask_now = true;
	eval_ok(&o, KM_PROTOCOL_CAMPAIGN, &hidden);
	assert_false(known.mask_now);
	assert_true(hidden.mask_now);
	assert_int_equal(hidden.metrics.scores.rows, known.metrics.scores.rows);
	assert_true(known.metrics.scores.mae < 0.05);
	assert_true(hidden.metrics.scores.mae > 0.2);
	km_eval_report_fini(&known);
	km_eval_report_fini(&hidden);
	dataset_world_fini(&w);
}

static void pairs_may_come_from_another_file(void **state)
{
	struct km_eval_options o = eval_options(&shared, "model.ubj");
	struct km_eval_report r;
	struct km_err err = { .code = 0 };
	struct dataset_world w;

	(void)state;
	dataset_world_init(&w);
	dataset_world_plan(&w, 4);
	w.pair_count = 4;
	dataset_world_write(&w);
	o.pairs = dataset_world_path(&w, "pairs.csv");
	eval_ok(&o, KM_PROTOCOL_GIVEN, &r);
	assert_int_equal(r.metrics.scores.rows + r.empty.scores.rows, 4);
	km_eval_report_fini(&r);
	o.pairs = dataset_world_path(&w, "none.csv");
	assert_int_equal(km_evaluate(&o, KM_PROTOCOL_GIVEN, &r, &err), -ENOENT);
	assert_non_null(strstr(err.text, "none.csv"));
	dataset_world_fini(&w);
}

/* Diagnosis: the folder's runs themselves; pairs.csv is not asked for. */
static void diagnosis_needs_no_pairs(void **state)
{
	struct dataset_world w;
	struct km_eval_options o;
	struct km_eval_report r;
	struct km_err err;

	(void)state;
	eval_world_init(&w, 3);
	assert_int_equal(remove(dataset_world_path(&w, "pairs.csv")), 0);
	(void)dataset_world_features(&w, "diagnosis", EVAL_TRAINING, eval_features, 8);
	o = eval_options(&w, "model.ubj");
	if (eval_train(&o, &r, &err) != 0)
		fail_msg("%s", err.text);
	assert_false(r.placement);
	assert_int_equal(r.metrics.scores.rows, w.run_count);
	assert_int_equal(r.empty.scores.rows, 0);
	km_eval_report_fini(&r);
	eval_ok(&o, KM_PROTOCOL_GIVEN, &r);
	assert_true(!r.placement && r.in_sample);
	assert_true(r.metrics.scores.mae < 0.1);
	km_eval_report_fini(&r);
	dataset_world_fini(&w);
}

/* ---- models that are not ours ---- */

static void a_model_of_other_features_is_judged_by_its_own(void **state)
{
	struct km_eval_options o = eval_options(&shared, "unused");
	struct km_eval_report r;

	(void)state;
	o.model = TEST_MODEL;
	o.features = NULL; /* no features.yaml is needed for a given model */
	eval_ok(&o, KM_PROTOCOL_GIVEN, &r);
	assert_false(r.in_sample);
	assert_true(r.metrics.scores.rows > 0 && isfinite(r.metrics.scores.mae));
	km_eval_report_fini(&r);
}

static void what_is_no_model_is_refused(void **state)
{
	static const struct {
		const char *file;
		int code;
		const char *text;
	} rows[] = {
		{ "runs.csv", -EBADMSG, "runs.csv" }, { "nothing.ubj", -ENOENT, "nothing.ubj" },
		{ "cut.ubj", -EBADMSG, "cut.ubj" },   { "empty.ubj", -EBADMSG, "empty.ubj" },
		{ "traces", -EISDIR, "traces" },
	};
	struct km_buf bytes;

	(void)state;
	km_buf_init(&bytes);
	assert_int_equal(
		km_file_read(dataset_world_path(&shared, "model.ubj"), 1 << 26, &bytes, NULL), 0);
	dataset_world_put(&shared, "cut.ubj", bytes.data, bytes.len / 2);
	dataset_world_put(&shared, "empty.ubj", "", 0);
	km_buf_fini(&bytes);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_eval_options o = eval_options(&shared, rows[i].file);
		struct km_err err = { .code = 0 };
		struct km_eval_report r;
		int rc = km_evaluate(&o, KM_PROTOCOL_GIVEN, &r, &err);

		if (rc != rows[i].code || strstr(err.text, rows[i].text) == NULL)
			fail_msg("%s: %d \"%s\"", rows[i].file, rc, err.text);
	}
}

static int stop(void *ctx, const char *what, size_t done, size_t all)
{
	(void)ctx;
	(void)what;
	(void)done;
	(void)all;
	return 1;
}

static void folds_stop_when_asked_and_need_two_groups(void **state)
{
	struct km_eval_options o = eval_options(&shared, "model.ubj");
	struct km_err err = { .code = 0 };
	struct dataset_world w;
	struct km_eval_report r;

	(void)state;
	o.progress = stop;
	assert_int_equal(km_evaluate(&o, KM_PROTOCOL_FAMILY, &r, &err), -EINTR);
	assert_int_equal(km_evaluate(&o, KM_PROTOCOL_GIVEN, &r, &err), -EINTR);
	assert_non_null(strstr(err.text, "stopped"));
	o.progress = NULL;
	dataset_world_init(&w);
	dataset_world_plan(&w, 1);
	dataset_world_write(&w);
	o.dataset = w.dir;
	assert_int_equal(km_evaluate(&o, KM_PROTOCOL_FAMILY, &r, &err), -ENODATA);
	assert_non_null(strstr(err.text, "leave-family-out: one group only"));
	eval_ok(&o, KM_PROTOCOL_SCENARIO, &r);
	/* one campaign has no other whose residuals could tell */
	assert_true(isnan(r.metrics.scores.coverage90));
	km_eval_report_fini(&r);
	dataset_world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_left_out_group_cannot_be_known),
		cmocka_unit_test(a_folder_it_was_trained_on_is_told_from_others),
		cmocka_unit_test(it_is_judged_on_any_folder),
		cmocka_unit_test(baselines_need_two_groups_of_something),
		cmocka_unit_test(the_model_beats_what_it_has_to),
		cmocka_unit_test(what_the_node_carries_now_can_be_hidden),
		cmocka_unit_test(pairs_may_come_from_another_file),
		cmocka_unit_test(diagnosis_needs_no_pairs),
		cmocka_unit_test(a_model_of_other_features_is_judged_by_its_own),
		cmocka_unit_test(what_is_no_model_is_refused),
		cmocka_unit_test(folds_stop_when_asked_and_need_two_groups),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
