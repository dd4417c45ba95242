/* SPDX-License-Identifier: Apache-2.0 */
/* policy: what a status says, and that noise changes nothing in it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/rng.h"

#include "policy/status.h"

#define S    INT64_C(1000000000)
#define WALL (INT64_C(1700000000) * S)

struct scene {
	struct km_policy_status old;
	struct status_memory memory;
	struct km_status_node node[300];
	struct policy_facts facts;
	int64_t now_ns;
	int writes;
};

static void begin(struct scene *s, size_t nodes)
{
	memset(s, 0, sizeof(*s));
	km_policy_status_init(&s->old);
	s->now_ns = 1000 * S;
	s->facts = (struct policy_facts){ .generation = 1,
		                          .model = true,
		                          .feeding = true,
		                          .matched_pods = (uint32_t)nodes,
		                          .node = s->node,
		                          .nodes = nodes,
		                          .observed = NAN,
		                          .limit = 1.5 };
	for (size_t i = 0; i < nodes; i++) {
		(void)snprintf(s->node[i].name, sizeof(s->node[i].name), "n%03zu", i);
		s->node[i].pods = 1;
		s->node[i].predicted = 1.2;
		s->node[i].observed = NAN;
	}
}

/* Writes whenever the rules say so. */
static enum status_change look(struct scene *s)
{
	struct km_policy_status next;
	enum status_change c =
		status_next(&s->old, &s->facts, &s->memory, s->now_ns, WALL + s->now_ns, &next);

	if (c == STATUS_URGENT || (c == STATUS_NUMBERS && status_due(&s->memory, s->now_ns))) {
		status_written(&s->memory, s->now_ns);
		km_policy_status_fini(&s->old);
		s->old = next;
		s->writes++;
	} else {
		km_policy_status_fini(&next);
	}
	return c;
}

static void end(struct scene *s)
{
	km_policy_status_fini(&s->old);
}

static void condition_is(const struct scene *s, enum km_condition_type t,
                         enum km_condition_status status, const char *reason)
{
	const struct km_condition *c = &s->old.condition[t];

	if (!c->there || c->status != status || strcmp(c->reason, reason) != 0)
		fail_msg("%s: saw %d %s, want %d %s", km_condition_name(t), c->status, c->reason,
		         status, reason);
}

static void the_first_look_says_everything(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 3);
	s.node[1].predicted = 1.314;
	assert_int_equal(look(&s), STATUS_URGENT);
	condition_is(&s, KM_READY, KM_CONDITION_TRUE, "Accepted");
	condition_is(&s, KM_SLO_AT_RISK, KM_CONDITION_FALSE, "WithinLimit");
	condition_is(&s, KM_MODEL_USABLE, KM_CONDITION_TRUE, "Predicting");
	assert_true(s.old.worst_predicted == 1.31);
	assert_true(isnan(s.old.observed));
	assert_int_equal(s.old.nodes, 3);
	assert_int_equal(s.old.node_count, 3);
	assert_true(s.old.condition[KM_READY].changed_unix_ns % S == 0);
	assert_int_equal(look(&s), STATUS_SAME);
	end(&s);
}

static void what_is_said_of_a_policy(void **state)
{
	static const struct {
		struct policy_facts f; /* over those of begin() */
		enum km_condition_type type;
		enum km_condition_status status;
		const char *reason, *message;
	} rows[] = {
		{ { .invalid = "spec.mode: saw X" },
		  KM_READY,
		  KM_CONDITION_FALSE,
		  "Invalid",
		  "spec.mode: saw X" },
		{ { .invalid = "x" }, KM_MODEL_USABLE, KM_CONDITION_UNKNOWN, "Invalid", "" },
		{ { .invalid = "x" }, KM_SLO_AT_RISK, KM_CONDITION_UNKNOWN, "Invalid", "" },
		{ { .holds = "a" }, KM_READY, KM_CONDITION_FALSE, "Conflict", "instead: a" },
		{ { .queries_untrusted = true, .model = true },
		  KM_READY,
		  KM_CONDITION_TRUE,
		  "QueriesNotTrusted",
		  "kubemarla.io/trusted=true" },
		{ { .query_error = "kpi.latencyQuery: no" },
		  KM_READY,
		  KM_CONDITION_TRUE,
		  "QueryFailed",
		  "kpi.latencyQuery: no" },
		{ { .model = false }, KM_MODEL_USABLE, KM_CONDITION_FALSE, "NoModel", "no model" },
		{ { .matched_pods = 0 }, KM_SLO_AT_RISK, KM_CONDITION_FALSE, "NoPods", "no pod" },
		{ { .matched_pods = 1, .observed = 1.6 },
		  KM_SLO_AT_RISK,
		  KM_CONDITION_TRUE,
		  "ObservedSlowdown",
		  "observed" },
		{ { .matched_pods = 1 }, KM_SLO_AT_RISK, KM_CONDITION_UNKNOWN, "NotKnown", "" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct scene s;

		begin(&s, 0);
		s.facts = rows[i].f;
		s.facts.limit = 1.5;
		s.facts.generation = 1;
		if (rows[i].f.observed == 0)
			s.facts.observed = NAN;
		(void)look(&s);
		condition_is(&s, rows[i].type, rows[i].status, rows[i].reason);
		assert_non_null(strstr(s.old.condition[rows[i].type].message, rows[i].message));
		end(&s);
	}
}

static void data_that_is_missing_is_told(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 2);
	s.node[0].predicted = NAN;
	(void)look(&s);
	condition_is(&s, KM_MODEL_USABLE, KM_CONDITION_TRUE, "PartialData");
	s.node[1].predicted = NAN;
	for (int i = 0; i < 30; i++) {
		s.now_ns += S;
		(void)look(&s);
	}
	condition_is(&s, KM_MODEL_USABLE, KM_CONDITION_FALSE, "NoData");
	condition_is(&s, KM_SLO_AT_RISK, KM_CONDITION_UNKNOWN, "NotKnown");
	assert_true(isnan(s.old.worst_predicted));
	end(&s);
}

/* An hour of noise around what is so: nothing is written. */
static void noise_writes_nothing(void **state)
{
	struct km_rng rng;
	struct scene s;

	(void)state;
	begin(&s, 50);
	km_rng_init(&rng, 3);
	(void)look(&s);
	for (int i = 0; i < 3600; i++) {
		s.now_ns += S;
		for (size_t k = 0; k < 50; k++)
			s.node[k].predicted = 1.2 + 0.05 * (km_rng_unit(&rng) - 0.5);
		(void)look(&s);
	}
	assert_int_equal(s.writes, 1);
	end(&s);
}

static void numbers_that_move_are_written_now_and_then(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 1);
	(void)look(&s);
	for (int i = 0; i < 150; i++) {
		s.now_ns += S;
		s.node[0].predicted = 1.0 + 0.4 * (i % 2);
		(void)look(&s);
	}
	assert_true(s.writes > 2 && s.writes <= 11); /* one in 15 s */
	end(&s);
}

/* At the limit, back and forth: said once, for as long as it may come back. */
static void a_risk_is_said_when_it_lasts(void **state)
{
	int64_t changed_ns;
	struct scene s;

	(void)state;
	begin(&s, 1);
	(void)look(&s);
	for (int i = 0; i < 300; i++) { /* a second above, a second below */
		s.now_ns += S;
		s.node[0].predicted = 1.5 + (i % 2 ? 0.01 : -0.01);
		(void)look(&s);
	}
	condition_is(&s, KM_SLO_AT_RISK, KM_CONDITION_FALSE, "WithinLimit");
	for (int i = 0; i < 15; i++) {
		s.now_ns += S;
		s.node[0].predicted = 1.6;
		(void)look(&s);
	}
	condition_is(&s, KM_SLO_AT_RISK, KM_CONDITION_TRUE, "PredictedSlowdown");
	changed_ns = s.old.condition[KM_SLO_AT_RISK].changed_unix_ns;
	for (int i = 0; i < 300; i++) { /* back just below the limit: it may come back */
		s.now_ns += S;
		s.node[0].predicted = 1.46;
		(void)look(&s);
	}
	condition_is(&s, KM_SLO_AT_RISK, KM_CONDITION_TRUE, "PredictedSlowdown");
	assert_true(s.old.condition[KM_SLO_AT_RISK].changed_unix_ns == changed_ns);
	for (int i = 0; i < 30; i++) {
		s.now_ns += S;
		s.node[0].predicted = 1.3;
		(void)look(&s);
	}
	condition_is(&s, KM_SLO_AT_RISK, KM_CONDITION_FALSE, "WithinLimit");
	end(&s);
}

static void a_new_spec_is_told_at_once_and_keeps_times(void **state)
{
	int64_t changed_ns;
	struct scene s;

	(void)state;
	begin(&s, 1);
	(void)look(&s);
	changed_ns = s.old.condition[KM_READY].changed_unix_ns;
	s.now_ns += 100 * S;
	s.facts.generation = 2;
	s.facts.limit = 1.1;
	assert_int_equal(look(&s), STATUS_URGENT);
	assert_int_equal(s.old.observed_generation, 2);
	condition_is(&s, KM_SLO_AT_RISK, KM_CONDITION_TRUE, "PredictedSlowdown");
	assert_true(s.old.condition[KM_READY].changed_unix_ns == changed_ns);
	assert_true(s.old.condition[KM_SLO_AT_RISK].changed_unix_ns > changed_ns);
	end(&s);
}

static void of_many_nodes_the_worst_are_listed(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 300);
	for (size_t i = 0; i < 300; i++)
		s.node[i].predicted = 1 + (double)(i * 7 % 300) / 100;
	(void)look(&s);
	assert_int_equal(s.old.nodes, KM_STATUS_NODES_MAX);
	assert_int_equal(s.old.node_count, 300);
	assert_true(s.old.worst_predicted == 3.99);
	for (size_t i = 0; i < s.old.nodes; i++) {
		assert_true(s.old.node[i].predicted >= 2.99);
		if (i > 0)
			assert_true(strcmp(s.old.node[i - 1].name, s.old.node[i].name) < 0);
	}
	end(&s);
}

static void what_was_moved_stays_told(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 1);
	(void)look(&s);
	s.facts.move = (struct km_status_move){ .there = true, .unix_ns = WALL, .gain_ratio = 0.2 };
	assert_int_equal(look(&s), STATUS_URGENT);
	s.facts.move.there = false; /* another leader, which moved nothing */
	assert_int_equal(look(&s), STATUS_SAME);
	assert_true(s.old.move.there);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_look_says_everything),
		cmocka_unit_test(what_is_said_of_a_policy),
		cmocka_unit_test(data_that_is_missing_is_told),
		cmocka_unit_test(noise_writes_nothing),
		cmocka_unit_test(numbers_that_move_are_written_now_and_then),
		cmocka_unit_test(a_risk_is_said_when_it_lasts),
		cmocka_unit_test(a_new_spec_is_told_at_once_and_keeps_times),
		cmocka_unit_test(of_many_nodes_the_worst_are_listed),
		cmocka_unit_test(what_was_moved_stays_told),
	};

	return cmocka_run_group_tests_name("policy status", tests, NULL, NULL);
}
