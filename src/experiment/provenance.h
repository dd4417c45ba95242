/* SPDX-License-Identifier: Apache-2.0 */
/* Where results come from: machine, system, programs and their versions. */
#ifndef KM_EXPERIMENT_PROVENANCE_H
#define KM_EXPERIMENT_PROVENANCE_H

#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/core/metric.h"
#include "km/plan/plan.h"
#include "km/rig/rig.h"

/* What is not read from files. */
struct experiment_origin {
	const struct km_plan *plan;
	const struct km_rig_facts *facts;
	enum km_tier tier;
	const char *version;
	const char *os_release; /* "/etc/os-release" */
	int64_t start_unix_ns;
};

/* Appends it as a JSON object; what cannot be read is null. */
void experiment_provenance(const struct experiment_origin *o, struct km_buf *out);

/*
 * Keeps it in that directory as provenance.json, or, when that tells another story (a kernel was
 * updated before the experiment went on), as provenance.2.json and so on.
 */
int experiment_keep_provenance(const char *dir, const struct experiment_origin *o,
                               struct km_err *err) KM_MUST_CHECK;

#endif
