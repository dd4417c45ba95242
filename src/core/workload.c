/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the choices a policy makes, as they are written in Kubernetes objects and YAML. */
#include "km/core/workload.h"

#include <string.h>

static const char *const on_stale_names[KM_ON_STALE_N] = {
	[KM_ON_STALE_NEUTRAL] = "Neutral",
	[KM_ON_STALE_AVOID] = "Avoid",
	[KM_ON_STALE_REJECT] = "Reject",
};

static const char *const mode_names[KM_MODE_N] = {
	[KM_MODE_OBSERVE] = "Observe",
	[KM_MODE_PREFER] = "Prefer",
	[KM_MODE_ENFORCE] = "Enforce",
};

static int find(const char *const *names, int count, const char *text)
{
	for (int i = 0; i < count; i++) {
		if (strcmp(names[i], text) == 0) {
			return i;
		}
	}
	return -1;
}

const char *km_on_stale_name(enum km_on_stale v)
{
	return on_stale_names[v];
}

int km_on_stale_parse(const char *text)
{
	return find(on_stale_names, KM_ON_STALE_N, text);
}

const char *km_mode_name(enum km_mode m)
{
	return mode_names[m];
}

int km_mode_parse(const char *text)
{
	return find(mode_names, KM_MODE_N, text);
}
