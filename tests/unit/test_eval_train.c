/* SPDX-License-Identifier: Apache-2.0 */
/* eval: training writes a model that is what it says, the same one each time, or nothing at all. */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "km/model/model.h"

#include "support/eval_world.h"

/* One folder for the tests that do not change it. */
static struct dataset_world shared;

static int set_up(void **state)
{
	(void)state;
	eval_world_init(&shared, 4);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	dataset_world_fini(&shared);
	return 0;
}

static void read_file(const struct dataset_world *w, const char *name, struct km_buf *out)
{
	struct km_err err = { .code = 0 };

	km_buf_init(out);
	if (km_file_read(dataset_world_path(w, name), 64 << 20, out, &err) != 0)
		fail_msg("%s", err.text);
}

static size_t files_in(const struct dataset_world *w)
{
	DIR *dir = opendir(w->dir);
	size_t count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	(void)closedir(dir);
	return count;
}

static struct km_model *open_model(const struct dataset_world *w, const char *name)
{
	struct km_err err = { .code = 0 };
	struct km_model *m = NULL;

	if (km_model_open(dataset_world_path(w, name), &m, &err) != 0)
		fail_msg("%s", err.text);
	return m;
}

static void the_model_says_what_it_was_trained_on(void **state)
{
	struct km_eval_options o = eval_options(&shared, "model.ubj");
	const struct km_train_job job = { .options = o, .provenance = "a note" };
	struct km_eval_report r;
	struct km_err err = { .code = 0 };
	struct km_model_info info;
	struct km_dataset *d;
	struct km_model *m;
	const cJSON *member;
	cJSON *metrics;
	char text[128];

	(void)state;
	if (km_train_model(&job, &r, &err) != 0)
		fail_msg("%s", err.text);
	m = open_model(&shared, "model.ubj");
	km_model_info(m, &info);
	assert_string_equal(info.name, "synthetic");
	assert_string_equal(info.task, "placement");
	assert_int_equal(km_model_schema(m)->count, EVAL_FEATURES);
	assert_true(km_model_schema(m)->window_s == 60 && km_model_schema(m)->bin_s == 5);
	assert_string_equal(km_tier_name(km_model_schema(m)->tier), "uncore");
	assert_int_equal(strncmp(info.provenance, "a note; dataset km-dataset-", 27), 0);
	assert_null(strchr(info.provenance, '/')); /* where it lay is nobody's concern */
	d = dataset_world_open(&shared, true, eval_features, EVAL_FEATURES);
	(void)snprintf(text, sizeof(text), "%zu runs", shared.run_count);
	assert_non_null(strstr(info.provenance, text));
	(void)snprintf(text, sizeof(text), "fingerprint %016" PRIx64, km_dataset_fingerprint(d));
	assert_non_null(strstr(info.provenance, text));
	km_dataset_free(d);
	/* held-out residuals: some on both sides */
	assert_true(info.interval_low < 0 && info.interval_high > 0 && info.residual_sd > 0);
	assert_true(info.range_low[8] == 500 && info.range_high[8] == 2000); /* pod.rps */
	assert_true(info.range_low[12] == 0 && info.range_high[12] == 3);    /* inflight.cpu */
	metrics = cJSON_Parse(info.metrics_json);
	assert_non_null(metrics);
	assert_string_equal(cJSON_GetObjectItem(metrics, "protocol")->valuestring,
	                    "leave-campaign-out");
	member = cJSON_GetObjectItem(metrics, "metrics");
	assert_true(fabs(cJSON_GetObjectItem(member, "mae")->valuedouble - r.metrics.scores.mae) <
	            1e-3);
	assert_non_null(cJSON_GetObjectItem(metrics, "empty"));
	cJSON_Delete(metrics);
	km_model_unref(m);
	km_eval_report_fini(&r);
}

static void the_report_of_training_is_the_held_out_one(void **state)
{
	struct km_eval_options o = eval_options(&shared, "model.ubj");
	struct km_eval_report r;
	struct km_eval_report cv;
	struct km_err err;
	double sum = 0;

	(void)state;
	assert_int_equal(eval_train(&o, &r, &err), 0);
	eval_ok(&o, KM_PROTOCOL_CAMPAIGN, &cv);
	assert_int_equal(r.protocol, KM_PROTOCOL_CAMPAIGN);
	assert_false(r.in_sample);
	assert_true(r.placement);
	assert_true(r.metrics.scores.mae == cv.metrics.scores.mae);
	assert_true(r.metrics.scores.coverage90 == cv.metrics.scores.coverage90);
	assert_true(r.empty.scores.mae == cv.empty.scores.mae && r.empty.scores.rows > 0);
	for (int i = 0; i < 3; i++)
		assert_true(r.inflight[i].scores.rows > 0);
	/* the synthetic world can be learned */
	assert_true(r.metrics.scores.mae < 0.1 && r.metrics.scores.pair_accuracy125 > 0.9);
	assert_int_equal(r.gain_count, EVAL_FEATURES);
	for (size_t i = 0; i < r.gain_count; i++) {
		sum += r.gain[i].share;
		assert_true(r.gain[i].share >= 0);
		assert_true(i == 0 || r.gain[i].share <= r.gain[i - 1].share);
	}
	assert_true(fabs(sum - 1) < 1e-9);
	km_eval_report_fini(&cv);
	km_eval_report_fini(&r);
}

static void same_folder_same_bytes_on_one_thread_or_two(void **state)
{
	struct km_buf bytes[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct km_eval_options o = eval_options(&shared, "same.ubj");
		struct km_eval_report r;
		struct km_err err;

		o.threads = i < 2 ? i + 1 : 2;
		if (eval_train(&o, &r, &err) != 0)
			fail_msg("%s", err.text);
		km_eval_report_fini(&r);
		read_file(&shared, "same.ubj", &bytes[i]);
	}
	for (unsigned i = 1; i < 3; i++) {
		assert_int_equal(bytes[0].len, bytes[i].len);
		assert_memory_equal(bytes[0].data, bytes[i].data, bytes[0].len);
	}
	for (unsigned i = 0; i < 3; i++)
		km_buf_fini(&bytes[i]);
}

/* ---- nothing is overwritten ---- */

struct stop {
	unsigned calls, at; /* from the at-th call on: stop; 0 = never */
};

static int stop_from(void *ctx, const char *what, size_t done, size_t all)
{
	struct stop *s = ctx;

	(void)all;
	(void)done;
	assert_non_null(what);
	s->calls++;
	return s->at > 0 && s->calls >= s->at;
}

static void want_untouched(const struct dataset_world *w, const char *name, const char *old,
                           size_t files)
{
	struct km_buf now;

	read_file(w, name, &now);
	assert_string_equal(km_buf_cstr(&now), old);
	assert_int_equal(files_in(w), files);
	km_buf_fini(&now);
}

static void stopped_at_any_moment_it_writes_nothing(void **state)
{
	static const char old[] = "an older model";
	struct km_eval_options o = eval_options(&shared, "old.ubj");
	struct km_eval_report r;
	struct km_err err;
	struct stop all = { 0 };
	size_t files;

	(void)state;
	o.progress = stop_from;
	o.ctx = &all;
	assert_int_equal(eval_train(&o, &r, &err), 0); /* how often is it asked? */
	km_eval_report_fini(&r);
	assert_true(all.calls >= 6); /* four folds, and before and after the last fit */
	dataset_world_put(&shared, "old.ubj", old, sizeof(old) - 1);
	files = files_in(&shared);
	for (unsigned at = 1; at <= all.calls; at++) {
		struct stop s = { .at = at };

		o.ctx = &s;
		assert_int_equal(eval_train(&o, &r, &err), -EINTR);
		assert_non_null(strstr(err.text, "stopped"));
		want_untouched(&shared, "old.ubj", old, files);
	}
	/* while the baselines are judged */
	o.no_baselines = false;
	for (unsigned at = all.calls + 1; at <= all.calls + 9; at += 4) {
		struct stop s = { .at = at };

		o.ctx = &s;
		assert_int_equal(eval_train(&o, &r, &err), -EINTR);
		want_untouched(&shared, "old.ubj", old, files);
	}
	assert_int_equal(remove(dataset_world_path(&shared, "old.ubj")), 0);
}

static void want_refusal(const struct dataset_world *w, const struct km_eval_options *o, int code,
                         const char *text)
{
	static const char old[] = "an older model";
	struct km_eval_report r;
	struct km_err err;
	size_t files;
	int rc;

	dataset_world_put(w, "old.ubj", old, sizeof(old) - 1);
	files = files_in(w);
	rc = eval_train(o, &r, &err);
	if (rc != code || strstr(err.text, text) == NULL)
		fail_msg("%d \"%s\", want %d \"%s\"", rc, err.text, code, text);
	want_untouched(w, "old.ubj", old, files);
}

static void what_cannot_be_trained_writes_nothing(void **state)
{
	static const char *const unknown[] = { "node.ipc.mean", "node.luck.mean" };
	struct dataset_world w;
	struct km_eval_options o;

	(void)state;
	eval_world_init(&w, 1);
	o = eval_options(&w, "old.ubj");
	want_refusal(&w, &o, -ENODATA, "leave-campaign-out: one group only, want at least two");
	o.dataset = dataset_world_path(&w, "nowhere");
	want_refusal(&w, &o, -ENOENT, "nowhere/runs.csv");
	o = eval_options(&w, "old.ubj");
	o.pairs = dataset_world_path(&w, "no-pairs.csv");
	want_refusal(&w, &o, -ENOENT, "no-pairs.csv");
	o = eval_options(&w, "old.ubj");
	o.features = dataset_world_path(&w, "no-features.yaml");
	want_refusal(&w, &o, -ENOENT, "no-features.yaml");
	o = eval_options(&w, "old.ubj");
	(void)dataset_world_features(&w, "placement", EVAL_TRAINING, unknown, 2);
	want_refusal(&w, &o, -EINVAL, "luck");
	(void)dataset_world_features(&w, "guessing", EVAL_TRAINING, eval_features, EVAL_FEATURES);
	want_refusal(&w, &o, -EINVAL, "features.yaml:2: task: saw guessing");
	dataset_world_put(&w, "features.yaml", "name: [", 7);
	want_refusal(&w, &o, -EINVAL, "features.yaml:");
	dataset_world_fini(&w);
}

static void a_model_that_cannot_be_put_in_place_is_an_error(void **state)
{
	struct km_eval_options o = eval_options(&shared, "no/such/dir/model.ubj");
	struct km_eval_report r;
	struct km_err err;
	size_t files = files_in(&shared);

	(void)state;
	assert_int_equal(eval_train(&o, &r, &err), -ENOENT);
	assert_non_null(strstr(err.text, "no/such/dir"));
	o.model = dataset_world_path(&shared, "traces"); /* a directory */
	assert_true(eval_train(&o, &r, &err) < 0);
	assert_int_equal(files_in(&shared), files);
}

/* ---- odd folders that can be trained ---- */

static void equal_labels_make_a_model_that_says_so(void **state)
{
	struct km_eval_options o;
	struct dataset_world w;
	struct km_eval_report r;
	struct km_prediction p;
	struct km_err err;
	struct km_model *m;
	float row[EVAL_FEATURES];

	(void)state;
	eval_world_init(&w, 3);
	for (size_t i = 0; i < w.run_count; i++)
		w.run[i].slowdown = 1.5;
	for (size_t i = 0; i < w.pair_count; i++) {
		w.pair[i].slowdown = 1.5;
		w.run[w.pair[i].after].place = DATASET_LOCAL; /* else NP is 1 by definition */
	}
	dataset_world_write(&w);
	o = eval_options(&w, "model.ubj");
	if (eval_train(&o, &r, &err) != 0)
		fail_msg("%s", err.text);
	assert_true(isnan(r.metrics.scores.r2) && isnan(r.metrics.scores.spearman));
	assert_true(isnan(r.metrics.scores.pair_accuracy));
	assert_true(r.metrics.scores.mae < 1e-3);
	km_eval_report_fini(&r);
	m = open_model(&w, "model.ubj");
	for (size_t i = 0; i < EVAL_FEATURES; i++)
		row[i] = NAN;
	assert_int_equal(km_model_predict(m, row, 1, &p, NULL), 0);
	assert_true(fabs(p.slowdown - 1.5) < 1e-3);
	km_model_unref(m);
	dataset_world_fini(&w);
}

static void columns_nobody_measured_do_no_harm(void **state)
{
	struct km_eval_options o;
	struct km_model_info info;
	struct dataset_world w;
	struct km_eval_report r;
	struct km_err err;
	struct km_model *m;

	(void)state;
	eval_world_init(&w, 3);
	for (size_t i = 0; i < w.run_count; i++)
		w.run[i].read_gb = NAN;
	dataset_world_write(&w);
	o = eval_options(&w, "model.ubj");
	o.no_baselines = false;
	if (eval_train(&o, &r, &err) != 0)
		fail_msg("%s", err.text);
	assert_true(r.metrics.scores.mae < 0.15);
	assert_int_equal(r.baseline_count, 4);
	for (size_t i = 0; i < r.baseline_count; i++)
		assert_true(r.baseline[i].scores.mae > 0);
	km_eval_report_fini(&r);
	m = open_model(&w, "model.ubj");
	km_model_info(m, &info);
	assert_true(isnan(info.range_low[0]) && isnan(info.range_high[1]));
	assert_false(isnan(info.range_low[2]));
	km_model_unref(m);
	dataset_world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_model_says_what_it_was_trained_on),
		cmocka_unit_test(the_report_of_training_is_the_held_out_one),
		cmocka_unit_test(same_folder_same_bytes_on_one_thread_or_two),
		cmocka_unit_test(stopped_at_any_moment_it_writes_nothing),
		cmocka_unit_test(what_cannot_be_trained_writes_nothing),
		cmocka_unit_test(a_model_that_cannot_be_put_in_place_is_an_error),
		cmocka_unit_test(equal_labels_make_a_model_that_says_so),
		cmocka_unit_test(columns_nobody_measured_do_no_harm),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
