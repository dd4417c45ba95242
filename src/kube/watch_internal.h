/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the reflector: what list.c, stream.c and watch.c share. */
#ifndef KM_KUBE_WATCH_INTERNAL_H
#define KM_KUBE_WATCH_INTERNAL_H

#include "km/kube/watch.h"
#include "km/wire/kube_stream.h"

#include "kube_internal.h"

/* Why a list or a watch is over; each a value of the metric's label reason. */
enum kube_end {
	KUBE_END_WHOLE,   /* a list: all of it came; a watch: its time was over */
	KUBE_END_STOPPED, /* km_kube_stop */
	KUBE_END_NETWORK, /* no answer, or cut in the middle */
	KUBE_END_SILENCE, /* no word for too long */
	KUBE_END_STATUS,  /* an HTTP status that is not 200 nor 410, or an ERROR event */
	KUBE_END_GONE,    /* 410: what was to be continued is not there any more */
	KUBE_END_GARBAGE, /* not what a list or an event looks like */
	KUBE_END_HOLE,    /* no memory for an object */
	KUBE_END_N,
};

struct kube_reflector {
	struct km_kube *k;
	const struct km_kube_watch_options *o;
	const struct km_clock *clock;
	struct kube_backoff backoff;

	struct km_kube_list *list;
	struct km_kube_lines *lines;
	struct km_buf path;    /* of the request at hand */
	struct km_buf token;   /* continue; "" = the first page */
	struct km_buf version; /* resourceVersion seen last; "" = none */
	bool whole;            /* ask for the list in one piece: its token expired */
	uint64_t lists;        /* whole ones so far */
	uint64_t skipped_told; /* of list and lines, already counted */

	/* Of the watch at hand. */
	enum kube_end event_end; /* what an event ended it with; WHOLE = none did */
	struct km_err event_err;
	uint64_t events;
	int status; /* HTTP, of the watch or its ERROR event; 0 = none */
	int64_t began_ns;

	int live; /* 1, 0; -1 = nothing told yet */
	struct km_err why;
	struct km_gauge *silence;
	struct km_counter *relists, *skipped, *restarts[KUBE_END_N];
	struct km_counter *seen[KM_KUBE_LINE_ERROR]; /* by type of line */
};

/* The whole list by pages, objects handed on. err says why it ended otherwise than WHOLE. */
enum kube_end kube_list_all(struct kube_reflector *r, struct km_err *err);

/* One watch from r->version until it ends. */
enum kube_end kube_watch_once(struct kube_reflector *r, struct km_err *err);

/* Hands one object on. returns 0, or -ENOMEM, which is a hole in the picture. */
int kube_hand_on(struct kube_reflector *r, enum km_kube_event event, const char *json, size_t len);

/* path with selectors and `more` ("limit=500") behind it, into r->path. */
int kube_make_path(struct kube_reflector *r, const char *more, const char *key, const char *value);

/* What a request's result means. status: of kube_request. */
enum kube_end kube_end_of(int status);

/* The server said something. */
void kube_heard(struct kube_reflector *r);

/* Counts what list and lines skipped since. */
void kube_count_skipped(struct kube_reflector *r);

/* Whether two texts say the same but for how long it took. */
bool kube_same_trouble(const char *a, const char *b);

/* Tells o->state when it is news. why NULL = live. */
void kube_tell_state(struct kube_reflector *r, const struct km_err *why);

#endif
