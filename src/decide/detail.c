/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions with everything that led to them, from the same view that the verdicts came from. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "decide_internal.h"

/* The policy's name as text that lives as long as the decision; NULL when there is no memory. */
static const char *path_of(const struct decide_context *c, uint64_t policy, struct km_arena *arena)
{
	const struct km_policy *p = km_policies_find(c->policies, policy);
	char path[KM_POLICY_PATH_MAX];

	if (p == NULL) {
		return NULL;
	}
	(void)km_policy_path(p, path);
	return km_arena_strndup(arena, path, strlen(path));
}

static void describe_harm(const struct decide_context *c, const struct decide_harm *h,
                          struct km_arena *arena, struct km_harm *out)
{
	*out = (struct km_harm){
		.pods = h->pods,
		.worst = (double)h->worst_slowdown,
		.worst_limit = (double)h->worst_limit,
		.mean = (double)h->slowdown,
		.worst_of = h->pods > 0 ? path_of(c, h->worst_policy, arena) : NULL,
	};
	if (out->worst_of == NULL) {
		out->worst_of = "";
	}
}

static const struct decide_known nothing = {
	.prediction = { .slowdown = NAN, .low = NAN, .high = NAN },
	.state = KM_DATA_ABSENT,
	.tier = KM_TIER_NONE,
};

static double age_s(const struct decide_known *k, int64_t now_ns)
{
	int64_t age_ns = now_ns > k->measured_ns ? now_ns - k->measured_ns : 0;

	return k->measured_ns != 0 && !k->by_effects ? (double)age_ns * 1e-9 : NAN;
}

/* Everything but the verdict, and where it was asked for. */
static void describe(const struct decide_view *view, const struct km_workload *w, int64_t at,
                     int64_t now_ns, struct km_arena *arena, struct km_decision_node *out)
{
	bool there = at >= 0 && view->table != NULL;
	const struct decide_known *k = there ? &view->table->known[at] : &nothing;
	const struct decide_busy *busy = there ? decide_busy_at(view->overlay, at) : NULL;
	const struct decide_harm *harm = busy != NULL ? &busy->harm : &decide_no_harm;
	enum decide_age age = DECIDE_AGE_LATE;

	if (there) {
		age = decide_age(view->context, view->table->cell[at].fresh_until_ns, now_ns);
	}
	*out = (struct km_decision_node){
		.index = at,
		.tier = (enum km_tier)k->tier,
		.age_s = age_s(k, now_ns),
		.prediction = k->prediction,
		.state = decide_aged_state((enum km_data_state)k->state, age),
		.by_effects = k->by_effects,
	};
	if (busy != NULL && !busy->plain) {
		out->prediction = busy->prediction;
		out->inflight = busy->inflight;
		out->monotone_bound = busy->bound;
	}
	describe_harm(view->context, harm, arena, &out->harm);
	out->scored = NAN;
	if (out->state == KM_DATA_FRESH || out->state == KM_DATA_AGING) {
		out->scored = decide_scored(
			view->context, w, &out->prediction,
			busy != NULL && !busy->plain ? (double)busy->width : NAN, harm, age);
	}
	if (at >= 0 && view->table == NULL) {
		out->state = KM_DATA_NO_MODEL;
	}
}

/* The whole without its nodes. */
static void frame(const struct decide_view *view, const struct km_subject *who,
                  struct km_decision *out)
{
	*out = (struct km_decision){
		.workload = who->workload,
		.scale = view->context->settings.score_scale,
		.risk = view->context->settings.risk,
		.generation =
			view->table != NULL ? view->table->generation : view->snapshot->generation,
		.model_hash = view->context->model_hash,
	};
	memcpy(out->policy, who->policy, sizeof(out->policy));
}

static int64_t index_of(const struct decide_view *view, const struct km_name *names, size_t i)
{
	return names != NULL ? km_cluster_find(view->snapshot, names[i].text, names[i].len)
	                     : (int64_t)i;
}

void decide_no_pod(const struct km_workload *w, struct km_subject *out)
{
	*out = (struct km_subject){ .workload = *w, .kind = { .rps = w->rps / w->replicas } };
	memcpy(out->kind.class_name, w->class_name, strnlen(w->class_name, KM_CLASS_NAME_MAX - 1));
	if (out->kind.class_name[0] != '\0') {
		out->kind.effects =
			km_decide_effects_key(out->kind.class_name, strlen(out->kind.class_name));
	}
}

void km_decide_recorded_subject(const struct km_workload *w, struct km_name uid,
                                struct km_subject *out)
{
	decide_no_pod(w, out);
	out->uid = decide_uid_key(uid);
}

/* ---- all of them ---- */
static int detail(struct km_decide *d, const struct decide_view *view, const struct km_subject *who,
                  const struct km_name *names, struct km_arena *arena, struct km_decision *out)
{
	int64_t now_ns = km_clock_mono_ns(d->clock);
	struct km_verdict *verdict;

	out->node = km_arena_calloc(arena, out->count + 1, sizeof(*out->node));
	verdict = km_arena_calloc(arena, out->count + 1, sizeof(*verdict));
	if (out->node == NULL || verdict == NULL) {
		return -ENOMEM;
	}
	decide_judge_names(d, view, &who->workload, names, out->count, now_ns, verdict);
	for (size_t i = 0; i < out->count; i++) {
		describe(view, &who->workload, index_of(view, names, i), now_ns, arena,
		         &out->node[i]);
		out->node[i].asked = i;
		out->node[i].verdict = verdict[i];
	}
	return 0;
}

int km_decide_run_subject(struct km_decide *d, const struct km_subject *who,
                          const struct km_name *names, size_t count, struct km_arena *arena,
                          struct km_decision *out)
{
	struct decide_view view;
	int rc = decide_look(d, who, arena, &view);

	if (rc != 0) {
		return rc;
	}
	frame(&view, who, out);
	out->count = names != NULL ? count : view.snapshot->node_count;
	rc = detail(d, &view, who, names, arena, out);
	decide_view_close(&view);
	return rc;
}

int km_decide_run(struct km_decide *d, const struct km_workload *w, const struct km_name *names,
                  size_t count, struct km_arena *arena, struct km_decision *out)
{
	struct km_subject who;

	decide_no_pod(w, &who);
	return km_decide_run_subject(d, &who, names, count, arena, out);
}

/* ---- those picked ---- */
int decide_detail(const struct decide_view *view, const struct km_ask *ask, int64_t now_ns,
                  const struct km_verdict *verdict, struct km_arena *arena,
                  const struct km_detail *wanted)
{
	struct km_decision *out = wanted->out;
	uint32_t *position = km_arena_alloc(arena, (wanted->max + 1) * sizeof(*position));

	frame(view, ask->who, out);
	out->node = km_arena_calloc(arena, wanted->max + 1, sizeof(*out->node));
	if (position == NULL || out->node == NULL) {
		return -ENOMEM;
	}
	out->count = wanted->pick(wanted->ctx, verdict, ask->count, position);
	for (size_t i = 0; i < out->count; i++) {
		uint32_t asked = position[i];

		describe(view, &ask->who->workload, index_of(view, ask->names, asked), now_ns,
		         arena, &out->node[i]);
		out->node[i].asked = asked;
		out->node[i].verdict = verdict[asked];
	}
	return 0;
}
