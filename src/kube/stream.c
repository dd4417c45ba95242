/* SPDX-License-Identifier: Apache-2.0 */
/* One watch: a line an event, and where it stands so that the next one goes on from there. */
#include <errno.h>
#include <stdio.h>

#include "km/base/arena.h"
#include "km/wire/kube_objects.h"

#include "watch_internal.h"

#define TIMEOUT_MIN_S   300 /* the server ends the watch after so long, as client-go asks it to */
#define TIMEOUT_MORE_S  300
#define TIMEOUT_LATE_NS (60 * KM_NS_PER_S) /* a server that does not */
/* The API server sends a bookmark a minute or so, but none where nothing ever changes. */
#define SILENCE_NS  (90 * KM_NS_PER_S)
#define HEAD_NS     (30 * KM_NS_PER_S) /* it may let a watch queue; then it says 200 at once */
#define STATUS_GONE 410

/* An ERROR event: the stream ends with it. */
static int take_error(struct kube_reflector *r, const struct km_json_slice *object)
{
	struct km_kube_status said;
	struct km_arena arena;
	int rc;

	km_arena_init(&arena, 0);
	rc = km_kube_status_decode(object->text, object->len, &arena, &said);
	if (rc == 0) {
		bool gone = said.code == STATUS_GONE ||
		            (said.reason.len == 7 && memcmp(said.reason.text, "Expired", 7) == 0) ||
		            (said.reason.len == 4 && memcmp(said.reason.text, "Gone", 4) == 0);

		r->status = (int)(said.code < 1000 ? said.code : 0);
		r->event_end = gone ? KUBE_END_GONE : KUBE_END_STATUS;
		(void)km_err_set(&r->event_err, EPROTO, "watch %.60s: ERROR %lld %.*s: %.*s",
		                 r->o->path, (long long)said.code,
		                 said.reason.len < 40 ? (int)said.reason.len : 40, said.reason.text,
		                 said.message.len < 90 ? (int)said.message.len : 90,
		                 said.message.len > 0 ? said.message.text : "");
	} else {
		r->event_end = KUBE_END_STATUS;
		(void)km_err_set(&r->event_err, EPROTO, "watch %.60s: ERROR without a Status",
		                 r->o->path);
	}
	km_arena_fini(&arena);
	return -EPROTO;
}

/* The version the next watch goes on from. */
static int advance(struct kube_reflector *r, const struct km_json_slice *version)
{
	if (version->kind != KM_JSON_STRING || version->len <= 2)
		return 0;
	km_buf_clear(&r->version);
	if (km_buf_reserve(&r->version, version->len + 1) == 0)
		r->version.len = km_json_unescape(version, r->version.data);
	(void)km_buf_cstr(&r->version);
	return km_buf_ok(&r->version) ? 0 : -ENOMEM;
}

static int on_line(void *ctx, const char *text, size_t len)
{
	static const enum km_kube_event events[] = {
		[KM_KUBE_LINE_ADDED] = KM_KUBE_ADDED,
		[KM_KUBE_LINE_MODIFIED] = KM_KUBE_MODIFIED,
		[KM_KUBE_LINE_DELETED] = KM_KUBE_DELETED,
	};
	struct kube_reflector *r = ctx;
	struct km_kube_line line;
	int rc = km_kube_line_decode(text, len, &line, &r->event_err);

	if (rc != 0) {
		r->event_end = KUBE_END_GARBAGE;
		(void)km_err_prefix(&r->event_err, "watch %.60s", r->o->path);
		return rc;
	}
	switch (line.type) {
	case KM_KUBE_LINE_ERROR:
		return take_error(r, &line.object);
	case KM_KUBE_LINE_ADDED:
	case KM_KUBE_LINE_MODIFIED:
	case KM_KUBE_LINE_DELETED:
		rc = kube_hand_on(r, events[line.type], line.object.text, line.object.len);
		break;
	case KM_KUBE_LINE_BOOKMARK:
	case KM_KUBE_LINE_OTHER:
		break;
	}
	if (rc == 0)
		rc = advance(r, &line.version);
	if (rc != 0) {
		r->event_end = KUBE_END_HOLE;
		(void)km_err_set(&r->event_err, ENOMEM, "watch %.60s: out of memory", r->o->path);
		return rc;
	}
	r->events++;
	km_counter_add(r->seen[line.type], 1);
	return 0;
}

static int on_data(void *ctx, const char *bytes, size_t len)
{
	struct kube_reflector *r = ctx;
	int rc;

	kube_heard(r);
	rc = km_kube_lines_feed(r->lines, bytes, len);
	kube_count_skipped(r);
	if (rc == -ENOMEM && r->event_end == KUBE_END_WHOLE) {
		r->event_end = KUBE_END_HOLE;
		(void)km_err_set(&r->event_err, ENOMEM, "watch %.60s: out of memory", r->o->path);
	}
	return rc;
}

static void on_status(void *ctx, int status)
{
	struct kube_reflector *r = ctx;

	kube_heard(r);
	r->status = status;
	if (status == 200)
		kube_tell_state(r, NULL);
}

enum kube_end kube_watch_once(struct kube_reflector *r, struct km_err *err)
{
	unsigned timeout_s =
		r->o->timeout_s > 0 ? r->o->timeout_s
				    : TIMEOUT_MIN_S + km_rng_below(&r->backoff.rng, TIMEOUT_MORE_S);
	struct kube_request request = {
		.method = "GET",
		.verb = "watch",
		.gzip = true,
		.timeout_ns = timeout_s * KM_NS_PER_S + TIMEOUT_LATE_NS,
		.silence_ns = r->o->silence_ns > 0 ? r->o->silence_ns : SILENCE_NS,
		.head_ns = HEAD_NS,
		.on_data = on_data,
		.on_status = on_status,
		.ctx = r,
	};
	struct km_buf dropped;
	char more[96];
	int rc;

	if (r->lines == NULL &&
	    km_kube_lines_create(KM_KUBE_OBJECT_MAX_BYTES, on_line, r, &r->lines) != 0)
		return KUBE_END_HOLE;
	(void)snprintf(more, sizeof(more), "watch=1&allowWatchBookmarks=true&timeoutSeconds=%u",
	               timeout_s);
	if (kube_make_path(r, more, "resourceVersion", km_buf_cstr(&r->version)) != 0)
		return KUBE_END_HOLE;
	request.path = km_buf_cstr(&r->path);
	km_kube_lines_reset(r->lines);
	r->event_end = KUBE_END_WHOLE;
	r->events = 0;
	r->status = 0;
	r->began_ns = km_clock_mono_ns(r->clock);
	km_buf_init(&dropped);
	rc = kube_request(r->k, &request, &dropped, err);
	km_buf_fini(&dropped);
	if (rc > 0 && r->status == 0)
		r->status = rc;
	if (r->event_end != KUBE_END_WHOLE) {
		if (err != NULL)
			*err = r->event_err;
		return r->event_end;
	}
	return rc == 200 ? KUBE_END_WHOLE : kube_end_of(rc);
}
