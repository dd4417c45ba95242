/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What perf reads as text or bytes, any: the first byte picks terms of an event, a format, cpuinfo
 * or a group's reading; the rest is the input. Looks for reads past its end, names that lead out of
 * a directory, and scaled counts that no counter can have.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sources/perf_event.h"
#include "sources/perf_scale.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int right)
{
	if (!right)
		abort();
}

static void fuzz_terms(const char *text)
{
	struct km_perf_terms terms;

	if (km_perf_terms_parse(text, &terms) != 0)
		return;
	check(terms.count > 0 && terms.count <= KM_PERF_TERMS_MAX);
	for (size_t i = 0; i < terms.count; i++) {
		const char *name = terms.term[i].name;

		check(name[0] != '\0' && name[0] != '.');
		check(memchr(name, '\0', sizeof(terms.term[i].name)) != NULL);
		check(strchr(name, '/') == NULL);
	}
}

/* Every bit of the value has its place, and none is made up. */
static void fuzz_format(const char *text, uint64_t value)
{
	struct km_perf_event event = { .type = 0 };
	struct km_perf_event none = { .type = 0 };

	if (km_perf_format_apply(text, value, &event) != 0)
		return;
	check(km_perf_format_apply(text, 0, &none) == 0);
	check(none.config[0] == 0 && none.config[1] == 0 && none.config[2] == 0);
	if (value != 0)
		check(event.config[0] != 0 || event.config[1] != 0 || event.config[2] != 0);
}

static void fuzz_cpu_id(const char *text, size_t len)
{
	struct km_perf_event events[KM_PERF_CORE_EVENTS_MAX];
	struct km_perf_cpu_id id;
	enum km_perf_l3 l3;

	if (km_perf_cpu_id_parse(text, len, &id) != 0)
		return;
	check(id.vendor[0] != '\0' && memchr(id.vendor, '\0', sizeof(id.vendor)) != NULL);
	check(km_perf_core_events(&id, events, &l3) <= KM_PERF_CORE_EVENTS_MAX);
}

/* Two readings of a group, one behind the other. */
static void fuzz_reading(const uint8_t *bytes, size_t len, uint32_t count)
{
	double out[KM_PERF_GROUP_MAX];
	struct km_perf_reading before;
	struct km_perf_reading after;
	size_t half = len / 2;

	if (km_perf_reading_parse(bytes, half, count, &before) != 0 ||
	    km_perf_reading_parse(bytes + half, half, count, &after) != 0)
		return;
	if (km_perf_scale(&before, &after, count, out) == 0) {
		for (uint32_t i = 0; i < count; i++) {
			/* a 63-bit count in the least share of the time that is taken */
			check(out[i] >= 0 && out[i] <= 0x1p63 / KM_PERF_RUNNING_MIN_RATIO * 1.01);
		}
	} else {
		for (uint32_t i = 0; i < count; i++)
			check(isnan(out[i]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;
	uint64_t value = 0;

	if (size < 10)
		return 0;
	memcpy(&value, data + 1, sizeof(value));
	text = malloc(size - 9 + 1);
	if (text == NULL)
		abort();
	memcpy(text, data + 9, size - 9);
	text[size - 9] = '\0';
	switch (data[0] % 4) {
	case 0:
		fuzz_terms(text);
		(void)km_perf_unit_bytes(text);
		break;
	case 1:
		fuzz_format(text, value);
		break;
	case 2: {
		/* ends with the block: no NUL to stop at */
		char *exact = malloc(size - 9);

		if (exact == NULL)
			abort();
		memcpy(exact, text, size - 9);
		fuzz_cpu_id(exact, size - 9);
		free(exact);
		break;
	}
	default:
		fuzz_reading(data + 9, size - 9, data[1] % (KM_PERF_GROUP_MAX + 2));
	}
	free(text);
	return 0;
}
