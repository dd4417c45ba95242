/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a stream of what happens to decisions: pods asked for, bound, started and gone,
 * counters published, slowdowns observed, time that jumps, settings and policies exchanged; under a
 * model that is a hash. Whatever comes: legal answers, and one more pod in flight never raises a
 * node's score.
 */
#define WITHOUT_CMOCKA
#include "km/base/hash.h"
#include "km/base/log.h"

#include "support/inflight_world.h"

#define NODES 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static double hash_model(const float *row)
{
	uint64_t h = km_hash64(row, INPUTS * sizeof(*row), 7);

	return h % 31 == 0 ? (double)NAN : 0.7 + 5 * (double)(h >> 11) * 0x1p-53;
}

static const struct km_label labels[] = { { { "app", 3 }, { "0", 1 } },
	                                  { { "app", 3 }, { "1", 1 } },
	                                  { { "app", 3 }, { "2", 1 } } };

struct stream {
	const uint8_t *at, *end;
	struct world w;
	struct km_effects *effects;
	char uid[8];
	char service[4];
};

static uint8_t next(struct stream *s)
{
	return s->at < s->end ? *s->at++ : 0;
}

static double number(struct stream *s)
{
	static const double odd[] = { NAN, INFINITY, -1, 0, 1e300, 0.5, 1, 2 };
	uint8_t b = next(s);

	return b < KM_ARRAY_LEN(odd) ? odd[b] : b / 128.0;
}

static struct km_pod pod(struct stream *s)
{
	static const char *const classes[] = { "", "cpu", "l3", "odd" };
	uint8_t b = next(s);
	struct km_pod p;

	s->uid[0] = "\0bcdefghijklmnop"[b % 16];
	s->service[0] = "\0qrs"[b >> 6];
	p = pod_of(s->uid, s->service, classes[b >> 4 & 3]);
	p.rps = b % 5 == 0 ? number(s) : NAN;
	p.label = &labels[b % KM_ARRAY_LEN(labels)];
	p.label_count = 1;
	return p;
}

static void ask(struct stream *s)
{
	struct km_pod p = pod(s);
	struct km_subject who = subject_of(&s->w, &p);
	struct km_verdict v[NODES];
	uint8_t b = next(s);

	who.workload.mode = (enum km_mode)(b % KM_MODE_N);
	who.workload.on_stale = (enum km_on_stale)(b / 4 % KM_ON_STALE_N);
	who.workload.max_slowdown = number(s);
	call(&s->w, &who, (enum km_call)(b / 16 % 3), v);
	for (int i = 0; i < NODES; i++) {
		assert_true(v[i].score >= 0 && v[i].score <= (int32_t)s->w.settings.score_scale);
		assert_true(v[i].reason < KM_REASON_N);
		assert_true(v[i].passes || who.workload.mode == KM_MODE_ENFORCE);
	}
}

static void one_more(struct stream *s)
{
	struct km_pod p = pod(s);
	uint32_t node = next(s) % NODES;
	struct km_pod more = pod_of("one-more", "", next(s) % 2 == 0 ? "l3" : "new");
	struct km_decision_node before;
	struct km_decision_node after;

	more.label = &labels[s->at < s->end ? *s->at % KM_ARRAY_LEN(labels) : 0];
	more.label_count = 1;
	km_decide_pod_gone(s->w.decide, more.uid);
	before = look(&s->w, &p, node);
	bind_pod(&s->w, &more, node, KM_DECIDE_NOT_YET);
	after = look(&s->w, &p, node);
	assert_true(after.verdict.score <= before.verdict.score);
	km_decide_pod_gone(s->w.decide, more.uid);
}

static void change_settings(struct stream *s)
{
	struct km_decide_settings *to = &s->w.settings;
	uint8_t b = next(s);

	to->score_scale = b % 2 == 0 ? 10 : 100;
	to->ledger_off = b / 2 % 8 == 0;
	to->harm_filter = b / 16 % 2 == 0;
	to->harm_score = b / 32 % 2 == 0;
	to->risk = number(s);
	to->unknown_slowdown = number(s);
	to->default_workload.rps = number(s);
	to->default_workload.replicas = number(s);
	world_set(&s->w);
	km_decide_set_feed(s->w.decide, b / 64 != 0);
}

/* Of two of the three labels; all may protect. */
static void change_policies(struct stream *s)
{
	struct km_policies *set = NULL;
	struct km_policy p[2];

	for (size_t i = 0; i < KM_ARRAY_LEN(p); i++) {
		uint8_t b = next(s);

		km_policy_init(&p[i]);
		(void)snprintf(p[i].namespace, sizeof(p[i].namespace), "shop");
		(void)snprintf(p[i].name, sizeof(p[i].name), "%zu", i);
		p[i].term = calloc(1, sizeof(*p[i].term));
		p[i].term[0] = (struct km_selector_term){ .key = strdup("app"), .value_count = 1 };
		p[i].term[0].value = calloc(1, sizeof(char *));
		p[i].term[0].value[0] = strdup(labels[i].value.text);
		p[i].term_count = 1;
		p[i].mode = (enum km_mode)(b % KM_MODE_N);
		p[i].max_slowdown = 1.1 + b / 32.0;
		p[i].weight = 1 + b % 7;
		p[i].trusted = b % 8 != 0;
	}
	assert_int_equal(km_policies_create(p, KM_ARRAY_LEN(p), &set, NULL), 0);
	km_decide_set_policies(s->w.decide, set);
	km_policies_unref(set);
}

static void observe(struct stream *s)
{
	static const char *const classes[] = { "cpu", "l3", "odd", "new" };
	uint8_t b = next(s);
	const char *subject = classes[b % 4];
	const char *neighbour = classes[b / 4 % 4];

	(void)km_decide_observe_effect(
		s->w.decide, b / 16 % 3, km_decide_effects_key(subject, strlen(subject)),
		km_decide_effects_key(neighbour, strlen(neighbour)), number(s) - 0.7, 1);
	if (b >= 192)
		km_decide_attach_effects(s->w.decide, b >= 224 ? s->effects : NULL);
}

static void step(struct stream *s)
{
	uint8_t b = next(s);
	struct km_pod p;

	switch (b % 10) {
	case 0:
		/* mostly on, at times back, and sometimes by hours */
		s->w.now_ns += ((int64_t)next(s) - 50) * S / 10 * (b / 10 % 4 == 3 ? 1000 : 1);
		return;
	case 1:
		publish(&s->w, b / 10 % NODES, number(s));
		return;
	case 2:
		p = pod(s);
		bind_pod(&s->w, &p, b / 10 % NODES,
		         b & 128 ? KM_DECIDE_NOT_YET : s->w.now_ns - next(s) * S);
		return;
	case 3:
		p = pod(s);
		km_decide_pod_running(s->w.decide, p.uid, s->w.now_ns);
		return;
	case 4:
		p = pod(s);
		km_decide_pod_gone(s->w.decide, p.uid);
		return;
	case 5:
		change_settings(s);
		return;
	case 6:
		one_more(s);
		return;
	case 7:
		change_policies(s);
		return;
	case 8:
		observe(s);
		return;
	default:
		ask(s);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream s = { .at = data, .end = data + size };

	km_log_set_level(KM_LOG_ERROR);
	world_init(&s.w, NODES);
	s.w.model.slowdown = hash_model;
	publish_all(&s.w, 0.5);
	s.effects = km_effects_create(NULL);
	assert_non_null(s.effects);
	km_decide_attach_effects(s.w.decide, s.effects);
	while (s.at < s.end)
		step(&s);
	km_decide_attach_effects(s.w.decide, NULL);
	km_effects_free(s.effects);
	world_fini(&s.w);
	return 0;
}
