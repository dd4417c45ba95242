/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGHUP: everything that can fail is built aside first; then the parts are exchanged one by one,
 * each atomically, and requests in progress finish on what they began with.
 */
#include <errno.h>
#include <stdlib.h>

#include "km/base/log.h"
#include "km/config/config.h"

#include "app_internal.h"

static void warn_frozen(const struct app *a, const struct km_settings *fresh)
{
	struct km_buf names;

	km_buf_init(&names);
	if (km_config_frozen_changes(a->started, fresh, &names) > 0)
		km_log_warn("app", "reload leaves keys for a restart keys=\"%s\"",
		            km_buf_cstr(&names));
	km_buf_fini(&names);
}

/* What a reload has built aside, all of it owned until it is applied. */
struct change {
	struct km_settings *settings;
	bool model_changed;
	struct km_model *model; /* when changed; NULL = none from now on */
	struct km_schema *schema;
	struct km_policies *policies; /* NULL = none from now on */
	bool layout_changed;
	struct km_agent *agent; /* when the layout changed; NULL without the role */
};

static int build(struct app *a, struct change *c, struct km_err *err)
{
	int rc = app_settings_load(a->options, &c->settings, err);

	if (rc != 0)
		return rc;
	c->model_changed = app_model_open(a, c->settings->model_path, &c->model);
	rc = app_schema(c->model_changed ? c->model : a->model, c->settings, &c->schema, err);
	if (rc == 0)
		rc = app_policies_load(c->settings, &c->policies, err);
	if (rc != 0)
		return rc;
	c->layout_changed =
		a->agent_settings == NULL || !km_config_same_layout(a->agent_settings, c->settings);
	if (c->layout_changed)
		rc = app_agent_create(a, c->settings, c->schema, &c->agent, err);
	return rc;
}

static void discard(struct change *c)
{
	km_agent_free(c->agent);
	km_schema_unref(c->schema);
	km_policies_unref(c->policies);
	km_model_unref(c->model);
	if (c->settings != NULL)
		km_settings_fini(c->settings);
	free(c->settings);
}

/*
 * The old agent ends before the new one begins: there is one publisher at a time. In between, and
 * until the first bin is full, the new picture has no data and answers are neutral.
 */
static void exchange_agent(struct app *a, struct km_settings *fresh, struct km_agent *agent)
{
	struct km_settings *old = a->agent_settings;
	struct km_err err = { .code = 0 };
	int rc;

	km_api_agent_set(&a->api, NULL);
	km_agent_free(a->agent);
	a->agent = agent;
	a->agent_settings = fresh;
	rc = app_cluster_layout(a, fresh, agent, &err);
	if (rc == 0 && agent != NULL)
		rc = km_agent_start(agent, &err);
	if (rc != 0) {
		/* Out of memory. No agent then; the next reload tries again. */
		km_log_error("app", "sampling stopped error=\"%s\"", err.text);
		km_agent_free(a->agent);
		a->agent = NULL;
		a->agent_settings = NULL;
	}
	km_api_agent_set(&a->api, a->agent);
	app_settings_drop(a, old);
}

static void apply_limits(struct app *a, const struct km_limit_settings *limits)
{
	atomic_store(&a->api.json_depth, limits->json_depth);
	km_server_set_limits(a->server, limits->body_bytes, limits->request_deadline_ns);
	if (a->observe != NULL)
		km_server_set_limits(a->observe, limits->body_bytes, limits->request_deadline_ns);
}

/* Opens the log anew, too: what a logrotate does before it sends us here. */
static void apply_decide(struct app *a, const struct change *c)
{
	const struct km_decide_settings *decide = &c->settings->decide;
	struct km_err err = { .code = 0 };

	if (a->decide == NULL)
		return;
	km_decide_set_settings(a->decide, decide);
	app_kubernetes_max_age(a, decide->max_age_ns);
	if (!app_kubernetes_policies(a, c->policies))
		km_decide_set_policies(a->decide, c->policies);
	if (km_decision_log_set(a->decision_log, decide, &err) != 0)
		km_log_error("app", "decision log left as it was error=\"%s\"", err.text);
}

static void apply(struct app *a, struct change *c)
{
	struct km_settings *old = a->settings;

	warn_frozen(a, c->settings);
	a->settings = c->settings;
	app_settings_drop(a, old);
	apply_limits(a, &c->settings->limits);
	app_tls_check(a, true);
	apply_decide(a, c);
	km_policies_unref(c->policies);
	if (c->layout_changed)
		exchange_agent(a, c->settings, c->agent);
	app_schema_use(a, c->schema); /* nothing new to an agent that was made for it */
	if (c->model_changed)
		app_model_use(a, c->model);
}

void app_agent_renew(struct app *a)
{
	struct km_err err = { .code = 0 };
	struct km_agent *fresh;

	if (a->agent == NULL || !km_agent_outdated(a->agent))
		return;
	if (app_agent_create(a, a->agent_settings, a->schema, &fresh, &err) != 0) {
		km_log_error("app", "sampling goes on as it was error=\"%s\"", err.text);
		return;
	}
	exchange_agent(a, a->agent_settings, fresh);
	km_log_info("app", "sampling restarted with the sources that work by now");
}

void app_reload(struct app *a)
{
	struct change c = { .settings = NULL };
	struct km_err err = { .code = 0 };
	struct app_stamp seen = a->model_seen;

	if (build(a, &c, &err) != 0) {
		discard(&c);
		a->model_seen = seen; /* a model that was read in vain is read again */
		km_counter_add(a->reloads_refused, 1);
		km_log_error("app", "reload refused error=\"%s\" serving=\"the old settings\"",
		             err.text);
		return;
	}
	apply(a, &c);
	km_counter_add(a->reloads_applied, 1);
	km_log_info("app", "reload applied nodes=%zu sampling=%s", a->settings->node_count,
	            c.layout_changed ? "restarted" : "kept");
}
