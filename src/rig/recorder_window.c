/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace has columns for what was measured at least once, which only its last sample settles: so
 * samples are kept, and written at the end.
 */
#include "recorder_window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "km/rig/recorder.h"

int recorder_window_add(struct recorder_window *w, const struct km_sample *s, struct km_err *err)
{
	size_t cpu = (size_t)s->cpu_count * KM_COUNT_CPU_N;
	size_t node = (size_t)s->node_count * KM_NODE_COUNT_N;
	struct recorder_sample *kept;
	double *copy;

	if (w->values + cpu + node > KM_RECORDER_VALUES_MAX) {
		return km_err_set(err, E2BIG, "recorder: more than %u numbers in one window",
		                  KM_RECORDER_VALUES_MAX);
	}
	if (w->count == w->cap) {
		size_t cap = w->cap == 0 ? 64 : 2 * w->cap;
		void *grown = reallocarray(w->sample, cap, sizeof(*w->sample));

		if (grown == NULL) {
			return km_err_set(err, ENOMEM, "recorder: out of memory");
		}
		w->sample = grown;
		w->cap = cap;
	}
	copy = calloc(cpu + node + 1, sizeof(*copy));
	if (copy == NULL) {
		return km_err_set(err, ENOMEM, "recorder: out of memory");
	}
	if (cpu > 0) {
		memcpy(copy, s->cpu, cpu * sizeof(*copy));
	}
	if (node > 0) {
		memcpy(copy + cpu, s->node, node * sizeof(*copy));
	}
	kept = &w->sample[w->count++];
	*kept = (struct recorder_sample){ .sample = *s, .values = copy };
	kept->sample.cpu = copy;
	kept->sample.node = copy + cpu;
	w->values += cpu + node;
	km_trace_columns_add(&w->columns, &kept->sample);
	return 0;
}

int recorder_window_write(const struct recorder_window *w, struct km_buf *csv, struct km_err *err)
{
	km_trace_csv_header(&w->columns, csv);
	for (size_t i = 0; i < w->count; i++) {
		km_trace_csv_row(&w->columns, &w->sample[i].sample, csv);
	}
	return km_buf_ok(csv) ? 0 : km_err_set(err, ENOMEM, "recorder: out of memory");
}

void recorder_window_clear(struct recorder_window *w)
{
	struct km_trace_columns names = { .node_name = w->columns.node_name,
		                          .node_count = w->columns.node_count };

	for (size_t i = 0; i < w->count; i++) {
		free(w->sample[i].values);
	}
	free(w->sample);
	memset(w, 0, sizeof(*w));
	w->columns = names;
}
