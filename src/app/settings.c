/* SPDX-License-Identifier: Apache-2.0 */
/* The settings on the heap: file, command line over it, and who still uses which version. */
#include <errno.h>
#include <stdlib.h>

#include "km/config/config.h"

#include "app_internal.h"

int app_settings_load(const struct app_options *options, struct km_settings **out,
                      struct km_err *err)
{
	struct km_settings *s = calloc(1, sizeof(*s));
	int rc;

	*out = NULL;
	if (s == NULL)
		return km_err_set(err, ENOMEM, "settings: out of memory");
	if (options->config_path != NULL) {
		rc = km_config_load(options->config_path, s, err);
	} else {
		rc = km_config_defaults(s);
		if (rc != 0)
			rc = km_err_errno(err, -rc, "default settings");
	}
	if (rc == 0 && options->listen != NULL)
		rc = km_config_parse_listen(options->listen, &s->listen, err);
	if (rc != 0) {
		km_settings_fini(s);
		free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void app_settings_drop(struct app *a, struct km_settings *s)
{
	if (s == NULL || s == a->started || s == a->settings || s == a->agent_settings)
		return;
	km_settings_fini(s);
	free(s);
}
