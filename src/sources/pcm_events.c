/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which core events libpcm may be asked for, by processor: the misses as PCM's own tools count them
 * (intel/pcm, src/cpucounters.cpp, PCM::program and getL2CacheMisses; codes in src/types.h), so
 * that a metric means what it means in PCM's CSV. Nothing else ever reaches libpcm's event parser,
 * which ends the process on a word it does not know.
 */
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/num.h"
#include "km/sources/libpcm.h"

/* The events that are needed come first: some machines have fewer than four counters to give. */

/* MEM_LOAD_RETIRED of Skylake and later big cores. */
#define SKYLAKE                                                                                    \
	{                                                                                          \
		"cpu/umask=0x20,event=0xd1,name=L3_MISS/",                                         \
			"cpu/umask=0x10,event=0xd1,name=L2_MISS/",                                 \
			"cpu/umask=0x04,event=0xd1,name=L3_HIT/",                                  \
			"cpu/umask=0x02,event=0xd1,name=L2_HIT/"                                   \
	}
/* Architectural LLC events; L2 misses are a MEM_LOAD event again. */
#define TREMONT                                                                                    \
	{                                                                                          \
		"cpu/umask=0x41,event=0x2e,name=L3_MISS/",                                         \
			"cpu/umask=0x10,event=0xd1,name=L2_MISS/",                                 \
			"cpu/umask=0x4f,event=0x2e,name=L3_REFERENCE/",                            \
			"cpu/umask=0x02,event=0xd1,name=L2_HIT/"                                   \
	}
#define CRESTMONT                                                                                  \
	{                                                                                          \
		"cpu/umask=0x41,event=0x2e,name=L3_MISS/",                                         \
			"cpu/umask=0x80,event=0xd1,name=L2_MISS/",                                 \
			"cpu/umask=0x4f,event=0x2e,name=L3_REFERENCE/",                            \
			"cpu/umask=0x02,event=0xd1,name=L2_HIT/"                                   \
	}
/* No event for L2 misses: what missed L2 hit L3 (without and with snoop) or missed it. */
#define BROADWELL                                                                                  \
	{                                                                                          \
		"cpu/umask=0x41,event=0x2e,name=L3_MISS/",                                         \
			"cpu/umask=0x08,event=0xd2,name=L3_HIT_NO_SNOOP/",                         \
			"cpu/umask=0x07,event=0xd2,name=L3_HIT_SNOOP/",                            \
			"cpu/umask=0x02,event=0xd1,name=L2_HIT/"                                   \
	}
/* Errata of the MEM_LOAD events: L2_RQSTS instead. */
#define HASWELL                                                                                    \
	{                                                                                          \
		"cpu/umask=0x41,event=0x2e,name=L3_MISS/",                                         \
			"cpu/umask=0x3f,event=0x24,name=L2_MISS/",                                 \
			"cpu/umask=0x4f,event=0x2e,name=L3_REFERENCE/",                            \
			"cpu/umask=0xff,event=0x24,name=L2_REFERENCE/"                             \
	}

#define SLOT(n)    (UINT8_C(1) << (n))
#define ALL_MISSES (SLOT(0) | SLOT(1) | SLOT(2))

static const struct {
	uint8_t model; /* of family 6 */
	struct km_pcm_events events;
} allowed[] = {
	{ 60, { "Haswell", HASWELL, SLOT(1), SLOT(0) } },
	{ 61, { "Broadwell", BROADWELL, ALL_MISSES, SLOT(0) } },
	{ 63, { "Haswell server", HASWELL, SLOT(1), SLOT(0) } },
	{ 69, { "Haswell", HASWELL, SLOT(1), SLOT(0) } },
	{ 70, { "Haswell", HASWELL, SLOT(1), SLOT(0) } },
	{ 71, { "Broadwell", BROADWELL, ALL_MISSES, SLOT(0) } },
	{ 78, { "Skylake", SKYLAKE, SLOT(1), SLOT(0) } },
	{ 79, { "Broadwell server", BROADWELL, ALL_MISSES, SLOT(0) } },
	{ 85, { "Skylake or Cascade Lake server", SKYLAKE, SLOT(1), SLOT(0) } },
	{ 86, { "Broadwell-DE", BROADWELL, ALL_MISSES, SLOT(0) } },
	{ 94, { "Skylake", SKYLAKE, SLOT(1), SLOT(0) } },
	{ 106, { "Ice Lake server", SKYLAKE, SLOT(1), SLOT(0) } },
	{ 108, { "Ice Lake-D", SKYLAKE, SLOT(1), SLOT(0) } },
	{ 125, { "Ice Lake", SKYLAKE, SLOT(1), SLOT(0) } },
	{ 126, { "Ice Lake", SKYLAKE, SLOT(1), SLOT(0) } },
	{ 134, { "Snow Ridge", TREMONT, SLOT(1), SLOT(0) } },
	{ 140, { "Tiger Lake", SKYLAKE, SLOT(1), SLOT(0) } },
	{ 141, { "Tiger Lake", SKYLAKE, SLOT(1), SLOT(0) } },
	{ 142, { "Kaby Lake", SKYLAKE, SLOT(1), SLOT(0) } },
	{ 143, { "Sapphire Rapids", SKYLAKE, SLOT(1), SLOT(0) } },
	{ 150, { "Elkhart Lake", TREMONT, SLOT(1), SLOT(0) } },
	{ 156, { "Jasper Lake", TREMONT, SLOT(1), SLOT(0) } },
	{ 158, { "Kaby Lake", SKYLAKE, SLOT(1), SLOT(0) } },
	{ 165, { "Comet Lake", SKYLAKE, SLOT(1), SLOT(0) } },
	{ 166, { "Comet Lake", SKYLAKE, SLOT(1), SLOT(0) } },
	{ 167, { "Rocket Lake", SKYLAKE, SLOT(1), SLOT(0) } },
	{ 173, { "Granite Rapids", SKYLAKE, SLOT(1), SLOT(0) } },
	{ 174, { "Granite Rapids-D", SKYLAKE, SLOT(1), SLOT(0) } },
	{ 175, { "Sierra Forest", CRESTMONT, SLOT(1), SLOT(0) } },
	{ 182, { "Grand Ridge", CRESTMONT, SLOT(1), SLOT(0) } },
	{ 207, { "Emerald Rapids", SKYLAKE, SLOT(1), SLOT(0) } },
};

#define FAMILY_6 6

int km_pcm_events_find(const struct km_pcm_cpu *cpu, struct km_pcm_events *out, struct km_err *err)
{
	memset(out, 0, sizeof(*out));
	if (strcmp(cpu->vendor, "GenuineIntel") != 0) {
		return km_err_set(
			err, ENOTSUP,
			"processor %s %u/%u: libpcm knows Intel's only, wanted GenuineIntel",
			cpu->vendor, cpu->family, cpu->model);
	}
	if (cpu->perfmon == 0) {
		return km_err_set(
			err, ENOTSUP,
			"processor %s %u/%u: no performance monitoring (CPUID leaf 10), as in "
			"a virtual machine without vPMU",
			cpu->vendor, cpu->family, cpu->model);
	}
	out->family = "not in the list of events";
	for (size_t i = 0; i < KM_ARRAY_LEN(allowed); i++) {
		if (cpu->family == FAMILY_6 && cpu->model == allowed[i].model) {
			*out = allowed[i].events;
		}
	}
	for (unsigned slot = 0; slot < KM_PCM_SLOTS; slot++) {
		if (slot < cpu->counters) {
			continue;
		}
		out->event[slot] = NULL;
		/* a sum that lacks a part is no count */
		out->l2_slots = (out->l2_slots & SLOT(slot)) != 0 ? 0 : out->l2_slots;
		out->l3_slots = (out->l3_slots & SLOT(slot)) != 0 ? 0 : out->l3_slots;
	}
	return 0;
}

/* Intel's Software Developer's Manual, CPUID leaves 0, 1 and 0AH. */
static void ask_cpuid(struct km_pcm_cpu *out)
{
	unsigned a = 0;
	unsigned b = 0;
	unsigned c = 0;
	unsigned d = 0;

	if (__get_cpuid(0, &a, &b, &c, &d) == 0) {
		return;
	}
	memcpy(out->vendor, &b, 4);
	memcpy(out->vendor + 4, &d, 4);
	memcpy(out->vendor + 8, &c, 4);
	if (__get_cpuid(1, &a, &b, &c, &d) != 0) {
		unsigned base = (a >> 8) & 0xf;

		out->family = base == 0xf ? base + ((a >> 20) & 0xff) : base;
		out->model = (a >> 4) & 0xf;
		if (base == 0x6 || base == 0xf) {
			out->model += ((a >> 16) & 0xf) << 4;
		}
	}
	/* on another vendor's processor the leaf is reserved: 0 */
	if (__get_cpuid_count(0xa, 0, &a, &b, &c, &d) != 0) {
		out->perfmon = a & 0xff;
		out->counters = (a >> 8) & 0xff;
	}
}

/* "GenuineIntel/6/143". returns success. */
static bool read_stand_in(const char *text, struct km_pcm_cpu *out)
{
	const char *family = strchr(text, '/');
	const char *model = family != NULL ? strchr(family + 1, '/') : NULL;
	int64_t number[2];

	if (model == NULL || (size_t)(family - text) >= sizeof(out->vendor) ||
	    km_num_int(family + 1, (size_t)(model - family) - 1, &number[0]) != 0 ||
	    km_num_int(model + 1, strlen(model + 1), &number[1]) != 0) {
		return false;
	}
	memcpy(out->vendor, text, (size_t)(family - text));
	out->family = (uint32_t)number[0];
	out->model = (uint32_t)number[1];
	out->perfmon = 5;
	out->counters = 8;
	return true;
}

void km_pcm_cpu_identify(struct km_pcm_cpu *out)
{
	const char *stand_in = getenv("KUBEMARLA_PCM_CPU"); /* NOLINT: nobody here sets it */

	memset(out, 0, sizeof(*out));
	if (stand_in != NULL && read_stand_in(stand_in, out)) {
		return;
	}
	memset(out, 0, sizeof(*out));
	ask_cpuid(out);
}
