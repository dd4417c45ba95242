/* SPDX-License-Identifier: Apache-2.0 */
/* The reflector's world; see kube_world.h. */
#include "support/kube_world.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "km/base/arena.h"
#include "km/wire/kube_objects.h"

#define POLL_NS 2000000 /* for what no condition tells of: the server's own state, metrics */

static struct kube_object *find(struct kube_world *w, const char *name)
{
	for (size_t i = 0; i < w->count; i++) {
		if (strcmp(w->object[i].name, name) == 0)
			return &w->object[i];
	}
	return NULL;
}

static void apply(struct kube_world *w, enum km_kube_event event, const struct km_kube_meta *m)
{
	struct kube_object *o;
	char name[64];

	(void)snprintf(name, sizeof(name), "%.*s/%.*s", (int)m->namespace.len, m->namespace.text,
	               (int)m->name.len, m->name.text);
	o = find(w, name);
	if (event == KM_KUBE_DELETED) {
		if (o != NULL)
			*o = w->object[--w->count];
		return;
	}
	w->mistaken = w->mistaken || (event == KM_KUBE_MODIFIED && o == NULL);
	if (o == NULL) {
		if (w->count == KUBE_OBJECTS_MAX)
			abort();
		o = &w->object[w->count++];
		(void)snprintf(o->name, sizeof(o->name), "%s", name);
	}
	(void)snprintf(o->version, sizeof(o->version), "%.*s", (int)m->resource_version.len,
	               m->resource_version.text);
	o->listed = true;
}

static int on_object(void *ctx, enum km_kube_event event, const char *json, size_t len)
{
	struct kube_world *w = ctx;
	struct km_kube_meta meta;
	struct km_arena arena;
	int rc;

	km_arena_init(&arena, 0);
	rc = km_kube_meta_decode(json, len, &arena, &meta);
	(void)pthread_mutex_lock(&w->lock);
	w->told[event]++;
	if (w->object_rcs > 0)
		rc = w->object_rc[--w->object_rcs];
	if (rc == 0)
		apply(w, event, &meta);
	(void)pthread_cond_broadcast(&w->changed);
	(void)pthread_mutex_unlock(&w->lock);
	km_arena_fini(&arena);
	return rc;
}

static void on_listing(void *ctx)
{
	struct kube_world *w = ctx;

	(void)pthread_mutex_lock(&w->lock);
	w->listings++;
	for (size_t i = 0; i < w->count; i++)
		w->object[i].listed = false;
	(void)pthread_cond_broadcast(&w->changed);
	(void)pthread_mutex_unlock(&w->lock);
}

static void on_listed(void *ctx)
{
	struct kube_world *w = ctx;

	(void)pthread_mutex_lock(&w->lock);
	w->listeds++;
	for (size_t i = 0; i < w->count;) {
		if (w->object[i].listed)
			i++;
		else
			w->object[i] = w->object[--w->count];
	}
	(void)pthread_cond_broadcast(&w->changed);
	(void)pthread_mutex_unlock(&w->lock);
}

static void on_state(void *ctx, bool live, const char *why)
{
	struct kube_world *w = ctx;

	(void)pthread_mutex_lock(&w->lock);
	w->live = live;
	w->lives += live;
	w->losses += !live;
	(void)snprintf(w->why, sizeof(w->why), "%s", why);
	(void)pthread_cond_broadcast(&w->changed);
	(void)pthread_mutex_unlock(&w->lock);
}

void kube_world_init(struct kube_world *w)
{
	struct km_kubernetes_settings settings = { 0 };
	pthread_condattr_t monotonic;
	struct km_err err = { .code = 0 };

	memset(w, 0, sizeof(*w));
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&w->changed, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	fake_apiserver_start(&w->server);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/km-test-kube-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->kubeconfig, sizeof(w->kubeconfig), "%s/config", w->dir);
	fake_apiserver_kubeconfig(&w->server, w->kubeconfig);
	settings.kubeconfig = w->kubeconfig;
	if (km_kube_credentials_find(&settings, &w->credentials, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(km_metrics_create(&w->metrics, NULL), 0);
	assert_int_equal(km_kube_create(w->credentials, w->metrics, &w->kube, &err), 0);
	w->options = (struct km_kube_watch_options){
		.path = "/api/v1/pods",
		.page = 3,
		.object = on_object,
		.listing = on_listing,
		.listed = on_listed,
		.state = on_state,
		.ctx = w,
		.metrics = w->metrics,
		.resource = "pods",
		.backoff_min_ns = KM_NS_PER_MS,
		.backoff_max_ns = 4 * KM_NS_PER_MS,
	};
}

static void *run(void *arg)
{
	struct kube_world *w = arg;

	w->rc = km_kube_watch_run(w->kube, &w->options);
	return NULL;
}

void kube_world_run(struct kube_world *w)
{
	w->running = true;
	assert_int_equal(pthread_create(&w->thread, NULL, run, w), 0);
}

void kube_world_stop(struct kube_world *w)
{
	if (!w->running)
		return;
	km_kube_stop(w->kube);
	(void)pthread_join(w->thread, NULL);
	w->running = false;
	assert_int_equal(w->rc, -ECANCELED);
	assert_int_equal(km_metrics_check(w->metrics, NULL), 0);
}

void kube_world_fini(struct kube_world *w)
{
	char command[128];

	kube_world_stop(w);
	km_kube_free(w->kube);
	km_kube_credentials_free(w->credentials);
	km_metrics_free(w->metrics);
	if (w->server.state != NULL)
		fake_apiserver_stop(&w->server);
	(void)pthread_cond_destroy(&w->changed);
	(void)pthread_mutex_destroy(&w->lock);
	(void)snprintf(command, sizeof(command), "rm -r %s", w->dir);
	assert_int_equal(system(command), 0);
}

void kube_world_put(struct kube_world *w, const char *ns, const char *name)
{
	char json[256];

	(void)snprintf(json, sizeof(json), "{\"metadata\":{\"namespace\":\"%s\",\"name\":\"%s\"}}",
	               ns, name);
	fake_apiserver_put(&w->server, "/api/v1/pods", json);
}

static struct timespec after_ns(int64_t ns)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(ns / KM_NS_PER_S);
	t.tv_nsec += (long)(ns % KM_NS_PER_S);
	if (t.tv_nsec >= KM_NS_PER_S) {
		t.tv_sec++;
		t.tv_nsec -= KM_NS_PER_S;
	}
	return t;
}

bool kube_world_wait(struct kube_world *w, kube_world_fn *is)
{
	struct timespec until = after_ns(FAKE_WAIT_MS * KM_NS_PER_MS);
	bool so;

	(void)pthread_mutex_lock(&w->lock);
	while (!(so = is(w)) && pthread_cond_timedwait(&w->changed, &w->lock, &until) == 0)
		;
	(void)pthread_mutex_unlock(&w->lock);
	return so;
}

/* Waits for a change of the picture, or a moment. */
static void wait_a_moment(struct kube_world *w)
{
	struct timespec until = after_ns(POLL_NS);

	(void)pthread_mutex_lock(&w->lock);
	(void)pthread_cond_timedwait(&w->changed, &w->lock, &until);
	(void)pthread_mutex_unlock(&w->lock);
}

static bool is_same(struct kube_world *w)
{
	size_t theirs = fake_apiserver_count(&w->server, "/api/v1/pods");
	bool same;

	(void)pthread_mutex_lock(&w->lock);
	same = w->listeds > 0 && w->count == theirs;
	for (size_t i = 0; same && i < w->count; i++) {
		const struct kube_object *o = &w->object[i];
		char ns[64];
		const char *slash = strchr(o->name, '/');
		char version[64];
		char *json;

		(void)snprintf(ns, sizeof(ns), "%.*s", (int)(slash - o->name), o->name);
		(void)snprintf(version, sizeof(version), "\"resourceVersion\":\"%s\"", o->version);
		json = fake_apiserver_get(&w->server, "/api/v1/pods", ns, slash + 1);
		same = json != NULL && strstr(json, version) != NULL;
		free(json);
	}
	(void)pthread_mutex_unlock(&w->lock);
	return same;
}

bool kube_world_wait_same(struct kube_world *w)
{
	int64_t until = km_clock_mono_ns(km_clock_system()) + FAKE_WAIT_MS * KM_NS_PER_MS;

	while (!is_same(w)) {
		if (km_clock_mono_ns(km_clock_system()) > until)
			return false;
		wait_a_moment(w);
	}
	return true;
}

double kube_world_metric(struct kube_world *w, const char *series)
{
	struct km_buf text;
	double value = -1;
	const char *at;
	size_t len = strlen(series);

	km_buf_init(&text);
	assert_int_equal(km_metrics_expose(w->metrics, &text), 0);
	for (at = strstr(km_buf_cstr(&text), series); at != NULL; at = strstr(at + 1, series)) {
		if (at[len] == ' ')
			value = strtod(at + len, NULL);
	}
	km_buf_fini(&text);
	return value;
}

bool kube_world_wait_metric(struct kube_world *w, const char *series, double least)
{
	int64_t until = km_clock_mono_ns(km_clock_system()) + FAKE_WAIT_MS * KM_NS_PER_MS;

	while (kube_world_metric(w, series) < least) {
		if (km_clock_mono_ns(km_clock_system()) > until)
			return false;
		wait_a_moment(w);
	}
	return true;
}
