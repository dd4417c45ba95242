/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel PCM through libpcm, in the helper kubemarla-pcm or a thread of ours: what was counted
 * between two readings becomes a sample. Cycles, instructions, L2 and L3 misses of each CPU;
 * libpcm's C interface has neither C-states nor bandwidth.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/clock.h"

#include "pcm_internal.h"
#include "sources_internal.h"

/* Beyond it a difference is a counter that wrapped or ran backwards; as core/sample.c has it. */
#define COUNT_PER_S_MAX 1e11
#define IPC_MAX         16
/* The helper's clock is ours; a reading from the future is none. */
#define CLOCK_SLACK_NS (1 * KM_NS_PER_S)

static struct pcm *pcm_of(struct km_source *s)
{
	return (struct pcm *)s;
}

#define BIT(n) (UINT32_C(1) << (n))

static uint32_t offered(uint32_t counted)
{
	return BIT(KM_COUNT_CYCLES) | BIT(KM_COUNT_INSTRUCTIONS) |
	       ((counted & KM_PCM_HAS_L2) != 0 ? BIT(KM_COUNT_L2_MISS) : 0) |
	       ((counted & KM_PCM_HAS_L3) != 0 ? BIT(KM_COUNT_L3_MISS) : 0);
}

/* Looks at this process's own chances only: loading libpcm would leave it loaded. */
static int probe_thread(struct km_source_offer *out, struct km_err *err)
{
	struct km_pcm_events events;
	struct km_pcm_cpu cpu;
	int ret;

	km_pcm_cpu_identify(&cpu);
	ret = km_pcm_events_find(&cpu, &events, err);
	if (ret == 0) {
		ret = km_libpcm_environment_check(err);
	}
	if (ret != 0) {
		return ret;
	}
	out->cpu = offered((events.l2_slots != 0 ? KM_PCM_HAS_L2 : 0U) |
	                   (events.l3_slots != 0 ? KM_PCM_HAS_L3 : 0U));
	(void)snprintf(out->note, sizeof(out->note), "%.40s; whether there is a libpcm: at start",
	               events.family);
	return 0;
}

static int pcm_probe(const struct km_source_args *args, struct km_source_offer *out,
                     struct km_err *err)
{
	struct km_pcm_message m;
	int ret;

	if (args->live->pcm_isolation_process) {
		ret = pcm_helper_check(args, &m, err);
		if (ret == 0) {
			out->cpu = offered(m.counted);
			(void)snprintf(out->note, sizeof(out->note), "%.*s",
			               (int)sizeof(out->note) - 1, m.text);
		}
	} else {
		ret = probe_thread(out, err);
	}
	out->owns_pmu = ret == 0;
	return ret;
}

static void pcm_close(struct km_source *s)
{
	struct pcm *p = pcm_of(s);

	if (p->helper != NULL) {
		pcm_helper_close(p->helper);
	}
	pcm_worker_close(p->worker);
	km_sample_space_fini(&p->space);
	free(p->helper);
	free(p->last);
	free(p->now);
	free(p);
}

static int pcm_open(const struct km_source_args *args, struct km_source **out, struct km_err *err)
{
	struct pcm *p = calloc(1, sizeof(*p));
	int ret;

	*out = NULL;
	if (p == NULL) {
		return km_err_set(err, ENOMEM, "pcm: out of memory");
	}
	p->process = args->live->pcm_isolation_process;
	p->last = calloc(1, sizeof(*p->last));
	p->now = calloc(1, sizeof(*p->now));
	p->helper = p->process ? calloc(1, sizeof(*p->helper)) : NULL;
	if (p->last == NULL || p->now == NULL || (p->process && p->helper == NULL)) {
		ret = km_err_set(err, ENOMEM, "pcm: out of memory");
	} else if (p->process) {
		ret = pcm_helper_open(p->helper, args, &p->stats, err);
	} else {
		ret = pcm_worker_open(args, &p->stats, &p->worker, err);
	}
	if (ret != 0) {
		pcm_close(&p->base);
		return ret;
	}
	*out = &p->base;
	return 0;
}

/* The difference of two counts, which are modulo 2^64; NaN when it cannot be one. */
static double counted(uint64_t before, uint64_t now, double max, bool *backwards)
{
	double v = (double)(now - before);

	if (v > max) {
		*backwards = true;
		return NAN;
	}
	return v;
}

static void fill_cpu(struct pcm *p, uint32_t cpu, double elapsed_s)
{
	const struct km_pcm_counts *before = &p->last->cpu[cpu];
	const struct km_pcm_counts *now = &p->now->cpu[cpu];
	double *to = p->space.cpu + (size_t)cpu * KM_COUNT_CPU_N;
	uint32_t known = p->last->counted & p->now->counted;
	double max = COUNT_PER_S_MAX * elapsed_s;
	bool backwards = false;

	to[KM_COUNT_CYCLES] = counted(before->cycles, now->cycles, max, &backwards);
	to[KM_COUNT_INSTRUCTIONS] =
		counted(before->instructions, now->instructions, max, &backwards);
	if ((known & KM_PCM_HAS_L2) != 0) {
		to[KM_COUNT_L2_MISS] = counted(before->l2_miss, now->l2_miss, max, &backwards);
	}
	if ((known & KM_PCM_HAS_L3) != 0) {
		to[KM_COUNT_L3_MISS] = counted(before->l3_miss, now->l3_miss, max, &backwards);
	}
	if (backwards) {
		p->stats.fault[KM_FAULT_BACKWARDS]++;
	} else if (to[KM_COUNT_INSTRUCTIONS] > IPC_MAX * to[KM_COUNT_CYCLES]) {
		/* else the merge would drop the other CPUs with it */
		p->stats.fault[KM_FAULT_GARBLED]++;
		to[KM_COUNT_CYCLES] = NAN;
		to[KM_COUNT_INSTRUCTIONS] = NAN;
	}
}

static void emit_between(struct pcm *p, km_sample_fn *emit, void *ctx)
{
	double elapsed_s = (double)(p->now->time_ns - p->last->time_ns) * 1e-9;

	if (km_sample_space_reset(&p->space, p->now->cpu_count) != 0) {
		return; /* no memory: not measured */
	}
	p->space.sample.start_ns = p->last->time_ns;
	p->space.sample.end_ns = p->now->time_ns;
	for (uint32_t cpu = 0; cpu < p->now->cpu_count; cpu++) {
		bool was = km_cpuset_has(&p->last->measured, cpu);
		bool is = km_cpuset_has(&p->now->measured, cpu);

		if (was && is) {
			fill_cpu(p, cpu, elapsed_s);
		} else if (was) {
			p->stats.fault[KM_FAULT_VANISHED]++;
		}
	}
	p->stats.rows++;
	emit(ctx, &p->space.sample);
}

/* A reading has come: a sample if there was one before it of the same run, and the next baseline.
 */
static void take_reading(struct pcm *p, int64_t now_ns, km_sample_fn *emit, void *ctx)
{
	struct km_pcm_reading *used = p->last;
	bool same_run = p->has_last && p->now->run == p->last->run;

	if (p->now->time_ns > now_ns + CLOCK_SLACK_NS ||
	    (p->has_last && p->now->time_ns <= p->last->time_ns)) {
		p->stats.fault[KM_FAULT_GARBLED]++;
		p->stats.bad_rows++;
		(void)snprintf(p->stats.last_bad, sizeof(p->stats.last_bad),
		               "a reading from another time");
		return;
	}
	if (same_run && p->now->cpu_count == p->last->cpu_count) {
		emit_between(p, emit, ctx);
	}
	p->last = p->now;
	p->now = used;
	p->has_last = true;
}

static int pcm_read(struct km_source *s, int64_t now_ns, km_sample_fn *emit, void *ctx,
                    struct km_err *err)
{
	struct pcm *p = pcm_of(s);
	bool fresh = false;
	int state = p->process ? pcm_helper_poll(p->helper, now_ns, p->now, &fresh, err)
	                       : pcm_worker_poll(p->worker, now_ns, p->now, &fresh, err);

	if (fresh) {
		take_reading(p, now_ns, emit, ctx);
	}
	return state;
}

static void pcm_stats(const struct km_source *s, struct km_source_stats *out)
{
	const struct pcm *p = (const struct pcm *)s;
	uint32_t missing = 0;

	*out = p->stats;
	if (!p->has_last) {
		return;
	}
	missing = p->last->cpu_count - km_cpuset_count(&p->last->measured);
	if (missing > 0) {
		(void)snprintf(out->note, sizeof(out->note), "%u of %u CPUs not measured; %.50s",
		               missing, p->last->cpu_count, p->stats.note);
	}
}

const struct km_source_ops km_source_pcm = {
	.name = "pcm",
	.help = "Intel PCM through libpcm, in the helper kubemarla-pcm",
	.live = true,
	.probe = pcm_probe,
	.open = pcm_open,
	.read = pcm_read,
	.close = pcm_close,
	.stats = pcm_stats,
};
