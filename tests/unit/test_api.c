/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api: the way through the table, and what each route answers. Decisions, pictures and the HTTP
 * room are stood in for here, by name: a node called slow* is too slow, old* has stale data, any
 * other fits. Their own tests and the wire tests have the real ones.
 */
#include <cjson/cJSON.h>
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

#include "km/api/routes.h"

#include "support/no_decision_log.h"

static int decide_rc;         /* what km_decide_* return */
static bool enforce;          /* slow* is filtered out */
static double seen_rps;       /* of the last workload judged */
static const char *query;     /* ?node= */
static const char *known_tag; /* If-None-Match */
static int64_t now_ns;
static struct km_cluster_snapshot picture;
static struct km_cluster_node picture_node[2];

static int64_t fake_now(void *ctx)
{
	(void)ctx;
	return now_ns;
}

static const struct km_clock fake_clock = { fake_now, fake_now, NULL };

const char *km_http_header(const struct km_http_request *r, const char *name)
{
	(void)r;
	return strcmp(name, "If-None-Match") == 0 ? known_tag : NULL;
}

const char *km_http_query(const struct km_http_request *r, const char *name)
{
	(void)r;
	return strcmp(name, "node") == 0 ? query : NULL;
}

const char *km_reason_text(enum km_reason r)
{
	return r == KM_REASON_FITS ? "fits" : r == KM_REASON_TOO_SLOW ? "too slow" : "no data";
}

const char *km_reason_code(enum km_reason r)
{
	static const char *const codes[KM_REASON_N] = { "A", "B", "H", "C", "D", "E", "F", "G" };

	return codes[r];
}

const struct km_cluster_snapshot *km_cluster_get(struct km_cluster *c)
{
	(void)c;
	return &picture;
}

void km_cluster_put(const struct km_cluster_snapshot *s)
{
	(void)s;
}

int64_t km_cluster_find(const struct km_cluster_snapshot *s, const char *name, size_t len)
{
	for (uint32_t i = 0; i < s->node_count; i++) {
		if (s->node[i].name_len == len && memcmp(s->node[i].name, name, len) == 0)
			return i;
	}
	return -1;
}

static struct km_verdict verdict_of(struct km_name name)
{
	if (name.len >= 4 && memcmp(name.text, "slow", 4) == 0)
		return (struct km_verdict){ !enforce, false, KM_REASON_TOO_SLOW, 1, 0, 0 };
	if (name.len >= 3 && memcmp(name.text, "old", 3) == 0)
		return (struct km_verdict){ !enforce, true, KM_REASON_STALE_DATA, 0, 0, 0 };
	return (struct km_verdict){ true, false, KM_REASON_FITS, 9, 0, 0 };
}

int km_decide_place_detail(struct km_decide *d, const struct km_ask *ask, struct km_arena *arena,
                           struct km_verdict *verdict, const struct km_detail *detail)
{
	(void)d, (void)arena, (void)detail;
	seen_rps = ask->who->workload.rps;
	for (size_t i = 0; i < ask->count; i++)
		verdict[i] = verdict_of(ask->names[i]);
	return decide_rc;
}

int km_decide_run(struct km_decide *d, const struct km_workload *w, const struct km_name *names,
                  size_t count, struct km_arena *arena, struct km_decision *out)
{
	(void)d;
	seen_rps = w->rps;
	*out = (struct km_decision){ .workload = *w, .scale = 10, .count = count };
	out->node = km_arena_calloc(arena, count + 1, sizeof(*out->node));
	for (size_t i = 0; i < count; i++) {
		out->node[i] = (struct km_decision_node){
			.index = (int64_t)i,
			.tier = KM_TIER_CORE,
			.age_s = 1.5,
			.prediction = { 1.25, 1.1, 1.5, 0, 0 },
			.verdict = verdict_of(names[i]),
		};
		if (out->node[i].verdict.reason == KM_REASON_STALE_DATA)
			out->node[i].prediction.slowdown = NAN;
	}
	return decide_rc;
}

int km_decide_run_subject(struct km_decide *d, const struct km_subject *who,
                          const struct km_name *names, size_t count, struct km_arena *arena,
                          struct km_decision *out)
{
	return km_decide_run(d, &who->workload, names, count, arena, out);
}

int km_decide_explain(struct km_decide *d, const struct km_workload *w, struct km_name name,
                      struct km_contribution *out, size_t max, struct km_explanation *sum,
                      struct km_model **model)
{
	(void)d, (void)w, (void)name, (void)max;
	*model = NULL;
	out[0] = (struct km_contribution){ "host.mem_write_bytes_per_s.mean", 4.1e9, 0.25, 0.31 };
	*sum = (struct km_explanation){ 1.5, 1.75, -0.06 };
	return 1;
}

void km_decide_default_workload(struct km_decide *d, struct km_workload *out)
{
	(void)d;
	*out = (struct km_workload){ .rps = 1000, .replicas = 1, .max_slowdown = 2 };
}

void km_decide_subject(struct km_decide *d, const struct km_pod *pod, struct km_subject *out)
{
	struct km_workload base;

	km_decide_default_workload(d, &base);
	*out = (struct km_subject){ .uid = pod->uid.len };
	km_pod_workload(pod, &base, 1.2, &out->workload);
}

void km_decide_recorded_subject(const struct km_workload *w, struct km_name uid,
                                struct km_subject *out)
{
	*out = (struct km_subject){ .workload = *w, .uid = uid.len };
}

struct km_model *km_decide_get_model(struct km_decide *d)
{
	(void)d;
	return NULL;
}

/* ---- harness ---- */
struct world {
	struct km_api api;
	struct km_arena arena;
	struct km_http_reply reply;
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	km_api_agent_init(&w->api);
	w->api.roles = KM_ROLE_EXTENDER | KM_ROLE_AGENT;
	w->api.json_depth = 64;
	/* Never looked into: the stand-ins take any pointer. */
	w->api.decide = (struct km_decide *)w;
	w->api.cluster = (struct km_cluster *)w;
	w->api.own = (struct km_cluster *)w;
	w->api.clock = &fake_clock;
	w->api.version = "test";
	assert_int_equal(km_metrics_create(&w->api.metrics, NULL), 0);
	assert_int_equal(km_api_register_metrics(&w->api), 0);
	km_arena_init(&w->arena, 1 << 16);
	km_buf_init(&w->reply.body);
	decide_rc = 0;
	enforce = true;
	query = NULL;
	known_tag = NULL;
	picture_node[0] = (struct km_cluster_node){ .name = "a", .name_len = 1 };
	picture_node[1] = (struct km_cluster_node){ .name = "old1", .name_len = 4 };
	picture = (struct km_cluster_snapshot){ .node_count = 2, .node = picture_node };
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	km_buf_fini(&w->reply.body);
	km_arena_fini(&w->arena);
	km_metrics_free(w->api.metrics);
	km_api_agent_fini(&w->api);
	free(w);
	return 0;
}

/* returns the answer's body. */
static const char *call(struct world *w, enum km_http_method method, const char *path,
                        const char *body)
{
	struct km_http_request req = {
		.method = method,
		.path = path,
		.body = body,
		.body_len = body ? strlen(body) : 0,
		.arena = &w->arena,
	};

	km_arena_reset(&w->arena);
	km_buf_clear(&w->reply.body);
	w->reply.status = 200;
	w->reply.content_type = "application/json";
	w->reply.allow = NULL;
	w->reply.etag[0] = '\0';
	km_api_handle(&w->api, &req, &w->reply);
	return km_buf_cstr(&w->reply.body);
}

static int status_of(struct world *w, enum km_http_method method, const char *path,
                     const char *body)
{
	(void)call(w, method, path, body);
	return w->reply.status;
}

/* ---- tests ---- */
static void paths_methods_and_roles(void **state)
{
	static const struct {
		enum km_http_method method;
		const char *path;
		int status;
		const char *allow;
		const char *why;
	} rows[] = {
		{ KM_HTTP_POST, "/filter", 200, NULL, "plain" },
		{ KM_HTTP_POST, "/filter/", 200, NULL, "trailing slash" },
		{ KM_HTTP_POST, "/prioritize", 200, NULL, "plain" },
		{ KM_HTTP_GET, "/filter", 405, "POST", "GET of a POST route" },
		{ KM_HTTP_PUT, "/prioritize/", 405, "POST", "PUT" },
		{ KM_HTTP_OTHER, "/filter", 405, "POST", "DELETE and the like" },
		{ KM_HTTP_GET, "/filter//", 404, NULL, "two slashes" },
		{ KM_HTTP_POST, "/Filter", 404, NULL, "paths have case" },
		{ KM_HTTP_POST, "/bind", 404, NULL, "a verb we never serve" },
		{ KM_HTTP_GET, "", 404, NULL, "empty path" },
		{ KM_HTTP_GET, "/", 200, NULL, "index" },
		{ KM_HTTP_HEAD, "/v1/nodes", 200, NULL, "HEAD goes where GET goes" },
		{ KM_HTTP_GET, "/v1/model", 200, NULL, "no model is no error" },
		{ KM_HTTP_POST, "/metrics", 405, "GET, HEAD", "POST of a GET route" },
		{ KM_HTTP_GET, "/healthz", 200, NULL, "alive" },
		{ KM_HTTP_GET, "/readyz", 503, NULL, "not told that it is ready" },
	};
	struct world *w = *state;

	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int status = status_of(w, rows[i].method, rows[i].path, "{}");

		if (status != rows[i].status)
			fail_msg("%s %s: %d, want %d", rows[i].why, rows[i].path, status,
			         rows[i].status);
		if (rows[i].allow)
			assert_string_equal(w->reply.allow, rows[i].allow);
	}
	w->api.roles = KM_ROLE_AGENT;
	assert_int_equal(status_of(w, KM_HTTP_POST, "/filter", "{}"), 404);
	assert_int_equal(status_of(w, KM_HTTP_GET, "/v1/nodes", NULL), 404);
	assert_int_equal(status_of(w, KM_HTTP_GET, "/v1/features", NULL), 200);
}

static void the_second_listener_has_its_own_short_list(void **state)
{
	static const struct {
		const char *path;
		int status;
	} rows[] = {
		{ "/metrics", 200 }, { "/healthz", 200 },  { "/v1/features", 200 },
		{ "/", 404 },        { "/v1/nodes", 404 }, { "/filter", 404 },
	};
	struct world *w = *state;

	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_http_request req = { .path = rows[i].path, .arena = &w->arena };

		km_buf_clear(&w->reply.body);
		w->reply.status = 200;
		km_api_handle_observe(&w->api, &req, &w->reply);
		assert_int_equal(w->reply.status, rows[i].status);
	}
}

static void verdicts_become_scheduler_answers(void **state)
{
	static const char body[] = "{\"Pod\":{\"metadata\":{\"annotations\":{"
				   "\"kubemarla.io/rps\":\"300\"}}},\"Nodes\":null,"
				   "\"NodeNames\":[\"a\",\"slow1\",\"old1\",\"a\"]}";
	struct world *w = *state;

	assert_string_equal(call(w, KM_HTTP_POST, "/filter", body),
	                    "{\"Nodes\":null,\"NodeNames\":[\"a\"],"
	                    "\"FailedNodes\":{\"slow1\":\"too slow\"},"
	                    "\"FailedAndUnresolvableNodes\":{\"old1\":\"no data\"},"
	                    "\"Error\":\"\"}");
	assert_true(seen_rps == 300);
	assert_string_equal(call(w, KM_HTTP_POST, "/prioritize", body),
	                    "[{\"Host\":\"a\",\"Score\":9},{\"Host\":\"slow1\",\"Score\":1},"
	                    "{\"Host\":\"old1\",\"Score\":0}]");
}

static void lack_of_memory_is_neutral_for_the_scheduler(void **state)
{
	static const char body[] = "{\"NodeNames\":[\"slow1\",\"old1\"]}";
	struct world *w = *state;

	decide_rc = -ENOMEM;
	assert_string_equal(call(w, KM_HTTP_POST, "/filter", body),
	                    "{\"Nodes\":null,\"NodeNames\":[\"slow1\",\"old1\"],"
	                    "\"FailedNodes\":{},\"FailedAndUnresolvableNodes\":{},"
	                    "\"Error\":\"\"}");
	assert_string_equal(call(w, KM_HTTP_POST, "/prioritize", body),
	                    "[{\"Host\":\"slow1\",\"Score\":5},{\"Host\":\"old1\",\"Score\":5}]");
	assert_int_equal(km_counter_value(w->api.stats.neutral_no_memory), 2);
	assert_int_equal(status_of(w, KM_HTTP_POST, "/v1/explain", body), 503);
	assert_int_equal(status_of(w, KM_HTTP_POST, "/v1/predict", "{}"), 503);
	assert_int_equal(status_of(w, KM_HTTP_GET, "/v1/nodes", NULL), 503);
}

static void bad_bodies_are_our_clients_fault(void **state)
{
	static const char *const bodies[] = { "", "[]", "{", "nonsense", "{\"NodeNames\":7}" };
	static const char *const paths[] = { "/filter", "/prioritize", "/v1/explain" };
	struct world *w = *state;

	for (size_t p = 0; p < KM_ARRAY_LEN(paths); p++) {
		for (size_t i = 0; i < KM_ARRAY_LEN(bodies); i++) {
			const char *answer = call(w, KM_HTTP_POST, paths[p], bodies[i]);

			assert_int_equal(w->reply.status, 400);
			assert_non_null(strstr(answer, "{\"error\":{\"code\":\"badRequest\","));
		}
	}
	assert_int_equal(km_counter_value(w->api.stats.decode_errors), 15);
	assert_int_equal(status_of(w, KM_HTTP_POST, "/v1/predict", "{\"node\":1}"), 400);
}

static void our_own_answers_are_json(void **state)
{
	struct world *w = *state;
	cJSON *tree;
	cJSON *node;

	tree = cJSON_Parse(call(w, KM_HTTP_POST, "/v1/predict",
	                        "{\"pod\":{\"rps\":5},\"nodes\":[\"x\",\"old\"]}"));
	node = cJSON_GetArrayItem(cJSON_GetObjectItem(tree, "predictions"), 0);
	assert_string_equal(cJSON_GetObjectItem(node, "node")->valuestring, "x");
	assert_true(cJSON_GetObjectItem(node, "normalizedPerformance")->valuedouble == 0.8);
	node = node->next;
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(node, "slowdown")));
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(node, "low")));
	assert_true(seen_rps == 5);
	cJSON_Delete(tree);

	tree = cJSON_Parse(call(w, KM_HTTP_POST, "/v1/predict", "{}"));
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "predictions")), 2);
	cJSON_Delete(tree);

	tree = cJSON_Parse(call(w, KM_HTTP_GET, "/v1/nodes", NULL));
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "nodes")), 2);
	cJSON_Delete(tree);

	tree = cJSON_Parse(call(w, KM_HTTP_POST, "/v1/explain", "{\"NodeNames\":[\"a\",\"b\"]}"));
	node = cJSON_GetArrayItem(cJSON_GetObjectItem(tree, "nodes"), 1);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(node, "contributions")), 1);
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(tree, "cut")));
	cJSON_Delete(tree);
	assert_string_equal(call(w, KM_HTTP_GET, "/v1/model", NULL), "{\"loaded\":false}\n");
}

static void explain_says_when_it_cut(void **state)
{
	struct world *w = *state;
	struct km_buf body;
	cJSON *tree;

	km_buf_init(&body);
	km_buf_str(&body, "{\"NodeNames\":[");
	for (int i = 0; i < 25; i++)
		km_buf_printf(&body, "%s\"n%d\"", i ? "," : "", i);
	km_buf_str(&body, "]}");
	tree = cJSON_Parse(call(w, KM_HTTP_POST, "/v1/explain", km_buf_cstr(&body)));
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(tree, "cut")));
	assert_int_equal(cJSON_GetObjectItem(tree, "explained")->valueint, 20);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "nodes")), 25);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(
				 cJSON_GetArrayItem(cJSON_GetObjectItem(tree, "nodes"), 20),
				 "contributions")),
	                 0);
	cJSON_Delete(tree);
	km_buf_fini(&body);
}

static void readiness_has_reasons_but_needs_no_data(void **state)
{
	struct world *w = *state;

	assert_string_equal(call(w, KM_HTTP_GET, "/readyz", NULL),
	                    "{\"status\":\"notReady\",\"reasons\":[\"starting or stopping\","
	                    "\"no model is loaded: answers are neutral\","
	                    "\"no node has data yet: answers are neutral\"]}\n");
	w->api.ready = 1;
	assert_string_equal(call(w, KM_HTTP_GET, "/readyz", NULL),
	                    "{\"status\":\"ready\",\"reasons\":["
	                    "\"no model is loaded: answers are neutral\","
	                    "\"no node has data yet: answers are neutral\"]}\n");
	assert_int_equal(w->reply.status, 200);
}

static void features_are_not_sent_twice(void **state)
{
	static const char none[] =
		"{\"windowSeconds\":null,\"binSeconds\":null,\"sources\":[],\"nodes\":[]}\n";
	struct world *w = *state;
	char tag[64];

	assert_string_equal(call(w, KM_HTTP_GET, "/v1/features", NULL), none);
	(void)snprintf(tag, sizeof(tag), "W/%s, \"other\"", w->reply.etag);
	known_tag = tag;
	assert_string_equal(call(w, KM_HTTP_GET, "/v1/features", NULL), "");
	assert_int_equal(w->reply.status, 304);
	picture.topology++;
	assert_int_equal(status_of(w, KM_HTTP_GET, "/v1/features", NULL), 200);
	query = "elsewhere";
	assert_int_equal(status_of(w, KM_HTTP_GET, "/v1/features", NULL), 404);
}

static void metrics_count_what_happened(void **state)
{
	struct world *w = *state;
	const char *text;

	(void)call(w, KM_HTTP_POST, "/filter", "{\"NodeNames\":[\"a\",\"slow1\",\"old1\"]}");
	(void)call(w, KM_HTTP_POST, "/filter", "{\"NodeNames\":[\"old1\"]}");
	(void)call(w, KM_HTTP_POST, "/prioritize",
	           "{\"Nodes\":{\"items\":[{\"metadata\":{\"name\":\"a\"}}]}}");
	(void)call(w, KM_HTTP_GET, "/nowhere", NULL);
	text = call(w, KM_HTTP_GET, "/metrics", NULL);
	assert_string_equal(w->reply.content_type, KM_METRICS_CONTENT_TYPE);
	assert_non_null(
		strstr(text, "kubemarla_http_answers_total{route=\"/filter\",code=\"200\"} 2\n"));
	assert_non_null(
		strstr(text, "kubemarla_http_answers_total{route=\"none\",code=\"404\"} 1\n"));
	assert_non_null(strstr(text, "kubemarla_extender_nodes_rejected_total{reason=\"C\"} 2\n"));
	assert_non_null(strstr(text, "kubemarla_extender_neutral_answers_total{reason=\"C\"} 1\n"));
	assert_non_null(strstr(text, "kubemarla_extender_nodes_form_total 1\n"));
	assert_non_null(strstr(text, "kubemarla_extender_request_nodes_count 3\n"));
	assert_non_null(strstr(text, "kubemarla_node_predicted_slowdown_ratio{node=\"a\"} 1.25\n"));
	assert_null(strstr(text, "kubemarla_node_predicted_slowdown_ratio{node=\"old1\"}"));
	assert_non_null(strstr(text, "kubemarla_nodes 2\n"));
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_WORLD(paths_methods_and_roles),
		WITH_WORLD(the_second_listener_has_its_own_short_list),
		WITH_WORLD(verdicts_become_scheduler_answers),
		WITH_WORLD(lack_of_memory_is_neutral_for_the_scheduler),
		WITH_WORLD(bad_bodies_are_our_clients_fault),
		WITH_WORLD(our_own_answers_are_json),
		WITH_WORLD(explain_says_when_it_cut),
		WITH_WORLD(readiness_has_reasons_but_needs_no_data),
		WITH_WORLD(features_are_not_sent_twice),
		WITH_WORLD(metrics_count_what_happened),
	};

	return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
