/* SPDX-License-Identifier: Apache-2.0 */
/* A policy of one's own, out of a set that stays. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "km/core/policy.h"

/* NULL stays NULL. returns false when out of memory. */
static bool copy_text(char **out, const char *text)
{
	*out = text != NULL ? strdup(text) : NULL;
	return text == NULL || *out != NULL;
}

static bool copy_term(struct km_selector_term *out, const struct km_selector_term *in)
{
	bool good = copy_text(&out->key, in->key);

	out->op = in->op;
	out->value = calloc(in->value_count + 1, sizeof(char *));
	if (out->value == NULL) {
		return false;
	}
	out->value_count = in->value_count;
	for (size_t i = 0; i < in->value_count; i++) {
		good = copy_text(&out->value[i], in->value[i]) && good;
	}
	return good;
}

int km_policy_copy(struct km_policy *out, const struct km_policy *in)
{
	bool good;

	*out = *in;
	out->term = calloc(in->term_count + 1, sizeof(*out->term));
	good = out->term != NULL;
	out->term_count = good ? in->term_count : 0;
	for (size_t i = 0; i < out->term_count; i++) {
		good = copy_term(&out->term[i], &in->term[i]) && good;
	}
	good = copy_text(&out->rps_query, in->rps_query) && good;
	good = copy_text(&out->kpi.latency_query, in->kpi.latency_query) && good;
	good = copy_text(&out->kpi.baseline_query, in->kpi.baseline_query) && good;
	if (!good) {
		km_policy_fini(out);
		return -ENOMEM;
	}
	return 0;
}
