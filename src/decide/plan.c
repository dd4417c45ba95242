/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods in flight, taken into one prediction. Each pod counts in one way, the first that applies:
 *
 *   service     replicas of the subject's service: by the load that the node carries then
 *   class       the model has an input for its class
 *   footprint   it is known what pods of its class, or policy, add to counters
 *   effects     it is known what they do to the subject
 *   unknown     decide.unknownSlowdown
 *
 * That more in flight never predicts less holds by construction. The model is asked for whole pods
 * only, as it was trained; for each of the first three ways that came to the node, in every
 * combination (a grid), for others one by one (an axis). Every point gets the maximum over all
 * points with fewer pods; between points ln slowdown is interpolated; what an axis adds is added.
 * Pods beyond what the model can tell apart, that is beyond its training range, are unknown ones.
 * Each term grows with each pod, so the sum does. A way that comes to the node later is behind the
 * others: it never takes another's place in the grid.
 */
#include <math.h>
#include <string.h>

#include "project_internal.h"

/* Whole pods in the grid, by place: 8 x 4 x 4 rows at most. */
static const uint32_t joint_levels[PROJECT_JOINT_MAX] = { 7, 3, 3 };

/* ---- which way a pod counts ---- */

static bool has_pod_input(const struct km_schema *s)
{
	for (uint32_t i = 0; i < s->count; i++) {
		if (s->feature[i].scope == KM_SCOPE_POD) {
			return true;
		}
	}
	return false;
}

static int class_of(const struct km_schema *s, const char *name)
{
	for (uint32_t i = 0; name[0] != '\0' && i < s->class_count; i++) {
		if (strcmp(s->classes[i], name) == 0) {
			return (int)i;
		}
	}
	return -1;
}

/* How many whole pods on top of `from` an input can tell apart, each `step` of it. */
static uint32_t levels_up_to(double range_high, double from, double step)
{
	double levels = isnan(range_high) || !(step > 0) ? PROJECT_LEVELS_MAX
	                                                 : floor((range_high - from) / step + 1e-9);

	return levels >= PROJECT_LEVELS_MAX ? PROJECT_LEVELS_MAX
	       : levels > 0                 ? (uint32_t)levels
	                                    : 0;
}

double project_rps(const struct project_subject *who)
{
	return who->workload.replicas > 0 ? who->workload.rps / who->workload.replicas
	                                  : who->workload.rps;
}

double project_replicas(const struct project_plan *p)
{
	return p->who->there ? p->here : p->who->workload.replicas + p->here;
}

static uint32_t service_levels(const struct project_plan *p)
{
	const struct decide_context *c = p->node.context;
	uint32_t least = PROJECT_LEVELS_MAX;

	for (uint32_t i = 0; i < c->schema->count; i++) {
		const struct km_feature *f = &c->schema->feature[i];
		double one = f->input == KM_POD_RPS ? project_rps(p->who) : 1;
		uint32_t levels;

		if (f->scope != KM_SCOPE_POD ||
		    (f->input != KM_POD_RPS && f->input != KM_POD_REPLICAS)) {
			continue;
		}
		levels = levels_up_to(c->range_high[i], one * project_replicas(p), one);
		least = levels < least ? levels : least;
	}
	return least;
}

static uint32_t class_levels(const struct decide_context *c, uint32_t class_index)
{
	for (uint32_t i = 0; i < c->schema->count; i++) {
		const struct km_feature *f = &c->schema->feature[i];

		if (f->scope == KM_SCOPE_INFLIGHT && f->class_index == class_index) {
			return levels_up_to(c->range_high[i], 0, 1);
		}
	}
	return 0;
}

/* The dimension that is there, or a new one behind the others; NULL when there are too many. */
static struct project_dim *dim_of(struct project_plan *p, const struct project_dim *like)
{
	for (uint32_t i = 0; i < p->dims; i++) {
		struct project_dim *d = &p->dim[i];

		if (d->way == like->way && d->class_index == like->class_index &&
		    d->policy == like->policy && strcmp(d->class_name, like->class_name) == 0) {
			return d;
		}
	}
	if (p->dims == PROJECT_DIMS_MAX) {
		return NULL;
	}
	p->dim[p->dims] = *like;
	return &p->dim[p->dims++];
}

/* Replicas of the subject's service; who is there is one of his own kind, with a service or not. */
static bool same_service(const struct project_plan *p, const struct km_pod_kind *kind)
{
	const struct km_pod_kind *own = &p->who->kind;

	return ((kind->service != 0 && kind->service == own->service) ||
	        (p->who->there && decide_same_kind(kind, own))) &&
	       has_pod_input(p->node.context->schema);
}

static bool by_footprint(struct km_decide *d, const struct project_plan *p,
                         const struct km_pod_kind *kind, struct project_dim *out)
{
	struct km_footprint f;

	if (p->node.features == NULL || !decide_footprint(d, p->node.context, kind, &f)) {
		return false;
	}
	*out = (struct project_dim){ .way = PROJECT_FOOTPRINT,
		                     .policy = f.count == 0 ? kind->policy : 0,
		                     .cap = PROJECT_LEVELS_MAX };
	memcpy(out->class_name, kind->class_name, sizeof(out->class_name));
	memcpy(out->add, f.mean, sizeof(out->add));
	return true;
}

/* How the model takes in a pod of this kind. returns false when it does not. */
static bool by_model(struct km_decide *d, const struct project_plan *p,
                     const struct km_pod_kind *kind, struct project_dim *out)
{
	int class_index = class_of(p->node.context->schema, kind->class_name);

	if (same_service(p, kind)) {
		*out = (struct project_dim){ .way = PROJECT_SERVICE };
		return true;
	}
	if (class_index >= 0) {
		*out = (struct project_dim){
			.way = PROJECT_CLASS,
			.class_index = (uint32_t)class_index,
			.cap = class_levels(p->node.context, (uint32_t)class_index),
		};
		return true;
	}
	return by_footprint(d, p, kind, out);
}

static double *counted_as(struct km_inflight_counts *n, enum project_way way)
{
	return way == PROJECT_SERVICE ? &n->service
	       : way == PROJECT_CLASS ? &n->model
	                              : &n->footprint;
}

/* Beside counters the average of others would stand in for what is not known of a pod at all. */
static bool tells(const struct project_plan *p, const struct km_effect *e)
{
	return p->node.features == NULL || e->count > 0;
}

/* By what is learned of the two, or as unknown. Pods in flight never make anything faster. */
static void add_learned(struct km_decide *d, struct project_plan *p, const struct km_pod_kind *kind,
                        double seen, double unseen)
{
	struct km_effect e;

	if (kind->effects == 0 ||
	    !decide_effect(d, p->node.context, p->node.platform, p->who->kind.effects,
	                   kind->effects, &e) ||
	    !tells(p, &e)) {
		p->in_flight.unknown += unseen;
		return;
	}
	p->learned += seen * e.log_slowdown + unseen * fmax(e.log_slowdown, 0);
	if (isfinite(e.sd)) {
		p->learned_var += (seen + unseen) * e.sd * e.sd;
	}
	p->in_flight.effects += unseen;
}

static void add_pods(struct km_decide *d, struct project_plan *p, const struct km_pod_kind *kind,
                     double seen, double unseen)
{
	struct project_dim like;
	struct project_dim *dim;

	if (p->node.features == NULL) {
		add_learned(d, p, kind, seen, unseen); /* no counters: none of them is seen */
		return;
	}
	if (seen > 0 && same_service(p, kind)) {
		p->here += seen;
	}
	if (unseen <= 0) {
		return;
	}
	if (!by_model(d, p, kind, &like)) {
		add_learned(d, p, kind, 0, unseen);
		return;
	}
	dim = dim_of(p, &like);
	if (dim != NULL) {
		dim->amount += unseen;
	} else {
		p->in_flight.unknown += unseen;
	}
}

/* ---- the points ---- */

static uint32_t at_most(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

uint32_t project_whole(const struct project_dim *d)
{
	return d->amount >= d->cap ? d->cap : (uint32_t)ceil(d->amount);
}

static void lay_out(struct project_plan *p)
{
	p->grid = 1;
	for (uint32_t i = 0; i < p->dims; i++) {
		struct project_dim *d = &p->dim[i];
		double told;

		if (d->way == PROJECT_SERVICE) {
			d->cap = service_levels(p);
		}
		told = fmin(d->amount, d->cap);
		*counted_as(&p->in_flight, d->way) += told;
		p->in_flight.unknown += d->amount - told;
		p->level[i] =
			i < PROJECT_JOINT_MAX ? at_most(project_whole(d), joint_levels[i]) : 0;
		p->grid *= p->level[i] + 1;
	}
	p->points = p->grid;
	for (uint32_t i = 0; i < p->dims; i++) {
		p->points += project_whole(&p->dim[i]) - p->level[i];
	}
}

/* Without what counters do not tell the row is the node's own; with it, the base is needed. */
static void find_base(struct project_plan *p)
{
	bool needed = false;

	for (uint32_t i = 0; i < p->dims; i++) {
		needed = needed || p->dim[i].way == PROJECT_FOOTPRINT;
	}
	if (needed) {
		decide_footprint_base(p->node.features, p->node.index, &p->base);
	}
}

void project_plan(struct km_decide *d, const struct project_node *node,
                  const struct project_subject *who, const struct km_ledger_item *item,
                  size_t count, const struct km_pod_kind *add, struct project_plan *plan)
{
	int64_t end_ns = decide_window_end_ns(node->features);
	bool self = who->there && node->features == NULL;

	memset(plan, 0, sizeof(*plan));
	plan->who = who;
	plan->node = *node;
	for (size_t i = 0; i < count; i++) {
		double unseen = km_ledger_unseen(&item[i], end_ns, decide_window_s(node->context));

		if (self && decide_same_kind(&item[i].kind, &who->kind)) {
			self = false; /* one of them is the subject: nobody is his own neighbour */
			continue;
		}
		add_pods(d, plan, &item[i].kind, item[i].weight - unseen,
		         node->context->settings.ledger_off ? 0 : unseen);
	}
	if (add != NULL) {
		add_pods(d, plan, add, 0, 1);
	}
	if (node->features != NULL) {
		lay_out(plan);
		find_base(plan);
	}
}
