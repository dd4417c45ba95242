/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a play of a trial: bounded, and what is written of it reads back the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/wire/trial_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct km_trial_record r;
	static struct km_trial_record again;
	char id[KM_TRIAL_ID_MAX];
	struct km_buf first;
	struct km_buf second;

	if (km_trial_record_decode((const char *)data, size, &r, NULL) != 0)
		return 0;
	if (r.node_count > KM_TRIAL_NODES_MAX || r.replicas > KM_TRIAL_REPLICAS_MAX)
		abort();
	(void)km_trial_record_id(&r, id);
	km_buf_init(&first);
	km_buf_init(&second);
	km_trial_record_encode(&first, &r);
	if (km_trial_record_decode(first.data, first.len, &again, NULL) != 0)
		abort();
	km_trial_record_encode(&second, &again);
	if (!km_buf_ok(&first) || !km_buf_ok(&second) || first.len != second.len ||
	    memcmp(first.data, second.data, first.len) != 0)
		abort();
	km_buf_fini(&second);
	km_buf_fini(&first);
	return 0;
}
