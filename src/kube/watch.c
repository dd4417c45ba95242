/* SPDX-License-Identifier: Apache-2.0 */
/* The reflector's life: list, watch, and what follows on each way in which they end. */
#include "km/kube/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "watch_internal.h"

#define BACKOFF_MIN_NS (KM_NS_PER_S / 2)
#define BACKOFF_MAX_NS (30 * KM_NS_PER_S)
/* A watch that ended sooner does not end a row of failures; one that did so in order, without an
 * event, is one: a server that closes at once would else be asked without a pause. */
#define BRIEF_NS (10 * KM_NS_PER_S)
/* So many refusals or so much garbage in a row from one version: it is not worth keeping. */
#define REFUSALS_MAX 2

static const char *const end_names[KUBE_END_N] = {
	[KUBE_END_WHOLE] = "timeout",   [KUBE_END_STOPPED] = "stopped",
	[KUBE_END_NETWORK] = "network", [KUBE_END_SILENCE] = "silence",
	[KUBE_END_STATUS] = "status",   [KUBE_END_GONE] = "gone",
	[KUBE_END_GARBAGE] = "garbage", [KUBE_END_HOLE] = "memory",
};

enum kube_end kube_end_of(int status)
{
	static const struct {
		int status;
		enum kube_end end;
	} known[] = {
		{ 410, KUBE_END_GONE },           { -ECANCELED, KUBE_END_STOPPED },
		{ -ETIMEDOUT, KUBE_END_SILENCE }, { -EBADMSG, KUBE_END_GARBAGE },
		{ -ENOMEM, KUBE_END_HOLE },
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(known); i++) {
		if (known[i].status == status)
			return known[i].end;
	}
	return status > 0 ? KUBE_END_STATUS : KUBE_END_NETWORK;
}

void kube_heard(struct kube_reflector *r)
{
	km_age_reset(r->silence, km_clock_mono_ns(r->clock));
}

void kube_count_skipped(struct kube_reflector *r)
{
	uint64_t skipped = (r->list != NULL ? km_kube_list_skipped(r->list) : 0) +
	                   (r->lines != NULL ? km_kube_lines_skipped(r->lines) : 0);

	km_counter_add(r->skipped, skipped - r->skipped_told);
	r->skipped_told = skipped;
}

/* Behind a duration ("after 3 ms"), which is another one each time; at p when there is none. */
static const char *skip_duration(const char *p)
{
	size_t digits = strspn(p, "0123456789");

	return digits > 0 && strncmp(p + digits, " ms", 3) == 0 ? p + digits + 3 : p;
}

bool kube_same_trouble(const char *a, const char *b)
{
	for (;;) {
		a = skip_duration(a);
		b = skip_duration(b);
		if (*a != *b)
			return false;
		if (*a == '\0')
			return true;
		a++;
		b++;
	}
}

void kube_tell_state(struct kube_reflector *r, const struct km_err *why)
{
	const char *text = why != NULL ? why->text : "";
	int live = why == NULL;

	if (live == r->live && kube_same_trouble(text, r->why.text))
		return;
	r->live = live;
	(void)km_err_set(&r->why, why != NULL ? why->code : 0, "%s", text);
	if (r->o->state != NULL)
		r->o->state(r->o->ctx, live, text);
}

int kube_hand_on(struct kube_reflector *r, enum km_kube_event event, const char *json, size_t len)
{
	int rc = r->o->object(r->o->ctx, event, json, len);

	if (rc == -ENOMEM)
		return rc;
	if (rc < 0)
		km_counter_add(r->skipped, 1);
	return 0;
}

/* One more "key=value" of the query, the value escaped. "" is none. */
static void add_argument(struct km_buf *path, bool *first, const char *key, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	km_buf_char(path, *first ? '?' : '&');
	*first = false;
	km_buf_str(path, key);
	km_buf_char(path, '=');
	kube_escape(path, value);
}

int kube_make_path(struct kube_reflector *r, const char *more, const char *key, const char *value)
{
	bool first = strchr(r->o->path, '?') == NULL;

	km_buf_clear(&r->path);
	km_buf_str(&r->path, r->o->path);
	if (more[0] != '\0') {
		km_buf_char(&r->path, first ? '?' : '&');
		km_buf_str(&r->path, more);
		first = false;
	}
	add_argument(&r->path, &first, "labelSelector", r->o->label_selector);
	add_argument(&r->path, &first, "fieldSelector", r->o->field_selector);
	add_argument(&r->path, &first, key, value);
	return km_buf_ok(&r->path) ? 0 : -ENOMEM;
}

static void register_metrics(struct kube_reflector *r)
{
	static const char *const types[KM_KUBE_LINE_ERROR] = {
		[KM_KUBE_LINE_ADDED] = "added",
		[KM_KUBE_LINE_MODIFIED] = "modified",
		[KM_KUBE_LINE_DELETED] = "deleted",
		[KM_KUBE_LINE_BOOKMARK] = "bookmark",
	};
	struct km_metrics *m = r->o->metrics;
	const char *resource = r->o->resource != NULL ? r->o->resource : "";

	r->silence = km_metrics_age(m, r->clock, "kubemarla_kube_watch_silence_seconds",
	                            "Since the API server last said anything about a resource.",
	                            "resource", resource, KM_LABELS_END);
	r->relists = km_metrics_counter(m, "kubemarla_kube_relists_total",
	                                "Lists of a resource after the first whole one.",
	                                "resource", resource, KM_LABELS_END);
	r->skipped = km_metrics_counter(m, "kubemarla_kube_objects_skipped_total",
	                                "Objects of a resource that were too large or unreadable.",
	                                "resource", resource, KM_LABELS_END);
	for (size_t i = KM_KUBE_LINE_ADDED; i < KM_KUBE_LINE_ERROR; i++) {
		r->seen[i] = km_metrics_counter(m, "kubemarla_kube_watch_events_total",
		                                "Events of a resource, by type.", "resource",
		                                resource, "type", types[i], KM_LABELS_END);
	}
	for (size_t i = 0; i < KUBE_END_N; i++) {
		if (i == KUBE_END_STOPPED)
			continue;
		r->restarts[i] = km_metrics_counter(m, "kubemarla_kube_watch_restarts_total",
		                                    "Watches of a resource that ended, by reason.",
		                                    "resource", resource, "reason", end_names[i],
		                                    KM_LABELS_END);
	}
}

/* Waits out a failure. returns false when stopped. */
static bool hold_off(struct kube_reflector *r)
{
	return km_kube_wait(r->k, kube_backoff_next(&r->backoff, km_kube_retry_after_ns(r->k)));
}

/* Refused for who we are or for being busy: the version is none the worse. */
static bool is_passing(int status)
{
	return status == 401 || status == 403 || status == 429 || status == 503;
}

/* Watches on from r->version. returns true when a list is needed, false when stopped. */
static bool watch_on(struct kube_reflector *r)
{
	uint32_t refusals = 0;

	for (;;) {
		struct km_err err = { .code = 0 };
		enum kube_end end = kube_watch_once(r, &err);
		bool brief = km_clock_mono_ns(r->clock) - r->began_ns < BRIEF_NS;

		if (end == KUBE_END_STOPPED || km_kube_stopped(r->k))
			return false;
		km_counter_add(r->restarts[end], 1);
		if (r->events > 0)
			refusals = 0;
		if (!brief)
			kube_backoff_reset(&r->backoff);
		/* A stream on which nothing came may be dead, or of something that never changes:
		 * whether the server is there the next one tells. */
		if (end == KUBE_END_SILENCE && r->status == 200)
			continue;
		if (end == KUBE_END_WHOLE && (!brief || r->events > 0))
			continue;
		if (end != KUBE_END_WHOLE)
			kube_tell_state(r, &err);
		refusals += end == KUBE_END_GARBAGE ||
		            (end == KUBE_END_STATUS && !is_passing(r->status));
		if (!hold_off(r))
			return false;
		if (end == KUBE_END_GONE || end == KUBE_END_HOLE || refusals >= REFUSALS_MAX)
			return true;
	}
}

static void live(struct kube_reflector *r)
{
	for (;;) {
		struct km_err err = { .code = 0 };
		enum kube_end end;

		if (r->lists > 0)
			km_counter_add(r->relists, 1);
		end = kube_list_all(r, &err);
		if (end == KUBE_END_STOPPED || km_kube_stopped(r->k))
			return;
		if (end == KUBE_END_WHOLE) {
			if (!watch_on(r))
				return;
			continue;
		}
		if (end == KUBE_END_HOLE && err.code == 0)
			(void)km_err_set(&err, ENOMEM, "list %.60s: out of memory", r->o->path);
		kube_tell_state(r, &err);
		if (!hold_off(r))
			return;
	}
}

int km_kube_watch_run(struct km_kube *k, const struct km_kube_watch_options *o)
{
	struct kube_reflector *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	r->k = k;
	r->o = o;
	r->clock = o->clock != NULL ? o->clock : km_clock_system();
	r->live = -1;
	kube_backoff_init(&r->backoff, o->backoff_min_ns > 0 ? o->backoff_min_ns : BACKOFF_MIN_NS,
	                  o->backoff_max_ns > 0 ? o->backoff_max_ns : BACKOFF_MAX_NS,
	                  (uint64_t)km_clock_wall_ns(km_clock_system()) ^ (uintptr_t)r);
	register_metrics(r);
	live(r);
	km_age_reset(r->silence, INT64_MIN);
	km_kube_list_free(r->list);
	km_kube_lines_free(r->lines);
	km_buf_fini(&r->path);
	km_buf_fini(&r->token);
	km_buf_fini(&r->version);
	free(r);
	return -ECANCELED;
}
