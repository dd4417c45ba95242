/* SPDX-License-Identifier: Apache-2.0 */
/* Our own traces: nothing is lost on the way through text, and what is no trace is told. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/cpuset.h"
#include "km/base/file.h"
#include "km/base/rng.h"
#include "km/sources/source.h"
#include "km/sources/trace.h"

#define SAMPLES 60

static const char *const node_names[] = { "node-a", "minikube.m02.example" };

/* A value of any size, or none: what a double can hold has to survive. */
static double any_value(struct km_rng *rng)
{
	double v;

	switch (km_rng_u64(rng) % 6) {
	case 0:
		return NAN;
	case 1:
		return 0;
	case 2:
		return (double)(km_rng_u64(rng) % 1000000007);
	case 3:
		return (double)(km_rng_u64(rng) % 1000003) / 997.0;
	default:
		/* any bits that are a finite number */
		do {
			uint64_t bits = km_rng_u64(rng);

			memcpy(&v, &bits, sizeof(v));
		} while (!isfinite(v));
		return v;
	}
}

static void fill(struct km_sample_space *sp, struct km_rng *rng, unsigned i)
{
	uint32_t cpus = i < SAMPLES / 2 ? 2 : 3;

	assert_int_equal(km_sample_space_reset(sp, cpus), 0);
	assert_int_equal(km_sample_space_nodes(sp, 2), 0);
	for (size_t k = 0; k < (size_t)cpus * KM_COUNT_CPU_N; k++) {
		/* one count that no sample has */
		sp->cpu[k] = k % KM_COUNT_CPU_N == KM_COUNT_L3_MISS ? NAN : any_value(rng);
	}
	for (size_t k = 0; k < KM_HOST_COUNT_N; k++) {
		sp->sample.host[k] = any_value(rng);
	}
	for (size_t k = 0; k < (size_t)2 * KM_NODE_COUNT_N; k++) {
		sp->node[k] = any_value(rng);
	}
	sp->sample.start_ns = INT64_C(1764510000000000007) + (int64_t)i * 1000000001;
	sp->sample.end_ns = sp->sample.start_ns + 999999937;
}

/* As bits: one NaN is like another, 0 is not -0. */
static void assert_same(const double *a, const double *b, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (isnan(a[i]) && isnan(b[i])) {
			continue;
		}
		assert_memory_equal(&a[i], &b[i], sizeof(a[i]));
	}
}

static void assert_same_sample(const struct km_sample *got, const struct km_sample *want)
{
	assert_true(got->start_ns == want->start_ns);
	assert_true(got->end_ns == want->end_ns);
	assert_true(got->cpu_count >= want->cpu_count);
	assert_int_equal(got->node_count, want->node_count);
	assert_same(got->host, want->host, KM_HOST_COUNT_N);
	assert_same(got->cpu, want->cpu, (size_t)want->cpu_count * KM_COUNT_CPU_N);
	assert_same(got->node, want->node, (size_t)want->node_count * KM_NODE_COUNT_N);
	for (size_t i = (size_t)want->cpu_count * KM_COUNT_CPU_N;
	     i < (size_t)got->cpu_count * KM_COUNT_CPU_N; i++) {
		assert_true(isnan(got->cpu[i]));
	}
}

/* Feeds a text line by line. returns the lines that gave a sample, each checked. */
static unsigned read_back(struct km_trace *t, const char *text, size_t len,
                          const struct km_sample_space *want)
{
	unsigned samples = 0;

	while (len > 0) {
		const char *newline = memchr(text, '\n', len);
		size_t line = newline != NULL ? (size_t)(newline - text) : len;
		struct km_sample got;
		struct km_err err = { .code = 0 };
		int row = km_trace_line(t, text, line, &got, &err);

		if (row == KM_TRACE_ROW_SAMPLE) {
			assert_same_sample(&got, &want[samples++].sample);
		} else if (row != KM_TRACE_ROW_NONE) {
			fail_msg("row %d: %s", row, err.text);
		}
		text += line + (newline != NULL);
		len -= line + (newline != NULL);
	}
	return samples;
}

static void every_sample_reads_back_bit_for_bit(void **state)
{
	static struct km_sample_space sp[SAMPLES];
	struct km_trace_columns columns = { .node_name = node_names, .node_count = 2 };
	struct km_trace *t = NULL;
	struct km_rng rng;
	struct km_buf text;

	(void)state;
	km_rng_init(&rng, 7);
	km_buf_init(&text);
	for (unsigned i = 0; i < SAMPLES; i++) {
		fill(&sp[i], &rng, i);
		km_trace_columns_add(&columns, &sp[i].sample);
	}
	km_trace_csv_header(&columns, &text);
	for (unsigned i = 0; i < SAMPLES; i++) {
		km_trace_csv_row(&columns, &sp[i].sample, &text);
	}
	assert_null(strstr(km_buf_cstr(&text), "l3_misses"));
	assert_non_null(strstr(km_buf_cstr(&text), "node.minikube.m02.example.throttled_ns"));
	assert_int_equal(km_trace_create(&t), 0);
	assert_int_equal(read_back(t, text.data, text.len, sp), SAMPLES);
	assert_true(km_trace_is_whole(t));
	assert_int_equal(km_trace_node_count(t), 2);
	assert_string_equal(km_trace_node_name(t, 1), node_names[1]);
	km_trace_free(t);
	km_buf_fini(&text);
	for (unsigned i = 0; i < SAMPLES; i++) {
		km_sample_space_fini(&sp[i]);
	}
}

static void a_cpu_of_which_nothing_is_known_is_there_still(void **state)
{
	struct km_trace_columns columns = { .node_count = 0 };
	struct km_sample_space sp = { .cpu = NULL };
	struct km_trace *t = NULL;
	struct km_buf text;

	(void)state;
	km_buf_init(&text);
	assert_int_equal(km_sample_space_reset(&sp, 4), 0);
	sp.sample.end_ns = 5;
	sp.sample.host[KM_HOST_RUNNABLE] = 2;
	km_trace_columns_add(&columns, &sp.sample);
	km_trace_csv_header(&columns, &text);
	km_trace_csv_row(&columns, &sp.sample, &text);
	assert_string_equal(km_buf_cstr(&text),
	                    "start_ns,end_ns,cpu0.busy_ns,cpu1.busy_ns,cpu2.busy_ns,cpu3.busy_ns,"
	                    "host.runnable_tasks\n0,5,,,,,2\n");
	assert_int_equal(km_trace_create(&t), 0);
	assert_int_equal(read_back(t, text.data, text.len, &sp), 1);
	km_trace_free(t);
	km_sample_space_fini(&sp);
	km_buf_fini(&text);
}

static void what_a_line_gives(void **state)
{
	static const struct {
		const char *line[3]; /* the last one that is not NULL is judged */
		int want;
		const char *why;
	} rows[] = {
		{ { "start_ns,end_ns,cpu0.busy_ns", "0,1,5" }, KM_TRACE_ROW_SAMPLE, "" },
		{ { "start_ns,end_ns,cpu0.busy_ns\r", "0,1,\r" }, KM_TRACE_ROW_SAMPLE, "" },
		{ { "start_ns,end_ns,cpu0.busy_ns,x.y,z", "0,1,5,?,?" }, KM_TRACE_ROW_SAMPLE, "" },
		{ { "", "start_ns,end_ns,host.runnable_tasks", "0,1,5" }, KM_TRACE_ROW_SAMPLE, "" },
		{ { "start_ns,end_ns,cpu0.busy_ns", "0,1,5", "0,1,5" }, KM_TRACE_ROW_REPEATED, "" },
		{ { "start_ns,end_ns,cpu0.busy_ns", "0,1,5", "0,1,6" },
		  KM_TRACE_ROW_BAD,
		  "not after the row" },
		{ { "start_ns,end_ns,cpu0.busy_ns", "1,1,5" },
		  KM_TRACE_ROW_BAD,
		  "not after its start" },
		{ { "start_ns,end_ns,cpu0.busy_ns", "1.5,3,5" }, KM_TRACE_ROW_BAD, "nanoseconds" },
		{ { "start_ns,end_ns,cpu0.busy_ns", "0,1,five" },
		  KM_TRACE_ROW_BAD,
		  "saw \"five\", want a number" },
		{ { "start_ns,end_ns,cpu0.busy_ns", "0,1" },
		  KM_TRACE_ROW_BAD,
		  "2 cells, want the header's 3" },
		{ { "start_ns,end_ns,cpu0.busy_ns", "0,1,2,3" },
		  KM_TRACE_ROW_BAD,
		  "4 cells, want the header's 3" },
		{ { "start_ns,end_ns,cpu0.busy_ns", "7" }, KM_TRACE_ROW_BAD, "1 cells" },
		{ { "start_ns,end_ns,cpu0.bus_ns" }, -EBADMSG, "no column that is known" },
		{ { "start_ns,end_ns,cpu0.busy_ns,cpu0.busy_ns" }, -EBADMSG, "twice" },
		{ { "start_ns,end_ns,cpux.busy_ns" }, -EBADMSG, "want a number" },
		{ { "start_ns,end_ns,cpu1024.busy_ns" }, -E2BIG, "over 1023" },
		{ { "start_ns,end_ns,node..cpu_psi_ns" }, -EBADMSG, "0 bytes" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_err err = { .code = 0 };
		struct km_trace *t = NULL;
		int got = 0;

		assert_int_equal(km_trace_create(&t), 0);
		for (size_t l = 0; l < 3 && rows[i].line[l] != NULL; l++) {
			struct km_sample s;

			got = km_trace_line(t, rows[i].line[l], strlen(rows[i].line[l]), &s, &err);
		}
		if (got != rows[i].want || strstr(err.text, rows[i].why) == NULL) {
			fail_msg("row %zu: %d \"%s\"", i, got, err.text);
		}
		km_trace_free(t);
	}
}

static void a_header_may_come_again_with_other_nodes(void **state)
{
	static const char *const lines[] = {
		"start_ns,end_ns,cpu0.busy_ns,node.a.cpu_psi_ns", "0,10,1,2",
		"start_ns,end_ns,cpu0.busy_ns,cpu1.busy_ns,node.b.throttled_ns", "10,20,3,4,5"
	};
	static const char *const names[] = { "b", "a" };
	double node[2 * KM_NODE_COUNT_N];
	struct km_trace *t = NULL;
	struct km_sample s = { .cpu_count = 0 };

	(void)state;
	assert_int_equal(km_trace_create(&t), 0);
	for (size_t i = 0; i < KM_ARRAY_LEN(lines); i++) {
		assert_int_equal(km_trace_line(t, lines[i], strlen(lines[i]), &s, NULL), i % 2);
		if (i == 1) {
			km_trace_node_rows(t, &s, names, 2, node);
			assert_true(isnan(node[KM_NODE_CPU_PSI_NS]));
			assert_true(node[KM_NODE_COUNT_N + KM_NODE_CPU_PSI_NS] == 2);
		}
	}
	assert_int_equal(s.cpu_count, 2);
	km_trace_node_rows(t, &s, names, 2, node);
	assert_true(node[KM_NODE_THROTTLED_NS] == 5);
	assert_true(isnan(node[KM_NODE_COUNT_N + KM_NODE_CPU_PSI_NS]));
	km_trace_free(t);
}

struct seen {
	unsigned count;
	double psi[2]; /* of the host's nodes, of the newest sample */
	double busy;
	int64_t start_ns, end_ns;
};

static void on_sample(void *ctx, const struct km_sample *s)
{
	struct seen *seen = ctx;

	assert_int_equal(s->node_count, 2);
	for (size_t i = 0; i < 2; i++) {
		seen->psi[i] = s->node[i * KM_NODE_COUNT_N + KM_NODE_CPU_PSI_NS];
	}
	seen->busy = km_sample_cpu(s, 0, KM_COUNT_BUSY_NS);
	seen->start_ns = s->start_ns;
	seen->end_ns = s->end_ns;
	seen->count++;
}

/* The first row counts, unlike PCM's; rows of nodes go to the nodes of that name. */
static void a_replay_gives_each_node_its_own_rows(void **state)
{
	static const char text[] =
		"start_ns,end_ns,cpu0.busy_ns,node.a.cpu_psi_ns,node.b.cpu_psi_ns\n"
		"0,1000000000,100,11,12\n"
		"1000000000,2000000000,200,21,22\n";
	struct km_node_settings b = { .name = "b" };
	struct km_node_settings c = { .name = "c" };
	const struct km_node_settings *nodes[] = { &b, &c };
	char path[] = "/tmp/km-test-trace-XXXXXX";
	struct km_source_settings settings = { .kind = "replay",
		                               .replay = { .file = path, .speed = 1 } };
	const struct km_source_args args = {
		.settings = &settings, .node = nodes, .node_count = 2, .now_ns = 50
	};
	struct km_source *source = NULL;
	struct seen seen = { .count = 0 };
	struct km_buf packed;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	km_buf_init(&packed);
	assert_int_equal(km_gz_pack(text, sizeof(text) - 1, &packed, NULL), 0);
	assert_int_equal(km_file_write_atomic(path, packed.data, packed.len, NULL), 0);
	km_buf_fini(&packed);
	assert_int_equal(km_source_open(&args, &source, NULL), 0);
	assert_int_equal(km_source_read(source, 50, on_sample, &seen, NULL), KM_SOURCE_LIVE);
	assert_int_equal(seen.count, 1);
	assert_true(seen.busy == 100 && seen.psi[0] == 12 && isnan(seen.psi[1]));
	assert_int_equal(km_source_read(source, 2000000000, on_sample, &seen, NULL),
	                 KM_SOURCE_ENDED);
	assert_int_equal(seen.count, 2);
	assert_true(seen.busy == 200 && seen.psi[0] == 22);
	km_source_close(source);
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_sample_reads_back_bit_for_bit),
		cmocka_unit_test(a_cpu_of_which_nothing_is_known_is_there_still),
		cmocka_unit_test(what_a_line_gives),
		cmocka_unit_test(a_header_may_come_again_with_other_nodes),
		cmocka_unit_test(a_replay_gives_each_node_its_own_rows),
	};

	return cmocka_run_group_tests_name("sources_trace", tests, NULL, NULL);
}
