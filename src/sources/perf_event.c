/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events by CPU family. Codes are those that PCM programs for L2MISS and L3MISS on the same CPUs,
 * so that a miss is the same thing from either; on others there is the kernel's generic event for
 * L3, which on AMD counts L2 and is left out.
 */
#include "perf_event.h"

#include <linux/perf_event.h>
#include <string.h>

/* Umask and event, by Intel's event files (perfmon). */
#define L2_MISS_RETIRED  0x10d1 /* MEM_LOAD_RETIRED.L2_MISS */
#define L3_MISS_RETIRED  0x20d1 /* MEM_LOAD_RETIRED.L3_MISS */
#define L2_MISS_REQUESTS 0x3f24 /* L2_RQSTS.MISS, where the former has errata */
#define L2_MISS_ATOM     0x80d1 /* MEM_LOAD_UOPS_RETIRED.L2_MISS */
#define L3_MISS_LONGEST  0x412e /* LONGEST_LAT_CACHE.MISS */
#define BY_SUM           0      /* PCM adds up three events: more than there are counters */

/* Of family 6, as in pcm_events.c (a test compares). */
static const struct model {
	unsigned model;
	uint16_t l2, l3;
	bool ref_is_tsc; /* ref-cycles tick with the TSC */
} models[] = {
	/* Skylake, Cascade Lake, Cooper Lake; Ice Lake, -D; Sapphire, Emerald, Granite Rapids, -D
	 */
	{ 85, L2_MISS_RETIRED, L3_MISS_RETIRED, true },
	{ 106, L2_MISS_RETIRED, L3_MISS_RETIRED, true },
	{ 108, L2_MISS_RETIRED, L3_MISS_RETIRED, true },
	{ 143, L2_MISS_RETIRED, L3_MISS_RETIRED, true },
	{ 207, L2_MISS_RETIRED, L3_MISS_RETIRED, true },
	{ 173, L2_MISS_RETIRED, L3_MISS_RETIRED, true },
	{ 174, L2_MISS_RETIRED, L3_MISS_RETIRED, true },
	/* their clients: Skylake, Kaby, Comet, Ice, Tiger, Rocket Lake */
	{ 78, L2_MISS_RETIRED, L3_MISS_RETIRED, false },
	{ 94, L2_MISS_RETIRED, L3_MISS_RETIRED, false },
	{ 142, L2_MISS_RETIRED, L3_MISS_RETIRED, false },
	{ 158, L2_MISS_RETIRED, L3_MISS_RETIRED, false },
	{ 165, L2_MISS_RETIRED, L3_MISS_RETIRED, false },
	{ 166, L2_MISS_RETIRED, L3_MISS_RETIRED, false },
	{ 125, L2_MISS_RETIRED, L3_MISS_RETIRED, false },
	{ 126, L2_MISS_RETIRED, L3_MISS_RETIRED, false },
	{ 140, L2_MISS_RETIRED, L3_MISS_RETIRED, false },
	{ 141, L2_MISS_RETIRED, L3_MISS_RETIRED, false },
	{ 167, L2_MISS_RETIRED, L3_MISS_RETIRED, false },
	/* Haswell */
	{ 60, L2_MISS_REQUESTS, L3_MISS_LONGEST, false },
	{ 63, L2_MISS_REQUESTS, L3_MISS_LONGEST, false },
	{ 69, L2_MISS_REQUESTS, L3_MISS_LONGEST, false },
	{ 70, L2_MISS_REQUESTS, L3_MISS_LONGEST, false },
	/* Broadwell */
	{ 61, BY_SUM, L3_MISS_LONGEST, false },
	{ 71, BY_SUM, L3_MISS_LONGEST, false },
	{ 79, BY_SUM, L3_MISS_LONGEST, false },
	{ 86, BY_SUM, L3_MISS_LONGEST, false },
	/* Snow Ridge, Elkhart, Jasper Lake */
	{ 134, L2_MISS_RETIRED, L3_MISS_LONGEST, false },
	{ 150, L2_MISS_RETIRED, L3_MISS_LONGEST, false },
	{ 156, L2_MISS_RETIRED, L3_MISS_LONGEST, false },
	/* Sierra Forest, Grand Ridge */
	{ 175, L2_MISS_ATOM, L3_MISS_LONGEST, false },
	{ 182, L2_MISS_ATOM, L3_MISS_LONGEST, false },
};

/* Those that the kernel drives by gnr_uncores[]. */
static const unsigned halved_models[] = {
	173, /* Granite Rapids */
	174, /* Granite Rapids D */
	175, /* Sierra Forest */
	182, /* Grand Ridge */
	221, /* Clearwater Forest */
};

static bool is_intel6(const struct km_perf_cpu_id *cpu)
{
	return strcmp(cpu->vendor, "GenuineIntel") == 0 && cpu->family == 6;
}

static const struct model *find_model(const struct km_perf_cpu_id *cpu)
{
	for (size_t i = 0; is_intel6(cpu) && i < KM_ARRAY_LEN(models); i++) {
		if (models[i].model == cpu->model) {
			return &models[i];
		}
	}
	return NULL;
}

static size_t put(struct km_perf_event *out, enum km_perf_role role, uint32_t type, uint64_t config)
{
	*out = (struct km_perf_event){
		.type = type, .config = { config }, .role = (uint8_t)role, .scale = 1
	};
	return 1;
}

size_t km_perf_core_events(const struct km_perf_cpu_id *cpu, struct km_perf_event *out,
                           enum km_perf_l3 *l3)
{
	const struct model *known = find_model(cpu);
	size_t n = 0;

	n += put(out + n, KM_PERF_CYCLES, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES);
	n += put(out + n, KM_PERF_INSTRUCTIONS, PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS);
	n += put(out + n, KM_PERF_REF_CYCLES, PERF_TYPE_HARDWARE, PERF_COUNT_HW_REF_CPU_CYCLES);
	*l3 = KM_PERF_L3_NONE;
	if (known != NULL) {
		*l3 = KM_PERF_L3_AS_PCM;
		n += known->l2 != BY_SUM ? put(out + n, KM_PERF_L2_MISS, PERF_TYPE_RAW, known->l2)
		                         : 0;
		n += put(out + n, KM_PERF_L3_MISS, PERF_TYPE_RAW, known->l3);
	} else if (strcmp(cpu->vendor, "GenuineIntel") == 0) {
		*l3 = KM_PERF_L3_GENERIC;
		n += put(out + n, KM_PERF_L3_MISS, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES);
	}
	return n;
}

bool km_perf_ref_is_tsc(const struct km_perf_cpu_id *cpu)
{
	const struct model *known = find_model(cpu);

	return known != NULL && known->ref_is_tsc;
}

bool km_perf_imc_is_halved(const struct km_perf_cpu_id *cpu)
{
	for (size_t i = 0; is_intel6(cpu) && i < KM_ARRAY_LEN(halved_models); i++) {
		if (halved_models[i] == cpu->model) {
			return true;
		}
	}
	return false;
}
