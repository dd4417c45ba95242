/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which live sources this machine has, and which of them `auto` takes together. The same table
 * stands in the log at start, in the agent's status and in `kubemarla doctor`.
 */
#ifndef KM_SOURCES_PREFLIGHT_H
#define KM_SOURCES_PREFLIGHT_H

#include "km/base/buf.h"
#include "km/sources/source.h"

#define KM_PREFLIGHT_MAX 8 /* live rows in the table, at most */

struct km_preflight_row {
	struct km_source_settings settings; /* the kind, to open it by; owns nothing */
	const struct km_source_ops *ops;
	int result; /* of the probe: 0 or negative errno */
	bool chosen;
	struct km_source_offer offer;
	char why[KM_ERR_TEXT_MAX]; /* why it is absent, or was not chosen; "" otherwise */
};

struct km_preflight {
	struct km_preflight_row row[KM_PREFLIGHT_MAX];
	size_t count;
};

/*
 * Probes every live row; args->settings is ignored. Takes up to KM_SOURCE_PROBE_MAX_NS for each
 * row that waits: for start-up, reload and doctor, not for a tick.
 */
void km_preflight_run(const struct km_source_args *args, struct km_preflight *out);

/* Its parts: one row is asked (again), by its settings and ops; then the set is chosen of all rows.
 */
void km_preflight_probe(const struct km_source_args *args, struct km_preflight_row *row);
void km_preflight_choose(struct km_preflight *p);

/* The tier of what the chosen ones give together. */
enum km_tier km_preflight_tier(const struct km_preflight *p);

/* Does an offer give all that a metric is computed from, in some scope? */
bool km_offer_gives(const struct km_source_offer *offer, enum km_metric m);

/* The metrics it gives, by name: "ipc, l2_miss_per_s, ...". Appends to out. */
void km_offer_metrics(const struct km_source_offer *offer, struct km_buf *out);

#endif
