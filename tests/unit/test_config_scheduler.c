/* SPDX-License-Identifier: Apache-2.0 */
/* config: votes out of a KubeSchedulerConfiguration. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "km/config/scheduler_config.h"

#define KIND "kind: KubeSchedulerConfiguration\n"
#define OURS "extenders: [{urlPrefix: \"http://a\", prioritizeVerb: p, weight: 7}]\n"

static void votes_are_read_or_refused_by_line(void **state)
{
	static const struct {
		const char *yaml, *server;
		const char *error; /* NULL = read */
		double weight, in_tree;
		const char *why;
	} rows[] = {
		{ KIND OURS, NULL, NULL, 7, 12, "no profile: the defaults" },
		{ KIND OURS "profiles: [{schedulerName: x, plugins: {score: {enabled: "
		            "[{name: NodeAffinity, weight: 5}]}}}]\n",
		  NULL, NULL, 7, 15, "another weight, in the first profile" },
		{ KIND OURS "profiles: [{schedulerName: x}, {schedulerName: kubemarla, plugins: "
		            "{score: {disabled: [{name: \"*\"}], enabled: [{name: Mine}]}}}]\n",
		  NULL, NULL, 7, 1, "ours is the one named kubemarla; no weight is 1" },
		{ KIND OURS "profiles: [{plugins: {multiPoint: {enabled: [{name: Mine}, "
		            "{name: Other, weight: 4}], disabled: [{name: ImageLocality}]}}}]\n",
		  NULL, NULL, 7, 15, "multiPoint: what has no weight may not score" },
		{ KIND "extenders: [{urlPrefix: \"http://b/\", prioritizeVerb: p, weight: 2}, "
		       "{urlPrefix: \"http://a\", prioritizeVerb: p, weight: 3}, "
		       "{urlPrefix: \"http://c\", filterVerb: f, weight: 4}]\n",
		  "http://a/", NULL, 3, 12, "of several the one asked" },
		{ KIND "extenders: [{urlPrefix: b, prioritizeVerb: p, weight: 2}, "
		       "{urlPrefix: c, prioritizeVerb: p, weight: 3}]\n",
		  "http://a", "f:2: extenders: saw a list, want one that scores, or one at", 0, 0,
		  "of several none" },
		{ KIND, NULL, "f:1: extenders: saw none, want one with a prioritizeVerb", 0, 0,
		  "no extender" },
		{ KIND "extenders: [{filterVerb: f}]\n", NULL,
		  "f:2: extenders: saw a list, want one with a prioritizeVerb", 0, 0,
		  "one that only filters" },
		{ KIND "extenders: [{prioritizeVerb: p}]\n", NULL,
		  "f:1: extenders: weight: saw none, want a whole number over 0", 0, 0,
		  "kube-scheduler would not start" },
		{ KIND "extenders: [{prioritizeVerb: p, weight: -1}]\n", NULL,
		  "f:2: extenders: weight: saw -1, want a whole number from 0 to 1000000", 0, 0,
		  "negative" },
		{ KIND "extenders: [{prioritizeVerb: p, weight: [1]}]\n", NULL,
		  "f:2: extenders: weight: saw a list, want", 0, 0, "no number" },
		{ KIND OURS "profiles: [{plugins: {score: {enabled: [{weight: 1}]}}}]\n", NULL,
		  "f:1: plugins: name: saw none, want a plugin's name", 0, 0, "nameless" },
		{ "kind: Pod\n", NULL, "f:1: kind: saw Pod, want KubeSchedulerConfiguration", 0, 0,
		  "another kind" },
		{ "- a\n", NULL, "f:1: kind: saw none, want", 0, 0, "a list" },
		{ "", NULL, "f:1: kind: saw none, want", 0, 0, "empty" },
		{ "a: [", NULL, "f:", 0, 0, "no YAML" },
		{ KIND "extenders: 7\nprofiles: {a: b}\n", NULL,
		  "f:2: extenders: saw 7, want one with a prioritizeVerb", 0, 0, "odd types" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_scheduler_votes votes = { 0, 0 };
		struct km_err err = { .code = 0 };
		int rc = km_scheduler_votes_parse("f", rows[i].yaml, strlen(rows[i].yaml),
		                                  rows[i].server, &votes, &err);

		if (rows[i].error != NULL) {
			if (rc != -EINVAL ||
			    strncmp(err.text, rows[i].error, strlen(rows[i].error)) != 0)
				fail_msg("%s: %d %s", rows[i].why, rc, err.text);
			continue;
		}
		if (rc != 0 || votes.weight != rows[i].weight ||
		    votes.in_tree_weight != rows[i].in_tree)
			fail_msg("%s: %d %s: %g, %g", rows[i].why, rc, err.text, votes.weight,
			         votes.in_tree_weight);
	}
}

static void the_example_says_what_is_assumed(void **state)
{
	struct km_scheduler_votes votes;
	struct km_err err = { .code = 0 };

	(void)state;
	assert_int_equal(km_scheduler_votes_load("deploy/examples/scheduler-config.yaml",
	                                         "http://127.0.0.1:9191", &votes, &err),
	                 0);
	assert_true(votes.weight == 10 && votes.in_tree_weight == 12);
	assert_int_equal(km_scheduler_votes_load("no-such-file", NULL, &votes, &err), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(votes_are_read_or_refused_by_line),
		cmocka_unit_test(the_example_says_what_is_assumed),
	};

	return cmocka_run_group_tests_name("config_scheduler", tests, NULL, NULL);
}
