/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcm-server: Intel's pcm-sensor-server, scraped on a thread of its own. The thread asks, reads the
 * page and leaves it; read() takes what is there and never waits. When the server is away for long
 * the thread ends by itself, and read() says so. Thread: km-pcm-server, one for each open source.
 */
#include "pcm_server.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "km/base/clock.h"
#include "km/net/client.h"

#include "pcm_page.h"
#include "sources_internal.h"

/* PCM itself samples once a second, and reads all counters anew for each request. */
#define PERIOD_MIN_NS  KM_NS_PER_S
#define TIMEOUT_NS     (3 * KM_NS_PER_S)
#define GIVE_UP_NS     (10 * KM_NS_PER_S)
#define CLOSE_WAIT_NS  (900 * KM_NS_PER_MS)
#define PROBE_NS       (900 * KM_NS_PER_MS)
#define BODY_MAX_BYTES ((size_t)16 << 20)

/*
 * What the two threads share. It outlives the source if a scrape hangs at close(): the one that
 * lets go last frees it.
 */
struct worker {
	pthread_mutex_t lock;
	pthread_cond_t wake; /* stop, or over */
	unsigned refs;
	bool stop; /* wished by the source */
	bool over; /* the thread is about to end */
	int code;  /* then: why, negative errno, 0 = it was told to */
	struct km_err err;
	struct km_pcm_page *fresh; /* the newest page, if has_fresh; both pages are owned */
	bool has_fresh;
	int64_t fresh_ns;
	uint64_t fault[KM_FAULT_N], bad_pages;
	char trouble[96]; /* of the last scrape, "" = none */

	/* the thread's own */
	struct km_pcm_server_times times;
	char *url;
	struct km_client *client;
	struct km_buf body;
	struct km_pcm_page *work;
};

struct pcm_server {
	struct km_source base;
	struct worker *worker;
	pthread_t thread;
	struct km_pcm_page *before, *after;
	bool have_before;
	int64_t before_ns;
	struct km_sample_space space;
	struct km_source_stats stats;
};

static struct km_pcm_page *page_create(void)
{
	return calloc(1, sizeof(struct km_pcm_page));
}

static void page_free(struct km_pcm_page *page)
{
	if (page != NULL) {
		km_pcm_page_fini(page);
		free(page);
	}
}

static void worker_free(struct worker *w)
{
	km_client_free(w->client);
	km_buf_fini(&w->body);
	page_free(w->fresh);
	page_free(w->work);
	free(w->url);
	(void)pthread_cond_destroy(&w->wake);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}

static void worker_release(struct worker *w)
{
	bool last;

	pthread_mutex_lock(&w->lock);
	last = --w->refs == 0;
	pthread_mutex_unlock(&w->lock);
	if (last) {
		worker_free(w);
	}
}

static int worker_create(const struct km_source_args *args, const struct km_pcm_server_times *times,
                         struct worker **out, struct km_err *err)
{
	const struct km_client_options options = { .timeout_ns = times->timeout_ns,
		                                   .max_body_bytes = times->body_max_bytes };
	struct worker *w = calloc(1, sizeof(*w));
	pthread_condattr_t attr;

	*out = NULL;
	if (w == NULL) {
		(void)km_err_set(err, ENOMEM, "pcm-server: out of memory");
		return -ENOMEM;
	}
	/* these fail for want of memory only, which glibc's do not take */
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&w->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	w->refs = 1;
	w->times = *times;
	km_buf_init(&w->body);
	w->fresh = page_create();
	w->work = page_create();
	w->url = strdup(args->live->pcm_server_url);
	if (w->fresh == NULL || w->work == NULL || w->url == NULL ||
	    km_client_create(&options, &w->client, err) != 0) {
		worker_free(w);
		(void)km_err_set(err, ENOMEM, "pcm-server: out of memory");
		return -ENOMEM;
	}
	*out = w;
	return 0;
}

/* One page. returns 0 or a negative errno with the reason. */
static int fetch(struct km_client *client, const char *url, struct km_buf *body,
                 struct km_pcm_page *page, struct km_err *err)
{
	int status;
	int ret;

	km_buf_clear(body);
	status = km_client_do(client, url, NULL, 0, body, err);
	if (status < 0) {
		return status;
	}
	if (status != 200) {
		(void)km_err_set(err, EPROTO, "%.80s: status %d, want 200", url, status);
		return -EPROTO;
	}
	ret = km_pcm_page_parse(page, body->data, body->len, err);
	if (ret != 0) {
		(void)km_err_prefix(err, "%.60s", url);
	}
	return ret;
}

static enum km_source_fault fault_of(int code)
{
	switch (code) {
	case -ETIMEDOUT:
		return KM_FAULT_TIMEOUT;
	case -EFBIG:
	case -EPROTO:
	case -EBADMSG:
		return KM_FAULT_GARBLED;
	default:
		return KM_FAULT_UNAVAILABLE;
	}
}

/* Waits until `until_ns`. returns false when it is time to stop. The lock is held. */
static bool wait_until(struct worker *w, int64_t until_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(until_ns / KM_NS_PER_S),
		               .tv_nsec = (long)(until_ns % KM_NS_PER_S) };

	while (!w->stop && pthread_cond_timedwait(&w->wake, &w->lock, &ts) != ETIMEDOUT) {
	}
	return !w->stop;
}

/* Leaves a page, or what went wrong. The lock is held. */
static void hand_over(struct worker *w, int ret, const struct km_err *err, int64_t now_ns)
{
	struct km_pcm_page *old = w->fresh;

	if (ret == 0) {
		w->fresh = w->work;
		w->work = old;
		w->has_fresh = true;
		w->fresh_ns = now_ns;
		w->trouble[0] = '\0';
		return;
	}
	w->fault[fault_of(ret)]++;
	w->bad_pages += fault_of(ret) == KM_FAULT_GARBLED;
	(void)snprintf(w->trouble, sizeof(w->trouble), "%.*s", (int)sizeof(w->trouble) - 1,
	               err->text);
}

static void *scrape(void *arg)
{
	const struct km_clock *clock = km_clock_system();
	struct worker *w = arg;
	int64_t next_ns = km_clock_mono_ns(clock);
	int64_t good_ns = next_ns; /* the last page, or the beginning */
	bool go_on = true;

	(void)pthread_setname_np(pthread_self(), "km-pcm-server");
	while (go_on) {
		struct km_err err = { .code = 0 };
		int ret = fetch(w->client, w->url, &w->body, w->work, &err);
		int64_t now_ns = km_clock_mono_ns(clock);

		good_ns = ret == 0 ? now_ns : good_ns;
		next_ns += w->times.period_ns;
		if (next_ns < now_ns) {
			next_ns = now_ns; /* late: not twice in a row for it */
		}
		pthread_mutex_lock(&w->lock);
		hand_over(w, ret, &err, now_ns);
		if (ret != 0 && now_ns - good_ns >= w->times.give_up_ns) {
			w->code = ret;
			w->err = err;
			go_on = false;
		}
		go_on = go_on && wait_until(w, next_ns);
		w->over = !go_on;
		(void)pthread_cond_broadcast(&w->wake);
		pthread_mutex_unlock(&w->lock);
	}
	worker_release(w);
	return NULL;
}

struct km_pcm_server_times km_pcm_server_times(int64_t interval_ns)
{
	return (struct km_pcm_server_times){
		.period_ns = interval_ns > PERIOD_MIN_NS ? interval_ns : PERIOD_MIN_NS,
		.timeout_ns = TIMEOUT_NS,
		.give_up_ns = GIVE_UP_NS,
		.close_ns = CLOSE_WAIT_NS,
		.body_max_bytes = BODY_MAX_BYTES,
	};
}

/* The thread, if it ends in time; else it is left to end alone. */
static void stop_thread(struct pcm_server *s)
{
	struct worker *w = s->worker;
	int64_t until_ns = km_clock_mono_ns(km_clock_system()) + w->times.close_ns;
	struct timespec ts = { .tv_sec = (time_t)(until_ns / KM_NS_PER_S),
		               .tv_nsec = (long)(until_ns % KM_NS_PER_S) };
	bool over;

	pthread_mutex_lock(&w->lock);
	w->stop = true;
	(void)pthread_cond_broadcast(&w->wake);
	while (!w->over && pthread_cond_timedwait(&w->wake, &w->lock, &ts) != ETIMEDOUT) {
	}
	over = w->over;
	pthread_mutex_unlock(&w->lock);
	if (over) {
		(void)pthread_join(s->thread, NULL); /* it is on its last lines */
	} else {
		(void)pthread_detach(s->thread);
	}
}

static void server_close(struct km_source *base)
{
	struct pcm_server *s = (struct pcm_server *)base;

	stop_thread(s);
	worker_release(s->worker);
	page_free(s->before);
	page_free(s->after);
	km_sample_space_fini(&s->space);
	free(s);
}

static int no_url(struct km_err *err)
{
	return km_err_set(err, ENOENT, "collect.pcmServer.url is empty: no server to ask");
}

int km_pcm_server_open(const struct km_source_args *args, const struct km_pcm_server_times *times,
                       struct km_source **out, struct km_err *err)
{
	struct pcm_server *s;
	int ret;

	*out = NULL;
	if (args->live->pcm_server_url[0] == '\0') {
		return no_url(err);
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		return km_err_set(err, ENOMEM, "pcm-server: out of memory");
	}
	s->before = page_create();
	s->after = page_create();
	ret = s->before != NULL && s->after != NULL
	              ? worker_create(args, times, &s->worker, err)
	              : km_err_set(err, ENOMEM, "pcm-server: out of memory");
	if (s->worker != NULL) {
		s->worker->refs = 2; /* the thread's is the other */
		ret = -pthread_create(&s->thread, NULL, scrape, s->worker);
		if (ret != 0) {
			worker_free(s->worker);
			(void)km_err_errno(err, -ret, "pcm-server: thread");
		}
	}
	if (ret != 0) {
		page_free(s->before);
		page_free(s->after);
		free(s);
		return ret;
	}
	*out = &s->base;
	return 0;
}

static int server_open(const struct km_source_args *args, struct km_source **out,
                       struct km_err *err)
{
	const struct km_pcm_server_times times = km_pcm_server_times(args->interval_ns);

	return km_pcm_server_open(args, &times, out, err);
}

/* What the thread left. returns whether there is a page, in s->after; *code when it gave up. */
static bool take(struct pcm_server *s, int64_t *at_ns, int *code, struct km_err *err)
{
	struct worker *w = s->worker;
	bool has;

	pthread_mutex_lock(&w->lock);
	has = w->has_fresh;
	if (has) {
		struct km_pcm_page *page = w->fresh;

		w->fresh = s->after;
		s->after = page;
		w->has_fresh = false;
		*at_ns = w->fresh_ns;
	}
	for (unsigned f = 0; f < KM_FAULT_N; f++) {
		s->stats.fault[f] += w->fault[f];
		w->fault[f] = 0;
	}
	s->stats.bad_rows += w->bad_pages;
	w->bad_pages = 0;
	memcpy(s->stats.note, w->trouble, sizeof(s->stats.note));
	if (w->trouble[0] != '\0') {
		memcpy(s->stats.last_bad, w->trouble, sizeof(s->stats.last_bad));
	}
	*code = w->over ? w->code : 0;
	if (*code != 0 && err != NULL) {
		*err = w->err;
	}
	pthread_mutex_unlock(&w->lock);
	return has;
}

static int server_read(struct km_source *base, int64_t now_ns, km_sample_fn *emit, void *ctx,
                       struct km_err *err)
{
	struct pcm_server *s = (struct pcm_server *)base;
	struct km_pcm_page *page;
	int64_t at_ns = 0;
	int code = 0;
	int ret = 0;

	(void)now_ns;
	if (!take(s, &at_ns, &code, err)) {
		return code != 0 ? code : s->have_before ? KM_SOURCE_LIVE : KM_SOURCE_STARTING;
	}
	if (s->have_before) {
		ret = km_pcm_page_sample(s->before, s->after, at_ns - s->before_ns, at_ns,
		                         &s->space, &s->stats);
	}
	s->stats.fault[KM_FAULT_UNAVAILABLE] += ret < 0; /* no memory for a sample */
	s->stats.repeated += s->have_before && ret == 0;
	if (ret > 0) {
		emit(ctx, &s->space.sample);
		s->stats.rows++;
	}
	page = s->before;
	s->before = s->after;
	s->after = page;
	s->before_ns = at_ns;
	s->have_before = true;
	return KM_SOURCE_LIVE;
}

static void server_stats(const struct km_source *base, struct km_source_stats *out)
{
	*out = ((const struct pcm_server *)base)->stats;
}

static int server_probe(const struct km_source_args *args, struct km_source_offer *out,
                        struct km_err *err)
{
	const struct km_client_options options = { .timeout_ns = PROBE_NS,
		                                   .max_body_bytes = BODY_MAX_BYTES };
	struct km_pcm_page page = { .cpu_count = 0 };
	struct km_client *client = NULL;
	struct km_buf body;
	int ret;

	if (args->live->pcm_server_url[0] == '\0') {
		return no_url(err);
	}
	ret = km_client_create(&options, &client, err);
	if (ret != 0) {
		return ret;
	}
	km_buf_init(&body);
	ret = fetch(client, args->live->pcm_server_url, &body, &page, err);
	if (ret == 0) {
		km_pcm_page_offer(&page, out);
		(void)snprintf(out->note, sizeof(out->note), "%u CPUs, %zu bytes a page",
		               page.cpu_count, body.len);
	}
	km_pcm_page_fini(&page);
	km_buf_fini(&body);
	km_client_free(client);
	return ret;
}

const struct km_source_ops km_source_pcm_server = {
	.name = "pcm-server",
	.help = "all that Intel's pcm-sensor-server shows, scraped from its /metrics",
	.live = true,
	.probe = server_probe,
	.open = server_open,
	.read = server_read,
	.close = server_close,
	.stats = server_stats,
};
