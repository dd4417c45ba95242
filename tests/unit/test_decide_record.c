/* SPDX-License-Identifier: Apache-2.0 */
/* decide: what the ring of decisions keeps, for how long, and in how much memory. */
#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/clock.h"
#include "km/decide/record.h"

static struct km_name name_of(const char *text)
{
	return (struct km_name){ text, (uint32_t)strlen(text) };
}

static bool is(struct km_name name, const char *text)
{
	return name.len == strlen(text) && memcmp(name.text, text, name.len) == 0;
}

static struct km_record *create(void)
{
	struct km_record *r = NULL;

	assert_int_equal(km_record_create(&r, NULL), 0);
	return r;
}

static struct km_recorded decision(uint64_t id, const char *pod, unsigned calls)
{
	return (struct km_recorded){
		.id = id,
		.prioritize_id = calls == KM_RECORD_PRIORITIZE ? id : 0,
		.wall_ns = (int64_t)id * KM_NS_PER_S,
		.calls = calls,
		.pod_namespace = name_of("shop"),
		.pod_name = name_of(pod),
		.workload = { .rps = 1500.5, .replicas = 2, .max_slowdown = 3 },
		.scale = 10,
		.best = -1,
		.worst = -1,
	};
}

static void add_node(struct km_recorded *d, const char *name, bool passes, int32_t score)
{
	d->node[d->count++] = (struct km_recorded_node){
		.name = name_of(name),
		.verdict = { .passes = passes,
		             .reason = passes ? KM_REASON_FITS : KM_REASON_TOO_SLOW,
		             .score = score },
		.age_s = 1.23,
		.slowdown = 1.5,
		.low = 1.2,
		.high = 2.1,
		.tier = KM_TIER_CORE,
	};
}

static void newest(struct km_record *r, struct km_recorded_copy *out)
{
	struct km_record_query all = { .id = 0 };
	uint64_t cursor = 0;

	assert_true(km_record_next(r, &all, &cursor, out));
}

static void what_is_kept_comes_back(void **state)
{
	struct km_record *r = create();
	struct km_record_query all = { .id = 0 };
	struct km_recorded d = decision(7, "web-1", KM_RECORD_FILTER);
	struct km_recorded_copy copy;
	const struct km_recorded *got = &copy.decision;
	uint64_t cursor = 0;

	(void)state;
	d.pod_uid = name_of("9a1f");
	d.model_hash = UINT64_C(0xfedcba9876543210);
	d.origin = KM_ORIGIN_POLICY;
	d.policy = name_of("shop/latency");
	memcpy(d.workload.class_name, "batch", 6);
	d.asked = 262144;
	d.passed = 3;
	d.best = 9;
	d.worst = 2;
	d.best_count = 1;
	d.reason[KM_REASON_STALE_DATA] = (struct km_recorded_reason){ 5, 4 };
	add_node(&d, "ip-10-0-3-17.internal", true, 9);
	add_node(&d, "ip-10-0-3-4.internal", true, 2);
	d.node[1].slowdown = NAN;
	d.node[1].age_s = NAN;
	d.node[1].state = KM_DATA_ABSENT;
	d.node[0].in_flight = 1.0 / 3;
	d.node[0].scored = 1.75;
	d.node[0].harm_pods = 3;
	d.node[0].harm_worst = 1.25;
	d.node[0].harm_limit = 2;
	d.node[1].in_flight = 1e6;
	d.node[1].harm_pods = 1000;
	add_node(&d, "ip", false, 0);
	d.node[2].slowdown = 1e30; /* more than is told apart */
	d.node[2].age_s = 1e9;
	d.node[2].verdict.unresolvable = true;
	add_node(&d, "ip-10-0-3-4.internal.and.more", false, 0);
	km_record_add(r, &d, 0);
	assert_true(km_record_next(r, &all, &cursor, &copy));
	assert_int_equal(got->id, 7);
	assert_int_equal(got->wall_ns, 7 * KM_NS_PER_S);
	assert_true(is(got->pod_namespace, "shop") && is(got->pod_name, "web-1"));
	assert_true(is(got->pod_uid, "9a1f"));
	assert_true(got->model_hash == d.model_hash && got->origin == KM_ORIGIN_POLICY);
	assert_true(got->workload.rps == 1500.5 && got->workload.max_slowdown == 3);
	assert_string_equal(got->workload.class_name, "batch");
	assert_int_equal(got->asked, 262144);
	assert_int_equal(got->best, 9);
	assert_int_equal(got->reason[KM_REASON_STALE_DATA].judged, 5);
	assert_int_equal(got->reason[KM_REASON_STALE_DATA].rejected, 4);
	assert_int_equal(got->count, 4);
	assert_true(is(got->node[0].name, "ip-10-0-3-17.internal"));
	assert_true(is(got->node[1].name, "ip-10-0-3-4.internal"));
	/* of equal scores the slower one comes last */
	assert_true(is(got->node[2].name, "ip-10-0-3-4.internal.and.more"));
	assert_true(is(got->node[3].name, "ip"));
	assert_true(fabs(got->node[0].slowdown - 1.5) < 1.5 * 2e-4);
	assert_true(fabs(got->node[0].low - 1.2) < 1.2 * 2e-4);
	assert_true(fabs(got->node[0].age_s - 1.2) < 1e-9);
	assert_true(is(got->policy, "shop/latency"));
	assert_true(got->node[0].in_flight == 0.33 && got->node[0].harm_pods == 3);
	assert_true(fabs(got->node[0].scored - 1.75) < 1.75 * 2e-4);
	assert_true(fabs(got->node[0].harm_worst - 1.25) < 1.25 * 2e-4);
	assert_true(fabs(got->node[0].harm_limit - 2) < 2 * 2e-4);
	assert_true(got->node[1].in_flight > 655 && got->node[1].harm_pods == 255);
	assert_true(got->node[2].in_flight == 0 && got->node[2].harm_pods == 0);
	assert_true(isnan(got->node[1].slowdown) && isnan(got->node[1].age_s));
	assert_int_equal(got->node[1].state, KM_DATA_ABSENT);
	assert_true(got->node[3].slowdown > 1e5 && got->node[3].age_s > 6000);
	assert_true(got->node[3].verdict.unresolvable && !got->node[0].verdict.unresolvable);
	assert_int_equal(got->node[0].tier, KM_TIER_CORE);
	assert_false(km_record_next(r, &all, &cursor, &copy));
	km_record_free(r);
}

static void long_names_leave_room_for_fewer(void **state)
{
	struct km_record *r = create();
	struct km_recorded d = decision(1, "p", KM_RECORD_FILTER);
	struct km_recorded_copy copy;
	char name[KM_RECORD_NODES_MAX][300];

	(void)state;
	for (size_t i = 0; i < KM_RECORD_NODES_MAX; i++) {
		memset(name[i], 'a' + (int)i, sizeof(name[i]) - 1);
		name[i][i == 1 ? 299 : 200] = '\0';
		add_node(&d, name[i], true, 10);
	}
	km_record_add(r, &d, 0);
	newest(r, &copy);
	/* the first two of legal length fit, the second of all is no node's name */
	assert_true(copy.decision.count >= 1 && copy.decision.count <= 2);
	km_record_free(r);
}

static void the_oldest_goes_when_the_ring_is_full(void **state)
{
	struct km_record *r = create();
	struct km_record_query q = { .pod_name = name_of("p3") };
	struct km_recorded_copy copy;
	uint64_t cursor = 0;
	uint64_t last = UINT64_MAX;
	int64_t oldest_ns;
	size_t count = 0;

	(void)state;
	assert_int_equal(km_record_held(r, &oldest_ns), 0);
	assert_int_equal(oldest_ns, 0);
	for (uint64_t id = 1; id <= KM_RECORD_DECISIONS + 5; id++) {
		char pod[16];
		struct km_recorded d;

		(void)snprintf(pod, sizeof(pod), "p%d", (int)(id % 10));
		d = decision(id, pod, KM_RECORD_PRIORITIZE);
		km_record_add(r, &d, 0);
	}
	assert_int_equal(km_record_held(r, &oldest_ns), KM_RECORD_DECISIONS);
	assert_int_equal(oldest_ns, 6 * KM_NS_PER_S);
	while (km_record_next(r, &q, &cursor, &copy)) {
		assert_true(is(copy.decision.pod_name, "p3"));
		assert_true(copy.decision.id < last); /* newest first */
		last = copy.decision.id;
		count++;
	}
	assert_int_equal(count, KM_RECORD_DECISIONS / 10);
	assert_int_equal(last, 13);
	q = (struct km_record_query){ .id = 5000 };
	cursor = 0;
	assert_true(km_record_next(r, &q, &cursor, &copy));
	assert_int_equal(copy.decision.id, 5000);
	q.id = 5;
	cursor = 0;
	assert_false(km_record_next(r, &q, &cursor, &copy));
	q = (struct km_record_query){ .pod_name = name_of("p3"),
		                      .pod_namespace = name_of("elsewhere") };
	cursor = 0;
	assert_false(km_record_next(r, &q, &cursor, &copy));
	km_record_free(r);
}

static size_t heap_bytes(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void memory_is_what_the_header_says(void **state)
{
	size_t before = heap_bytes();
	struct km_record *r = create();
	size_t after = heap_bytes();

	(void)state;
	for (uint64_t id = 1; id < 3 * KM_RECORD_DECISIONS; id++) {
		struct km_recorded d = decision(id, "pod", KM_RECORD_FILTER);

		for (int i = 0; i < KM_RECORD_NODES_MAX; i++)
			add_node(&d, "a-node-with-a-name-as-they-are.example.org", true, i);
		km_record_add(r, &d, (int64_t)id);
		d = decision(id, "pod", KM_RECORD_PRIORITIZE);
		km_record_add(r, &d, (int64_t)id);
	}
	assert_int_equal(heap_bytes(), after);
	/* zero under a sanitizer, which has an allocator of its own */
	assert_true(after - before <= KM_RECORD_BYTES + 65536);
	km_record_free(r);
}

/* Each row: calls one after the other, and the decisions that come of them. */
static void filter_and_prioritize_are_one_decision(void **state)
{
	struct km_record *r = create();
	struct km_recorded d = decision(1, "web", KM_RECORD_FILTER);
	struct km_recorded_copy copy;
	int64_t oldest_ns;

	(void)state;
	d.asked = 5;
	d.passed = 3;
	d.reason[KM_REASON_TOO_SLOW] = (struct km_recorded_reason){ 2, 2 };
	add_node(&d, "good", true, 7);
	add_node(&d, "slow", false, 0);
	km_record_add(r, &d, 0);
	d = decision(2, "web", KM_RECORD_PRIORITIZE);
	d.asked = 3;
	d.passed = 3;
	d.scored = 3;
	d.best = 8;
	d.best_count = 1;
	for (int i = 0; i < 3; i++)
		add_node(&d, i == 0 ? "a" : i == 1 ? "b" : "good", true, 8 - i);
	km_record_add(r, &d, 9 * KM_NS_PER_S);
	assert_int_equal(km_record_held(r, &oldest_ns), 1);
	newest(r, &copy);
	assert_int_equal(copy.decision.id, 1);
	assert_int_equal(copy.decision.prioritize_id, 2);
	assert_int_equal(copy.decision.calls, KM_RECORD_FILTER | KM_RECORD_PRIORITIZE);
	assert_int_equal(copy.decision.asked, 5);
	assert_int_equal(copy.decision.scored, 3);
	assert_int_equal(copy.decision.best, 8);
	assert_int_equal(copy.decision.reason[KM_REASON_TOO_SLOW].rejected, 2);
	assert_int_equal(copy.decision.count, 4); /* a, b, good, and slow that /filter dropped */
	assert_int_equal(copy.decision.node[0].verdict.score, 8);
	assert_false(copy.decision.node[3].verdict.passes);

	/* joined once: a second one is a decision of its own */
	km_record_add(r, &d, 9 * KM_NS_PER_S);
	assert_int_equal(km_record_held(r, &oldest_ns), 2);
	km_record_free(r);
}

static void what_does_not_belong_together_stays_apart(void **state)
{
	static const struct {
		const char *uid, *pod, *then_uid, *then_pod;
		int64_t after_ns;
		size_t decisions;
		const char *why;
	} rows[] = {
		{ "u", "web", "u", "web", 0, 1, "the same UID" },
		{ "", "web", "", "web", 0, 1, "no UID, the same name" },
		{ "u", "web", "v", "web", 0, 2, "a pod of that name that was made anew" },
		{ "", "web", "", "db", 0, 2, "another name" },
		{ "", "", "", "", 0, 2, "nobody knows whose they are" },
		{ "u", "web", "u", "web", 11 * KM_NS_PER_S, 2, "another attempt, later" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_record *r = create();
		struct km_recorded d = decision(1, rows[i].pod, KM_RECORD_FILTER);
		int64_t oldest_ns;

		d.pod_uid = name_of(rows[i].uid);
		km_record_add(r, &d, 0);
		d = decision(2, rows[i].then_pod, KM_RECORD_PRIORITIZE);
		d.pod_uid = name_of(rows[i].then_uid);
		km_record_add(r, &d, rows[i].after_ns);
		if (km_record_held(r, &oldest_ns) != rows[i].decisions)
			fail_msg("%s", rows[i].why);
		km_record_free(r);
	}
}

static void a_second_attempt_joins_its_own_filter(void **state)
{
	struct km_record *r = create();
	struct km_recorded d;
	struct km_recorded_copy copy;

	(void)state;
	for (uint64_t id = 1; id <= 3; id++) {
		d = decision(id, "web", id < 3 ? KM_RECORD_FILTER : KM_RECORD_PRIORITIZE);
		km_record_add(r, &d, 0);
	}
	newest(r, &copy);
	assert_int_equal(copy.decision.id, 2);
	assert_int_equal(copy.decision.prioritize_id, 3);
	km_record_free(r);
}

/* ---- threads ---- */
#define WRITERS 3
#define EACH    4000

struct shared {
	struct km_record *record;
	int writer;
};

static void *write_many(void *arg)
{
	struct shared *s = arg;
	char pod[32];

	for (int i = 0; i < EACH; i++) {
		struct km_recorded d;

		(void)snprintf(pod, sizeof(pod), "w%d-%d", s->writer, i);
		d = decision((uint64_t)i + 1, pod, KM_RECORD_FILTER);
		add_node(&d, pod, true, 5);
		km_record_add(s->record, &d, 0);
		d = decision((uint64_t)i + 1, pod, KM_RECORD_PRIORITIZE);
		add_node(&d, pod, true, 5);
		km_record_add(s->record, &d, 0);
	}
	return NULL;
}

/* Whoever reads meanwhile sees whole decisions: the node is the pod's. */
static void readers_see_whole_decisions(void **state)
{
	struct shared s[WRITERS];
	pthread_t thread[WRITERS];
	struct km_record *r = create();
	struct km_record_query all = { .id = 0 };
	struct km_recorded_copy copy;
	int64_t oldest_ns;

	(void)state;
	for (int i = 0; i < WRITERS; i++) {
		s[i] = (struct shared){ r, i };
		assert_int_equal(pthread_create(&thread[i], NULL, write_many, &s[i]), 0);
	}
	for (int round = 0; round < 50; round++) {
		uint64_t cursor = 0;

		for (int i = 0; i < 200 && km_record_next(r, &all, &cursor, &copy); i++) {
			const struct km_recorded *d = &copy.decision;

			assert_int_equal(d->count, 1);
			assert_int_equal(d->node[0].name.len, d->pod_name.len);
			assert_memory_equal(d->node[0].name.text, d->pod_name.text,
			                    d->pod_name.len);
		}
	}
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(km_record_held(r, &oldest_ns), KM_RECORD_DECISIONS);
	/* each /prioritize came right behind its /filter */
	newest(r, &copy);
	assert_int_equal(copy.decision.calls, KM_RECORD_FILTER | KM_RECORD_PRIORITIZE);
	km_record_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_kept_comes_back),
		cmocka_unit_test(long_names_leave_room_for_fewer),
		cmocka_unit_test(the_oldest_goes_when_the_ring_is_full),
		cmocka_unit_test(memory_is_what_the_header_says),
		cmocka_unit_test(filter_and_prioritize_are_one_decision),
		cmocka_unit_test(what_does_not_belong_together_stays_apart),
		cmocka_unit_test(a_second_attempt_joins_its_own_filter),
		cmocka_unit_test(readers_see_whole_decisions),
	};

	return cmocka_run_group_tests_name("decide_record", tests, NULL, NULL);
}
