/* SPDX-License-Identifier: Apache-2.0 */
/* Many GETs side by side: turns, connections, ETags, and targets that are silent or gone. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/macros.h"

#include "net/pull_internal.h"
#include "support/http_server.h"
#include "support/raw_server.h"

#define KEYS 64

/* What was told so far, by key. */
struct heard {
	unsigned answers; /* 200 */
	unsigned same;    /* 304 */
	unsigned other;
	unsigned failures;
	int code;
	char text[256]; /* of the last body or error */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct heard of[KEYS];
	struct km_pull *pull;
	pthread_t thread;
} world = { .lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER };

/* NOLINTNEXTLINE(readability-function-size): the puller says how many arguments there are */
static void told(void *ctx, uint64_t key, int status, const char *body, size_t len,
                 int64_t asked_mono_ns, const struct km_err *why)
{
	struct heard *h = &world.of[key];

	(void)ctx;
	(void)pthread_mutex_lock(&world.lock);
	h->answers += status == 200;
	h->same += status == 304;
	h->other += status != 200 && status != 304 && status != 0;
	h->failures += status == 0;
	h->code = why != NULL ? why->code : 0;
	if (status != 304)
		(void)snprintf(h->text, sizeof(h->text), "%.*s",
		               why != NULL ? KM_ERR_TEXT_MAX : (int)len,
		               why != NULL ? why->text : body);
	if ((status == 0) != (why != NULL) || (why != NULL && body != NULL) || asked_mono_ns <= 0)
		h->code = -1;
	(void)pthread_cond_broadcast(&world.change);
	(void)pthread_mutex_unlock(&world.lock);
}

static void *run(void *arg)
{
	km_pull_run(arg);
	return NULL;
}

static void begin(struct km_pull_options o)
{
	struct km_err err = { .code = 0 };

	memset(world.of, 0, sizeof(world.of));
	o.done = told;
	if (o.interval_ns == 0)
		o.interval_ns = KM_NS_PER_MS;
	if (o.timeout_ns == 0)
		o.timeout_ns = 20 * KM_NS_PER_S;
	if (km_pull_create(&o, &world.pull, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(pthread_create(&world.thread, NULL, run, world.pull), 0);
}

static void end(void)
{
	km_pull_stop(world.pull);
	assert_int_equal(pthread_join(world.thread, NULL), 0);
	km_pull_free(world.pull);
}

static void set(const struct km_pull_target *target, size_t n)
{
	assert_int_equal(km_pull_set(world.pull, target, n), 0);
}

enum what { ANSWERS, SAME, OTHER, FAILURES };

static unsigned count_of(uint64_t key, enum what what)
{
	const struct heard *h = &world.of[key];
	const unsigned counts[] = { h->answers, h->same, h->other, h->failures };

	return counts[what];
}

/* Waits until so many were told of this key since the test began. */
static struct heard wait_for(uint64_t key, enum what what, unsigned least)
{
	struct timespec until;
	struct heard h;
	int rc = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WIRE_PATIENCE_MS / 1000;
	(void)pthread_mutex_lock(&world.lock);
	while (count_of(key, what) < least && rc == 0)
		rc = pthread_cond_timedwait(&world.change, &world.lock, &until);
	h = world.of[key];
	(void)pthread_mutex_unlock(&world.lock);
	if (rc != 0)
		fail_msg("key %u: %u answers, %u same, %u other, %u failures: %s", (unsigned)key,
		         h.answers, h.same, h.other, h.failures, h.text);
	assert_int_not_equal(h.code, -1);
	return h;
}

/* ---- turns ----------------------------------------------------------------------------------- */

static void turns_come_in_order_whoever_leaves(void **state)
{
	struct net_turn turn[200];
	struct net_turns t = { .turn = NULL };
	struct km_rng rng;
	int64_t last_ns = -1;
	size_t left = KM_ARRAY_LEN(turn);

	(void)state;
	km_rng_init(&rng, 7);
	assert_null(net_turns_first(&t));
	assert_int_equal(net_turns_reserve(&t, KM_ARRAY_LEN(turn)), 0);
	for (size_t i = 0; i < KM_ARRAY_LEN(turn); i++) {
		turn[i].due_ns = (int64_t)(km_rng_u64(&rng) % 50);
		net_turns_add(&t, &turn[i]);
	}
	for (size_t i = 0; i < KM_ARRAY_LEN(turn); i += 3) {
		net_turns_remove(&t, &turn[i]);
		net_turns_remove(&t, &turn[i]); /* harmless */
		left--;
	}
	assert_int_equal(t.count, left);
	for (; left > 0; left--) {
		struct net_turn *first = net_turns_first(&t);

		assert_true(first->due_ns >= last_ns);
		assert_int_not_equal((first - turn) % 3, 0);
		last_ns = first->due_ns;
		net_turns_remove(&t, first);
	}
	assert_null(net_turns_first(&t));
	net_turns_fini(&t);
}

/* ---- against a server ------------------------------------------------------------------------ */

static struct http_server server;

static int start(void **state)
{
	struct km_server_options o = http_server_options();

	(void)state;
	o.connections = 256; /* one host is many targets here, in all shards */
	http_server_start(&server, &o);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	http_server_stop(&server);
	return 0;
}

static void each_target_has_its_turns(void **state)
{
	struct km_pull_target target[KEYS];
	char url[KEYS][64];

	(void)state;
	for (size_t i = 0; i < KEYS; i++) {
		(void)snprintf(url[i], sizeof(url[i]), "http://127.0.0.1:%d/t%zu", server.at.port,
		               i);
		target[KEYS - 1 - i] = (struct km_pull_target){ i, url[i] };
	}
	begin((struct km_pull_options){ .side_by_side = 4 });
	set(target, KEYS);
	for (size_t i = 0; i < KEYS; i++) {
		struct heard h = wait_for(i, ANSWERS, 3);
		char want[64];

		(void)snprintf(want, sizeof(want), "GET /t%zu 0 ", i);
		assert_memory_equal(h.text, want, strlen(want));
		assert_int_equal(h.failures, 0);
	}
	end();
}

/* By what the puller says, not by a clock of the test. */
static void turns_are_spread_over_the_interval(void **state)
{
	struct km_pull_target target[KEYS];
	char url[KEYS][64];
	unsigned in_tenth[10] = { 0 };

	(void)state;
	for (size_t i = 0; i < KEYS; i++) {
		(void)snprintf(url[i], sizeof(url[i]), "http://127.0.0.1:%d/t%zu", server.at.port,
		               i);
		target[i] = (struct km_pull_target){ i, url[i] };
	}
	begin((struct km_pull_options){ .interval_ns = 3600 * KM_NS_PER_S });
	set(target, KEYS);
	for (size_t i = 0; i < KEYS; i++)
		(void)wait_for(i, ANSWERS, 1); /* all soon, though the interval is an hour */
	km_pull_stop(world.pull);
	assert_int_equal(pthread_join(world.thread, NULL), 0);
	for (size_t i = 0; i < KEYS; i++) {
		double left_s = (double)(world.pull->target[i]->turn.due_ns -
		                         km_clock_mono_ns(km_clock_system())) /
		                1e9;

		assert_true(left_s < 3600);
		in_tenth[left_s > 0 ? (int)(left_s / 360) : 0]++;
	}
	/* 64 of them: that a third is in one tenth has a chance below 1e-6. */
	for (size_t i = 0; i < 10; i++)
		assert_true(in_tenth[i] < KEYS / 3);
	km_pull_free(world.pull);
}

static void who_is_gone_is_not_asked_and_who_stays_is(void **state)
{
	struct km_pull_target target[3];
	char url[3][64];
	struct heard gone;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(url[i], sizeof(url[i]), "http://127.0.0.1:%d/g%zu", server.at.port,
		               i);
		target[i] = (struct km_pull_target){ i, url[i] };
	}
	begin((struct km_pull_options){ .side_by_side = 2 });
	set(target, 3);
	for (size_t i = 0; i < 3; i++)
		(void)wait_for(i, ANSWERS, 2);
	target[1] = (struct km_pull_target){ 0, url[2] }; /* a repetition: the first counts */
	set(target, 2);
	/* 1 may be told of until the list is taken over; later answers of 0 are of that list. */
	(void)wait_for(0, ANSWERS, wait_for(0, ANSWERS, 0).answers + 2);
	gone = wait_for(1, ANSWERS, 0);
	(void)wait_for(0, ANSWERS, wait_for(0, ANSWERS, 0).answers + 20);
	assert_true(wait_for(1, ANSWERS, 0).answers <= gone.answers + 1);
	assert_memory_equal(wait_for(0, ANSWERS, 0).text, "GET /g0 ", 8);
	target[0].url = url[1];
	set(target, 1);
	do {
		gone = wait_for(0, ANSWERS, wait_for(0, ANSWERS, 0).answers + 1);
	} while (memcmp(gone.text, "GET /g1 ", 8) != 0);
	set(NULL, 0);
	end();
}

static void silent_ones_keep_no_place_from_others(void **state)
{
	struct km_pull_target target[9];
	char hold[64];
	char url[64];
	int port;
	int fd = raw_bind(&port);

	(void)state;
	assert_int_equal(listen(fd, 64), 0); /* the kernel connects, and nobody reads */
	(void)snprintf(hold, sizeof(hold), "http://127.0.0.1:%d/a", port);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/a", server.at.port);
	for (size_t i = 0; i < 8; i++)
		target[i] = (struct km_pull_target){ i, hold };
	target[8] = (struct km_pull_target){ 8, url };
	/* At first they take all places; once they failed, half of them. */
	begin((struct km_pull_options){ .side_by_side = 2, .timeout_ns = 50 * KM_NS_PER_MS });
	set(target, 9);
	(void)wait_for(8, ANSWERS, 50);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(wait_for(i, FAILURES, 1).code, ETIMEDOUT);
	end();
	(void)close(fd);
}

/* Fewer places than asked for, and connections that nobody may open are failures like others. */
static void scarce_descriptors_leave_it_running(void **state)
{
	struct km_pull_target target[KEYS];
	struct rlimit before;
	struct rlimit scarce;
	char silent[64];
	char url[64];
	int port;
	int fd = raw_bind(&port);
	int top;

	(void)state;
	assert_int_equal(listen(fd, 64), 0);
	(void)snprintf(silent, sizeof(silent), "http://127.0.0.1:%d/a", port);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/a", server.at.port);
	for (size_t i = 0; i < KEYS; i++)
		target[i] = (struct km_pull_target){ i, i == 0 ? url : silent };
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	scarce = before;
	begin((struct km_pull_options){ .timeout_ns = 20 * KM_NS_PER_MS });
	top = dup(fd); /* behind what the puller itself has open */
	scarce.rlim_cur = (rlim_t)top + 40;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &scarce), 0);
	set(target, KEYS);
	for (size_t i = 1; i < KEYS; i++) {
		int code = wait_for(i, FAILURES, 1).code;

		if (code != ETIMEDOUT && code != EMFILE)
			fail_msg("%s", world.of[i].text);
	}
	(void)wait_for(0, ANSWERS, 10);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	end();
	(void)close(top);
	(void)close(fd);
}

static void a_stop_does_not_wait_for_silent_ones(void **state)
{
	struct km_pull_target target;
	char url[64];

	(void)state;
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/hold", server.at.port);
	target = (struct km_pull_target){ 0, url };
	begin((struct km_pull_options){ .timeout_ns = 3600 * KM_NS_PER_S });
	set(&target, 1);
	assert_true(http_server_wait_held(1));
	end();
	http_server_release();
	assert_true(http_server_wait_held(0));
	begin((struct km_pull_options){ .timeout_ns = 3600 * KM_NS_PER_S });
	end(); /* without anything to do */
}

static void what_is_no_answer_says_why(void **state)
{
	static const struct raw_turn no_http = { "SSH-2.0-x\r\n", 0, RAW_CLOSE };
	static struct raw_server raw;
	struct km_pull_target target[5];
	static const int want[] = { EFBIG, ECONNREFUSED, EINVAL, EPROTO };
	char url[5][64];
	int port;
	int fd = raw_bind(&port);

	(void)state;
	raw_server_start(&raw, &no_http, 1);
	(void)snprintf(url[0], 64, "http://127.0.0.1:%d/big?n=1001", server.at.port);
	(void)snprintf(url[1], 64, "http://127.0.0.1:%d/a", port);
	(void)snprintf(url[2], 64, "ftp://127.0.0.1:%d/a", port);
	(void)snprintf(url[3], 64, "http://127.0.0.1:%d/a", raw.port);
	(void)snprintf(url[4], 64, "http://127.0.0.1:%d/headers", server.at.port);
	for (size_t i = 0; i < 5; i++)
		target[i] = (struct km_pull_target){ i, url[i] };
	begin((struct km_pull_options){ .max_body_bytes = 1000,
	                                .interval_ns = 3600 * KM_NS_PER_S });
	set(target, 5);
	for (size_t i = 0; i < KM_ARRAY_LEN(want); i++) {
		struct heard h = wait_for(i, FAILURES, 1);

		if (h.code != want[i] || strncmp(h.text, url[i], strlen(url[i])) != 0)
			fail_msg("%s: %d, %s", url[i], h.code, h.text);
	}
	assert_memory_equal(wait_for(4, OTHER, 1).text, "GET /headers", 12);
	end();
	raw_server_stop(&raw);
	(void)close(fd);
}

static void an_unchanged_answer_is_asked_for_by_its_etag(void **state)
{
	static const struct raw_turn turns[] = {
		{ "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 1\r\n\r\n1", 0, RAW_KEEP },
		{ "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", 0, RAW_KEEP },
		{ "HTTP/1.1 500 No\r\nETag: \"x\"\r\nContent-Length: 1\r\n\r\n2", 0, RAW_KEEP },
		{ "HTTP/1.1 200 OK\r\nETag: \"b\"\r\nContent-Length: 1\r\n\r\n3", 0, RAW_KEEP },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n4", 0, RAW_KEEP },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n5", 0, RAW_KEEP },
	};
	static const char *const want[] = { NULL, "\"a\"", "\"a\"", "\"a\"", "\"b\"", NULL };
	static struct raw_server raw;
	struct km_pull_target target;
	char url[64];

	(void)state;
	raw_server_start(&raw, turns, KM_ARRAY_LEN(turns));
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/a", raw.port);
	target = (struct km_pull_target){ 0, url };
	begin((struct km_pull_options){ .interval_ns = KM_NS_PER_MS });
	set(&target, 1);
	(void)wait_for(0, ANSWERS, 2);
	set(&target, 1); /* the same again: nothing is forgotten */
	(void)wait_for(0, ANSWERS, 4);
	assert_int_equal(wait_for(0, SAME, 1).same, 1);
	end();
	raw_server_stop(&raw);
	assert_int_equal(raw.connections, 1);
	for (size_t i = 0; i < KM_ARRAY_LEN(want); i++) {
		const char *at = strstr(raw.request[i], "If-None-Match: ");

		if ((at != NULL) != (want[i] != NULL) ||
		    (at != NULL && strncmp(at + 15, want[i], strlen(want[i])) != 0))
			fail_msg("request %zu: %s", i, raw.request[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(turns_come_in_order_whoever_leaves),
		cmocka_unit_test(each_target_has_its_turns),
		cmocka_unit_test(turns_are_spread_over_the_interval),
		cmocka_unit_test(who_is_gone_is_not_asked_and_who_stays_is),
		cmocka_unit_test(silent_ones_keep_no_place_from_others),
		cmocka_unit_test(scarce_descriptors_leave_it_running),
		cmocka_unit_test(a_stop_does_not_wait_for_silent_ones),
		cmocka_unit_test(what_is_no_answer_says_why),
		cmocka_unit_test(an_unchanged_answer_is_asked_for_by_its_etag),
	};

	return cmocka_run_group_tests_name("puller", tests, start, stop);
}
