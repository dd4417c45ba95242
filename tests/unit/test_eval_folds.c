/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eval: cross-validation really leaves out. A spy stands in for the learner: its rows carry, as
 * loads and replicas, which groups their label and their counters come from; it remembers what it
 * was fitted to, and fails when it is asked about anything of the same group.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eval/eval_internal.h"
#include "support/dataset_world.h"

#define CAMPAIGNS 6
#define SCENARIOS 4

/* The spy's columns: which campaign and scenario a row's label and its counters are from. */
enum { LABEL_CAMPAIGN, LABEL_SCENARIO, COUNTERS_CAMPAIGN, COUNTERS_SCENARIO, CODES };

static const char *const names[CODES] = { "pod.rps", "pod.replicas", "pod.rps_now",
	                                  "pod.replicas_now" };

static const char *const campaigns[CAMPAIGNS] = { "A_V01", "A_V02", "B_V01",
	                                          "B_V02", "C_V01", "C_V02" };
static const char *const mixes[SCENARIOS] = { "000", "100", "200", "210" };

static enum km_protocol protocol;
static atomic_uint fits, leaks, asked;

static unsigned group_of_code(unsigned campaign, unsigned scenario)
{
	switch (protocol) {
	case KM_PROTOCOL_CAMPAIGN:
		return campaign;
	case KM_PROTOCOL_FAMILY:
		return campaign / 2;
	default:
		return scenario;
	}
}

/* The groups of a row's label and of its counters. */
static void groups_of(const float *row, unsigned *label, unsigned *counters)
{
	*label =
		group_of_code((unsigned)row[LABEL_CAMPAIGN] - 1, (unsigned)row[LABEL_SCENARIO] - 1);
	*counters = group_of_code((unsigned)row[COUNTERS_CAMPAIGN] - 1,
	                          (unsigned)row[COUNTERS_SCENARIO] - 1);
}

struct spy {
	bool seen[CAMPAIGNS];
};

static int spy_fit(const struct subject *s, const struct table *t, void **state, struct km_err *err)
{
	struct spy *spy = calloc(1, sizeof(*spy));

	(void)s;
	(void)err;
	atomic_fetch_add(&fits, 1);
	for (size_t i = 0; i < t->count; i++) {
		unsigned label;
		unsigned counters;

		groups_of(t->rows + i * t->columns, &label, &counters);
		spy->seen[label] = true;
		spy->seen[counters] = true;
	}
	*state = spy;
	return 0;
}

static int spy_predict(void *state, const float *rows, size_t count, float *out, struct km_err *err)
{
	const struct spy *spy = state;

	(void)err;
	for (size_t i = 0; i < count; i++) {
		const float *row = rows + i * CODES;
		unsigned label;
		unsigned counters;

		out[i] = 0;
		if (isnan(row[COUNTERS_CAMPAIGN]))
			continue; /* the same row with *_now hidden */
		groups_of(row, &label, &counters);
		atomic_fetch_add(&asked, 1);
		atomic_fetch_add(&leaks, spy->seen[label] || spy->seen[counters]);
	}
	return 0;
}

static void spy_release(void *state)
{
	free(state);
}

static const struct learner learner_spy = { spy_fit, spy_predict, spy_release };

/* A run for each campaign and scenario, and its number. */
static size_t run_at(size_t campaign, size_t scenario)
{
	return campaign * SCENARIOS + scenario;
}

static void add_pair(struct dataset_world *w, size_t before, size_t after, bool empty)
{
	struct dataset_pair *p = empty ? dataset_world_empty_pair(w, before, after)
	                               : dataset_world_pair(w, before, after);

	p->rps = (int)(after / SCENARIOS) + 1;
	p->replicas = (int)(after % SCENARIOS) + 1;
	p->before_rps = (int)(before / SCENARIOS) + 1;
	p->before_replicas = (int)(before % SCENARIOS) + 1;
	(void)snprintf(p->family, sizeof(p->family), "%.1s", w->run[after].campaign);
}

/*
 * Lighter pairs stay in their campaign and scenario. Empty ones borrow counters of each other
 * campaign, of the same scenario and of another one.
 */
static struct km_dataset *open_coded(struct dataset_world *w)
{
	dataset_world_init(w);
	for (size_t c = 0; c < CAMPAIGNS; c++) {
		for (size_t s = 0; s < SCENARIOS; s++) {
			struct dataset_run *r =
				dataset_world_run(w, campaigns[c], mixes[s],
			                          s == 0 ? DATASET_NONE : DATASET_LOCAL, 500);

			r->samples = 12;
		}
	}
	for (size_t c = 0; c < CAMPAIGNS; c++) {
		for (size_t s = 0; s < SCENARIOS; s++) {
			add_pair(w, run_at(c, s), run_at(c, s), false);
			for (size_t from = 0; from < CAMPAIGNS; from++) {
				if (from == c)
					continue;
				add_pair(w, run_at(from, s), run_at(c, s), true);
				add_pair(w, run_at(from, (s + 1) % SCENARIOS), run_at(c, s), true);
			}
		}
	}
	dataset_world_write(w);
	return dataset_world_open(w, true, names, CODES);
}

static void spy_init(struct subject *s, const struct km_dataset *d)
{
	*s = (struct subject){ .name = "spy", .help = "", .learner = &learner_spy };
	assert_int_equal(subject_init(s, km_dataset_schema(d), names, CODES, NULL), 0);
	s->recipe = (struct km_recipe){ .weight_recorded = 1,
		                        .weight_lighter = 1,
		                        .weight_empty = 1,
		                        .weight_inflight = 1,
		                        .windows = 1,
		                        .seed = 1 };
	atomic_store(&fits, 0);
	atomic_store(&leaks, 0);
	atomic_store(&asked, 0);
}

static void a_group_is_judged_by_what_never_saw_it(void **state)
{
	static const struct {
		enum km_protocol protocol;
		unsigned folds; /* one for each group of labels and group of counters */
	} rows[] = {
		{ KM_PROTOCOL_CAMPAIGN, CAMPAIGNS * CAMPAIGNS },
		{ KM_PROTOCOL_FAMILY, CAMPAIGNS / 2 * CAMPAIGNS / 2 },
		{ KM_PROTOCOL_SCENARIO, 2 * SCENARIOS },
	};
	struct dataset_world w;
	struct km_dataset *d = open_coded(&w);
	size_t count;

	(void)state;
	(void)km_dataset_rows(d, &count);
	assert_int_equal(count, w.pair_count);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		for (unsigned threads = 1; threads <= 3; threads++) {
			struct crossval cv = { .dataset = d,
				               .protocol = rows[i].protocol,
				               .threads = threads,
				               .what = "spy" };
			float *out = calloc(count * PREDICTIONS_PER_ROW, sizeof(*out));
			struct subject s;

			protocol = rows[i].protocol;
			spy_init(&s, d);
			assert_true(crossval_possible(d, protocol));
			assert_int_equal(crossval_run(&cv, &s, out, NULL), 0);
			assert_int_equal(fits, rows[i].folds);
			assert_int_equal(asked, count * KM_LAYOUT_N); /* each row once a layout */
			if (leaks != 0)
				fail_msg("%s: %u of %u questions were about what training saw",
				         km_protocol_name(protocol), leaks, asked);
			for (size_t k = 0; k < count * PREDICTIONS_PER_ROW; k++)
				assert_true(out[k] == 0);
			subject_fini(&s);
			free(out);
		}
	}
	km_dataset_free(d);
	dataset_world_fini(&w);
}

/* Would the spy see a leak? A state fitted to everything is one. */
static void the_spy_sees_a_leak(void **state)
{
	struct dataset_world w;
	struct km_dataset *d = open_coded(&w);
	struct table t = { .count = 0 };
	void *fitted = NULL;
	struct subject s;
	size_t count;
	float *out;

	(void)state;
	(void)km_dataset_rows(d, &count);
	out = calloc(count * PREDICTIONS_PER_ROW, sizeof(*out));
	spy_init(&s, d);
	assert_int_equal(table_build(d, &s, NULL, &t, NULL), 0);
	assert_int_equal(s.learner->fit(&s, &t, &fitted, NULL), 0);
	assert_int_equal(predict_rows(d, &s, fitted, NULL, out, NULL), 0);
	assert_int_equal(leaks, asked);
	s.learner->release(fitted);
	table_fini(&t);
	subject_fini(&s);
	free(out);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

/*
 * A row with pods in flight has its counters from a lighter mix: that one may not have been seen
 * either when the mix of its label is left out, and the other way round.
 */
static void counters_of_a_left_out_scenario_are_left_out_too(void **state)
{
	static const char *const columns[] = { "pod.rps", "pod.replicas", "inflight.cpu",
		                               "inflight.l3" };
	struct km_dataset_options o = { .placement = true, .inflight = true };
	struct km_schema *schema = NULL;
	const struct km_dataset_row *row;
	struct dataset_world w;
	struct km_dataset *d = NULL;
	struct km_err err = { .code = 0 };
	size_t count;
	size_t inflight = 0;

	(void)state;
	dataset_world_init(&w);
	(void)dataset_world_run(&w, "A_V01", "100", DATASET_LOCAL, 500);
	(void)dataset_world_run(&w, "A_V01", "200", DATASET_LOCAL, 1000);
	(void)dataset_world_pair(&w, 0, 1);
	dataset_world_write(&w);
	assert_int_equal(km_schema_create(columns, KM_ARRAY_LEN(columns), 60, 5, &schema, NULL), 0);
	o.dir = w.dir;
	o.schema = schema;
	if (km_dataset_open(&o, &d, &err) != 0)
		fail_msg("%s", err.text);
	row = km_dataset_rows(d, &count);
	for (size_t i = 0; i < count; i++) {
		if (row[i].kind != KM_ROW_INFLIGHT)
			continue;
		inflight++;
		assert_string_equal(km_dataset_name(d, row[i].scenario), "c2_l0_m0");
		assert_string_equal(km_dataset_name(d, row[i].before_scenario), "c1_l0_m0");
	}
	assert_int_equal(inflight, 1);
	km_dataset_free(d);
	km_schema_unref(schema);
	dataset_world_fini(&w);
}

static int echo_predict(void *state, const float *rows, size_t count, float *out,
                        struct km_err *err)
{
	(void)state;
	(void)err;
	memcpy(out, rows, count * sizeof(*out)); /* of one column */
	return 0;
}

static const struct learner learner_echo = { NULL, echo_predict, NULL };

/* The input of a row in the recorded layout, window by window, and what the rows are judged by. */
static float *judge_by_echo(const struct dataset_world *w, bool placement, struct km_dataset **d)
{
	static const char *const columns[] = { "host.mem_read_bytes_per_s.mean" };
	struct subject s = { .name = "echo", .help = "", .learner = &learner_echo };
	size_t count;
	float *out;

	*d = dataset_world_open(w, placement, columns, 1);
	(void)km_dataset_rows(*d, &count);
	out = calloc(count * PREDICTIONS_PER_ROW, sizeof(*out));
	assert_non_null(out);
	assert_int_equal(subject_init(&s, km_dataset_schema(*d), columns, 1, NULL), 0);
	assert_int_equal(predict_rows(*d, &s, NULL, NULL, out, NULL), 0);
	subject_fini(&s);
	return out;
}

static void a_scheduler_is_judged_by_one_window_a_diagnosis_by_all(void **state)
{
	struct dataset_world w;
	size_t taken[3] = { 0 };

	(void)state;
	dataset_world_init(&w);
	dataset_world_plan(&w, 2);
	dataset_world_write(&w);
	for (int placement = 0; placement < 2; placement++) {
		struct km_dataset *d = NULL;
		float *out = judge_by_echo(&w, placement != 0, &d);
		size_t count;
		const struct km_dataset_row *row = km_dataset_rows(d, &count);

		for (size_t i = 0; i < count; i++) {
			float told = out[prediction_at(i, KM_LAYOUT_RECORDED, false)];
			float seen[3];
			int same = -1;

			assert_int_equal(km_dataset_windows(d, &row[i]), 3);
			for (size_t k = 0; k < 3; k++) {
				km_dataset_features(d, &row[i], KM_LAYOUT_RECORDED, k, &seen[k]);
				same = seen[k] == told ? (int)k : same;
			}
			if (placement) {
				assert_true(same >= 0);
				taken[same]++;
			} else {
				assert_true(fabs((double)(told - (seen[0] + seen[1] + seen[2]) /
				                                         3)) < 1e-6 * (double)told);
			}
		}
		free(out);
		km_dataset_free(d);
	}
	for (size_t k = 0; k < 3; k++)
		assert_true(taken[k] > 0); /* no window is a favourite */
	dataset_world_fini(&w);
}

static int stop_at(void *ctx, const char *what, size_t done, size_t all)
{
	const unsigned *limit = ctx;

	(void)what;
	assert_true(done <= all);
	return done >= *limit;
}

static void it_stops_when_told_and_needs_two_groups(void **state)
{
	struct dataset_world w;
	struct km_dataset *d = open_coded(&w);
	struct km_err err = { .code = 0 };
	struct crossval cv = { .dataset = d, .protocol = KM_PROTOCOL_CAMPAIGN, .what = "spy" };
	unsigned limit = 2;
	struct subject s;
	size_t count;
	float *out;

	(void)state;
	(void)km_dataset_rows(d, &count);
	out = calloc(count * PREDICTIONS_PER_ROW, sizeof(*out));
	cv.progress = stop_at;
	cv.ctx = &limit;
	for (cv.threads = 1; cv.threads <= 2; cv.threads++) {
		protocol = cv.protocol;
		spy_init(&s, d);
		assert_int_equal(crossval_run(&cv, &s, out, &err), -EINTR);
		assert_non_null(strstr(err.text, "stopped"));
		assert_true(fits >= 2 && fits <= 3); /* another thread may be at work already */
		subject_fini(&s);
	}
	free(out);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

/* Of many folds some are judged, each as ever; the rows of the others stay without an answer. */
static void of_too_many_folds_a_sample_is_judged(void **state)
{
	struct dataset_world w;
	struct km_dataset *d = open_coded(&w);
	size_t all = 0;
	struct crossval cv = { .dataset = d,
		               .protocol = KM_PROTOCOL_CAMPAIGN,
		               .threads = 2,
		               .what = "spy",
		               .folds_max = CAMPAIGNS * CAMPAIGNS,
		               .sampled_of = &all };
	struct subject s;
	size_t judged = 0;
	size_t count;
	float *out;

	(void)state;
	(void)km_dataset_rows(d, &count);
	out = calloc(count * PREDICTIONS_PER_ROW, sizeof(*out));
	protocol = cv.protocol;
	spy_init(&s, d);
	assert_int_equal(crossval_run(&cv, &s, out, NULL), 0);
	assert_int_equal(fits, CAMPAIGNS * CAMPAIGNS); /* just as many as may be */
	assert_int_equal(all, 0);
	subject_fini(&s);
	cv.folds_max--;
	spy_init(&s, d);
	assert_int_equal(crossval_run(&cv, &s, out, NULL), 0);
	assert_int_equal(fits, FOLDS_SAMPLED);
	assert_int_equal(all, CAMPAIGNS * CAMPAIGNS);
	assert_int_equal(leaks, 0);
	for (size_t k = 0; k < count * PREDICTIONS_PER_ROW; k++)
		judged += !isnan(out[k]);
	assert_int_equal(judged, asked * 2);
	assert_true(judged < count * PREDICTIONS_PER_ROW);
	subject_fini(&s);
	free(out);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

static void protocols_have_names(void **state)
{
	(void)state;
	assert_int_equal(km_protocol_parse("campaign"), KM_PROTOCOL_CAMPAIGN);
	assert_int_equal(km_protocol_parse("family"), KM_PROTOCOL_FAMILY);
	assert_int_equal(km_protocol_parse("scenario"), KM_PROTOCOL_SCENARIO);
	assert_int_equal(km_protocol_parse("given"), -1);
	assert_int_equal(km_protocol_parse(""), -1);
	assert_string_equal(km_protocol_name(KM_PROTOCOL_CAMPAIGN), "leave-campaign-out");
	assert_string_equal(km_protocol_name(KM_PROTOCOL_FAMILY), "leave-family-out");
	assert_string_equal(km_protocol_name(KM_PROTOCOL_SCENARIO), "leave-scenario-out");
	assert_string_equal(km_protocol_name(KM_PROTOCOL_GIVEN), "given-model");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_is_judged_by_what_never_saw_it),
		cmocka_unit_test(the_spy_sees_a_leak),
		cmocka_unit_test(counters_of_a_left_out_scenario_are_left_out_too),
		cmocka_unit_test(a_scheduler_is_judged_by_one_window_a_diagnosis_by_all),
		cmocka_unit_test(it_stops_when_told_and_needs_two_groups),
		cmocka_unit_test(of_too_many_folds_a_sample_is_judged),
		cmocka_unit_test(protocols_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
