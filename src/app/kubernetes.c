/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon as a citizen of a cluster: whether there is one, and what it says bound to decisions.
 *
 *	watchers ─▶ view ─▶ decide (pods, ready replicas, policies, kinds of machines)
 *	                └─▶ peers ─▶ gatherer ─▶ a->cluster        own agent ─▶ gatherer, too
 *
 * Without a cluster a->cluster is a->own, which our own agent publishes to.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/log.h"
#include "km/cluster/gather.h"
#include "km/cluster/peers.h"
#include "km/cluster/view.h"
#include "km/cluster/watchers.h"
#include "km/config/policy_file.h"
#include "km/kube/credentials.h"

#include "app_internal.h"

struct app_kubernetes {
	struct app *app;
	struct km_kube_credentials *credentials;
	struct km_gather *gather;
	struct km_view *view;
	struct km_peers *peers; /* NULL with features.from: local */
	struct km_watchers *watchers;
	struct km_client_tls tls;    /* of peers; strings are the settings' as started */
	pthread_mutex_t lock;        /* the next */
	struct km_policies *of_file; /* decide.policies; NULL = none */
};

/* ---- the feed: thread km-view ---- */

static void on_live(void *ctx, bool live)
{
	struct app_kubernetes *k = ctx;

	if (k->app->decide != NULL)
		km_decide_set_feed(k->app->decide, live);
}

static void on_late(void *ctx, bool late)
{
	struct app_kubernetes *k = ctx;

	if (late)
		km_log_warn("app", "no news of pods from Kubernetes: reservations last longer");
	else
		km_log_info("app", "news of pods again");
	if (k->app->decide != NULL)
		km_decide_set_feed_late(k->app->decide, late);
}

static void on_pod_bound(void *ctx, const struct km_pod *pod, struct km_name node,
                         int64_t running_mono_ns)
{
	struct app_kubernetes *k = ctx;

	if (k->app->decide != NULL)
		km_decide_pod_bound(k->app->decide, pod, node,
		                    running_mono_ns == INT64_MAX ? KM_DECIDE_NOT_YET
		                                                 : running_mono_ns);
}

static void on_pod_running(void *ctx, struct km_name uid, int64_t running_mono_ns)
{
	struct app_kubernetes *k = ctx;

	if (k->app->decide != NULL)
		km_decide_pod_running(k->app->decide, uid, running_mono_ns);
}

static void on_pod_gone(void *ctx, struct km_name uid)
{
	struct app_kubernetes *k = ctx;

	if (k->app->decide != NULL)
		km_decide_pod_gone(k->app->decide, uid);
}

static void on_ready_pods(void *ctx, uint64_t policy, uint32_t ready)
{
	struct app_kubernetes *k = ctx;

	if (k->app->decide != NULL)
		km_decide_ready_pods(k->app->decide, policy, ready);
}

static bool has_policy(const struct km_policies *set, const struct km_policy *p)
{
	return km_policies_find(set, km_policy_key(p->namespace, p->name)) != NULL;
}

/* Those of the API, and of the file what the API does not have. NULL: no memory. */
static struct km_policies *merge(struct km_policies *api, const struct km_policies *file)
{
	struct km_policy *all = calloc(2 * (size_t)KM_POLICIES_MAX, sizeof(*all));
	const struct km_policies *from[] = { api, file };
	struct km_err err = { .code = 0 };
	struct km_policies *out = NULL;
	size_t count = 0;
	int rc = all != NULL ? 0 : -ENOMEM;

	for (size_t f = 0; f < KM_ARRAY_LEN(from); f++) {
		for (size_t i = 0; rc == 0 && i < km_policies_count(from[f]); i++) {
			const struct km_policy *p = km_policies_at(from[f], i);

			if (from[f] == file && has_policy(api, p)) {
				km_log_warn("app",
				            "policy of the file left out: the API has it too "
				            "namespace=%s name=%s",
				            p->namespace, p->name);
				continue;
			}
			rc = km_policy_copy(&all[count], p);
			count += rc == 0;
		}
	}
	if (rc == 0)
		rc = km_policies_create(all, count, &out, &err); /* takes them, also on error */
	else
		for (size_t i = 0; i < count; i++)
			km_policy_fini(&all[i]);
	if (rc != 0)
		km_log_error("app", "policies of the file left out error=\"%s\"",
		             err.code != 0 ? err.text : "out of memory");
	free(all);
	return out;
}

static struct km_policies *on_policies(void *ctx, struct km_policies *api)
{
	struct app_kubernetes *k = ctx;
	struct km_policies *file;
	struct km_policies *all = NULL;

	pthread_mutex_lock(&k->lock);
	file = k->of_file != NULL ? km_policies_ref(k->of_file) : NULL;
	pthread_mutex_unlock(&k->lock);
	if (km_policies_count(file) > 0)
		all = merge(api, file);
	km_policies_unref(file);
	if (all == NULL)
		all = km_policies_ref(api);
	if (k->app->decide != NULL)
		km_decide_set_policies(k->app->decide, all);
	return all;
}

static void on_node(void *ctx, const struct km_view_node *node)
{
	struct app_kubernetes *k = ctx;

	if (km_gather_set_node(k->gather, node->name) != 0)
		km_log_error("app", "node left out name=%.*s error=memory", (int)node->name.len,
		             node->name.text);
	if (k->app->decide != NULL && node->platform.len > 0)
		km_decide_set_platform(
			k->app->decide, node->name,
			km_decide_effects_key(node->platform.text, node->platform.len));
}

static void on_node_gone(void *ctx, struct km_name name)
{
	struct app_kubernetes *k = ctx;

	km_gather_drop_node(k->gather, name);
	if (k->app->decide != NULL)
		km_decide_set_platform(k->app->decide, name, 0);
}

static void on_pod(void *ctx, const struct km_view_pod *old, const struct km_view_pod *now)
{
	struct app_kubernetes *k = ctx;

	if (k->peers != NULL)
		km_peers_pod(k->peers, old, now);
}

static void on_settled(void *ctx)
{
	struct app_kubernetes *k = ctx;

	if (k->peers != NULL)
		km_peers_settle(k->peers);
}

static struct km_view_feed feed_of(struct app_kubernetes *k)
{
	return (struct km_view_feed){ .live = on_live,
		                      .late = on_late,
		                      .pod_bound = on_pod_bound,
		                      .pod_running = on_pod_running,
		                      .pod_gone = on_pod_gone,
		                      .ready_pods = on_ready_pods,
		                      .policies = on_policies,
		                      .node = on_node,
		                      .node_gone = on_node_gone,
		                      .pod = on_pod,
		                      .settled = on_settled,
		                      .ctx = k };
}

/* ---- is there one? ---- */

/* returns 0 and *out, NULL when there is no cluster for us; -ENOENT and others: we must not start.
 */
static int find_credentials(const struct km_settings *s, struct km_kube_credentials **out,
                            struct km_err *err)
{
	const struct km_kubernetes_settings *k = &s->kubernetes;
	bool named = k->kubeconfig[0] != '\0';
	/*
	 * For auto: a kubeconfig that happens to lie at home is nobody's wish to have its cluster
	 * watched.
	 */
	/* NOLINTBEGIN(concurrency-mt-unsafe): nobody here changes the environment */
	const struct km_kube_surroundings pod = {
		.service_host = getenv("KUBERNETES_SERVICE_HOST"),
		.service_port = getenv("KUBERNETES_SERVICE_PORT"),
	};
	/* NOLINTEND(concurrency-mt-unsafe) */
	int rc;

	*out = NULL;
	if ((s->roles & (KM_ROLE_EXTENDER | KM_ROLE_CONTROLLER)) == 0 ||
	    k->enabled == KM_KUBERNETES_OFF)
		return 0;
	if (k->enabled == KM_KUBERNETES_ON || named) {
		rc = km_kube_credentials_find(k, out, err);
		return rc != 0 ? km_err_prefix(err, "kubernetes") : 0;
	}
	rc = km_kube_credentials_find_at(k, &pod, out, err);
	if (rc != 0 && rc != -ENOENT)
		km_log_warn("app", "in a pod, but without Kubernetes error=\"%s\"", err->text);
	err->code = 0;
	return 0;
}

int app_kubernetes_find(struct app *a, struct km_err *err)
{
	const struct km_features_settings *f = &a->settings->features;
	struct km_kube_credentials *credentials;
	struct app_kubernetes *k;
	int rc = find_credentials(a->settings, &credentials, err);

	if (rc != 0)
		return rc;
	if (credentials == NULL) {
		if (f->from == KM_FEATURES_PEERS && (a->settings->roles & KM_ROLE_EXTENDER) != 0)
			return km_err_set(err, ENOENT,
			                  "features.from: saw peers without a Kubernetes to find "
			                  "them by, want local, or kubernetes.kubeconfig");
		return 0;
	}
	k = calloc(1, sizeof(*k));
	if (k == NULL) {
		km_kube_credentials_free(credentials);
		return km_err_set(err, ENOMEM, "Kubernetes: out of memory");
	}
	(void)pthread_mutex_init(&k->lock, NULL); /* never fails with default attributes */
	k->app = a;
	k->credentials = credentials;
	a->kubernetes = k;
	km_log_info("app", "kubernetes server=%s namespace=%s by=\"%s\"",
	            km_kube_credentials_server(credentials),
	            km_kube_credentials_namespace(credentials),
	            km_kube_credentials_origin(credentials));
	if (km_kube_credentials_warning(credentials)[0] != '\0')
		km_log_warn("app", "kubernetes: %s", km_kube_credentials_warning(credentials));
	return 0;
}

/* ---- life ---- */

static const char *text_or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

static int create_peers(struct app_kubernetes *k, struct km_err *err)
{
	const struct km_features_settings *f = &k->app->started->features;

	k->tls = (struct km_client_tls){ .ca_file = text_or_null(f->tls_ca),
		                         .cert_file = text_or_null(f->tls_cert),
		                         .key_file = text_or_null(f->tls_key),
		                         .server_name = text_or_null(f->tls_server_name) };
	return km_peers_create(
		&(struct km_peers_options){
			.gather = k->gather,
			.namespace = km_kube_credentials_namespace(k->credentials),
			.selector = f->selector,
			.tls = k->tls.ca_file != NULL ? &k->tls : NULL,
			.interval_ns = f->interval_ns,
			.timeout_ns = f->timeout_ns,
			.port = f->port,
		},
		&k->peers, err);
}

int app_kubernetes_picture(struct app *a, struct km_err *err)
{
	struct app_kubernetes *k = a->kubernetes;
	struct km_gather_options options = { .clock = a->clock,
		                             .metrics = a->metrics,
		                             .schema = a->schema,
		                             .max_age_ns = a->settings->decide.max_age_ns };
	int rc;

	if (k == NULL)
		return 0;
	rc = km_cluster_create(NULL, 0, &a->cluster, err);
	options.cluster = a->cluster;
	return rc == 0 ? km_gather_create(&options, &k->gather, err) : rc;
}

int app_kubernetes_create(struct app *a, struct km_err *err)
{
	struct app_kubernetes *k = a->kubernetes;
	const int from = a->settings->features.from;
	const struct km_view_feed feed = feed_of(k);
	const struct km_view_options view = { .clock = a->clock,
		                              .metrics = a->metrics,
		                              .feed = &feed,
		                              .parse_policy = km_policy_parse };
	struct km_watchers_options watchers = { .clock = a->clock, .metrics = a->metrics };
	int rc = 0;

	if (k == NULL)
		return 0;
	watchers.credentials = k->credentials;
	if ((from == KM_FEATURES_PEERS || from == KM_FEATURES_AUTO))
		rc = create_peers(k, err);
	if (rc == 0)
		rc = km_view_create(&view, &k->view, err);
	watchers.view = k->view;
	return rc == 0 ? km_watchers_create(&watchers, &k->watchers, err) : rc;
}

int app_kubernetes_start(struct app *a, struct km_err *err)
{
	struct app_kubernetes *k = a->kubernetes;
	int rc;

	if (k == NULL)
		return 0;
	rc = km_gather_start(k->gather, err);
	if (rc == 0 && k->peers != NULL)
		rc = km_peers_start(k->peers, err);
	if (rc == 0)
		rc = km_view_start(k->view, err);
	return rc == 0 ? km_watchers_start(k->watchers, err) : rc;
}

void app_kubernetes_stop(struct app *a)
{
	struct app_kubernetes *k = a->kubernetes;

	if (k == NULL)
		return;
	km_watchers_stop(k->watchers);
	km_view_stop(k->view);
	km_peers_stop(k->peers);
	km_gather_stop(k->gather);
}

void app_kubernetes_free(struct app *a)
{
	struct app_kubernetes *k = a->kubernetes;

	if (k == NULL)
		return;
	app_kubernetes_stop(a);
	km_watchers_free(k->watchers);
	km_view_free(k->view);
	km_peers_free(k->peers);
	km_gather_free(k->gather);
	km_policies_unref(k->of_file);
	km_kube_credentials_free(k->credentials);
	(void)pthread_mutex_destroy(&k->lock);
	free(k);
	a->kubernetes = NULL;
}

/* ---- what others tell it ---- */

void app_kubernetes_local(struct app *a, struct km_host_features *const *hosts, size_t count)
{
	if (a->kubernetes != NULL)
		km_gather_local(a->kubernetes->gather, hosts, count);
}

int app_kubernetes_hosts(struct app *a, const struct km_cluster_host *hosts, size_t count,
                         struct km_err *err)
{
	if (a->kubernetes == NULL || km_gather_set_local(a->kubernetes->gather, hosts, count) == 0)
		return 0;
	return km_err_set(err, ENOMEM, "cluster layout: out of memory");
}

void app_kubernetes_schema(struct app *a, const struct km_schema *schema)
{
	struct app_kubernetes *k = a->kubernetes;

	if (k == NULL || k->gather == NULL)
		return;
	km_gather_set_schema(k->gather, schema);
	if (k->peers != NULL)
		km_peers_renew(k->peers);
}

bool app_kubernetes_policies(struct app *a, struct km_policies *of_file)
{
	struct app_kubernetes *k = a->kubernetes;
	struct km_policies *old;

	if (k == NULL)
		return false;
	pthread_mutex_lock(&k->lock);
	old = k->of_file;
	k->of_file = of_file != NULL ? km_policies_ref(of_file) : NULL;
	pthread_mutex_unlock(&k->lock);
	km_policies_unref(old);
	if (k->view != NULL)
		km_view_renew_policies(k->view);
	return true;
}

void app_kubernetes_max_age(struct app *a, int64_t max_age_ns)
{
	if (a->kubernetes != NULL)
		km_gather_set_max_age(a->kubernetes->gather, max_age_ns);
}

struct km_view *app_kubernetes_view(const struct app *a)
{
	return a->kubernetes != NULL ? a->kubernetes->view : NULL;
}

const struct km_kube_credentials *app_kubernetes_credentials(const struct app *a)
{
	return a->kubernetes != NULL ? a->kubernetes->credentials : NULL;
}
