/* SPDX-License-Identifier: Apache-2.0 */
/* wire: a run's record comes back as it was written, and what is no record is refused by key. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "km/wire/run_record.h"

static void fill(struct km_run_record *r)
{
	km_run_record_init(r);
	(void)snprintf(r->id, sizeof(r->id), "r2__cpu100_on-target__1replicas_500rps");
	(void)snprintf(r->plan, sizeof(r->plan), "00112233aabbccdd");
	r->repeat = 2;
	r->attempt = 3;
	r->stressed = true;
	(void)snprintf(r->stressor, sizeof(r->stressor), "cpu");
	r->level_pct = 100;
	(void)snprintf(r->on, sizeof(r->on), "target");
	(void)snprintf(r->stress_node, sizeof(r->stress_node), "node-a");
	(void)snprintf(r->target_node, sizeof(r->target_node), "node-a");
	r->replicas = 1;
	r->rps = 500;
	r->start_unix_ms = INT64_C(1800000000123);
	r->interval_s = 1;
	(void)snprintf(r->tier, sizeof(r->tier), "os");
	(void)snprintf(r->trace_before, sizeof(r->trace_before), "traces/a__before.csv.gz");
	(void)snprintf(r->trace_during, sizeof(r->trace_during), "traces/a__during.csv.gz");
	(void)snprintf(r->load.generator, sizeof(r->load.generator), "vegeta");
	(void)snprintf(r->load.version, sizeof(r->load.version), "12.12 \"x\"");
	r->load.open_loop = true;
	r->load.p99_ms = 0.1 + 0.2;
	r->load.requests = UINT64_C(4000000000000);
	r->load.errors = 7;
	r->during.foreign_cpus = 0.034;
	r->stress_count = 2;
	r->stress[0] = (struct km_run_stress){ "cpu", 20, 0.99, 1e9, NAN };
	r->stress[1] = (struct km_run_stress){ "membw", 20, 0.5, NAN, 3e9 };
	r->saturated = true;
	(void)snprintf(r->gate, sizeof(r->gate), "foreign CPU 0.3, allowed 0.1");
}

static void a_record_comes_back_as_it_was(void **state)
{
	struct km_run_record r;
	struct km_run_record back;
	struct km_err err = { .code = 0 };
	struct km_buf text;
	struct km_buf again;

	(void)state;
	fill(&r);
	km_buf_init(&text);
	km_buf_init(&again);
	km_run_record_encode(&r, &text);
	if (km_run_record_decode(text.data, text.len, &back, &err) != 0)
		fail_msg("%s", err.text);
	assert_string_equal(back.id, r.id);
	assert_int_equal(back.start_unix_ms, r.start_unix_ms);
	assert_int_equal(back.load.requests, r.load.requests);
	assert_true(back.load.p99_ms == r.load.p99_ms);
	assert_true(isnan(back.load.p50_ms));
	assert_true(isnan(back.before.busy_cpus));
	assert_true(back.during.foreign_cpus == 0.034);
	assert_int_equal(back.stress_count, 2);
	assert_true(isnan(back.stress[0].bytes_per_s));
	assert_true(back.stress[1].bytes_per_s == 3e9);
	assert_true(back.saturated && back.stressed && back.load.open_loop);
	assert_string_equal(back.gate, r.gate);
	km_run_record_encode(&back, &again);
	assert_string_equal(km_buf_cstr(&text), km_buf_cstr(&again));
	km_buf_fini(&text);
	km_buf_fini(&again);
}

/* The text of a good record with one part of it replaced. */
static void replaced(const char *from, const char *to, struct km_buf *out)
{
	struct km_run_record r;
	struct km_buf text;
	const char *at;

	fill(&r);
	km_buf_init(&text);
	km_run_record_encode(&r, &text);
	at = strstr(km_buf_cstr(&text), from);
	assert_non_null(at);
	km_buf_append(out, text.data, (size_t)(at - text.data));
	km_buf_str(out, to);
	km_buf_str(out, at + strlen(from));
	km_buf_fini(&text);
}

static void what_is_no_record_is_refused_by_key(void **state)
{
	static const struct {
		const char *from, *to, *want; /* want NULL = still good */
	} row[] = {
		{ "\"gate\"", "\"gates\"", NULL },
		{ "foreign CPU", "\xff\xfe CPU\\n", NULL },
		{ "\"repeat\":2,", "", "repeat is missing" },
		{ "\"repeat\":2", "\"repeat\":-1", "repeat is not" },
		{ "\"repeat\":2", "\"repeat\":1.5", "repeat is not" },
		{ "\"repeat\":2", "\"repeat\":null", "repeat is not" },
		{ "\"rps\":500", "\"rps\":null", "rps is not" },
		{ "\"rps\":500", "\"rps\":\"500\"", "rps is not" },
		{ "\"id\":\"r2", "\"id\":\"../r2", "leads out of its folder" },
		{ "\"id\":\"r2", "\"id\":\"r2,", "id is not" },
		{ "\"traces/a__before", "\"/etc/a__before", "leads out of its folder" },
		{ "\"traces/a__during", "\"traces/../../a", "leads out of its folder" },
		{ "\"p99Ms\":0.30000000000000004", "\"p99Ms\":true", "load.p99Ms is not" },
		{ "\"requests\":4000000000000", "\"requests\":1e300", "load.requests is not" },
		{ "\"stressed\":true", "\"stressed\":1", "stressed is not" },
		{ "[{\"kind\"", "[1,{\"kind\"", "stress is not" },
		{ "{\"id\"", "[{\"id\"", "no JSON object" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(row); i++) {
		struct km_err err = { .code = 0 };
		struct km_run_record r;
		struct km_buf text;
		int rc;

		km_buf_init(&text);
		replaced(row[i].from, row[i].to, &text);
		rc = km_run_record_decode(text.data, text.len, &r, &err);
		if (rc != (row[i].want != NULL ? -EINVAL : 0))
			fail_msg("row %zu: %d %s", i, rc, err.text);
		if (row[i].want != NULL && strstr(err.text, row[i].want) == NULL)
			fail_msg("row %zu: %s", i, err.text);
		km_buf_fini(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_comes_back_as_it_was),
		cmocka_unit_test(what_is_no_record_is_refused_by_key),
	};

	return cmocka_run_group_tests_name("run record", tests, NULL, NULL);
}
