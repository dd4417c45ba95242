/* SPDX-License-Identifier: Apache-2.0 */
/* The controller role: policies of a cluster are looked after, if there is a cluster. */
#include "km/policy/controller.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "km/base/log.h"

#include "app_internal.h"

#define LATE_S 60 /* a round of one second that takes so long hangs */

/* For /readyz: what keeps the controller from its work; "" = nothing. Any thread. */
static void tell_trouble(void *ctx, char *out, size_t size)
{
	const struct app *a = ctx;
	struct km_controller_health h;

	out[0] = '\0';
	km_controller_health(a->controller, &h);
	if (h.leading && h.trouble[0] != '\0')
		(void)snprintf(out, size, "controller: %s", h.trouble);
	else if (!h.leading && h.holder[0] == '\0')
		(void)snprintf(out, size, "controller: nobody is known to hold the Lease");
	else if (h.round_age_s > LATE_S)
		(void)snprintf(out, size, "controller: no round for %.0f s", h.round_age_s);
}

int app_controller_create(struct app *a, struct km_err *err)
{
	const struct km_settings *s = a->settings;
	struct km_controller_settings settings = s->controller;
	struct km_controller_options options = {
		.settings = &settings,
		.view = app_kubernetes_view(a),
		.decide = a->decide,
		.record = (s->roles & KM_ROLE_EXTENDER) != 0 ? a->record : NULL,
		.credentials = app_kubernetes_credentials(a),
		.clock = a->clock,
		.metrics = a->metrics,
		.window_s = a->schema->window_s,
	};
	int rc;

	if ((s->roles & KM_ROLE_CONTROLLER) == 0)
		return 0;
	if (options.view == NULL) {
		if (s->roles_given)
			km_log_info("app", "the controller role has nothing to do without "
			                   "Kubernetes");
		return 0;
	}
	if (settings.prometheus[0] == '\0')
		settings.prometheus = s->features.url;
	rc = km_controller_create(&options, &a->controller, err);
	if (rc == 0) {
		a->api.more_trouble = tell_trouble;
		a->api.more_trouble_ctx = a;
	}
	return rc;
}

int app_controller_start(struct app *a, struct km_err *err)
{
	return a->controller != NULL ? km_controller_start(a->controller, err) : 0;
}
