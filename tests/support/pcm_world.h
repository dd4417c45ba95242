/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source "pcm" of one's own for a test: the real kubemarla-pcm or the fake one, the fake libpcm,
 * roots in a temporary directory, time that can be pushed ahead. Waits for what the helper does,
 * with a deadline.
 */
#ifndef TESTS_SUPPORT_PCM_WORLD_H
#define TESTS_SUPPORT_PCM_WORLD_H

#include "km/core/sample.h"
#include "km/sources/source.h"

#include "sources/pcm_internal.h"
#include "support/tree.h"

#define PCM_WORLD_CPUS    1024
#define PCM_WORLD_WAIT_MS 20000 /* far beyond what anything takes: a sanitizer, a busy machine */

struct pcm_world {
	struct tree tree; /* proc and sys are in it */
	struct km_live_settings live;
	struct km_source_settings settings;
	struct km_source_args args;
	struct km_source *source; /* NULL = not open */
	int64_t frozen_ns;        /* the time, not 0: instead of the clock's */
	int64_t ahead_ns;         /* of the clock */
	int64_t deadline_ns;      /* of the whole test, by the clock itself */

	int state; /* of the last read */
	struct km_err err;
	unsigned samples;
	struct km_sample last; /* its cpu is cpu below */
	double cpu[PCM_WORLD_CPUS * KM_COUNT_CPU_N];
};

/*
 * CPUs 0..cpus-1 present and online; processor a Sapphire Rapids; the fake libpcm does as `script`
 * says. helper_script NULL = the real helper.
 */
void pcm_world_init(struct pcm_world *w, unsigned cpus, const char *script,
                    const char *helper_script);
void pcm_world_fini(struct pcm_world *w);

/* The time as the source is told it. */
int64_t pcm_world_now(const struct pcm_world *w);

/* Probes; again when a busy machine did not answer in the second a probe has. */
int pcm_world_probe(struct pcm_world *w, struct km_source_offer *out);

/* Another text for a setting. */
void pcm_world_set(char **setting, const char *text);

/* Opens the source. returns what open() did. */
int pcm_world_open(struct pcm_world *w);
void pcm_world_close(struct pcm_world *w);

/* One read; samples are counted and the last one is kept. returns its state. */
int pcm_world_read(struct pcm_world *w);

/* Waits until the helper says something or ends, then reads. */
void pcm_world_step(struct pcm_world *w);

/* Steps until so many samples came, pushing time over back-offs. */
void pcm_world_until_samples(struct pcm_world *w, unsigned samples);

/* Steps until the source gives up; w->state and w->err say how. */
void pcm_world_until_absent(struct pcm_world *w);

void pcm_world_stats(const struct pcm_world *w, struct km_source_stats *out);

struct pcm_helper *pcm_world_helper(const struct pcm_world *w);

/* Of the last sample. */
double pcm_world_count(const struct pcm_world *w, unsigned cpu, enum km_count count);

#endif
