/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `kubemarla-lab stress --json` prints at its end, one object:
 * {"kind":"l2","intensity":50,"cpus":"0-1","seconds":10.0,"dutyRatio":0.499,"opsPerSecond":…,
 * "bytesPerSecond":…,"workingSetBytes":…,"unit":"cache lines","cachesAssumed":false}
 * A number that is not known is null.
 */
#ifndef KM_WIRE_STRESS_REPORT_H
#define KM_WIRE_STRESS_REPORT_H

#include <stddef.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/base/macros.h"
#include "km/stress/stress.h"

void km_stress_report_encode(const struct km_stress_result *r, struct km_buf *out);

/*
 * Reads one such object and nothing else; keys it does not know are passed over. returns 0, or
 * -EINVAL with what is wrong; *out is then unchanged.
 */
int km_stress_report_decode(const char *text, size_t len, struct km_stress_result *out,
                            struct km_err *err) KM_MUST_CHECK;

/*
 * The sum of bogo-ops-per-second-real-time over the stressors of a report that stress-ng 0.15
 * writes with --yaml. NaN when there is none.
 */
double km_stress_ng_decode(const char *text, size_t len);

#endif
