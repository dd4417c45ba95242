/* SPDX-License-Identifier: Apache-2.0 */
/* Where the generator runs when the plan does not say: out of the service's way. */
#include "load_cpus.h"

static void without(struct km_cpuset *s, const struct km_cpuset *gone)
{
	for (size_t i = 0; i < KM_ARRAY_LEN(s->word); i++)
		s->word[i] &= ~gone->word[i];
}

void rig_load_cpus(const struct km_plan *plan, const struct km_cpuset *allowed,
                   const struct km_cpuset *target, struct km_cpuset *out)
{
	struct km_cpuset spare = *allowed;

	if (plan->load.cpus_given) {
		*out = plan->load.cpus;
		return;
	}
	for (size_t i = 0; i < plan->node_count; i++)
		without(&spare, &plan->node[i].cpus);
	if (km_cpuset_count(&spare) == 0) {
		spare = *allowed;
		without(&spare, target);
	}
	*out = km_cpuset_count(&spare) > 0 ? spare : *allowed;
}
