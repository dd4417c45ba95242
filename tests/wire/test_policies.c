/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies from a file, on the wire: modes, what a pod's labels choose, reload, bad files; and pods
 * in flight between two requests.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/place/effects.h"

#include "support/extender_case.h"
#include "support/tool.h"

#define POLICY(name, app, spec)                                                                    \
	"- apiVersion: kubemarla.io/v1alpha1\n  kind: InterferencePolicy\n"                        \
	"  metadata: {name: " name ", namespace: shop}\n"                                          \
	"  spec: {selector: {matchLabels: {app: " app "}}, " spec "}\n"
#define CONFIG                                                                                     \
	EXTENDER_NODES EXTENDER_MODEL                                                              \
		"decide: {maxAge: 1h, policies: \"@DIR@/policies.yaml\", ledger: off}\n"
#define ASK(uid, app)                                                                              \
	"{\"Pod\":{\"metadata\":{\"name\":\"p\",\"namespace\":\"shop\",\"uid\":\"" uid             \
	"\",\"labels\":{\"app\":\"" app "\"}}},\"Nodes\":null,"                                    \
	"\"NodeNames\":[\"quiet\",\"some\",\"noisy\"]}"
#define PASS                                                                                       \
	"{\"Nodes\":null,\"NodeNames\":[\"quiet\",\"some\",\"noisy\"],\"FailedNodes\":{},"         \
	"\"FailedAndUnresolvableNodes\":{},\"Error\":\"\"}"
#define SLOW "\"predicted slowdown is above what the pod tolerates\""

static const char policies[] =
	"kind: List\nitems:\n" POLICY("strict", "web", "mode: Enforce, maxSlowdown: 1.2")
		POLICY("watch", "db", "mode: Observe") POLICY("watch-too", "db", "mode: Enforce");

static const struct extender_case by_policy[] = {
	{ "a strict one", ASK("", "web"),
	  .filter = "{\"Nodes\":null,\"NodeNames\":[\"quiet\"],\"FailedNodes\":{\"some\":" SLOW
	            ",\"noisy\":" SLOW "},\"FailedAndUnresolvableNodes\":{},\"Error\":\"\"}",
	  /* slowdowns of 1.04, 1.42 and 2.1, by a limit of 1.2 instead of 2 */
	  .prioritize = "[{\"Host\":\"quiet\",\"Score\":8},{\"Host\":\"some\",\"Score\":1},"
	                "{\"Host\":\"noisy\",\"Score\":0}]" },
	{ "of two that say the same the first name holds: it observes", ASK("", "db"),
	  .filter = PASS,
	  .prioritize = "[{\"Host\":\"quiet\",\"Score\":5},{\"Host\":\"some\",\"Score\":5},"
	                "{\"Host\":\"noisy\",\"Score\":5}]" },
	{ "none: as configured", ASK("", "other"), .filter = PASS,
	  .prioritize = "[{\"Host\":\"quiet\",\"Score\":10},{\"Host\":\"some\",\"Score\":6},"
	                "{\"Host\":\"noisy\",\"Score\":2}]" },
	{ .name = NULL },
};

static void policies_decide_by_labels(void **state)
{
	struct daemon *d = *state;

	daemon_write(d, "policies.yaml", policies);
	extender_start(d, CONFIG);
	assert_non_null(strstr(d->text, "policies loaded count=3"));
	assert_non_null(strstr(d->text, "policies match the same pods namespace=shop holds=watch "
	                                "not=watch-too"));
	extender_check_all(d, by_policy);
	assert_true(wire_metric(d, "kubemarla_policy_conflicts_total") == 2);
}

static void a_reload_reads_them_anew_and_refuses_bad_ones(void **state)
{
	struct daemon *d = *state;
	struct extender_case as_none = by_policy[2];
	size_t from;

	daemon_write(d, "policies.yaml", policies);
	extender_start(d, CONFIG);
	from = d->len;
	daemon_write(d, "policies.yaml", "items:\n" POLICY("strict", "web", "mode: Strict"));
	daemon_signal(d, SIGHUP);
	assert_true(daemon_wait_log(d, from, "reload refused error=\"decide.policies: "));
	assert_non_null(strstr(d->text + from, "spec.mode: saw Strict"));
	extender_check(d, &by_policy[0]);
	from = d->len;
	daemon_write(d, "policies.yaml", "items: []\n");
	daemon_signal(d, SIGHUP);
	assert_true(daemon_wait_log(d, from, "reload applied"));
	as_none.body = by_policy[0].body;
	extender_check(d, &as_none);
}

static void a_bad_file_is_no_start(void **state)
{
	struct daemon *d = *state;

	daemon_write(d, "kubemarla.yaml", "decide: {policies: /nowhere/policies.yaml}\n");
	assert_false(daemon_start(d));
	assert_int_equal(daemon_exit_code(d), 1);
	assert_non_null(strstr(d->text, "decide.policies: "));
}

/* Before a start or a reload, the tool and the daemon itself tell. */
static void a_file_can_be_checked(void **state)
{
	const struct daemon *d = *state;
	char config[160];
	char text[320];
	const char *check[] = { "check", config, NULL };
	const char *dry[] = { "-n", "-c", config, NULL };
	struct tool_result r;

	tool_result_init(&r);
	daemon_write(d, "policies.yaml", policies);
	(void)snprintf(config, sizeof(config), "%s/kubemarla.yaml", d->dir);
	(void)snprintf(text, sizeof(text),
	               "model: {path: \"\"}\ndecide: {policies: \"%s/policies.yaml\"}\n", d->dir);
	daemon_write(d, "kubemarla.yaml", text);
	tool_run(check, NULL, 0, &r);
	assert_int_equal(r.code, 0);
	assert_non_null(strstr(km_buf_cstr(&r.out), "policies.yaml  3, 1 of them never hold: "
	                                            "watch-too selects what watch does"));
	tool_run_program("kubemarlad", dry, NULL, 0, &r);
	assert_int_equal(r.code, 0);
	daemon_write(d, "policies.yaml", "items:\n" POLICY("a", "b", "weight: 0"));
	tool_run(check, NULL, 0, &r);
	assert_int_equal(r.code, 1);
	assert_non_null(strstr(km_buf_cstr(&r.err), "spec.weight: saw 0"));
	tool_run_program("kubemarlad", dry, NULL, 0, &r);
	assert_int_equal(r.code, 2);
	assert_non_null(strstr(km_buf_cstr(&r.err), "decide.policies: "));
	tool_result_fini(&r);
}

/* Two pods of one class on their way to the best node: it is not the best any more. */
static void pods_in_flight_are_counted_between_requests(void **state)
{
	static const struct extender_case pods[] = {
		{ "the first", ASK("a", "x"), .filter = PASS,
		  .prioritize =
		          "[{\"Host\":\"quiet\",\"Score\":10},{\"Host\":\"some\",\"Score\":6},"
		          "{\"Host\":\"noisy\",\"Score\":2}]" },
		{ "the first again: its own it does not see", ASK("a", "x"), .filter = PASS,
		  .prioritize =
		          "[{\"Host\":\"quiet\",\"Score\":10},{\"Host\":\"some\",\"Score\":6},"
		          "{\"Host\":\"noisy\",\"Score\":2}]" },
		{ "the second", ASK("b", "x"), .filter = PASS,
		  .prioritize = "[{\"Host\":\"quiet\",\"Score\":4},{\"Host\":\"some\",\"Score\":6},"
		                "{\"Host\":\"noisy\",\"Score\":2}]" },
		{ .name = NULL },
	};
	struct daemon *d = *state;

	extender_start(d, EXTENDER_NODES EXTENDER_MODEL
	               "decide: {maxAge: 1h, reservationTTL: 1h, unknownSlowdown: 1.6}\n");
	extender_check_all(d, pods);
	assert_true(wire_metric(d, "kubemarla_inflight_pods{state=\"reserved\"}") == 2);
	assert_true(wire_metric(d, "kubemarla_inflight_nodes") == 2);
	assert_true(wire_metric(d, "kubemarla_inflight_reservations_total") == 3);
}

/* Nobody observes yet: a file of a test's own. A killed daemon leaves it as it was. */
static void learned_effects_come_from_their_file(void **state)
{
	struct daemon *d = *state;
	struct km_effects *e = km_effects_create(NULL);
	struct km_buf bytes;
	struct km_buf now;
	char path[160];

	km_buf_init(&bytes);
	km_buf_init(&now);
	(void)snprintf(path, sizeof(path), "%s/effects", d->dir);
	wire_start(d, "nodes: []\ncollect: {sources: []}\ndecide: {effects: \"@DIR@/effects\"}\n");
	daemon_signal(d, SIGTERM);
	assert_int_equal(daemon_exit_code(d), 0);
	assert_int_not_equal(access(path, F_OK), 0); /* nothing was learned */
	assert_int_equal(km_effects_observe(e, 1, 2, 3, 0.5, 1), 0);
	km_effects_write(e, &bytes);
	km_effects_free(e);
	assert_int_equal(km_file_write_atomic(path, bytes.data, bytes.len, NULL), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(daemon_start(d));
		assert_true(wire_metric(d, "kubemarla_effects_file_bytes") == (double)bytes.len);
		assert_null(strstr(d->text, "refused"));
		daemon_signal(d, SIGKILL);
		assert_int_equal(daemon_exit_code(d), 128 + SIGKILL);
	}
	assert_int_equal(km_file_read(path, 1 << 20, &now, NULL), 0);
	assert_int_equal(now.len, bytes.len);
	assert_memory_equal(now.data, bytes.data, bytes.len);
	daemon_write(d, "effects", "something else");
	assert_true(daemon_start(d));
	assert_non_null(strstr(d->text, "learned effects refused"));
	assert_int_not_equal(access(path, F_OK), 0);
	(void)snprintf(path, sizeof(path), "%s/effects.bad", d->dir);
	assert_int_equal(access(path, F_OK), 0);
	km_buf_fini(&bytes);
	km_buf_fini(&now);
}

#define WITH_DAEMON(f) cmocka_unit_test_setup_teardown(f, daemon_set_up, daemon_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DAEMON(policies_decide_by_labels),
		WITH_DAEMON(a_reload_reads_them_anew_and_refuses_bad_ones),
		WITH_DAEMON(a_bad_file_is_no_start),
		WITH_DAEMON(a_file_can_be_checked),
		WITH_DAEMON(pods_in_flight_are_counted_between_requests),
		WITH_DAEMON(learned_effects_come_from_their_file),
	};

	return cmocka_run_group_tests_name("policies on the wire", tests, NULL, NULL);
}
