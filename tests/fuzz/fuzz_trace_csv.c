/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace of either kind, any bytes, as replay and datasets read it. Looks for crashes, for samples
 * whose time goes back, and for samples of our own kind that do not read back what they were.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/sources/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition) {
		abort();
	}
}

static void must_be_same(const double *a, const double *b, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		must((isnan(a[i]) && isnan(b[i])) ||
		     (a[i] == b[i] && signbit(a[i]) == signbit(b[i])));
	}
}

static void write_and_read(const struct km_trace *t, const struct km_sample *s)
{
	const char *name[KM_TRACE_NODES_MAX];
	struct km_trace_columns columns = { .node_name = name, .node_count = s->node_count };
	struct km_trace_csv *own = NULL;
	struct km_sample back;
	struct km_buf text;
	const char *newline;

	for (uint32_t i = 0; i < s->node_count; i++) {
		name[i] = km_trace_node_name(t, i);
	}
	km_buf_init(&text);
	km_trace_columns_add(&columns, s);
	km_trace_csv_header(&columns, &text);
	km_trace_csv_row(&columns, s, &text);
	newline = memchr(text.data, '\n', text.len);
	must(km_buf_ok(&text) && newline != NULL && km_trace_csv_create(&own) == 0);
	if (columns.cpu_count > 0 || columns.host != 0 || columns.node != 0) {
		must(km_trace_csv_line(own, text.data, (size_t)(newline - text.data), &back,
		                       NULL) == KM_TRACE_ROW_NONE);
		must(km_trace_csv_line(own, newline + 1,
		                       text.len - (size_t)(newline + 1 - text.data) - 1, &back,
		                       NULL) == KM_TRACE_ROW_SAMPLE);
		must(back.start_ns == s->start_ns && back.end_ns == s->end_ns &&
		     back.cpu_count == s->cpu_count);
		must_be_same(back.cpu, s->cpu, (size_t)s->cpu_count * KM_COUNT_CPU_N);
		must_be_same(back.host, s->host, KM_HOST_COUNT_N);
		if (columns.node != 0) {
			must(back.node_count == s->node_count);
			must_be_same(back.node, s->node, (size_t)s->node_count * KM_NODE_COUNT_N);
		}
	}
	km_trace_csv_free(own);
	km_buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data;
	const char *end = at + size;
	struct km_trace *t = NULL;
	int64_t last_end_ns = INT64_MIN;

	must(km_trace_create(&t) == 0);
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline != NULL ? newline : end;
		struct km_sample sample;
		struct km_err err = { .code = 0 };
		int row = km_trace_line(t, at, (size_t)(stop - at), &sample, &err);

		must(row <= KM_TRACE_ROW_BAD);
		must((row >= 0 && row != KM_TRACE_ROW_BAD) || err.text[0] != '\0');
		if (row < 0) {
			break;
		}
		if (row == KM_TRACE_ROW_SAMPLE) {
			must(sample.end_ns > last_end_ns && sample.end_ns > sample.start_ns);
			last_end_ns = sample.end_ns;
			write_and_read(t, &sample);
		}
		at = newline != NULL ? newline + 1 : end;
	}
	km_trace_free(t);
	return 0;
}
