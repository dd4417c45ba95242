/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of load reports share. */
#ifndef KM_WIRE_LOAD_REPORT_INTERNAL_H
#define KM_WIRE_LOAD_REPORT_INTERNAL_H

#include "km/wire/load_report.h"

/* No request was answered: the generator's zeros are no latencies. */
void km_load_unmeasured(struct km_load_result *out);

#endif
