/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorder: as the agent's sampler (agent/sampler.c), but nothing is computed and nothing is
 * published, and time comes in with the calls.
 */
#include "km/rig/recorder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/clock.h"
#include "km/core/merge.h"
#include "km/sources/preflight.h"

#include "recorder_window.h"

#define BACKOFF_FIRST_NS (1 * KM_NS_PER_S)
#define BACKOFF_MAX_NS   (60 * KM_NS_PER_S)
/* A sample that began before the window by more than this share of its length is not of it. */
#define BEFORE_SHARE 10

struct recorder_source {
	struct km_recorder *of;
	const struct km_preflight_row *row;
	struct km_source *source; /* NULL = absent, tried again at retry_ns */
	size_t slot;
	bool starting;
	int64_t retry_ns, backoff_ns;
};

struct km_recorder {
	const struct km_collect_settings *collect;
	const struct km_node_settings **node; /* [node_count], borrowed */
	const char **node_name;               /* the same nodes */
	size_t node_count;
	struct km_preflight preflight;
	struct recorder_source source[KM_PREFLIGHT_MAX];
	size_t source_count;
	char sources[64];
	char trouble[KM_ERR_TEXT_MAX];
	struct km_merge *merge;
	struct recorder_window window;
	bool open;         /* a window is */
	int64_t begin_ns;  /* of the window */
	int64_t sample_ns; /* end of its last sample */
	int64_t due_ns;
	int64_t wall_minus_mono_ns;
};

static struct km_source_args args_of(const struct km_recorder *r, int64_t now_ns)
{
	return (struct km_source_args){
		.live = &r->collect->live,
		.node = r->node,
		.node_count = r->node_count,
		.interval_ns = r->collect->interval_ns,
		.now_ns = now_ns,
	};
}

/* Probes what the settings list. */
static int probe_listed(struct km_recorder *r, const struct km_source_args *args,
                        struct km_err *err)
{
	for (size_t i = 0; i < r->collect->source_count; i++) {
		struct km_preflight_row *row = &r->preflight.row[r->preflight.count];
		const char *kind = r->collect->source[i].kind;

		if (r->preflight.count == KM_PREFLIGHT_MAX) {
			return km_err_set(err, E2BIG, "recorder: more than %d sources",
			                  KM_PREFLIGHT_MAX);
		}
		row->ops = km_source_find(kind);
		if (row->ops == NULL || !row->ops->live) {
			return km_err_set(err, ENOTSUP,
			                  "recorder: source %s, want one that is live here", kind);
		}
		r->preflight.count++;
		(void)snprintf(row->settings.kind, sizeof(row->settings.kind), "%s", kind);
		km_preflight_probe(args, row);
		if (row->result != 0) {
			return km_err_set(err, -row->result, "source %s: %s", kind, row->why);
		}
		row->chosen = true;
	}
	return 0;
}

static int choose_sources(struct km_recorder *r, int64_t now_ns, struct km_err *err)
{
	const struct km_source_args args = args_of(r, now_ns);
	const char *why = "";
	int ret = 0;

	if (r->collect->auto_sources) {
		km_preflight_run(&args, &r->preflight);
	} else {
		ret = probe_listed(r, &args, err);
	}
	for (size_t i = 0; ret == 0 && i < r->preflight.count; i++) {
		const struct km_preflight_row *row = &r->preflight.row[i];
		size_t len = strlen(r->sources);

		if (!row->chosen) {
			why = row->why;
			continue;
		}
		r->source[r->source_count] = (struct recorder_source){
			.of = r, .row = row, .slot = r->source_count, .starting = true
		};
		r->source_count++;
		(void)snprintf(r->sources + len, sizeof(r->sources) - len, "%s%s",
		               len > 0 ? "+" : "", row->ops->name);
	}
	if (ret == 0 && r->source_count == 0) {
		ret = km_err_set(err, ENOENT, "recorder: no source works here: %s", why);
	}
	return ret;
}

int km_recorder_open(const struct km_collect_settings *collect, const struct km_node_settings *node,
                     size_t node_count, int64_t now_ns, struct km_recorder **out,
                     struct km_err *err)
{
	struct km_recorder *r = calloc(1, sizeof(*r));
	int ret;

	*out = NULL;
	if (r == NULL) {
		return km_err_set(err, ENOMEM, "recorder: out of memory");
	}
	r->collect = collect;
	r->due_ns = INT64_MAX;
	r->node_count = node_count;
	r->node = calloc(node_count + 1, sizeof(void *));
	r->node_name = calloc(node_count + 1, sizeof(void *));
	if (r->node == NULL || r->node_name == NULL) {
		km_recorder_free(r);
		return km_err_set(err, ENOMEM, "recorder: out of memory");
	}
	for (size_t i = 0; i < node_count; i++) {
		r->node[i] = &node[i];
		r->node_name[i] = node[i].name;
	}
	r->window.columns.node_name = r->node_name;
	r->window.columns.node_count = (uint32_t)node_count;
	ret = choose_sources(r, now_ns, err);
	if (ret == 0 && km_merge_create(r->source_count, &r->merge) != 0) {
		ret = km_err_set(err, ENOMEM, "recorder: out of memory");
	}
	if (ret != 0) {
		km_recorder_free(r);
		return ret;
	}
	*out = r;
	return 0;
}

void km_recorder_free(struct km_recorder *r)
{
	if (r == NULL) {
		return;
	}
	for (size_t i = 0; i < r->source_count; i++) {
		km_source_close(r->source[i].source);
	}
	recorder_window_clear(&r->window);
	km_merge_free(r->merge);
	free(r->node_name);
	free(r->node);
	free(r);
}

/* A sample that cannot be is as good as none: its counts are NaN in this tick. */
static void take(void *ctx, const struct km_sample *sample)
{
	const struct recorder_source *src = ctx;
	struct km_recorder *r = src->of;
	int64_t slack_ns = (sample->end_ns - sample->start_ns) / BEFORE_SHARE;
	const char *why = "out of memory";

	if (r->open && sample->start_ns >= r->begin_ns - slack_ns &&
	    km_merge_take(r->merge, src->slot, sample, &why) != 0) {
		(void)snprintf(r->trouble, sizeof(r->trouble), "%s: %s", src->row->ops->name, why);
	}
}

static void fail(struct km_recorder *r, struct recorder_source *src, int64_t now_ns,
                 const struct km_err *why)
{
	km_source_close(src->source);
	src->source = NULL;
	src->starting = false;
	km_merge_forget(r->merge, src->slot);
	src->backoff_ns = src->backoff_ns == 0 ? BACKOFF_FIRST_NS : 2 * src->backoff_ns;
	if (src->backoff_ns > BACKOFF_MAX_NS) {
		src->backoff_ns = BACKOFF_MAX_NS;
	}
	src->retry_ns = now_ns + src->backoff_ns;
	(void)snprintf(r->trouble, sizeof(r->trouble), "%.20s: %.160s", src->row->ops->name,
	               why->text);
}

static void read_source(struct km_recorder *r, struct recorder_source *src, int64_t now_ns)
{
	struct km_err why = { .code = 0 };
	int state = 0;

	if (src->source == NULL && now_ns < src->retry_ns) {
		return;
	}
	if (src->source == NULL) {
		struct km_source_args args = args_of(r, now_ns);

		args.settings = &src->row->settings;
		state = km_source_open(&args, &src->source, &why);
	}
	if (state == 0) {
		state = km_source_read(src->source, now_ns, take, src, &why);
	}
	if (state < 0) {
		fail(r, src, now_ns, &why);
		return;
	}
	src->starting = state == KM_SOURCE_STARTING;
}

static void read_all(struct km_recorder *r, int64_t now_ns)
{
	for (size_t i = 0; i < r->source_count; i++) {
		read_source(r, &r->source[i], now_ns);
	}
}

bool km_recorder_ready(struct km_recorder *r, int64_t now_ns)
{
	bool ready = true;

	if (!r->open) {
		read_all(r, now_ns);
	}
	for (size_t i = 0; i < r->source_count; i++) {
		ready = ready && !r->source[i].starting;
	}
	return ready;
}

void km_recorder_begin(struct km_recorder *r, int64_t now_ns, int64_t wall_ns)
{
	r->open = false;
	recorder_window_clear(&r->window);
	read_all(r, now_ns); /* what was counted until now is in no window */
	for (size_t i = 0; i < r->source_count; i++) {
		km_merge_forget(r->merge, i);
	}
	(void)km_merge_end(r->merge, now_ns); /* starts the clock: nobody has anything to say */
	r->open = true;
	r->begin_ns = now_ns;
	r->sample_ns = now_ns;
	r->due_ns = now_ns + r->collect->interval_ns;
	r->wall_minus_mono_ns = wall_ns - now_ns;
}

static int sample_now(struct km_recorder *r, int64_t now_ns, struct km_err *err)
{
	const struct km_sample *merged;
	struct km_sample placed;

	read_all(r, now_ns);
	merged = km_merge_end(r->merge, now_ns);
	r->sample_ns = now_ns;
	if (merged == NULL) {
		return 0;
	}
	placed = *merged;
	placed.start_ns += r->wall_minus_mono_ns;
	placed.end_ns += r->wall_minus_mono_ns;
	return recorder_window_add(&r->window, &placed, err);
}

int km_recorder_tick(struct km_recorder *r, int64_t now_ns, struct km_err *err)
{
	if (!r->open || now_ns < r->due_ns) {
		return 0;
	}
	/* late: what was missed is one longer sample */
	r->due_ns += ((now_ns - r->due_ns) / r->collect->interval_ns + 1) * r->collect->interval_ns;
	return sample_now(r, now_ns, err);
}

int64_t km_recorder_due_ns(const struct km_recorder *r)
{
	return r->open ? r->due_ns : INT64_MAX;
}

int km_recorder_end(struct km_recorder *r, int64_t now_ns, struct km_buf *csv, struct km_err *err)
{
	int ret = 0;

	if (!r->open) {
		return km_err_set(err, ENODATA, "recorder: no window was begun");
	}
	if (now_ns - r->sample_ns >= r->collect->interval_ns / 2) {
		ret = sample_now(r, now_ns, err);
	}
	if (ret == 0 && r->window.count == 0) {
		ret = km_err_set(err, ENODATA, "recorder: not one sample in %.1f s%s%s",
		                 (double)(now_ns - r->begin_ns) * 1e-9,
		                 r->trouble[0] != '\0' ? ": " : "", r->trouble);
	}
	if (ret == 0) {
		ret = recorder_window_write(&r->window, csv, err);
	}
	recorder_window_clear(&r->window);
	r->open = false;
	return ret;
}

enum km_tier km_recorder_tier(const struct km_recorder *r)
{
	return km_preflight_tier(&r->preflight);
}

const char *km_recorder_sources(const struct km_recorder *r)
{
	return r->sources;
}

const char *km_recorder_trouble(const struct km_recorder *r)
{
	return r->trouble;
}
