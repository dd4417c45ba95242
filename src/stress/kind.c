/* SPDX-License-Identifier: Apache-2.0 */
#include "km/stress/kind.h"

#include <stddef.h>
#include <string.h>

static const char *const names[KM_STRESS_KIND_N] = {
	[KM_STRESS_CPU] = "cpu",     [KM_STRESS_L2] = "l2",       [KM_STRESS_L3] = "l3",
	[KM_STRESS_MEMBW] = "membw", [KM_STRESS_MIXED] = "mixed",
};

const char *km_stress_kind_name(enum km_stress_kind kind)
{
	return (unsigned)kind < KM_STRESS_KIND_N ? names[kind] : "?";
}

int km_stress_kind_parse(const char *text)
{
	for (int i = 0; i < KM_STRESS_KIND_N; i++) {
		if (strcmp(names[i], text) == 0)
			return i;
	}
	return -1;
}
