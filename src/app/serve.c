/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's life: start order, readiness, wait, and the stop order that mirrors it. Read
 * app_serve from top to bottom; everything else here is one of its steps.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "km/base/log.h"
#include "km/policy/controller.h"

#include "app_internal.h"

/* For requests in progress when we stop: with what follows, the process ends within 2 s. */
#define DRAIN_NS (18 * KM_NS_PER_S / 10)
/*
 * kube-scheduler gives up a connection that was idle for 90 s (Go's default). That it is never us
 * who do keeps a request of its from meeting our end: a POST is not sent twice.
 */
#define IDLE_NS   (120 * KM_NS_PER_S)
#define POOL_MAX  8
#define OBSERVERS 1 /* threads of the second listener */

/* Descriptors beside connections: perf events of many CPUs, agents that are asked; and the least to
 * live on. */
#define OTHER_FILES 32768
#define LEAST_FILES 64

/*
 * Connections that the kernel refuses us would wait in the queue instead of being refused, and then
 * no file could be opened for a reload. The limit that most processes get, 1,024, is for select()'s
 * sake. What cannot be is told, and served without.
 */
static int raise_files(struct app *a, struct km_err *err)
{
	const unsigned long long listeners = a->settings->observe.address[0] != '\0' ? 2 : 1;
	const unsigned long long connections = a->settings->limits.connections * listeners;
	const unsigned long long least = connections + LEAST_FILES;
	struct rlimit files;

	(void)err;
	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return 0;
	if (files.rlim_cur < connections + OTHER_FILES && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = connections + OTHER_FILES;
		if (files.rlim_cur > files.rlim_max)
			files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
		(void)getrlimit(RLIMIT_NOFILE, &files);
	}
	if (files.rlim_cur < least)
		km_log_warn("app", "too few descriptors for limits.connections have=%llu want=%llu",
		            (unsigned long long)files.rlim_cur, least);
	return 0;
}

static int start_metrics(struct app *a, struct km_err *err)
{
	int rc = km_metrics_create(&a->metrics, err);

	if (rc != 0)
		return rc;
	km_gauge_set(km_metrics_gauge(a->metrics, "kubemarla_build_info",
	                              "1; version and libraries are in the labels.", "version",
	                              KM_VERSION, "xgboost", km_model_library_version(),
	                              KM_LABELS_END),
	             1);
	km_gauge_set(km_metrics_gauge(a->metrics, "kubemarla_start_time_seconds",
	                              "When this process started, in Unix time.", KM_LABELS_END),
	             (double)km_clock_wall_ns(a->clock) / 1e9);
	a->reloads_applied = km_metrics_counter(a->metrics, "kubemarla_reloads_total",
	                                        "Reloads of the configuration, by result.",
	                                        "result", "applied", KM_LABELS_END);
	a->reloads_refused = km_metrics_counter(a->metrics, "kubemarla_reloads_total",
	                                        "Reloads of the configuration, by result.",
	                                        "result", "refused", KM_LABELS_END);
	a->models_applied = km_metrics_counter(a->metrics, "kubemarla_model_loads_total",
	                                       "Model files read, by result.", "result", "applied",
	                                       KM_LABELS_END);
	a->models_refused = km_metrics_counter(a->metrics, "kubemarla_model_loads_total",
	                                       "Model files read, by result.", "result", "refused",
	                                       KM_LABELS_END);
	return 0;
}

/* A bad model is no reason not to start: answers are neutral until there is a good one. */
static int start_model(struct app *a, struct km_err *err)
{
	struct km_model *fresh;

	km_model_thread_init();
	if (app_model_open(a, a->settings->model_path, &fresh))
		app_model_use(a, fresh);
	return app_schema(a->model, a->settings, &a->schema, err);
}

static int start_agent(struct app *a, struct km_err *err)
{
	return app_agent_create(a, a->settings, a->schema, &a->agent, err);
}

static int start_cluster(struct app *a, struct km_err *err)
{
	int rc = app_kubernetes_find(a, err);

	if (rc == 0)
		rc = app_kubernetes_picture(a, err);
	if (rc == 0)
		rc = app_cluster_layout(a, a->settings, a->agent, err);
	if (a->kubernetes == NULL)
		a->cluster = a->own;
	return rc;
}

static int start_records(struct app *a, struct km_err *err)
{
	int rc = km_record_create(&a->record, err);

	if (rc == 0)
		rc = km_decision_log_create(a->cluster, a->clock, a->metrics, &a->decision_log,
		                            err);
	return rc == 0 ? km_decision_log_set(a->decision_log, &a->settings->decide, err) : rc;
}

static int start_effects(struct app *a, struct km_err *err)
{
	const char *path = a->settings->decide.effects_path;

	if (path[0] == '\0')
		return 0;
	return km_effects_file_open(path, a->decide, a->clock, a->metrics, &a->effects, err);
}

static int start_decide(struct app *a, struct km_err *err)
{
	struct km_policies *policies = NULL;
	int rc;

	/* A controller predicts, too. */
	if ((a->settings->roles & KM_ROLE_EXTENDER) == 0 &&
	    ((a->settings->roles & KM_ROLE_CONTROLLER) == 0 || a->kubernetes == NULL))
		return 0;
	rc = km_decide_create(&a->settings->decide, a->cluster, a->clock, a->metrics, &a->decide,
	                      err);
	if (rc == 0)
		rc = app_policies_load(a->settings, &policies, err);
	if (rc != 0)
		return rc;
	km_decide_set_model(a->decide, a->model);
	km_decide_set_policies(a->decide, policies);
	(void)app_kubernetes_policies(a, policies); /* without it those alone hold */
	km_policies_unref(policies);
	rc = start_effects(a, err);
	return rc == 0 ? start_records(a, err) : rc;
}

static int start_api(struct app *a, struct km_err *err)
{
	a->api.roles = a->settings->roles;
	atomic_store(&a->api.json_depth, a->settings->limits.json_depth);
	a->api.decide = a->decide;
	a->api.record = a->record;
	a->api.decision_log = a->decision_log;
	a->api.cluster = a->cluster;
	a->api.own = a->own;
	a->api.view = app_kubernetes_view(a);
	a->api.metrics = a->metrics;
	a->api.clock = a->clock;
	a->api.version = KM_VERSION;
	a->api.more_trouble = app_trouble;
	a->api.more_trouble_ctx = a;
	km_api_agent_set(&a->api, a->agent);
	if (km_api_register_metrics(&a->api) != 0)
		return km_err_set(err, ENOMEM, "metrics of the routes: out of memory");
	return km_metrics_check(a->metrics, err);
}

/* As many as CPUs that we may run on: more would only take turns, each keeping its connections
 * waiting for a time slice. */
static uint32_t pool_threads(void)
{
	cpu_set_t ours;
	int cpus;

	/* Fails on more CPUs than the set holds: certainly more than we take. */
	if (sched_getaffinity(0, sizeof(ours), &ours) != 0)
		return POOL_MAX;
	cpus = CPU_COUNT(&ours);
	return cpus > POOL_MAX ? POOL_MAX : (uint32_t)cpus;
}

static int start_server(struct app *a, const struct km_listen_settings *at, bool observe,
                        struct km_err *err)
{
	const struct km_limit_settings *limits = &a->settings->limits;
	const struct km_server_options options = {
		.address = at->address,
		.port = at->port,
		.body_bytes = limits->body_bytes,
		.connections = limits->connections,
		.request_deadline_ns = limits->request_deadline_ns,
		.idle_ns = IDLE_NS,
		.threads = observe ? OBSERVERS : pool_threads(),
		.thread_init = km_model_thread_init,
		.handler = observe ? km_api_handle_observe : km_api_handle,
		.refuse = km_api_refuse,
		.aside = observe ? NULL : km_api_aside,
		.tls = observe && !a->settings->observe_tls ? NULL : a->tls,
		.open = observe ? app_tls_is_probe : NULL,
		.ctx = &a->api,
		.metrics = a->metrics,
		.name = observe ? "observe" : "listen",
	};

	return km_server_start(&options, observe ? &a->observe : &a->server, err);
}

static int start_servers(struct app *a, struct km_err *err)
{
	int rc = start_server(a, &a->settings->listen, false, err);

	if (rc == 0 && a->settings->observe.address[0] != '\0')
		rc = start_server(a, &a->settings->observe, true, err);
	return rc;
}

static int start_sampling(struct app *a, struct km_err *err)
{
	return a->agent != NULL ? km_agent_start(a->agent, err) : 0;
}

static void print_address(FILE *to, const char *address, unsigned port)
{
	bool v6 = strchr(address, ':') != NULL;

	fprintf(to, "kubemarlad ready on %s%s%s:%u\n", v6 ? "[" : "", address, v6 ? "]" : "", port);
	fflush(to);
}

/* "agent+extender" */
static void describe_roles(unsigned roles, char *out, size_t size)
{
	static const struct {
		const char *name;
		unsigned role;
	} names[] = { { "agent", KM_ROLE_AGENT },
		      { "extender", KM_ROLE_EXTENDER },
		      { "controller", KM_ROLE_CONTROLLER } };

	out[0] = '\0';
	for (size_t i = 0; i < KM_ARRAY_LEN(names); i++) {
		size_t len = strlen(out);

		if ((roles & names[i].role) != 0)
			(void)snprintf(out + len, size - len, "%s%s", len > 0 ? "+" : "",
			               names[i].name);
	}
}

static int say_ready(struct app *a, struct km_err *err)
{
	const struct km_listen_settings *l = &a->settings->listen;
	char roles[40];

	(void)err;
	atomic_store(&a->api.ready, 1);
	if (a->observe != NULL)
		km_log_info("app", "observing address=%s port=%u", a->settings->observe.address,
		            km_server_port(a->observe));
	app_tls_warn(a);
	describe_roles(a->settings->roles, roles, sizeof(roles));
	km_log_info("app",
	            "ready version=%s address=%s port=%u roles=%s nodes=%zu "
	            "model=%s config=%s",
	            KM_VERSION, l->address, km_server_port(a->server), roles,
	            a->settings->node_count, a->model != NULL ? "loaded" : "none",
	            a->options->config_path != NULL ? a->options->config_path : "defaults");
	print_address(stdout, l->address, km_server_port(a->server));
	return 0;
}

/* What runs, in order; each step finds what the ones before it built. */
static int start(struct app *a, struct km_err *err)
{
	static int (*const steps[])(struct app *, struct km_err *) = {
		raise_files,
		start_metrics,
		start_model,
		start_agent,
		start_cluster,
		start_decide,
		app_kubernetes_create,
		app_controller_create,
		app_tls_start,
		start_api,
		start_servers,
		start_sampling,
		app_kubernetes_start,
		app_controller_start,
		say_ready,
	};
	int rc = 0;

	for (size_t i = 0; i < KM_ARRAY_LEN(steps) && rc == 0; i++)
		rc = steps[i](a, err);
	return rc;
}

/* The same backwards. Also after a start that failed half way: what was not built is NULL. */
static void stop(struct app *a)
{
	int64_t deadline_ns = km_clock_mono_ns(a->clock) + DRAIN_NS;
	uint32_t cut = 0;
	int64_t left_ns;

	atomic_store(&a->api.ready, 0);
	if (a->server != NULL)
		km_server_quiesce(a->server);
	/* While requests in progress have their time: it may wait for an API server that hangs. */
	km_controller_stop(a->controller);
	left_ns = deadline_ns - km_clock_mono_ns(a->clock);
	cut += km_server_free(a->server, left_ns > 0 ? left_ns : 0);
	left_ns = deadline_ns - km_clock_mono_ns(a->clock);
	cut += km_server_free(a->observe, left_ns > 0 ? left_ns : 0);
	if (cut > 0)
		km_log_warn("app", "requests cut off count=%u", cut);
	km_controller_free(a->controller);
	app_kubernetes_stop(a);
	km_api_agent_set(&a->api, NULL);
	km_agent_free(a->agent);
	km_decision_log_free(a->decision_log);
	km_record_free(a->record);
	km_effects_file_close(a->effects);
	app_kubernetes_free(a);
	km_decide_free(a->decide);
	if (a->cluster != a->own)
		km_cluster_free(a->cluster);
	km_cluster_free(a->own);
	km_schema_unref(a->schema);
	km_model_unref(a->model);
	km_tls_free(a->tls);
	km_metrics_free(a->metrics);
}

static void free_settings(struct app *a)
{
	struct km_settings *all[] = { a->started, a->settings, a->agent_settings };

	a->started = NULL;
	a->settings = NULL;
	a->agent_settings = NULL;
	for (size_t i = 0; i < KM_ARRAY_LEN(all); i++) {
		bool seen = false;

		for (size_t j = 0; j < i; j++)
			seen = seen || all[j] == all[i];
		if (!seen)
			app_settings_drop(a, all[i]);
	}
}

int app_serve(const struct app_options *options, struct km_settings *settings)
{
	struct app a = {
		.options = options,
		.clock = km_clock_system(),
		.started = settings,
		.settings = settings,
		.agent_settings = settings,
		.publish_trouble = KM_COMPLAIN_INIT,
	};
	struct km_err err = { .code = 0 };
	int rc;

	km_api_agent_init(&a.api);
	rc = start(&a, &err);
	if (rc == 0)
		rc = app_wait(&a, &err);
	app_signals_impatient();
	if (rc != 0)
		km_log_error("app", "failed error=\"%s\"", err.text);
	stop(&a);
	km_api_agent_fini(&a.api);
	free_settings(&a);
	if (rc == 0)
		km_log_info("app", "stopped");
	return rc == 0 ? APP_OK : APP_FAILED;
}
