/* SPDX-License-Identifier: Apache-2.0 */
/* wire: a play of a trial is read back as it was written, and what cannot be one is refused. */
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
#include "km/wire/trial_record.h"

static struct km_trial_record full(void)
{
	struct km_trial_record r;

	km_trial_record_init(&r);
	r.plan_hash = 0xfedcba9876543210u;
	r.repeat = 2;
	r.episode = 3;
	r.order = 7;
	r.attempt = 2;
	(void)snprintf(r.arm, sizeof(r.arm), "kubemarla");
	r.started_unix_ms = 1790000000123;
	r.rps = 500;
	r.node_count = 2;
	(void)snprintf(r.node[0].name, sizeof(r.node[0].name), "node-a");
	(void)snprintf(r.node[0].stress, sizeof(r.node[0].stress), "cpu");
	r.node[0].level_pct = 100;
	r.node[0].duty_ratio = 0.1 + 0.2; /* not 0.3: every bit counts */
	r.node[0].busy_ratio = 0.97;
	r.node[0].slowdown = 3.25;
	r.node[0].score = 2;
	(void)snprintf(r.node[0].filter, sizeof(r.node[0].filter), "too \"slow\"\n");
	(void)snprintf(r.node[1].name, sizeof(r.node[1].name), "node-b");
	r.placed[0] = 1;
	r.placed[1] = 0;
	r.replicas = 2;
	r.window_s = 8;
	r.asked = 4;
	r.neutral = 1;
	(void)snprintf(r.load.generator, sizeof(r.load.generator), "vegeta");
	r.load.open_loop = true;
	r.load.p99_ms = 1.0 / 3;
	r.load.requests = 2500;
	r.served = 2501;
	r.served_difference = 1.0 / 2500;
	r.during.foreign_cpus = 0.02;
	r.slo_p99_ms = 2;
	r.discarded = true;
	return r;
}

static void what_was_written_reads_back(void **state)
{
	const struct km_trial_record r = full();
	struct km_trial_record back;
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	km_trial_record_encode(&out, &r);
	assert_int_equal(km_trial_record_decode(out.data, out.len, &back, NULL), 0);
	assert_true(back.plan_hash == r.plan_hash && back.repeat == 2 && back.episode == 3);
	assert_true(back.order == 7 && back.attempt == 2 && back.discarded && !back.saturated);
	assert_string_equal(back.arm, "kubemarla");
	assert_true(back.started_unix_ms == r.started_unix_ms);
	assert_true(back.node_count == 2 && back.replicas == 2);
	assert_true(back.placed[0] == 1 && back.placed[1] == 0);
	assert_string_equal(back.node[0].filter, "too \"slow\"\n");
	assert_memory_equal(&back.node[0].duty_ratio, &r.node[0].duty_ratio, sizeof(double));
	assert_memory_equal(&back.load.p99_ms, &r.load.p99_ms, sizeof(double));
	assert_true(back.load.open_loop && back.load.requests == 2500 && back.load.errors == 0);
	/* not measured is not zero */
	assert_true(isnan(back.node[1].busy_ratio) && isnan(back.node[1].slowdown));
	assert_true(isnan(back.before.foreign_cpus) && back.during.foreign_cpus == 0.02);
	assert_true(isnan(back.load.p50_ms) && isnan(back.prometheus_p99_ms));
	km_buf_fini(&out);
}

static void ids_name_the_play(void **state)
{
	struct km_trial_record r = full();
	char id[KM_TRIAL_ID_MAX];

	(void)state;
	assert_string_equal(km_trial_record_id(&r, id), "r2__e3__kubemarla");
	r.episode = 0;
	(void)snprintf(r.arm, sizeof(r.arm), KM_TRIAL_ALONE);
	assert_string_equal(km_trial_record_id(&r, id), "r2__alone__node-b");
}

static void what_cannot_be_a_play_is_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "", "no JSON object" },
		{ "[1]", "no JSON object" },
		{ "{}", "no arm" },
		{ "{\"repeat\":1,\"arm\":\"x\",\"nodes\":[{\"name\":\"a\"}],\"placed\":[]}",
		  "nothing placed" },
		{ "{\"repeat\":1,\"arm\":\"x\",\"nodes\":[{\"name\":\"a\"}],\"placed\":[\"b\"]}",
		  "placed: saw \"b\", want one of nodes" },
		{ "{\"repeat\":1,\"arm\":\"x\",\"nodes\":[{\"name\":\"a\"}],\"placed\":[7]}",
		  "placed: saw \"\"" },
		{ "{\"repeat\":1,\"arm\":\"x\",\"nodes\":[{}],\"placed\":[\"a\"]}",
		  "without a name" },
		{ "{\"repeat\":1,\"arm\":\"x\",\"nodes\":[{\"name\":\"a\"}],\"placed\":[\"a\"]}",
		  "no p99Ms" },
		{ "{\"repeat\":1,\"arm\":\"x\",\"nodes\":[{\"name\":\"a\"}],\"placed\":[\"a\"],"
		  "\"load\":{\"p99Ms\":0}}",
		  "no p99Ms" },
		{ "{\"repeat\":-1,\"arm\":\"x\",\"nodes\":[{\"name\":\"a\"}],\"placed\":[\"a\"],"
		  "\"load\":{\"p99Ms\":1}}",
		  "no repeat" },
	};
	struct km_trial_record r;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_err err = { .code = 0 };

		if (km_trial_record_decode(rows[i].text, strlen(rows[i].text), &r, &err) !=
		            -EBADMSG ||
		    strstr(err.text, rows[i].why) == NULL)
			fail_msg("%s: \"%s\"", rows[i].text, err.text);
		assert_true(r.node_count == 0 && isnan(r.load.p99_ms));
	}
}

static void lists_have_a_maximum(void **state)
{
	struct km_err err = { .code = 0 };
	struct km_trial_record r;
	struct km_buf text;

	(void)state;
	km_buf_init(&text);
	km_buf_str(&text, "{\"repeat\":1,\"arm\":\"x\",\"nodes\":[{\"name\":\"n\"}");
	for (int i = 0; i < KM_TRIAL_NODES_MAX; i++)
		km_buf_str(&text, ",{\"name\":\"n\"}");
	km_buf_str(&text, "]}");
	assert_int_equal(km_trial_record_decode(text.data, text.len, &r, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "nodes: more than 32"));
	km_buf_clear(&text);
	km_buf_str(&text,
	           "{\"repeat\":1,\"arm\":\"x\",\"nodes\":[{\"name\":\"n\"}],\"placed\":[\"n\"");
	for (int i = 0; i < KM_TRIAL_REPLICAS_MAX; i++)
		km_buf_str(&text, ",\"n\"");
	km_buf_str(&text, "]}");
	assert_int_equal(km_trial_record_decode(text.data, text.len, &r, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "placed: more than 16"));
	km_buf_fini(&text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_reads_back),
		cmocka_unit_test(ids_name_the_play),
		cmocka_unit_test(what_cannot_be_a_play_is_refused),
		cmocka_unit_test(lists_have_a_maximum),
	};

	return cmocka_run_group_tests_name("wire_trial_record", tests, NULL, NULL);
}
