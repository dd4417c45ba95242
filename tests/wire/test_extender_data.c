/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /filter and /prioritize on the wire when our own data is missing: no model, no counters, counters
 * too old. Every node passes, every node has a score in range, and there is never a 5xx.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/extender_case.h"

#define ASK                                                                                        \
	"{\"Pod\":{\"metadata\":{\"name\":\"p\",\"uid\":\"u\"}},\"Nodes\":null,"                   \
	"\"NodeNames\":[\"quiet\",\"some\",\"noisy\",\"blind\",\"ghost\"]}"
#define PASS                                                                                       \
	"{\"Nodes\":null,\"NodeNames\":[\"quiet\",\"some\",\"noisy\",\"blind\",\"ghost\"],"        \
	"\"FailedNodes\":{},\"FailedAndUnresolvableNodes\":{},\"Error\":\"\"}"
#define SCORES(a, b, c, d, e)                                                                      \
	"[{\"Host\":\"quiet\",\"Score\":" a "},{\"Host\":\"some\",\"Score\":" b "},"               \
	"{\"Host\":\"noisy\",\"Score\":" c "},{\"Host\":\"blind\",\"Score\":" d "},"               \
	"{\"Host\":\"ghost\",\"Score\":" e "}]"

#define TRUSTED SCORES("10", "6", "2", "5", "5")
#define NEUTRAL SCORES("5", "5", "5", "5", "5")

static void want(const struct daemon *d, const char *name, const char *scores)
{
	const struct extender_case c = { name, ASK, .filter = PASS, .prioritize = scores };

	extender_check(d, &c);
}

static void neutral(const struct daemon *d, const char *reason, double least)
{
	char series[128];

	(void)snprintf(series, sizeof(series),
	               "kubemarla_extender_neutral_answers_total{reason=\"%s\"}", reason);
	assert_true(wire_metric(d, series) >= least);
}

static void without_a_model_all_are_neutral(void **state)
{
	struct daemon *d = *state;

	extender_start(d, EXTENDER_NODES "model: {path: \"@DIR@/none.ubj\"}\n");
	want(d, "model absent", NEUTRAL);
	neutral(d, "NoModel", 2);
}

static void without_counters_all_are_neutral(void **state)
{
	struct daemon *d = *state;

	wire_start(d, EXTENDER_NODES EXTENDER_MODEL);
	want(d, "data absent", NEUTRAL);
	neutral(d, "NoData", 2);
}

static void without_any_node_all_are_neutral(void **state)
{
	struct daemon *d = *state;

	wire_start(d, "nodes: []\ncollect: {sources: []}\n" EXTENDER_MODEL);
	want(d, "no node configured", NEUTRAL);
}

/*
 * Neutral: a node with old data scores its upper bound's score at most (1.43, 2.01 and 3.41 of 2),
 * one without any the middle. Avoid is 0 for all. Reject filters in mode Enforce only, of a
 * policy; here it is Avoid.
 */
static void old_counters_score_what_the_policy_says(void **state)
{
	static const struct {
		const char *policy;
		const char *scores;
	} rows[] = {
		{ "Neutral", SCORES("5", "2", "1", "5", "5") },
		{ "Avoid", SCORES("0", "0", "0", "0", "0") },
		{ "Reject", SCORES("0", "0", "0", "0", "0") },
	};
	struct daemon *d = *state;

	extender_start(d, EXTENDER_NODES EXTENDER_MODEL "decide: {maxAge: 1h}\n");
	want(d, "fresh", TRUSTED);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static const char age[] = "kubemarla_node_data_age_seconds{node=\"quiet\"}";
		struct km_buf text;
		size_t from = d->len;

		km_buf_init(&text);
		km_buf_printf(&text,
		              EXTENDER_NODES EXTENDER_MODEL "decide: {maxAge: 1s, onStale: %s}\n",
		              rows[i].policy);
		wire_configure(d, km_buf_cstr(&text));
		km_buf_fini(&text);
		daemon_signal(d, SIGHUP);
		assert_true(daemon_wait_log(d, from, "reload applied nodes=4 sampling=kept"));
		(void)wire_wait_metric(d, age, 1.01);
		want(d, rows[i].policy, rows[i].scores);
		neutral(d, "StaleData", 2.0 * (double)(i + 1));
	}
}

/* Scores from 0 to 100, for who wants them finer. */
static void a_finer_scale_is_an_option(void **state)
{
	struct daemon *d = *state;

	extender_start(d, EXTENDER_NODES EXTENDER_MODEL "decide: {maxAge: 1h, scoreScale: 100}\n");
	want(d, "scale 100", SCORES("96", "57", "16", "50", "50"));
}

int main(void)
{
#define DATA(test) cmocka_unit_test_setup_teardown(test, daemon_set_up, wire_tear_down)
	const struct CMUnitTest tests[] = {
		DATA(without_a_model_all_are_neutral),
		DATA(without_counters_all_are_neutral),
		DATA(without_any_node_all_are_neutral),
		DATA(old_counters_score_what_the_policy_says),
		DATA(a_finer_scale_is_an_option),
	};

	return cmocka_run_group_tests_name("extender without data", tests, NULL, NULL);
}
