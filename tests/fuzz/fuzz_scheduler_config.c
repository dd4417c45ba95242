/* SPDX-License-Identifier: Apache-2.0 */
/* A KubeSchedulerConfiguration: votes are finite and not negative, or it is refused with a line. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/config/scheduler_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct km_scheduler_votes votes = { NAN, NAN };
	struct km_err err = { .code = 0 };

	if (km_scheduler_votes_parse("fuzz.yaml", (const char *)data, size, "http://127.0.0.1:9191",
	                             &votes, &err) != 0) {
		if (strncmp(err.text, "fuzz.yaml", strlen("fuzz.yaml")) != 0)
			abort();
		return 0;
	}
	if (!(votes.weight >= 0 && votes.weight <= 1e6 && votes.in_tree_weight >= 0 &&
	      votes.in_tree_weight <= 64e6))
		abort();
	return 0;
}
