/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory controllers under perf: every PMU named uncore_imc*, by the events that sysfs describes.
 * Kernels name them by generation; one way of counting is taken for all controllers, so that no
 * byte is counted twice. Codes, scales and units are the kernel's.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "perf.h"
#include "sysdir.h"

#define PMUS_MAX   128
#define EVENTS_MAX 4

struct way {
	const char *read[2], *write[2]; /* NULL = one only */
	bool plain_cas;
};

/* Best first. */
static const struct way ways[] = {
	/* two schedulers a channel: Granite Rapids, Sierra Forest and kin */
	{ { "cas_count_read_sch0", "cas_count_read_sch1" },
	  { "cas_count_write_sch0", "cas_count_write_sch1" },
	  false },
	/* servers before those */
	{ { "cas_count_read", NULL }, { "cas_count_write", NULL }, true },
	/* desktops: their free-running counters */
	{ { "data_reads", NULL }, { "data_writes", NULL }, false },
	{ { "data_read", NULL }, { "data_write", NULL }, false },
};

struct found {
	const char *sysfs;
	struct km_perf_pmu *pmu; /* [PMUS_MAX] */
	size_t count;
};

/* One that cannot be read, or one too many, would make the sum too small. */
static int on_device(void *ctx, const char *name)
{
	static const char prefix[] = "uncore_imc";
	struct found *f = ctx;
	int ret;

	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0) {
		return 0;
	}
	if (f->count == PMUS_MAX) {
		return -E2BIG;
	}
	ret = km_perf_pmu_read(f->sysfs, name, &f->pmu[f->count], NULL);
	f->count += ret == 0;
	return ret;
}

/*
 * Events of one PMU counted this way. returns how many; 0 when it has none of them; -EBADMSG when
 * it has a part of them, or says something else.
 */
static int events_of(const char *sysfs, const struct km_perf_pmu *pmu, const struct way *way,
                     struct km_perf_event out[EVENTS_MAX])
{
	int missing = 0;
	int n = 0;

	for (size_t i = 0; i < EVENTS_MAX; i++) {
		const char *name = i < 2 ? way->read[i] : way->write[i - 2];
		int ret;

		if (name == NULL) {
			continue;
		}
		memset(&out[n], 0, sizeof(out[n]));
		out[n].role = i < 2 ? KM_PERF_READ_BYTES : KM_PERF_WRITE_BYTES;
		ret = km_perf_pmu_event(sysfs, pmu, name, true, &out[n], NULL);
		if (ret == -ENOENT) {
			missing++;
		} else if (ret != 0) {
			return -EBADMSG;
		} else {
			n++;
		}
	}
	return n > 0 && missing > 0 ? -EBADMSG : n;
}

/* One controller on one CPU (of each socket, as its cpumask says). returns 0 or negative errno. */
static int open_one(struct km_perf *p, unsigned cpu, const struct km_perf_event *events, size_t n)
{
	struct km_perf_set *grown = reallocarray(p->imc, p->imc_count + 1, sizeof(*grown));
	size_t opened = 0;
	int why;
	int ret;

	if (grown == NULL) {
		return -ENOMEM;
	}
	p->imc = grown;
	ret = km_perf_set_open(&p->budget, cpu, events, n, &grown[p->imc_count], &why);
	if (p->why == 0) {
		p->why = why;
	}
	if (ret != 0) {
		return ret;
	}
	p->imc_count++;
	for (uint32_t g = 0; g < grown[p->imc_count - 1].group_count; g++) {
		opened += grown[p->imc_count - 1].group[g].count;
	}
	return opened == n ? 0 : -ENOENT; /* a part would pass for the whole */
}

/* All controllers counted this way. returns how many, or a negative errno. */
static int open_way(struct km_perf *p, const struct found *f, const struct way *way)
{
	int opened = 0;

	for (size_t i = 0; i < f->count; i++) {
		struct km_perf_event events[EVENTS_MAX];
		int n = events_of(f->sysfs, &f->pmu[i], way, events);

		if (n < 0) {
			return n;
		}
		if (n == 0) {
			continue;
		}
		km_cpuset_each (cpu, &f->pmu[i].cpus) {
			int ret = open_one(p, cpu, events, (size_t)n);

			if (ret != 0) {
				return ret;
			}
			opened++;
			if (p->first_only) {
				return opened;
			}
		}
	}
	return opened;
}

static bool any_has(const struct found *f, const struct way *way)
{
	for (size_t i = 0; i < f->count; i++) {
		struct km_perf_event events[EVENTS_MAX];

		if (events_of(f->sysfs, &f->pmu[i], way, events) > 0) {
			return true;
		}
	}
	return false;
}

int km_perf_imcs_open(struct km_perf *p)
{
	struct found f = { .sysfs = p->sysfs };
	char path[PATH_MAX];
	int ret = km_sysdir_path(path, sizeof(path), "%s/bus/event_source/devices", p->sysfs);

	f.pmu = calloc(PMUS_MAX, sizeof(*f.pmu));
	if (f.pmu == NULL) {
		return -ENOMEM;
	}
	ret = ret == 0 ? km_sysdir_each(path, on_device, &f) : ret;
	p->imc_note = "";
	for (size_t w = 0; ret == 0 && w < KM_ARRAY_LEN(ways) && p->imc_count == 0; w++) {
		int opened;

		if (ways[w].plain_cas && km_perf_imc_is_halved(&p->id)) {
			if (any_has(&f, &ways[w])) {
				p->imc_note = ", uncore_imc counts one of two schedulers";
			}
			continue;
		}
		opened = open_way(p, &f, &ways[w]);
		if (opened < 0) { /* some of them are no sum */
			km_perf_imcs_close(p);
			ret = opened;
		}
	}
	if (ret != 0 && ret != -ENOENT) {
		p->imc_note = ", uncore_imc cannot be read";
	}
	if (p->imc_count > 0) {
		p->imc_roles = KM_PERF_BIT(KM_PERF_READ_BYTES) | KM_PERF_BIT(KM_PERF_WRITE_BYTES);
	}
	free(f.pmu);
	return ret == -ENOMEM ? ret : 0;
}

void km_perf_imcs_close(struct km_perf *p)
{
	for (size_t i = 0; i < p->imc_count; i++) {
		km_perf_set_close(&p->budget, &p->imc[i]);
	}
	free(p->imc);
	p->imc = NULL;
	p->imc_count = 0;
}

size_t km_perf_imcs_read(struct km_perf *p, int64_t now_ns)
{
	double read_bytes = 0;
	double write_bytes = 0;

	if (p->imc_roles == 0) {
		return 0;
	}
	if (p->imc_count == 0) {
		if (now_ns < p->imc_retry_ns) {
			return 0;
		}
		p->imc_retry_ns = now_ns + KM_PERF_RETRY_NS;
		if (km_perf_imcs_open(p) != 0 || p->imc_count == 0) {
			p->stats.fault[KM_FAULT_UNAVAILABLE]++;
			return 0;
		}
	}
	for (size_t i = 0; i < p->imc_count; i++) {
		struct km_perf_counts v;

		if (km_perf_set_read(p->sys, &p->imc[i], &v, &p->stats) != 0) {
			km_perf_imcs_close(p); /* and all are opened anew */
			return 0;
		}
		read_bytes += v.count[KM_PERF_READ_BYTES];
		write_bytes += v.count[KM_PERF_WRITE_BYTES];
	}
	p->space.sample.host[KM_HOST_MEM_READ_BYTES] = read_bytes;
	p->space.sample.host[KM_HOST_MEM_WRITE_BYTES] = write_bytes;
	return !isnan(read_bytes) || !isnan(write_bytes);
}
