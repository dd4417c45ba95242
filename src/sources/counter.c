/* SPDX-License-Identifier: Apache-2.0 */
/* Differences of running counters, and their digits. */
#include "counter.h"

#include <errno.h>

int km_counter_delta(uint64_t before, uint64_t now, unsigned bits, double max, uint64_t *out)
{
	uint64_t mask = bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX;
	uint64_t delta = (now - before) & mask;

	if ((before & ~mask) != 0 || (now & ~mask) != 0 || (double)delta > max) {
		return -ERANGE;
	}
	*out = delta;
	return 0;
}

int km_counter_parse(const char *text, size_t len, uint64_t *out)
{
	uint64_t value = 0;

	if (len == 0) {
		return -EINVAL;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned digit = (unsigned)((unsigned char)text[i] - '0');

		if (digit > 9) {
			return -EINVAL;
		}
		if (value > (UINT64_MAX - digit) / 10) {
			return -ERANGE;
		}
		value = value * 10 + digit;
	}
	*out = value;
	return 0;
}
