/* SPDX-License-Identifier: Apache-2.0 */
/* A decision as it lies in its slot, and how it gets there and back. Pure. */
#ifndef KM_DECIDE_RECORD_INTERNAL_H
#define KM_DECIDE_RECORD_INTERNAL_H

#include "km/decide/record.h"

#define RECORD_NAME_MAX 253 /* bytes; a DNS subdomain has no more */

/*
 * | struct stored | namespace, name, UID, class, policy | node, name | node, name | ...
 *
 * A node's name is what it shares with the one before, in bytes at its front and at its end, and
 * what stands between: of ip-10-0-3-17.internal behind ip-10-0-3-4.internal it is "17".
 */
struct record_slot {
	unsigned char byte[KM_RECORD_SLOT_BYTES];
};

/* d->node that does not fit is left out. */
void record_encode(const struct km_recorded *d, struct record_slot *out);
void record_decode(const struct record_slot *slot, struct km_recorded_copy *out);

#endif
