/* SPDX-License-Identifier: Apache-2.0 */
/* The controller role: policies of a cluster are looked after, if there is a cluster. */
#include "km/policy/controller.h"

#include "km/base/log.h"

#include "app_internal.h"

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
	return km_controller_create(&options, &a->controller, err);
}

int app_controller_start(struct app *a, struct km_err *err)
{
	return a->controller != NULL ? km_controller_start(a->controller, err) : 0;
}
