/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kube: leader election in fake time, against a Lease in memory that behaves as the API server's:
 * versions, conflicts, requests that are lost on the way there or on the way back, or take long.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/arena.h"
#include "km/base/log.h"
#include "km/base/rng.h"
#include "km/kube/lease.h"
#include "km/wire/kube_objects.h"
#include "km/wire/kube_write.h"

#define S        KM_NS_PER_S
#define MEMBERS  3
#define SPARE_NS (KM_LEASE_DURATION_NS - KM_LEASE_RENEW_NS)

struct world;

struct member {
	struct world *w;
	int at;
	struct km_lease *lease; /* NULL = gone */
	struct km_clock clock;
	int64_t next_ns; /* the world's time of its next step */
	int64_t mono_offset_ns, wall_offset_ns;
	int64_t last_held_ns; /* the world's time */
	bool cut;             /* from the server */
	bool stepping;
	bool held;
};

struct world {
	int64_t now_ns;
	bool exists;
	struct km_lease_text text;
	char holder[64];
	char version[24];
	uint64_t versions;
	int requests;
	struct km_rng rng;
	double lost, lost_back, slow; /* chances */
	struct member member[MEMBERS];
	int acquired; /* times that somebody began to hold it */
	int64_t acquired_ns;
	struct km_arena arena;
};

static int64_t mono_of(void *ctx)
{
	const struct member *m = ctx;

	return m->w->now_ns + m->mono_offset_ns;
}

static int64_t wall_of(void *ctx)
{
	const struct member *m = ctx;

	return m->w->now_ns + m->wall_offset_ns;
}

/* Nobody begins before whoever held it has stopped, and what he began then is over. */
static void look(struct world *w)
{
	int holders = 0;

	for (int i = 0; i < MEMBERS; i++) {
		struct member *m = &w->member[i];
		bool held = m->lease != NULL && km_lease_held(m->lease, NULL);

		if (held && !m->held) {
			for (int k = 0; k < MEMBERS; k++) {
				if (k != i && w->member[k].last_held_ns + SPARE_NS > w->now_ns) {
					fail_msg("%d leads %g s after %d", i,
					         (double)(w->now_ns - w->member[k].last_held_ns) /
					                 1e9,
					         k);
				}
			}
			w->acquired++;
			w->acquired_ns = w->now_ns;
		}
		m->held = held;
		holders += held;
		if (held)
			m->last_held_ns = w->now_ns;
	}
	assert_true(holders <= 1);
}

static void pass(struct world *w, int64_t ns);

static void tell(struct world *w, struct km_buf *out)
{
	w->text.resource_version = (struct km_name){ w->version, (uint32_t)strlen(w->version) };
	w->text.holder = w->holder;
	km_lease_encode(out, &w->text);
}

/* As the API server: a new one only where none is, an update only of the version that it is. */
static int serve(struct world *w, const struct km_kube_request *r, struct km_buf *out)
{
	bool create = strcmp(r->method, "POST") == 0;
	struct km_kube_lease lease;

	if (strcmp(r->method, "GET") == 0) {
		if (w->exists)
			tell(w, out);
		return w->exists ? 200 : 404;
	}
	km_arena_reset(&w->arena);
	assert_int_equal(km_kube_lease_decode(r->body, r->body_len, &w->arena, &lease), 0);
	if (create && w->exists)
		return 409;
	if (!create && !w->exists)
		return 404;
	if (!create &&
	    (lease.meta.resource_version.len != strlen(w->version) ||
	     memcmp(lease.meta.resource_version.text, w->version, strlen(w->version)) != 0))
		return 409;
	w->exists = true;
	(void)snprintf(w->version, sizeof(w->version), "%llu", (unsigned long long)++w->versions);
	(void)snprintf(w->holder, sizeof(w->holder), "%.*s", (int)lease.holder.len,
	               lease.holder.text);
	w->text.namespace = "kubemarla-system";
	w->text.name = "kubemarla-controller";
	w->text.duration_s = lease.duration_s;
	w->text.acquired_unix_ns = lease.acquired_unix_ns;
	w->text.renewed_unix_ns = lease.renewed_unix_ns;
	w->text.transitions = lease.transitions;
	tell(w, out);
	return create ? 201 : 200;
}

static int ask(void *ctx, const struct km_kube_request *r, struct km_buf *out, struct km_err *err)
{
	struct member *m = ctx;
	struct world *w = m->w;
	int64_t began_ns = w->now_ns;
	int status;

	w->requests++;
	assert_true(r->timeout_ns > 0 && r->timeout_ns <= KM_LEASE_RENEW_NS / 2);
	if (m->cut || km_rng_unit(&w->rng) < w->lost) {
		pass(w, r->timeout_ns);
		return km_err_set(err, ETIMEDOUT, "timed out");
	}
	if (km_rng_unit(&w->rng) < w->slow)
		pass(w, (int64_t)(km_rng_unit(&w->rng) * (double)r->timeout_ns));
	status = serve(w, r, out);
	if (km_rng_unit(&w->rng) < w->lost_back) {
		pass(w, r->timeout_ns - (w->now_ns - began_ns));
		return km_err_set(err, ETIMEDOUT, "timed out");
	}
	return status;
}

/* Time goes on, and everybody who is due steps; nobody is entered twice. */
static void pass(struct world *w, int64_t ns)
{
	int64_t end_ns = w->now_ns + ns;

	while (w->now_ns < end_ns) {
		int64_t step_ns = S / 20;

		w->now_ns += end_ns - w->now_ns < step_ns ? end_ns - w->now_ns : step_ns;
		look(w);
		for (int i = 0; i < MEMBERS; i++) {
			struct member *m = &w->member[i];

			if (m->lease == NULL || m->stepping || m->next_ns > w->now_ns)
				continue;
			m->stepping = true;
			m->next_ns = km_lease_step(m->lease);
			m->next_ns += w->now_ns;
			m->stepping = false;
			look(w);
		}
	}
}

static void join(struct world *w, int at)
{
	struct member *m = &w->member[at];
	char identity[16];
	struct km_lease_options o = { .namespace = "kubemarla-system",
		                      .name = "kubemarla-controller",
		                      .identity = identity,
		                      .via = { ask, m },
		                      .clock = &m->clock,
		                      .seed = (uint64_t)at + 1 };

	m->w = w;
	m->at = at;
	m->clock = (struct km_clock){ mono_of, wall_of, m };
	m->next_ns = w->now_ns;
	m->last_held_ns = INT64_MIN / 2;
	(void)snprintf(identity, sizeof(identity), "member-%d", at);
	assert_int_equal(km_lease_create(&o, &m->lease, NULL), 0);
}

static void leave(struct world *w, int at)
{
	km_lease_free(w->member[at].lease);
	w->member[at].lease = NULL;
}

static void begin(struct world *w, int members)
{
	memset(w, 0, sizeof(*w));
	w->now_ns = 1000 * S;
	km_rng_init(&w->rng, 7);
	km_arena_init(&w->arena, 0);
	for (int i = 0; i < MEMBERS; i++)
		w->member[i] = (struct member){ .mono_offset_ns = i * 500 * S,
			                        .wall_offset_ns = (1700000000 + i * 3600) * S,
			                        .last_held_ns = INT64_MIN / 2 };
	for (int i = 0; i < members; i++)
		join(w, i);
}

static void end(struct world *w)
{
	for (int i = 0; i < MEMBERS; i++)
		leave(w, i);
	km_arena_fini(&w->arena);
}

static int leader(const struct world *w)
{
	for (int i = 0; i < MEMBERS; i++) {
		if (w->member[i].held)
			return i;
	}
	return -1;
}

static void one_leads_and_renews(void **state)
{
	struct world w;
	int first;

	(void)state;
	begin(&w, 2);
	pass(&w, S);
	first = leader(&w);
	assert_true(first >= 0);
	pass(&w, 600 * S);
	assert_int_equal(leader(&w), first);
	assert_int_equal(w.acquired, 1);
	assert_int_equal(w.text.transitions, 0);
	/* one in 2 s each, not more */
	assert_true(w.requests > 500 && w.requests < 700);
	end(&w);
}

static void when_the_leader_dies_another_takes_over_within_20_s(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++) {
		struct world w;
		int64_t died_ns;
		int first;

		begin(&w, 2);
		pass(&w, 10 * S + i * S / 20); /* anywhere between two renewals */
		first = leader(&w);
		died_ns = w.now_ns;
		leave(&w, first);
		w.member[first].held = false;
		pass(&w, 20 * S);
		assert_int_equal(leader(&w), 1 - first);
		assert_true(w.acquired_ns - died_ns <= 20 * S);
		assert_int_equal(w.text.transitions, 1);
		end(&w);
	}
}

static void a_clean_stop_hands_over_at_once(void **state)
{
	struct world w;
	int first;

	(void)state;
	begin(&w, 2);
	pass(&w, 30 * S);
	first = leader(&w);
	km_lease_release(w.member[first].lease);
	assert_string_equal(w.holder, "");
	leave(&w, first);
	w.member[first].held = false;
	w.member[first].last_held_ns = INT64_MIN / 2; /* nothing of his is under way */
	pass(&w, 3 * S);
	assert_int_equal(leader(&w), 1 - first);
	end(&w);
}

static void who_cannot_renew_stops_before_it_can_be_taken(void **state)
{
	struct world w;
	char holder[64];
	int first;

	(void)state;
	begin(&w, 2);
	pass(&w, 30 * S);
	first = leader(&w);
	w.member[first].cut = true;
	pass(&w, KM_LEASE_RENEW_NS);
	assert_int_equal(leader(&w), -1);
	pass(&w, 12 * S);
	assert_int_equal(leader(&w), 1 - first);
	w.member[first].cut = false;
	pass(&w, 60 * S);
	assert_int_equal(leader(&w), 1 - first); /* it does not take it back */
	(void)snprintf(holder, sizeof(holder), "member-%d", 1 - first);
	assert_string_equal(km_lease_holder(w.member[first].lease, (char[64]){ 0 }, 64), holder);
	end(&w);
}

/* All are cut: nobody acts. When the server is back, the last one goes on without a transition. */
static void an_api_server_away_is_a_pause(void **state)
{
	struct world w;
	int first;

	(void)state;
	begin(&w, 1);
	pass(&w, 30 * S);
	first = leader(&w);
	w.member[first].cut = true;
	pass(&w, 60 * S);
	assert_int_equal(leader(&w), -1);
	w.member[first].cut = false;
	pass(&w, 10 * S);
	assert_int_equal(leader(&w), first);
	assert_int_equal(w.text.transitions, 0);
	end(&w);
}

static void a_conflict_is_looked_at_again(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1);
	pass(&w, 30 * S);
	/* somebody labelled it: another version, the same holder */
	(void)snprintf(w.version, sizeof(w.version), "%llu", (unsigned long long)++w.versions);
	pass(&w, 3 * S);
	assert_int_equal(leader(&w), 0);
	assert_int_equal(w.acquired, 1);
	/* somebody took it by hand: let go at once */
	(void)snprintf(w.version, sizeof(w.version), "%llu", (unsigned long long)++w.versions);
	(void)snprintf(w.holder, sizeof(w.holder), "an admin");
	pass(&w, 3 * S);
	assert_int_equal(leader(&w), -1);
	end(&w);
}

static void a_deleted_lease_is_made_again_by_its_holder(void **state)
{
	struct world w;
	int first;

	(void)state;
	begin(&w, 3);
	pass(&w, 30 * S);
	first = leader(&w);
	w.exists = false;
	pass(&w, 60 * S);
	assert_int_equal(leader(&w), first);
	assert_int_equal(w.acquired, 1);
	end(&w);
}

static void a_machine_that_slept_asks_first(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1);
	pass(&w, 30 * S);
	assert_int_equal(leader(&w), 0);
	w.member[0].wall_offset_ns += 3600 * S; /* the monotonic clock stood still meanwhile */
	assert_false(km_lease_held(w.member[0].lease, NULL));
	pass(&w, 3 * S);
	assert_int_equal(leader(&w), 0);
	w.member[0].wall_offset_ns -= 7200 * S; /* a clock set back is no reason */
	assert_true(km_lease_held(w.member[0].lease, NULL));
	pass(&w, 60 * S);
	assert_int_equal(leader(&w), 0);
	end(&w);
}

/* Whatever is lost, late or killed: never two, and what one began is over before another leads. */
static void never_two_at_once(void **state)
{
	int changes = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct world w;

		begin(&w, 3);
		km_rng_init(&w.rng, seed);
		w.lost = km_rng_unit(&w.rng) * 0.5;
		w.lost_back = km_rng_unit(&w.rng) * 0.3;
		w.slow = km_rng_unit(&w.rng);
		for (int i = 0; i < 40; i++) {
			int at = (int)km_rng_below(&w.rng, MEMBERS);

			pass(&w, (int64_t)(km_rng_unit(&w.rng) * 20 * (double)S));
			w.member[at].cut = km_rng_unit(&w.rng) < 0.5;
			at = (int)km_rng_below(&w.rng, MEMBERS);
			if (km_rng_unit(&w.rng) < 0.3) {
				leave(&w, at);
				w.member[at].held = false;
				join(&w, at); /* a new process, and it knows nothing */
			}
			if (km_rng_unit(&w.rng) < 0.2)
				w.member[at].wall_offset_ns +=
					((int64_t)km_rng_below(&w.rng, 7200) - 3600) * S;
		}
		changes += w.acquired;
		end(&w);
	}
	assert_true(changes > 200); /* or nothing was tried */
}

static void spans_must_be_an_order(void **state)
{
	struct km_lease_options o = {
		.namespace = "a", .name = "b", .identity = "c", .renew_ns = 15 * S
	};
	struct km_lease *l;
	struct km_err err = { .code = 0 };

	(void)state;
	assert_int_equal(km_lease_create(&o, &l, &err), -EINVAL);
	assert_null(l);
	assert_non_null(strstr(err.text, "each longer than the next"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_leads_and_renews),
		cmocka_unit_test(when_the_leader_dies_another_takes_over_within_20_s),
		cmocka_unit_test(a_clean_stop_hands_over_at_once),
		cmocka_unit_test(who_cannot_renew_stops_before_it_can_be_taken),
		cmocka_unit_test(an_api_server_away_is_a_pause),
		cmocka_unit_test(a_conflict_is_looked_at_again),
		cmocka_unit_test(a_deleted_lease_is_made_again_by_its_holder),
		cmocka_unit_test(a_machine_that_slept_asks_first),
		cmocka_unit_test(never_two_at_once),
		cmocka_unit_test(spans_must_be_an_order),
	};

	km_log_set_level(KM_LOG_ERROR);
	return cmocka_run_group_tests_name("kube lease", tests, NULL, NULL);
}
