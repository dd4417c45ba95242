/* SPDX-License-Identifier: Apache-2.0 */
/* cluster: which pods are agents, and their answers over a real puller. */
#include <errno.h>

#include "km/base/macros.h"
#include "km/cluster/peers.h"
#include "km/core/labels.h"

#include "support/view_world.h"

struct peers_world {
	struct view_world view;
	struct km_schema *schema;
	struct km_cluster *cluster;
	struct km_gather *gather;
	struct km_peers *peers;
};

static const struct km_label of_agent[] = { { { "role", 4 }, { "agent", 5 } } };

static void open_peers(struct peers_world *w, uint16_t port)
{
	const char *names[] = { "node.ipc.mean" };

	world_open(&w->view, NULL);
	assert_int_equal(km_schema_create(names, 1, 60, 5, &w->schema, NULL), 0);
	assert_int_equal(km_cluster_create(NULL, 0, &w->cluster, NULL), 0);
	assert_int_equal(km_gather_create(&(struct km_gather_options){ .clock = km_clock_system(),
	                                                               .cluster = w->cluster,
	                                                               .schema = w->schema,
	                                                               .max_age_ns = 60 * SECOND },
	                                  &w->gather, NULL),
	                 0);
	assert_int_equal(km_peers_create(&(struct km_peers_options){ .gather = w->gather,
	                                                             .namespace = "shop",
	                                                             .selector = "role=agent",
	                                                             .interval_ns = SECOND / 10,
	                                                             .timeout_ns = 5 * SECOND,
	                                                             .port = port },
	                                 &w->peers, NULL),
	                 0);
}

static void close_peers(struct peers_world *w)
{
	km_peers_stop(w->peers);
	km_peers_free(w->peers);
	km_gather_free(w->gather);
	km_cluster_free(w->cluster);
	km_schema_unref(w->schema);
	world_close(&w->view);
}

static size_t agents(struct peers_world *w)
{
	struct km_gather_stats s;

	km_peers_settle(w->peers);
	km_gather_stats(w->gather, &s);
	return s.agents;
}

static struct km_view_pod agent_pod(const char *uid, const char *ip)
{
	struct km_view_pod p = pod_named(uid, uid, "n0", 0);

	p.phase = KM_VIEW_RUNNING;
	p.pod.label = of_agent;
	p.pod.label_count = 1;
	p.ip = name_of(ip);
	return p;
}

static void agents_are_running_pods_of_our_namespace_with_those_labels(void **state)
{
	struct km_view_pod good = agent_pod("1", "127.0.0.1");
	struct km_view_pod v6 = agent_pod("2", "::1");
	struct km_view_pod bad[6];
	struct peers_world w;

	(void)state;
	open_peers(&w, 9);
	for (size_t i = 0; i < KM_ARRAY_LEN(bad); i++)
		bad[i] = agent_pod("9", "127.0.0.1");
	bad[0].phase = KM_VIEW_PENDING;
	bad[1].pod.namespace = name_of("elsewhere");
	bad[2].pod.label_count = 0;
	bad[3].ip.len = 0;
	bad[4].ip = name_of("127.0.0.1/evil");
	bad[5].ip = name_of("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000");
	for (size_t i = 0; i < KM_ARRAY_LEN(bad); i++) {
		km_peers_pod(w.peers, NULL, &bad[i]);
		if (agents(&w) != 0)
			fail_msg("row %zu is taken for an agent", i);
	}
	km_peers_pod(w.peers, NULL, &good);
	km_peers_pod(w.peers, NULL, &v6);
	assert_int_equal(agents(&w), 2);
	km_peers_pod(w.peers, &good, &bad[0]); /* another pod of that name, not running yet */
	assert_int_equal(agents(&w), 1);
	km_peers_pod(w.peers, &v6, NULL);
	km_peers_pod(w.peers, &v6, NULL);
	assert_int_equal(agents(&w), 0);
	close_peers(&w);
}

static void a_selector_that_is_none_is_refused(void **state)
{
	static const struct {
		const char *text;
		size_t count;
	} rows[] = { { "a", 1 }, { "a=b,c", 2 }, { "a=", 1 },     { "a.io/b=c", 1 }, { "", 0 },
		     { ",", 0 }, { "=b", 0 },    { "a in b", 0 }, { "!a", 0 } };
	struct km_labels labels;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int rc = km_labels_parse(rows[i].text, &labels, NULL);

		if (rc != (rows[i].count > 0 ? 0 : -EINVAL) ||
		    (rc == 0 && labels.count != rows[i].count))
			fail_msg("\"%s\": rc %d, %zu labels", rows[i].text, rc, labels.count);
	}
}

static void labels_match_by_key_and_value(void **state)
{
	static const struct {
		const char *text;
		bool matches;
	} rows[] = { { "role=agent", true },   { "role", true },       { "role=", false },
		     { "role=agents", false }, { "rol=agent", false }, { "role=agent,x", false } };
	struct km_view_pod pod = agent_pod("1", "127.0.0.1");
	struct km_labels labels;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		assert_int_equal(km_labels_parse(rows[i].text, &labels, NULL), 0);
		if (km_labels_match(&labels, &pod.pod) != rows[i].matches)
			fail_msg("\"%s\"", rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agents_are_running_pods_of_our_namespace_with_those_labels),
		cmocka_unit_test(a_selector_that_is_none_is_refused),
		cmocka_unit_test(labels_match_by_key_and_value),
	};

	return cmocka_run_group_tests_name("cluster peers", tests, NULL, NULL);
}
