/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the controller: a view, a decide with a model that is a function, and an API server
 * in memory that keeps what is written and answers as it is told. No thread, no socket; time stands
 * still but where a test moves it. It proves nothing of a real API server's rules.
 */
#ifndef KM_TESTS_SUPPORT_CONTROLLER_WORLD_H
#define KM_TESTS_SUPPORT_CONTROLLER_WORLD_H

#include "km/base/log.h"
#include "km/config/policy_file.h"

#include "inflight_world.h"
#include "policy/controller_internal.h"

#define REQUESTS  1024
#define NODES_MAX 3

struct request {
	char method[8];
	char path[200];
	char body[4096];
};

struct cluster {
	struct world w;
	struct km_view *view;
	struct km_controller *c;
	struct request request[REQUESTS]; /* but of the Lease */
	size_t requests;
	const char *keep; /* only those with that in their path; NULL = all */
	int answer;       /* to all but the Lease; 0 = all is well */
	int evict_answer; /* 0 = 201 */
	int64_t slow_ns;  /* that every answer but of the Lease takes */
	int lease_answer; /* 0 = all is well with it */
	bool lease_taken; /* by another */
	uint64_t versions;
	char holder[256];
	uint32_t generation;
};

/* Each answer is as if its holder had just renewed it. */
static int answer_lease(struct cluster *k, const struct km_kube_request *r, struct km_buf *out)
{
	const char *holder = r->body != NULL ? strstr(r->body, "\"holderIdentity\":\"") : NULL;

	if (k->lease_taken && strcmp(r->method, "GET") != 0)
		return 409;
	if (!k->lease_taken && holder != NULL)
		(void)sscanf(holder, "\"holderIdentity\":\"%255[^\"]", k->holder);
	if (!k->lease_taken && k->holder[0] == '\0')
		return 404;
	k->versions++;
	km_buf_printf(out,
	              "{\"metadata\":{\"name\":\"l\",\"resourceVersion\":\"%llu\"},\"spec\":{"
	              "\"holderIdentity\":\"%s\",\"leaseDurationSeconds\":15,"
	              "\"renewTime\":\"2026-01-01T00:00:%02d.000000Z\"}}",
	              (unsigned long long)k->versions, k->lease_taken ? "another" : k->holder,
	              (int)(k->versions % 60));
	return strcmp(r->method, "POST") == 0 ? 201 : 200;
}

static int api_ask(void *ctx, const struct km_kube_request *r, struct km_buf *out,
                   struct km_err *err)
{
	struct cluster *k = ctx;
	struct request *kept = &k->request[k->requests % REQUESTS];

	if (strstr(r->path, "/leases") != NULL && k->lease_answer != 0)
		return k->lease_answer;
	if (strstr(r->path, "/leases") != NULL)
		return answer_lease(k, r, out);
	(void)snprintf(kept->method, sizeof(kept->method), "%s", r->method);
	(void)snprintf(kept->path, sizeof(kept->path), "%s", r->path);
	(void)snprintf(kept->body, sizeof(kept->body), "%.*s", (int)r->body_len,
	               r->body != NULL ? r->body : "");
	k->requests += k->keep == NULL || strstr(r->path, k->keep) != NULL;
	k->w.now_ns += k->slow_ns;
	if (strstr(r->path, "/eviction") != NULL && k->evict_answer != 0)
		return k->evict_answer;
	if (k->answer != 0) {
		(void)km_err_set(err, EPROTO, "the server says no");
		return k->answer;
	}
	return strcmp(r->method, "POST") == 0 ? 201 : 200;
}

/* How many requests had `part` in their path and `body` in their body. */
static inline size_t asked(const struct cluster *k, const char *part, const char *body)
{
	size_t count = 0;

	assert_true(k->requests <= REQUESTS);
	for (size_t i = 0; i < k->requests; i++)
		count += strstr(k->request[i].path, part) != NULL &&
		         strstr(k->request[i].body, body) != NULL;
	return count;
}

/* ---- the feed, as app binds it ---- */
static void feed_live(void *ctx, bool live)
{
	km_decide_set_feed(((struct cluster *)ctx)->w.decide, live);
}

static void feed_bound(void *ctx, const struct km_pod *pod, struct km_name node, int64_t running)
{
	km_decide_pod_bound(((struct cluster *)ctx)->w.decide, pod, node, running);
}

static void feed_running(void *ctx, struct km_name uid, int64_t running)
{
	km_decide_pod_running(((struct cluster *)ctx)->w.decide, uid, running);
}

static void feed_gone(void *ctx, struct km_name uid)
{
	km_decide_pod_gone(((struct cluster *)ctx)->w.decide, uid);
}

static struct km_policies *feed_policies(void *ctx, struct km_policies *p)
{
	km_decide_set_policies(((struct cluster *)ctx)->w.decide, p);
	return km_policies_ref(p);
}

static void build_controller(struct cluster *k)
{
	const struct km_kube_via via = { api_ask, k };
	struct km_lease_options lease = { .namespace = "kubemarla-system",
		                          .name = "kubemarla-controller",
		                          .identity = "us",
		                          .via = via,
		                          .clock = &k->w.clock,
		                          .seed = 1 };
	struct km_events_options events = {
		.instance = "us", .via = via, .clock = &k->w.clock, .metrics = k->w.metrics
	};
	struct km_controller *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->view = k->view;
	c->decide = k->w.decide;
	c->clock = &k->w.clock;
	c->interval_ns = 5 * S;
	c->window_ns = WINDOW_S * S;
	km_arena_init(&c->arena, 1u << 20);
	km_arena_init(&c->scratch, 1u << 20);
	km_buf_init(&c->body);
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_cond_init(&c->change, NULL);
	policy_register_stats(&c->stats, k->w.metrics);
	c->wake = wake_create();
	c->advice = advice_create();
	assert_int_equal(km_lease_create(&lease, &c->lease, NULL), 0);
	assert_int_equal(km_events_create(&events, &c->events, NULL), 0);
	assert_int_equal(kpi_create("", 15 * S, &k->w.clock, k->w.metrics, &c->kpi, NULL), 0);
	c->acts = (struct policy_acts){ .via = via, .lease = c->lease, .spare_ns = 5 * S };
	k->c = c;
}

/* `missing`: kinds that the server does not have, a set of bits. */
static void cluster_open_without(struct cluster *k, uint32_t nodes, unsigned missing)
{
	const struct km_view_feed feed = { .live = feed_live,
		                           .pod_bound = feed_bound,
		                           .pod_running = feed_running,
		                           .pod_gone = feed_gone,
		                           .policies = feed_policies,
		                           .ctx = k };

	memset(k, 0, sizeof(*k));
	km_log_set_level(KM_LOG_ERROR);
	world_init(&k->w, nodes);
	assert_int_equal(
		km_view_create(&(struct km_view_options){ .clock = &k->w.clock,
	                                                  .feed = &feed,
	                                                  .parse_policy = km_policy_parse },
	                       &k->view, NULL),
		0);
	for (uint32_t i = 0; i < nodes; i++) {
		const struct km_view_node n = { .name = k->w.names[i],
			                        .uid = k->w.names[i],
			                        .platform = name_of("m5"),
			                        .cpu_cores = 8,
			                        .memory_bytes = 16e9,
			                        .ready = true };

		assert_int_equal(km_view_set_node(k->view, &n), 0);
	}
	for (unsigned i = 0; i < KM_VIEW_KINDS; i++) {
		bool there = (missing & (1U << i)) == 0;

		if (there)
			km_view_listed(k->view, (enum km_view_kind)i);
		km_view_stream(k->view, (enum km_view_kind)i, there, there ? NULL : "404");
	}
	km_view_step(k->view);
	if (missing != 0) { /* they are waited for, for a while */
		k->w.now_ns += 4 * S;
		km_view_step(k->view);
	}
	build_controller(k);
}

static inline void cluster_open(struct cluster *k, uint32_t nodes)
{
	cluster_open_without(k, nodes, 0);
}

static void cluster_close(struct cluster *k)
{
	km_controller_free(k->c);
	km_view_free(k->view);
	world_fini(&k->w);
}

/* ---- objects ---- */

/* A policy of namespace shop over pods with app=APP. `spec`: ", \"mode\": ..." */
static inline void set_policy(struct cluster *k, const char *name, const char *app,
                              const char *spec)
{
	char json[2048];
	struct km_view_policy p = { .namespace = name_of("shop"),
		                    .name = name_of(name),
		                    .uid = name_of(name),
		                    .generation = ++k->generation };

	(void)snprintf(json, sizeof(json),
	               "{\"apiVersion\":\"kubemarla.io/v1alpha1\",\"kind\":\"InterferencePolicy\","
	               "\"metadata\":{\"name\":\"%s\",\"namespace\":\"shop\"},\"spec\":{"
	               "\"selector\":{\"matchLabels\":{\"app\":\"%s\"}}%s}}",
	               name, app, spec);
	p.json = name_of(json);
	assert_int_equal(km_view_set_policy(k->view, &p), 0);
	km_view_step(k->view);
}

/* A replica with app=APP; node < 0: it waits, refused with that message. */
static void set_pod(struct cluster *k, const char *name, const char *app, int node,
                    const char *refused)
{
	const struct km_label label = { name_of("app"), name_of(app) };
	struct km_view_pod p = { .phase = node >= 0 ? KM_VIEW_RUNNING : KM_VIEW_PENDING,
		                 .ready = node >= 0,
		                 .running_wall_ns = node >= 0 ? k->w.now_ns - 600 * S : 0,
		                 .cpu_cores = 1,
		                 .memory_bytes = 1e9,
		                 .refused = name_of(refused),
		                 .refused_reason = name_of(node < 0 ? "Unschedulable" : "") };

	km_pod_init(&p.pod);
	p.pod.namespace = name_of("shop");
	p.pod.name = name_of(name);
	p.pod.uid = name_of(name);
	p.pod.owner_kind = name_of("ReplicaSet");
	p.pod.owner_name = name_of(app);
	p.pod.label = &label;
	p.pod.label_count = 1;
	if (node >= 0)
		p.node = k->w.names[node];
	assert_int_equal(km_view_set_pod(k->view, &p), 0);
	km_view_step(k->view);
}

static inline void remove_pod(struct cluster *k, const char *name)
{
	km_view_remove(k->view, KM_VIEW_PODS, name_of("shop"), name_of(name));
	km_view_step(k->view);
}

/* A second goes by: the Lease is renewed, then a round; features are as fresh as they were. */
static inline void tick(struct cluster *k, const double c0[NODES_MAX])
{
	k->w.now_ns += S;
	for (uint32_t i = 0; i < NODES_MAX && i < k->w.nodes; i++)
		publish(&k->w, i, c0[i]);
	if (k->w.now_ns / S % 2 == 0)
		(void)km_lease_step(k->c->lease);
	controller_round(k->c);
}

static inline void ticks(struct cluster *k, const double c0[NODES_MAX], int count)
{
	for (int i = 0; i < count; i++)
		tick(k, c0);
}

#endif
