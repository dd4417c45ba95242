/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the puller: pull.c keeps the targets and their turns, pull_turns.c orders turns,
 * pull_fetch.c drives libcurl by epoll.
 */
#ifndef KM_NET_PULL_INTERNAL_H
#define KM_NET_PULL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "km/base/buf.h"
#include "km/base/clock.h"
#include "km/base/rng.h"
#include "km/net/pull.h"

#include "curl_internal.h"

/* ---- turns: a heap, the earliest on top ------------------------------------------------------ */

#define NET_TURN_NONE SIZE_MAX

struct net_turn {
	int64_t due_ns;
	size_t at; /* in the heap; NET_TURN_NONE = in none */
};

struct net_turns {
	struct net_turn **turn; /* [cap] */
	size_t count;
	size_t cap;
};

/* Makes room for `count` in all; adding then cannot fail. returns 0 or -ENOMEM. */
int net_turns_reserve(struct net_turns *t, size_t count) KM_MUST_CHECK;
void net_turns_add(struct net_turns *t, struct net_turn *turn);
void net_turns_remove(struct net_turns *t, struct net_turn *turn);
/* NULL when there is none. */
struct net_turn *net_turns_first(const struct net_turns *t);
void net_turns_fini(struct net_turns *t);

/* ---- targets --------------------------------------------------------------------------------- */

struct net_fetch;

struct net_target {
	struct net_turn turn; /* first: a turn is its target */
	uint64_t key;
	char *url;
	char *etag;              /* NULL = none */
	struct net_fetch *fetch; /* the request in progress, or NULL */
	bool failed;             /* the last time */
	bool settled;            /* has a place of its own in the interval */
};

/* ---- shards ---------------------------------------------------------------------------------- */

/*
 * One multi handle with a part of the targets. libcurl 7.88 walks all connections that a multi
 * handle keeps each time a request leaves it, and all at once each second, so many small ones cost
 * less than a large one, and pause less.
 */
struct net_shard {
	struct km_pull *pull;
	CURLM *multi;
	uint32_t at;      /* in km_pull.shard */
	int64_t timer_ns; /* when it wants to be called; INT64_MAX = not */
};

#define NET_SHARDS 32

/* ---- requests -------------------------------------------------------------------------------- */

/* One place for a request; used again and again. */
struct net_fetch {
	struct net_fetch *next; /* in the free list */
	struct km_pull *pull;
	CURL *curl;
	struct net_shard *shard; /* of the target */
	struct net_target *target;
	struct curl_slist *headers;
	struct curl_slist *connect_to;
	struct km_buf body;
	bool too_large;
	int no_socket; /* errno */
	int64_t asked_ns;
	char detail[CURL_ERROR_SIZE];
};

struct km_pull {
	struct km_pull_options options;
	const struct km_clock *clock;
	struct km_rng rng;

	struct net_shard shard[NET_SHARDS];
	int epoll_fd;
	int wake_fd;

	struct net_fetch *free;
	uint32_t places;
	uint32_t busy;
	uint32_t busy_failed;

	struct net_target **target; /* [count], by key; the running thread's */
	size_t count;
	struct net_turns good;
	struct net_turns failed;

	pthread_mutex_t lock;
	struct net_target **given; /* [given_count], by key: to be taken over; NULL = nothing */
	size_t given_count;

	atomic_bool stopping;
};

int net_fetch_init(struct km_pull *p) KM_MUST_CHECK;
void net_fetch_fini(struct km_pull *p);
/* As many connections are kept as descriptors allow. */
void net_fetch_expect(struct km_pull *p, size_t targets);
/* Asks; what comes of it is told by net_pull_over, at once when it cannot be asked. */
void net_fetch_start(struct km_pull *p, struct net_target *t);
/* Drops a request in progress. */
void net_fetch_drop(struct net_fetch *f);
/* Waits for the next event, at most until then (monotonic), and does what it asks for. */
void net_fetch_wait(struct km_pull *p, int64_t until_ns);

/* pull.c: the request of this target is over, whatever came of it. */
void net_pull_over(struct km_pull *p, struct net_target *t, bool failed);

#endif
