/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of /filter and /prioritize. Exercises the scanner (structure, strings, escapes, UTF-8,
 * numbers, depth), both node forms, the pod reader and both writers, against cJSON as the oracle.
 */
#include <stddef.h>
#include <stdint.h>

#include "support/extender_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)extender_oracle((const char *)data, size);
	return 0;
}
