/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked about: a pod's workload, and how the model is told of it. */
#include <math.h>
#include <string.h>

#include "decide_internal.h"

/* Keys are compared and hashed as bytes: there may be none that mean nothing. */
_Static_assert(sizeof(struct decide_key) == 3 * 8 + 2 * 4 + KM_CLASS_NAME_MAX, "no padding");

static double positive_or_unknown(double value)
{
	return isfinite(value) && value > 0 ? value : NAN;
}

void decide_workload_normalise(const struct km_workload *w, struct km_workload *out)
{
	size_t len = strnlen(w->class_name, sizeof(w->class_name) - 1);

	*out = (struct km_workload){
		.rps = positive_or_unknown(w->rps),
		.replicas = positive_or_unknown(w->replicas),
		.max_slowdown = positive_or_unknown(w->max_slowdown),
		.mode = w->mode,
		.on_stale = w->on_stale,
	};
	memcpy(out->class_name, w->class_name, len);
}

static uint64_t bits_of(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

struct decide_key decide_key_of(const struct km_workload *w)
{
	struct decide_key k = {
		.rps = bits_of(w->rps),
		.replicas = bits_of(w->replicas),
		.max_slowdown = bits_of(w->max_slowdown),
		.mode = (uint32_t)w->mode,
		.on_stale = (uint32_t)w->on_stale,
	};

	memcpy(k.class_name, w->class_name, sizeof(k.class_name));
	return k;
}

bool decide_same_key(const struct decide_key *a, const struct decide_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool decide_same_question(const struct decide_key *a, const struct decide_key *b)
{
	return a->rps == b->rps && a->replicas == b->replicas;
}

/* How many others are on their way here nobody counts yet: none is known of. */
#define INFLIGHT_KNOWN 0.0f

static float pod_input(const struct km_workload *w, enum km_pod_input input)
{
	switch (input) {
	case KM_POD_RPS:
		return (float)w->rps;
	case KM_POD_REPLICAS:
		return (float)w->replicas;
	default:
		return NAN; /* *_now: without a pod watch nobody knows */
	}
}

void decide_fill_row(const struct km_schema *schema, const double *row, const struct km_workload *w,
                     float *out)
{
	for (uint32_t i = 0; i < schema->count; i++) {
		const struct km_feature *f = &schema->feature[i];

		if (f->scope < KM_SCOPE_POD) {
			out[i] = (float)row[i];
		} else if (f->scope == KM_SCOPE_POD) {
			out[i] = pod_input(w, f->input);
		} else {
			out[i] = INFLIGHT_KNOWN;
		}
	}
}

void km_decide_default_workload(struct km_decide *d, struct km_workload *out)
{
	struct decide_context *c = decide_context_get(d);

	*out = c->settings.default_workload;
	decide_context_unref(c);
}

void km_decide_pod_workload(struct km_decide *d, const struct km_pod *pod, struct km_workload *out)
{
	struct decide_context *c = decide_context_get(d);

	km_pod_workload(pod, &c->settings.default_workload, c->settings.min_max_slowdown, out);
	decide_context_unref(c);
}
