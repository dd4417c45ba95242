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
#include <stdlib.h>
#include <string.h>

#include "km/base/log.h"
#include "km/config/policy_file.h"

#include "kubernetes_internal.h"

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
	bool extender = (a->settings->roles & KM_ROLE_EXTENDER) != 0;
	struct km_kube_credentials *credentials;
	struct app_kubernetes *k;
	int rc = find_credentials(a->settings, &credentials, err);

	if (rc != 0)
		return rc;
	if (credentials == NULL && f->from == KM_FEATURES_PEERS && extender)
		return km_err_set(err, ENOENT,
		                  "features.from: saw peers without a Kubernetes to find them by, "
		                  "want local, or kubernetes.kubeconfig");
	if (credentials == NULL && (f->from != KM_FEATURES_PROMETHEUS || !extender))
		return 0;
	k = calloc(1, sizeof(*k));
	if (k == NULL) {
		km_kube_credentials_free(credentials);
		return km_err_set(err, ENOMEM, "Kubernetes: out of memory");
	}
	(void)pthread_mutex_init(&k->lock, NULL); /* never fails with default attributes */
	k->app = a;
	k->credentials = credentials;
	a->kubernetes = k;
	if (credentials == NULL)
		return 0;
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

static void set_tls(struct app_kubernetes *k)
{
	const struct km_features_settings *f = &k->app->started->features;

	k->tls = (struct km_client_tls){ .ca_file = text_or_null(f->tls_ca),
		                         .cert_file = text_or_null(f->tls_cert),
		                         .key_file = text_or_null(f->tls_key),
		                         .server_name = text_or_null(f->tls_server_name) };
}

static int create_scraped(struct app_kubernetes *k, struct km_err *err)
{
	const struct km_features_settings *f = &k->app->started->features;

	return km_scraped_create(
		&(struct km_scraped_options){
			.gather = k->gather,
			.clock = k->app->clock,
			.schema = k->app->schema,
			.url = f->url,
			.tls = k->tls.ca_file != NULL ? &k->tls : NULL,
			.interval_ns = f->interval_ns,
			.timeout_ns = f->timeout_ns,
			.names_nodes = k->credentials == NULL,
		},
		&k->scraped, err);
}

static int create_peers(struct app_kubernetes *k, struct km_err *err)
{
	const struct km_features_settings *f = &k->app->started->features;

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
	const struct km_view_feed feed = app_feed_of(k);
	const struct km_view_options view = { .clock = a->clock,
		                              .metrics = a->metrics,
		                              .feed = &feed,
		                              .parse_policy = km_policy_parse };
	struct km_watchers_options watchers = { .clock = a->clock, .metrics = a->metrics };
	int rc = 0;

	if (k == NULL)
		return 0;
	set_tls(k);
	if (from == KM_FEATURES_PROMETHEUS)
		rc = create_scraped(k, err);
	if (k->credentials == NULL)
		return rc;
	watchers.credentials = k->credentials;
	if (rc == 0 && (from == KM_FEATURES_PEERS || from == KM_FEATURES_AUTO))
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
	if (rc == 0 && k->scraped != NULL)
		rc = km_scraped_start(k->scraped, err);
	if (k->view == NULL)
		return rc;
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
	km_scraped_stop(k->scraped);
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
	km_scraped_free(k->scraped);
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
	if (k->scraped != NULL)
		km_scraped_set_schema(k->scraped, schema);
}

bool app_kubernetes_policies(struct app *a, struct km_policies *of_file)
{
	struct app_kubernetes *k = a->kubernetes;
	struct km_policies *old;

	if (k == NULL || k->credentials == NULL)
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
