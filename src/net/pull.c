/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is read and whose turn it is. Targets come from any thread as a sorted list that the running
 * thread takes over; all else is that thread's own.
 */
#include "km/net/pull.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "pull_internal.h"

#define INTERVAL_DEFAULT_NS (5 * KM_NS_PER_S)
#define TIMEOUT_DEFAULT_NS  (2 * KM_NS_PER_S)
#define BODY_DEFAULT_BYTES  ((size_t)1024 * 1024)
/* A handshake takes a millisecond of CPU: more of them at once only time each other out. */
#define SIDE_BY_SIDE_TLS     128
#define SIDE_BY_SIDE_DEFAULT 512
/* New targets are asked at most this fast, or within one interval. */
#define NEW_EACH_NS  KM_NS_PER_MS
#define JITTER_RATIO 0.1

/* ---- lists of targets ------------------------------------------------------------------------ */

static void target_free(struct net_target *t)
{
	if (t == NULL)
		return;
	free(t->url);
	free(t->etag);
	free(t);
}

static void targets_free(struct net_target **list, size_t count)
{
	for (size_t i = 0; list != NULL && i < count; i++)
		target_free(list[i]);
	free(list);
}

static struct net_target *target_new(const struct km_pull_target *from)
{
	struct net_target *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->key = from->key;
	t->turn.at = NET_TURN_NONE;
	t->url = strdup(from->url);
	if (t->url == NULL) {
		free(t);
		return NULL;
	}
	return t;
}

struct sorted {
	const struct km_pull_target *target;
	size_t at; /* of equal keys the first counts, and qsort is not stable */
};

static int by_key(const void *a, const void *b)
{
	const struct sorted *x = a;
	const struct sorted *y = b;

	if (x->target->key != y->target->key)
		return x->target->key < y->target->key ? -1 : 1;
	return x->at < y->at ? -1 : 1;
}

/* returns the targets by key without repetitions, owned, NULL when memory ran out. */
static struct net_target **copy(const struct km_pull_target *target, size_t n, size_t *count)
{
	struct sorted *order = calloc(n + 1, sizeof(*order));
	struct net_target **list = calloc(n + 1, sizeof(struct net_target *));
	bool whole = order != NULL && list != NULL;

	*count = 0;
	for (size_t i = 0; whole && i < n; i++)
		order[i] = (struct sorted){ &target[i], i };
	if (whole && n > 1)
		qsort(order, n, sizeof(*order), by_key);
	for (size_t i = 0; whole && i < n; i++) {
		if (i > 0 && order[i].target->key == order[i - 1].target->key)
			continue;
		list[*count] = target_new(order[i].target);
		whole = list[*count] != NULL;
		*count += whole;
	}
	free(order);
	if (!whole) {
		targets_free(list, *count);
		return NULL;
	}
	return list;
}

/* ---- the caller's side ----------------------------------------------------------------------- */

int km_pull_create(const struct km_pull_options *options, struct km_pull **out, struct km_err *err)
{
	struct km_pull *p;
	uint64_t seed = 0;
	int rc;

	*out = NULL;
	if (options->done == NULL)
		return km_err_set(err, EINVAL, "puller: nobody to tell");
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return km_err_set(err, ENOMEM, "puller: out of memory");
	p->options = *options;
	if (p->options.interval_ns <= 0)
		p->options.interval_ns = INTERVAL_DEFAULT_NS;
	if (p->options.timeout_ns <= 0)
		p->options.timeout_ns = TIMEOUT_DEFAULT_NS;
	if (p->options.max_body_bytes == 0)
		p->options.max_body_bytes = BODY_DEFAULT_BYTES;
	if (p->options.side_by_side == 0)
		p->options.side_by_side =
			options->tls != NULL ? SIDE_BY_SIDE_TLS : SIDE_BY_SIDE_DEFAULT;
	p->clock = km_clock_system();
	/* Two schedulers that start together shall not read every agent at the same instant. */
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = (uint64_t)km_clock_wall_ns(p->clock);
	km_rng_init(&p->rng, seed);
	(void)pthread_mutex_init(&p->lock, NULL);
	atomic_init(&p->stopping, false);
	rc = net_fetch_init(p);
	if (rc != 0) {
		km_pull_free(p);
		return km_err_errno(err, -rc, "puller");
	}
	*out = p;
	return 0;
}

static void wake(const struct km_pull *p)
{
	const uint64_t one = 1;

	/* Can only fail when the counter is full, and then the thread wakes all the same. */
	ssize_t written = write(p->wake_fd, &one, sizeof(one));

	(void)written;
}

int km_pull_set(struct km_pull *p, const struct km_pull_target *target, size_t n)
{
	size_t count = 0;
	struct net_target **list = copy(target, n, &count);
	struct net_target **before;
	size_t before_count;

	if (list == NULL)
		return -ENOMEM;
	(void)pthread_mutex_lock(&p->lock);
	before = p->given;
	before_count = p->given_count;
	p->given = list;
	p->given_count = count;
	(void)pthread_mutex_unlock(&p->lock);
	targets_free(before, before_count);
	wake(p);
	return 0;
}

void km_pull_stop(struct km_pull *p)
{
	atomic_store(&p->stopping, true);
	wake(p);
}

void km_pull_free(struct km_pull *p)
{
	if (p == NULL)
		return;
	net_fetch_fini(p);
	targets_free(p->target, p->count);
	targets_free(p->given, p->given_count);
	net_turns_fini(&p->good);
	net_turns_fini(&p->failed);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

/* ---- the running thread ---------------------------------------------------------------------- */

static struct net_turns *turns_of(struct km_pull *p, const struct net_target *t)
{
	return t->failed ? &p->failed : &p->good;
}

static void retire(struct km_pull *p, struct net_target *t)
{
	net_turns_remove(turns_of(p, t), &t->turn);
	if (t->fetch != NULL)
		net_fetch_drop(t->fetch);
	target_free(t);
}

/*
 * When a target that was asked at `from_ns` is asked next. New ones were asked soon, which is all
 * at once as intervals go; their second turn spreads them.
 */
static int64_t next_turn_ns(struct km_pull *p, struct net_target *t, int64_t from_ns)
{
	double unit = km_rng_unit(&p->rng);
	double intervals = t->settled ? 1 + JITTER_RATIO * (2 * unit - 1) : unit;

	t->settled = true;
	return from_ns + (int64_t)((double)p->options.interval_ns * intervals);
}

static void welcome(struct km_pull *p, struct net_target **fresh, size_t count)
{
	int64_t now_ns = km_clock_mono_ns(p->clock);
	double spread_ns = (double)count * NEW_EACH_NS;

	if (spread_ns > (double)p->options.interval_ns)
		spread_ns = (double)p->options.interval_ns;
	for (size_t i = 0; i < count; i++) {
		fresh[i]->turn.due_ns = now_ns + (int64_t)(km_rng_unit(&p->rng) * spread_ns);
		net_turns_add(&p->good, &fresh[i]->turn);
	}
}

/* Both lists are by key: those that stay keep what they have. */
static void merge(struct km_pull *p, struct net_target **list, size_t count,
                  struct net_target **fresh)
{
	size_t fresh_count = 0;
	size_t old = 0;

	for (size_t i = 0; i < count; i++) {
		while (old < p->count && p->target[old]->key < list[i]->key)
			retire(p, p->target[old++]);
		if (old < p->count && p->target[old]->key == list[i]->key) {
			struct net_target *had = p->target[old++];

			if (strcmp(had->url, list[i]->url) == 0) {
				target_free(list[i]);
				list[i] = had;
				continue;
			}
			retire(p, had);
		}
		fresh[fresh_count++] = list[i];
	}
	while (old < p->count)
		retire(p, p->target[old++]);
	free(p->target);
	p->target = list;
	p->count = count;
	welcome(p, fresh, fresh_count);
}

static void take_over(struct km_pull *p)
{
	struct net_target **fresh;
	struct net_target **list;
	size_t count;

	(void)pthread_mutex_lock(&p->lock);
	list = p->given;
	count = p->given_count;
	p->given = NULL;
	p->given_count = 0;
	(void)pthread_mutex_unlock(&p->lock);
	if (list == NULL)
		return;
	fresh = calloc(count + 1, sizeof(struct net_target *));
	/* Out of memory: the ones before go on, and these wait for the next wake-up. */
	if (fresh == NULL || net_turns_reserve(&p->good, count) != 0 ||
	    net_turns_reserve(&p->failed, count) != 0) {
		(void)pthread_mutex_lock(&p->lock);
		if (p->given == NULL) {
			p->given = list;
			p->given_count = count;
			list = NULL;
		}
		(void)pthread_mutex_unlock(&p->lock);
		targets_free(list, count);
	} else {
		net_fetch_expect(p, count);
		merge(p, list, count, fresh);
	}
	free(fresh);
}

void net_pull_over(struct km_pull *p, struct net_target *t, bool failed)
{
	t->failed = failed;
	net_turns_add(turns_of(p, t), &t->turn);
}

static bool has_place(const struct km_pull *p, bool failed)
{
	uint32_t half = p->places > 1 ? p->places / 2 : 1;

	return p->busy < p->places && (!failed || p->busy_failed < half);
}

/* Starts whose turn it is. returns when the next of them is due. */
static int64_t start_due(struct km_pull *p, struct net_turns *turns, bool failed)
{
	int64_t now_ns = km_clock_mono_ns(p->clock);
	struct net_turn *turn;

	while (has_place(p, failed) && (turn = net_turns_first(turns)) != NULL) {
		if (turn->due_ns > now_ns)
			return turn->due_ns;
		net_turns_remove(turns, turn);
		turn->due_ns = next_turn_ns(p, (struct net_target *)turn, now_ns);
		net_fetch_start(p, (struct net_target *)turn);
	}
	return INT64_MAX; /* or when a place is free: that is an event */
}

void km_pull_run(struct km_pull *p)
{
	while (!atomic_load(&p->stopping)) {
		int64_t good_ns;
		int64_t failed_ns;

		take_over(p);
		good_ns = start_due(p, &p->good, false);
		failed_ns = start_due(p, &p->failed, true);
		net_fetch_wait(p, good_ns < failed_ns ? good_ns : failed_ns);
	}
	for (size_t i = 0; i < p->count; i++) {
		if (p->target[i]->fetch != NULL)
			net_fetch_drop(p->target[i]->fetch);
	}
}
