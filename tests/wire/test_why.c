/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla why` against a daemon: why there, why not the others, and what it does not know. */
#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/extender_case.h"
#include "support/tool.h"

static const char policies[] =
	"apiVersion: v1\nkind: List\nitems:\n"
	"- apiVersion: kubemarla.io/v1alpha1\n  kind: InterferencePolicy\n"
	"  metadata: {namespace: shop, name: strict}\n"
	"  spec: {selector: {matchLabels: {app: strict}}, mode: Enforce, maxSlowdown: 1.4, "
	"workload: {rps: 2000}}\n"
	"- apiVersion: kubemarla.io/v1alpha1\n  kind: InterferencePolicy\n"
	"  metadata: {namespace: shop, name: watched}\n"
	"  spec: {selector: {matchLabels: {app: watched}}, maxSlowdown: 1.4, "
	"workload: {rps: 2000}}\n";

struct world {
	struct daemon d;
	struct tool_result r;
	char url[64];
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -1;
	daemon_init(&w->d);
	tool_result_init(&w->r);
	daemon_write(&w->d, "policies.yaml", policies);
	extender_start(&w->d, EXTENDER_NODES EXTENDER_MODEL
	               "decide: {maxAge: 1h, policies: \"@DIR@/policies.yaml\"}\n");
	(void)snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%d", w->d.port);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	tool_result_fini(&w->r);
	wire_stop(&w->d);
	free(w);
	return 0;
}

#define RUN(w, ...) tool_run((const char *[]){ __VA_ARGS__, NULL }, NULL, 0, &(w)->r)

static void place(const struct daemon *d, const char *ns, const char *pod, const char *nodes)
{
	static const char *const routes[] = { "/filter", "/prioritize" };
	char body[1024];

	(void)snprintf(body, sizeof(body),
	               "{\"Pod\":{\"metadata\":{\"namespace\":\"%s\",\"name\":\"%s\","
	               "\"annotations\":{\"kubemarla.io/rps\":\"3000\","
	               "\"kubemarla.io/max-slowdown\":\"3\"}}},\"Nodes\":null,\"NodeNames\":[%s]}",
	               ns, pod, nodes);
	for (size_t i = 0; i < 2; i++) {
		struct answer a;

		daemon_request(d, "POST", routes[i], body, &a);
		assert_int_equal(a.status, 200);
		answer_fini(&a);
	}
}

static void a_decision_is_told_in_words(void **state)
{
	static const char *const parts[] = {
		"Pod shop/web-1, decided at 20",
		" (/filter) and ",
		"It brings 3000 requests/s and tolerates a slowdown of 3 (annotations), mode "
		"Prefer; model ",
		"\nWhy there\n  quiet has the best score, 8 of 10: predicted slowdown 1.37 (90 % "
		"interval 1.09 to 1.88), counters ",
		"\n    memory writes 25 MB/s: -0.93 slowdown\n",
		"\nWhy not the others\n"
		"  Of 4 nodes 4 passed and 4 got a score, from 2 to 8:\n"
		"    2: predicted slowdown is within what the pod tolerates\n"
		"    1: predicted slowdown is above what the pod tolerates\n"
		"    1: node has no counters to predict from\n"
		"\n"
		"NODE   SLOWDOWN  90% INTERVAL  SCORE  FILTER  MAIN REASON\n"
		"quiet      1.37   1.09 - 1.88      8  pass    memory writes 25 MB/s: -0.93 "
		"slowdown\n"
		"some       2.15   1.72 - 2.96      4  pass    memory writes 2.58 GB/s: -0.50 "
		"slowdown\n"
		"blind         -             -      4  pass    node has no counters to predict "
		"from\n"
		"noisy      3.84   2.99 - 5.43      2  pass    memory writes 6.49 GB/s: +0.97 "
		"slowdown\n",
		"\nOur vote: 1000 points at most, with the extender's weight of 10 (assumed; "
		"--weight says another), beside 1200 of\nthe scheduler's own plugins: 45 % of "
		"all.  Here the best node is 400 points ahead of the next.\n",
	};
	struct world *w = *state;

	place(&w->d, "shop", "web-1", "\"blind\",\"noisy\",\"quiet\",\"some\"");
	RUN(w, "why", "web-1", "-s", w->url);
	tool_want_code(&w->r, 0);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		tool_want_text(w->r.out.data, parts[i]);
	assert_string_equal(w->r.err.data, "");
	place(&w->d, "shop", "web-1", "\"noisy\"");
	RUN(w, "why", "shop/web-1", "-s", w->url);
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "\nThe newest of 2 decisions about it.\n");
	tool_want_text(w->r.out.data, "  noisy has the best score, 2 of 10: ");
}

static void ties_and_lack_of_data_are_said(void **state)
{
	struct world *w = *state;

	place(&w->d, "shop", "dark", "\"blind\",\"ghost\"");
	RUN(w, "why", "dark", "-n", "shop", "-s", w->url, "--weight", "1");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data,
	               "  blind shares the best score, 5 of 10: node has no counters to "
	               "predict from.\n  2 nodes share it: among them the scheduler's "
	               "own plugins decide.\n");
	tool_want_text(w->r.out.data,
	               "weight of 1, beside 1200 of\nthe scheduler's own plugins: 8 % of "
	               "all.  Here the best node is 0 points ahead of the next.\n");
	place(&w->d, "shop", "nowhere", "");
	RUN(w, "why", "nowhere", "-s", w->url);
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "\nWhy there\n  No node of 0 passed.\n");
}

static void prioritize(const struct daemon *d, const char *route, const char *metadata)
{
	struct answer a;
	char body[512];

	(void)snprintf(body, sizeof(body),
	               "{\"Pod\":{\"metadata\":{\"namespace\":\"shop\",%s}},\"Nodes\":null,"
	               "\"NodeNames\":[\"quiet\",\"some\"]}",
	               metadata);
	daemon_request(d, "POST", route, body, &a);
	assert_int_equal(a.status, 200);
	answer_fini(&a);
}

static void policies_and_rejections_are_said(void **state)
{
	static const char pod[] = "\"name\":\"s\",\"uid\":\"s\",\"labels\":{\"app\":\"strict\"}";
	struct world *w = *state;

	prioritize(&w->d, "/filter", pod);
	RUN(w, "why", "s", "-s", w->url);
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data,
	               "It brings 2000 requests/s and tolerates a slowdown of 1.4 (policy "
	               "shop/strict), mode Enforce; model ");
	tool_want_text(w->r.out.data, "  quiet has the best score, ");
	tool_want_text(
		w->r.out.data,
		"  Of 2 nodes 1 passed:\n"
		"    1: predicted slowdown is within what the pod tolerates\n"
		"    1: predicted slowdown is above what the pod tolerates (1 filtered out)\n");
	tool_want_text(w->r.out.data, "  reject  ");
	assert_null(strstr(w->r.out.data, "Here the best node"));
}

/* The answer is neutral; what is remembered is not. */
static void of_observed_pods_it_says_what_would_have_been(void **state)
{
	static const char pod[] = "\"name\":\"o\",\"uid\":\"o\",\"labels\":{\"app\":\"watched\"}";
	struct world *w = *state;

	prioritize(&w->d, "/filter", pod);
	prioritize(&w->d, "/prioritize", pod);
	RUN(w, "why", "o", "-s", w->url);
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "(policy shop/watched), mode Observe; model ");
	tool_want_text(w->r.out.data,
	               "\nIt is only observed: all nodes passed with the same score.  What "
	               "follows would have been.\n\nWhy there\n  quiet has the best "
	               "score, ");
	tool_want_text(w->r.out.data, "  reject  ");
}

/* A pod of another UID that was sent there a moment ago slows this one down. */
static void pods_in_flight_are_said(void **state)
{
	struct world *w = *state;

	prioritize(&w->d, "/prioritize", "\"name\":\"first\",\"uid\":\"first\"");
	prioritize(&w->d, "/prioritize", "\"name\":\"second\",\"uid\":\"second\"");
	RUN(w, "why", "second", "-s", w->url);
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "\n  Pods on the way there are counted in: ");
	tool_want_text(w->r.out.data,
	               "\nNODE   SLOWDOWN  90% INTERVAL  IN FLIGHT  SCORE  FILTER  MAIN");
}

static void json_is_both_answers_as_they_came(void **state)
{
	struct world *w = *state;
	cJSON *tree;

	place(&w->d, "shop", "json", "\"quiet\",\"noisy\"");
	RUN(w, "why", "json", "--json", "-s", w->url);
	tool_want_code(&w->r, 0);
	tree = cJSON_Parse(w->r.out.data);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(
				 cJSON_GetObjectItem(tree, "decisions"), "decisions")),
	                 1);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(
				 cJSON_GetObjectItem(tree, "explain"), "nodes")),
	                 2);
	cJSON_Delete(tree);
}

static void votes_come_from_the_schedulers_configuration(void **state)
{
	static const char yaml[] = "apiVersion: kubescheduler.config.k8s.io/v1\n"
				   "kind: KubeSchedulerConfiguration\n"
				   "profiles:\n"
				   "- schedulerName: kubemarla\n"
				   "  plugins: {score: {disabled: [{name: ImageLocality}]}}\n"
				   "extenders: [{urlPrefix: x, prioritizeVerb: p, weight: 5}]\n";
	struct world *w = *state;
	char path[128];

	place(&w->d, "shop", "votes", "\"quiet\",\"noisy\"");
	daemon_write(&w->d, "scheduler.yaml", yaml);
	(void)snprintf(path, sizeof(path), "%s/scheduler.yaml", w->d.dir);
	RUN(w, "why", "votes", "-s", w->url, "--scheduler-config", path);
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data,
	               "Our vote: 500 points at most, with the extender's weight of 5, "
	               "beside 1100 of\n");
	daemon_write(&w->d, "scheduler.yaml", "kind: Pod\n");
	RUN(w, "why", "votes", "-s", w->url, "--scheduler-config", path);
	tool_want_code(&w->r, 2);
	tool_want_text(w->r.err.data, ":1: kind: saw Pod, want KubeSchedulerConfiguration\n");
}

static void what_is_known_is_told_of_an_unknown_pod(void **state)
{
	struct world *w = *state;

	place(&w->d, "shop", "web-2", "\"quiet\"");
	place(&w->d, "shop", "web-2", "\"quiet\"");
	place(&w->d, "bank", "db-0", "\"quiet\"");
	RUN(w, "why", "nobody", "-n", "shop", "-s", w->url);
	tool_want_code(&w->r, 1);
	assert_string_equal(w->r.out.data, "");
	tool_want_text(w->r.err.data, "kubemarla: no decision about pod shop/nobody is remembered\n"
	                              "It remembers ");
	tool_want_text(w->r.err.data, "; the newest are about bank/db-0, shop/web-2");
	RUN(w, "why", "db-0", "-n", "shop", "-s", w->url);
	tool_want_code(&w->r, 1);
	RUN(w, "why", "we b%\x1b[2J&limit=0", "-s", w->url);
	tool_want_code(&w->r, 1);
}

static void what_is_wrong_is_named(void **state)
{
	static const char *const wrong[] = { "why",
		                             "why a b",
		                             "why a --weight 0",
		                             "why a --weight x",
		                             "why a -x",
		                             "why a --weight 1 --scheduler-config f" };
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *args[8] = { NULL };
		char copy[64];
		char *rest = copy;

		(void)snprintf(copy, sizeof(copy), "%s", wrong[i]);
		for (int k = 0; k < 7; k++)
			args[k] = strsep(&rest, " ");
		tool_run(args, NULL, 0, &w->r);
		tool_want_code(&w->r, 2);
	}
	RUN(w, "why", "a", "--scheduler-config", "no-such-file");
	tool_want_code(&w->r, 2);
	tool_want_text(w->r.err.data, "no-such-file: No such file or directory\n");
	RUN(w, "why", "a", "-s", "127.0.0.1:1");
	tool_want_code(&w->r, 1);
	tool_want_text(w->r.err.data,
	               "kubemarla: http://127.0.0.1:1/v1/decisions?limit=200&pod=a: ");
	tool_want_text(w->r.err.data, "`kubemarlad -c FILE` starts one");
	RUN(w, "help", "why");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "Usage: kubemarla why POD [-n NAMESPACE]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_decision_is_told_in_words),
		cmocka_unit_test(ties_and_lack_of_data_are_said),
		cmocka_unit_test(policies_and_rejections_are_said),
		cmocka_unit_test(of_observed_pods_it_says_what_would_have_been),
		cmocka_unit_test(pods_in_flight_are_said),
		cmocka_unit_test(json_is_both_answers_as_they_came),
		cmocka_unit_test(votes_come_from_the_schedulers_configuration),
		cmocka_unit_test(what_is_known_is_told_of_an_unknown_pod),
		cmocka_unit_test(what_is_wrong_is_named),
	};

	return cmocka_run_group_tests_name("why", tests, set_up, tear_down);
}
