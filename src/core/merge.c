/* SPDX-License-Identifier: Apache-2.0 */
/* The merge of one tick's samples. Rules are in the header; here is the arithmetic. */
#include "km/core/merge.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"

struct slot {
	struct km_sample_space space;
	int64_t last_end_ns; /* INT64_MIN = no sample yet */
	int64_t credit_ns;   /* how much longer the sample speaks for the source */
	bool missed;         /* the last tick */
};

struct km_merge {
	struct slot *slot; /* [source_count] */
	size_t source_count;
	struct km_sample_space out;
	bool started;
	int64_t end_ns; /* of the tick before */
};

int km_merge_create(size_t source_count, struct km_merge **out)
{
	struct km_merge *m = calloc(1, sizeof(*m));

	*out = NULL;
	if (m == NULL) {
		return -ENOMEM;
	}
	m->slot = calloc(source_count + 1, sizeof(m->slot[0]));
	if (m->slot == NULL) {
		free(m);
		return -ENOMEM;
	}
	m->source_count = source_count;
	for (size_t i = 0; i < source_count; i++) {
		km_merge_forget(m, i);
	}
	*out = m;
	return 0;
}

void km_merge_free(struct km_merge *m)
{
	if (m == NULL) {
		return;
	}
	for (size_t i = 0; i < m->source_count; i++) {
		km_sample_space_fini(&m->slot[i].space);
	}
	km_sample_space_fini(&m->out);
	free(m->slot);
	free(m);
}

void km_merge_forget(struct km_merge *m, size_t source)
{
	m->slot[source].last_end_ns = INT64_MIN;
	m->slot[source].credit_ns = 0;
}

int km_merge_take(struct km_merge *m, size_t source, const struct km_sample *sample,
                  const char **why)
{
	struct slot *slot = &m->slot[source];
	const char *reason = km_sample_implausible(sample);
	int64_t length_ns;

	if (reason == NULL && sample->cpu_count > KM_CPU_MAX) {
		reason = "too many CPUs";
	}
	if (reason == NULL && sample->end_ns <= slot->last_end_ns) {
		reason = "sample out of order";
	}
	if (reason != NULL) {
		if (why != NULL) {
			*why = reason;
		}
		return -EINVAL;
	}
	if (km_sample_space_reset(&slot->space, sample->cpu_count) != 0 ||
	    km_sample_space_nodes(&slot->space, sample->node_count) != 0) {
		slot->credit_ns = 0;
		return -ENOMEM;
	}
	if (sample->cpu_count > 0) {
		memcpy(slot->space.cpu, sample->cpu,
		       (size_t)sample->cpu_count * KM_COUNT_CPU_N * sizeof(sample->cpu[0]));
	}
	if (sample->node_count > 0) {
		memcpy(slot->space.node, sample->node,
		       (size_t)sample->node_count * KM_NODE_COUNT_N * sizeof(sample->node[0]));
	}
	memcpy(slot->space.sample.host, sample->host, sizeof(sample->host));
	slot->space.sample.start_ns = sample->start_ns;
	slot->space.sample.end_ns = sample->end_ns;
	slot->last_end_ns = sample->end_ns;
	length_ns = sample->end_ns - sample->start_ns;
	slot->credit_ns = length_ns < KM_MERGE_HOLD_MAX_NS ? length_ns : KM_MERGE_HOLD_MAX_NS;
	return 0;
}

/* Fills what is still NaN in `to` from `from`, scaled. */
static void fill(struct km_sample_space *to, const struct km_sample_space *from, double scale)
{
	size_t values = (size_t)from->sample.cpu_count * KM_COUNT_CPU_N;

	for (size_t i = 0; i < values; i++) {
		if (isnan(to->cpu[i])) {
			to->cpu[i] = from->cpu[i] * scale;
		}
	}
	values = (size_t)from->sample.node_count * KM_NODE_COUNT_N;
	for (size_t i = 0; i < values; i++) {
		if (isnan(to->node[i])) {
			to->node[i] = from->node[i] * scale;
		}
	}
	for (size_t h = 0; h < KM_HOST_COUNT_N; h++) {
		if (isnan(to->sample.host[h])) {
			to->sample.host[h] =
				from->sample.host[h] * (km_host_is_level[h] ? 1 : scale);
		}
	}
}

/* Does the slot's sample speak for a tick of this length? */
static bool speaks(const struct slot *slot, int64_t tick_ns)
{
	return slot->credit_ns > 0 && slot->credit_ns >= tick_ns / 2;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

const struct km_sample *km_merge_end(struct km_merge *m, int64_t now_ns)
{
	int64_t start_ns = m->end_ns;
	int64_t tick_ns = now_ns - start_ns;
	uint32_t cpus = 0;
	uint32_t nodes = 0;
	size_t speaking = 0;

	if (!m->started || tick_ns <= 0) {
		m->started = true;
		m->end_ns = now_ns;
		return NULL;
	}
	m->end_ns = now_ns;
	for (size_t i = 0; i < m->source_count; i++) {
		const struct slot *slot = &m->slot[i];

		m->slot[i].missed = !speaks(slot, tick_ns);
		if (!slot->missed) {
			speaking++;
			cpus = larger(cpus, slot->space.sample.cpu_count);
			nodes = larger(nodes, slot->space.sample.node_count);
		}
	}
	if (speaking == 0 || km_sample_space_reset(&m->out, cpus) != 0 ||
	    km_sample_space_nodes(&m->out, nodes) != 0) {
		return NULL;
	}
	m->out.sample.start_ns = start_ns;
	m->out.sample.end_ns = now_ns;
	for (size_t i = 0; i < m->source_count; i++) {
		struct slot *slot = &m->slot[i];
		const struct km_sample *s = &slot->space.sample;

		if (slot->missed) {
			continue;
		}
		fill(&m->out, &slot->space, (double)tick_ns / (double)(s->end_ns - s->start_ns));
		slot->credit_ns -= tick_ns;
	}
	return &m->out.sample;
}

bool km_merge_missed(const struct km_merge *m, size_t source)
{
	return m->slot[source].missed;
}
