/* SPDX-License-Identifier: Apache-2.0 */
/* Replay: pace, loops, files that grow, end, or are no traces. */
#include <errno.h>
#include <math.h>
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

#include "km/base/clock.h"
#include "km/base/macros.h"
#include "km/core/feature.h"
#include "km/sources/source.h"

#define HEADER "System - Date,System - Time,Core0 (Socket 0) - IPC,Core0 (Socket 0) - L2MISS"

struct trace {
	char dir[64], path[96];
	struct km_source_settings settings;
	struct km_source *source;
	int64_t now_ns;
	unsigned count; /* samples of the last read */
	int64_t first_start_ns, last_end_ns;
	double last_l2;
	bool contiguous; /* each sample began where the one before it ended */
	int state;
};

static void append(struct trace *t, const char *text)
{
	FILE *f = fopen(t->path, "a");

	assert_non_null(f);
	assert_int_equal(fputs(text, f) < 0, 0);
	assert_int_equal(fclose(f), 0);
}

/* Rows numbered from `first`, one a second; the row's number is its L2 misses in millions. */
static void append_rows(struct trace *t, int first, int count)
{
	for (int i = first; i < first + count; i++) {
		char row[96];

		(void)snprintf(row, sizeof(row), "2025-01-01,10:%02d:%02d.000,1.00,%d\n", i / 60,
		               i % 60, i);
		append(t, row);
	}
}

static void trace_init(struct trace *t)
{
	memset(t, 0, sizeof(*t));
	strcpy(t->dir, "/tmp/km-test-sources-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	(void)snprintf(t->path, sizeof(t->path), "%s/trace.csv", t->dir);
	strcpy(t->settings.kind, "replay");
	t->settings.replay.file = t->path;
	t->settings.replay.speed = 1;
	t->now_ns = 77 * KM_NS_PER_S;
	t->contiguous = true;
}

static int trace_try_open(struct trace *t, struct km_err *err)
{
	const struct km_source_args args = { .settings = &t->settings, .now_ns = t->now_ns };

	return km_source_open(&args, &t->source, err);
}

static void trace_open(struct trace *t)
{
	struct km_err err = { 0 };

	if (trace_try_open(t, &err) != 0) {
		fail_msg("%s", err.text);
	}
}

static void on_sample(void *ctx, const struct km_sample *s)
{
	struct trace *t = ctx;

	if (t->last_end_ns != 0 && s->start_ns != t->last_end_ns) {
		t->contiguous = false;
	}
	if (t->first_start_ns == 0) {
		t->first_start_ns = s->start_ns;
	}
	t->count++;
	t->last_end_ns = s->end_ns;
	t->last_l2 = km_sample_cpu(s, 0, KM_COUNT_L2_MISS) / 1e6;
}

/* returns how many samples came. */
static unsigned read_after(struct trace *t, double seconds)
{
	struct km_err err = { 0 };

	t->now_ns += llround(seconds * 1e9);
	t->count = 0;
	t->state = km_source_read(t->source, t->now_ns, on_sample, t, &err);
	if (t->state < 0) {
		fail_msg("%s", err.text);
	}
	return t->count;
}

static void trace_fini(struct trace *t)
{
	km_source_close(t->source);
	(void)unlink(t->path);
	assert_int_equal(rmdir(t->dir), 0);
}

static void what_is_no_trace_is_refused_when_opened(void **state)
{
	static const struct {
		const char *content; /* NULL: no file */
		int want;
	} rows[] = {
		{ NULL, -ENOENT },
		{ "System,System,Core0\nDate,Time\n", -EBADMSG },
		{ "System - Date,System - Time,Core5000 - IPC\n", -E2BIG },
		{ "\x1f\x8b\x08\x00 this is no gzip", -EBADMSG },
	};
	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct trace t;
		struct km_err err = { 0 };
		int ret;

		trace_init(&t);
		if (rows[i].content != NULL) {
			append(&t, rows[i].content);
		}
		ret = trace_try_open(&t, &err);
		if (ret != rows[i].want) {
			fail_msg("row %zu: %d %s", i, ret, err.text);
		}
		assert_non_null(strstr(err.text, "trace.csv"));
		assert_null(t.source);
		trace_fini(&t);
	}
}

static void a_fifo_does_not_hang_the_sampler(void **state)
{
	struct trace t;
	struct km_err err = { 0 };

	(void)state;
	trace_init(&t);
	assert_int_equal(mkfifo(t.path, 0600), 0);
	assert_int_equal(trace_try_open(&t, &err), -EINVAL);
	assert_non_null(strstr(err.text, "not a regular file"));
	trace_fini(&t);
}

static void rows_come_at_the_pace_of_the_trace_times_speed(void **state)
{
	static const struct {
		double speed;
		double after_s; /* the second read */
		unsigned want;
	} rows[] = { { 1, 0.5, 0 },  { 1, 1, 1 },   { 1, 3.5, 3 }, { 2, 1, 2 },
		     { 60, 0.1, 6 }, { 0.5, 1, 0 }, { 0.5, 2, 1 }, { 1e9, 1, 28 } };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct trace t;

		trace_init(&t);
		append(&t, HEADER "\n");
		append_rows(&t, 0, 30);
		t.settings.replay.speed = rows[i].speed;
		trace_open(&t);
		/* 30 rows are 29 samples; the first is due at once, whatever the speed */
		assert_int_equal(read_after(&t, 0), 1);
		assert_true(t.last_l2 == 1);
		assert_int_equal(t.state, KM_SOURCE_LIVE);
		assert_int_equal(read_after(&t, rows[i].after_s), rows[i].want);
		assert_true(t.contiguous);
		trace_fini(&t);
	}
}

static void a_loop_continues_time_without_a_delta_across_the_seam(void **state)
{
	struct trace t;
	struct km_source_stats stats;

	(void)state;
	trace_init(&t);
	append(&t, HEADER "\n");
	append_rows(&t, 0, 5);
	t.settings.replay.loop = true;
	trace_open(&t);
	assert_int_equal(read_after(&t, 0), 1);
	assert_int_equal(read_after(&t, 3), 3);
	assert_true(t.last_l2 == 4);
	assert_int_equal(read_after(&t, 1), 1);
	assert_true(t.last_l2 == 1); /* row 0 only started the clock */
	assert_int_equal(read_after(&t, 1000), 1000);
	assert_int_equal(t.state, KM_SOURCE_LIVE);
	assert_true(t.contiguous);
	assert_true(t.last_end_ns - t.first_start_ns == 1005 * KM_NS_PER_S);
	km_source_get_stats(t.source, &stats);
	assert_int_equal(stats.rows, 1005);
	assert_int_equal(stats.bad_rows, 0);
	trace_fini(&t);
}

static void a_loop_over_nothing_ends(void **state)
{
	static const char *const contents[] = { "", HEADER "\n",
		                                HEADER "\n2025-01-01,10:00:00,1,1\n",
		                                HEADER "\nx\ny\n" };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(contents); i++) {
		struct trace t;

		trace_init(&t);
		append(&t, contents[i]);
		t.settings.replay.loop = true;
		trace_open(&t);
		assert_int_equal(read_after(&t, 10), 0);
		assert_int_equal(t.state, KM_SOURCE_ENDED);
		trace_fini(&t);
	}
}

static void a_very_fast_loop_falls_behind_instead_of_hanging(void **state)
{
	struct trace t;

	(void)state;
	trace_init(&t);
	append(&t, HEADER "\n");
	append_rows(&t, 0, 50);
	t.settings.replay.loop = true;
	t.settings.replay.speed = 1e9;
	trace_open(&t);
	(void)read_after(&t, 0);
	assert_in_range(read_after(&t, 1), 1000, 100000);
	assert_int_equal(t.state, KM_SOURCE_LIVE);
	trace_fini(&t);
}

static void a_trace_that_ends_says_so_and_a_file_that_grows_resumes(void **state)
{
	struct trace t;

	(void)state;
	trace_init(&t);
	append(&t, HEADER "\n");
	append_rows(&t, 0, 3);
	trace_open(&t);
	assert_int_equal(read_after(&t, 5), 2);
	assert_int_equal(t.state, KM_SOURCE_ENDED);
	assert_int_equal(read_after(&t, 1), 0);
	/* growth: due at once, however far trace time is from the clock */
	append_rows(&t, 50, 2);
	assert_int_equal(read_after(&t, 1), 2);
	assert_int_equal(t.state, KM_SOURCE_LIVE);
	/* quiet between rows is not the end; long silence is */
	assert_int_equal(read_after(&t, 5), 0);
	assert_int_equal(t.state, KM_SOURCE_LIVE);
	assert_int_equal(read_after(&t, 6), 0);
	assert_int_equal(t.state, KM_SOURCE_ENDED);
	append_rows(&t, 52, 1);
	assert_int_equal(read_after(&t, 1), 1);
	assert_int_equal(t.state, KM_SOURCE_LIVE);
	trace_fini(&t);
}

static void a_file_may_be_empty_when_it_is_opened(void **state)
{
	struct trace t;

	(void)state;
	trace_init(&t);
	append(&t, "");
	trace_open(&t);
	assert_int_equal(read_after(&t, 1), 0);
	append(&t, HEADER "\n");
	append_rows(&t, 0, 2);
	assert_int_equal(read_after(&t, 1), 1);
	trace_fini(&t);
}

static void a_half_written_row_waits(void **state)
{
	struct trace t;
	struct km_source_stats stats;

	(void)state;
	trace_init(&t);
	append(&t, HEADER "\n");
	append_rows(&t, 0, 2);
	append(&t, "2025-01-01,10:00:02.0");
	trace_open(&t);
	assert_int_equal(read_after(&t, 10), 1);
	assert_int_equal(t.state, KM_SOURCE_LIVE); /* a row is on its way */
	append(&t, "00,1.00,2\n");
	assert_int_equal(read_after(&t, 1), 1);
	assert_true(t.last_l2 == 2);
	km_source_get_stats(t.source, &stats);
	assert_int_equal(stats.bad_rows, 0);
	trace_fini(&t);
}

/* PCM ends a row by beginning the next: the newest row has no newline until then. */
static void a_last_row_without_newline_counts_once(void **state)
{
	struct trace t;
	struct km_source_stats stats;

	(void)state;
	trace_init(&t);
	append(&t, HEADER "\n");
	append_rows(&t, 0, 2);
	append(&t, "2025-01-01,10:00:02,1.00,2");
	trace_open(&t);
	assert_int_equal(read_after(&t, 10), 1);
	assert_int_equal(read_after(&t, 3), 1); /* it has not changed for 2 s */
	assert_true(t.last_l2 == 2);
	append(&t, "\n2025-01-01,10:00:03,1.00,3\n");
	assert_int_equal(read_after(&t, 1), 1);
	assert_true(t.last_l2 == 3);
	km_source_get_stats(t.source, &stats);
	assert_int_equal(stats.rows, 3);
	assert_int_equal(stats.bad_rows, 0);
	assert_int_equal(stats.repeated, 0);
	trace_fini(&t);
	/* in a loop the file is whole: no waiting */
	trace_init(&t);
	append(&t, HEADER "\n");
	append_rows(&t, 0, 2);
	append(&t, "2025-01-01,10:00:02,1.00,2");
	t.settings.replay.loop = true;
	trace_open(&t);
	assert_int_equal(read_after(&t, 3.5), 4);
	assert_true(t.contiguous);
	trace_fini(&t);
}

static void gzip_is_read_and_ends_for_good(void **state)
{
	char command[512];
	struct trace t;

	(void)state;
	trace_init(&t);
	append(&t, HEADER "\r\n");
	append_rows(&t, 0, 10);
	(void)snprintf(command, sizeof(command), "gzip %s && mv %s.gz %s", t.path, t.path, t.path);
	assert_int_equal(system(command), 0);
	trace_open(&t);
	assert_int_equal(read_after(&t, 100), 9);
	assert_int_equal(t.state, KM_SOURCE_ENDED);
	trace_fini(&t);
}

static void a_truncated_gzip_gives_what_it_has(void **state)
{
	char command[512];
	struct trace t;
	struct km_source_stats stats;

	(void)state;
	trace_init(&t);
	append(&t, HEADER "\n");
	append_rows(&t, 0, 3000);
	(void)snprintf(command, sizeof(command), "gzip %s && head -c 6000 %s.gz > %s && rm %s.gz",
	               t.path, t.path, t.path, t.path);
	assert_int_equal(system(command), 0);
	trace_open(&t);
	assert_in_range(read_after(&t, 10000), 100, 2999);
	assert_int_equal(t.state, KM_SOURCE_ENDED);
	km_source_get_stats(t.source, &stats);
	assert_int_equal(stats.bad_rows, 1);
	trace_fini(&t);
}

static void bad_and_repeated_rows_are_skipped_and_counted(void **state)
{
	struct trace t;
	struct km_source_stats stats;

	(void)state;
	trace_init(&t);
	append(&t, HEADER "\n");
	append_rows(&t, 0, 3);
	append_rows(&t, 2, 1);
	append(&t, "2025-01-01,10:00:03,what,3\n");
	append_rows(&t, 4, 1);
	trace_open(&t);
	assert_int_equal(read_after(&t, 100), 3);
	km_source_get_stats(t.source, &stats);
	assert_int_equal(stats.rows, 3);
	assert_int_equal(stats.bad_rows, 1);
	assert_int_equal(stats.repeated, 1);
	assert_non_null(strstr(stats.last_bad, "line 6"));
	assert_non_null(strstr(stats.last_bad, "what"));
	trace_fini(&t);
}

/* ---- the whole way, on a real trace where there is one ---- */

static void into_features(void *ctx, const struct km_sample *s)
{
	assert_true(km_features_push(ctx, s) >= 0);
}

static void a_real_trace_gives_every_feature(void **state)
{
	static const char *const names[] = { "node.ipc.mean", "node.c0_ratio.std",
		                             "peer.l3_per_l2.p95", "spare.ipc.mean",
		                             "host.mem_write_bytes_per_s.mean" };
	const char *dataset = getenv("DATASET");
	struct km_source_settings settings = { .kind = "replay", .replay = { .speed = 1e6 } };
	const struct km_source_args args = { .settings = &settings };
	struct km_cpuset nodes[2];
	struct km_schema *schema;
	struct km_features *f;
	struct km_source *source;
	char path[512];
	double row[5];

	(void)state;
	(void)snprintf(path, sizeof(path),
	               "%s/traces/Memento_V01__1replicas_scenario14_2500rps.csv.gz",
	               dataset != NULL ? dataset : "../shared/data/nginx-pcm");
	if (access(path, R_OK) != 0) {
		const char *required = getenv("KM_REQUIRE_DATASET");

		if (required != NULL && strcmp(required, "1") == 0) {
			fail_msg("no real trace at %s", path);
		}
		print_message("skipped: no real trace at %s\n", path);
		skip();
	}
	settings.replay.file = path;
	assert_int_equal(km_schema_create(names, 5, 60, 5, &schema, NULL), 0);
	assert_int_equal(km_cpuset_parse("0-2", &nodes[0], NULL), 0);
	assert_int_equal(km_cpuset_parse("3-5", &nodes[1], NULL), 0);
	assert_int_equal(km_features_create(schema, nodes, 2, &f, NULL), 0);
	assert_int_equal(km_source_open(&args, &source, NULL), 0);
	assert_int_equal(km_source_read(source, KM_NS_PER_S, into_features, f, NULL),
	                 KM_SOURCE_ENDED);
	assert_int_equal(km_features_read(f, 0, row), 5);
	assert_true(row[0] > 0.2 && row[0] < 3);
	assert_int_equal(km_features_tier(f), KM_TIER_UNCORE);
	assert_true(fabs(km_features_covered_s(f) - 60) < 1);
	km_source_close(source);
	km_features_free(f);
	km_schema_unref(schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_trace_is_refused_when_opened),
		cmocka_unit_test(a_fifo_does_not_hang_the_sampler),
		cmocka_unit_test(rows_come_at_the_pace_of_the_trace_times_speed),
		cmocka_unit_test(a_loop_continues_time_without_a_delta_across_the_seam),
		cmocka_unit_test(a_loop_over_nothing_ends),
		cmocka_unit_test(a_very_fast_loop_falls_behind_instead_of_hanging),
		cmocka_unit_test(a_trace_that_ends_says_so_and_a_file_that_grows_resumes),
		cmocka_unit_test(a_file_may_be_empty_when_it_is_opened),
		cmocka_unit_test(a_half_written_row_waits),
		cmocka_unit_test(a_last_row_without_newline_counts_once),
		cmocka_unit_test(gzip_is_read_and_ends_for_good),
		cmocka_unit_test(a_truncated_gzip_gives_what_it_has),
		cmocka_unit_test(bad_and_repeated_rows_are_skipped_and_counted),
		cmocka_unit_test(a_real_trace_gives_every_feature),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
