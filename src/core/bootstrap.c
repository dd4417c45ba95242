/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing clusters, and the bounds of what came of it. */
#include "km/core/bootstrap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void km_bootstrap_draw(struct km_rng *rng, uint32_t clusters, uint32_t *drawn)
{
	memset(drawn, 0, clusters * sizeof(*drawn));
	for (uint32_t c = 0; c < clusters; c++) {
		drawn[km_rng_below(rng, clusters)]++;
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

void km_bootstrap_bounds(double *values, size_t count, double low_q, double high_q, double *low,
                         double *high)
{
	*low = NAN;
	*high = NAN;
	if (count == 0) {
		return;
	}
	qsort(values, count, sizeof(*values), by_value);
	*low = values[(size_t)(low_q * (double)(count - 1))];
	*high = values[(size_t)ceil(high_q * (double)(count - 1))];
}
