/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a file of policies: what is accepted is what the rest may rely on. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/config/policy_file.h"
#include "km/place/footprint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_policy(const struct km_policy *p)
{
	char path[KM_POLICY_PATH_MAX];

	if (p->name[0] == '\0' || p->namespace[0] == '\0' ||
	    strchr(km_policy_path(p, path), '/') == NULL)
		abort();
	if ((unsigned)p->mode >= KM_MODE_N || (unsigned)p->on_stale >= KM_ON_STALE_N)
		abort();
	if (!isnan(p->max_slowdown) && !(p->max_slowdown >= 1.05 && p->max_slowdown <= 100))
		abort();
	if (!isnan(p->rps) && !(p->rps > 0 && isfinite(p->rps)))
		abort();
	if (!(p->weight > 0 && isfinite(p->weight)))
		abort();
	if (p->rps_query != NULL && (p->rps_query[0] == '\0' || !isnan(p->rps)))
		abort();
	if (p->kpi.latency_query != NULL &&
	    isnan(p->kpi.baseline_s) != (p->kpi.baseline_query != NULL))
		abort();
	if (!(p->rebalance.min_gain_ratio >= 0.05 && p->rebalance.min_gain_ratio <= 0.9) ||
	    p->rebalance.cooldown_ns < INT64_C(60000000000) ||
	    p->rebalance.max_evictions_per_hour == 0)
		abort();
	for (size_t i = 0; i < p->footprint_count; i++) {
		if (km_quantity_parse(p->footprint[i].quantity) < 0 ||
		    !(p->footprint[i].per_s >= 0 && isfinite(p->footprint[i].per_s)))
			abort();
	}
	for (size_t i = 0; i < p->term_count; i++) {
		bool needs = p->term[i].op == KM_SELECTOR_IN || p->term[i].op == KM_SELECTOR_NOT_IN;

		if (p->term[i].key == NULL || needs != (p->term[i].value_count > 0))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct km_label label[] = { { { "app", 3 }, { "web", 3 } },
		                                 { { "tier", 4 }, { "", 0 } } };
	const struct km_policy *other = NULL;
	const struct km_policy *found;
	struct km_policies *p = NULL;
	struct km_err err = { .code = 0 };
	struct km_pod pod;
	size_t pair[4][2];

	if (km_policy_file_parse("fuzz", (const char *)data, size, "shop", &p, &err) != 0) {
		if (p != NULL || err.text[0] == '\0' || strchr(err.text, '\n') != NULL)
			abort(); /* one line that says why */
		return 0;
	}
	km_pod_init(&pod);
	pod.namespace = (struct km_name){ "default", 7 };
	pod.label = label;
	pod.label_count = 2;
	for (size_t i = 0; i < km_policies_count(p); i++) {
		const struct km_policy *one = km_policies_at(p, i);

		check_policy(one);
		if (km_policies_find(p, km_policy_key(one->namespace, one->name)) != one)
			abort();
	}
	found = km_policies_match(p, &pod, &other);
	if ((found != NULL && !km_policy_matches(found, &pod)) || (other != NULL && found == NULL))
		abort();
	(void)km_policies_conflicts(p, pair, 4);
	km_policies_unref(p);
	return 0;
}
