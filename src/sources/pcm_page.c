/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads pcm-sensor-server's page. Counters are labelled by socket, core and thread as PCM numbers
 * them; the series OS_ID, of the same labels, says which logical CPU each of them is.
 */
#include "pcm_page.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/cpuset.h"

#include "counter.h"
#include "prom_text.h"

/* What is behind a name: a total of CPUs, of the host, or one of the special ones. */
enum what { WHAT_CPU, WHAT_HOST, WHAT_CSTATE, WHAT_OS_ID, WHAT_CLOCK };

struct series {
	const char *name;
	enum what what;
	int index;
	const char *source; /* its label "source" */
};

static const struct series series[] = {
	{ "RawCStateResidency", WHAT_CSTATE, 0, "core" },
	{ "Instructions_Retired_Any", WHAT_CPU, KM_PAGE_INSTRUCTIONS, "core" },
	{ "Clock_Unhalted_Thread", WHAT_CPU, KM_PAGE_CYCLES, "core" },
	{ "Clock_Unhalted_Ref", WHAT_CPU, KM_PAGE_REF_CYCLES, "core" },
	{ "Invariant_TSC", WHAT_CPU, KM_PAGE_TSC, "core" },
	{ "L2_Cache_Misses", WHAT_CPU, KM_PAGE_L2_MISS, "core" },
	{ "L3_Cache_Misses", WHAT_CPU, KM_PAGE_L3_MISS, "core" },
	{ "DRAM_Reads", WHAT_HOST, KM_PAGE_READ_BYTES, "uncore" },
	{ "DRAM_Writes", WHAT_HOST, KM_PAGE_WRITE_BYTES, "uncore" },
	{ "Local_Memory_Bandwidth", WHAT_HOST, KM_PAGE_LOCAL_MIB, "core" },
	{ "Remote_Memory_Bandwidth", WHAT_HOST, KM_PAGE_REMOTE_MIB, "core" },
	{ "L3_Cache_Occupancy", WHAT_HOST, KM_PAGE_L3_KIB, "core" },
	{ "OS_ID", WHAT_OS_ID, 0, NULL },
	{ "Measurement_Interval_in_us", WHAT_CLOCK, 0, NULL },
};

/* Socket, core and thread in one number, and the logical CPU that has them. */
struct place {
	uint64_t key;
	unsigned cpu;
	bool ambiguous;
};

struct reading {
	struct km_pcm_page *page;
	struct place place[KM_CPU_MAX]; /* sorted by key */
	size_t place_count;
	size_t last; /* where the line before found its place: the next is likely the same */
	double system[KM_PAGE_HOST_TOTAL_N], sockets[KM_PAGE_HOST_TOTAL_N];
};

static const struct series *find_series(const struct km_prom_text *name)
{
	for (size_t i = 0; i < KM_ARRAY_LEN(series); i++) {
		if (km_prom_is(name, series[i].name)) {
			return &series[i];
		}
	}
	return NULL;
}

/* returns false when the labels are not those of one logical CPU. */
static bool place_key(const struct km_prom_sample *s, uint64_t *key)
{
	static const char *const names[] = { "socket", "core", "thread" };

	*key = 0;
	for (size_t i = 0; i < KM_ARRAY_LEN(names); i++) {
		const struct km_prom_text *text = km_prom_label(s, names[i]);
		uint64_t part = 0;

		if (text == NULL || km_counter_parse(text->at, text->len, &part) != 0 ||
		    part > UINT16_MAX) {
			return false;
		}
		*key = *key << 16 | part;
	}
	return true;
}

static int by_key(const void *a, const void *b)
{
	uint64_t x = ((const struct place *)a)->key;
	uint64_t y = ((const struct place *)b)->key;

	return (x > y) - (x < y);
}

/* The places that OS_ID names. A CPU, or a place, that is named twice differently has none. */
static void find_places(struct reading *r, const char *at, const char *end)
{
	size_t owner[KM_CPU_MAX];
	struct km_prom_line line;
	struct km_prom_sample s;
	int next;

	while ((next = km_prom_next(&at, end, &line)) != 0) {
		uint64_t key;

		if (next < 0 || !km_prom_is(&line.name, "OS_ID")) {
			continue;
		}
		if (km_prom_parse(&line, &s) != 0 || !place_key(&s, &key)) {
			r->page->bad_lines++;
			continue;
		}
		/* -1 is a thread that was offline when PCM began */
		if (!(s.value >= 0 && s.value < KM_CPU_MAX) || s.value != floor(s.value) ||
		    r->place_count == KM_CPU_MAX) {
			continue;
		}
		r->place[r->place_count++] = (struct place){ key, (unsigned)s.value, false };
	}
	qsort(r->place, r->place_count, sizeof(r->place[0]), by_key);
	for (unsigned cpu = 0; cpu < KM_CPU_MAX; cpu++) {
		owner[cpu] = SIZE_MAX;
	}
	for (size_t i = 0; i < r->place_count; i++) {
		struct place *p = &r->place[i];

		if (i > 0 && r->place[i - 1].key == p->key) {
			r->place[i - 1].ambiguous = true;
			p->ambiguous = true;
		}
		if (owner[p->cpu] != SIZE_MAX) {
			r->place[owner[p->cpu]].ambiguous = true;
			p->ambiguous = true;
		}
		owner[p->cpu] = i;
	}
}

/* returns the CPU's row, or NULL. */
static double *row_of(struct reading *r, const struct km_prom_sample *s)
{
	struct place wanted = { .key = 0 };
	const struct place *found;

	if (!place_key(s, &wanted.key)) {
		return NULL; /* an aggregate */
	}
	if (r->last < r->place_count && r->place[r->last].key == wanted.key) {
		found = &r->place[r->last];
	} else {
		found = bsearch(&wanted, r->place, r->place_count, sizeof(wanted), by_key);
	}
	if (found == NULL) {
		return NULL;
	}
	r->last = (size_t)(found - r->place);
	return found->ambiguous ? NULL : r->page->total + (size_t)found->cpu * KM_PAGE_TOTAL_N;
}

static void take_cpu(struct reading *r, const struct km_prom_sample *s, int total)
{
	double *row = row_of(r, s);

	if (row == NULL) {
		return;
	}
	row[total] = s->value;
	r->page->measured[total] = r->page->measured[total] || s->value > 0;
}

/* Raw residency by state: 0 is C0 once more, 1 is not counted by itself. */
static void take_cstate(struct reading *r, const struct km_prom_sample *s)
{
	const struct km_prom_text *text = km_prom_label(s, "index");
	uint64_t state = 0;
	double *row;

	if (text == NULL || km_counter_parse(text->at, text->len, &state) != 0) {
		r->page->bad_lines++;
		return;
	}
	if (state == 6) {
		take_cpu(r, s, KM_PAGE_C6);
		return;
	}
	row = state >= 2 ? row_of(r, s) : NULL;
	if (row != NULL) {
		row[KM_PAGE_C_DEEP] =
			(isnan(row[KM_PAGE_C_DEEP]) ? 0 : row[KM_PAGE_C_DEEP]) + s->value;
	}
}

/* The system's own line, and the sockets' in case it has none. */
static void take_host(struct reading *r, const struct km_prom_sample *s, int total)
{
	const struct km_prom_text *aggregate = km_prom_label(s, "aggregate");
	bool of_socket = km_prom_label(s, "socket") != NULL && km_prom_label(s, "core") == NULL;

	if (aggregate != NULL && km_prom_is(aggregate, "system")) {
		r->system[total] = s->value;
	} else if (of_socket) {
		r->sockets[total] = (isnan(r->sockets[total]) ? 0 : r->sockets[total]) + s->value;
	}
}

static void take_line(struct reading *r, const struct km_prom_line *line)
{
	const struct series *what = find_series(&line->name);
	const struct km_prom_text *source;
	struct km_prom_sample s;

	if (what == NULL || what->what == WHAT_OS_ID) {
		return;
	}
	if (km_prom_parse(line, &s) != 0 || !(s.value >= 0 && isfinite(s.value))) {
		r->page->bad_lines++;
		return;
	}
	source = km_prom_label(&s, "source");
	if (what->source != NULL && (source == NULL || !km_prom_is(source, what->source))) {
		return; /* package C-states have the name of a core's */
	}
	switch (what->what) {
	case WHAT_CPU:
		take_cpu(r, &s, what->index);
		break;
	case WHAT_CSTATE:
		take_cstate(r, &s);
		break;
	case WHAT_HOST:
		take_host(r, &s, what->index);
		break;
	default:
		r->page->clock_us = s.value;
	}
}

static int make_rows(struct reading *r)
{
	struct km_pcm_page *page = r->page;
	uint32_t cpus = 0;
	size_t values;

	for (size_t i = 0; i < r->place_count; i++) {
		cpus = r->place[i].cpu >= cpus ? r->place[i].cpu + 1 : cpus;
		page->ambiguous += r->place[i].ambiguous;
	}
	values = (size_t)cpus * KM_PAGE_TOTAL_N;
	if (cpus > page->cpu_cap) {
		double *grown = reallocarray(page->total, values, sizeof(*grown));

		if (grown == NULL) {
			return -ENOMEM;
		}
		page->total = grown;
		page->cpu_cap = cpus;
	}
	for (size_t i = 0; i < values; i++) {
		page->total[i] = NAN;
	}
	page->cpu_count = cpus;
	return 0;
}

int km_pcm_page_parse(struct km_pcm_page *page, const char *text, size_t len, struct km_err *err)
{
	const char *at = text;
	const char *end = text + len;
	struct reading *r = calloc(1, sizeof(*r));
	struct km_prom_line line;
	int next;
	int ret = 0;

	if (r == NULL) {
		(void)km_err_set(err, ENOMEM, "out of memory");
		return -ENOMEM;
	}
	r->page = page;
	page->clock_us = NAN;
	page->bad_lines = 0;
	page->ambiguous = 0;
	memset(page->measured, 0, sizeof(page->measured));
	for (size_t h = 0; h < KM_PAGE_HOST_TOTAL_N; h++) {
		r->system[h] = NAN;
		r->sockets[h] = NAN;
	}
	find_places(r, at, end);
	ret = make_rows(r);
	if (ret != 0) {
		(void)km_err_set(err, ENOMEM, "out of memory");
	} else if (page->cpu_count == 0) {
		ret = km_err_set(err, EBADMSG,
		                 "no series OS_ID in %zu bytes: not a page of pcm-sensor-server",
		                 len);
	}
	while (ret == 0 && (next = km_prom_next(&at, end, &line)) != 0) {
		if (next > 0) {
			take_line(r, &line);
		}
	}
	for (size_t h = 0; h < KM_PAGE_HOST_TOTAL_N; h++) {
		double v = isnan(r->system[h]) ? r->sockets[h] : r->system[h];

		page->host[h] = v > 0 ? v : NAN;
	}
	free(r);
	return ret;
}

void km_pcm_page_fini(struct km_pcm_page *page)
{
	free(page->total);
	memset(page, 0, sizeof(*page));
}
