/* SPDX-License-Identifier: Apache-2.0 */
/* wire: a policy's status, written and read back. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/wire/policy_status.h"

static const struct km_status_node nodes[] = {
	{ .name = "a", .pods = 2, .predicted = 1.31, .observed = 1.4, .tier = KM_TIER_CORE },
	{ .name = "b", .pods = 1, .predicted = NAN, .observed = NAN, .tier = KM_TIER_NONE },
};

static struct km_policy_status example(void)
{
	struct km_policy_status s;

	km_policy_status_init(&s);
	s.observed_generation = 4;
	s.matched_pods = 3;
	s.node_count = 2;
	s.worst_predicted = 1.31;
	s.node = calloc(2, sizeof(s.node[0]));
	memcpy(s.node, nodes, sizeof(nodes));
	s.nodes = 2;
	s.condition[KM_READY] =
		(struct km_condition){ .there = true,
		                       .status = KM_CONDITION_TRUE,
		                       .observed_generation = 4,
		                       .changed_unix_ns = INT64_C(1700000000000000000),
		                       .reason = "Accepted",
		                       .message = "it \"holds\"" };
	s.move = (struct km_status_move){ .there = true,
		                          .unix_ns = INT64_C(1700000001000000000),
		                          .pod = "web-0",
		                          .from = "a",
		                          .gain_ratio = 0.25,
		                          .in_last_hour = 2 };
	return s;
}

static void what_is_written_is_what_the_crd_has(void **state)
{
	struct km_policy_status s = example();
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	km_policy_status_encode(&out, &s);
	assert_string_equal(
		km_buf_cstr(&out),
		"{\"status\":{\"observedGeneration\":4,\"matchedPods\":3,\"nodeCount\":2,"
		"\"worstPredictedSlowdown\":1.31,\"observedSlowdown\":null,\"nodes\":["
		"{\"name\":\"a\",\"pods\":2,\"predictedSlowdown\":1.31,\"observedSlowdown\":1.4,"
		"\"tier\":\"core\"},{\"name\":\"b\",\"pods\":1,\"tier\":\"none\"}],"
		"\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"observedGeneration\":4,"
		"\"lastTransitionTime\":\"2023-11-14T22:13:20Z\",\"reason\":\"Accepted\","
		"\"message\":\"it \\\"holds\\\"\"}],\"lastRebalance\":{"
		"\"time\":\"2023-11-14T22:13:21Z\",\"pod\":\"web-0\",\"fromNode\":\"a\","
		"\"gainRatio\":0.25,\"dryRun\":false,\"inLastHour\":2}}}");
	km_buf_fini(&out);
	km_policy_status_fini(&s);
}

static void what_is_written_is_read_back(void **state)
{
	struct km_policy_status s = example();
	struct km_policy_status r;
	struct km_buf out;
	struct km_buf again;

	(void)state;
	km_buf_init(&out);
	km_buf_init(&again);
	km_policy_status_encode(&out, &s);
	assert_int_equal(km_policy_status_decode(out.data, out.len, &r), 0);
	km_policy_status_encode(&again, &r);
	assert_string_equal(km_buf_cstr(&again), km_buf_cstr(&out));
	assert_true(isnan(r.observed) && isnan(r.node[1].predicted));
	assert_false(r.condition[KM_SLO_AT_RISK].there);
	km_policy_status_fini(&r);
	km_policy_status_fini(&s);
	km_buf_fini(&again);
	km_buf_fini(&out);
}

static void what_is_odd_is_not_there(void **state)
{
	static const char *const rows[] = {
		"{}",
		"{\"status\":null}",
		"{\"status\":[]}",
		"{\"status\":{\"nodes\":{},\"conditions\":1}}",
		"{\"status\":{\"lastRebalance\":[],\"matchedPods\":-3}}",
		"{\"status\":{\"lastRebalance\":{\"time\":\"9999-12-31T23:59:59Z\",\"pod\":\"a\","
		"\"fromNode\":\"b\",\"gainRatio\":0.5,\"dryRun\":false}}}",
		"{\"status\":{\"lastRebalance\":{\"time\":\"2026-01-01T00:00:00Z\",\"pod\":\"a\"}}"
		"}",
		"{\"status\":{\"observedGeneration\":\"x\"}}",
		"{\"status\":{\"conditions\":[1,{\"type\":\"Other\"}],\"nodes\":[{},1]}}",
	};
	struct km_policy_status s;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		assert_int_equal(km_policy_status_decode(rows[i], strlen(rows[i]), &s), 0);
		assert_int_equal(s.nodes, 0);
		assert_int_equal(s.matched_pods, 0);
		assert_true(s.observed_generation == 0 && isnan(s.observed));
		assert_false(s.condition[KM_READY].there || s.move.there);
		km_policy_status_fini(&s);
	}
	assert_int_equal(km_policy_status_decode("[]", 2, &s), -EINVAL);
	assert_int_equal(km_policy_status_decode("{\"status\":", 10, &s), -EINVAL);
	km_policy_status_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_what_the_crd_has),
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(what_is_odd_is_not_there),
	};

	return cmocka_run_group_tests_name("wire policy status", tests, NULL, NULL);
}
