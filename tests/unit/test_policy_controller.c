/* SPDX-License-Identifier: Apache-2.0 */
/* policy: rounds of the controller against an API server in memory, in fake time. */
#include "support/controller_world.h"

#define REFUSED "0/3 nodes are available: 3 predicted slowdown is above what the pod tolerates."

static const double calm[] = { 0.2, 0.2, 0.2 };
static const double rough[] = { 3, 3, 3 };

static void a_policy_gets_a_status_and_then_peace(void **state)
{
	struct cluster k;

	(void)state;
	cluster_open(&k, 3);
	set_policy(&k, "slo", "web", ", \"mode\": \"Enforce\", \"maxSlowdown\": 1.5");
	set_pod(&k, "web-0", "web", 0, "");
	set_pod(&k, "web-1", "web", 1, "");
	set_pod(&k, "db-0", "db", 1, "");
	ticks(&k, calm, 4);
	assert_int_equal(asked(&k, "/namespaces/shop/interferencepolicies/slo/status", ""), 1);
	assert_int_equal(asked(&k, "/status", "\"matchedPods\":2,\"nodeCount\":2"), 1);
	assert_int_equal(
		asked(&k, "/status", "\"name\":\"n0\",\"pods\":1,\"predictedSlowdown\":1."), 1);
	assert_int_equal(asked(&k, "/status", "\"reason\":\"Accepted\""), 1);
	ticks(&k, calm, 120);
	assert_int_equal(k.requests, 1);
	set_pod(&k, "web-2", "web", 2, "");
	ticks(&k, calm, 20);
	assert_int_equal(asked(&k, "/status", "\"matchedPods\":3,\"nodeCount\":3"), 1);
	assert_int_equal(k.requests, 2);
	cluster_close(&k);
}

static void bad_and_conflicting_policies_are_told(void **state)
{
	struct cluster k;

	(void)state;
	cluster_open(&k, 1);
	set_policy(&k, "bad", "web", ", \"maxSlowdown\": 1");
	set_policy(&k, "first", "web", "");
	set_policy(&k, "second", "web", "");
	ticks(&k, calm, 4);
	assert_int_equal(asked(&k, "/bad/status",
	                       "\"message\":\"spec.maxSlowdown: saw 1, want a number from 1.05 to "
	                       "100\""),
	                 1);
	assert_int_equal(asked(&k, "/bad/status", "\"status\":\"False\""), 1);
	assert_int_equal(asked(&k, "/second/status", "\"reason\":\"Conflict\""), 1);
	assert_int_equal(asked(&k, "/second/status", "instead: first"), 1);
	assert_int_equal(asked(&k, "/first/status", "\"reason\":\"Accepted\""), 1);
	cluster_close(&k);
}

/* The first by name are taken; who is left out is told. */
static void a_policy_too_many_is_told(void **state)
{
	struct cluster k;

	(void)state;
	cluster_open(&k, 1);
	for (int i = KM_POLICIES_MAX; i >= 0; i--) {
		char json[512];
		char name[16];
		const struct km_view_policy p = { .namespace = name_of("shop"),
			                          .name = { name, 5 },
			                          .uid = { name, 5 },
			                          .json = { json, 0 },
			                          .generation = 1 };
		struct km_view_policy one = p;

		(void)snprintf(name, sizeof(name), "p%04d", i);
		one.json.len = (uint32_t)snprintf(
			json, sizeof(json),
			"{\"apiVersion\":\"kubemarla.io/v1alpha1\",\"kind\":"
			"\"InterferencePolicy\",\"metadata\":{\"name\":\"%s\",\"namespace\":"
			"\"shop\"},\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"%s\"}}}}",
			name, name);
		assert_int_equal(km_view_set_policy(k.view, &one), 0);
	}
	km_view_step(k.view);
	k.keep = "/p1024/";
	ticks(&k, calm, 10);
	assert_int_equal(asked(&k, "/p1024/status", "left out"), 1);
	cluster_close(&k);
}

static void who_does_not_lead_writes_nothing(void **state)
{
	struct cluster k;

	(void)state;
	cluster_open(&k, 3);
	k.lease_taken = true;
	set_policy(&k, "slo", "web", ", \"mode\": \"Enforce\", \"maxSlowdown\": 1.5");
	set_pod(&k, "web-0", "web", -1, REFUSED);
	ticks(&k, calm, 60);
	assert_int_equal(k.requests, 0);
	cluster_close(&k);
}

/* The Lease is lost while there is work: nothing more is asked. */
static void who_leads_no_longer_stops_at_once(void **state)
{
	struct cluster k;
	size_t before;

	(void)state;
	cluster_open(&k, 3);
	set_policy(&k, "slo", "web", ", \"mode\": \"Enforce\", \"maxSlowdown\": 1.5");
	set_pod(&k, "web-0", "web", 0, "");
	ticks(&k, calm, 10);
	before = k.requests;
	assert_true(before > 0);
	k.w.now_ns += 11 * S; /* no renewal came through */
	set_pod(&k, "web-1", "web", 1, "");
	controller_round(k.c);
	k.w.now_ns += 5 * S;
	controller_round(k.c);
	assert_int_equal(k.requests, before);
	ticks(&k, calm, 10); /* it is ours again */
	assert_true(k.requests > before);
	cluster_close(&k);
}

/* The first answer takes longer than the Lease lasts: the second policy is the next leader's. */
/* The right to the Lease is taken away from its holder: it is not thought to have it for ever. */
static void who_may_not_renew_is_no_holder(void **state)
{
	struct km_controller_health h;
	struct cluster k;

	(void)state;
	cluster_open(&k, 1);
	ticks(&k, calm, 6);
	km_controller_health(k.c, &h);
	assert_true(h.leading);
	assert_string_equal(h.holder, "us");
	k.lease_answer = 403;
	ticks(&k, calm, 18);
	km_controller_health(k.c, &h);
	assert_false(h.leading);
	assert_string_equal(h.holder, "");
	cluster_close(&k);
}

static void a_round_ends_where_the_lease_does(void **state)
{
	struct cluster k;

	(void)state;
	cluster_open(&k, 3);
	ticks(&k, calm, 6);
	set_policy(&k, "slo", "web", "");
	set_policy(&k, "too", "db", "");
	k.slow_ns = 11 * S;
	for (int i = 0; i < 5 && k.requests == 0; i++) {
		k.w.now_ns += S;
		controller_round(k.c);
	}
	assert_int_equal(k.requests, 1);
	controller_round(k.c);
	assert_int_equal(k.requests, 1);
	cluster_close(&k);
}

static void another_term_keeps_what_the_api_has(void **state)
{
	struct km_view_policy p = { .namespace = name_of("shop"),
		                    .name = name_of("slo"),
		                    .uid = name_of("slo"),
		                    .generation = 1 };
	struct cluster k;
	char json[8192];

	(void)state;
	cluster_open(&k, 3);
	set_policy(&k, "slo", "web", ", \"maxSlowdown\": 1.5");
	set_pod(&k, "web-0", "web", 0, "");
	ticks(&k, calm, 10);
	assert_int_equal(k.requests, 1);
	/* The watch brings what was written; then another leader comes: it has nothing to add. */
	(void)snprintf(
		json, sizeof(json),
		"{\"apiVersion\":\"kubemarla.io/v1alpha1\",\"kind\":\"InterferencePolicy\","
		"\"metadata\":{\"name\":\"slo\",\"namespace\":\"shop\"},\"spec\":{"
		"\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"maxSlowdown\":1.5},%.4000s",
		k.request[0].body + 1);
	p.json = name_of(json);
	assert_int_equal(km_view_set_policy(k.view, &p), 0);
	km_view_step(k.view);
	k.w.now_ns += 30 * S;
	controller_round(k.c);
	ticks(&k, calm, 20);
	assert_int_equal(k.requests, 1);
	cluster_close(&k);
}

static void a_write_that_fails_is_tried_again(void **state)
{
	struct km_controller_health h;
	struct cluster k;

	(void)state;
	cluster_open(&k, 1);
	k.answer = 403;
	set_policy(&k, "slo", "web", "");
	ticks(&k, calm, 35);
	assert_true(k.requests >= 2 && k.requests <= 5);
	km_controller_health(k.c, &h);
	assert_true(h.leading);
	assert_string_equal(h.trouble, "the server says no");
	k.answer = 0;
	ticks(&k, calm, 20);
	km_controller_health(k.c, &h);
	assert_string_equal(h.trouble, "");
	assert_true(h.round_age_s < 2);
	cluster_close(&k);
}

static void a_node_that_recovers_wakes_who_was_rejected(void **state)
{
	const double recovered[] = { 3, 0.2, 3 };
	struct cluster k;

	(void)state;
	cluster_open(&k, 3);
	set_policy(&k, "slo", "web", ", \"mode\": \"Enforce\", \"maxSlowdown\": 1.5");
	set_pod(&k, "web-0", "web", -1, REFUSED);
	set_pod(&k, "web-1", "web", -1, REFUSED);
	set_pod(&k, "other", "web", -1, "0/3 nodes are available: 3 Insufficient cpu.");
	ticks(&k, rough, 30);
	assert_int_equal(asked(&k, "/api/v1/nodes/", ""), 0);
	tick(&k, recovered);
	assert_int_equal(asked(&k, "/api/v1/nodes/", ""), 1);
	assert_int_equal(asked(&k, "/api/v1/nodes/n1", "kubemarla.io/verdict"), 1);
	ticks(&k, recovered, 9);
	assert_int_equal(asked(&k, "/api/v1/nodes/", ""), 1); /* nothing has turned */
	/* still there: again after a while, and then more and more seldom */
	ticks(&k, recovered, 100);
	assert_true(asked(&k, "/api/v1/nodes/n1", "") >= 3);
	assert_true(asked(&k, "/api/v1/nodes/n1", "") <= 5);
	cluster_close(&k);
}

static void a_verdict_that_turns_again_wakes_again(void **state)
{
	const double recovered[] = { 3, 0.2, 3 };
	struct cluster k;

	(void)state;
	cluster_open(&k, 3);
	set_policy(&k, "slo", "web", ", \"mode\": \"Enforce\", \"maxSlowdown\": 1.5");
	set_pod(&k, "web-0", "web", -1, REFUSED);
	ticks(&k, rough, 4);
	tick(&k, recovered);
	ticks(&k, rough, 3);
	tick(&k, recovered);
	assert_int_equal(asked(&k, "/api/v1/nodes/n1", ""), 2);
	/* nobody waits: nobody is woken */
	set_pod(&k, "web-0", "web", 1, "");
	ticks(&k, rough, 3);
	ticks(&k, recovered, 3);
	assert_int_equal(asked(&k, "/api/v1/nodes/", ""), 2);
	cluster_close(&k);
}

/* No CRD is installed; what rejects the pod is a policy of a file. */
static void without_a_crd_rejected_pods_are_woken_too(void **state)
{
	static const char json[] =
		"{\"apiVersion\":\"kubemarla.io/v1alpha1\",\"kind\":\"InterferencePolicy\","
		"\"metadata\":{\"name\":\"slo\",\"namespace\":\"shop\"},\"spec\":{\"selector\":{"
		"\"matchLabels\":{\"app\":\"web\"}},\"mode\":\"Enforce\",\"maxSlowdown\":1.5}}";
	const double recovered[] = { 3, 0.2, 3 };
	struct km_policies *of_file;
	struct km_policy policy;
	struct cluster k;

	(void)state;
	cluster_open_without(&k, 3, 1U << KM_VIEW_POLICIES);
	assert_int_equal(km_policy_parse("shop/slo", json, sizeof(json) - 1, false, &policy, NULL),
	                 0);
	assert_int_equal(km_policies_create(&policy, 1, &of_file, NULL), 0);
	km_decide_set_policies(k.w.decide, of_file);
	km_policies_unref(of_file);
	set_pod(&k, "web-0", "web", -1, REFUSED);
	ticks(&k, rough, 5);
	assert_int_equal(k.requests, 0);
	tick(&k, recovered);
	assert_int_equal(asked(&k, "/api/v1/nodes/n1", "kubemarla.io/verdict"), 1);
	cluster_close(&k);
}

static void a_policy_at_risk_is_told_once(void **state)
{
	const double harmed[] = { 1.2, 0.2, 0.2 };
	struct cluster k;

	(void)state;
	cluster_open(&k, 3);
	set_policy(&k, "slo", "web", ", \"mode\": \"Prefer\", \"maxSlowdown\": 1.5");
	set_pod(&k, "web-0", "web", 0, "");
	set_pod(&k, "web-1", "web", 1, "");
	ticks(&k, calm, 10);
	ticks(&k, harmed, 60);
	assert_int_equal(asked(&k, "/events", "\"SLOAtRisk\""), 2); /* the policy, and one pod */
	assert_int_equal(asked(&k, "/events",
	                       "\"kind\":\"Pod\",\"namespace\":\"shop\",\"name\":"
	                       "\"web-0\""),
	                 1);
	assert_int_equal(asked(&k, "/status", "\"reason\":\"PredictedSlowdown\""), 1);
	cluster_close(&k);
}

static void kinds_of_rejected_pods_take_turns(void **state)
{
	const double recovered[] = { 3, 0.2, 3 };
	struct cluster k;
	char name[32];
	char app[16];

	(void)state;
	cluster_open(&k, 3);
	for (int i = 0; i < 12; i++) {
		(void)snprintf(app, sizeof(app), "app-%d", i);
		(void)snprintf(name, sizeof(name), "slo-%d", i);
		set_policy(&k, name, app, ", \"mode\": \"Enforce\", \"maxSlowdown\": 1.5");
		set_pod(&k, app, app, -1, REFUSED);
	}
	ticks(&k, rough, 4);
	ticks(&k, recovered, 6);
	/* eight kinds in one round, the others in the next: each needs an event after its own */
	assert_int_equal(asked(&k, "/api/v1/nodes/n1", "kubemarla.io/verdict"), 2);
	cluster_close(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_policy_gets_a_status_and_then_peace),
		cmocka_unit_test(bad_and_conflicting_policies_are_told),
		cmocka_unit_test(a_policy_too_many_is_told),
		cmocka_unit_test(who_does_not_lead_writes_nothing),
		cmocka_unit_test(who_leads_no_longer_stops_at_once),
		cmocka_unit_test(who_may_not_renew_is_no_holder),
		cmocka_unit_test(a_round_ends_where_the_lease_does),
		cmocka_unit_test(another_term_keeps_what_the_api_has),
		cmocka_unit_test(a_write_that_fails_is_tried_again),
		cmocka_unit_test(a_node_that_recovers_wakes_who_was_rejected),
		cmocka_unit_test(a_verdict_that_turns_again_wakes_again),
		cmocka_unit_test(without_a_crd_rejected_pods_are_woken_too),
		cmocka_unit_test(a_policy_at_risk_is_told_once),
		cmocka_unit_test(kinds_of_rejected_pods_take_turns),
	};

	return cmocka_run_group_tests_name("policy controller", tests, NULL, NULL);
}
