/* SPDX-License-Identifier: Apache-2.0 */
/* API objects into the view, by a row a kind: path, decoder. Entry: watch_thread. */
#include "km/cluster/watchers.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/arena.h"
#include "km/base/log.h"
#include "km/kube/watch.h"
#include "km/wire/kube_objects.h"

#define KEEP_BYTES    ((size_t)64 * 1024) /* of an object's memory, for the next one */

#define TRUSTED_LABEL "kubemarla.io/trusted"

static double positive(int64_t number, double per_one)
{
	return number > 0 ? (double)number / per_one : NAN;
}

/* ---- objects ---- */

/* In the words of its labels; the more precise ones first. */
static struct km_name platform_of(const struct km_kube_node *n, struct km_arena *arena)
{
	size_t len = (size_t)n->cpu_vendor.len + n->cpu_family.len + n->cpu_model.len + 2;
	char *text;
	char *end;

	if (n->instance_type.len > 0) {
		return n->instance_type;
	}
	text = n->cpu_model.len > 0 ? km_arena_alloc(arena, len) : NULL;
	if (text == NULL) {
		return n->architecture;
	}
	end = mempcpy(text, n->cpu_vendor.text, n->cpu_vendor.len);
	*end++ = '-';
	end = mempcpy(end, n->cpu_family.text, n->cpu_family.len);
	*end++ = '-';
	memcpy(end, n->cpu_model.text, n->cpu_model.len);
	return (struct km_name){ text, (uint32_t)len };
}

static int set_node(struct km_view *v, const char *json, size_t len, struct km_arena *arena)
{
	struct km_kube_node n;
	int rc = km_kube_node_decode(json, len, arena, &n);

	if (rc != 0 || n.meta.name.len == 0) {
		return rc != 0 ? rc : -EINVAL;
	}
	return km_view_set_node(v,
	                        &(struct km_view_node){ .name = n.meta.name,
	                                                .uid = n.meta.uid,
	                                                .verdict = n.verdict,
	                                                .platform = platform_of(&n, arena),
	                                                .cpu_cores = positive(n.cpu_millis, 1000),
	                                                .memory_bytes = positive(n.memory_bytes, 1),
	                                                .ready = n.ready,
	                                                .unschedulable = n.unschedulable });
}

/* A phase that nobody knows, on a node that fell silent say: what was started runs on. */
static enum km_view_phase phase_of(const struct km_kube_pod *p)
{
	switch (p->phase) {
	case KM_KUBE_PHASE_SUCCEEDED:
	case KM_KUBE_PHASE_FAILED:
		return KM_VIEW_ENDED;
	case KM_KUBE_PHASE_RUNNING:
		return KM_VIEW_RUNNING;
	case KM_KUBE_PHASE_UNKNOWN:
		return p->started_unix_ns > 0 ? KM_VIEW_RUNNING : KM_VIEW_PENDING;
	default:
		return KM_VIEW_PENDING;
	}
}

/* Since counters see it: its containers began, else it was ready, else the kubelet took it. */
static int64_t running_since(const struct km_kube_pod *p)
{
	if (p->running_unix_ns > 0) {
		return p->running_unix_ns;
	}
	return p->ready_unix_ns > 0 ? p->ready_unix_ns : p->started_unix_ns;
}

static int set_pod(struct km_view *v, const char *json, size_t len, struct km_arena *arena)
{
	struct km_kube_pod p;
	int rc = km_kube_pod_decode(json, len, arena, &p);
	struct km_view_pod pod;

	if (rc != 0 || p.pod.name.len == 0) {
		return rc != 0 ? rc : -EINVAL;
	}
	pod = (struct km_view_pod){
		.pod = p.pod,
		.node = p.node_name,
		.ip = p.pod_ip,
		.scheduler = p.scheduler_name,
		.cpu_cores = positive(p.cpu_millis, 1000),
		.memory_bytes = positive(p.memory_bytes, 1),
		.phase = phase_of(&p),
		.ready = p.ready,
		.deleting = p.deleting,
		.running_wall_ns = running_since(&p),
	};
	if (p.unschedulable) {
		pod.refused = p.sched_message;
		pod.refused_reason = p.sched_reason;
	}
	return km_view_set_pod(v, &pod);
}

static int set_policy(struct km_view *v, const char *json, size_t len, struct km_arena *arena)
{
	struct km_kube_meta m;
	int rc = km_kube_meta_decode(json, len, arena, &m);

	if (rc != 0 || m.name.len == 0 || m.namespace.len == 0 || len > UINT32_MAX) {
		return rc != 0 ? rc : -EINVAL;
	}
	return km_view_set_policy(v,
	                          &(struct km_view_policy){ .namespace = m.namespace,
	                                                    .name = m.name,
	                                                    .uid = m.uid,
	                                                    .resource_version = m.resource_version,
	                                                    .generation = m.generation,
	                                                    .json = { json, (uint32_t)len } });
}

static int set_namespace(struct km_view *v, const char *json, size_t len, struct km_arena *arena)
{
	const struct km_name *trusted;
	struct km_kube_meta m;
	int rc = km_kube_meta_decode(json, len, arena, &m);

	if (rc != 0 || m.name.len == 0) {
		return rc != 0 ? rc : -EINVAL;
	}
	trusted = km_kube_label(&m, TRUSTED_LABEL);
	return km_view_set_namespace(
		v, &(struct km_view_namespace){ .name = m.name,
	                                        .trusted = trusted != NULL && trusted->len == 4 &&
	                                                   memcmp(trusted->text, "true", 4) == 0 });
}

static const struct kind {
	const char *resource; /* metric label */
	const char *path;
	const char *thread; /* 15 characters at most */
	int (*set)(struct km_view *v, const char *json, size_t len, struct km_arena *arena);
} kinds[KM_VIEW_KINDS] = {
	[KM_VIEW_NODES] = { "nodes", "/api/v1/nodes", "km-watch-nodes", set_node },
	[KM_VIEW_PODS] = { "pods", "/api/v1/pods", "km-watch-pods", set_pod },
	[KM_VIEW_POLICIES] = { "interferencepolicies",
	                       "/apis/kubemarla.io/v1alpha1/interferencepolicies",
	                       "km-watch-policy", set_policy },
	[KM_VIEW_NAMESPACES] = { "namespaces", "/api/v1/namespaces", "km-watch-namesp",
	                         set_namespace },
};

int km_watchers_object(struct km_view *v, enum km_view_kind kind, bool deleted, const char *json,
                       size_t len, struct km_arena *arena)
{
	struct km_kube_meta m;
	int rc;

	km_arena_reset(arena);
	if (!deleted) {
		return kinds[kind].set(v, json, len, arena);
	}
	rc = km_kube_meta_decode(json, len, arena, &m);
	if (rc == 0) {
		km_view_remove(v, kind, m.namespace, m.name);
	}
	return rc;
}

/* ---- threads ---- */

struct watcher {
	struct km_watchers *all;
	enum km_view_kind kind;
	struct km_kube *kube;
	struct km_arena arena;
	pthread_t thread;
	bool started;
};

struct km_watchers {
	struct km_watchers_options options;
	struct watcher watcher[KM_VIEW_KINDS];
};

static int on_object(void *ctx, enum km_kube_event event, const char *json, size_t len)
{
	struct watcher *w = ctx;

	return km_watchers_object(w->all->options.view, w->kind, event == KM_KUBE_DELETED, json,
	                          len, &w->arena);
}

static void on_listing(void *ctx)
{
	struct watcher *w = ctx;

	km_view_listing(w->all->options.view, w->kind);
}

static void on_listed(void *ctx)
{
	struct watcher *w = ctx;

	km_view_listed(w->all->options.view, w->kind);
}

static void on_state(void *ctx, bool live, const char *why)
{
	struct watcher *w = ctx;

	km_view_stream(w->all->options.view, w->kind, live, why);
	if (live) {
		km_log_info("cluster", "watching resource=%s", kinds[w->kind].resource);
	} else {
		km_log_warn("cluster", "not watching resource=%s error=\"%s\"",
		            kinds[w->kind].resource, why);
	}
}

static void *watch_thread(void *arg)
{
	struct watcher *w = arg;
	const struct km_kube_watch_options options = {
		.path = kinds[w->kind].path,
		.object = on_object,
		.listing = on_listing,
		.listed = on_listed,
		.state = on_state,
		.ctx = w,
		.clock = w->all->options.clock,
		.metrics = w->all->options.metrics,
		.resource = kinds[w->kind].resource,
	};
	int rc;

	(void)pthread_setname_np(pthread_self(), kinds[w->kind].thread);
	rc = km_kube_watch_run(w->kube, &options);
	if (rc != -ECANCELED) {
		km_log_error("cluster", "watching ended resource=%s error=memory",
		             kinds[w->kind].resource);
		km_view_stream(w->all->options.view, w->kind, false, "out of memory");
	}
	return NULL;
}

int km_watchers_create(const struct km_watchers_options *options, struct km_watchers **out,
                       struct km_err *err)
{
	struct km_watchers *all = calloc(1, sizeof(*all));
	int rc = 0;

	*out = NULL;
	if (all == NULL) {
		return km_err_set(err, ENOMEM, "watchers: out of memory");
	}
	all->options = *options;
	for (size_t k = 0; k < KM_VIEW_KINDS; k++) {
		struct watcher *w = &all->watcher[k];

		w->all = all;
		w->kind = (enum km_view_kind)k;
		km_arena_init(&w->arena, KEEP_BYTES);
		if (rc == 0) {
			rc = km_kube_create(options->credentials, options->metrics, &w->kube, err);
		}
	}
	if (rc != 0) {
		km_watchers_free(all);
		return rc;
	}
	*out = all;
	return 0;
}

int km_watchers_start(struct km_watchers *all, struct km_err *err)
{
	for (size_t k = 0; k < KM_VIEW_KINDS; k++) {
		struct watcher *w = &all->watcher[k];
		int code = pthread_create(&w->thread, NULL, watch_thread, w);

		if (code != 0) {
			return km_err_errno(err, code, "thread %s", kinds[k].thread);
		}
		w->started = true;
	}
	return 0;
}

void km_watchers_stop(struct km_watchers *all)
{
	for (size_t k = 0; all != NULL && k < KM_VIEW_KINDS; k++) {
		if (all->watcher[k].kube != NULL) {
			km_kube_stop(all->watcher[k].kube);
		}
	}
	for (size_t k = 0; all != NULL && k < KM_VIEW_KINDS; k++) {
		if (all->watcher[k].started) {
			(void)pthread_join(all->watcher[k].thread, NULL);
			all->watcher[k].started = false;
		}
	}
}

void km_watchers_free(struct km_watchers *all)
{
	if (all == NULL) {
		return;
	}
	km_watchers_stop(all);
	for (size_t k = 0; k < KM_VIEW_KINDS; k++) {
		km_kube_free(all->watcher[k].kube);
		km_arena_fini(&all->watcher[k].arena);
	}
	free(all);
}
