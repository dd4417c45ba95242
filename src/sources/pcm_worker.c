/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libpcm in this process (collect.pcm.isolation: thread): the thread "km-pcm" calls it, so that a
 * call that hangs stalls nobody else. What a thread cannot contain is a crash, and it cannot be
 * ended either: one that never comes back is left behind, and keeps libpcm to itself.
 *
 *   sampler   poll() ---- request ---> | km-pcm   read libpcm into `back`
 *             poll() <--- front ------ |          swap front and back
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/clock.h"

#include "pcm_internal.h"

struct pcm_worker {
	/* the thread's own */
	struct km_libpcm *library;
	struct km_pcm_reading *back;
	uint32_t run;

	/* the sampler's own */
	struct km_source_stats *stats;
	int64_t interval_ns;
	int64_t deadline_ns;
	bool asked, delivered, was_late;
	pthread_t thread;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake, ended;
	struct km_pcm_reading *front;
	bool wanted, stop, ready, fresh, left; /* left: nobody will join the thread */
	int code;                              /* != 0: the thread has ended, why says it */
	char why[KM_ERR_TEXT_MAX];
};

/* libpcm has globals and bears one caller; it goes from one worker to the next. */
static atomic_bool in_use;
static atomic_uint runs;

static void worker_free(struct pcm_worker *w)
{
	km_libpcm_free(w->library);
	free(w->back);
	free(w->front);
	(void)pthread_cond_destroy(&w->ended);
	(void)pthread_cond_destroy(&w->wake);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
	atomic_store(&in_use, false);
}

/* Waits for a request. returns false when it is time to stop. */
static bool wait_request(struct pcm_worker *w)
{
	bool go_on;

	pthread_mutex_lock(&w->lock);
	while (!w->wanted && !w->stop) {
		(void)pthread_cond_wait(&w->wake, &w->lock);
	}
	w->wanted = false;
	go_on = !w->stop;
	pthread_mutex_unlock(&w->lock);
	return go_on;
}

static void hand_over(struct pcm_worker *w)
{
	struct km_pcm_reading *front;

	pthread_mutex_lock(&w->lock);
	front = w->front;
	w->front = w->back;
	w->back = front;
	w->fresh = true;
	pthread_mutex_unlock(&w->lock);
}

static void *work(void *worker)
{
	struct pcm_worker *w = worker;
	struct km_err err = { .code = 0 };
	int ret = km_libpcm_start(w->library, &err);
	bool left;

	pthread_mutex_lock(&w->lock);
	w->ready = ret == 0;
	pthread_mutex_unlock(&w->lock);
	while (ret == 0 && wait_request(w)) {
		ret = km_libpcm_read(w->library, w->back, &err);
		w->back->run = w->run;
		if (ret == 0) {
			hand_over(w);
		}
	}
	pthread_mutex_lock(&w->lock);
	w->code = ret != 0 ? -ret : ECANCELED;
	memcpy(w->why, err.text, sizeof(w->why));
	pthread_cond_signal(&w->ended);
	left = w->left;
	pthread_mutex_unlock(&w->lock);
	if (left) {
		worker_free(w);
	}
	return NULL;
}

/* Conditions by the monotonic clock. */
static int init_condition(pthread_cond_t *c)
{
	pthread_condattr_t attr;
	int rc = pthread_condattr_init(&attr);

	if (rc == 0) {
		rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
		rc = rc != 0 ? rc : pthread_cond_init(c, &attr);
		(void)pthread_condattr_destroy(&attr);
	}
	return rc;
}

static int init_sync(struct pcm_worker *w)
{
	int rc = pthread_mutex_init(&w->lock, NULL);

	if (rc != 0) {
		return rc;
	}
	rc = init_condition(&w->wake);
	if (rc == 0) {
		rc = init_condition(&w->ended);
		if (rc == 0) {
			return 0;
		}
		(void)pthread_cond_destroy(&w->wake);
	}
	(void)pthread_mutex_destroy(&w->lock);
	return rc;
}

static int start_thread(struct pcm_worker *w, struct km_err *err)
{
	int rc = pthread_create(&w->thread, NULL, work, w);

	if (rc == 0) {
		(void)pthread_setname_np(w->thread, "km-pcm");
		return 0;
	}
	return km_err_errno(err, rc, "thread km-pcm");
}

int pcm_worker_open(const struct km_source_args *args, struct km_source_stats *stats,
                    struct pcm_worker **out, struct km_err *err)
{
	const struct km_libpcm_options options = { .file = args->live->pcm_library,
		                                   .procfs = args->live->procfs,
		                                   .sysfs = args->live->sysfs };
	struct pcm_worker *w;
	int ret = km_libpcm_environment_check(err);

	*out = NULL;
	if (ret != 0) {
		return ret;
	}
	if (atomic_exchange(&in_use, true)) {
		return km_err_set(err, EBUSY,
		                  "libpcm is in use: a thread of before still waits for it");
	}
	w = calloc(1, sizeof(*w));
	if (w == NULL || init_sync(w) != 0) {
		free(w);
		atomic_store(&in_use, false);
		return km_err_set(err, ENOMEM, "pcm: out of memory");
	}
	w->stats = stats;
	w->interval_ns = args->interval_ns;
	w->deadline_ns = args->now_ns + PCM_START_MAX_NS;
	w->run = atomic_fetch_add(&runs, 1) + 1;
	w->back = calloc(1, sizeof(*w->back));
	w->front = calloc(1, sizeof(*w->front));
	ret = w->back != NULL && w->front != NULL ? km_libpcm_load(&options, &w->library, err)
	                                          : km_err_set(err, ENOMEM, "pcm: out of memory");
	if (ret == 0) {
		(void)snprintf(stats->note, sizeof(stats->note), "%.60s, in a thread",
		               km_libpcm_events(w->library)->family);
		ret = start_thread(w, err);
	}
	if (ret != 0) {
		worker_free(w);
		return ret;
	}
	*out = w;
	return 0;
}

/* No answer in time is a fault, once for each wait; there is nothing that could be restarted. */
static void check_late(struct pcm_worker *w, int64_t now_ns, bool ready)
{
	if (now_ns < w->deadline_ns || w->was_late) {
		return;
	}
	w->was_late = true;
	w->stats->fault[KM_FAULT_TIMEOUT]++;
	(void)snprintf(w->stats->note, sizeof(w->stats->note), "libpcm hangs: %s in %lld s",
	               ready ? "no reading" : "not ready",
	               (long long)((ready ? pcm_answer_ns(w->interval_ns) : PCM_START_MAX_NS) /
	                           KM_NS_PER_S));
}

static void take_front(struct pcm_worker *w, int64_t now_ns, struct km_pcm_reading *out)
{
	*out = *w->front;
	w->fresh = false;
	w->asked = false;
	w->delivered = true;
	w->deadline_ns = now_ns + pcm_answer_ns(w->interval_ns);
}

int pcm_worker_poll(struct pcm_worker *w, int64_t now_ns, struct km_pcm_reading *out, bool *fresh,
                    struct km_err *err)
{
	bool ready;
	int code;

	pthread_mutex_lock(&w->lock);
	code = w->code;
	ready = w->ready;
	*fresh = w->fresh;
	if (w->fresh) {
		take_front(w, now_ns, out);
	}
	if (code == 0 && ready && !w->asked) {
		if (!w->delivered) {
			w->deadline_ns = now_ns + pcm_answer_ns(w->interval_ns);
		}
		w->asked = true;
		w->wanted = true;
		pthread_cond_signal(&w->wake);
	}
	pthread_mutex_unlock(&w->lock);
	if (code != 0) {
		return km_err_set(err, code, "%s", w->why);
	}
	if (*fresh && w->was_late) {
		w->was_late = false;
		w->stats->note[0] = '\0';
	}
	check_late(w, now_ns, ready);
	return w->delivered ? KM_SOURCE_LIVE : KM_SOURCE_STARTING;
}

void pcm_worker_close(struct pcm_worker *w)
{
	struct timespec until;
	pthread_t thread;
	int64_t until_ns;
	bool ended;

	if (w == NULL) {
		return;
	}
	until_ns = km_clock_mono_ns(km_clock_system()) + KM_SOURCE_CLOSE_MAX_NS / 2;
	until.tv_sec = (time_t)(until_ns / KM_NS_PER_S);
	until.tv_nsec = (long)(until_ns % KM_NS_PER_S);
	pthread_mutex_lock(&w->lock);
	thread = w->thread; /* w may be gone once it is left */
	w->stop = true;
	pthread_cond_signal(&w->wake);
	while (w->code == 0 && pthread_cond_timedwait(&w->ended, &w->lock, &until) != ETIMEDOUT) {
	}
	ended = w->code != 0;
	w->left = !ended;
	pthread_mutex_unlock(&w->lock);
	if (ended) {
		(void)pthread_join(w->thread, NULL);
		worker_free(w);
	} else {
		(void)pthread_detach(thread); /* it frees itself, should it ever come back */
	}
}
