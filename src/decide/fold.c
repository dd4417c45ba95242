/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a plan to the rows that the model is asked, and from its answers to one prediction that
 * never falls as pods are added: what plan.c promises is kept here.
 */
#include <math.h>
#include <string.h>

#include "project_internal.h"

#define Z_OF_BOUND 1.6448536269514722 /* effects tell an sd, we keep 95 % quantiles */

/* ---- rows ---- */

/* Pods of each way at one point. */
static void pods_at(const struct project_plan *p, uint32_t point, double *pods)
{
	uint32_t rest = point;

	memset(pods, 0, PROJECT_DIMS_MAX * sizeof(*pods));
	if (point < p->grid) {
		for (uint32_t i = 0; i < p->dims; i++) {
			pods[i] = rest % (p->level[i] + 1);
			rest /= p->level[i] + 1;
		}
		return;
	}
	rest = point - p->grid;
	for (uint32_t i = 0; i < p->dims; i++) {
		uint32_t on_axis = project_whole(&p->dim[i]) - p->level[i];

		if (rest < on_axis) {
			pods[i] = p->level[i] + 1 + rest;
			return;
		}
		rest -= on_axis;
	}
}

static float pod_input(const struct project_plan *p, enum km_pod_input input, double in_flight)
{
	double more = p->here + in_flight;
	double replicas = p->who->there ? more : p->who->workload.replicas + more;
	double now = p->who->there ? replicas : more;
	bool told = p->node.context->feed;

	switch (input) {
	case KM_POD_RPS:
		/* where there is nobody, bit for bit the question that the table asked */
		return p->who->there ? (float)(project_rps(p->who) * replicas)
		       : more > 0    ? (float)(p->who->workload.rps + project_rps(p->who) * more)
		                     : (float)p->who->workload.rps;
	case KM_POD_REPLICAS:
		return (float)replicas;
	case KM_POD_RPS_NOW:
		return !told ? NAN : now > 0 ? (float)(project_rps(p->who) * now) : 0;
	case KM_POD_REPLICAS_NOW:
		return told ? (float)now : NAN;
	default:
		return NAN;
	}
}

void project_row(const struct project_plan *plan, uint32_t point, double *scratch, float *out)
{
	const struct km_schema *schema = plan->node.context->schema;
	double added[KM_QUANTITY_N] = { 0 };
	double pods[PROJECT_DIMS_MAX];
	float by_class[KM_CLASSES_MAX] = { 0 };
	const double *row = plan->node.row;
	bool projected = false;
	double service = 0;

	pods_at(plan, point, pods);
	for (uint32_t i = 0; i < plan->dims; i++) {
		const struct project_dim *d = &plan->dim[i];

		if (d->way == PROJECT_SERVICE) {
			service = pods[i];
		} else if (d->way == PROJECT_CLASS) {
			by_class[d->class_index] = (float)pods[i];
		} else if (pods[i] > 0) {
			projected = true;
			for (int q = 0; q < KM_QUANTITY_N; q++) {
				added[q] += d->add[q] > 0 ? d->add[q] * pods[i] : 0;
			}
		}
	}
	if (projected) {
		km_footprint_project(schema, row, &plan->base, added, scratch);
		row = scratch;
	}
	for (uint32_t i = 0; i < schema->count; i++) {
		const struct km_feature *f = &schema->feature[i];

		out[i] = f->scope < KM_SCOPE_POD    ? (float)row[i]
		         : f->scope == KM_SCOPE_POD ? pod_input(plan, f->input, service)
		                                    : by_class[f->class_index];
	}
}

/* ---- one prediction of all answers ---- */

/* Every point of the grid gets the maximum over those with fewer pods. returns whether any grew. */
static bool close_upwards(const struct project_plan *p, double *value)
{
	uint32_t stride = 1;
	bool grew = false;

	for (uint32_t i = 0; i < p->dims && i < PROJECT_JOINT_MAX; i++) {
		uint32_t size = p->level[i] + 1;

		for (uint32_t k = 0; k < p->grid; k++) {
			if (k / stride % size > 0 && value[k - stride] > value[k]) {
				value[k] = value[k - stride];
				grew = true;
			}
		}
		stride *= size;
	}
	return grew;
}

/* The grid's value at the amounts, interpolated between whole pods. */
static double in_grid(const struct project_plan *p, const double *value)
{
	double sum = 0;

	for (uint32_t corner = 0; corner < 1u << PROJECT_JOINT_MAX; corner++) {
		uint32_t stride = 1;
		uint32_t at = 0;
		double share = 1;

		for (uint32_t i = 0; i < PROJECT_JOINT_MAX; i++) {
			double amount = i < p->dims ? fmin(p->dim[i].amount, p->level[i]) : 0;
			double below = floor(amount);
			bool upper = (corner >> i & 1) != 0;

			share *= upper ? amount - below : 1 - (amount - below);
			at += stride * ((uint32_t)below + upper);
			stride *= (i < p->dims ? p->level[i] : 0) + 1;
		}
		if (share > 0) {
			sum += share * value[at];
		}
	}
	return sum;
}

/* What pods of one way add beyond the grid: a curve that never falls, at the amount. */
static double on_axis(const struct project_plan *p, uint32_t dim, const double *value,
                      uint32_t first, bool *grew)
{
	const struct project_dim *d = &p->dim[dim];
	uint32_t level = p->level[dim];
	uint32_t count = project_whole(d) - level;
	uint32_t stride = 1;
	double amount = fmin(d->amount, d->cap) - level;
	double start;
	double last;

	for (uint32_t i = 0; i < dim; i++) {
		stride *= p->level[i] + 1;
	}
	start = value[(size_t)level * stride];
	last = start;
	for (uint32_t k = 0; k < count; k++) {
		double next = fmax(value[first + k], last);

		*grew = *grew || value[first + k] < last;
		if (amount <= k + 1) {
			return last + (next - last) * (amount - k) - start;
		}
		last = next;
	}
	return last - start;
}

static double fold(const struct project_plan *p, double *value, bool *grew)
{
	uint32_t first = p->grid;
	double sum;

	*grew = close_upwards(p, value);
	sum = in_grid(p, value);
	for (uint32_t i = 0; i < p->dims; i++) {
		sum += on_axis(p, i, value, first, grew);
		first += project_whole(&p->dim[i]) - p->level[i];
	}
	return sum;
}

/* What no row of the model tells, on top of it. */
static void add_rest(const struct project_plan *p, struct project_result *out)
{
	double unknown = decide_unknown_log(p->node.context) * p->in_flight.unknown;
	double own = out->high - out->slowdown;
	double spread = sqrt(own * own + Z_OF_BOUND * Z_OF_BOUND * p->learned_var);

	out->high = out->slowdown + p->learned + fmax(spread, own) + 2 * unknown;
	out->slowdown += p->learned + unknown;
	out->low += p->learned;
}

/* The point where all pods are, rounded up, as far as it is in the grid. */
static uint32_t top_of_grid(const struct project_plan *p)
{
	return p->grid - 1;
}

static bool is_number(const struct km_prediction *p)
{
	return p != NULL && p->slowdown > 0 && isfinite(p->slowdown);
}

uint32_t project_rows(const struct project_plan *plan)
{
	return plan->origin != NULL ? plan->points - 1 : plan->points;
}

static const struct km_prediction *answer_of(const struct project_plan *plan,
                                             const struct km_prediction *answer, uint32_t point)
{
	if (plan->origin != NULL) {
		if (point == 0) {
			return plan->origin;
		}
		point--;
	}
	return answer != NULL ? &answer[point] : NULL;
}

void project_finish(const struct project_plan *plan, const struct km_prediction *answer)
{
	struct project_result *out = plan->out;
	double slowdown[PROJECT_POINTS_MAX] = { 0 };
	double high[PROJECT_POINTS_MAX] = { 0 };
	bool grew;

	*out = (struct project_result){ .in_flight = plan->in_flight };
	for (uint32_t i = 0; i < plan->points; i++) {
		const struct km_prediction *a = answer_of(plan, answer, i);

		if (!is_number(a)) {
			if (i == 0) {
				return;
			}
			/* what the model says of fewer pods then holds for these too */
			slowdown[i] = -INFINITY;
			high[i] = -INFINITY;
			continue;
		}
		slowdown[i] = log(a->slowdown);
		high[i] = a->high >= a->slowdown ? log(a->high) : slowdown[i];
	}
	out->known = true;
	if (plan->points > 0) {
		const struct km_prediction *top = answer_of(plan, answer, top_of_grid(plan));

		if (top == NULL) {
			top = plan->origin; /* or the first point would have been no number */
		}
		out->width = high[0] - slowdown[0];
		out->low = is_number(top) && top->low > 0 ? log(top->low / top->slowdown) : 0;
		out->outside = top->outside;
		out->missing = top->missing;
		out->slowdown = fold(plan, slowdown, &out->bound);
		out->high = fmax(fold(plan, high, &grew), out->slowdown);
		out->low += out->slowdown;
	}
	add_rest(plan, out);
}
