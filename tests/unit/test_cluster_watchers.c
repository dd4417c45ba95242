/* SPDX-License-Identifier: Apache-2.0 */
/* cluster: API objects as watchers hear them, and what the view keeps of them. */
#include <errno.h>

#include "km/base/macros.h"
#include "km/cluster/watchers.h"

#include "support/view_world.h"

static int hear(struct view_world *w, enum km_view_kind kind, bool deleted, const char *json)
{
	struct km_arena arena;
	int rc;

	km_arena_init(&arena, 0);
	rc = km_watchers_object(w->view, kind, deleted, json, strlen(json), &arena);
	km_arena_fini(&arena); /* what is kept was copied */
	return rc;
}

static void want_name(struct km_name got, const char *want)
{
	if (got.len != strlen(want) || memcmp(got.text, want, got.len) != 0)
		fail_msg("saw \"%.*s\", want \"%s\"", (int)got.len, got.text, want);
}

static void a_node_s_platform_is_what_its_labels_say_best(void **state)
{
	static const struct {
		const char *labels, *platform;
	} rows[] = {
		{ "\"node.kubernetes.io/instance-type\":\"m5.large\","
		  "\"feature.node.kubernetes.io/cpu-model.id\":\"85\"",
		  "m5.large" },
		{ "\"feature.node.kubernetes.io/cpu-model.vendor_id\":\"Intel\","
		  "\"feature.node.kubernetes.io/cpu-model.family\":\"6\","
		  "\"feature.node.kubernetes.io/cpu-model.id\":\"85\"",
		  "Intel-6-85" },
		{ "\"x\":\"y\"", "amd64" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		const struct km_view_snapshot *s;
		const struct km_view_node *n;
		struct view_world w;
		char json[512];
		size_t at = 0;

		world_open(&w, NULL);
		(void)snprintf(json, sizeof(json),
		               "{\"metadata\":{\"name\":\"n0\",\"labels\":{%s},\"annotations\":{"
		               "\"kubemarla.io/verdict\":\"a\"}},\"spec\":{\"unschedulable\":true},"
		               "\"status\":{\"nodeInfo\":{\"architecture\":\"amd64\"},"
		               "\"allocatable\":{\"cpu\":\"3500m\",\"memory\":\"1Gi\"}}}",
		               rows[i].labels);
		assert_int_equal(hear(&w, KM_VIEW_NODES, false, json), 0);
		s = km_view_get(w.view);
		n = km_view_next_node(s, &at);
		want_name(n->name, "n0");
		want_name(n->platform, rows[i].platform);
		want_name(n->verdict, "a");
		assert_true(n->unschedulable && !n->ready);
		assert_true(n->cpu_cores == 3.5 && n->memory_bytes == 1073741824);
		km_view_put(s);
		world_close(&w);
	}
}

#define POD(spec, status)                                                                          \
	"{\"metadata\":{\"name\":\"p\",\"namespace\":\"shop\",\"uid\":\"1\"},\"spec\":{" spec      \
	"},\"status\":{" status "}}"
#define BOUND "\"nodeName\":\"n0\""

/* The wall clock says 5,000 s after 1970. */
static void pods_run_since_their_containers_do(void **state)
{
	static const struct {
		const char *json, *told;
	} rows[] = {
		{ POD(BOUND, "\"phase\":\"Pending\""), "bound 1 n0 -\n" },
		{ POD("", "\"phase\":\"Pending\""), "" },
		{ POD(BOUND, "\"phase\":\"Running\",\"startTime\":\"1970-01-01T01:20:00Z\""),
		  "bound 1 n0 200\n" },
		{ POD(BOUND, "\"phase\":\"Running\",\"startTime\":\"1970-01-01T01:20:00Z\","
		             "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\","
		             "\"lastTransitionTime\":\"1970-01-01T01:22:00Z\"}]"),
		  "bound 1 n0 80\n" },
		{ POD(BOUND, "\"phase\":\"Unknown\",\"startTime\":\"1970-01-01T01:20:00Z\""),
		  "bound 1 n0 200\n" },
		{ POD(BOUND, "\"phase\":\"Unknown\""), "bound 1 n0 -\n" },
		{ POD(BOUND, "\"phase\":\"Succeeded\""), "" },
		{ POD(BOUND, "\"phase\":\"Failed\""), "" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct view_world w;

		world_open(&w, NULL);
		listed_all_but(&w, 0);
		wants(&w, "policies 0\nlive 1\n");
		assert_int_equal(hear(&w, KM_VIEW_PODS, false, rows[i].json), 0);
		wants(&w, rows[i].told);
		assert_int_equal(hear(&w, KM_VIEW_PODS, true, rows[i].json), 0);
		wants(&w, rows[i].told[0] != '\0' ? "gone 1\n" : "");
		world_close(&w);
	}
}

static void a_refusal_is_kept_with_its_words(void **state)
{
	const struct km_view_snapshot *s;
	const struct km_view_pod *p;
	struct view_world w;
	size_t at = 0;

	(void)state;
	world_open(&w, NULL);
	assert_int_equal(hear(&w, KM_VIEW_PODS, false,
	                      POD("\"schedulerName\":\"kubemarla\"",
	                          "\"phase\":\"Pending\",\"conditions\":[{\"type\":"
	                          "\"PodScheduled\",\"status\":\"False\",\"reason\":"
	                          "\"Unschedulable\",\"message\":\"0/2 nodes\"}]")),
	                 0);
	s = km_view_get(w.view);
	p = km_view_next_pod(s, &at);
	want_name(p->scheduler, "kubemarla");
	want_name(p->refused_reason, "Unschedulable");
	want_name(p->refused, "0/2 nodes");
	assert_true(isnan(p->cpu_cores));
	km_view_put(s);
	world_close(&w);
}

static void only_true_is_trusted(void **state)
{
	static const char *const rows[] = { "\"kubemarla.io/trusted\":\"true\"",
		                            "\"kubemarla.io/trusted\":\"True\"",
		                            "\"kubemarla.io/trusted\":\"\"",
		                            "\"trusted\":\"true\"" };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		const struct km_view_snapshot *s;
		struct view_world w;
		char json[128];
		size_t at = 0;

		world_open(&w, NULL);
		(void)snprintf(json, sizeof(json),
		               "{\"metadata\":{\"name\":\"shop\",\"labels\":{%s}}}", rows[i]);
		assert_int_equal(hear(&w, KM_VIEW_NAMESPACES, false, json), 0);
		s = km_view_get(w.view);
		if (km_view_next_namespace(s, &at)->trusted != (i == 0))
			fail_msg("%s", rows[i]);
		km_view_put(s);
		world_close(&w);
	}
}

static void what_is_no_object_of_its_kind_is_refused(void **state)
{
	static const char *const bad[] = { "",
		                           "[]",
		                           "{}",
		                           "{\"metadata\":{}}",
		                           "{\"metadata\":{\"name\":\"\"}}",
		                           "{\"metadata\":{\"name\":5}}" };
	struct view_world w;

	(void)state;
	world_open(&w, NULL);
	for (size_t i = 0; i < KM_ARRAY_LEN(bad); i++) {
		for (int k = 0; k < KM_VIEW_KINDS; k++) {
			if (hear(&w, (enum km_view_kind)k, false, bad[i]) != -EINVAL)
				fail_msg("taken: %s", bad[i]);
		}
	}
	/* a policy has a namespace */
	assert_int_equal(hear(&w, KM_VIEW_POLICIES, false, "{\"metadata\":{\"name\":\"p\"}}"),
	                 -EINVAL);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_s_platform_is_what_its_labels_say_best),
		cmocka_unit_test(pods_run_since_their_containers_do),
		cmocka_unit_test(a_refusal_is_kept_with_its_words),
		cmocka_unit_test(only_true_is_trusted),
		cmocka_unit_test(what_is_no_object_of_its_kind_is_refused),
	};

	return cmocka_run_group_tests_name("cluster watchers", tests, NULL, NULL);
}
