/* SPDX-License-Identifier: Apache-2.0 */
/* wire: an agent's features, read into a schema of ours. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/wire/answers.h"
#include "km/wire/features.h"
#include "km/wire/json.h"

enum { IPC, C0, RPS, READ, COUNT };
static const char *const names[COUNT] = { "node.ipc.mean", "node.c0_ratio.p95", "pod.rps",
	                                  "host.mem_read_bytes_per_s.mean" };

struct world {
	struct km_schema *schema;
	struct km_features_reader *reader;
	struct km_arena arena;
	struct km_features_answer answer;
	struct km_err err;
};

static void open_world(struct world *w)
{
	memset(w, 0, sizeof(*w));
	assert_int_equal(km_schema_create(names, COUNT, 60, 5, &w->schema, NULL), 0);
	assert_int_equal(km_features_reader_create(w->schema, &w->reader), 0);
	km_arena_init(&w->arena, 0);
}

static void close_world(struct world *w)
{
	km_arena_fini(&w->arena);
	km_features_reader_free(w->reader);
	km_features_reader_free(NULL);
	km_schema_unref(w->schema);
}

static int read_text(struct world *w, const char *text)
{
	km_arena_reset(&w->arena);
	return km_features_read_answer(w->reader, text, strlen(text), &w->arena, &w->answer,
	                               &w->err);
}

/* What the daemon writes is what is read. */
static void our_own_answer_comes_back(void **state)
{
	const struct km_answer_source source = { "replay", "live", "a \"trace\"" };
	struct km_answer_measured first = { .name = { "n\"1", 3 },
		                            .sequence = 7,
		                            .tier = KM_TIER_CORE,
		                            .age_s = 0.25,
		                            .bin_age_s = 2.5,
		                            .covered_s = 30,
		                            .outside_cpus = 4 };
	const struct km_answer_measured second = {
		.name = { "n2", 2 }, .tier = KM_TIER_NONE, .age_s = NAN, .bin_age_s = NAN
	};
	const double row[COUNT] = { 1.5, 0.1, 99, NAN };
	double node[KM_METRIC_N];
	double host[KM_METRIC_N];
	const struct km_features_node *n;
	struct km_buf text;
	struct km_json j;
	struct world w;

	(void)state;
	for (int m = 0; m < KM_METRIC_N; m++) {
		node[m] = m % 3 == 0 ? NAN : m + 0.5;
		host[m] = m % 2 == 0 ? NAN : 1e9 * m;
	}
	first.node_reading = node;
	first.host_reading = host;
	first.node_cpus = 3;
	first.host_cpus = 10;
	open_world(&w);
	km_buf_init(&text);
	j = km_json_to(&text);
	km_answer_features_begin(&j, w.schema, &source, 1);
	km_answer_features_node(&j, &first, w.schema, row);
	km_answer_features_node(&j, &second, NULL, NULL);
	km_answer_end(&j);
	assert_int_equal(read_text(&w, km_buf_cstr(&text)), 0);
	assert_true(w.answer.window_s == 60 && w.answer.bin_s == 5);
	assert_int_equal(w.answer.count, 2);
	n = &w.answer.node[0];
	assert_int_equal(n->name.len, 3);
	assert_memory_equal(n->name.text, "n\"1", 3);
	assert_int_equal(n->sequence, 7);
	assert_int_equal(n->tier, KM_TIER_CORE);
	assert_true(n->age_s == 0.25 && n->bin_age_s == 2.5 && n->covered_s == 30);
	assert_int_equal(n->outside_cpus, 4);
	assert_true(n->row[IPC] == 1.5 && n->row[C0] == 0.1);
	assert_true(isnan(n->row[RPS]) && isnan(n->row[READ]));
	assert_int_equal(n->node_cpus, 3);
	assert_int_equal(n->host_cpus, 10);
	for (int m = 0; m < KM_METRIC_N; m++) {
		assert_true(n->node_reading[m] == node[m] ||
		            (isnan(node[m]) && isnan(n->node_reading[m])));
		assert_true(n->host_reading[m] == host[m] ||
		            (isnan(host[m]) && isnan(n->host_reading[m])));
	}
	n = &w.answer.node[1];
	assert_int_equal(n->tier, KM_TIER_NONE);
	assert_true(isnan(n->age_s) && isnan(n->bin_age_s) && isnan(n->row[IPC]));
	assert_null(n->node_reading);
	km_buf_fini(&text);
	close_world(&w);
}

#define WITH(features) "{\"nodes\":[{\"name\":\"a\",\"features\":{" features "}}]}"

static void features_are_found_by_name_in_any_order(void **state)
{
	static const struct {
		const char *text;
		double ipc, c0, read;
	} rows[] = {
		{ WITH("\"node.ipc.mean\":1,\"node.c0_ratio.p95\":2,"
		       "\"host.mem_read_bytes_per_s.mean\":3"),
		  1, 2, 3 },
		{ WITH("\"host.mem_read_bytes_per_s.mean\":3,\"x\":[1,{}],\"node.ipc.mean\":1"), 1,
		  NAN, 3 },
		{ WITH("\"node.c0_ratio.p95\":2,\"pod.rps\":5,\"node.ipc.mean\":1"), 1, 2, NAN },
		{ WITH("\"node.ipc.mean\":\"1\",\"node.c0_ratio.p95\":null"), NAN, NAN, NAN },
		{ WITH("\"node.ipc.mean\":1e300,\"node.c0_ratio.p95\":-1e31"), NAN, NAN, NAN },
		{ WITH("\"node.ipc.mean\":1,\"node.ipc.mean\":2"), 2, NAN, NAN },
		{ WITH("\"node.ipc.m\\u0065an\":1"), NAN, NAN, NAN },
		{ "{\"nodes\":[{\"name\":\"a\",\"features\":[1]}]}", NAN, NAN, NAN },
	};
	struct world w;

	(void)state;
	open_world(&w);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		const double want[COUNT] = { rows[i].ipc, rows[i].c0, NAN, rows[i].read };

		assert_int_equal(read_text(&w, rows[i].text), 0);
		assert_int_equal(w.answer.count, 1);
		for (size_t f = 0; f < COUNT; f++) {
			double got = w.answer.node[0].row[f];

			if (!(got == want[f] || (isnan(got) && isnan(want[f]))))
				fail_msg("row %zu, feature %zu: saw %g, want %g", i, f, got,
				         want[f]);
		}
	}
	close_world(&w);
}

static void what_is_no_answer_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{",
		"{}",
		"{\"nodes\":{}}",
		"{\"nodes\":[1]}",
		"{\"nodes\":[{\"name\":\"a\"}",
		"{\"nodes\":[]}{}",
		"{\"nodes\":[{\"features\":{\"x\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}}]}",
	};
	struct world w;

	(void)state;
	open_world(&w);
	for (size_t i = 0; i < KM_ARRAY_LEN(bad); i++) {
		w.err.text[0] = '\0';
		if (read_text(&w, bad[i]) != -EINVAL || w.err.text[0] == '\0')
			fail_msg("taken, or refused without a word: %s", bad[i]);
	}
	close_world(&w);
}

static void nodes_without_a_name_and_times_that_cannot_be_are_left_out(void **state)
{
	struct world w;

	(void)state;
	open_world(&w);
	assert_int_equal(read_text(&w, "{\"nodes\":[{\"features\":{}},{\"name\":\"\"},"
	                               "{\"name\":5},{\"name\":\"b\",\"ageSeconds\":-1,"
	                               "\"tier\":\"gold\",\"sequence\":-3,\"outsideCpus\":1e99}]}"),
	                 0);
	assert_int_equal(w.answer.count, 1);
	assert_true(isnan(w.answer.node[0].age_s));
	assert_int_equal(w.answer.node[0].tier, KM_TIER_NONE);
	assert_int_equal(w.answer.node[0].sequence, 0);
	assert_int_equal(w.answer.node[0].outside_cpus, 0);
	close_world(&w);
}

static void more_nodes_than_an_agent_has_are_cut(void **state)
{
	struct km_buf text;
	struct world w;

	(void)state;
	open_world(&w);
	km_buf_init(&text);
	km_buf_str(&text, "{\"nodes\":[");
	for (int i = 0; i < KM_FEATURES_NODES_MAX + 100; i++)
		km_buf_printf(&text, "%s{\"name\":\"n%d\",\"features\":{\"node.ipc.mean\":%d}}",
		              i > 0 ? "," : "", i, i);
	km_buf_str(&text, "]}");
	assert_int_equal(read_text(&w, km_buf_cstr(&text)), 0);
	assert_int_equal(w.answer.count, KM_FEATURES_NODES_MAX);
	for (int i = 0; i < KM_FEATURES_NODES_MAX; i++)
		assert_true(w.answer.node[i].row[IPC] == i);
	km_buf_fini(&text);
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_own_answer_comes_back),
		cmocka_unit_test(features_are_found_by_name_in_any_order),
		cmocka_unit_test(what_is_no_answer_is_refused),
		cmocka_unit_test(nodes_without_a_name_and_times_that_cannot_be_are_left_out),
		cmocka_unit_test(more_nodes_than_an_agent_has_are_cut),
	};

	return cmocka_run_group_tests_name("wire features", tests, NULL, NULL);
}
