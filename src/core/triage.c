/* SPDX-License-Identifier: Apache-2.0 */
/* The rule as a table of words and a handful of comparisons. */
#include "km/core/triage.h"

#include <math.h>

static const struct {
	const char *name, *meaning;
} causes[KM_TRIAGE_N] = {
	[KM_TRIAGE_UNKNOWN] = { "unknown", "" },
	[KM_TRIAGE_NONE] = { "none", "nothing waits much for a CPU" },
	[KM_TRIAGE_NEIGHBOUR] = { "neighbour", "other work on its CPUs" },
	[KM_TRIAGE_SELF] = { "self", "its own CPU quota holds it back" },
	[KM_TRIAGE_HYPERVISOR] = { "hypervisor", "its CPUs are given to others outside" },
};

void km_triage_node(struct km_readings *r, uint32_t node, struct km_triage *out)
{
	const double *v;

	*out = (struct km_triage){ KM_TRIAGE_UNKNOWN, NAN, NAN, NAN, false };
	if (r == NULL || node >= r->node_count) {
		return;
	}
	v = km_readings_node(r, node);
	out->pressure = v[KM_METRIC_CPU_PSI_RATIO];
	out->throttled = v[KM_METRIC_THROTTLED_RATIO];
	out->steal = v[KM_METRIC_STEAL_RATIO];
	if (isnan(out->pressure)) {
		out->pressure = km_readings_host(r)[KM_METRIC_CPU_PSI_RATIO];
		out->of_host = !isnan(out->pressure);
	}
	/* comparisons with NaN are false: what is not measured is not high */
	if (out->steal >= KM_TRIAGE_STEAL_HIGH) {
		out->cause = KM_TRIAGE_HYPERVISOR;
	} else if (out->throttled >= KM_TRIAGE_THROTTLED_HIGH) {
		out->cause = KM_TRIAGE_SELF;
	} else if (out->pressure >= KM_TRIAGE_PRESSURE_HIGH) {
		out->cause = KM_TRIAGE_NEIGHBOUR;
	} else if (!isnan(out->pressure)) {
		out->cause = KM_TRIAGE_NONE;
	}
}

const char *km_triage_name(enum km_triage_cause c)
{
	return causes[c].name;
}

static void put(struct km_buf *out, const char *comma, const char *what, double value, double high)
{
	if (isnan(value)) {
		km_buf_printf(out, "%s%s not measured", comma, what);
	} else {
		km_buf_printf(out, "%s%s %.2f %s", comma, what, value,
		              value >= high ? "high" : "low");
	}
}

void km_triage_text(const struct km_triage *t, struct km_buf *out)
{
	km_buf_printf(out, "%s%s", causes[t->cause].meaning,
	              t->cause != KM_TRIAGE_UNKNOWN ? ": " : "");
	put(out, "", t->of_host ? "CPU pressure of the host" : "CPU pressure", t->pressure,
	    KM_TRIAGE_PRESSURE_HIGH);
	put(out, ", ", "throttling", t->throttled, KM_TRIAGE_THROTTLED_HIGH);
	put(out, ", ", "steal", t->steal, KM_TRIAGE_STEAL_HIGH);
}
