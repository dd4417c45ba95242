/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recorded trace as a source: rows come at the pace they were recorded at, times `speed`.
 *
 *   at the end   loop            -> from the first row on, timestamps continuing, no delta between
 *                gzip            -> over
 *                plain           -> over, unless the file grows: new rows are then due at once
 *
 * A last line without newline may be half written, so in a file that may grow it is taken only when
 * it has not changed for a while; PCM itself ends its output so.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "km/base/clock.h"
#include "km/base/file.h"
#include "km/sources/trace.h"

#include "sources_internal.h"

/* 1,024 cores of 45 columns each take less than half of this. */
#define LINE_BYTES_MAX ((size_t)1 << 20)
/* Of one read: a very fast replay falls behind rather than keep the sampler from its work. */
#define LINES_PER_READ 20000
#define SETTLE_NS      (2 * KM_NS_PER_S)
/* A followed file is over when it has not grown for this long, or for three rows' time. */
#define QUIET_NS      (10 * KM_NS_PER_S)
#define QUIET_SAMPLES 3
#define TIME_NS_MAX   (INT64_C(1) << 62)

struct replay {
	struct km_source base;
	struct km_lines *lines;
	struct km_trace *trace;
	const char **node_name; /* [node_count], borrowed: rows of the trace go by name */
	double *node;           /* [node_count][KM_NODE_COUNT_N], of `sample` */
	size_t node_count;
	double speed;
	bool loop, may_grow;
	int64_t open_ns;

	bool pending; /* `sample` was read and is not due yet */
	struct km_sample sample;

	bool started;
	int64_t zero_ns;   /* trace time that is due at open_ns */
	int64_t offset_ns; /* added to trace time: grows with each pass */
	int64_t last_end_ns, last_duration_ns;
	bool seam;             /* the next sample begins a new pass */
	uint64_t pass_samples; /* in this pass */

	bool end_seen; /* the file's end was reached: rows after that are news */
	bool over;     /* for good */
	int64_t grown_ns;
	struct km_buf part; /* the last, unfinished line */
	int64_t part_ns;    /* when it was seen first like this; 0 = none */
	bool part_taken;    /* it was used as a row: skip it when it comes whole */
	struct km_source_stats stats;
};

static struct replay *replay_of(struct km_source *s)
{
	return (struct replay *)s; /* base is the first member */
}

static int check_file(const char *path, bool *is_gzip, struct km_err *err)
{
	unsigned char magic[2] = { 0 };
	struct stat st;
	FILE *f;

	/* opening a FIFO would wait for its writer, on the sampler's thread */
	if (stat(path, &st) != 0) {
		return km_err_errno(err, errno, "%s", path);
	}
	if (!S_ISREG(st.st_mode)) {
		return km_err_set(err, EINVAL, "%s: not a regular file", path);
	}
	f = fopen(path, "rbe");
	if (f == NULL) {
		return km_err_errno(err, errno, "%s", path);
	}
	*is_gzip = fread(magic, 1, 2, f) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
	(void)fclose(f); /* nothing was written */
	return 0;
}

static void note_bad(struct replay *r, const struct km_err *err)
{
	r->stats.bad_rows++;
	(void)snprintf(r->stats.last_bad, sizeof(r->stats.last_bad), "line %zu: %.70s",
	               km_lines_number(r->lines), err->text);
}

/* A new sample: put into continued trace time. returns false when that is no time at all. */
static bool place(struct replay *r)
{
	struct km_sample *s = &r->sample;
	int64_t offset_ns = r->seam ? r->last_end_ns - s->start_ns : r->offset_ns;

	/* each term is below 2^62, so the sums do not overflow */
	if (s->start_ns <= -TIME_NS_MAX || s->end_ns >= TIME_NS_MAX || offset_ns <= -TIME_NS_MAX ||
	    s->end_ns + offset_ns >= TIME_NS_MAX) {
		return false;
	}
	r->offset_ns = offset_ns;
	r->seam = false;
	s->start_ns += offset_ns;
	s->end_ns += offset_ns;
	if (!r->started) {
		r->zero_ns = s->end_ns;
		r->started = true;
	}
	if (s->node_count > 0) {
		km_trace_node_rows(r->trace, s, r->node_name, r->node_count, r->node);
		s->node = r->node;
		s->node_count = (uint32_t)r->node_count;
	}
	r->pending = true;
	r->pass_samples++;
	return true;
}

/* returns 1 when r->sample was filled, 0 when not, negative errno when the file cannot work. */
static int take_line(struct replay *r, const char *line, size_t len, struct km_err *err)
{
	struct km_err why = { 0 };
	int row = km_trace_line(r->trace, line, len, &r->sample, &why);

	if (row < 0) {
		if (err != NULL) {
			*err = why;
		}
		return row;
	}
	switch ((enum km_trace_row)row) {
	case KM_TRACE_ROW_SAMPLE:
		if (place(r)) {
			return 1;
		}
		km_err_set(&why, ERANGE, "time out of range");
		note_bad(r, &why);
		break;
	case KM_TRACE_ROW_BAD:
		note_bad(r, &why);
		break;
	case KM_TRACE_ROW_REPEATED:
		r->stats.repeated++;
		break;
	case KM_TRACE_ROW_NONE:
		break;
	}
	return 0;
}

/* An unfinished last line: used at once where it cannot grow, else kept until it settles. */
static int take_part(struct replay *r, const char *line, size_t len, int64_t now_ns,
                     struct km_err *err)
{
	bool same_row =
		r->part_taken && len >= r->part.len && memcmp(line, r->part.data, r->part.len) == 0;

	if (!r->may_grow) {
		return take_line(r, line, len, err);
	}
	if (same_row) {
		return 0;
	}
	km_buf_clear(&r->part);
	km_buf_append(&r->part, line, len);
	if (!km_buf_ok(&r->part)) {
		return km_err_set(err, ENOMEM, "replay: out of memory");
	}
	r->part_ns = now_ns;
	r->part_taken = false;
	return 0;
}

static int settle_part(struct replay *r, int64_t now_ns, struct km_err *err)
{
	if (r->part.len == 0 || r->part_taken || now_ns - r->part_ns < SETTLE_NS) {
		return 0;
	}
	r->part_taken = true;
	return take_line(r, r->part.data, r->part.len, err);
}

static int take_whole(struct replay *r, const char *line, size_t len, int64_t now_ns,
                      struct km_err *err)
{
	bool taken =
		r->part_taken && len >= r->part.len && memcmp(line, r->part.data, r->part.len) == 0;

	if (r->end_seen) {
		r->grown_ns = now_ns;
	}
	km_buf_clear(&r->part);
	r->part_taken = false;
	return taken ? 0 : take_line(r, line, len, err);
}

/*
 * Reads lines until one gives a sample (1), the file has no more (0), or the budget of lines is
 * spent (0, *budget is 0). Negative errno when the file can never work.
 */
static int next_sample(struct replay *r, int64_t now_ns, unsigned *budget, struct km_err *err)
{
	for (; *budget > 0; (*budget)--) {
		struct km_err why = { 0 };
		const char *line;
		size_t len;
		int got = km_lines_next(r->lines, &line, &len, &why);
		int ret;

		if (got == KM_LINE_END) {
			return settle_part(r, now_ns, err);
		}
		if (got == -EMSGSIZE) {
			note_bad(r, &why);
			continue;
		}
		if (got < 0) {
			/* truncated gzip, unreadable disk: what came before it is still good */
			note_bad(r, &why);
			r->may_grow = false;
			return 0;
		}
		ret = got == KM_LINE_PART ? take_part(r, line, len, now_ns, err)
		                          : take_whole(r, line, len, now_ns, err);
		if (ret != 0) {
			return ret;
		}
	}
	return 0;
}

/* The file has no more lines now. returns true when reading goes on from its start. */
static bool at_end(struct replay *r, struct km_err *err)
{
	r->end_seen = true;
	if (!r->loop) {
		r->over = !r->may_grow;
		return false;
	}
	if (r->pass_samples == 0 || km_lines_rewind(r->lines, err) != 0) {
		r->over = true; /* a pass without a sample: more of them would be no better */
		return false;
	}
	km_trace_restart(r->trace);
	r->seam = true;
	r->pass_samples = 0;
	return true;
}

static bool is_quiet(const struct replay *r, int64_t now_ns)
{
	int64_t limit_ns = QUIET_SAMPLES * r->last_duration_ns;

	if (limit_ns < QUIET_NS) {
		limit_ns = QUIET_NS;
	}
	if (r->part.len > 0 && !r->part_taken) {
		return false; /* a row is on its way */
	}
	return r->grown_ns == 0 || now_ns - r->grown_ns > limit_ns;
}

static bool is_due(const struct replay *r, int64_t now_ns)
{
	double trace_ns = (double)(r->sample.end_ns - r->zero_ns);

	if (!r->loop && r->end_seen) {
		return true; /* followed: it is as new as it gets */
	}
	return trace_ns <= (double)(now_ns - r->open_ns) * r->speed;
}

static void deliver(struct replay *r, km_sample_fn *emit, void *ctx)
{
	r->pending = false;
	r->last_end_ns = r->sample.end_ns;
	r->last_duration_ns = r->sample.end_ns - r->sample.start_ns;
	r->stats.rows++;
	emit(ctx, &r->sample);
}

/*
 * Makes the next sample pending, over the seam of a loop if need be.
 * returns 1 when there is one, 0 when the budget is spent, -ENODATA when the file has no more now,
 * another negative errno when it can never work.
 */
static int prepare(struct replay *r, int64_t now_ns, unsigned *budget, struct km_err *err)
{
	while (!r->pending) {
		int got;

		if (*budget == 0) {
			return 0;
		}
		got = next_sample(r, now_ns, budget, err);
		if (got < 0) {
			return got;
		}
		if (got == 0 && *budget > 0 && !at_end(r, err)) {
			return -ENODATA;
		}
	}
	return 1;
}

static int replay_read(struct km_source *s, int64_t now_ns, km_sample_fn *emit, void *ctx,
                       struct km_err *err)
{
	struct replay *r = replay_of(s);
	unsigned budget = LINES_PER_READ;

	if (r->over && !r->pending) {
		return KM_SOURCE_ENDED;
	}
	while (budget > 0) {
		int got = prepare(r, now_ns, &budget, err);

		if (got == -ENODATA) {
			return r->over || is_quiet(r, now_ns) ? KM_SOURCE_ENDED : KM_SOURCE_LIVE;
		}
		if (got < 0) {
			return got;
		}
		if (got == 0 || !is_due(r, now_ns)) {
			break;
		}
		deliver(r, emit, ctx);
		budget -= budget > 0;
	}
	return KM_SOURCE_LIVE;
}

/* Reads up to the header, so that a file of another kind is refused when it is opened. */
static int read_header(struct replay *r, struct km_err *err)
{
	while (!km_trace_has_header(r->trace) && !r->pending) {
		const char *line;
		size_t len;
		int got = km_lines_next(r->lines, &line, &len, err);

		if (got == -EMSGSIZE) {
			continue;
		}
		if (got < 0) {
			return got;
		}
		if (got == KM_LINE_END) {
			return 0; /* not written yet */
		}
		got = got == KM_LINE_PART ? take_part(r, line, len, r->open_ns, err)
		                          : take_line(r, line, len, err);
		if (got < 0) {
			return got;
		}
	}
	return 0;
}

static void replay_close(struct km_source *s)
{
	struct replay *r = replay_of(s);

	km_trace_free(r->trace);
	free(r->node_name);
	free(r->node);
	km_lines_close(r->lines);
	km_buf_fini(&r->part);
	free(r);
}

static int take_nodes(struct replay *r, const struct km_source_args *args)
{
	r->node_name = calloc(args->node_count + 1, sizeof(*r->node_name));
	r->node = calloc(args->node_count + 1, KM_NODE_COUNT_N * sizeof(*r->node));
	if (r->node_name == NULL || r->node == NULL) {
		return -ENOMEM;
	}
	r->node_count = args->node_count;
	for (size_t i = 0; i < args->node_count; i++) {
		r->node_name[i] = args->node[i]->name;
	}
	return 0;
}

static int replay_open(const struct km_source_args *args, struct km_source **out,
                       struct km_err *err)
{
	const struct km_replay_settings *want = &args->settings->replay;
	struct replay *r;
	bool is_gzip = false;
	int ret;

	*out = NULL;
	ret = check_file(want->file, &is_gzip, err);
	if (ret != 0) {
		return ret;
	}
	r = calloc(1, sizeof(*r));
	if (r == NULL) {
		return km_err_set(err, ENOMEM, "replay: out of memory");
	}
	km_buf_init(&r->part);
	r->speed = want->speed > 0 ? want->speed : 1;
	r->loop = want->loop;
	r->may_grow = !is_gzip && !want->loop;
	r->open_ns = args->now_ns;
	ret = km_lines_open(want->file, LINE_BYTES_MAX, &r->lines, err);
	if (ret == 0 && (take_nodes(r, args) != 0 || km_trace_create(&r->trace) != 0)) {
		ret = km_err_set(err, ENOMEM, "replay: out of memory");
	}
	if (ret == 0) {
		ret = read_header(r, err);
		if (ret != 0) {
			(void)km_err_prefix(err, "%s", want->file);
		}
	}
	if (ret != 0) {
		replay_close(&r->base);
		return ret;
	}
	*out = &r->base;
	return 0;
}

static void replay_stats(const struct km_source *s, struct km_source_stats *out)
{
	*out = ((const struct replay *)s)->stats;
}

const struct km_source_ops km_source_replay = {
	.name = "replay",
	.help = "a recorded `pcm -csv` file or a trace of kubemarla-lab, plain or gzip, or one "
		"still "
		"being written",
	.open = replay_open,
	.read = replay_read,
	.close = replay_close,
	.stats = replay_stats,
};
