/* SPDX-License-Identifier: Apache-2.0 */
/* What the measurements themselves tell: how much is luck, and whether two files mean the same. */
#include <math.h>
#include <string.h>

#include "corun_internal.h"

#define SAME_ALONE  0.05 /* times alone of one workload differ by less, ln */
#define DIFFER_MOST 0.5  /* of the platforms that two files share */

double corun_second_oracle(const struct km_corun_row *row, const struct corun_choice *choice,
                           size_t count, double sd, uint64_t seed)
{
	double gap = 0;
	double lost = 0;
	struct km_rng rng;

	km_rng_init(&rng, seed);
	for (size_t i = 0; i < count * 20; i++) {
		const struct corun_choice *c = &choice[i % count];
		double cost[CORUN_NODES] = { 0 };
		double seen[CORUN_NODES] = { 0 };

		for (size_t k = 0; k < CORUN_NODES; k++) {
			const struct km_corun_row *r = &row[c->row[k]];
			double own = r->log_slowdown;
			double other = row[r->mirror].log_slowdown;

			cost[k] = exp(own) + exp(other);
			seen[k] = exp(own + sd * km_rng_normal(&rng)) +
			          exp(other + sd * km_rng_normal(&rng));
		}
		gap += fabs(cost[0] - cost[1]) / 2;
		lost += cost[seen[1] < seen[0]] - fmin(cost[0], cost[1]);
	}
	return gap > 0 ? 1 - lost / gap : NAN;
}

void corun_find_others(const struct km_corun *a, const struct km_corun *b, bool *other)
{
	for (uint32_t i = 0; i < km_corun_workloads(b); i++) {
		size_t both = 0;
		size_t differ = 0;
		uint32_t k = 0;

		while (k < km_corun_workloads(a) &&
		       strcmp(km_corun_workload(a, k), km_corun_workload(b, i)) != 0)
			k++;
		for (uint32_t p = 0; k < km_corun_workloads(a) && p < km_corun_platforms(a); p++) {
			for (uint32_t q = 0; q < km_corun_platforms(b); q++) {
				double x;

				if (strcmp(km_corun_platform(a, p), km_corun_platform(b, q)) != 0)
					continue;
				x = km_corun_alone(a, p, k) - km_corun_alone(b, q, i);
				both += isnan(x) ? 0 : 1;
				differ += fabs(x) > SAME_ALONE ? 1 : 0;
			}
		}
		other[i] = both > 0 && (double)differ > DIFFER_MOST * (double)both;
	}
}
