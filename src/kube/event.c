/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events. What was written lately is kept in a table of fixed size, by a hash of what it says about
 * what; the slot unused for longest goes. A second table has the tokens of objects.
 */
#include "km/kube/event.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/complain.h"
#include "km/base/hash.h"
#include "km/base/rng.h"
#include "km/wire/kube_write.h"

#define CONTROLLER     "kubemarla.io/controller"
#define MERGE_PATCH    "application/merge-patch+json"
#define WRITTEN        2048 /* events remembered */
#define OBJECTS        1024 /* objects with tokens taken */
#define WAYS           8    /* slots that a key may be in */
#define SERIES_NS      (360 * KM_NS_PER_S)
#define OBJECT_TOKENS  25.0
#define OBJECT_REFILL  (1.0 / 30) /* a second */
#define ALL_TOKENS     50.0
#define ALL_REFILL     20.0
#define INSTANCE_MAX   128
#define NAME_MAX_      320
#define NAME_STEM      200       /* of an object's name, in the event's own */
#define NAMESPACE_NONE "default" /* where events about objects without a namespace live */
#define TIMEOUT_NS     (3 * KM_NS_PER_S)
#define PAUSE_NS       (5 * KM_NS_PER_S) /* after no answer: nobody is to wait for Events */
#define OK             200
#define CREATED        201
#define NOT_FOUND      404

struct written {
	uint64_t key; /* 0 = free */
	int64_t used_ns;
	uint64_t count;
	uint64_t next; /* the count to write next */
	char namespace[64];
	char name[NAME_MAX_];
};

struct bucket {
	uint64_t key;
	int64_t filled_ns;
	double tokens;
};

struct km_events {
	char instance[INSTANCE_MAX];
	struct km_kube_via via;
	const struct km_clock *clock;
	struct km_metrics *metrics;
	struct km_rng rng;
	struct km_buf path, body;
	struct bucket all;
	int64_t paused_ns; /* until then */
	struct km_complain trouble;
	struct bucket object[OBJECTS];
	struct written written[WRITTEN];
};

int km_events_create(const struct km_events_options *o, struct km_events **out, struct km_err *err)
{
	struct km_events *e = calloc(1, sizeof(*e));

	*out = NULL;
	if (e == NULL)
		return km_err_set(err, ENOMEM, "events: out of memory");
	(void)snprintf(e->instance, sizeof(e->instance), "%s", o->instance);
	e->via = o->via;
	e->clock = o->clock;
	e->metrics = o->metrics;
	km_rng_init(&e->rng, o->seed);
	e->trouble = (struct km_complain)KM_COMPLAIN_INIT;
	km_buf_init(&e->path);
	km_buf_init(&e->body);
	e->all = (struct bucket){ .filled_ns = km_clock_mono_ns(o->clock), .tokens = ALL_TOKENS };
	*out = e;
	return 0;
}

void km_events_free(struct km_events *e)
{
	if (e == NULL)
		return;
	km_buf_fini(&e->path);
	km_buf_fini(&e->body);
	free(e);
}

static void count(struct km_events *e, const struct km_event *event, const char *result)
{
	km_counter_add(km_metrics_counter(e->metrics, "kubemarla_controller_events_total",
	                                  "Events by reason and what became of them.", "reason",
	                                  event->reason, "result", result, KM_LABELS_END),
	               1);
}

static bool take(struct bucket *b, double most, double per_s, int64_t now_ns)
{
	b->tokens += (double)(now_ns - b->filled_ns) * 1e-9 * per_s;
	b->filled_ns = now_ns;
	if (b->tokens > most)
		b->tokens = most;
	if (b->tokens < 1)
		return false;
	b->tokens -= 1;
	return true;
}

static uint64_t object_key(const struct km_event *v)
{
	uint64_t key = km_hash64(v->kind, strlen(v->kind), 1);

	key = km_hash64(v->namespace.text, v->namespace.len, key);
	key = km_hash64(v->name.text, v->name.len, key);
	key = km_hash64(v->uid.text, v->uid.len, key);
	return key != 0 ? key : 1;
}

static bool may_write(struct km_events *e, const struct km_event *v, int64_t now_ns)
{
	uint64_t key = object_key(v);
	struct bucket *at = &e->object[key % (OBJECTS / WAYS) * WAYS];
	struct bucket *found = at;

	for (size_t i = 0; i < WAYS; i++) {
		if (at[i].key == key) {
			found = &at[i];
			break;
		}
		if (at[i].filled_ns < found->filled_ns)
			found = &at[i];
	}
	if (found->key != key)
		*found = (struct bucket){ key, now_ns, OBJECT_TOKENS };
	/* The object's own bound first: it must not use up what is everybody's. */
	return take(found, OBJECT_TOKENS, OBJECT_REFILL, now_ns) &&
	       take(&e->all, ALL_TOKENS, ALL_REFILL, now_ns);
}

static struct written *slot_of(struct km_events *e, const struct km_event *v)
{
	uint64_t key = object_key(v);
	struct written *at;
	struct written *found;

	key = km_hash64(v->reason, strlen(v->reason), key);
	key = km_hash64(v->note, strlen(v->note), key);
	key = key != 0 ? key : 1;
	at = &e->written[key % (WRITTEN / WAYS) * WAYS];
	found = at;
	for (size_t i = 0; i < WAYS; i++) {
		if (at[i].key == key)
			return &at[i];
		if (at[i].used_ns < found->used_ns)
			found = &at[i];
	}
	*found = (struct written){ .key = key };
	return found;
}

static int send(struct km_events *e, const char *method, const char *type, struct km_err *err)
{
	const struct km_kube_request r = { .method = method,
		                           .path = km_buf_cstr(&e->path),
		                           .content_type = type,
		                           .body = e->body.data,
		                           .body_len = e->body.len,
		                           .timeout_ns = TIMEOUT_NS };

	if (!km_buf_ok(&e->path) || !km_buf_ok(&e->body))
		return km_err_set(err, ENOMEM, "event: out of memory");
	return e->via.ask(e->via.ctx, &r, NULL, err);
}

static int write_new(struct km_events *e, struct written *w, const struct km_event *v,
                     struct km_err *err)
{
	bool spaced = v->namespace.len > 0;
	const struct km_event_text text = {
		.namespace = w->namespace,
		.name = w->name,
		.controller = CONTROLLER,
		.instance = e->instance,
		.reason = v->reason,
		.action = v->action,
		.note = v->note,
		.warning = v->warning,
		.kind = v->kind,
		.api_version = v->api_version,
		.about_namespace = v->namespace,
		.about_name = v->name,
		.about_uid = v->uid,
		.unix_ns = km_clock_wall_ns(e->clock),
	};

	(void)snprintf(w->namespace, sizeof(w->namespace), "%.*s",
	               spaced ? (int)v->namespace.len : (int)strlen(NAMESPACE_NONE),
	               spaced ? v->namespace.text : NAMESPACE_NONE);
	(void)snprintf(w->name, sizeof(w->name), "%.*s.%016llx",
	               v->name.len < NAME_STEM ? (int)v->name.len : NAME_STEM, v->name.text,
	               (unsigned long long)km_rng_u64(&e->rng));
	km_buf_clear(&e->path);
	km_buf_clear(&e->body);
	km_buf_str(&e->path, "/apis/events.k8s.io/v1/namespaces/");
	km_kube_path_part(&e->path, w->namespace, strlen(w->namespace));
	km_buf_str(&e->path, "/events");
	km_event_encode(&e->body, &text);
	return send(e, "POST", NULL, err);
}

static int write_count(struct km_events *e, const struct written *w, struct km_err *err)
{
	km_buf_clear(&e->path);
	km_buf_clear(&e->body);
	km_buf_str(&e->path, "/apis/events.k8s.io/v1/namespaces/");
	km_kube_path_part(&e->path, w->namespace, strlen(w->namespace));
	km_buf_str(&e->path, "/events/");
	km_kube_path_part(&e->path, w->name, strlen(w->name));
	km_event_series_encode(&e->body, w->count, km_clock_wall_ns(e->clock));
	return send(e, "PATCH", MERGE_PATCH, err);
}

int km_events_write(struct km_events *e, const struct km_event *v, struct km_err *told)
{
	struct km_err own = { .code = 0 };
	struct km_err *err = told != NULL ? told : &own;
	int64_t now_ns = km_clock_mono_ns(e->clock);
	struct written *w = slot_of(e, v);
	bool again = w->count > 0 && now_ns - w->used_ns < SERIES_NS;
	int status = 0;

	w->used_ns = now_ns;
	if (again) {
		w->count++;
		if (w->count < w->next) {
			count(e, v, "counted");
			return 0;
		}
	}
	if (now_ns < e->paused_ns || !may_write(e, v, now_ns)) {
		count(e, v, "dropped");
		return 0;
	}
	if (again)
		status = write_count(e, w, err);
	/* The server forgets events after an hour: then it is a new one. */
	if (!again || status == NOT_FOUND)
		status = write_new(e, w, v, err);
	if (status != OK && status != CREATED) {
		w->key = 0;
		if (status < 0)
			e->paused_ns = now_ns + PAUSE_NS;
		count(e, v, "failed");
		km_complain(&e->trouble, now_ns, "kube", "event not written reason=%s error=\"%s\"",
		            v->reason, err->text);
		return status < 0 ? status : -EREMOTEIO;
	}
	w->count = again ? w->count : 1;
	w->next = w->count * 2;
	count(e, v, "written");
	km_recovered(&e->trouble, "kube", "events are written");
	return 0;
}
