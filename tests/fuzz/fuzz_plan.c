/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an experiment's plan: what is accepted expands to runs with names of their own. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/plan/plan.h"

#define RUNS_COMPARED 200 /* each with each */
#define PARTS_MAX     64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_runs(const struct km_plan *p)
{
	struct km_run_spec *r = NULL;
	size_t n = 0;

	if (km_plan_runs(p, &r, &n) != 0 || n == 0 || n > KM_PLAN_RUNS_MAX)
		abort();
	for (size_t i = 0; i < n && i < RUNS_COMPARED; i++) {
		if (r[i].target_node >= p->node_count || r[i].stress_node >= p->node_count ||
		    r[i].repeat < 1 || r[i].replicas < 1 || !(r[i].rps >= 1) ||
		    (unsigned)r[i].kind >= KM_STRESS_KIND_N ||
		    (r[i].stressed && (r[i].level_pct < 1 || r[i].level_pct > 100)) ||
		    strchr(r[i].id, '/') != NULL)
			abort();
		for (size_t j = 0; j < i; j++) {
			if (strcmp(r[i].id, r[j].id) == 0)
				abort();
		}
	}
	free(r);
}

static void check_parts(const struct km_plan *p)
{
	struct km_load_part part[PARTS_MAX];
	int64_t sum = 0;
	size_t n = 0;

	if (km_plan_load_parts(p, 100, p->times.during_ns, part, PARTS_MAX, &n) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (part[i].duration_ns <= 0 || !(part[i].rps >= 0))
			abort();
		sum += part[i].duration_ns;
	}
	if (sum != p->times.during_ns)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct km_err err = { .code = 0 };
	struct km_plan *p = NULL;

	if (km_plan_parse("fuzz", (const char *)data, size, &p, &err) != 0) {
		if (p != NULL || err.text[0] == '\0' || strchr(err.text, '\n') != NULL)
			abort(); /* one line that says why */
		return 0;
	}
	if (p->node_count == 0 || p->target.node >= p->node_count || km_plan_hash(p) == 0 ||
	    p->trial.arm_count == 0 || p->matrix.on_count == 0)
		abort();
	check_runs(p);
	check_parts(p);
	km_plan_free(p);
	return 0;
}
