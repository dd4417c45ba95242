/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the view: short ways to say what a watcher hears, and a feed that writes down what
 * it is told, a line a call.
 */
#ifndef KM_TESTS_SUPPORT_VIEW_WORLD_H
#define KM_TESTS_SUPPORT_VIEW_WORLD_H

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
#include "km/cluster/view.h"

#define SECOND KM_NS_PER_S

struct view_world {
	int64_t mono_ns, wall_ns;
	struct km_clock clock;
	struct km_buf told;
	struct km_view *view;
};

static inline struct km_name name_of(const char *text)
{
	return (struct km_name){ text, (uint32_t)strlen(text) };
}

static inline int64_t view_mono(void *ctx)
{
	return ((struct view_world *)ctx)->mono_ns;
}

static inline int64_t view_wall(void *ctx)
{
	return ((struct view_world *)ctx)->wall_ns;
}

static inline void told_live(void *ctx, bool live)
{
	km_buf_printf(&((struct view_world *)ctx)->told, "live %d\n", live);
}

static inline void told_late(void *ctx, bool late)
{
	km_buf_printf(&((struct view_world *)ctx)->told, "late %d\n", late);
}

/* "bound UID NODE", and since how many seconds it runs; "-" = not yet. */
static inline void told_bound(void *ctx, const struct km_pod *pod, struct km_name node,
                              int64_t running_ns)
{
	struct view_world *w = ctx;

	km_buf_printf(&w->told, "bound %.*s %.*s ", (int)pod->uid.len, pod->uid.text, (int)node.len,
	              node.text);
	if (running_ns == INT64_MAX)
		km_buf_str(&w->told, "-\n");
	else
		km_buf_printf(&w->told, "%lld\n", (long long)((w->mono_ns - running_ns) / SECOND));
}

static inline void told_running(void *ctx, struct km_name uid, int64_t running_ns)
{
	struct view_world *w = ctx;

	km_buf_printf(&w->told, "running %.*s %lld\n", (int)uid.len, uid.text,
	              (long long)((w->mono_ns - running_ns) / SECOND));
}

static inline void told_gone(void *ctx, struct km_name uid)
{
	km_buf_printf(&((struct view_world *)ctx)->told, "gone %.*s\n", (int)uid.len, uid.text);
}

static inline void told_ready(void *ctx, uint64_t policy, uint32_t ready)
{
	bool web = policy == km_policy_key("shop", "web");

	km_buf_printf(&((struct view_world *)ctx)->told, "ready %s %u\n", web ? "web" : "other",
	              ready);
}

static inline struct km_policies *told_policies(void *ctx, struct km_policies *p)
{
	km_buf_printf(&((struct view_world *)ctx)->told, "policies %zu\n", km_policies_count(p));
	return km_policies_ref(p);
}

static inline void told_node(void *ctx, const struct km_view_node *node)
{
	km_buf_printf(&((struct view_world *)ctx)->told, "node %.*s %.*s\n", (int)node->name.len,
	              node->name.text, (int)node->platform.len, node->platform.text);
}

static inline void told_node_gone(void *ctx, struct km_name name)
{
	km_buf_printf(&((struct view_world *)ctx)->told, "node gone %.*s\n", (int)name.len,
	              name.text);
}

/* A reader of policies of one word: "web" matches label app=web, "bad" does not parse. */
static inline int parse_word(const char *name, const char *json, size_t len, bool trusted,
                             struct km_policy *out, struct km_err *err)
{
	const char *slash = strchr(name, '/');

	if (len == 3 && memcmp(json, "bad", 3) == 0)
		return km_err_set(err, EINVAL, "%s: saw bad, want a policy", name);
	km_policy_init(out);
	(void)snprintf(out->namespace, sizeof(out->namespace), "%.*s", (int)(slash - name), name);
	(void)snprintf(out->name, sizeof(out->name), "%.60s", slash + 1);
	out->trusted = trusted;
	out->rps_query = strdup("");
	out->term = calloc(1, sizeof(*out->term));
	out->term_count = 1;
	out->term[0].key = strdup("app");
	out->term[0].value = calloc(1, sizeof(char *));
	out->term[0].value[0] = strndup(json, len);
	out->term[0].value_count = 1;
	return 0;
}

static inline void world_open(struct view_world *w, struct km_metrics *metrics)
{
	const struct km_view_feed feed = { .live = told_live,
		                           .late = told_late,
		                           .pod_bound = told_bound,
		                           .pod_running = told_running,
		                           .pod_gone = told_gone,
		                           .ready_pods = told_ready,
		                           .policies = told_policies,
		                           .node = told_node,
		                           .node_gone = told_node_gone,
		                           .ctx = w };

	*w = (struct view_world){ .mono_ns = 1000 * SECOND, .wall_ns = 5000 * SECOND };
	w->clock = (struct km_clock){ view_mono, view_wall, w };
	km_buf_init(&w->told);
	assert_int_equal(km_view_create(&(struct km_view_options){ .clock = &w->clock,
	                                                           .metrics = metrics,
	                                                           .feed = &feed,
	                                                           .parse_policy = parse_word },
	                                &w->view, NULL),
	                 0);
}

static inline void world_close(struct view_world *w)
{
	km_view_free(w->view);
	km_buf_fini(&w->told);
}

/* Feeds, and compares what was told since the last time. */
static inline void wants(struct view_world *w, const char *lines)
{
	km_view_step(w->view);
	assert_string_equal(km_buf_cstr(&w->told), lines);
	km_buf_clear(&w->told);
}

static inline struct km_view_node node_named(const char *name)
{
	return (struct km_view_node){ .name = name_of(name),
		                      .platform = name_of("m5"),
		                      .cpu_cores = 4,
		                      .memory_bytes = NAN };
}

/* A pod of namespace shop; node NULL = not bound; since < 0 = it does not run. */
static inline struct km_view_pod pod_named(const char *name, const char *uid, const char *node,
                                           int64_t since_ns)
{
	struct km_view_pod p = { .phase = since_ns >= 0 ? KM_VIEW_RUNNING : KM_VIEW_PENDING,
		                 .ready = since_ns >= 0,
		                 .running_wall_ns = since_ns >= 0 ? since_ns : 0,
		                 .cpu_cores = NAN,
		                 .memory_bytes = NAN };

	km_pod_init(&p.pod);
	p.pod.namespace = name_of("shop");
	p.pod.name = name_of(name);
	p.pod.uid = name_of(uid);
	if (node != NULL)
		p.node = name_of(node);
	return p;
}

static inline void set_pod(struct view_world *w, const char *name, const char *uid,
                           const char *node, int64_t since_ns)
{
	const struct km_view_pod p = pod_named(name, uid, node, since_ns);

	assert_int_equal(km_view_set_pod(w->view, &p), 0);
}

static inline void set_policy(struct view_world *w, const char *name, const char *word,
                              int64_t generation)
{
	const struct km_view_policy p = { .namespace = name_of("shop"),
		                          .name = name_of(name),
		                          .uid = name_of(name),
		                          .json = name_of(word),
		                          .generation = generation };

	assert_int_equal(km_view_set_policy(w->view, &p), 0);
}

static inline void remove_pod(struct view_world *w, const char *name)
{
	km_view_remove(w->view, KM_VIEW_PODS, name_of("shop"), name_of(name));
}

/* What was set so far is all there is, of all kinds but those in `but`, a set of bits. */
static inline void listed_all_but(struct view_world *w, unsigned but)
{
	for (unsigned k = 0; k < KM_VIEW_KINDS; k++) {
		if ((but & (1U << k)) != 0)
			continue;
		km_view_listed(w->view, (enum km_view_kind)k);
		km_view_stream(w->view, (enum km_view_kind)k, true, NULL);
	}
}

#endif
