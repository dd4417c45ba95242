/* SPDX-License-Identifier: Apache-2.0 */
/* One pass counts who ties, a second one finds whom luck draws. */
#include "km/core/least.h"

#include <math.h>

size_t km_least(const double *value, size_t count, double luck)
{
	size_t ties = 0;
	size_t wanted;
	double least = INFINITY;

	for (size_t i = 0; i < count; i++) {
		if (value[i] < least) {
			least = value[i];
			ties = 0;
		}
		ties += value[i] == least;
	}
	if (ties == 0) /* no number at all: any of them */
		return (size_t)(luck * (double)count);
	wanted = (size_t)(luck * (double)ties);
	for (size_t i = 0; i < count; i++) {
		if (value[i] == least && wanted-- == 0)
			return i;
	}
	return 0;
}
