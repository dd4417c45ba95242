/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns of our own traces: one table of names for writing and reading. A node's name may hold
 * dots, a count's never does: the last dot parts them.
 */
#include "trace_columns.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/cpuset.h"
#include "km/base/num.h"

#define BIT(n) (UINT32_C(1) << (n))
#define TIMES  "start_ns,end_ns"

static const char *const cpu_names[KM_COUNT_CPU_N] = {
	[KM_COUNT_INSTRUCTIONS] = "instructions",
	[KM_COUNT_CYCLES] = "cycles",
	[KM_COUNT_IPC_NS] = "ipc_ns",
	[KM_COUNT_IPC_WEIGHT_NS] = "ipc_weight_ns",
	[KM_COUNT_L2_MISS] = "l2_misses",
	[KM_COUNT_L3_MISS] = "l3_misses",
	[KM_COUNT_C0_NS] = "c0_ns",
	[KM_COUNT_C1_NS] = "c1_ns",
	[KM_COUNT_C6_NS] = "c6_ns",
	[KM_COUNT_BUSY_NS] = "busy_ns",
	[KM_COUNT_STEAL_NS] = "steal_ns",
	[KM_COUNT_CONTEXT_SWITCHES] = "context_switches",
};

static const char *const host_names[KM_HOST_COUNT_N] = {
	[KM_HOST_MEM_READ_BYTES] = "mem_read_bytes",
	[KM_HOST_MEM_WRITE_BYTES] = "mem_write_bytes",
	[KM_HOST_L3_OCCUPANCY_BYTES] = "l3_occupancy_bytes",
	[KM_HOST_MBM_TOTAL_BYTES] = "mbm_total_bytes",
	[KM_HOST_MBM_LOCAL_BYTES] = "mbm_local_bytes",
	[KM_HOST_CPU_PSI_NS] = "cpu_psi_ns",
	[KM_HOST_MEMORY_PSI_NS] = "memory_psi_ns",
	[KM_HOST_IO_PSI_NS] = "io_psi_ns",
	[KM_HOST_RUNNABLE] = "runnable_tasks",
	[KM_HOST_CONTEXT_SWITCHES] = "context_switches",
};

static const char *const node_names[KM_NODE_COUNT_N] = {
	[KM_NODE_CPU_PSI_NS] = "cpu_psi_ns",
	[KM_NODE_MEMORY_PSI_NS] = "memory_psi_ns",
	[KM_NODE_IO_PSI_NS] = "io_psi_ns",
	[KM_NODE_THROTTLED_NS] = "throttled_ns",
};

/* Which of the counts, repeated row after row, were measured in some row. */
static uint32_t measured(const double *v, uint32_t rows, unsigned counts)
{
	uint32_t bits = 0;

	for (uint32_t r = 0; r < rows; r++) {
		for (unsigned i = 0; i < counts; i++) {
			bits |= isnan(v[(size_t)r * counts + i]) ? 0 : BIT(i);
		}
	}
	return bits;
}

void km_trace_columns_add(struct km_trace_columns *c, const struct km_sample *s)
{
	uint32_t nodes = s->node_count < c->node_count ? s->node_count : c->node_count;

	c->cpu |= measured(s->cpu, s->cpu_count, KM_COUNT_CPU_N);
	c->host |= measured(s->host, 1, KM_HOST_COUNT_N);
	c->node |= measured(s->node, nodes, KM_NODE_COUNT_N);
	c->cpu_count = s->cpu_count > c->cpu_count ? s->cpu_count : c->cpu_count;
}

/* CPUs of which nothing was measured have a column too: how many there are is known by it. */
static uint32_t cpu_bits(const struct km_trace_columns *c)
{
	return c->cpu != 0 ? c->cpu : BIT(KM_COUNT_BUSY_NS);
}

static void add_names(struct km_buf *out, uint32_t bits, const char *const *names,
                      const char *prefix, const char *of)
{
	for (unsigned i = 0; bits >> i != 0; i++) {
		if ((bits & BIT(i)) != 0) {
			km_buf_printf(out, ",%s%s.%s", prefix, of, names[i]);
		}
	}
}

void km_trace_csv_header(const struct km_trace_columns *c, struct km_buf *out)
{
	km_buf_str(out, TIMES);
	for (uint32_t cpu = 0; cpu < c->cpu_count; cpu++) {
		char number[12];

		(void)snprintf(number, sizeof(number), "%u", cpu);
		add_names(out, cpu_bits(c), cpu_names, "cpu", number);
	}
	add_names(out, c->host, host_names, "", "host");
	for (uint32_t node = 0; node < c->node_count; node++) {
		add_names(out, c->node, node_names, "node.", c->node_name[node]);
	}
	km_buf_char(out, '\n');
}

/* values NULL: there are none. */
static void add_values(struct km_buf *out, uint32_t bits, const double *values)
{
	for (unsigned i = 0; bits >> i != 0; i++) {
		if ((bits & BIT(i)) == 0) {
			continue;
		}
		km_buf_char(out, ',');
		if (values != NULL && !isnan(values[i])) {
			km_buf_double(out, values[i]);
		}
	}
}

void km_trace_csv_row(const struct km_trace_columns *c, const struct km_sample *s,
                      struct km_buf *out)
{
	km_buf_int(out, s->start_ns);
	km_buf_char(out, ',');
	km_buf_int(out, s->end_ns);
	for (uint32_t i = 0; i < c->cpu_count; i++) {
		add_values(out, cpu_bits(c),
		           i < s->cpu_count ? s->cpu + (size_t)i * KM_COUNT_CPU_N : NULL);
	}
	add_values(out, c->host, s->host);
	for (uint32_t i = 0; i < c->node_count; i++) {
		add_values(out, c->node,
		           i < s->node_count ? s->node + (size_t)i * KM_NODE_COUNT_N : NULL);
	}
	km_buf_char(out, '\n');
}

bool km_trace_csv_is_header(const char *line, size_t len)
{
	return len > sizeof(TIMES) && memcmp(line, TIMES ",", sizeof(TIMES)) == 0;
}

bool trace_next_cell(const char **at, const char *end, const char **cell, size_t *len)
{
	const char *comma;

	if (*at == NULL) {
		return false;
	}
	comma = memchr(*at, ',', (size_t)(end - *at));
	*cell = *at;
	*len = (size_t)((comma != NULL ? comma : end) - *at);
	*at = comma != NULL ? comma + 1 : NULL;
	return true;
}

/* returns the index of a name, or `count`. */
static unsigned find(const char *const *names, unsigned count, const char *text, size_t len)
{
	unsigned i = 0;

	while (i < count && (strlen(names[i]) != len || memcmp(names[i], text, len) != 0)) {
		i++;
	}
	return i;
}

static bool starts(const char *text, size_t len, const char *with)
{
	return len >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

/* The node's row, made at its first column. */
static int node_index(struct trace_header *h, const char *name, size_t len, uint16_t *index,
                      struct km_err *err)
{
	void *grown;

	for (uint32_t i = 0; i < h->node_count; i++) {
		if (strlen(h->node_name[i]) == len && memcmp(h->node_name[i], name, len) == 0) {
			*index = (uint16_t)i;
			return 0;
		}
	}
	if (len == 0 || len >= TRACE_NAME_MAX || memchr(name, '\0', len) != NULL) {
		return km_err_set(err, EBADMSG, "trace header: a node's name of %zu bytes", len);
	}
	if (h->node_count == KM_TRACE_NODES_MAX) {
		return km_err_set(err, E2BIG, "trace header: more than %d nodes",
		                  KM_TRACE_NODES_MAX);
	}
	grown = reallocarray(h->node_name, h->node_count + 1, sizeof(h->node_name[0]));
	if (grown == NULL) {
		return km_err_set(err, ENOMEM, "trace header: out of memory");
	}
	h->node_name = grown;
	memcpy(h->node_name[h->node_count], name, len);
	h->node_name[h->node_count][len] = '\0';
	*index = (uint16_t)h->node_count++;
	return 0;
}

static int cpu_index(struct trace_header *h, const char *number, size_t len, uint16_t *index,
                     struct km_err *err)
{
	int64_t cpu = -1;

	if (km_num_int(number, len, &cpu) != 0 || cpu < 0) {
		return km_err_set(err, EBADMSG, "trace header: cpu\"%.*s\", want a number",
		                  (int)(len < 20 ? len : 20), number);
	}
	if (cpu >= KM_CPU_MAX) {
		return km_err_set(err, E2BIG, "trace header: CPU number over %d", KM_CPU_MAX - 1);
	}
	*index = (uint16_t)cpu;
	if (cpu >= h->cpu_count) {
		h->cpu_count = (uint32_t)cpu + 1;
	}
	return 0;
}

/* "cpu3.busy_ns": whose count it is. What is of no kind or count that we know is skipped. */
static int parse_column(struct trace_header *h, const char *name, size_t len,
                        struct trace_column *c, struct km_err *err)
{
	const char *dot = memrchr(name, '.', len);
	size_t whose = dot != NULL ? (size_t)(dot - name) : 0;
	const char *count = dot != NULL ? dot + 1 : name;
	size_t count_len = len - (size_t)(count - name);
	unsigned i;

	memset(c, 0, sizeof(*c));
	if (dot == NULL) {
		return 0;
	}
	if (whose == 4 && memcmp(name, "host", 4) == 0) {
		i = find(host_names, KM_HOST_COUNT_N, count, count_len);
		c->of = i < KM_HOST_COUNT_N ? TRACE_HOST : TRACE_SKIP;
		c->count = (uint8_t)i;
		return 0;
	}
	if (starts(name, whose, "node.")) {
		i = find(node_names, KM_NODE_COUNT_N, count, count_len);
		c->of = i < KM_NODE_COUNT_N ? TRACE_NODE : TRACE_SKIP;
		c->count = (uint8_t)i;
		return c->of == TRACE_SKIP ? 0 : node_index(h, name + 5, whose - 5, &c->index, err);
	}
	i = find(cpu_names, KM_COUNT_CPU_N, count, count_len);
	if (starts(name, whose, "cpu") && i < KM_COUNT_CPU_N) {
		c->of = TRACE_CPU;
		c->count = (uint8_t)i;
		return cpu_index(h, name + 3, whose - 3, &c->index, err);
	}
	return 0;
}

static int by_place(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct trace_column));
}

/* Some column is known, and none is there twice. */
static int check(const struct trace_header *h, struct km_err *err)
{
	struct trace_column *sorted = calloc(h->column_count + 1, sizeof(*sorted));
	bool any = false;
	int ret = 0;

	if (sorted == NULL) {
		return km_err_set(err, ENOMEM, "trace header: out of memory");
	}
	memcpy(sorted, h->column, h->column_count * sizeof(*sorted));
	qsort(sorted, h->column_count, sizeof(*sorted), by_place);
	for (uint32_t i = 0; i < h->column_count && ret == 0; i++) {
		any = any || sorted[i].of != TRACE_SKIP;
		if (i > 0 && sorted[i].of != TRACE_SKIP &&
		    by_place(&sorted[i], &sorted[i - 1]) == 0) {
			ret = km_err_set(err, EBADMSG, "trace header: a column is there twice");
		}
	}
	if (ret == 0 && !any) {
		ret = km_err_set(err, EBADMSG,
		                 "trace header: no column that is known (cpu0.busy_ns, "
		                 "host.cpu_psi_ns, ...)");
	}
	free(sorted);
	return ret;
}

int trace_header_parse(struct trace_header *h, const char *line, size_t len, struct km_err *err)
{
	const char *end = line + len;
	const char *at = line + sizeof(TIMES);
	const char *name;
	size_t name_len;
	size_t count = 0;
	int ret = 0;

	trace_header_fini(h);
	for (const char *c = at; c < end; c++) {
		count += *c == ',';
	}
	if (count >= TRACE_COLUMNS_MAX) {
		return km_err_set(err, E2BIG, "trace header: %zu columns, at most %d", count,
		                  TRACE_COLUMNS_MAX);
	}
	h->column = calloc(count + 1, sizeof(*h->column));
	if (h->column == NULL) {
		return km_err_set(err, ENOMEM, "trace header: out of memory");
	}
	while (ret == 0 && trace_next_cell(&at, end, &name, &name_len)) {
		ret = parse_column(h, name, name_len, &h->column[h->column_count++], err);
	}
	return ret == 0 ? check(h, err) : ret;
}

void trace_header_fini(struct trace_header *h)
{
	free(h->column);
	free(h->node_name);
	memset(h, 0, sizeof(*h));
}
