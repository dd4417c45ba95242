/* SPDX-License-Identifier: Apache-2.0 */
/* Features in units people read. */
#include <math.h>
#include <string.h>

#include "km/base/macros.h"
#include "km/core/words.h"
#include "km/wire/answers.h"

/* "bytes/s" scales its own letter ("4.1 GB/s"), other units get it on the number ("4.1M misses/s").
 */
static void put_scaled(struct km_buf *out, double value, const char *unit)
{
	static const struct {
		double from;
		const char *prefix;
	} steps[] = {
		{ 1e12, "T" }, { 1e9, "G" }, { 1e6, "M" }, { 1e3, "k" }, { 0, "" },
	};
	const bool bytes = strncmp(unit, "bytes", 5) == 0;
	size_t i = 0;

	while (fabs(value) < steps[i].from)
		i++;
	if (steps[i].from > 0)
		value /= steps[i].from;
	if (bytes)
		km_buf_printf(out, "%.3g %sB%s", value, steps[i].prefix, unit + 5);
	else
		km_buf_printf(out, "%.3g%s%s%s", value, steps[i].prefix, unit[0] ? " " : "", unit);
}

static void put_metric(struct km_buf *out, enum km_metric metric, double value)
{
	switch (km_metric_reading(metric)) {
	case KM_READ_PERCENT:
		km_buf_printf(out, "%.3g %%", 100 * value);
		break;
	case KM_READ_BARE:
		put_scaled(out, value, "");
		break;
	case KM_READ_UNIT:
		put_scaled(out, value, km_metric_info(metric)->unit);
		break;
	}
}

void km_answer_human(struct km_buf *out, const char *feature, double value)
{
	struct km_feature f;

	if (!isfinite(value)) {
		km_buf_str(out, "unknown");
		return;
	}
	if (km_feature_parse(feature, &f, NULL) != 0) {
		put_scaled(out, value, "");
		return;
	}
	switch (f.scope) {
	case KM_SCOPE_NODE_VS_PEER:
	case KM_SCOPE_NODE_VS_REST:
	case KM_SCOPE_NODE_VS_SPARE:
		km_buf_printf(out, "%.3gx", exp(value));
		return;
	case KM_SCOPE_POD:
		put_scaled(out, value,
		           f.input == KM_POD_RPS || f.input == KM_POD_RPS_NOW ? "requests/s"
		                                                              : "replicas");
		return;
	case KM_SCOPE_INFLIGHT:
		put_scaled(out, value, "pods");
		return;
	default:
		put_metric(out, f.metric, value);
	}
}
