/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading our own traces: a row's cells go where its header says. A row is taken whole or not at
 * all; what it means (whether a count is possible) is judged where samples are judged.
 */
#include "km/sources/trace_csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"
#include "km/base/num.h"

#include "trace_columns.h"

struct km_trace_csv {
	struct trace_header header;
	bool have_header, have_time;
	int64_t last_end_ns;
	uint64_t last_hash; /* of the line */
	struct km_sample_space space;
};

int km_trace_csv_create(struct km_trace_csv **out)
{
	*out = calloc(1, sizeof(**out));
	return *out != NULL ? 0 : -ENOMEM;
}

void km_trace_csv_free(struct km_trace_csv *t)
{
	if (t == NULL) {
		return;
	}
	trace_header_fini(&t->header);
	km_sample_space_fini(&t->space);
	free(t);
}

void km_trace_csv_restart(struct km_trace_csv *t)
{
	t->have_time = false;
}

bool km_trace_csv_has_header(const struct km_trace_csv *t)
{
	return t->have_header;
}

size_t km_trace_csv_node_count(const struct km_trace_csv *t)
{
	return t->header.node_count;
}

const char *km_trace_csv_node_name(const struct km_trace_csv *t, size_t node)
{
	return t->header.node_name[node];
}

static int bad_cell(struct km_err *err, uint32_t column, const char *cell, size_t len,
                    const char *want)
{
	return km_err_set(err, EBADMSG, "column %u: saw \"%.*s\", want %s", column,
	                  (int)(len < 40 ? len : 40), cell, want);
}

static double *place(struct km_trace_csv *t, const struct trace_column *c)
{
	switch ((enum trace_of)c->of) {
	case TRACE_CPU:
		return &t->space.cpu[(size_t)c->index * KM_COUNT_CPU_N + c->count];
	case TRACE_NODE:
		return &t->space.node[(size_t)c->index * KM_NODE_COUNT_N + c->count];
	case TRACE_HOST:
		return &t->space.sample.host[c->count];
	case TRACE_SKIP:
		break;
	}
	return NULL;
}

static int take_times(struct km_trace_csv *t, const char **at, const char *end, struct km_err *err)
{
	int64_t *const times[] = { &t->space.sample.start_ns, &t->space.sample.end_ns };
	const char *cell;
	size_t len;

	for (uint32_t i = 0; i < 2; i++) {
		if (!trace_next_cell(at, end, &cell, &len)) {
			return km_err_set(err, EBADMSG, "%u cells, want %u", i,
			                  t->header.column_count + 2);
		}
		if (km_num_int(cell, len, times[i]) != 0) {
			return bad_cell(err, i + 1, cell, len, "nanoseconds");
		}
	}
	if (t->space.sample.end_ns <= t->space.sample.start_ns) {
		return km_err_set(err, EBADMSG, "ends at %lld ns, not after its start",
		                  (long long)t->space.sample.end_ns);
	}
	return 0;
}

static int take_cells(struct km_trace_csv *t, const char *at, const char *end, struct km_err *err)
{
	const struct trace_header *h = &t->header;
	const char *cell;
	size_t len;
	uint32_t i = 0;

	for (; trace_next_cell(&at, end, &cell, &len); i++) {
		double *to = i < h->column_count ? place(t, &h->column[i]) : NULL;

		if (to != NULL && len > 0 && km_num_double(cell, len, to) != 0) {
			return bad_cell(err, i + 3, cell, len, "a number, or nothing");
		}
	}
	return i == h->column_count ? 0
	                            : km_err_set(err, EBADMSG, "%u cells, want the header's %u",
	                                         i + 2, h->column_count + 2);
}

static int take_row(struct km_trace_csv *t, const char *line, size_t len, struct km_sample *sample,
                    struct km_err *err)
{
	const char *at = line;
	const char *end = line + len;
	uint64_t hash = km_hash64(line, len, 0);

	if (km_sample_space_reset(&t->space, t->header.cpu_count) != 0 ||
	    km_sample_space_nodes(&t->space, t->header.node_count) != 0) {
		return km_err_set(err, ENOMEM, "trace: out of memory");
	}
	if (take_times(t, &at, end, err) != 0 || take_cells(t, at, end, err) != 0) {
		return KM_TRACE_ROW_BAD;
	}
	if (t->have_time && t->space.sample.end_ns == t->last_end_ns && hash == t->last_hash) {
		return KM_TRACE_ROW_REPEATED;
	}
	if (t->have_time && t->space.sample.end_ns <= t->last_end_ns) {
		(void)km_err_set(err, EBADMSG, "ends at %lld ns, not after the row before",
		                 (long long)t->space.sample.end_ns);
		return KM_TRACE_ROW_BAD;
	}
	t->have_time = true;
	t->last_end_ns = t->space.sample.end_ns;
	t->last_hash = hash;
	*sample = t->space.sample;
	return KM_TRACE_ROW_SAMPLE;
}

int km_trace_csv_line(struct km_trace_csv *t, const char *line, size_t len,
                      struct km_sample *sample, struct km_err *err)
{
	int ret;

	if (len > 0 && line[len - 1] == '\r') {
		len--;
	}
	if (len == 0) {
		return KM_TRACE_ROW_NONE;
	}
	if (km_trace_csv_is_header(line, len)) {
		ret = trace_header_parse(&t->header, line, len, err);
		t->have_header = ret == 0;
		return ret == 0 ? KM_TRACE_ROW_NONE : ret;
	}
	if (!t->have_header) {
		return km_err_set(err, EBADMSG, "no header of a trace (start_ns,end_ns,...)");
	}
	return take_row(t, line, len, sample, err);
}
