/* SPDX-License-Identifier: Apache-2.0 */
/* model: opening the fixed test model, its attributes, predictions, contributions, threads. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/base/rng.h"
#include "km/model/model.h"

#define MODEL    "tests/fixtures/model/test.ubj"
#define FEATURES 5

static struct km_model *open_model(void)
{
	struct km_err err = { .code = 0 };
	struct km_model *m = NULL;

	if (km_model_open(MODEL, &m, &err) != 0)
		fail_msg("%s", err.text);
	return m;
}

static size_t thread_count(void)
{
	DIR *dir = opendir("/proc/self/task");
	size_t count = 0;

	assert_non_null(dir);
	for (struct dirent *d = readdir(dir); d; d = readdir(dir))
		count += d->d_name[0] != '.';
	(void)closedir(dir);
	return count;
}

/* First in the file: OpenMP's pool, once started, would stay for the tests after it. */
static void loading_and_predicting_starts_no_thread(void **state)
{
	size_t before = thread_count();
	float rows[600 * FEATURES] = { 0 };
	struct km_prediction out[600];
	float contribution[FEATURES + 1];
	struct km_model *m;

	(void)state;
	m = open_model();
	assert_int_equal(km_model_predict(m, rows, 600, out, NULL), 0);
	assert_int_equal(km_model_contributions(m, rows, contribution, NULL), 0);
	assert_int_equal(thread_count(), before);
	km_model_unref(m);
}

static void a_file_says_what_it_is(void **state)
{
	struct km_model *m = open_model();
	const struct km_schema *s = km_model_schema(m);
	struct km_model_info info;

	(void)state;
	km_model_info(m, &info);
	assert_string_equal(info.name, "test");
	assert_string_equal(info.task, "placement");
	assert_string_equal(info.metrics_json, "{}");
	assert_non_null(strstr(info.provenance, "synthetic"));
	assert_int_equal(info.tree_count, 24);
	assert_int_equal(info.max_depth, 3);
	assert_true(info.file_bytes > 1000 && info.file_bytes <= 30000);
	assert_true(info.hash != 0);
	assert_true(info.interval_low < 0 && info.interval_high > 0);
	assert_true(info.residual_sd > 0.03 && info.residual_sd < 0.3);
	assert_int_equal(s->count, FEATURES);
	assert_string_equal(s->feature[0].name, "node.ipc.mean");
	assert_string_equal(s->feature[4].name, "pod.rps");
	assert_true(s->window_s == 60 && s->bin_s == 5);
	assert_int_equal(s->tier, KM_TIER_UNCORE);
	assert_true(info.range_low[4] == 100 && info.range_high[4] == 4000);
	km_model_unref(m);
}

static void predictions_follow_the_interference(void **state)
{
	static const struct {
		float row[FEATURES]; /* ipc, c0, l3 misses/s, writes B/s, rps */
		double low;
		double high;
		uint32_t outside;
		uint32_t missing;
		const char *why;
	} rows[] = {
		{ { 2.2f, 0.05f, 1e6f, 1e8f, 500 }, 0.9, 1.15, 0, 0, "idle node, light load" },
		{ { 0.5f, 0.95f, 5e7f, 7e9f, 500 }, 1.8, 4, 0, 0, "busy node, light load" },
		{ { 0.5f, 0.95f, 5e7f, 7e9f, 3800 }, 4, 20, 0, 0, "busy node, full load" },
		{ { 2.2f, 0.05f, 1e6f, 1e8f, 9000 }, 0.9, 1.6, 1, 0, "load beyond training" },
		{ { NAN, NAN, NAN, NAN, NAN }, 0.5, 10, 0, 5, "nothing known" },
		{ { INFINITY, -1, 1e30f, -INFINITY, 1e9f }, 0.5, 20, 5, 0, "all outside" },
	};
	struct km_model *m = open_model();

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_prediction p;

		assert_int_equal(km_model_predict(m, rows[i].row, 1, &p, NULL), 0);
		if (!(p.slowdown > rows[i].low && p.slowdown < rows[i].high))
			fail_msg("%s: %g", rows[i].why, p.slowdown);
		assert_true(p.low <= p.slowdown && p.slowdown <= p.high);
		assert_int_equal(p.outside, rows[i].outside);
		assert_int_equal(p.missing, rows[i].missing);
	}
	km_model_unref(m);
}

static void outside_features_widen_the_interval_up_to_twice(void **state)
{
	static const struct {
		float row[FEATURES];
		double factor;
	} rows[] = {
		{ { 2.4f, 0.5f, 3e7f, 4e9f, 2000 }, 1 },
		{ { 2.6f, 0.5f, 3e7f, 4e9f, 2000 }, 1.1 },
		{ { 2.6f, 1.5f, 3e7f, 4e9f, 2000 }, 1.21 },
		{ { 2.6f, 1.5f, 7e7f, 9e9f, 5000 }, 1.61051 },
	};
	struct km_model *m = open_model();
	struct km_model_info info;

	(void)state;
	km_model_info(m, &info);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		double want = (info.interval_high - info.interval_low) * rows[i].factor;
		struct km_prediction p;

		assert_int_equal(km_model_predict(m, rows[i].row, 1, &p, NULL), 0);
		assert_true(fabs(log(p.high / p.low) - want) < 1e-9);
	}
	km_model_unref(m);
}

static void fill_rows(float *rows, size_t row_count)
{
	struct km_rng rng;

	km_rng_init(&rng, 3);
	for (size_t i = 0; i < row_count * FEATURES; i++)
		rows[i] = km_rng_below(&rng, 10) == 0 ? NAN : (float)(km_rng_unit(&rng) * 4000);
}

static void a_row_gets_the_same_answer_in_any_batch(void **state)
{
	static const size_t counts[] = { 0, 1, 2, 255, 256, 257, 1025, 5000 };
	float *rows = calloc(5000 * FEATURES, sizeof(*rows));
	struct km_prediction *alone = calloc(5000, sizeof(*alone));
	struct km_prediction *batch = calloc(5000, sizeof(*batch));
	struct km_model *m = open_model();

	(void)state;
	assert_true(rows && alone && batch);
	fill_rows(rows, 5000);
	for (size_t i = 0; i < 5000; i++)
		assert_int_equal(km_model_predict(m, rows + i * FEATURES, 1, &alone[i], NULL), 0);
	for (size_t c = 0; c < KM_ARRAY_LEN(counts); c++) {
		assert_int_equal(km_model_predict(m, rows, counts[c], batch, NULL), 0);
		assert_memory_equal(batch, alone, counts[c] * sizeof(*batch));
	}
	km_model_unref(m);
	free(batch);
	free(alone);
	free(rows);
}

static void contributions_add_up_to_the_prediction(void **state)
{
	float rows[20 * FEATURES];
	struct km_model *m = open_model();

	(void)state;
	fill_rows(rows, 20);
	for (size_t i = 0; i < 20; i++) {
		float contribution[FEATURES + 1];
		struct km_prediction p;
		double sum = 0;

		assert_int_equal(km_model_predict(m, rows + i * FEATURES, 1, &p, NULL), 0);
		assert_int_equal(km_model_contributions(m, rows + i * FEATURES, contribution, NULL),
		                 0);
		for (size_t j = 0; j <= FEATURES; j++)
			sum += (double)contribution[j];
		assert_true(fabs(sum - log(p.slowdown)) < 1e-5);
	}
	km_model_unref(m);
}

struct worker {
	pthread_t thread;
	struct km_model *model; /* its own reference */
	const float *rows;
	const struct km_prediction *want;
	size_t wrong;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	km_model_thread_init();
	for (int round = 0; round < 20; round++) {
		struct km_prediction got[300];
		float contribution[FEATURES + 1];
		size_t count = round % 2 ? 300 : 1;

		if (km_model_predict(w->model, w->rows, count, got, NULL) != 0 ||
		    memcmp(got, w->want, count * sizeof(*got)) != 0)
			w->wrong++;
		if (km_model_contributions(w->model, w->rows, contribution, NULL) != 0)
			w->wrong++;
	}
	km_model_unref(w->model);
	return NULL;
}

static void threads_share_a_model(void **state)
{
	float rows[300 * FEATURES];
	struct km_prediction want[300];
	struct worker workers[4];
	struct km_model *m = open_model();

	(void)state;
	fill_rows(rows, 300);
	assert_int_equal(km_model_predict(m, rows, 300, want, NULL), 0);
	for (size_t i = 0; i < KM_ARRAY_LEN(workers); i++) {
		workers[i] =
			(struct worker){ .model = km_model_ref(m), .rows = rows, .want = want };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	km_model_unref(m); /* the last of the workers frees it */
	for (size_t i = 0; i < KM_ARRAY_LEN(workers); i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		assert_int_equal(workers[i].wrong, 0);
	}
}

/* The test model's bytes, with `find` replaced by `put` at its n-th occurrence. */
static char *changed(size_t n, const char *find, const char *put, size_t *len)
{
	struct km_buf bytes;
	char *at;

	km_buf_init(&bytes);
	assert_int_equal(km_file_read(MODEL, KM_MODEL_FILE_MAX_BYTES, &bytes, NULL), 0);
	assert_int_equal(strlen(find), strlen(put));
	at = bytes.data;
	for (;; at++) {
		at = memmem(at, bytes.len - (size_t)(at - bytes.data), find, strlen(find));
		assert_non_null(at);
		if (n-- == 0)
			break;
	}
	memcpy(at, put, strlen(put));
	*len = bytes.len;
	return km_buf_take(&bytes, len);
}

static void a_wrong_attribute_is_refused_by_name(void **state)
{
	static const struct {
		size_t occurrence;
		const char *find;
		const char *put;
		int want;
		const char *want_text;
	} rows[] = {
		{ 0, "schema_version", "schema_versiox", -EPROTO, "not a KubeMarla model" },
		{ 0, "log_slowdown", "raw_slowdown", -EPROTO, "kubemarla.target" },
		{ 0, "placement", "placemenx", -EPROTO, "kubemarla.task" },
		{ 0, "node.ipc.mean", "node.ipx.mean", -EPROTO, "ipx" },
		{ 0, "node.c0_ratio.mean", "node.ipc.mean\nnode", -EPROTO, "twice" },
		{ 0, "uncore", "uncork", -EPROTO, "kubemarla.tier" },
		{ 0, "kubemarla.golden", "kubemarla.goldex", -EBADMSG, "no attribute" },
		{ 0, "kubemarla.golden", "kubemarla.ranges", -EBADMSG, "twice" },
		{ 0, "nan nan nan nan nan ", "1.0 1.0 0.5 1.0 0.2 ", -EBADMSG, "golden vector 4" },
		{ 0, "nan nan nan nan nan ", "nan nan nan nan  nan", -EBADMSG, "line 5" },
		{ 0, "100 4000", "4000 100", -EBADMSG, "4000 100" },
		{ 0, "100 4000", "100 nan ", -EBADMSG, "100 nan " },
		{ 0, "100 4000", "100\n4000", -EBADMSG, "6 lines" },
		{ 0, "reg:squarederror", "reg:squaredlogxx", -EBADMSG, "squaredlogxx" },
		{ 0, "gbtree}", "gbtres}", -EBADMSG, "gbtres" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_err err = { .code = 0 };
		struct km_model *m = NULL;
		size_t len;
		char *bytes = changed(rows[i].occurrence, rows[i].find, rows[i].put, &len);
		int rc = km_model_open_bytes(bytes, len, &m, &err);

		if (rc != rows[i].want || !strstr(err.text, rows[i].want_text))
			fail_msg("%s -> %s: rc %d \"%s\", want %d with \"%s\"", rows[i].find,
			         rows[i].put, rc, err.text, rows[i].want, rows[i].want_text);
		assert_int_equal(err.code, -rc);
		assert_null(m);
		assert_true(km_model_open_bytes(bytes, len, &m, NULL) < 0);
		free(bytes);
	}
}

static void write_file(const char *path, const void *data, size_t len)
{
	assert_int_equal(km_file_write_atomic(path, data, len, NULL), 0);
}

static void what_is_not_a_model_is_refused_with_its_name(void **state)
{
	char dir[] = "/tmp/km-model-XXXXXX";
	char path[64];
	struct km_err err = { .code = 0 };
	struct km_model *m = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/model.ubj", dir);
	assert_int_equal(km_model_open(path, &m, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
	write_file(path, "", 0);
	assert_int_equal(km_model_open(path, &m, &err), -EBADMSG);
	assert_non_null(strstr(err.text, path));
	write_file(path, "{\"learner\": {}}", 15);
	assert_int_equal(km_model_open(path, &m, &err), -EBADMSG);
	assert_int_equal(km_model_open(dir, &m, &err) < 0, 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_null(m);
}

static void a_model_without_name_is_called_after_its_directory(void **state)
{
	char dir[] = "/tmp/km-model-XXXXXX";
	char path[64];
	struct km_model *m = NULL;
	struct km_model_info info;
	size_t len;
	char *bytes = changed(0, "kubemarla.name", "kubemarla.nome", &len);

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/model.ubj", dir);
	write_file(path, bytes, len);
	free(bytes);
	assert_int_equal(km_model_open(path, &m, NULL), 0);
	km_model_info(m, &info);
	assert_string_equal(info.name, dir + strlen("/tmp/"));
	km_model_unref(m);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loading_and_predicting_starts_no_thread),
		cmocka_unit_test(a_file_says_what_it_is),
		cmocka_unit_test(predictions_follow_the_interference),
		cmocka_unit_test(outside_features_widen_the_interval_up_to_twice),
		cmocka_unit_test(a_row_gets_the_same_answer_in_any_batch),
		cmocka_unit_test(contributions_add_up_to_the_prediction),
		cmocka_unit_test(threads_share_a_model),
		cmocka_unit_test(a_wrong_attribute_is_refused_by_name),
		cmocka_unit_test(what_is_not_a_model_is_refused_with_its_name),
		cmocka_unit_test(a_model_without_name_is_called_after_its_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
