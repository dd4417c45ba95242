/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a policy object: its status is bounded, and what is written of it is read back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/wire/policy_status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct km_policy_status s;
	struct km_policy_status again;
	struct km_buf out;

	if (km_policy_status_decode((const char *)data, size, &s) != 0)
		return 0;
	if (s.nodes > KM_STATUS_NODES_MAX)
		abort();
	km_buf_init(&out);
	km_policy_status_encode(&out, &s);
	if (!km_buf_ok(&out) || km_policy_status_decode(out.data, out.len, &again) != 0 ||
	    again.nodes != s.nodes || again.matched_pods != s.matched_pods ||
	    again.move.there != s.move.there)
		abort();
	km_policy_status_fini(&again);
	km_policy_status_fini(&s);
	km_buf_fini(&out);
	return 0;
}
