/* SPDX-License-Identifier: Apache-2.0 */
/* Our stressors beside stress-ng's. */
#ifndef KM_LAB_STRESS_COMPARE_H
#define KM_LAB_STRESS_COMPARE_H

#include <stdbool.h>

#include "km/stress/stress.h"

struct lab_compare {
	struct km_stress_options stress; /* its kind means nothing with all_kinds */
	bool all_kinds;
	double seconds; /* of each measurement; NaN = 2 */
	unsigned neighbour;
	bool has_neighbour; /* false: the lowest CPU that this process may use and is not stressed
	                     */
};

/*
 * For each kind: a neighbour alone (our kernel of that kind on another CPU), beside our stressor,
 * and beside stress-ng's nearest; prints a table. returns the exit code; without stress-ng it says
 * how to get it.
 */
int lab_compare(const struct lab_compare *wanted);

/* "12.3 GB/s" into out [size]: a rate for people; "" for NaN. returns out. */
const char *lab_rate(double value, const char *unit, char *out, size_t size);

#endif
