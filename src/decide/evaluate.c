/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes that are not as their counters say: for each, the subject's own slowdown with the pods in
 * flight, and that of the protected pods which are there, with the subject beside them. The ledger
 * is read for a few nodes at a time; the model is asked outside of every lock, in batches.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "project_internal.h"

#define NODES_AT_ONCE  16
#define ITEMS_AT_ONCE  1024
#define INCUMBENTS_MAX 16 /* kinds of protected pods that one node is judged for */
#define PLANS_AT_ONCE  64

_Static_assert(PROJECT_POINTS_MAX <= DECIDE_PREDICT_ROWS, "every plan fits into one batch");

/* Protected pods of one kind on a node. */
struct incumbent {
	struct project_subject who;
	struct project_result result;
	const struct km_policy *policy;
	double pods, in_flight; /* those of them that counters do not show */
};

struct evaluated {
	const struct decide_miss *miss;
	struct project_node node;
	struct km_ledger_item *item;
	size_t item_count;
	struct project_result own;
	struct incumbent incumbent[INCUMBENTS_MAX];
	size_t incumbents;
};

struct evaluator {
	struct km_decide *d;
	const struct decide_view *view;
	struct project_subject who;
	uint64_t uid;
	bool there;      /* the subject is on those nodes: nobody comes, nobody is harmed */
	float *rows;     /* [DECIDE_PREDICT_ROWS][columns] */
	double *scratch; /* [columns] */
	size_t columns;
	uint32_t row_count;
	size_t plans;
	size_t nodes;
	struct project_plan plan[PLANS_AT_ONCE];
	struct km_prediction answer[DECIDE_PREDICT_ROWS];
	struct evaluated node[NODES_AT_ONCE];
	struct km_ledger_item item[ITEMS_AT_ONCE];
};

/* ---- asking the model ---- */
static void flush(struct evaluator *e)
{
	struct km_err err = { .code = 0 };
	int rc = 0;

	if (e->row_count > 0) {
		rc = km_model_predict(e->view->context->model, e->rows, e->row_count, e->answer,
		                      &err);
		km_counter_add(e->d->stats.predicted, e->row_count);
		km_counter_add(e->d->stats.busy_predicted, e->row_count);
	}
	if (rc != 0) {
		km_counter_add(e->d->stats.failed, e->row_count);
		km_complain(&e->d->trouble, km_clock_mono_ns(e->d->clock), "decide",
		            "model gave no prediction rows=%u error=\"%s\"", e->row_count,
		            err.text);
	}
	for (size_t i = 0; i < e->plans; i++) {
		project_finish(&e->plan[i], rc == 0 ? e->answer + e->plan[i].first : NULL);
	}
	e->row_count = 0;
	e->plans = 0;
}

/* `answer`: of the row without anybody in flight, where it has been predicted; else NULL. */
static void enqueue(struct evaluator *e, const struct evaluated *n,
                    const struct project_subject *who, const struct km_pod_kind *add,
                    const struct km_prediction *answer, struct project_result *out)
{
	struct project_plan *plan;
	uint32_t rows;

	if (e->plans == PLANS_AT_ONCE) {
		flush(e);
	}
	plan = &e->plan[e->plans];
	project_plan(e->d, &n->node, who, n->item, n->item_count, add, plan);
	plan->out = out;
	plan->origin = answer != NULL && plan->points > 0 && plan->here == 0 ? answer : NULL;
	rows = project_rows(plan);
	if (rows == 0) {
		project_finish(plan, answer);
		return;
	}
	if (e->row_count + rows > DECIDE_PREDICT_ROWS) {
		struct project_plan kept = *plan;

		flush(e);
		plan = &e->plan[0];
		*plan = kept;
	}
	plan->first = e->row_count;
	for (uint32_t i = 0; i < rows; i++) {
		project_row(plan, plan->points - rows + i, e->scratch,
		            e->rows + (e->row_count + i) * e->columns);
	}
	e->row_count += rows;
	e->plans++;
}

/* ---- who is there ---- */

/* What an incumbent tolerates and weighs is its policy's word; without a trusted one it has none.
 */
static const struct km_policy *protector(const struct decide_context *c,
                                         const struct km_ledger_item *item)
{
	const struct km_policy *p = NULL;

	if (item->bound && item->kind.policy != 0) {
		p = km_policies_find(c->policies, item->kind.policy);
	}
	return p != NULL && p->trusted ? p : NULL;
}

static bool is_replica(const struct km_pod_kind *a, const struct km_pod_kind *b)
{
	return a->service != 0 && a->service == b->service;
}

/* The load of `pods` of a kind, as a workload that is there. */
static void be_incumbent(const struct decide_context *c, struct incumbent *i)
{
	const struct km_workload *base = &c->settings.default_workload;
	double one = i->who.kind.rps > 0 ? i->who.kind.rps : base->rps / base->replicas;

	i->who.there = true;
	i->who.workload = *base;
	i->who.workload.replicas = 1;
	i->who.workload.rps = one;
	i->who.workload.max_slowdown =
		isfinite(i->policy->max_slowdown)
			? fmax(i->policy->max_slowdown, c->settings.min_max_slowdown)
			: base->max_slowdown;
}

/* Replicas of the newcomer's own service are no incumbents: what they suffer, it suffers. */
static void find_incumbents(struct evaluator *e, struct evaluated *n)
{
	const struct decide_context *c = e->view->context;

	n->incumbents = 0;
	for (size_t k = 0; k < n->item_count; k++) {
		const struct km_ledger_item *item = &n->item[k];
		const struct km_policy *p = protector(c, item);
		size_t i = 0;

		if (p == NULL || is_replica(&item->kind, &e->who.kind)) {
			continue;
		}
		while (i < n->incumbents &&
		       !decide_same_kind(&n->incumbent[i].who.kind, &item->kind)) {
			i++;
		}
		if (i == INCUMBENTS_MAX) {
			km_counter_add(e->d->stats.unseen_incumbents, 1);
			continue;
		}
		if (i == n->incumbents) {
			n->incumbent[i] = (struct incumbent){ .who.kind = item->kind, .policy = p };
			be_incumbent(c, &n->incumbent[i]);
			n->incumbents++;
		}
		n->incumbent[i].pods += item->weight;
		n->incumbent[i].in_flight += km_ledger_unseen(
			item, decide_window_end_ns(n->node.features), decide_window_s(c));
	}
}

/* ---- one node ---- */

static void keep_harm(const struct decide_context *c, const struct evaluated *n,
                      struct decide_harm *out)
{
	struct km_incumbent there[INCUMBENTS_MAX];
	struct km_place_harm h;
	double pods = 0;

	*out = decide_no_harm;
	for (size_t i = 0; i < n->incumbents; i++) {
		const struct incumbent *one = &n->incumbent[i];

		there[i] = (struct km_incumbent){
			.slowdown = one->result.known ? exp(one->result.slowdown) : NAN,
			.high = one->result.known ? exp(one->result.high) : NAN,
			.max_slowdown = one->who.workload.max_slowdown,
			.weight = one->policy->weight * one->pods,
			.in_flight = one->policy->weight * one->in_flight,
		};
		pods += one->pods;
	}
	km_place_harm(there, n->incumbents, c->rules.risk, &h);
	if (h.worst_of == n->incumbents) {
		return;
	}
	*out = (struct decide_harm){
		.worst = (float)h.worst,
		.mean = (float)h.mean,
		.slowdown = (float)h.slowdown,
		.worst_slowdown = (float)there[h.worst_of].slowdown,
		.worst_limit = (float)there[h.worst_of].max_slowdown,
		.pods = (uint32_t)lround(pods),
		.worst_policy = n->incumbent[h.worst_of].who.kind.policy,
	};
}

static void keep(struct evaluator *e, const struct evaluated *n)
{
	const struct decide_view *view = e->view;
	struct decide_busy *b = n->miss->out;

	b->bound = n->own.bound;
	b->inflight = n->own.in_flight;
	b->quarters =
		km_place_quarters(b->inflight.service + b->inflight.model + b->inflight.footprint +
	                          b->inflight.effects + b->inflight.unknown);
	b->width = (float)n->own.width;
	b->plain = !n->own.known;
	if (!n->own.known) {
		b->version = 0; /* the model failed: the next request tries again */
		return;
	}
	b->prediction = (struct km_prediction){
		.slowdown = exp(n->own.slowdown),
		.low = exp(n->own.low),
		.high = exp(n->own.high),
		.outside = n->own.outside,
		.missing = n->own.missing,
	};
	if (e->there) {
		return; /* nobody is judged */
	}
	km_counter_add(e->d->stats.bound, n->own.bound);
	keep_harm(view->context, n, &b->harm);
	b->state = view->table->known[n->miss->node].state;
	decide_judge_busy(view->context, &view->table->workload, b);
	km_counter_add(e->d->stats.harm, b->verdict[DECIDE_AGE_FRESH].reason == KM_REASON_HARM);
}

/* Reads the ledger for as many of miss [count] as there is room. returns how many. */
static size_t read_ledger(struct evaluator *e, const struct decide_miss *miss, size_t count)
{
	size_t used = 0;

	e->nodes = 0;
	pthread_mutex_lock(&e->d->ledger_lock);
	while (e->nodes < count && e->nodes < NODES_AT_ONCE) {
		struct evaluated *n = &e->node[e->nodes];
		struct km_ledger_busy busy;
		size_t room = ITEMS_AT_ONCE - used;
		size_t there = km_ledger_items(e->d->ledger, miss[e->nodes].key, e->uid,
		                               e->item + used, room, &busy);

		if (there > room && e->nodes > 0) {
			break; /* it gets all the room next time */
		}
		n->miss = &miss[e->nodes];
		n->item = e->item + used;
		n->item_count = there < room ? there : room;
		n->node.platform = busy.platform;
		n->miss->out->digest = busy.digest;
		used += n->item_count;
		e->nodes++;
	}
	pthread_mutex_unlock(&e->d->ledger_lock);
	return e->nodes;
}

/* Does the table, if there is one, go by the node's counters? */
static bool by_counters(const struct decide_view *view, uint32_t node)
{
	const struct decide_known *k = view->table != NULL ? &view->table->known[node] : NULL;

	return k == NULL || (k->state == KM_DATA_FRESH && !k->by_effects);
}

static void find_node(struct evaluator *e, struct evaluated *n)
{
	const struct decide_view *view = e->view;
	const struct km_cluster_node *at = &view->snapshot->node[n->miss->node];
	/* The picture may be newer than the table, and even of the windows of another model. */
	bool counters = by_counters(view, n->miss->node) &&
	                decide_data_state(view->context, at->features) == KM_DATA_FRESH;

	n->node.context = view->context;
	n->node.index = at->row;
	n->node.features = counters ? at->features : NULL;
	n->node.row = counters ? km_host_features_row(at->features, at->row) : NULL;
	n->miss->out->version = view->table != NULL ? view->table->known[n->miss->node].version : 0;
}

static void evaluate(struct evaluator *e, struct evaluated *n)
{
	find_node(e, n);
	n->incumbents = 0;
	if (e->there) {
		enqueue(e, n, &e->who, NULL, NULL, &n->own);
		return;
	}
	enqueue(e, n, &e->who, NULL, &e->view->table->known[n->miss->node].prediction, &n->own);
	find_incumbents(e, n);
	for (size_t i = 0; i < n->incumbents; i++) {
		enqueue(e, n, &n->incumbent[i].who, &e->who.kind, NULL, &n->incumbent[i].result);
	}
}

/* In the request's arena: a few hundred KiB that the next request finds again. */
static struct evaluator *create(struct km_decide *d, const struct decide_view *view,
                                const struct km_subject *who, struct km_arena *arena)
{
	const struct km_schema *schema = view->context->schema;
	size_t columns = schema != NULL ? schema->count : 0;
	struct evaluator *e = km_arena_alloc(arena, sizeof(*e));

	if (e == NULL) {
		return NULL;
	}
	e->d = d;
	e->view = view;
	e->who = (struct project_subject){ .kind = who->kind };
	decide_workload_normalise(&who->workload, &e->who.workload);
	e->uid = who->uid;
	e->there = false;
	e->columns = columns;
	e->row_count = 0;
	e->plans = 0;
	e->scratch = km_arena_alloc(arena, (columns + 1) * sizeof(e->scratch[0]));
	e->rows = km_arena_alloc(arena, (DECIDE_PREDICT_ROWS * columns + 1) * sizeof(e->rows[0]));
	return e->rows != NULL && e->scratch != NULL ? e : NULL;
}

static int run(struct evaluator *e, const struct decide_miss *miss, size_t count)
{
	if (e == NULL) {
		return -ENOMEM;
	}
	for (size_t done = 0; done < count; done += e->nodes) {
		(void)read_ledger(e, miss + done, count - done);
		for (size_t i = 0; i < e->nodes; i++) {
			evaluate(e, &e->node[i]);
		}
		flush(e);
		for (size_t i = 0; i < e->nodes; i++) {
			keep(e, &e->node[i]);
		}
	}
	return 0;
}

int decide_evaluate(struct km_decide *d, const struct decide_view *view,
                    const struct km_subject *who, const struct decide_miss *miss, size_t count,
                    struct km_arena *arena)
{
	return run(create(d, view, who, arena), miss, count);
}

int decide_evaluate_there(struct km_decide *d, const struct decide_view *view,
                          const struct km_subject *who, const struct decide_miss *miss,
                          size_t count, struct km_arena *arena)
{
	struct evaluator *e = create(d, view, who, arena);

	if (e != NULL) {
		e->uid = 0; /* it is one of those that the ledger knows to be there */
		e->there = true;
		e->who.there = true;
		e->who.workload.rps = project_rps(&e->who);
		e->who.workload.replicas = 1;
	}
	return run(e, miss, count);
}
