/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests themselves: libcurl's multi interface, told of events by an epoll of ours, because
 * with its own poll each round would walk all connections. Idle connections are libcurl's: it keeps
 * them, looks after them once a second and drops the longest idle when there are too many.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "km/base/hash.h"

#include "pull_internal.h"

#define EVENTS 128
/* Descriptors left to the rest of the process. */
#define RESERVED_FDS 256
#define ETAG_MAX     128
/* Answers of one place that stay allocated. */
#define KEEP_BODY_BYTES ((size_t)64 * 1024)

/* ---- what libcurl asks for ------------------------------------------------------------------- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
	const struct net_shard *shard = ctx;
	int epoll_fd = shard->pull->epoll_fd;
	struct epoll_event event = { .data.u64 = (uint64_t)shard->at << 32 | (uint32_t)fd };

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		(void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	if ((what & CURL_POLL_IN) != 0)
		event.events |= EPOLLIN;
	if ((what & CURL_POLL_OUT) != 0)
		event.events |= EPOLLOUT;
	if (epoll_ctl(epoll_fd, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0)
		return -1; /* fails the request */
	if (known == NULL)
		(void)curl_multi_assign(shard->multi, fd, ctx);
	return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
	struct net_shard *shard = ctx;

	(void)multi;
	shard->timer_ns = timeout_ms < 0 ? INT64_MAX
	                                 : km_clock_mono_ns(shard->pull->clock) +
	                                           (int64_t)timeout_ms * KM_NS_PER_MS;
	return 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
	struct net_fetch *f = ctx;
	size_t len = size * count;

	if (len > f->pull->options.max_body_bytes - f->body.len) {
		f->too_large = true;
		return 0; /* anything but len ends the transfer */
	}
	km_buf_append(&f->body, bytes, len);
	return km_buf_ok(&f->body) ? len : 0;
}

/* ---- places ---------------------------------------------------------------------------------- */

static void fetch_free(struct net_fetch *f)
{
	if (f == NULL)
		return;
	curl_easy_cleanup(f->curl);
	curl_slist_free_all(f->headers);
	curl_slist_free_all(f->connect_to);
	km_buf_fini(&f->body);
	free(f);
}

static bool configure(struct net_fetch *f)
{
	const struct km_pull_options *o = &f->pull->options;
	CURL *h = f->curl;
	CURLcode rc = net_curl_configure(h, o->tls, &f->no_socket);

#define SET(option, value) (rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, option, value))
	SET(CURLOPT_TIMEOUT_MS, net_curl_ms(o->timeout_ns));
	SET(CURLOPT_CONNECTTIMEOUT_MS, net_curl_ms(o->timeout_ns));
	/* Each answer has libcurl walk all names it remembers, addresses among them. */
	SET(CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	SET(CURLOPT_ERRORBUFFER, f->detail);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, f);
	SET(CURLOPT_PRIVATE, f);
#undef SET
	return rc == CURLE_OK;
}

static struct net_fetch *place_take(struct km_pull *p)
{
	struct net_fetch *f = p->free;

	if (f != NULL) {
		p->free = f->next;
		return f;
	}
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return NULL;
	km_buf_init(&f->body);
	f->pull = p;
	f->curl = curl_easy_init();
	if (f->curl == NULL || !configure(f)) {
		fetch_free(f);
		return NULL;
	}
	return f;
}

/* The handle is in no multi handle any more. */
static void place_give(struct net_fetch *f)
{
	struct km_pull *p = f->pull;

	(void)curl_easy_setopt(f->curl, CURLOPT_HTTPHEADER, NULL);
	(void)curl_easy_setopt(f->curl, CURLOPT_CONNECT_TO, NULL);
	curl_slist_free_all(f->headers);
	curl_slist_free_all(f->connect_to);
	f->headers = NULL;
	f->connect_to = NULL;
	if (f->body.cap > KEEP_BODY_BYTES)
		km_buf_fini(&f->body);
	f->target = NULL;
	f->next = p->free;
	p->free = f;
}

static void leave(struct net_fetch *f)
{
	struct km_pull *p = f->pull;

	(void)curl_multi_remove_handle(f->shard->multi, f->curl);
	p->busy--;
	p->busy_failed -= f->target->failed;
	f->target->fetch = NULL;
}

void net_fetch_drop(struct net_fetch *f)
{
	leave(f);
	place_give(f);
}

/* ---- a request ------------------------------------------------------------------------------- */

static void keep_etag(struct net_fetch *f)
{
	struct net_target *t = f->target;
	char etag[ETAG_MAX];

	net_curl_header(f->curl, "ETag", etag, sizeof(etag));
	if (t->etag != NULL && strcmp(t->etag, etag) == 0)
		return;
	free(t->etag);
	t->etag = etag[0] != '\0' ? strdup(etag) : NULL;
}

static void explain(struct net_fetch *f, CURLcode code, struct km_err *err)
{
	const char *url = f->target->url;

	if (f->too_large)
		(void)km_err_set(err, EFBIG, "%.80s: the answer is over %zu bytes", url,
		                 f->pull->options.max_body_bytes);
	else if (!km_buf_ok(&f->body))
		(void)km_err_set(err, ENOMEM, "%.80s: out of memory", url);
	else
		(void)km_err_set(err, net_curl_errno(f->curl, code, &f->no_socket), "%.80s: %.90s",
		                 url, f->detail[0] != '\0' ? f->detail : curl_easy_strerror(code));
}

/* libcurl is done with it. */
static void finish(struct net_fetch *f, CURLcode code)
{
	struct km_pull *p = f->pull;
	const struct km_pull_options *o = &p->options;
	struct net_target *t = f->target;
	struct km_err err = { .code = 0 };
	long status = 0;

	if (code == CURLE_OK)
		(void)curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
	else
		explain(f, code, &err);
	if (code == CURLE_OK && status == 200)
		keep_etag(f);
	leave(f);
	net_pull_over(p, t, code != CURLE_OK);
	if (code != CURLE_OK)
		o->done(o->ctx, t->key, 0, NULL, 0, f->asked_ns, &err);
	else
		o->done(o->ctx, t->key, (int)status, f->body.data, f->body.len, f->asked_ns, NULL);
	place_give(f);
}

static CURLcode prepare(struct net_fetch *f)
{
	const struct km_client_tls *tls = f->pull->options.tls;
	const struct net_target *t = f->target;
	CURLcode rc;

	rc = net_curl_address(f->curl, t->url, tls != NULL ? tls->server_name : NULL,
	                      &f->connect_to);
	if (rc != CURLE_OK || t->etag == NULL)
		return rc;
	{
		char line[ETAG_MAX + sizeof("If-None-Match: ")];

		(void)snprintf(line, sizeof(line), "If-None-Match: %s", t->etag);
		f->headers = curl_slist_append(NULL, line);
	}
	return f->headers != NULL ? curl_easy_setopt(f->curl, CURLOPT_HTTPHEADER, f->headers)
	                          : CURLE_OUT_OF_MEMORY;
}

/* It was never asked. */
static void refuse(struct km_pull *p, struct net_target *t, int number, const char *why)
{
	struct km_err err = { .code = 0 };

	(void)km_err_set(&err, number, "%.80s: %s", t->url, why);
	net_pull_over(p, t, true);
	p->options.done(p->options.ctx, t->key, 0, NULL, 0, km_clock_mono_ns(p->clock), &err);
}

/* Keys may be anything, also consecutive numbers. */
static uint32_t shard_of(uint64_t key)
{
	return (uint32_t)(km_hash64(&key, sizeof(key), 0) % NET_SHARDS);
}

void net_fetch_start(struct km_pull *p, struct net_target *t)
{
	struct net_fetch *f;
	CURLcode rc;

	if (!net_curl_is_http(t->url)) {
		refuse(p, t, EINVAL, "want a URL of http:// or https://");
		return;
	}
	f = place_take(p);
	if (f == NULL) {
		refuse(p, t, ENOMEM, "out of memory");
		return;
	}
	f->target = t;
	f->shard = &p->shard[shard_of(t->key)];
	f->asked_ns = km_clock_mono_ns(p->clock);
	f->too_large = false;
	f->no_socket = 0;
	f->detail[0] = '\0';
	km_buf_clear(&f->body);
	rc = prepare(f);
	if (rc == CURLE_OK && curl_multi_add_handle(f->shard->multi, f->curl) != CURLM_OK)
		rc = CURLE_OUT_OF_MEMORY;
	if (rc != CURLE_OK) {
		place_give(f);
		refuse(p, t, net_curl_errno(f->curl, rc, &f->no_socket), curl_easy_strerror(rc));
		return;
	}
	t->fetch = f;
	p->busy++;
	p->busy_failed += t->failed;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void finish_all(const struct net_shard *shard)
{
	CURLMsg *message;
	int left = 0;

	while ((message = curl_multi_info_read(shard->multi, &left)) != NULL) {
		CURLcode code = message->data.result;
		char *place = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &place);
		/* The message is gone once its handle is removed. */
		finish((struct net_fetch *)(void *)place, code);
	}
}

static void on_event(struct km_pull *p, const struct epoll_event *event)
{
	const struct net_shard *shard = &p->shard[event->data.u64 >> 32];
	int fd = (int)(event->data.u64 & UINT32_MAX);
	int what = 0;
	int running = 0;

	if (fd == p->wake_fd) {
		uint64_t woken;
		ssize_t got = read(fd, &woken, sizeof(woken));

		(void)got; /* another one was here first, at most */
		return;
	}
	if ((event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0)
		what |= CURL_CSELECT_IN;
	if ((event->events & EPOLLOUT) != 0)
		what |= CURL_CSELECT_OUT;
	if ((event->events & EPOLLERR) != 0)
		what |= CURL_CSELECT_ERR;
	/* A socket that an event before this one closed is none of libcurl's: it says nothing. */
	(void)curl_multi_socket_action(shard->multi, fd, what, &running);
	finish_all(shard);
}

static int wait_ms(const struct km_pull *p, int64_t until_ns)
{
	int64_t left_ns;

	for (size_t i = 0; i < NET_SHARDS; i++) {
		if (p->shard[i].timer_ns < until_ns)
			until_ns = p->shard[i].timer_ns;
	}
	if (until_ns == INT64_MAX)
		return -1;
	left_ns = until_ns - km_clock_mono_ns(p->clock);
	if (left_ns <= 0)
		return 0;
	left_ns = (left_ns + KM_NS_PER_MS - 1) / KM_NS_PER_MS;
	return left_ns < INT_MAX ? (int)left_ns : INT_MAX;
}

void net_fetch_wait(struct km_pull *p, int64_t until_ns)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(p->epoll_fd, events, EVENTS, wait_ms(p, until_ns));
	int64_t now_ns;

	for (int i = 0; i < count; i++)
		on_event(p, &events[i]);
	now_ns = km_clock_mono_ns(p->clock);
	for (size_t i = 0; i < NET_SHARDS; i++) {
		struct net_shard *shard = &p->shard[i];
		int running = 0;

		if (shard->timer_ns > now_ns)
			continue;
		shard->timer_ns = INT64_MAX; /* it is set anew from within */
		(void)curl_multi_socket_action(shard->multi, CURL_SOCKET_TIMEOUT, 0, &running);
		finish_all(shard);
	}
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static size_t spare_fds(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return RESERVED_FDS;
	if (limit.rlim_cur <= (rlim_t)2 * RESERVED_FDS)
		return limit.rlim_cur > 4 ? (size_t)limit.rlim_cur / 2 : 2;
	return limit.rlim_cur < LONG_MAX ? (size_t)limit.rlim_cur - RESERVED_FDS : LONG_MAX;
}

void net_fetch_expect(struct km_pull *p, size_t targets)
{
	size_t spare = spare_fds();
	size_t half = spare / 2;
	size_t places = p->options.side_by_side;
	/* Shards are not quite alike. */
	size_t kept = targets / NET_SHARDS + targets / NET_SHARDS / 4 + 4;
	size_t most;

	/* A place that is busy has a connection that may be none of the kept ones. */
	p->places = (uint32_t)(places < half ? places : half);
	most = (spare - p->places) / NET_SHARDS;
	if (kept > most)
		kept = most > 0 ? most : 1;
	for (size_t i = 0; i < NET_SHARDS; i++)
		(void)curl_multi_setopt(p->shard[i].multi, CURLMOPT_MAXCONNECTS, (long)kept);
}

static int init_shard(struct km_pull *p, uint32_t at)
{
	struct net_shard *shard = &p->shard[at];

	*shard = (struct net_shard){ .pull = p, .at = at, .timer_ns = INT64_MAX };
	shard->multi = curl_multi_init();
	if (shard->multi == NULL ||
	    curl_multi_setopt(shard->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
	    curl_multi_setopt(shard->multi, CURLMOPT_SOCKETDATA, shard) != CURLM_OK ||
	    curl_multi_setopt(shard->multi, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK ||
	    curl_multi_setopt(shard->multi, CURLMOPT_TIMERDATA, shard) != CURLM_OK)
		return -ENOMEM;
	return 0;
}

int net_fetch_init(struct km_pull *p)
{
	struct epoll_event event = { .events = EPOLLIN };

	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->epoll_fd < 0 || p->wake_fd < 0)
		return -errno;
	event.data.u64 = (uint32_t)p->wake_fd;
	if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->wake_fd, &event) != 0)
		return -errno;
	if (net_curl_init() != 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < NET_SHARDS; i++) {
		if (init_shard(p, i) != 0)
			return -ENOMEM;
	}
	net_fetch_expect(p, 0);
	return 0;
}

void net_fetch_fini(struct km_pull *p)
{
	struct net_fetch *next;

	for (size_t i = 0; i < p->count; i++) {
		if (p->target[i]->fetch != NULL)
			net_fetch_drop(p->target[i]->fetch);
	}
	for (struct net_fetch *f = p->free; f != NULL; f = next) {
		next = f->next;
		fetch_free(f);
	}
	for (size_t i = 0; i < NET_SHARDS; i++)
		(void)curl_multi_cleanup(p->shard[i].multi);
	if (p->epoll_fd >= 0)
		(void)close(p->epoll_fd);
	if (p->wake_fd >= 0)
		(void)close(p->wake_fd);
}
