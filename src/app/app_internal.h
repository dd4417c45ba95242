/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the daemon: everything that runs, in one struct that only the main thread touches, and the
 * steps that put it together, change it and take it apart.
 */
#ifndef KM_APP_INTERNAL_H
#define KM_APP_INTERNAL_H

#include <sys/types.h>

#include "km/agent/agent.h"
#include "km/api/routes.h"
#include "km/base/clock.h"
#include "km/base/complain.h"
#include "km/base/err.h"
#include "km/cluster/cluster.h"
#include "km/cluster/view.h"
#include "km/core/settings.h"
#include "km/decide/decide.h"
#include "km/decide/effects_file.h"
#include "km/kube/credentials.h"
#include "km/metrics/metrics.h"
#include "km/model/model.h"
#include "km/net/server.h"
#include "km/net/tls.h"

/* Exit codes of the daemon. */
enum app_exit { APP_OK = 0, APP_FAILED = 1, APP_USAGE = 2 };

/* What the command line said. */
struct app_options {
	const char *config_path; /* NULL = defaults */
	const char *listen;      /* NULL = as configured; kept for reloads */
};

/* Tells one version of a file from the next; all zero = not there. */
struct app_stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
};

struct app_tls_metrics {
	struct km_counter *applied;
	struct km_counter *refused;
	struct km_gauge *expiry; /* Unix seconds */
};

struct app {
	const struct app_options *options;
	const struct km_clock *clock;

	/*
	 * Settings thrice: as started (what the frozen keys are until the next start), as last
	 * reloaded, and those that the agent borrows. Often the same object; app_settings_drop
	 * knows.
	 */
	struct km_settings *started;
	struct km_settings *settings;
	struct km_settings *agent_settings;

	struct km_metrics *metrics;
	struct km_counter *reloads_applied;
	struct km_counter *reloads_refused;
	struct km_counter *models_applied;
	struct km_counter *models_refused;

	struct km_model *model;      /* NULL = neutral answers */
	struct app_stamp model_seen; /* of the last attempt, good or bad */
	struct km_schema *schema;    /* what the agent computes */

	struct km_agent *agent;     /* NULL without the agent role */
	struct km_cluster *own;     /* the picture of what our own agent measures */
	struct km_cluster *cluster; /* what decisions are made from: with Kubernetes another */
	struct app_kubernetes *kubernetes; /* NULL = there is none for us */
	struct km_decide *decide;          /* NULL without extender, and without a controller */
	struct km_record *record;          /* likewise, and the next */
	struct km_decision_log *decision_log;
	struct km_effects_file *effects;  /* NULL = none */
	struct km_controller *controller; /* NULL without the role, or a cluster */
	struct km_api api;
	struct km_tls *tls; /* NULL = plain HTTP */
	struct app_tls_metrics tls_metrics;
	struct km_server *server;
	struct km_server *observe;          /* NULL = off */
	struct km_complain publish_trouble; /* sampler thread only */
};

/* serve.c: runs the daemon until a signal ends it. settings are taken. returns enum app_exit. */
int app_serve(const struct app_options *options, struct km_settings *settings);

/* signals.c */

/* Blocks what app_wait reads, before any thread exists. */
void app_signals_block(void);
/* Runs reloads and the model check until SIGTERM or SIGINT. returns 0, or a negative errno. */
int app_wait(struct app *a, struct km_err *err);
/* From here on a SIGTERM or SIGINT ends the process at once. */
void app_signals_impatient(void);

/* settings.c */

/* Loads the file (or the defaults) and applies the command line. *out owned. 0 or negative errno.
 */
int app_settings_load(const struct app_options *options, struct km_settings **out,
                      struct km_err *err) KM_MUST_CHECK;
/* Frees `s` unless the app still uses it. NULL allowed. */
void app_settings_drop(struct app *a, struct km_settings *s);

/* model.c */

/* What is at `path` now. */
void app_stamp_read(const char *path, struct app_stamp *out);
/*
 * Opens the model at `path` ("" = none). A bad or absent one is logged, and what serves stays.
 * returns true when *fresh (owned; NULL = none) is to take the place of a->model.
 */
bool app_model_open(struct app *a, const char *path, struct km_model **fresh);
/* Serves by `fresh`, which is taken, from now on. */
void app_model_use(struct app *a, struct km_model *fresh);
/* Opens and uses the model again if its file changed since the last attempt. */
void app_model_check(struct app *a);
/* The schema to compute: the model's, or without one a small default. *out owned. */
int app_schema(const struct km_model *m, const struct km_settings *s, struct km_schema **out,
               struct km_err *err) KM_MUST_CHECK;
/* Keeps `schema`, which is taken, and tells the agent when it means other rows. */
void app_schema_use(struct app *a, struct km_schema *schema);

/* tls.c */

/* Opens what listen.tls names: *out owned, NULL = plain HTTP. */
int app_tls_open(const struct km_settings *s, struct km_tls **out,
                 struct km_err *err) KM_MUST_CHECK;
/* The same at start, into a->tls; and says what is wrong with the certificate. */
int app_tls_start(struct app *a, struct km_err *err) KM_MUST_CHECK;
/* Takes up certificates that changed, or reads them in any case; bad ones are logged. */
void app_tls_check(struct app *a, bool anyway);
/* What of the listeners is open to more than those who should be. */
void app_tls_warn(const struct app *a);
/* Probes need no certificate: a km_http_open. */
bool app_tls_is_probe(void *ctx, const struct km_http_request *req);

/* policies.c */

/* The policies of these settings, *out owned, NULL = none. Conflicts are logged. */
int app_policies_load(const struct km_settings *s, struct km_policies **out,
                      struct km_err *err) KM_MUST_CHECK;

/* layout.c */

/* Creates (not starts) an agent by these settings; NULL without the role. */
int app_agent_create(struct app *a, const struct km_settings *s, const struct km_schema *schema,
                     struct km_agent **out, struct km_err *err) KM_MUST_CHECK;
/* Creates a->own, or gives it another layout: the hosts of `agent`, else the settings' nodes.
 */
int app_cluster_layout(struct app *a, const struct km_settings *s, const struct km_agent *agent,
                       struct km_err *err) KM_MUST_CHECK;

/* kubernetes.c: with a->kubernetes NULL the rest of it does nothing. */

/* Sets a->kubernetes if there is a cluster to be a citizen of. */
int app_kubernetes_find(struct app *a, struct km_err *err) KM_MUST_CHECK;
/* Creates a->cluster, and who writes it; then, with a->decide there, all else; then threads. */
int app_kubernetes_picture(struct app *a, struct km_err *err) KM_MUST_CHECK;
int app_kubernetes_create(struct app *a, struct km_err *err) KM_MUST_CHECK;
int app_kubernetes_start(struct app *a, struct km_err *err) KM_MUST_CHECK;
void app_kubernetes_stop(struct app *a); /* threads */
void app_kubernetes_free(struct app *a);
/* Our own agent's rows and hosts, for the picture of the cluster. */
void app_kubernetes_local(struct app *a, struct km_host_features *const *hosts, size_t count);
int app_kubernetes_hosts(struct app *a, const struct km_cluster_host *hosts, size_t count,
                         struct km_err *err) KM_MUST_CHECK;
void app_kubernetes_schema(struct app *a, const struct km_schema *schema);
void app_kubernetes_max_age(struct app *a, int64_t max_age_ns);
/*
 * The policies of decide.policies (NULL = none; a reference is taken) are to hold beside the
 * API's: of two with one name the API's. returns false when there is no API.
 */
bool app_kubernetes_policies(struct app *a, struct km_policies *of_file);
/* NULL without Kubernetes. */
struct km_view *app_kubernetes_view(const struct app *a);
const struct km_kube_credentials *app_kubernetes_credentials(const struct app *a);

/* controller.c: with the role, and a cluster; else nothing. */
int app_controller_create(struct app *a, struct km_err *err) KM_MUST_CHECK;
int app_controller_start(struct app *a, struct km_err *err) KM_MUST_CHECK;

/* trouble.c: the at-th thing that is wrong beside the API's own parts, for /readyz; "" = nothing.
 */
void app_trouble(void *ctx, size_t at, char *out, size_t size);

/* reload.c: SIGHUP. All or nothing, but for keys that only a restart changes. */
void app_reload(struct app *a);
/* Makes the agent anew, by the same settings, when it finds that `auto` would take a better set. */
void app_agent_renew(struct app *a);

#endif
