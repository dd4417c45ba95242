/* SPDX-License-Identifier: Apache-2.0 */
/* Inside sources: the texts of resctrl's monitoring files. */
#ifndef KM_SOURCES_RESCTRL_H
#define KM_SOURCES_RESCTRL_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/macros.h"

/*
 * What llc_occupancy, mbm_total_bytes or mbm_local_bytes says (kernel: fs/resctrl/ctrlmondata.c,
 * Documentation/filesystems/resctrl.rst), with or without its newline.
 * returns 0 and bytes; -ENODATA for "Unavailable" and "Unassigned"; -EIO for "Error"; -EBADMSG for
 * anything else.
 */
int km_resctrl_parse(const char *text, size_t len, uint64_t *out_bytes) KM_MUST_CHECK;

#endif
