/* SPDX-License-Identifier: Apache-2.0 */
/* dataset: what of a trace is used, into how many windows it goes, and traces that are no good. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "km/base/file.h"

#include "support/dataset_world.h"

static const char *const names[] = { "node.ipc.mean", "rest.ipc.mean", "node.c0_ratio.std",
	                             "host.mem_read_bytes_per_s.mean", "pod.rps" };
#define NAMES KM_ARRAY_LEN(names)
#define READ  3 /* the index of the bandwidth */

/* One run with a plain trace, not yet written. */
static struct dataset_run *one_run(struct dataset_world *w)
{
	struct dataset_run *r;

	dataset_world_init(w);
	r = dataset_world_run(w, "Alpha_V01", "200", DATASET_LOCAL, 1000);
	(void)snprintf(r->trace, sizeof(r->trace), "traces/run.csv");
	return r;
}

static size_t windows_of(const struct km_dataset *d, size_t row)
{
	size_t count;
	const struct km_dataset_row *rows = km_dataset_rows(d, &count);

	assert_true(row < count);
	return km_dataset_windows(d, &rows[row]);
}

static void newest(const struct km_dataset *d, float *out)
{
	size_t count;
	const struct km_dataset_row *row = km_dataset_rows(d, &count);

	km_dataset_features(d, row, KM_LAYOUT_RECORDED, km_dataset_windows(d, row) - 1, out);
}

/* The first row starts the clock, the last two are the partial one and the one held back. */
static void windows_are_as_long_as_the_schema_says(void **state)
{
	static const struct {
		int interval_s, rows;
		size_t windows; /* of 60 s; 0 = unusable */
		const char *why;
	} rows[] = {
		{ 5, 3 + 36, 3, "180 s" },
		{ 5, 3 + 6, 1, "30 s are half a window: all there is" },
		{ 5, 3 + 5, 0, "25 s are not" },
		{ 5, 3 + 12, 1, "60 s" },
		{ 5, 3 + 17, 1, "60 s and 25 s" },
		{ 5, 3 + 18, 2, "60 s and half a window" },
		{ 2, 3 + 89, 3, "two of 60 s, and 54 s in bins of 6 s" },
		{ 1, 3 + 120, 2, "two of 60 s in bins of 5 s" },
		{ 5, 3 + 12 * 20, KM_DATASET_WINDOWS_MAX, "no more than that are kept" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct dataset_world w;
		struct dataset_run *r = one_run(&w);
		struct km_dataset_stats stats;
		struct km_dataset *d;

		r->interval_s = rows[i].interval_s;
		r->samples = rows[i].rows;
		/* so that the folder has a row whatever becomes of this one */
		(void)dataset_world_run(&w, "Alpha_V01", "000", DATASET_NONE, 1000);
		dataset_world_write(&w);
		d = dataset_world_open(&w, false, names, NAMES);
		km_dataset_stats(d, &stats);
		if (stats.windows != rows[i].windows + 3)
			fail_msg("%s: %zu windows, want %zu", rows[i].why, stats.windows - 3,
			         rows[i].windows);
		assert_int_equal(stats.no_trace, rows[i].windows == 0);
		if (rows[i].windows > 0)
			assert_int_equal(windows_of(d, 0), rows[i].windows);
		else
			assert_string_equal(stats.first_bad, "traces/run.csv: 25 s of samples, "
			                                     "want at least 30");
		km_dataset_free(d);
		dataset_world_fini(&w);
	}
}

/* Writes another READ into the row of the trace that has this time of day. */
static void set_read(const struct dataset_world *w, int row, const char *value)
{
	struct km_buf text;
	struct km_buf now;
	char time[64];
	const char *at;
	const char *rest;

	km_buf_init(&text);
	km_buf_init(&now);
	assert_int_equal(
		km_file_read(dataset_world_path(w, "traces/run.csv"), 1 << 20, &text, NULL), 0);
	(void)snprintf(time, sizeof(time), "10:%02d:%02d.000,0.90,0.10,0.50,", row * 5 / 60,
	               row * 5 % 60);
	at = strstr(km_buf_cstr(&text), time);
	assert_non_null(at);
	at += strlen(time);
	rest = strchr(at, ',');
	km_buf_append(&now, text.data, (size_t)(at - text.data));
	km_buf_str(&now, value);
	km_buf_str(&now, rest);
	dataset_world_put(w, "traces/run.csv", now.data, now.len);
	km_buf_fini(&now);
	km_buf_fini(&text);
}

static void the_first_and_the_last_rows_do_not_count(void **state)
{
	static const struct {
		bool whole_end;
		int row; /* of DATASET_SAMPLES, from 0 */
		bool counts;
		const char *why;
	} rows[] = {
		{ false, 0, false, "starts the clock" },
		{ false, DATASET_SAMPLES - 1, false, "partial: PCM was being stopped" },
		{ false, DATASET_SAMPLES - 2, false, "the last whole one is held back too" },
		{ true, DATASET_SAMPLES - 1, false, "may be partial without looking so" },
		{ false, DATASET_SAMPLES - 3, true, "the last that counts" },
		{ true, DATASET_SAMPLES - 2, true, "the last that counts" },
		{ false, DATASET_SAMPLES - 14, true, "the first of the last window" },
		{ false, DATASET_SAMPLES - 15, false, "the last of the window before" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct dataset_world w;
		struct dataset_run *r = one_run(&w);
		struct km_dataset *d;
		float before[NAMES];
		float after[NAMES];

		r->whole_end = rows[i].whole_end;
		/* a whole last row makes one sample more: three windows all the same */
		r->samples = DATASET_SAMPLES - rows[i].whole_end;
		dataset_world_write(&w);
		d = dataset_world_open(&w, false, names, NAMES);
		newest(d, before);
		km_dataset_free(d);
		set_read(&w, rows[i].row - rows[i].whole_end, "99.00");
		d = dataset_world_open(&w, false, names, NAMES);
		newest(d, after);
		if ((before[READ] != after[READ]) != rows[i].counts)
			fail_msg("row %d, %s: %g became %g", rows[i].row, rows[i].why,
			         (double)before[READ], (double)after[READ]);
		km_dataset_free(d);
		dataset_world_fini(&w);
	}
}

static void a_cell_that_cannot_be_costs_its_row_only(void **state)
{
	static const char *const cells[] = { "1e300", "-1", "x", "1e10" };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(cells); i++) {
		struct dataset_world w;
		struct km_dataset *d;
		float row[NAMES];

		(void)one_run(&w);
		dataset_world_write(&w);
		set_read(&w, 30, cells[i]);
		d = dataset_world_open(&w, false, names, NAMES);
		newest(d, row);
		/* 0.17 + 0.04 GB a second, and noise */
		if (!(row[READ] > 0.1e9f && row[READ] < 0.3e9f))
			fail_msg("READ \"%s\": %g", cells[i], (double)row[READ]);
		assert_true(row[0] > 0 && row[1] > 0);
		km_dataset_free(d);
		dataset_world_fini(&w);
	}
}

static void what_was_not_measured_is_nan(void **state)
{
	struct dataset_world w;
	struct dataset_run *r = one_run(&w);
	struct km_dataset *d;
	float row[NAMES];

	(void)state;
	r->read_gb = NAN;
	dataset_world_write(&w);
	d = dataset_world_open(&w, false, names, NAMES);
	newest(d, row);
	assert_true(isnan(row[READ]));
	assert_true(row[0] > 0 && row[1] > 0 && row[2] > 0);
	assert_true(row[4] == 1000);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

/* ---- traces that are no good ---- */

static void missing(const struct dataset_world *w)
{
	assert_int_equal(remove(dataset_world_path(w, "traces/run.csv")), 0);
}

static void directory(const struct dataset_world *w)
{
	missing(w);
	assert_int_equal(mkdir(dataset_world_path(w, "traces/run.csv"), 0700), 0);
}

static void empty(const struct dataset_world *w)
{
	dataset_world_put(w, "traces/run.csv", "", 0);
}

static void header_only(const struct dataset_world *w)
{
	struct dataset_run r = w->run[0];

	r.samples = 0;
	dataset_world_trace(w, &r);
}

static void other_text(const struct dataset_world *w)
{
	struct km_buf text;

	km_buf_init(&text);
	for (int i = 0; i < 50; i++)
		km_buf_str(&text, "this is no trace\n");
	dataset_world_put(w, "traces/run.csv", text.data, text.len);
	km_buf_fini(&text);
}

/* The trace in gzip, `keep` parts in ten of it, the byte at the middle changed or not. */
static void gzip(const struct dataset_world *w, size_t keep, bool change)
{
	struct dataset_run r = w->run[0];
	struct km_buf bytes;
	FILE *f;
	char chunk[4096];
	size_t n;

	(void)snprintf(r.trace, sizeof(r.trace), "traces/other.csv.gz");
	dataset_world_trace(w, &r);
	km_buf_init(&bytes);
	f = fopen(dataset_world_path(w, r.trace), "rb");
	assert_non_null(f);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		km_buf_append(&bytes, chunk, n);
	(void)fclose(f);
	assert_true(bytes.len > 1000);
	if (change)
		bytes.data[bytes.len / 2] ^= 0x55;
	dataset_world_put(w, "traces/run.csv", bytes.data, bytes.len * keep / 10);
	km_buf_fini(&bytes);
}

static void cut_gzip(const struct dataset_world *w)
{
	gzip(w, 9, false);
}

static void corrupt_gzip(const struct dataset_world *w)
{
	gzip(w, 10, true);
}

static void few_cpus(const struct dataset_world *w)
{
	struct dataset_run r = w->run[0];

	r.cpus = 5; /* the target is 3-5 */
	dataset_world_trace(w, &r);
}

static void odd_cpus(const struct dataset_world *w)
{
	dataset_world_replace(w, "runs.csv", ",3-5,0-2,", ",3-x,0-2,");
}

static void overlapping_cpus(const struct dataset_world *w)
{
	dataset_world_replace(w, "runs.csv", ",3-5,0-2,", ",3-5,0-3,");
}

static void no_cpus(const struct dataset_world *w)
{
	dataset_world_replace(w, "runs.csv", ",3-5,0-2,", ",,0-2,");
}

static void too_many_cpus(const struct dataset_world *w)
{
	dataset_world_replace(w, "runs.csv", ",3-5,0-2,", ",99999,0-2,");
}

static void a_bad_trace_is_counted_and_named(void **state)
{
	static const struct {
		void (*spoil)(const struct dataset_world *w);
		const char *why;
	} rows[] = {
		{ missing, "No such file" },
		{ directory, "a directory, want a file" },
		{ empty, "0 s of samples, want at least 30" },
		{ header_only, "0 s of samples, want at least 30" },
		{ other_text, "header" },
		{ cut_gzip, "gzip data ends early" },
		{ corrupt_gzip, "gzip data" },
		{ few_cpus, "5 CPUs, want CPU 5" },
		{ odd_cpus, "CPU list \"3-x\"" },
		{ overlapping_cpus, "overlap" },
		{ no_cpus, "no target CPUs" },
		{ too_many_cpus, "want CPUs 0 to" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct dataset_world w;
		struct km_dataset_stats stats;
		struct km_dataset *d;
		size_t count;

		(void)one_run(&w);
		(void)dataset_world_run(&w, "Alpha_V01", "000", DATASET_NONE, 1000);
		dataset_world_write(&w);
		rows[i].spoil(&w);
		d = dataset_world_open(&w, false, names, NAMES);
		km_dataset_stats(d, &stats);
		(void)km_dataset_rows(d, &count);
		assert_int_equal(count, 1);
		assert_int_equal(stats.runs, 2);
		assert_int_equal(stats.traces, 1);
		assert_int_equal(stats.no_trace, 1);
		assert_int_equal(stats.no_label, 0);
		if (strncmp(stats.first_bad, "traces/run.csv: ", 16) != 0 ||
		    strstr(stats.first_bad, rows[i].why) == NULL)
			fail_msg("row %zu: \"%s\", want the trace's name and \"%s\"", i,
			         stats.first_bad, rows[i].why);
		km_dataset_free(d);
		dataset_world_fini(&w);
	}
}

static void a_folder_without_one_good_trace_says_why(void **state)
{
	struct km_dataset_options o = { .placement = false };
	struct km_schema *schema = NULL;
	struct km_err err = { .code = 0 };
	struct km_dataset *d = NULL;
	struct dataset_world w;

	(void)state;
	one_run(&w)->no_file = true;
	dataset_world_write(&w);
	assert_int_equal(km_schema_create(names, NAMES, 60, 5, &schema, NULL), 0);
	o.dir = w.dir;
	o.schema = schema;
	assert_int_equal(km_dataset_open(&o, &d, &err), -ENODATA);
	assert_null(d);
	assert_non_null(strstr(err.text, "no usable row: traces/run.csv: "));
	assert_non_null(strstr(err.text, "No such file"));
	km_schema_unref(schema);
	dataset_world_fini(&w);
}

static void a_trace_is_read_once_however_many_rows_need_it(void **state)
{
	struct km_dataset_stats stats;
	struct dataset_world w;
	struct km_dataset *d;
	size_t count;

	(void)state;
	(void)one_run(&w);
	(void)dataset_world_run(&w, "Alpha_V01", "200", DATASET_LOCAL, 2000);
	for (int i = 0; i < 20; i++)
		(void)dataset_world_pair(&w, 0, 1);
	(void)dataset_world_empty_pair(&w, 0, 1);
	dataset_world_write(&w);
	d = dataset_world_open(&w, true, names, NAMES);
	(void)km_dataset_rows(d, &count);
	km_dataset_stats(d, &stats);
	assert_int_equal(count, 21);
	assert_int_equal(stats.traces, 2); /* once for each node it is seen from */
	assert_int_equal(stats.windows, 6);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_are_as_long_as_the_schema_says),
		cmocka_unit_test(the_first_and_the_last_rows_do_not_count),
		cmocka_unit_test(a_cell_that_cannot_be_costs_its_row_only),
		cmocka_unit_test(what_was_not_measured_is_nan),
		cmocka_unit_test(a_bad_trace_is_counted_and_named),
		cmocka_unit_test(a_folder_without_one_good_trace_says_why),
		cmocka_unit_test(a_trace_is_read_once_however_many_rows_need_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
