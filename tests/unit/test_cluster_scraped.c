/* SPDX-License-Identifier: Apache-2.0 */
/* cluster: features out of Prometheus. Its answers are a table of the test's own. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/cluster/scraped.h"

#define SECOND KM_NS_PER_S

#define VECTOR(series)                                                                             \
	"{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[" series "]}}"
#define SERIES(labels, value) "{\"metric\":{" labels "},\"value\":[5000,\"" value "\"]}"

struct reply {
	const char *query; /* the whole of it; NULL ends a table */
	const char *body;
	int status; /* 0 = 200 */
};

struct world {
	int64_t now_ns;
	struct km_clock clock;
	struct km_schema *schema;
	struct km_cluster *cluster;
	struct km_gather *gather;
	struct km_scraped *scraped;
	const struct reply *replies;
	size_t asked;
};

static int64_t world_now(void *ctx)
{
	return ((struct world *)ctx)->now_ns;
}

static int reply_to(void *ctx, const char *query, struct km_buf *out, struct km_err *err)
{
	struct world *w = ctx;

	(void)err;
	w->asked++;
	for (const struct reply *r = w->replies; r->query != NULL; r++) {
		if (strcmp(r->query, query) == 0) {
			km_buf_str(out, r->body);
			return r->status != 0 ? r->status : 200;
		}
	}
	km_buf_str(out, VECTOR(""));
	return 200;
}

static void open_world(struct world *w, const struct reply *replies)
{
	const char *names[] = { "node.ipc.mean", "node.ipc.p95", "host.mem_read_bytes_per_s.std",
		                "node_min.ipc.mean", "pod.rps" };

	*w = (struct world){ .now_ns = 1000 * SECOND, .replies = replies };
	w->clock = (struct km_clock){ world_now, world_now, w };
	assert_int_equal(km_schema_create(names, KM_ARRAY_LEN(names), 60, 5, &w->schema, NULL), 0);
	assert_int_equal(km_cluster_create(NULL, 0, &w->cluster, NULL), 0);
	assert_int_equal(km_gather_create(&(struct km_gather_options){ .clock = &w->clock,
	                                                               .cluster = w->cluster,
	                                                               .schema = w->schema,
	                                                               .max_age_ns = 15 * SECOND },
	                                  &w->gather, NULL),
	                 0);
	assert_int_equal(km_scraped_create(&(struct km_scraped_options){ .gather = w->gather,
	                                                                 .clock = &w->clock,
	                                                                 .schema = w->schema,
	                                                                 .url = "http://x/",
	                                                                 .names_nodes = true,
	                                                                 .ask = reply_to,
	                                                                 .ctx = w },
	                                   &w->scraped, NULL),
	                 0);
}

static void close_world(struct world *w)
{
	km_scraped_free(w->scraped);
	km_gather_free(w->gather);
	km_cluster_free(w->cluster);
	km_schema_unref(w->schema);
}

static void one_round(struct world *w)
{
	km_scraped_round(w->scraped);
	w->now_ns += SECOND;
	km_gather_step(w->gather);
}

#define AGE  "kubemarla_node_data_age_seconds + time() - timestamp(kubemarla_node_data_age_seconds)"
#define TIER "kubemarla_node_tier_info == 1"
#define IPC                                                                                        \
	"label_replace(avg_over_time(kubemarla_node_ipc[60000ms]), \"stat\", \"mean\", \"\", "     \
	"\"\") or label_replace(quantile_over_time(0.95, kubemarla_node_ipc[60000ms]), \"stat\", " \
	"\"p95\", \"\", \"\")"
#define READ                                                                                       \
	"label_replace(stddev_over_time(kubemarla_host_mem_read_bytes_per_s[60000ms]), \"stat\", " \
	"\"std\", \"\", \"\")"

static const struct reply plain[] = {
	{ AGE,
	  VECTOR(SERIES("\"node\":\"a\"", "3") "," SERIES("\"node\":\"b\"", "4") ","
	         /* a target label took the name; and one that another agent knows better */
	         SERIES("\"node\":\"target\",\"exported_node\":\"b\"", "2") "," SERIES(
			 "\"node\":\"c\"", "NaN") "," SERIES("\"job\":\"x\"", "1") ","
	         /* of a clock that is ahead */
	         SERIES("\"node\":\"d\"", "5") "," SERIES("\"node\":\"d\"", "-7")),
	  0 },
	{ TIER,
	  VECTOR(SERIES("\"node\":\"a\",\"tier\":\"core\"",
	                "1") "," SERIES("\"node\":\"b\",\"tier\":\"gold\"", "1")),
	  0 },
	{ IPC,
	  VECTOR(SERIES("\"node\":\"a\",\"stat\":\"mean\"", "1.5") "," SERIES(
		  "\"node\":\"a\",\"stat\":\"p95\"",
		  "1.75") "," SERIES("\"node\":\"b\",\"stat\":\"mean\"",
	                             "NaN") "," SERIES("\"node\":\"nobody\",\"stat\":\"mean\"",
	                                               "9") "," SERIES("\"node\":\"b\",\"stat\":"
	                                                               "\"p95\"",
	                                                               "+Inf")),
	  0 },
	{ READ, VECTOR(SERIES("\"first_node\":\"a\",\"stat\":\"std\"", "1e9")), 0 },
	{ .query = NULL },
};

static void rows_are_made_of_one_query_a_metric(void **state)
{
	const struct km_cluster_snapshot *s;
	const struct km_host_features *f;
	const double *row;
	struct world w;
	int64_t at;

	(void)state;
	open_world(&w, plain);
	one_round(&w);
	assert_int_equal(w.asked, 4);
	s = km_cluster_get(w.cluster);
	assert_int_equal(s->node_count, 3); /* c has no age, x no name */
	at = km_cluster_find(s, "a", 1);
	f = s->node[at].features;
	row = km_host_features_row(f, s->node[at].row);
	assert_int_equal(f->tier, KM_TIER_CORE);
	assert_true(f->measured_mono_ns == 997 * SECOND);
	assert_true(row[0] == 1.5 && row[1] == 1.75 && row[2] == 1e9);
	assert_true(isnan(row[3]) && isnan(row[4]));
	at = km_cluster_find(s, "b", 1);
	f = s->node[at].features;
	row = km_host_features_row(f, s->node[at].row);
	assert_int_equal(f->tier, KM_TIER_NONE);
	assert_true(f->measured_mono_ns == 998 * SECOND);
	assert_true(isnan(row[0]) && isnan(row[1]) && isnan(row[2]));
	at = km_cluster_find(s, "d", 1);
	assert_true(s->node[at].features->measured_mono_ns == 1000 * SECOND);
	km_cluster_put(s);
	close_world(&w);
}

#define OF(node, agent)            "\"node\":\"" node "\",\"instance\":\"" agent "\""
#define TIER_OF(node, agent, tier) SERIES(OF(node, agent) ",\"tier\":\"" tier "\"", "1")
#define MEAN_OF(node, agent, ipc)  SERIES(OF(node, agent) ",\"stat\":\"mean\"", ipc)

/*
 * Of a: the lower tier is fresher, the other fresh enough. Of b: the higher tier is too old. Of c:
 * both alike, and the same one each time. Nothing of one agent gets into another's row.
 */
static void what_two_agents_tell_of_a_node_is_not_mixed(void **state)
{
	static const struct reply two[] = {
		{ AGE,
		  VECTOR(SERIES(OF("a", "host"), "9") "," SERIES(OF("a", "own"), "1") "," SERIES(
			  OF("b", "host"),
			  "16") "," SERIES(OF("b", "own"),
		                           "2") "," SERIES(OF("c", "y"),
		                                           "1") "," SERIES(OF("c", "x"), "2")),
		  0 },
		{ TIER,
		  VECTOR(TIER_OF("a", "host", "uncore") "," TIER_OF("a", "own", "os") "," TIER_OF(
			  "b", "host", "uncore") "," TIER_OF("b", "own", "os")),
		  0 },
		{ IPC,
		  VECTOR(MEAN_OF("a", "host", "1") "," MEAN_OF("a", "own", "2") "," MEAN_OF(
			  "b", "host",
			  "3") "," MEAN_OF("b", "own",
		                           "4") "," MEAN_OF("c", "x",
		                                            "5") "," SERIES(OF("c", "y") ",\"stat\""
		                                                                         ":\"p95\"",
		                                                            "6")),
		  0 },
		{ .query = NULL },
	};
	static const struct {
		const char *node;
		enum km_tier tier;
		double ipc, age_s;
	} want[] = { { "a", KM_TIER_UNCORE, 1, 9 },
		     { "b", KM_TIER_OS, 4, 2 },
		     { "c", KM_TIER_NONE, 5, 2 } };
	const struct km_cluster_snapshot *s;
	struct world w;

	(void)state;
	open_world(&w, two);
	one_round(&w);
	s = km_cluster_get(w.cluster);
	assert_int_equal(s->node_count, KM_ARRAY_LEN(want));
	for (size_t i = 0; i < KM_ARRAY_LEN(want); i++) {
		int64_t at = km_cluster_find(s, want[i].node, 1);
		const struct km_host_features *f = s->node[at].features;
		const double *row = km_host_features_row(f, s->node[at].row);

		assert_int_equal(f->tier, want[i].tier);
		assert_true(row[0] == want[i].ipc && isnan(row[1]));
		assert_true(f->measured_mono_ns == 1000 * SECOND - (int64_t)(want[i].age_s * 1e9));
	}
	km_cluster_put(s);
	close_world(&w);
}

/* What is there stays, ages, and is told to be failing. */
static void a_round_without_an_answer_changes_nothing(void **state)
{
	static const struct reply bad[][2] = {
		{ { AGE, VECTOR(""), 0 }, { .query = NULL } },
		{ { AGE,
		    "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1,"
		    "\"2\"]}}",
		    0 },
		  { .query = NULL } },
		{ { AGE, "{\"status\":\"error\",\"errorType\":\"timeout\",\"error\":\"late\"}",
		    422 },
		  { .query = NULL } },
		{ { AGE, "<html>", 200 }, { .query = NULL } },
		{ { AGE, "", 503 }, { .query = NULL } },
		{ { AGE, "", -ECONNREFUSED }, { .query = NULL } },
	};
	struct km_gather_stats stats;
	struct world w;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(bad); i++) {
		open_world(&w, plain);
		one_round(&w);
		w.replies = bad[i];
		one_round(&w);
		km_gather_stats(w.gather, &stats);
		if (stats.nodes != 3 || stats.with_data != 3 || stats.failing != 1)
			fail_msg("row %zu: %zu nodes, %zu with data, %zu failing", i, stats.nodes,
			         stats.with_data, stats.failing);
		close_world(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_made_of_one_query_a_metric),
		cmocka_unit_test(what_two_agents_tell_of_a_node_is_not_mixed),
		cmocka_unit_test(a_round_without_an_answer_changes_nothing),
	};

	return cmocka_run_group_tests_name("cluster scraped", tests, NULL, NULL);
}
