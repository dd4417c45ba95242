/* SPDX-License-Identifier: Apache-2.0 */
/* Inside rig: the samples of one window, kept until it is known which columns they need. */
#ifndef KM_RIG_RECORDER_WINDOW_H
#define KM_RIG_RECORDER_WINDOW_H

#include "km/base/err.h"
#include "km/sources/trace_csv.h"

struct recorder_sample {
	struct km_sample sample;
	double *values; /* what it points at */
};

struct recorder_window {
	struct km_trace_columns columns;
	struct recorder_sample *sample; /* [count] */
	size_t count, cap;
	size_t values; /* numbers kept, of all samples */
};

/* Copies a sample. returns 0, -E2BIG, -ENOMEM. */
int recorder_window_add(struct recorder_window *w, const struct km_sample *s,
                        struct km_err *err) KM_MUST_CHECK;

/* Appends the trace. returns 0 or -ENOMEM. */
int recorder_window_write(const struct recorder_window *w, struct km_buf *csv,
                          struct km_err *err) KM_MUST_CHECK;

/* Forgets the samples; names of nodes stay. */
void recorder_window_clear(struct recorder_window *w);

#endif
