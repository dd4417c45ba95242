/* SPDX-License-Identifier: Apache-2.0 */
/* Levenshtein's distance, one row of the table at a time. */
#include "km/base/typo.h"

#include <stdint.h>

size_t km_typos(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[KM_TYPO_MAX_BYTES + 1];

	if (a_len > KM_TYPO_MAX_BYTES || b_len > KM_TYPO_MAX_BYTES)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t above = row[j];
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = above;
		}
	}
	return row[b_len];
}
