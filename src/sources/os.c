/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source "os": the kernel's own accounting, on any Linux, without rights. Per CPU busy and
 * steal time from /proc/stat; of the host pressure (PSI), runnable tasks, context switches; of each
 * node with a control group the group's pressure and throttling. Every file is opened anew each
 * tick: a few microseconds, and files may come and go.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/sources/cgroup.h"

#include "os_parse.h"
#include "sources_internal.h"

#define BIT(n) (UINT32_C(1) << (n))

/* 1,024 CPUs print some 120 KB, and the interrupts' line as much again. */
#define STAT_BYTES_MAX     ((size_t)4 << 20)
#define PRESSURE_BYTES_MAX 4096
/* A stall longer than the interval by more than this is no jitter between two readings. */
#define STALL_SLACK 1.5

/* Pressure: the host's file and count, the group's file and count. */
static const struct {
	const char *file;
	enum km_host_count host;
	enum km_cgroup_file group_file;
	enum km_node_count node;
} pressures[] = {
	{ "cpu", KM_HOST_CPU_PSI_NS, KM_CGROUP_CPU_PRESSURE, KM_NODE_CPU_PSI_NS },
	{ "memory", KM_HOST_MEMORY_PSI_NS, KM_CGROUP_MEMORY_PRESSURE, KM_NODE_MEMORY_PSI_NS },
	{ "io", KM_HOST_IO_PSI_NS, KM_CGROUP_IO_PRESSURE, KM_NODE_IO_PSI_NS },
};
#define PRESSURES KM_ARRAY_LEN(pressures)

/* A counter as it was read last. */
struct counter {
	uint64_t value;
	bool known;
};

struct os_node {
	const char *name;
	const char *group; /* "" = none */
	struct counter stall_us[PRESSURES];
	struct counter throttled_ns;
	bool seen; /* some file of the group was read */
};

struct os {
	struct km_source base;
	char *procfs;
	const char *cgroupfs; /* borrowed, as are the nodes' names */
	struct os_node *node; /* [node_count] */
	uint32_t node_count;
	int64_t last_ns;               /* of the last read; 0 = no baseline yet */
	struct km_procstat stat, last; /* of this read and the one before */
	uint32_t cpu_count;            /* highest ever seen */
	struct counter stall_us[PRESSURES];
	struct km_sample_space space;
	struct km_buf text;
	struct km_source_stats stats;
};

static struct os *os_of(struct km_source *s)
{
	return (struct os *)s; /* base is the first member */
}

/* What was added since the value before; NaN without one. */
static double advance(struct os *o, struct counter *c, bool known, uint64_t now)
{
	double added = NAN;

	if (known && c->known && now >= c->value) {
		added = (double)(now - c->value);
	} else if (known && c->known) {
		o->stats.fault[KM_FAULT_BACKWARDS]++;
	} else if (!known && c->known) {
		o->stats.fault[KM_FAULT_VANISHED]++;
	}
	c->known = known;
	c->value = now;
	return added;
}

/* A stall of the interval: two files are not read at one instant, so a little over is all of it. */
static double stall(struct os *o, double added_ns, double elapsed_ns)
{
	if (added_ns > STALL_SLACK * elapsed_ns) {
		o->stats.fault[KM_FAULT_GARBLED]++;
		return NAN;
	}
	return added_ns > elapsed_ns ? elapsed_ns : added_ns;
}

static void count_garbled(struct os *o, const struct km_err *why)
{
	o->stats.fault[KM_FAULT_GARBLED]++;
	o->stats.bad_rows++;
	(void)snprintf(o->stats.last_bad, sizeof(o->stats.last_bad), "%.*s",
	               (int)sizeof(o->stats.last_bad) - 1, why->text);
}

/* returns 0, or the errno of a file that cannot be read or is none. */
static int read_stat(struct os *o, struct km_err *err)
{
	char path[PATH_MAX];
	int ret;

	(void)snprintf(path, sizeof(path), "%s/stat", o->procfs);
	ret = km_pseudo_read(path, STAT_BYTES_MAX, &o->text, err);
	if (ret == 0) {
		ret = km_procstat_parse(km_buf_cstr(&o->text), o->text.len, &o->stat, err);
		if (ret != 0) {
			(void)km_err_prefix(err, "%s", path);
		}
	}
	return ret;
}

static bool read_pressure(struct os *o, size_t i, uint64_t *some_us, struct km_err *why)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/pressure/%s", o->procfs, pressures[i].file);
	if (km_pseudo_read(path, PRESSURE_BYTES_MAX, &o->text, why) != 0) {
		return false;
	}
	return km_pressure_parse(km_buf_cstr(&o->text), o->text.len, some_us, why) == 0;
}

static bool read_group_pressure(struct os *o, const struct os_node *n, size_t i, uint64_t *some_us,
                                struct km_err *why)
{
	return n->group[0] != '\0' &&
	       km_cgroup_read(o->cgroupfs, n->group, pressures[i].group_file, &o->text, why) == 0 &&
	       km_pressure_parse(km_buf_cstr(&o->text), o->text.len, some_us, why) == 0;
}

static bool read_throttled(struct os *o, const struct os_node *n, uint64_t *throttled_ns,
                           struct km_err *why)
{
	return n->group[0] != '\0' &&
	       km_cgroup_read(o->cgroupfs, n->group, KM_CGROUP_CPU_STAT, &o->text, why) == 0 &&
	       km_throttled_parse(km_buf_cstr(&o->text), o->text.len, throttled_ns, why) == 0;
}

/* One CPU's share of the interval. Ticks are coarse, so the share is of what the CPU accounted. */
static void measure_cpu(struct os *o, uint32_t cpu, double elapsed_ns)
{
	const struct km_procstat_cpu *now = &o->stat.cpu[cpu];
	const struct km_procstat_cpu *then = &o->last.cpu[cpu];
	double *out = o->space.cpu + (size_t)cpu * KM_COUNT_CPU_N;
	double total;

	if (!now->online || !then->online) {
		o->stats.fault[KM_FAULT_VANISHED] += then->online;
		return;
	}
	if (now->busy < then->busy || now->idle < then->idle || now->steal < then->steal) {
		o->stats.fault[KM_FAULT_BACKWARDS]++;
		return;
	}
	total = (double)(now->busy - then->busy) + (double)(now->idle - then->idle) +
	        (double)(now->steal - then->steal);
	if (total > 0) {
		out[KM_COUNT_BUSY_NS] = (double)(now->busy - then->busy) / total * elapsed_ns;
		out[KM_COUNT_STEAL_NS] = (double)(now->steal - then->steal) / total * elapsed_ns;
	}
}

static void measure_host(struct os *o, double elapsed_ns)
{
	double *host = o->space.sample.host;

	for (size_t i = 0; i < PRESSURES; i++) {
		struct km_err why = { .code = 0 };
		uint64_t some_us = 0;
		bool known = read_pressure(o, i, &some_us, &why);

		host[pressures[i].host] =
			stall(o, advance(o, &o->stall_us[i], known, some_us) * 1e3, elapsed_ns);
		if (why.code == EBADMSG) {
			count_garbled(o, &why);
		}
	}
	if (o->stat.has_running) {
		/* whoever reads the file runs: that is us */
		host[KM_HOST_RUNNABLE] = o->stat.running > 0 ? (double)(o->stat.running - 1) : 0;
	}
	if (o->stat.has_switches && o->last.has_switches) {
		struct counter switches = { o->last.switches, true };

		host[KM_HOST_CONTEXT_SWITCHES] = advance(o, &switches, true, o->stat.switches);
	}
}

static void measure_node(struct os *o, uint32_t node, double elapsed_ns)
{
	struct os_node *n = &o->node[node];
	double *out = o->space.node + (size_t)node * KM_NODE_COUNT_N;
	struct km_err why = { .code = 0 };
	uint64_t value = 0;
	bool any = false;
	bool known;

	for (size_t i = 0; i < PRESSURES; i++) {
		known = read_group_pressure(o, n, i, &value, &why);
		any = any || known;
		out[pressures[i].node] =
			stall(o, advance(o, &n->stall_us[i], known, value) * 1e3, elapsed_ns);
	}
	known = read_throttled(o, n, &value, &why);
	out[KM_NODE_THROTTLED_NS] = advance(o, &n->throttled_ns, known, value);
	n->seen = any || known;
	if (why.code == EBADMSG) {
		count_garbled(o, &why);
	}
}

/* What a person should know: how many CPUs are offline, and whose group is not there. */
static void note_state(struct os *o)
{
	unsigned offline = 0;
	const char *lost = NULL;
	char *note = o->stats.note;
	size_t size = sizeof(o->stats.note);
	int at = 0;

	for (uint32_t cpu = 0; cpu < o->cpu_count; cpu++) {
		offline += !o->stat.cpu[cpu].online;
	}
	for (uint32_t i = 0; i < o->node_count && lost == NULL; i++) {
		if (o->node[i].group[0] != '\0' && !o->node[i].seen) {
			lost = o->node[i].name;
		}
	}
	note[0] = '\0';
	if (offline > 0) {
		at = snprintf(note, size, "%u of %u CPUs offline%s", offline, o->cpu_count,
		              lost != NULL ? "; " : "");
	}
	if (lost != NULL && at >= 0 && (size_t)at < size) {
		(void)snprintf(note + at, size - (size_t)at, "node %.40s: no control group", lost);
	}
}

static int os_read(struct km_source *s, int64_t now_ns, km_sample_fn *emit, void *ctx,
                   struct km_err *err)
{
	struct os *o = os_of(s);
	double elapsed_ns = (double)(now_ns - o->last_ns);
	struct km_err why = { .code = 0 };
	int ret = read_stat(o, &why);

	if (ret == -EBADMSG) {
		count_garbled(o, &why);
		memset(&o->stat, 0, sizeof(o->stat));
	} else if (ret != 0) {
		if (err != NULL) {
			*err = why;
		}
		return ret;
	}
	if (o->stat.cpu_count > o->cpu_count) {
		o->cpu_count = o->stat.cpu_count;
	}
	if (km_sample_space_reset(&o->space, o->cpu_count) != 0 ||
	    km_sample_space_nodes(&o->space, o->node_count) != 0) {
		return km_err_set(err, ENOMEM, "os: out of memory");
	}
	for (uint32_t cpu = 0; ret == 0 && cpu < o->cpu_count; cpu++) {
		measure_cpu(o, cpu, elapsed_ns);
	}
	measure_host(o, elapsed_ns);
	for (uint32_t i = 0; i < o->node_count; i++) {
		measure_node(o, i, elapsed_ns);
	}
	note_state(o);
	o->space.sample.start_ns = o->last_ns;
	o->space.sample.end_ns = now_ns;
	o->last = o->stat;
	if (o->last_ns != 0 && now_ns > o->last_ns) {
		o->stats.rows++;
		emit(ctx, &o->space.sample);
	}
	o->last_ns = now_ns;
	return KM_SOURCE_LIVE;
}

static void os_close(struct km_source *s)
{
	struct os *o = os_of(s);

	km_sample_space_fini(&o->space);
	km_buf_fini(&o->text);
	free(o->node);
	free(o->procfs);
	free(o);
}

static void os_stats(const struct km_source *s, struct km_source_stats *out)
{
	*out = ((const struct os *)s)->stats;
}

/* Everything is NaN until there is a baseline. */
static int os_open(const struct km_source_args *args, struct km_source **out, struct km_err *err)
{
	struct os *o = calloc(1, sizeof(*o));
	int ret;

	*out = NULL;
	if (o == NULL) {
		return km_err_set(err, ENOMEM, "os: out of memory");
	}
	km_buf_init(&o->text);
	o->procfs = strdup(args->live->procfs);
	o->cgroupfs = args->live->cgroupfs;
	o->node = calloc(args->node_count + 1, sizeof(o->node[0]));
	if (o->procfs == NULL || o->node == NULL) {
		os_close(&o->base);
		return km_err_set(err, ENOMEM, "os: out of memory");
	}
	o->node_count = (uint32_t)args->node_count;
	for (size_t i = 0; i < args->node_count; i++) {
		o->node[i].name = args->node[i]->name;
		o->node[i].group = args->node[i]->cgroup != NULL ? args->node[i]->cgroup : "";
	}
	ret = read_stat(o, err);
	if (ret != 0) {
		os_close(&o->base);
		return ret;
	}
	*out = &o->base;
	return 0;
}

static uint32_t offered_by_node(struct os *o, const struct os_node *n)
{
	struct km_err why;
	uint64_t value;
	uint32_t bits = 0;

	for (size_t i = 0; i < PRESSURES; i++) {
		bits |= read_group_pressure(o, n, i, &value, &why) ? BIT(pressures[i].node) : 0;
	}
	bits |= read_throttled(o, n, &value, &why) ? BIT(KM_NODE_THROTTLED_NS) : 0;
	return bits;
}

static int os_probe(const struct km_source_args *args, struct km_source_offer *out,
                    struct km_err *err)
{
	struct km_source *s;
	struct os *o;
	struct km_err why = { .code = 0 };
	uint64_t value;
	int ret = os_open(args, &s, err);

	if (ret != 0) {
		return ret;
	}
	o = os_of(s);
	out->cpu = BIT(KM_COUNT_BUSY_NS) | BIT(KM_COUNT_STEAL_NS);
	out->host = (o->stat.has_running ? BIT(KM_HOST_RUNNABLE) : 0) |
	            (o->stat.has_switches ? BIT(KM_HOST_CONTEXT_SWITCHES) : 0);
	for (size_t i = 0; i < PRESSURES; i++) {
		out->host |= read_pressure(o, i, &value, &why) ? BIT(pressures[i].host) : 0;
	}
	for (uint32_t i = 0; i < o->node_count; i++) {
		uint32_t bits = offered_by_node(o, &o->node[i]);

		o->node[i].seen = bits != 0;
		out->node |= bits;
	}
	if ((out->host & BIT(KM_HOST_CPU_PSI_NS)) == 0) {
		(void)snprintf(out->note, sizeof(out->note), "no pressure: %.70s", why.text);
	} else {
		o->cpu_count = o->stat.cpu_count;
		note_state(o);
		(void)snprintf(out->note, sizeof(out->note), "%s", o->stats.note);
	}
	os_close(s);
	return 0;
}

const struct km_source_ops km_source_os = {
	.name = "os",
	.help = "the kernel's own accounting: /proc/stat, PSI, control groups",
	.live = true,
	.probe = os_probe,
	.open = os_open,
	.read = os_read,
	.close = os_close,
	.stats = os_stats,
};
