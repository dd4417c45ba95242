/* SPDX-License-Identifier: Apache-2.0 */
/* A decision in words: who asked for what, why the best node, why not the others, and what it
 * weighs at the scheduler. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/macros.h"

#include "why.h"

#define PODS_SHOWN   8
#define NAME_LEAST   12
#define REASON_LEAST 16
/* A prediction that moved further from that of the decision is said. */
#define MOVED_RATIO 1.1
/* A score of another slowdown than the predicted one is said when it is further off than this. */
#define SCORED_RATIO 0.005

static const char *or_empty(const char *text)
{
	return text != NULL ? text : "";
}

static const char *plural(double count)
{
	return count == 1 ? "" : "s";
}

/* "shop/web-1"; control characters cannot come from here: they are no pod's name. */
static void put_pod(FILE *to, const struct km_client_decision *d)
{
	const char *ns = or_empty(d->pod_namespace);

	km_table_put_text(to, ns);
	if (ns[0] != '\0')
		(void)fputc('/', to);
	km_table_put_text(to, or_empty(d->pod_name));
}

/* Is a newer decision about the same pod? */
static bool was_before(const struct km_client_decisions *d, size_t at)
{
	const char *ns = or_empty(d->decision[at].pod_namespace);
	const char *name = or_empty(d->decision[at].pod_name);
	bool found = false;

	for (size_t i = 0; i < at && !found; i++)
		found = strcmp(name, or_empty(d->decision[i].pod_name)) == 0 &&
		        strcmp(ns, or_empty(d->decision[i].pod_namespace)) == 0;
	return found;
}

void why_print_known(const struct km_client_decisions *d, FILE *to)
{
	size_t shown = 0;

	if (d->count == 0) {
		fprintf(to, "It has decided about no pod yet.\n");
		return;
	}
	fprintf(to, "It remembers %.0f decision%s, since %s; the newest are about", d->held,
	        plural(d->held), or_empty(d->oldest));
	for (size_t i = 0; i < d->count && shown < PODS_SHOWN; i++) {
		if (was_before(d, i))
			continue;
		fprintf(to, "%s ", shown > 0 ? "," : "");
		put_pod(to, &d->decision[i]);
		shown++;
	}
	fprintf(to, "\n");
}

static void print_head(const struct why *w)
{
	const struct km_client_decisions *all = w->decisions;
	const struct km_client_decision *d = &all->decision[0];

	printf("Pod ");
	put_pod(stdout, d);
	printf(", decided at %s, request %.0f", or_empty(d->time), d->id);
	if (isfinite(d->prioritize_id) && d->prioritize_id != d->id)
		printf(" (/filter) and %.0f (/prioritize)", d->prioritize_id);
	printf(".\n");
	if (all->count > 1)
		printf("The newest of %zu%s decisions about it.\n", all->count,
		       all->cut ? " or more" : "");
	if (isfinite(d->rps))
		printf("It brings %g requests/s", d->rps);
	if (isfinite(d->max_slowdown))
		printf(" and tolerates a slowdown of %g", d->max_slowdown);
	printf(" (%s", strcmp(or_empty(d->workload_from), "default") == 0
	                       ? "nothing said so: the default"
	                       : or_empty(d->workload_from));
	if (d->policy != NULL) {
		printf(" ");
		km_table_put_text(stdout, d->policy);
	}
	printf("), mode %s; ", or_empty(d->mode));
	if (d->model_hash != NULL)
		printf("model %s.\n", d->model_hash);
	else
		printf("no model.\n");
}

static const struct km_client_node *find(const struct km_client_table *t, const char *name)
{
	uint32_t at;

	return t != NULL && km_map_get(&t->index, name, strlen(name), &at) ? &t->node[at] : NULL;
}

static bool moved(const struct km_client_node *then, const struct km_client_node *now)
{
	return now != NULL && fabs(log(now->slowdown / then->slowdown)) > log(MOVED_RATIO);
}

static void print_shares(const struct km_client_node *then, const struct km_client_node *now)
{
	for (size_t i = 0; now != NULL && i < KM_CLIENT_SHARES_MAX && now->share[i] != NULL; i++) {
		printf("    ");
		km_table_put_text(stdout, now->share[i]);
		printf("\n");
	}
	if (moved(then, now))
		printf("    by the newest counters, which predict %.2f now\n", now->slowdown);
}

/* What the score counts beside the prediction, where there is any. */
static void print_company(const struct km_client_node *n)
{
	if (n->in_flight > 0)
		printf("  Pods on the way there are counted in: %.3g.\n", n->in_flight);
	if (isfinite(n->harm_worst))
		printf("  Of the protected pods there the worst off would be slowed down to %.2f, "
		       "and tolerates %.2f.\n",
		       n->harm_worst, n->harm_limit);
	if (isfinite(n->scored) && fabs(n->scored / n->slowdown - 1) > SCORED_RATIO)
		printf("  With age, risk and harm the score is that of a slowdown of %.2f.\n",
		       n->scored);
}

static void print_best(const struct why *w)
{
	const struct km_client_decision *d = &w->decisions->decision[0];
	const struct km_client_table *t = &w->decisions->table;

	if (strcmp(or_empty(d->mode), "Observe") == 0)
		printf("It is only observed: all nodes passed with the same score.  What follows "
		       "would have been.\n");
	printf("\nWhy there\n");
	if (isnan(d->best) || t->count == 0) {
		printf("  No node of %.0f passed.\n", d->asked);
		return;
	}
	printf("  ");
	km_table_put_text(stdout, t->node[0].name);
	printf(" %s the best score, %.0f of %.0f", d->best_nodes > 1 ? "shares" : "has", d->best,
	       d->scale);
	if (isfinite(t->node[0].slowdown)) {
		printf(": predicted slowdown %.2f (90 %% interval %.2f to %.2f), counters %.1f s "
		       "old",
		       t->node[0].slowdown, t->node[0].low, t->node[0].high, t->node[0].age_s);
	} else {
		printf(": %s", or_empty(t->node[0].reason));
	}
	printf(".\n");
	print_shares(&t->node[0], find(w->now, t->node[0].name));
	print_company(&t->node[0]);
	if (d->best_nodes > 1)
		printf("  %.0f nodes share it: among them the scheduler's own plugins decide.\n",
		       d->best_nodes);
}

static void print_reasons(const struct km_client_decision *d)
{
	printf("  Of %.0f node%s %.0f passed", d->asked, plural(d->asked), d->passed);
	if (d->scored > 0)
		printf(" and %.0f got a score", d->scored);
	if (isfinite(d->worst) && d->worst != d->best)
		printf(", from %.0f to %.0f", d->worst, d->best);
	printf(":\n");
	for (size_t i = 0; i < d->reason_count; i++) {
		const struct km_client_reason *r = &d->reason[i];

		printf("    %.0f: %s", r->nodes, or_empty(r->text));
		if (r->rejected > 0)
			printf(" (%.0f filtered out)", r->rejected);
		printf("\n");
	}
}

static void put_number(struct km_table *t, struct km_buf *scratch, int digits, double value)
{
	km_buf_clear(scratch);
	if (isfinite(value))
		km_buf_printf(scratch, "%.*f", digits, value);
	else
		km_buf_char(scratch, '-');
	km_table_cell(t, km_buf_cstr(scratch));
}

/* Which columns there is anything to say in. */
struct company {
	bool in_flight;
	bool harm;
};

static struct company company_of(const struct km_client_table *t)
{
	struct company c = { false, false };

	for (size_t i = 0; i < t->count; i++) {
		c.in_flight = c.in_flight || t->node[i].in_flight > 0;
		c.harm = c.harm || isfinite(t->node[i].harm_worst);
	}
	return c;
}

static void put_node(struct km_table *t, struct km_buf *scratch, struct company company,
                     const struct km_client_node *n, const struct km_client_node *now)
{
	bool passes = n->filter != NULL && strcmp(n->filter, KM_CLIENT_PASS) == 0;
	bool predicted = isfinite(n->slowdown);

	km_table_cell(t, n->name);
	put_number(t, scratch, 2, n->slowdown);
	km_buf_clear(scratch);
	if (isfinite(n->low) && isfinite(n->high))
		km_buf_printf(scratch, "%.2f - %.2f", n->low, n->high);
	else
		km_buf_char(scratch, '-');
	km_table_cell(t, km_buf_cstr(scratch));
	if (company.in_flight)
		put_number(t, scratch, 1, n->in_flight);
	if (company.harm)
		put_number(t, scratch, 2, n->harm_worst);
	put_number(t, scratch, 0, n->score);
	km_table_cell(t, passes ? KM_CLIENT_PASS : "reject");
	km_table_cell(t, predicted && now != NULL && now->main != NULL ? now->main
	                                                               : or_empty(n->reason));
}

/* returns 0, or -1 when memory ran out. */
static int print_others(const struct why *w)
{
	static const struct km_table_column all[] = {
		{ "NODE", false, false, NAME_LEAST }, { "SLOWDOWN", true, false, 0 },
		{ "90% INTERVAL", true, false, 0 },   { "IN FLIGHT", true, false, 0 },
		{ "HARM", true, false, 0 },           { "SCORE", true, false, 0 },
		{ "FILTER", false, false, 0 },        { "MAIN REASON", false, false, REASON_LEAST },
	};
	const struct km_client_decision *d = &w->decisions->decision[0];
	const struct km_client_table *t = &w->decisions->table;
	const struct company company = company_of(t);
	struct km_table_column columns[KM_ARRAY_LEN(all)];
	size_t count = 0;
	struct km_table table;
	struct km_buf scratch;
	int rc;

	printf("\nWhy not the others\n");
	print_reasons(d);
	printf("\n");
	km_buf_init(&scratch);
	for (size_t c = 0; c < KM_ARRAY_LEN(all); c++) {
		if ((c != 3 || company.in_flight) && (c != 4 || company.harm))
			columns[count++] = all[c];
	}
	km_table_init(&table, columns, count);
	for (size_t i = 0; i < t->count; i++)
		put_node(&table, &scratch, company, &t->node[i], find(w->now, t->node[i].name));
	rc = km_table_print(&table, stdout, km_table_terminal_width());
	if (d->asked > (double)t->count)
		printf("and %.0f more.\n", d->asked - (double)t->count);
	km_table_fini(&table);
	km_buf_fini(&scratch);
	return rc;
}

/* The best score ahead of the next, of those that pass. NaN when there is no next. */
static double lead(const struct km_client_table *t)
{
	if (t->count < 2 || t->node[1].filter == NULL ||
	    strcmp(t->node[1].filter, KM_CLIENT_PASS) != 0)
		return NAN;
	return t->node[0].score - t->node[1].score;
}

static void print_vote(const struct why *w)
{
	double ahead = lead(&w->decisions->table);

	printf("\nOur vote: %.0f points at most, with the extender's weight of %g%s, beside %.0f "
	       "of\n"
	       "the scheduler's own plugins: %.0f %% of all.",
	       w->vote.points, w->vote.weight,
	       w->votes_assumed ? " (assumed; --weight says another)" : "", w->vote.in_tree_points,
	       100 * w->vote.share);
	if (isfinite(ahead))
		printf("  Here the best node is %.0f points ahead of the next.",
		       ahead * w->vote.points_per_score);
	printf("\n");
}

int why_print(struct why *w)
{
	print_head(w);
	print_best(w);
	if (print_others(w) != 0) {
		fprintf(stderr, "kubemarla: out of memory printing the table\n");
		return KM_COMMAND_FAILED;
	}
	print_vote(w);
	return KM_COMMAND_OK;
}
