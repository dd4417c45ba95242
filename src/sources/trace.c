/* SPDX-License-Identifier: Apache-2.0 */
/* A trace of either kind, told apart by its first line. */
#include "km/sources/trace.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/sources/pcm_csv.h"

/* One is made when the first line tells which. */
struct km_trace {
	struct km_pcm_csv *pcm;
	struct km_trace_csv *own;
	double interval_s;
};

int km_trace_create(struct km_trace **out)
{
	*out = calloc(1, sizeof(**out));
	return *out != NULL ? 0 : -ENOMEM;
}

void km_trace_free(struct km_trace *t)
{
	if (t == NULL) {
		return;
	}
	km_pcm_csv_free(t->pcm);
	km_trace_csv_free(t->own);
	free(t);
}

static bool is_blank(const char *line, size_t len)
{
	return len == 0 || (len == 1 && line[0] == '\r');
}

static int tell_kind(struct km_trace *t, const char *line, size_t len, struct km_err *err)
{
	int ret = km_trace_csv_is_header(line, len) ? km_trace_csv_create(&t->own)
	                                            : km_pcm_csv_create(&t->pcm);

	if (ret != 0) {
		return km_err_set(err, ENOMEM, "trace: out of memory");
	}
	if (t->pcm != NULL) {
		km_pcm_csv_set_interval(t->pcm, t->interval_s);
	}
	return 0;
}

static enum km_trace_row of_pcm(enum km_pcm_row row)
{
	switch (row) {
	case KM_PCM_ROW_SAMPLE:
		return KM_TRACE_ROW_SAMPLE;
	case KM_PCM_ROW_REPEATED:
		return KM_TRACE_ROW_REPEATED;
	case KM_PCM_ROW_BAD:
		return KM_TRACE_ROW_BAD;
	case KM_PCM_ROW_NONE:
		break;
	}
	return KM_TRACE_ROW_NONE;
}

int km_trace_line(struct km_trace *t, const char *line, size_t len, struct km_sample *sample,
                  struct km_err *err)
{
	int row;

	if (t->pcm == NULL && t->own == NULL) {
		if (is_blank(line, len)) {
			return KM_TRACE_ROW_NONE;
		}
		row = tell_kind(t, line, len, err);
		if (row != 0) {
			return row;
		}
	}
	if (t->own != NULL) {
		return km_trace_csv_line(t->own, line, len, sample, err);
	}
	row = km_pcm_csv_line(t->pcm, line, len, sample, err);
	return row < 0 ? row : (int)of_pcm((enum km_pcm_row)row);
}

void km_trace_restart(struct km_trace *t)
{
	if (t->pcm != NULL) {
		km_pcm_csv_restart(t->pcm);
	}
	if (t->own != NULL) {
		km_trace_csv_restart(t->own);
	}
}

void km_trace_set_interval(struct km_trace *t, double interval_s)
{
	t->interval_s = interval_s;
	if (t->pcm != NULL) {
		km_pcm_csv_set_interval(t->pcm, interval_s);
	}
}

bool km_trace_has_header(const struct km_trace *t)
{
	return t->own != NULL ? km_trace_csv_has_header(t->own)
	                      : t->pcm != NULL && km_pcm_csv_cpu_count(t->pcm) > 0;
}

bool km_trace_is_whole(const struct km_trace *t)
{
	return t->own != NULL;
}

size_t km_trace_node_count(const struct km_trace *t)
{
	return t->own != NULL ? km_trace_csv_node_count(t->own) : 0;
}

const char *km_trace_node_name(const struct km_trace *t, size_t node)
{
	return km_trace_csv_node_name(t->own, node);
}

void km_trace_node_rows(const struct km_trace *t, const struct km_sample *sample,
                        const char *const *name, size_t count, double *out)
{
	for (size_t i = 0; i < count * KM_NODE_COUNT_N; i++) {
		out[i] = NAN;
	}
	for (uint32_t from = 0; from < sample->node_count; from++) {
		for (size_t to = 0; to < count; to++) {
			if (strcmp(km_trace_node_name(t, from), name[to]) == 0) {
				memcpy(out + to * KM_NODE_COUNT_N,
				       sample->node + (size_t)from * KM_NODE_COUNT_N,
				       KM_NODE_COUNT_N * sizeof(*out));
			}
		}
	}
}
