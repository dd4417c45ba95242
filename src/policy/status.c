/* SPDX-License-Identifier: Apache-2.0 */
/* A policy's status, computed. No I/O, no clock. */
#include "status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S     INT64_C(1000000000)
#define STEP_RATIO   0.05 /* a number moves when it is off by so much of itself */
#define LEAVE_RATIO  0.95 /* of the limit: below it, nothing is at risk any more */
#define LISTED_BONUS 1.1  /* a node that is listed already is preferred by so much */

/* ---- numbers ---- */

static double rounded(double value)
{
	return round(value * 100) / 100;
}

/* The old number while it is about right. */
static double settle(double old, double now)
{
	if (!isfinite(now))
		return NAN;
	if (isfinite(old) && fabs(now - old) <= STEP_RATIO * old)
		return old;
	return rounded(now);
}

static bool same_number(double a, double b)
{
	return (isnan(a) && isnan(b)) || fabs(a - b) < 0.005;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct km_status_node *)a)->name,
	              ((const struct km_status_node *)b)->name);
}

static const struct km_status_node *listed(const struct km_policy_status *s, const char *name)
{
	struct km_status_node key = { .pods = 0 };

	(void)snprintf(key.name, sizeof(key.name), "%s", name);
	return s->nodes > 0 ? bsearch(&key, s->node, s->nodes, sizeof(key), by_name) : NULL;
}

struct ranked {
	double worth;
	size_t at;
};

static int worst_first(const void *a, const void *b)
{
	const struct ranked *p = a;
	const struct ranked *q = b;

	if (p->worth != q->worth)
		return p->worth > q->worth ? -1 : 1;
	return (p->at > q->at) - (p->at < q->at);
}

/* Those of the worst predictions, as many as there may be. 0 or -1: no memory. */
static int choose_nodes(const struct km_policy_status *old, struct policy_facts *f,
                        struct km_policy_status *next)
{
	size_t keep = f->nodes < KM_STATUS_NODES_MAX ? f->nodes : KM_STATUS_NODES_MAX;
	struct ranked *rank = calloc(f->nodes + 1, sizeof(*rank));

	next->node = calloc(keep + 1, sizeof(*next->node));
	if (rank == NULL || next->node == NULL) {
		free(rank);
		return -1;
	}
	if (f->nodes > 0)
		qsort(f->node, f->nodes, sizeof(f->node[0]), by_name);
	for (size_t i = 0; i < f->nodes; i++) {
		double worth = isfinite(f->node[i].predicted) ? f->node[i].predicted : 0;

		rank[i] = (struct ranked){
			listed(old, f->node[i].name) != NULL ? worth * LISTED_BONUS : worth, i
		};
	}
	qsort(rank, f->nodes, sizeof(rank[0]), worst_first);
	for (size_t i = 0; i < keep; i++) {
		const struct km_status_node *now = &f->node[rank[i].at];
		const struct km_status_node *was = listed(old, now->name);
		struct km_status_node *n = &next->node[i];

		*n = *now;
		n->predicted = settle(was != NULL ? was->predicted : NAN, now->predicted);
		n->observed = settle(was != NULL ? was->observed : NAN, now->observed);
	}
	next->nodes = keep;
	qsort(next->node, keep, sizeof(next->node[0]), by_name);
	free(rank);
	return 0;
}

static double worst_of(const struct policy_facts *f)
{
	double worst = NAN;

	for (size_t i = 0; i < f->nodes; i++) {
		if (isfinite(f->node[i].predicted) &&
		    !(worst >= f->node[i].predicted)) /* also the first */
			worst = f->node[i].predicted;
	}
	return worst;
}

/* ---- conditions ---- */

struct said {
	enum km_condition_status status;
	const char *reason;
	char message[KM_STATUS_MESSAGE_MAX];
};

static void say(struct said *s, enum km_condition_status status, const char *reason,
                const char *message, const char *more)
{
	s->status = status;
	s->reason = reason;
	(void)snprintf(s->message, sizeof(s->message), "%s%s", message, more);
}

static void say_ready(const struct policy_facts *f, struct said *s)
{
	if (f->invalid != NULL)
		say(s, KM_CONDITION_FALSE, "Invalid", "", f->invalid);
	else if (f->holds != NULL)
		say(s, KM_CONDITION_FALSE, "Conflict",
		    "the same pods are matched by the policy that holds instead: ", f->holds);
	else if (f->queries_untrusted) {
		say(s, KM_CONDITION_TRUE, "QueriesNotTrusted",
		    "its queries are not asked, and its pods are not protected: the namespace is "
		    "not labelled kubemarla.io/trusted=true",
		    "");
	} else if (f->query_error != NULL) {
		say(s, KM_CONDITION_TRUE, "QueryFailed", "", f->query_error);
	} else {
		say(s, KM_CONDITION_TRUE, "Accepted", "the policy holds for the pods it selects",
		    "");
	}
}

static size_t predicted_nodes(const struct policy_facts *f)
{
	size_t count = 0;

	for (size_t i = 0; i < f->nodes; i++)
		count += isfinite(f->node[i].predicted);
	return count;
}

static void say_model(const struct policy_facts *f, struct said *s)
{
	size_t known = predicted_nodes(f);

	if (f->invalid != NULL)
		say(s, KM_CONDITION_UNKNOWN, "Invalid", "the policy is not used", "");
	else if (!f->model)
		say(s, KM_CONDITION_FALSE, "NoModel", "no model is loaded", "");
	else if (f->nodes > 0 && known == 0)
		say(s, KM_CONDITION_FALSE, "NoData",
		    "no node with pods of the policy has fresh data that the model can use", "");
	else if (known < f->nodes) {
		say(s, KM_CONDITION_TRUE, "PartialData",
		    "some nodes with pods of the policy have no fresh data that the model can use",
		    "");
	} else {
		say(s, KM_CONDITION_TRUE, "Predicting", "the model predicts for its pods", "");
	}
}

static void say_risk(const struct km_policy_status *old, const struct policy_facts *f,
                     double predicted, struct said *s)
{
	bool was = old->condition[KM_SLO_AT_RISK].there &&
	           old->condition[KM_SLO_AT_RISK].status == KM_CONDITION_TRUE;
	double limit = was ? f->limit * LEAVE_RATIO : f->limit;

	if (f->invalid != NULL)
		say(s, KM_CONDITION_UNKNOWN, "Invalid", "the policy is not used", "");
	else if (f->matched_pods == 0)
		say(s, KM_CONDITION_FALSE, "NoPods", "no pod is matched", "");
	else if (f->observed > limit)
		say(s, KM_CONDITION_TRUE, "ObservedSlowdown",
		    "the observed slowdown is above what the policy tolerates", "");
	else if (predicted > limit)
		say(s, KM_CONDITION_TRUE, "PredictedSlowdown",
		    "the slowdown predicted on a node is above what the policy tolerates", "");
	else if (!isfinite(predicted) && !isfinite(f->observed))
		say(s, KM_CONDITION_UNKNOWN, "NotKnown", "no slowdown is predicted or observed",
		    "");
	else
		say(s, KM_CONDITION_FALSE, "WithinLimit",
		    "slowdowns are within what the policy tolerates", "");
}

/* Is another status to be held back still? Ready, and a new spec, are told at once. */
static bool held_back(struct status_memory *m, enum km_condition_type type,
                      const struct km_condition *old, const struct said *now,
                      const struct policy_facts *f, int64_t mono_ns)
{
	if (!old->there || old->status == now->status || type == KM_READY ||
	    old->observed_generation != f->generation) {
		m->condition[type].pending = false;
		return false;
	}
	if (!m->condition[type].pending || m->condition[type].status != now->status) {
		m->condition[type].pending = true;
		m->condition[type].status = now->status;
		m->condition[type].since_ns = mono_ns;
	}
	return mono_ns - m->condition[type].since_ns < STATUS_HOLD_NS;
}

static void set_condition(const struct km_condition *old, const struct said *now,
                          int64_t generation, int64_t wall_ns, struct km_condition *out)
{
	bool moved = !old->there || old->status != now->status || old->changed_unix_ns <= 0;

	*out = (struct km_condition){
		.there = true,
		.status = now->status,
		.observed_generation = generation,
		.changed_unix_ns = moved ? wall_ns - wall_ns % NS_PER_S : old->changed_unix_ns,
	};
	(void)snprintf(out->reason, sizeof(out->reason), "%s", now->reason);
	(void)snprintf(out->message, sizeof(out->message), "%s", now->message);
}

/* ---- what differs ---- */

static bool same_condition(const struct km_condition *a, const struct km_condition *b)
{
	return a->there == b->there && a->status == b->status &&
	       a->observed_generation == b->observed_generation &&
	       strcmp(a->reason, b->reason) == 0 && strcmp(a->message, b->message) == 0;
}

static bool same_nodes(const struct km_policy_status *a, const struct km_policy_status *b)
{
	if (a->nodes != b->nodes)
		return false;
	for (size_t i = 0; i < a->nodes; i++) {
		const struct km_status_node *p = &a->node[i];
		const struct km_status_node *q = &b->node[i];

		if (strcmp(p->name, q->name) != 0 || p->pods != q->pods || p->tier != q->tier ||
		    !same_number(p->predicted, q->predicted) ||
		    !same_number(p->observed, q->observed))
			return false;
	}
	return true;
}

static enum status_change compare(const struct km_policy_status *a,
                                  const struct km_policy_status *b)
{
	for (int i = 0; i < KM_CONDITION_N; i++) {
		if (!same_condition(&a->condition[i], &b->condition[i]))
			return STATUS_URGENT;
	}
	if (a->observed_generation != b->observed_generation || a->move.there != b->move.there ||
	    (a->move.there &&
	     (a->move.unix_ns != b->move.unix_ns || strcmp(a->move.pod, b->move.pod) != 0)))
		return STATUS_URGENT;
	if (a->matched_pods != b->matched_pods || a->node_count != b->node_count ||
	    !same_number(a->worst_predicted, b->worst_predicted) ||
	    !same_number(a->observed, b->observed) || !same_nodes(a, b))
		return STATUS_NUMBERS;
	return STATUS_SAME;
}

enum status_change status_next(const struct km_policy_status *old, struct policy_facts *f,
                               struct status_memory *memory, int64_t mono_ns, int64_t wall_ns,
                               struct km_policy_status *next)
{
	double worst = worst_of(f);
	struct said said[KM_CONDITION_N];

	km_policy_status_init(next);
	next->observed_generation = f->generation;
	next->matched_pods = f->matched_pods;
	next->node_count = (uint32_t)f->nodes;
	next->worst_predicted = settle(old->worst_predicted, worst);
	next->observed = settle(old->observed, f->observed);
	next->move = f->move.there ? f->move : old->move;
	if (choose_nodes(old, f, next) != 0)
		return STATUS_SAME;
	say_ready(f, &said[KM_READY]);
	say_risk(old, f, worst, &said[KM_SLO_AT_RISK]);
	say_model(f, &said[KM_MODEL_USABLE]);
	for (int i = 0; i < KM_CONDITION_N; i++) {
		const struct km_condition *was = &old->condition[i];

		if (held_back(memory, (enum km_condition_type)i, was, &said[i], f, mono_ns))
			next->condition[i] = *was;
		else
			set_condition(was, &said[i], f->generation, wall_ns, &next->condition[i]);
	}
	return compare(old, next);
}

bool status_due(const struct status_memory *memory, int64_t mono_ns)
{
	return memory->written_ns == 0 || mono_ns - memory->written_ns >= STATUS_NUMBERS_NS;
}

void status_written(struct status_memory *memory, int64_t mono_ns)
{
	memory->written_ns = mono_ns;
}
