/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: the table of good and bad InterferencePolicies in tests/policies, which a real API server
 * is asked about too (tests/e2e), by our reader: as YAML, and as the API server's JSON.
 */
#include <dirent.h>
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

#include "km/base/buf.h"
#include "km/base/file.h"
#include "km/config/policy_file.h"

#define OBJECT(spec)                                                                               \
	"{\"apiVersion\":\"kubemarla.io/v1alpha1\",\"kind\":\"InterferencePolicy\","               \
	"\"metadata\":{\"name\":\"a\",\"namespace\":\"shop\",\"uid\":\"1\",\"generation\":3,"      \
	"\"managedFields\":[{\"manager\":\"kubectl\",\"fieldsV1\":{\"f:spec\":{\".\":{},"          \
	"\"k:{\\\"type\\\":\\\"Ready\\\"}\":{}}}}]},\"spec\":" spec ",\"status\":{\"x\":null}}"

static void each_file(const char *dir,
                      void (*check)(const char *path, const char *text, size_t len))
{
	struct dirent **entry = NULL;
	int count = scandir(dir, &entry, NULL, alphasort);
	int seen = 0;

	assert_true(count > 0);
	for (int i = 0; i < count; i++) {
		struct km_buf text;
		char path[300];

		(void)snprintf(path, sizeof(path), "%s/%.200s", dir, entry[i]->d_name);
		km_buf_init(&text);
		if (strstr(entry[i]->d_name, ".yaml") != NULL) {
			assert_int_equal(km_file_read(path, 1u << 20, &text, NULL), 0);
			check(path, km_buf_cstr(&text), text.len);
			seen++;
		}
		km_buf_fini(&text);
		free(entry[i]);
	}
	free(entry);
	assert_true(seen >= 5);
}

static void accepted(const char *path, const char *text, size_t len)
{
	struct km_err err = { .code = 0 };
	struct km_policies *p = NULL;
	struct km_policy one;

	if (km_policy_file_parse(path, text, len, "", &p, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(km_policies_count(p), 1);
	km_policies_unref(p);
	assert_int_equal(km_policy_parse(path, text, len, true, &one, &err), 0);
	assert_true(one.trusted);
	km_policy_fini(&one);
}

/* The line "# reader: ..." says what the error must say. */
static void refused(const char *path, const char *text, size_t len)
{
	const char *line = strstr(text, "# reader: ");
	struct km_err err = { .code = 0 };
	struct km_policies *p = NULL;
	struct km_policy one;
	char want[160] = "";

	assert_non_null(line);
	assert_non_null(strstr(text, "# apiserver: ")); /* what kubectl must say: for tests/e2e */
	assert_int_equal(sscanf(line, "# reader: %159[^\n]", want), 1);
	if (km_policy_file_parse(path, text, len, "", &p, &err) != -EINVAL)
		fail_msg("%s is accepted", path);
	if (strstr(err.text, want) == NULL)
		fail_msg("%s: \"%s\", want \"%s\"", path, err.text, want);
	assert_null(p);
	assert_int_equal(km_policy_parse(NULL, text, len, true, &one, &err), -EINVAL);
	assert_null(strstr(err.text, path)); /* a status names no file */
	assert_null(one.term);
	km_policy_fini(&one);
}

static void good_policies_are_read(void **state)
{
	(void)state;
	each_file("tests/policies/good", accepted);
}

static void bad_policies_are_refused_for_their_reason(void **state)
{
	(void)state;
	each_file("tests/policies/bad", refused);
}

static void objects_of_the_api_server_are_read(void **state)
{
	static const char json[] = OBJECT(
		"{\"kpi\":{\"baselineSeconds\":0.012,\"latencyQuery\":\"q{a=\\\"b\\\"}\"},"
		"\"mode\":\"Enforce\",\"rebalance\":{\"cooldown\":\"1h30m\",\"dryRun\":false,"
		"\"enabled\":true,\"maxEvictionsPerHour\":2,\"minGainRatio\":0.2},"
		"\"selector\":{\"matchLabels\":{\"app\":\"1\"}},\"weight\":1,"
		"\"workload\":{\"rpsQuery\":\"sum(x)\\u003e0\"}}");
	struct km_err err = { .code = 0 };
	struct km_policy p;

	(void)state;
	if (km_policy_parse("ipol", json, sizeof(json) - 1, false, &p, &err) != 0)
		fail_msg("%s", err.text);
	assert_string_equal(p.namespace, "shop");
	assert_false(p.trusted);
	assert_string_equal(p.rps_query, "sum(x)>0");
	assert_string_equal(p.kpi.latency_query, "q{a=\"b\"}");
	assert_true(p.kpi.baseline_s == 0.012);
	assert_null(p.kpi.baseline_query);
	assert_true(p.rebalance.enabled);
	assert_false(p.rebalance.dry_run);
	assert_true(p.rebalance.min_gain_ratio == 0.2);
	assert_true(p.rebalance.cooldown_ns == INT64_C(5400000000000));
	assert_int_equal(p.rebalance.max_evictions_per_hour, 2);
	assert_int_equal(p.term_count, 1);
	assert_string_equal(p.term[0].value[0], "1");
	km_policy_fini(&p);
}

static void the_status_text_is_of_the_spec_alone(void **state)
{
	static const char json[] = OBJECT("{\"selector\":{},\"maxSlowdown\":1}");
	struct km_err err = { .code = 0 };
	struct km_policy p;

	(void)state;
	assert_int_equal(km_policy_parse(NULL, json, sizeof(json) - 1, true, &p, &err), -EINVAL);
	assert_string_equal(err.text, "spec.maxSlowdown: saw 1, want a number from 1.05 to 100");
	assert_int_equal(km_policy_parse("shop/a", json, sizeof(json) - 1, true, &p, &err),
	                 -EINVAL);
	assert_string_equal(err.text,
	                    "shop/a:1: spec.maxSlowdown: saw 1, want a number from 1.05 to 100");
	assert_int_equal(km_policy_parse(NULL, "{", 1, true, &p, &err), -EINVAL);
	assert_int_equal(km_policy_parse(NULL, "[]", 2, true, &p, &err), -EINVAL);
}

/* The first of the two documents: the reader takes one. */
static void the_example_is_read(void **state)
{
	struct km_err err = { .code = 0 };
	struct km_policy p;
	struct km_buf text;
	char *end;

	(void)state;
	km_buf_init(&text);
	assert_int_equal(
		km_file_read("deploy/examples/interferencepolicy.yaml", 1u << 20, &text, NULL), 0);
	end = strstr(km_buf_cstr(&text), "\n---\n");
	assert_non_null(end);
	if (km_policy_parse(NULL, text.data, (size_t)(end - text.data), true, &p, &err) != 0)
		fail_msg("%s", err.text);
	assert_true(p.rps_query != NULL && p.kpi.latency_query != NULL && p.rebalance.dry_run);
	km_policy_fini(&p);
	if (km_policy_parse(NULL, end + 5, strlen(end + 5), true, &p, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(p.mode, KM_MODE_OBSERVE);
	km_policy_fini(&p);
	km_buf_fini(&text);
}

/* What the reader presets, what km_policy_init says and the CRD's defaults are one and the same. */
static void defaults_agree(void **state)
{
	static const char json[] = OBJECT("{\"selector\":{},\"rebalance\":{}}");
	static const char *const defaults[] = {
		"default: Observe", "default: 0.15", "default: 10m",
		"default: 6",       "default: true", "enabled: {type: boolean, default: false}",
	};
	struct km_policy want;
	struct km_policy p;
	struct km_buf crd;

	(void)state;
	km_policy_init(&want);
	assert_int_equal(km_policy_parse(NULL, json, sizeof(json) - 1, true, &p, NULL), 0);
	assert_int_equal(p.mode, want.mode);
	assert_true(p.weight == want.weight);
	assert_true(isnan(p.kpi.baseline_s) && p.kpi.latency_query == NULL);
	assert_int_equal(p.rebalance.enabled, want.rebalance.enabled);
	assert_int_equal(p.rebalance.dry_run, want.rebalance.dry_run);
	assert_true(p.rebalance.dry_run);
	assert_true(p.rebalance.min_gain_ratio == want.rebalance.min_gain_ratio);
	assert_true(p.rebalance.cooldown_ns == want.rebalance.cooldown_ns);
	assert_int_equal(p.rebalance.max_evictions_per_hour, want.rebalance.max_evictions_per_hour);
	km_policy_fini(&p);
	km_buf_init(&crd);
	assert_int_equal(km_file_read("deploy/base/crd.yaml", 1u << 20, &crd, NULL), 0);
	for (size_t i = 0; i < KM_ARRAY_LEN(defaults); i++)
		assert_non_null(strstr(km_buf_cstr(&crd), defaults[i]));
	km_buf_fini(&crd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_policies_are_read),
		cmocka_unit_test(bad_policies_are_refused_for_their_reason),
		cmocka_unit_test(objects_of_the_api_server_are_read),
		cmocka_unit_test(the_status_text_is_of_the_spec_alone),
		cmocka_unit_test(the_example_is_read),
		cmocka_unit_test(defaults_agree),
	};

	return cmocka_run_group_tests_name("config policies", tests, NULL, NULL);
}
