/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables' outside: what watchers tell goes in, snapshots and the state of streams come out, and
 * the thread that feeds is woken. What it tells is view_feed.c.
 */
#include "km/cluster/view.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "km/base/macros.h"

#include "view_internal.h"

const char *km_view_kind_name(enum km_view_kind kind)
{
	static const char *const names[KM_VIEW_KINDS] = {
		[KM_VIEW_NODES] = "nodes",
		[KM_VIEW_PODS] = "pods",
		[KM_VIEW_POLICIES] = "policies",
		[KM_VIEW_NAMESPACES] = "namespaces",
	};

	return names[kind];
}

/* Names come from outside: nobody there may know where they collide. */
static uint64_t table_seed(const struct km_view *v)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed)) {
		seed = (uint64_t)(uintptr_t)v;
	}
	return seed;
}

/* Runs on the HTTP thread that serves /metrics. */
static void collect(struct km_metrics_writer *w, void *ctx)
{
	struct km_view_health h;

	km_view_health(ctx, &h);
	km_metrics_family(w, KM_METRIC_GAUGE, "kubemarla_view_objects",
	                  "Objects of the Kubernetes API that are kept, by kind.");
	for (size_t k = 0; k < KM_VIEW_KINDS; k++) {
		km_metrics_sample(w, (double)h.kind[k].objects, "kind",
		                  km_view_kind_name((enum km_view_kind)k), KM_LABELS_END);
	}
	km_metrics_family(w, KM_METRIC_GAUGE, "kubemarla_view_stream_lost_seconds",
	                  "For how long changes of that kind are not heard of.");
	for (size_t k = 0; k < KM_VIEW_KINDS; k++) {
		km_metrics_sample(w, h.kind[k].lost_s, "kind",
		                  km_view_kind_name((enum km_view_kind)k), KM_LABELS_END);
	}
	km_metrics_family(w, KM_METRIC_GAUGE, "kubemarla_view_feeding",
	                  "1 while decisions know the pods that are there.");
	km_metrics_sample(w, h.feeding && !h.late, KM_LABELS_END);
}

int km_view_create(const struct km_view_options *options, struct km_view **out, struct km_err *err)
{
	struct km_view *v = calloc(1, sizeof(*v));
	pthread_condattr_t attr;

	*out = NULL;
	if (v == NULL) {
		return km_err_set(err, ENOMEM, "view of Kubernetes: out of memory");
	}
	v->clock = options->clock;
	v->feed = *options->feed;
	v->parse_policy = options->parse_policy;
	(void)pthread_mutex_init(&v->lock, NULL); /* never fails with these attributes */
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&v->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	for (size_t k = 0; k < KM_VIEW_KINDS; k++) {
		slots_init(&v->table[k], &v->lock, table_seed(v));
		v->stream[k].lost_ns = km_clock_mono_ns(v->clock);
	}
	v->no_memory = km_metrics_counter(options->metrics, "kubemarla_view_out_of_memory_total",
	                                  "Objects of the Kubernetes API that were lost, until the "
	                                  "next list, for want of memory.",
	                                  KM_LABELS_END);
	if (options->metrics != NULL) {
		km_metrics_collect(options->metrics, collect, v);
	}
	*out = v;
	return 0;
}

void km_view_free(struct km_view *v)
{
	if (v == NULL) {
		return;
	}
	view_feed_fini(v);
	for (size_t k = 0; k < KM_VIEW_KINDS; k++) {
		slots_fini(&v->table[k]);
	}
	(void)pthread_cond_destroy(&v->wake);
	(void)pthread_mutex_destroy(&v->lock);
	free(v);
}

/* ---- the thread ---- */

/* How far the condition variable's own clock is from `until_ns` of ours, as a time of its own. */
static struct timespec deadline_of(const struct km_view *v, int64_t until_ns)
{
	int64_t left_ns = until_ns - km_clock_mono_ns(v->clock);
	int64_t at_ns = km_clock_mono_ns(km_clock_system()) + (left_ns > 0 ? left_ns : 0);

	return (struct timespec){ .tv_sec = (time_t)(at_ns / KM_NS_PER_S),
		                  .tv_nsec = (long)(at_ns % KM_NS_PER_S) };
}

static bool wait_for_news(struct km_view *v, int64_t until_ns)
{
	struct timespec deadline;
	int rc = 0;
	bool stop;

	if (until_ns != INT64_MAX) {
		deadline = deadline_of(v, until_ns);
	}
	pthread_mutex_lock(&v->lock);
	while (!v->changed && !v->stop && rc == 0) {
		rc = until_ns == INT64_MAX ? pthread_cond_wait(&v->wake, &v->lock)
		                           : pthread_cond_timedwait(&v->wake, &v->lock, &deadline);
	}
	v->changed = false;
	stop = v->stop;
	pthread_mutex_unlock(&v->lock);
	return !stop;
}

static void *feed_thread(void *arg)
{
	struct km_view *v = arg;
	int64_t until_ns = 0;

	(void)pthread_setname_np(pthread_self(), "km-view");
	while (wait_for_news(v, until_ns)) {
		until_ns = view_feed_step(v);
	}
	return NULL;
}

int km_view_start(struct km_view *v, struct km_err *err)
{
	int code = pthread_create(&v->thread, NULL, feed_thread, v);

	if (code != 0) {
		return km_err_errno(err, code, "thread of the view");
	}
	v->started = true;
	return 0;
}

void km_view_stop(struct km_view *v)
{
	if (v == NULL || !v->started) {
		return;
	}
	pthread_mutex_lock(&v->lock);
	v->stop = true;
	pthread_cond_signal(&v->wake);
	pthread_mutex_unlock(&v->lock);
	(void)pthread_join(v->thread, NULL);
	v->started = false;
}

void km_view_step(struct km_view *v)
{
	(void)view_feed_step(v);
}

/* ---- what watchers tell ---- */

static void news(struct km_view *v)
{
	pthread_mutex_lock(&v->lock);
	v->changed = true;
	pthread_cond_signal(&v->wake);
	pthread_mutex_unlock(&v->lock);
}

void km_view_renew_policies(struct km_view *v)
{
	pthread_mutex_lock(&v->lock);
	v->renew_policies = true;
	v->changed = true;
	pthread_cond_signal(&v->wake);
	pthread_mutex_unlock(&v->lock);
}

/* Puts an item, which is taken; NULL = there was no memory for it. */
static int put(struct km_view *v, enum km_view_kind kind, struct view_item *i)
{
	int rc = i != NULL ? slots_set(&v->table[kind], i) : -ENOMEM;

	if (rc == 0) {
		news(v);
	} else {
		km_counter_add(v->no_memory, 1);
	}
	return rc;
}

static struct view_item *there(struct km_view *v, enum km_view_kind kind, struct km_name namespace,
                               struct km_name name)
{
	uint32_t slot = slots_find(&v->table[kind], namespace, name);

	return slot != SLOTS_NONE ? slots_at(&v->table[kind], slot) : NULL;
}

int km_view_set_node(struct km_view *v, const struct km_view_node *node)
{
	static const struct km_name none = { NULL, 0 };
	const struct view_item *old = there(v, KM_VIEW_NODES, none, node->name);

	/* A kubelet writes its node's status all the time; next to nothing of it is kept. */
	if (old != NULL && view_item_same_node(&old->node, node)) {
		slots_seen(&v->table[KM_VIEW_NODES], none, node->name);
		return 0;
	}
	return put(v, KM_VIEW_NODES, view_item_of_node(node));
}

/*
 * Wall time to monotonic, once: what a pod runs since does not move with the wall clock. A start
 * that has not come yet, by a clock that is ahead of ours, is now.
 */
static int64_t running_mono(const struct km_view *v, const struct km_view_pod *pod)
{
	int64_t now_ns = km_clock_mono_ns(v->clock);
	int64_t wall_ns = km_clock_wall_ns(v->clock);

	if (pod->phase != KM_VIEW_RUNNING) {
		return INT64_MAX;
	}
	if (pod->running_wall_ns <= 0 || pod->running_wall_ns >= wall_ns) {
		return now_ns;
	}
	return now_ns - (wall_ns - pod->running_wall_ns);
}

static uint32_t min_len(uint32_t len)
{
	return len < KM_VIEW_TEXT_MAX ? len : KM_VIEW_TEXT_MAX;
}

int km_view_set_pod(struct km_view *v, const struct km_view_pod *pod)
{
	const struct view_item *old = there(v, KM_VIEW_PODS, pod->pod.namespace, pod->pod.name);
	bool same_pod = old != NULL && view_same_name(old->pod.pod.uid, pod->pod.uid);
	struct km_view_pod kept = *pod;

	if (pod->phase == KM_VIEW_ENDED) {
		km_view_remove(v, KM_VIEW_PODS, pod->pod.namespace, pod->pod.name);
		return 0;
	}
	kept.refused.len = min_len(kept.refused.len);
	kept.refused_reason.len = min_len(kept.refused_reason.len);
	kept.running_mono_ns = running_mono(v, pod);
	/* It runs since it began, however often it was ready since. */
	if (same_pod && old->pod.phase == KM_VIEW_RUNNING && pod->phase == KM_VIEW_RUNNING) {
		kept.running_mono_ns = old->pod.running_mono_ns;
		kept.running_wall_ns = old->pod.running_wall_ns;
	}
	kept.bound_mono_ns = 0;
	if (pod->node.len > 0) {
		kept.bound_mono_ns = same_pod && old->pod.bound_mono_ns != 0
		                             ? old->pod.bound_mono_ns
		                             : km_clock_mono_ns(v->clock);
	}
	if (same_pod && view_item_same_pod(&old->pod, &kept)) {
		slots_seen(&v->table[KM_VIEW_PODS], pod->pod.namespace, pod->pod.name);
		return 0;
	}
	return put(v, KM_VIEW_PODS, view_item_of_pod(&kept));
}

const char *view_policy_path(const struct km_view_policy *p, char *out, size_t size)
{
	struct km_buf text;

	km_buf_init(&text);
	km_buf_append(&text, p->namespace.text, p->namespace.len);
	km_buf_char(&text, '/');
	km_buf_append(&text, p->name.text, p->name.len);
	(void)strncpy(out, km_buf_cstr(&text), size - 1);
	out[size - 1] = '\0';
	km_buf_fini(&text);
	return out;
}

int km_view_set_policy(struct km_view *v, const struct km_view_policy *policy)
{
	struct km_policy *parsed = v->parse_policy != NULL ? malloc(sizeof(*parsed)) : NULL;
	struct km_view_policy kept = *policy;
	struct km_err err = { .code = 0 };
	char path[KM_POLICY_PATH_MAX];
	struct view_item *i;

	if (v->parse_policy != NULL && parsed == NULL) {
		return put(v, KM_VIEW_POLICIES, NULL);
	}
	kept.error = (struct km_name){ NULL, 0 };
	if (parsed != NULL &&
	    v->parse_policy(view_policy_path(policy, path, sizeof(path)), policy->json.text,
	                    policy->json.len, false, parsed, &err) != 0) {
		kept.error = (struct km_name){ err.text, (uint32_t)strlen(err.text) };
		free(parsed);
		parsed = NULL;
	}
	kept.policy = parsed;
	i = view_item_of_policy(&kept);
	if (i != NULL) {
		i->parsed = parsed;
	} else if (parsed != NULL) {
		km_policy_fini(parsed);
		free(parsed);
	}
	return put(v, KM_VIEW_POLICIES, i);
}

int km_view_set_namespace(struct km_view *v, const struct km_view_namespace *ns)
{
	static const struct km_name none = { NULL, 0 };
	const struct view_item *old = there(v, KM_VIEW_NAMESPACES, none, ns->name);

	if (old != NULL && old->namespace.trusted == ns->trusted) {
		slots_seen(&v->table[KM_VIEW_NAMESPACES], none, ns->name);
		return 0;
	}
	return put(v, KM_VIEW_NAMESPACES, view_item_of_namespace(ns));
}

void km_view_remove(struct km_view *v, enum km_view_kind kind, struct km_name namespace,
                    struct km_name name)
{
	if (slots_remove(&v->table[kind], namespace, name) != 0) {
		km_counter_add(v->no_memory, 1);
	}
	news(v);
}

void km_view_listing(struct km_view *v, enum km_view_kind kind)
{
	slots_list_begin(&v->table[kind]);
}

void km_view_listed(struct km_view *v, enum km_view_kind kind)
{
	if (slots_list_end(&v->table[kind]) != 0) {
		km_counter_add(v->no_memory, 1);
	}
	pthread_mutex_lock(&v->lock);
	v->stream[kind].listed = true;
	v->changed = true;
	pthread_cond_signal(&v->wake);
	pthread_mutex_unlock(&v->lock);
}

void km_view_stream(struct km_view *v, enum km_view_kind kind, bool live, const char *why)
{
	int64_t now_ns = km_clock_mono_ns(v->clock);
	struct view_stream *s = &v->stream[kind];

	pthread_mutex_lock(&v->lock);
	if (live) {
		s->lost_ns = 0;
	} else if (s->lost_ns == 0) {
		s->lost_ns = now_ns;
	}
	s->live = live;
	s->trouble = s->trouble || !live;
	(void)strncpy(s->why, why != NULL ? why : "", sizeof(s->why) - 1);
	v->changed = true;
	pthread_cond_signal(&v->wake);
	pthread_mutex_unlock(&v->lock);
}

void km_view_health(struct km_view *v, struct km_view_health *out)
{
	int64_t now_ns = km_clock_mono_ns(v->clock);

	memset(out, 0, sizeof(*out));
	pthread_mutex_lock(&v->lock);
	for (size_t k = 0; k < KM_VIEW_KINDS; k++) {
		const struct view_stream *s = &v->stream[k];

		out->kind[k].objects = v->table[k].count;
		out->kind[k].listed = s->listed;
		out->kind[k].live = s->live;
		out->kind[k].lost_s = s->lost_ns != 0 ? (double)(now_ns - s->lost_ns) * 1e-9 : NAN;
		memcpy(out->kind[k].why, s->why, sizeof(out->kind[k].why));
	}
	out->feeding = v->feeding;
	out->late = v->late;
	pthread_mutex_unlock(&v->lock);
}
