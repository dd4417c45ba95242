/* SPDX-License-Identifier: Apache-2.0 */
/* One request to the API server: who asks (token), how long, what came, in words and in metrics. */
#include "km/kube/api.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "km/base/arena.h"
#include "km/base/clock.h"
#include "km/wire/kube_objects.h"

#include "kube_internal.h"

#define DEADLINE_NS         (10 * KM_NS_PER_S)
#define TOKEN_AGE_NS        (60 * KM_NS_PER_S) /* client-go reads it as often */
#define RETRY_AFTER_MAX_S   60
#define BODY_MAX_BYTES      ((size_t)16 << 20)
#define STATUS_UNAUTHORIZED 401
#define PATH_SHOWN          70 /* bytes of a path in an error text */
#define SERIES_MAX          32 /* (verb, code) remembered; the registry knows the rest */

struct series {
	const char *verb;
	int code;
	struct km_counter *counter;
};

struct km_kube {
	const struct km_kube_credentials *credentials;
	struct km_metrics *metrics;
	struct km_client *client;
	struct km_buf url;
	struct km_buf token; /* NUL-terminated; empty = none */
	struct stat token_seen;
	int64_t token_read_ns; /* 0 = never */
	int64_t retry_after_ns;
	struct series series[SERIES_MAX];
	size_t series_count;

	atomic_bool stopped;
	pthread_mutex_t lock; /* for the wait alone */
	pthread_cond_t wake;
};

int km_kube_create(const struct km_kube_credentials *credentials, struct km_metrics *metrics,
                   struct km_kube **out, struct km_err *err)
{
	const struct km_client_tls tls = {
		.ca_file = credentials->ca_file,
		.ca_pem = credentials->ca_pem,
		.cert_file = credentials->cert_file,
		.cert_pem = credentials->cert_pem,
		.key_file = credentials->key_file,
		.key_pem = credentials->key_pem,
		.server_name = credentials->server_name,
		.insecure = credentials->insecure,
	};
	const struct km_client_options options = {
		.timeout_ns = DEADLINE_NS,
		.max_body_bytes = BODY_MAX_BYTES,
		.tls = &tls,
	};
	struct km_kube *k = calloc(1, sizeof(*k));
	pthread_condattr_t monotonic;
	int rc;

	*out = NULL;
	if (k == NULL)
		return km_err_set(err, ENOMEM, "API client: out of memory");
	k->credentials = credentials;
	k->metrics = metrics;
	atomic_init(&k->stopped, false);
	(void)pthread_mutex_init(&k->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&k->wake, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	rc = km_client_create(&options, &k->client, err);
	if (rc != 0) {
		km_kube_free(k);
		return rc;
	}
	*out = k;
	return 0;
}

void km_kube_free(struct km_kube *k)
{
	if (k == NULL)
		return;
	km_client_free(k->client);
	km_buf_fini(&k->url);
	km_buf_fini(&k->token);
	(void)pthread_cond_destroy(&k->wake);
	(void)pthread_mutex_destroy(&k->lock);
	free(k);
}

void km_kube_stop(struct km_kube *k)
{
	(void)pthread_mutex_lock(&k->lock);
	atomic_store(&k->stopped, true);
	(void)pthread_cond_broadcast(&k->wake);
	(void)pthread_mutex_unlock(&k->lock);
	km_client_stop(k->client);
}

bool km_kube_stopped(const struct km_kube *k)
{
	return atomic_load(&k->stopped);
}

bool km_kube_wait(struct km_kube *k, int64_t ns)
{
	struct timespec until;
	bool stopped;

	if (ns < 0)
		ns = 0;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ns / KM_NS_PER_S);
	until.tv_nsec += (long)(ns % KM_NS_PER_S);
	if (until.tv_nsec >= KM_NS_PER_S) {
		until.tv_sec++;
		until.tv_nsec -= KM_NS_PER_S;
	}
	(void)pthread_mutex_lock(&k->lock);
	while (!atomic_load(&k->stopped) &&
	       pthread_cond_timedwait(&k->wake, &k->lock, &until) != ETIMEDOUT)
		;
	stopped = atomic_load(&k->stopped);
	(void)pthread_mutex_unlock(&k->lock);
	return !stopped;
}

int64_t km_kube_retry_after_ns(const struct km_kube *k)
{
	return k->retry_after_ns;
}

const struct km_kube_credentials *km_kube_credentials_of(const struct km_kube *k)
{
	return k->credentials;
}

/* ---- the token ------------------------------------------------------------------------------ */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* *changed: it is another one than before. A file that cannot be read leaves the old token. */
static int reread_token(struct km_kube *k, bool *changed, struct km_err *err)
{
	const char *file = k->credentials->token_file;
	struct stat seen = { 0 };
	struct km_buf token;
	int rc;

	*changed = false;
	km_buf_init(&token);
	/* Looked at first: a change meanwhile is then seen the next time. */
	(void)stat(file, &seen);
	rc = kube_token_read(file, &token, err);
	if (rc == 0) {
		(void)km_buf_cstr(&token);
		*changed = token.len != k->token.len ||
		           memcmp(token.data, k->token.data, token.len) != 0;
		km_buf_fini(&k->token);
		k->token = token;
		k->token_seen = seen;
		k->token_read_ns = km_clock_mono_ns(km_clock_system());
		return 0;
	}
	km_buf_fini(&token);
	return k->token.len > 0 && rc != -ENOMEM ? 0 : rc;
}

/* The token in k->token, "" = none. A rotated file is noticed before it is a minute old. */
static int fresh_token(struct km_kube *k, struct km_err *err)
{
	const struct km_kube_credentials *c = k->credentials;
	struct stat now = { 0 };
	bool changed;

	if (c->token_file == NULL) {
		if (k->token.len == 0 && c->token != NULL)
			km_buf_str(&k->token, c->token);
		(void)km_buf_cstr(&k->token);
		return km_buf_ok(&k->token) ? 0 : km_err_set(err, ENOMEM, "token: out of memory");
	}
	if (k->token_read_ns > 0 &&
	    km_clock_mono_ns(km_clock_system()) - k->token_read_ns < TOKEN_AGE_NS &&
	    stat(c->token_file, &now) == 0 && same_file(&now, &k->token_seen))
		return 0;
	return reread_token(k, &changed, err);
}

/* ---- the answer ----------------------------------------------------------------------------- */

static void count(struct km_kube *k, const char *verb, int status)
{
	char code[16] = "none";
	struct series *s;

	for (size_t i = 0; i < k->series_count; i++) {
		s = &k->series[i];
		if (s->code == status && strcmp(s->verb, verb) == 0) {
			km_counter_add(s->counter, 1);
			return;
		}
	}
	if (status > 0)
		(void)snprintf(code, sizeof(code), "%d", status);
	s = &k->series[k->series_count < SERIES_MAX ? k->series_count++ : SERIES_MAX - 1];
	s->verb = verb;
	s->code = status;
	s->counter = km_metrics_counter(k->metrics, "kubemarla_kube_requests_total",
	                                "Requests to the API server by verb and HTTP status.",
	                                "verb", verb, "code", code, KM_LABELS_END);
	km_counter_add(s->counter, 1);
}

/* What was asked, for error texts: a path without its query. */
static int path_len(const struct kube_request *r)
{
	size_t len = strcspn(r->path, "?");

	return len < PATH_SHOWN ? (int)len : PATH_SHOWN;
}

/* "METHOD path: why" instead of "URL: why": a URL has a long query, and is cut in the middle. */
static void name_request(const struct km_kube *k, const struct kube_request *r, struct km_err *err)
{
	struct km_err plain;
	const char *why;
	size_t same = 0;

	if (err == NULL)
		return;
	while (same < k->url.len && err->text[same] == k->url.data[same])
		same++;
	why = err->text + same;
	if (why[0] == ':')
		why++;
	why += strspn(why, " ");
	(void)km_err_set(&plain, err->code, "%s %.*s: %s", r->method, path_len(r), r->path, why);
	*err = plain;
}

/* The Status in an answer over 400, in words; and how long it asks to wait. */
static void read_status(struct km_kube *k, const struct kube_request *r, int status,
                        const struct km_buf *body, size_t from, const struct km_http_told *told,
                        struct km_err *err)
{
	struct km_kube_status said = { .retry_after_s = -1 };
	int64_t wait_s = told->retry_after_s;
	struct km_arena arena;

	km_arena_init(&arena, 0);
	if (body == NULL || body->len == from ||
	    km_kube_status_decode(body->data + from, body->len - from, &arena, &said) != 0)
		said = (struct km_kube_status){ .reason = { "", 0 }, .retry_after_s = -1 };
	(void)km_err_set(err, EPROTO, "%s %.*s: %d %.*s%s%.*s", r->method, path_len(r), r->path,
	                 status, said.reason.len < 40 ? (int)said.reason.len : 40, said.reason.text,
	                 said.message.len > 0 ? ": " : "",
	                 said.message.len < 120 ? (int)said.message.len : 120,
	                 said.message.len > 0 ? said.message.text : "");
	if (said.retry_after_s > wait_s)
		wait_s = said.retry_after_s;
	if (wait_s > RETRY_AFTER_MAX_S)
		wait_s = RETRY_AFTER_MAX_S;
	if (wait_s > 0)
		k->retry_after_ns = wait_s * KM_NS_PER_S;
	km_arena_fini(&arena);
}

static int ask_once(struct km_kube *k, const struct kube_request *r, struct km_buf *out,
                    struct km_err *err)
{
	struct km_http_ask ask = {
		.method = r->method,
		.content_type = r->content_type,
		.accept = "application/json",
		.body = r->body,
		.body_len = r->body_len,
		.gzip = r->gzip,
		.timeout_ns = r->timeout_ns,
		.silence_ns = r->silence_ns,
		.head_ns = r->head_ns,
		.on_data = r->on_data,
		.on_status = r->on_status,
		.ctx = r->ctx,
	};
	struct km_http_told told;
	size_t before = out->len;
	int rc = fresh_token(k, err);

	k->retry_after_ns = 0;
	if (rc != 0)
		return km_err_prefix(err, "%s %.*s", r->method, path_len(r), r->path);
	km_buf_clear(&k->url);
	km_buf_str(&k->url, k->credentials->server);
	km_buf_str(&k->url, r->path);
	ask.url = km_buf_cstr(&k->url);
	ask.bearer = k->token.len > 0 ? k->token.data : NULL;
	if (!km_buf_ok(&k->url))
		return km_err_set(err, ENOMEM, "%s %.*s: out of memory", r->method, path_len(r),
		                  r->path);
	rc = km_client_ask(k->client, &ask, out, &told, err);
	count(k, r->verb, told.status);
	if (rc >= 400)
		read_status(k, r, rc, out, before, &told, err);
	else if (rc < 0)
		name_request(k, r, err);
	return rc;
}

int kube_request(struct km_kube *k, const struct kube_request *r, struct km_buf *out,
                 struct km_err *err)
{
	size_t before = out->len;
	bool changed = false;
	int rc = ask_once(k, r, out, err);

	/* The token may have been replaced between the minute's look and its end. */
	if (rc != STATUS_UNAUTHORIZED || k->credentials->token_file == NULL ||
	    reread_token(k, &changed, NULL) != 0 || !changed)
		return rc;
	out->len = before;
	return ask_once(k, r, out, err);
}

int km_kube_ask(struct km_kube *k, const char *method, const char *path,
                const struct km_kube_body *body, struct km_buf *out, struct km_err *err)
{
	static const struct {
		const char *method, *verb;
	} verbs[] = {
		{ "GET", "get" },     { "POST", "create" },   { "PUT", "update" },
		{ "PATCH", "patch" }, { "DELETE", "delete" },
	};
	struct kube_request r = {
		.method = method,
		.path = path,
		.content_type = body != NULL ? body->type : NULL,
		.body = body != NULL ? body->text : NULL,
		.body_len = body != NULL ? body->len : 0,
	};
	struct km_buf dropped;
	int rc;

	for (size_t i = 0; i < KM_ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i].method, method) == 0)
			r.verb = verbs[i].verb;
	}
	if (r.verb == NULL || path[0] != '/') {
		return km_err_set(err, EINVAL,
		                  "%.20s %.60s: want GET, POST, PUT, PATCH or DELETE and a path "
		                  "that begins with '/'",
		                  method, path);
	}
	km_buf_init(&dropped);
	rc = kube_request(k, &r, out != NULL ? out : &dropped, err);
	km_buf_fini(&dropped);
	return rc;
}

void kube_escape(struct km_buf *out, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~";

	for (; *text != '\0'; text++) {
		if (strchr(plain, *text) != NULL)
			km_buf_char(out, *text);
		else
			km_buf_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
	}
}
