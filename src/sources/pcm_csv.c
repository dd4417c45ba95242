/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCM's rows: counts of one interval each. The header is pcm_csv_header.c's business; here is time
 * (intervals, gaps, clocks that step) and the doubt about rows (partial, repeated, unreadable).
 */
#include "km/sources/pcm_csv.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"
#include "km/base/num.h"
#include "km/core/ring.h"

#include "sources_internal.h"

/* PCM's own words, or a shell's, may come before the header when output was captured whole. */
#define NOISE_LINES_MAX 32

/* A row this many usual intervals after the last one follows a gap: it covers only one of them. */
#define GAP_INTERVALS   3.0
#define INTERVAL_MEMORY 15

/*
 * A row is partial when its C-states account for less than 0.97 of the least that the last seven
 * rows accounted for. Chosen on 1,624 real traces: it takes 98 % of their last rows, which PCM
 * writes while it is being stopped, and 0.004 % of the others. The absolute sum tells nothing: it
 * is 45-100 % throughout a trace, depending on idle states that PCM cannot see.
 */
#define PARTIAL_RATIO    0.97
#define PARTIAL_MEMORY   7
#define PARTIAL_ROWS_MIN 3

/* What PCM prints for an uncore count that it does not have: (uint64_t)-1 / 1e9. */
#define ABSENT_GB 1e10

/* Years up to 2100 plus this fit into 63 bits: a hostile clock cannot overflow the sum. */
#define SHIFT_NS_MAX (INT64_C(1) << 62)

struct km_pcm_csv {
	struct km_pcm_header header;
	struct km_buf domains; /* first line of a two-line header, until the second comes */
	bool have_domains, have_header;
	uint32_t noise_lines;
	double *cpu; /* [header.cpu_count][KM_COUNT_CPU_N] */

	bool have_time;     /* the next row covers the time since prev_ns */
	bool have_floor;    /* prev_ns is a row's time, which the next may not go below */
	bool lost_row;      /* a row without readable time lies between */
	int64_t prev_ns;    /* as printed */
	int64_t shift_ns;   /* printed + shift = emitted: grows when the clock steps back */
	uint64_t prev_hash; /* of the line */
	double declared_s;
	struct km_ring interval_s; /* last distances between rows */
	struct km_ring accounted;  /* last sums of residencies, 1 = the whole interval */
};

/* One row as printed; NaN where absent. Core values go straight into p->cpu. */
struct row {
	struct km_pcm_text date, time;
	double read, write; /* GB */
	double socket_read, socket_write;
	double l3occ_kb;
};

int km_pcm_csv_create(struct km_pcm_csv **out)
{
	struct km_pcm_csv *p = calloc(1, sizeof(*p));

	*out = NULL;
	if (p == NULL) {
		return -ENOMEM;
	}
	km_buf_init(&p->domains);
	if (km_ring_init(&p->interval_s, INTERVAL_MEMORY) != 0 ||
	    km_ring_init(&p->accounted, PARTIAL_MEMORY) != 0) {
		km_pcm_csv_free(p);
		return -ENOMEM;
	}
	*out = p;
	return 0;
}

void km_pcm_csv_free(struct km_pcm_csv *p)
{
	if (p == NULL) {
		return;
	}
	km_ring_fini(&p->accounted);
	km_ring_fini(&p->interval_s);
	km_pcm_header_fini(&p->header);
	km_buf_fini(&p->domains);
	free(p->cpu);
	free(p);
}

void km_pcm_csv_restart(struct km_pcm_csv *p)
{
	p->have_time = false;
	p->have_floor = false;
	p->lost_row = false;
	p->shift_ns = 0;
}

void km_pcm_csv_set_interval(struct km_pcm_csv *p, double interval_s)
{
	p->declared_s = interval_s > 0 && interval_s <= KM_PCM_CSV_INTERVAL_MAX_S ? interval_s : 0;
}

uint32_t km_pcm_csv_cpu_count(const struct km_pcm_csv *p)
{
	return p->have_header ? p->header.cpu_count : 0;
}

static int take_header(struct km_pcm_csv *p, const char *line, size_t len, struct km_err *err)
{
	double *cpu;
	int ret;

	ret = km_pcm_header_parse(&p->header, p->have_domains ? &p->domains : NULL, line, len, err);
	p->have_domains = false;
	p->have_header = false;
	if (ret != 0) {
		return ret;
	}
	cpu = reallocarray(p->cpu, (size_t)p->header.cpu_count + 1, KM_COUNT_CPU_N * sizeof(*cpu));
	if (cpu == NULL) {
		return km_err_set(err, ENOMEM, "PCM header: out of memory");
	}
	p->cpu = cpu;
	p->have_header = true;
	/* PCM was started anew: the row to come covers no time that we know of */
	p->have_time = false;
	p->lost_row = false;
	return KM_PCM_ROW_NONE;
}

/* returns 0 and the number, NaN for what PCM prints when it has none; -EINVAL for anything else. */
static int parse_value(struct km_pcm_text t, double *out)
{
	if (t.len == 0 || (t.len == 3 && memcmp(t.at, "N/A", 3) == 0)) {
		*out = NAN;
		return 0;
	}
	return km_num_double(t.at, t.len, out);
}

static void add_known(double *sum, double v)
{
	*sum = isnan(*sum) ? v : isnan(v) ? *sum : *sum + v;
}

/*
 * Puts a value where it belongs, still in PCM's units. The count slots are borrowed for that:
 * residencies in percent and misses in millions until the interval is known (scale_cpu).
 */
static void store(struct km_pcm_csv *p, const struct km_pcm_column *c, double v, struct row *row)
{
	double *count = p->cpu + (size_t)c->cpu * KM_COUNT_CPU_N;

	switch ((enum km_pcm_field)c->field) {
	case KM_PCM_IPC:
		/* -1: no active cycles */
		count[KM_COUNT_IPC_NS] = v == -1 ? NAN : v;
		break;
	case KM_PCM_L3MISS:
		count[KM_COUNT_L3_MISS] = v;
		break;
	case KM_PCM_L2MISS:
		count[KM_COUNT_L2_MISS] = v;
		break;
	case KM_PCM_C0:
		count[KM_COUNT_C0_NS] = v;
		break;
	case KM_PCM_C1:
		count[KM_COUNT_C1_NS] = v;
		break;
	case KM_PCM_C6:
		count[KM_COUNT_C6_NS] = v;
		break;
	case KM_PCM_C_OTHER:
		add_known(&count[KM_COUNT_BUSY_NS], v); /* free slot: PCM has no OS accounting */
		break;
	case KM_PCM_INST:
		count[KM_COUNT_INSTRUCTIONS] = v;
		break;
	case KM_PCM_ACYC:
		count[KM_COUNT_CYCLES] = v;
		break;
	case KM_PCM_READ:
		row->read = v;
		break;
	case KM_PCM_WRITE:
		row->write = v;
		break;
	case KM_PCM_SOCKET_READ:
		add_known(&row->socket_read, v);
		break;
	case KM_PCM_SOCKET_WRITE:
		add_known(&row->socket_write, v);
		break;
	case KM_PCM_SOCKET_L3OCC:
		add_known(&row->l3occ_kb, v);
		break;
	default:
		break;
	}
}

static int split_row(struct km_pcm_csv *p, const char *line, size_t len, struct row *row,
                     struct km_err *err)
{
	const struct km_pcm_header *h = &p->header;
	const char *at = line;
	const char *end = line + len;
	struct km_pcm_text t;
	uint32_t i = 0;

	for (; i < h->column_count && km_pcm_next_field(&at, end, h->separator, &t); i++) {
		const struct km_pcm_column *c = &h->column[i];
		double v;

		switch (c->field) {
		case KM_PCM_SKIP:
			continue;
		case KM_PCM_DATE:
			row->date = t;
			continue;
		case KM_PCM_TIME:
			row->time = t;
			continue;
		default:
			break;
		}
		if (parse_value(t, &v) != 0) {
			return km_err_set(err, EBADMSG, "column %u: \"%.*s\", wanted a number",
			                  i + 1, (int)(t.len < 24 ? t.len : 24), t.at);
		}
		store(p, c, v, row);
	}
	if (i < h->column_count) {
		return km_err_set(err, EBADMSG, "%u fields, the header names %u", i,
		                  h->column_count);
	}
	while (km_pcm_next_field(&at, end, h->separator, &t)) {
		if (t.len > 0) {
			return km_err_set(err, EBADMSG, "more than the %u fields of the header",
			                  h->column_count);
		}
	}
	return 0;
}

/* Share of the interval that a row's C-states account for, mean over cores; NaN = cannot say. */
static double accounted_ratio(const struct km_pcm_csv *p)
{
	double sum = 0;
	uint32_t cores = 0;

	if (!p->header.has[KM_PCM_C0] ||
	    !(p->header.has[KM_PCM_C1] || p->header.has[KM_PCM_C_OTHER])) {
		return NAN;
	}
	for (uint32_t cpu = 0; cpu < p->header.cpu_count; cpu++) {
		const double *count = p->cpu + (size_t)cpu * KM_COUNT_CPU_N;
		double all = count[KM_COUNT_C0_NS];

		add_known(&all, count[KM_COUNT_C1_NS]);
		add_known(&all, count[KM_COUNT_C6_NS]);
		add_known(&all, count[KM_COUNT_BUSY_NS]);
		if (!isnan(all)) {
			sum += all / 100;
			cores++;
		}
	}
	return cores == 0 ? NAN : sum / cores;
}

/* returns true when the row is partial. Every row joins the memory: a lasting change is no error.
 */
static bool is_partial(struct km_pcm_csv *p, struct km_err *err)
{
	double ratio = accounted_ratio(p);
	double least = km_ring_min(&p->accounted);
	bool partial = p->accounted.count >= PARTIAL_ROWS_MIN && ratio < PARTIAL_RATIO * least;

	if (isfinite(ratio)) {
		km_ring_push(&p->accounted, ratio);
	}
	if (partial) {
		km_err_set(err, EBADMSG,
		           "partial row: C-states make up %.1f %% of it, %.1f %% or more before",
		           100 * ratio, 100 * least);
	}
	return partial;
}

/* From PCM's units to counts of the interval. */
static void scale_cpu(double *count, double interval_s)
{
	double interval_ns = interval_s * 1e9;
	double percent_ns = interval_ns / 100;
	double weight_ns;

	count[KM_COUNT_C0_NS] *= percent_ns;
	count[KM_COUNT_C1_NS] *= percent_ns;
	count[KM_COUNT_C6_NS] *= percent_ns;
	count[KM_COUNT_BUSY_NS] = NAN;
	count[KM_COUNT_L2_MISS] *= 1e6;
	count[KM_COUNT_L3_MISS] *= 1e6;
	count[KM_COUNT_INSTRUCTIONS] *= 1e6;
	count[KM_COUNT_CYCLES] *= 1e6;
	weight_ns = isnan(count[KM_COUNT_C0_NS]) ? interval_ns : count[KM_COUNT_C0_NS];
	if (!isnan(count[KM_COUNT_IPC_NS])) {
		count[KM_COUNT_IPC_NS] *= weight_ns;
		count[KM_COUNT_IPC_WEIGHT_NS] = weight_ns;
	}
}

static double gb_to_bytes(double system, double sockets)
{
	double gb = isnan(system) || system >= ABSENT_GB ? sockets : system;

	return gb >= ABSENT_GB ? NAN : gb * 1e9;
}

static void fill_sample(struct km_pcm_csv *p, const struct row *row, int64_t end_ns,
                        double interval_s, struct km_sample *sample)
{
	sample->end_ns = end_ns;
	sample->start_ns = end_ns - (int64_t)(interval_s * 1e9 + 0.5);
	sample->cpu_count = p->header.cpu_count;
	sample->cpu = p->cpu;
	sample->node_count = 0;
	sample->node = NULL;
	for (uint32_t cpu = 0; cpu < p->header.cpu_count; cpu++) {
		scale_cpu(p->cpu + (size_t)cpu * KM_COUNT_CPU_N, interval_s);
	}
	for (size_t i = 0; i < KM_HOST_COUNT_N; i++) {
		sample->host[i] = NAN;
	}
	sample->host[KM_HOST_MEM_READ_BYTES] = gb_to_bytes(row->read, row->socket_read);
	sample->host[KM_HOST_MEM_WRITE_BYTES] = gb_to_bytes(row->write, row->socket_write);
	sample->host[KM_HOST_L3_OCCUPANCY_BYTES] = row->l3occ_kb * 1024;
}

/* How much time the row covers, in seconds. */
static double interval_of(struct km_pcm_csv *p, double distance_s)
{
	double usual_s = km_ring_quantile(&p->interval_s, 0.5);

	km_ring_push(&p->interval_s, distance_s);
	if (p->declared_s > 0) {
		return p->declared_s;
	}
	if (distance_s > GAP_INTERVALS * usual_s || (p->lost_row && distance_s > usual_s)) {
		return usual_s;
	}
	return distance_s;
}

/*
 * Decides about the row's time. returns KM_PCM_ROW_SAMPLE and the interval when the row covers the
 * time since the one before it.
 */
static enum km_pcm_row advance(struct km_pcm_csv *p, int64_t now_ns, uint64_t hash,
                               double *interval_s, struct km_err *err)
{
	int64_t distance_ns = now_ns - p->prev_ns;
	bool first = !p->have_time;

	if (!first && distance_ns == 0) {
		if (hash == p->prev_hash) {
			return KM_PCM_ROW_REPEATED;
		}
		km_err_set(err, EBADMSG, "two different rows of one time");
		return KM_PCM_ROW_BAD;
	}
	if (p->have_floor && distance_ns < 0) {
		p->shift_ns -= distance_ns;
		if (p->shift_ns > SHIFT_NS_MAX) {
			p->shift_ns = SHIFT_NS_MAX; /* out of range from here on */
		}
	}
	p->prev_ns = now_ns;
	p->prev_hash = hash;
	p->have_time = true;
	p->have_floor = true;
	if (first) {
		p->lost_row = false;
		return KM_PCM_ROW_NONE;
	}
	if (now_ns + p->shift_ns >= SHIFT_NS_MAX) {
		km_err_set(err, ERANGE, "time out of range: the clock went back too often");
		return KM_PCM_ROW_BAD;
	}
	if (distance_ns < 0) {
		/* the end of summer time, or a clock set right: what the row covers is unknown */
		p->lost_row = false;
		km_err_set(err, EBADMSG, "clock went back by %.3f s", (double)-distance_ns * 1e-9);
		return KM_PCM_ROW_BAD;
	}
	*interval_s = interval_of(p, (double)distance_ns * 1e-9);
	p->lost_row = false;
	return KM_PCM_ROW_SAMPLE;
}

static int take_row(struct km_pcm_csv *p, const char *line, size_t len, struct km_sample *sample,
                    struct km_err *err)
{
	size_t values = (size_t)p->header.cpu_count * KM_COUNT_CPU_N;
	struct row row = { { "", 0 }, { "", 0 }, NAN, NAN, NAN, NAN, NAN };
	enum km_pcm_row what;
	double interval_s = 0;
	int64_t now_ns;
	int split;

	for (size_t i = 0; i < values; i++) {
		p->cpu[i] = NAN;
	}
	split = split_row(p, line, len, &row, err);
	if (km_pcm_time_parse(row.date, row.time, &now_ns) != 0) {
		p->lost_row = true;
		if (split == 0) {
			km_err_set(err, EBADMSG,
			           "date \"%.*s\" time \"%.*s\", wanted YYYY-MM-DD HH:MM:SS",
			           (int)(row.date.len < 20 ? row.date.len : 20), row.date.at,
			           (int)(row.time.len < 20 ? row.time.len : 20), row.time.at);
		}
		return KM_PCM_ROW_BAD;
	}
	if (split != 0) {
		/* its time counts: the next row covers only what came after it */
		(void)advance(p, now_ns, km_hash64(line, len, 0), &interval_s, NULL);
		return KM_PCM_ROW_BAD;
	}
	what = advance(p, now_ns, km_hash64(line, len, 0), &interval_s, err);
	if (what != KM_PCM_ROW_SAMPLE) {
		return what;
	}
	if (is_partial(p, err)) {
		return KM_PCM_ROW_BAD;
	}
	fill_sample(p, &row, now_ns + p->shift_ns, interval_s, sample);
	return KM_PCM_ROW_SAMPLE;
}

static bool is_blank(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r') {
			return false;
		}
	}
	return true;
}

int km_pcm_csv_line(struct km_pcm_csv *p, const char *line, size_t len, struct km_sample *sample,
                    struct km_err *err)
{
	if (is_blank(line, len)) {
		return KM_PCM_ROW_NONE;
	}
	if (p->have_domains) {
		return take_header(p, line, len, err);
	}
	switch (km_pcm_header_line(line, len)) {
	case KM_PCM_LINE_MERGED:
		return take_header(p, line, len, err);
	case KM_PCM_LINE_DOMAINS:
		km_buf_clear(&p->domains);
		km_buf_append(&p->domains, line, len);
		if (!km_buf_ok(&p->domains)) {
			return km_err_set(err, ENOMEM, "PCM header: out of memory");
		}
		p->have_domains = true;
		return KM_PCM_ROW_NONE;
	case KM_PCM_LINE_OTHER:
		break;
	}
	if (p->have_header) {
		return take_row(p, line, len, sample, err);
	}
	if (++p->noise_lines > NOISE_LINES_MAX) {
		return km_err_set(err, EBADMSG,
		                  "no PCM header (\"System,...\" or \"System - Date,...\") in the "
		                  "first %d lines",
		                  NOISE_LINES_MAX);
	}
	return KM_PCM_ROW_NONE;
}
