/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events by CPU family. Codes are those that PCM programs for L2MISS and L3MISS on the same CPUs,
 * so that a miss is the same thing from either; on others there is the kernel's generic event for
 * L3, which on AMD counts L2 and is left out.
 */
#include "perf_event.h"

#include <linux/perf_event.h>
#include <string.h>

/* Intel's event files (perfmon): MEM_LOAD_RETIRED.L2_MISS and .L3_MISS, umask and event. */
#define L2_MISS_RETIRED 0x10d1
#define L3_MISS_RETIRED 0x20d1

/* Family 6: the server cores that have these codes and whose PCM uses them. */
static const unsigned retired_models[] = {
	85,  /* Skylake, Cascade Lake, Cooper Lake */
	106, /* Ice Lake */
	108, /* Ice Lake D */
	143, /* Sapphire Rapids */
	207, /* Emerald Rapids */
	173, /* Granite Rapids */
	174, /* Granite Rapids D */
};

/* Those that the kernel drives by gnr_uncores[]. */
static const unsigned halved_models[] = {
	173, /* Granite Rapids */
	174, /* Granite Rapids D */
	175, /* Sierra Forest */
	182, /* Grand Ridge */
	221, /* Clearwater Forest */
};

static bool is_intel6(const struct km_perf_cpu_id *cpu, const unsigned *models, size_t count)
{
	if (strcmp(cpu->vendor, "GenuineIntel") != 0 || cpu->family != 6) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (models[i] == cpu->model) {
			return true;
		}
	}
	return false;
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
	bool retired = is_intel6(cpu, retired_models, KM_ARRAY_LEN(retired_models));
	size_t n = 0;

	n += put(out + n, KM_PERF_CYCLES, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES);
	n += put(out + n, KM_PERF_INSTRUCTIONS, PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS);
	n += put(out + n, KM_PERF_REF_CYCLES, PERF_TYPE_HARDWARE, PERF_COUNT_HW_REF_CPU_CYCLES);
	*l3 = KM_PERF_L3_NONE;
	if (retired) {
		*l3 = KM_PERF_L3_RETIRED;
		n += put(out + n, KM_PERF_L2_MISS, PERF_TYPE_RAW, L2_MISS_RETIRED);
		n += put(out + n, KM_PERF_L3_MISS, PERF_TYPE_RAW, L3_MISS_RETIRED);
	} else if (strcmp(cpu->vendor, "GenuineIntel") == 0) {
		*l3 = KM_PERF_L3_GENERIC;
		n += put(out + n, KM_PERF_L3_MISS, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES);
	}
	return n;
}

bool km_perf_ref_is_tsc(const struct km_perf_cpu_id *cpu)
{
	return is_intel6(cpu, retired_models, KM_ARRAY_LEN(retired_models));
}

bool km_perf_imc_is_halved(const struct km_perf_cpu_id *cpu)
{
	return is_intel6(cpu, halved_models, KM_ARRAY_LEN(halved_models));
}
