/* SPDX-License-Identifier: Apache-2.0 */
/* From plays to numbers: by arm, and arm against arm in the same episodes. */
#include "km/experiment/trial_result.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_alone(const struct km_trial_record *r)
{
	return r->episode == 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts value. NaN of none. */
static double median(double *value, size_t count)
{
	if (count == 0)
		return NAN;
	qsort(value, count, sizeof(*value), by_value);
	return count % 2 == 1 ? value[count / 2] : (value[count / 2 - 1] + value[count / 2]) / 2;
}

/* The node that all replicas are on; node_count when they are on several. */
static size_t only_node(const struct km_trial_record *r)
{
	for (unsigned k = 1; k < r->replicas; k++) {
		if (r->placed[k] != r->placed[0])
			return r->node_count;
	}
	return r->placed[0];
}

/* ---- nodes and the service alone ---- */

static size_t node_of(struct km_trial_result *r, const char *name)
{
	size_t i = 0;

	while (i < r->nodes && strcmp(r->node[i], name) != 0)
		i++;
	if (i == r->nodes && i < KM_TRIAL_NODES_MAX) {
		(void)snprintf(r->node[i], sizeof(r->node[i]), "%s", name);
		r->nodes++;
	}
	return i < KM_TRIAL_NODES_MAX ? i : KM_TRIAL_NODES_MAX - 1;
}

static void name_nodes(struct km_trial_result *r)
{
	for (size_t i = 0; i < r->source->count; i++) {
		const struct km_trial_record *p = &r->source->play[i];

		for (size_t n = 0; n < p->node_count; n++)
			(void)node_of(r, p->node[n].name);
	}
}

static bool is_alone_on(const struct km_trial_record *p, const char *node)
{
	size_t at = only_node(p);

	return is_alone(p) && at < p->node_count && strcmp(p->node[at].name, node) == 0;
}

/* Gated plays only where there are no others. */
static void alone(struct km_trial_result *r, double *scratch)
{
	for (size_t n = 0; n < r->nodes; n++) {
		size_t count = 0;

		for (int gated = 0; gated < 2 && count == 0; gated++) {
			for (size_t i = 0; i < r->source->count; i++) {
				const struct km_trial_record *p = &r->source->play[i];

				if (is_alone_on(p, r->node[n]) && (gated || p->gate[0] == '\0'))
					scratch[count++] = p->load.p99_ms;
			}
		}
		r->alone_plays[n] = count;
		r->alone_ms[n] = median(scratch, count);
	}
}

double km_trial_alone_ms(const struct km_trial_result *r, const struct km_trial_record *play)
{
	double sum = 0;

	for (unsigned k = 0; k < play->replicas; k++) {
		const char *name = play->node[play->placed[k]].name;
		size_t n = 0;

		while (n < r->nodes && strcmp(r->node[n], name) != 0)
			n++;
		sum += n < r->nodes ? log(r->alone_ms[n]) : (double)NAN;
	}
	return exp(sum / play->replicas);
}

/* ---- episodes ---- */

static bool same_episode(const struct km_trial_record *a, const struct km_trial_record *b)
{
	return a->repeat == b->repeat && a->episode == b->episode;
}

/*
 * The lowest p99 of a node in that episode, where several arms were there their geometric mean;
 * *best is its position in r->node. returns NaN when fewer than two nodes were measured.
 */
static double best_of(const struct km_trial_result *r, const struct km_trial_record *of,
                      size_t *best)
{
	double sum[KM_TRIAL_NODES_MAX] = { 0 };
	unsigned count[KM_TRIAL_NODES_MAX] = { 0 };
	double lowest = INFINITY;
	size_t measured = 0;

	for (size_t i = 0; i < r->source->count; i++) {
		const struct km_trial_record *p = &r->source->play[i];
		size_t at = only_node(p);

		if (is_alone(p) || !same_episode(p, of) || at == p->node_count)
			continue;
		for (size_t n = 0; n < r->nodes; n++) {
			if (strcmp(r->node[n], p->node[at].name) == 0) {
				sum[n] += log(p->load.p99_ms);
				count[n]++;
			}
		}
	}
	for (size_t n = 0; n < r->nodes; n++) {
		if (count[n] == 0)
			continue;
		measured++;
		if (sum[n] / count[n] < lowest) {
			lowest = sum[n] / count[n];
			*best = n;
		}
	}
	return measured >= 2 ? exp(lowest) : (double)NAN;
}

/* ---- one arm ---- */

struct arm_sums {
	double p99, slowdown, regret;
	size_t slowdowns;
};

static void add_choice(struct km_trial_result *r, struct km_trial_arm *a, struct arm_sums *s,
                       const struct km_trial_record *p)
{
	size_t at = only_node(p);
	size_t best = 0;
	double lowest = best_of(r, p, &best);

	for (unsigned k = 0; k < p->replicas; k++) {
		const struct km_trial_node *n = &p->node[p->placed[k]];

		a->chosen[node_of(r, n->name)]++;
		a->replicas++;
		a->on_stressed += n->stress[0] != '\0';
	}
	if (isnan(lowest) || at == p->node_count)
		return;
	a->comparable++;
	a->right += strcmp(p->node[at].name, r->node[best]) == 0;
	s->regret += log(p->load.p99_ms / lowest);
}

static void fill_arm(struct km_trial_result *r, struct km_trial_arm *a, double *scratch)
{
	struct arm_sums s = { 0 };

	for (size_t i = 0; i < r->source->count; i++) {
		const struct km_trial_record *p = &r->source->play[i];
		double slowdown = p->load.p99_ms / km_trial_alone_ms(r, p);

		if (is_alone(p) || strcmp(p->arm, a->name) != 0)
			continue;
		scratch[a->plays++] = p->load.p99_ms;
		s.p99 += p->load.p99_ms;
		if (!isnan(slowdown)) {
			s.slowdown += log(slowdown);
			s.slowdowns++;
		}
		if (!isnan(p->slo_p99_ms)) {
			a->judged++;
			a->violations += p->load.p99_ms > p->slo_p99_ms;
		}
		add_choice(r, a, &s, p);
	}
	a->mean_ms = s.p99 / (double)a->plays;
	a->median_ms = median(scratch, a->plays);
	a->slowdown = s.slowdowns > 0 ? exp(s.slowdown / (double)s.slowdowns) : (double)NAN;
	a->regret = a->comparable > 0 ? exp(s.regret / (double)a->comparable) - 1 : (double)NAN;
}

static bool has_played(const struct km_plays *plays, const char *name)
{
	for (size_t i = 0; i < plays->count; i++) {
		if (!is_alone(&plays->play[i]) && strcmp(plays->play[i].arm, name) == 0)
			return true;
	}
	return false;
}

/* KubeMarla first when it plays: the others are what it is against. */
static void find_arms(struct km_trial_result *r)
{
	for (size_t i = 0; i < KM_PLAN_ARM_N; i++) {
		enum km_plan_arm arm = (enum km_plan_arm)(KM_PLAN_ARM_N - 1 - i);
		struct km_trial_arm *a = &r->arm[r->arms];

		if (!has_played(r->source, km_plan_arm_name(arm)))
			continue;
		(void)snprintf(a->name, sizeof(a->name), "%s", km_plan_arm_name(arm));
		r->arms++;
	}
}

/* ---- arm against arm ---- */

static const struct km_trial_record *partner(const struct km_plays *plays,
                                             const struct km_trial_record *of, const char *arm)
{
	for (size_t i = 0; i < plays->count; i++) {
		const struct km_trial_record *p = &plays->play[i];

		if (same_episode(p, of) && strcmp(p->arm, arm) == 0)
			return p;
	}
	return NULL;
}

/* Nothing speaks against it: no gate, no answer that was none. */
static bool is_clean(const struct km_trial_record *p)
{
	return p->gate[0] == '\0' && p->failed == 0 && p->neutral == 0 && p->stale == 0 &&
	       p->all_filtered == 0 && p->load.errors == 0;
}

static int compare(const struct km_trial_result *r, struct km_trial_versus *v, bool clean,
                   struct km_pair *pair)
{
	size_t count = 0;

	for (size_t i = 0; i < r->source->count; i++) {
		const struct km_trial_record *a = &r->source->play[i];
		const struct km_trial_record *b;

		if (is_alone(a) || strcmp(a->arm, r->arm[0].name) != 0)
			continue;
		b = partner(r->source, a, r->arm[v->arm].name);
		if (b == NULL || (clean && (!is_clean(a) || !is_clean(b))))
			continue;
		pair[count++] = (struct km_pair){ a->repeat, log(a->load.p99_ms / b->load.p99_ms) };
	}
	return km_paired_compare(pair, count, KM_PAIRED_ROUNDS, r->plan_hash,
	                         clean ? &v->clean : &v->all);
}

/* ---- counts ---- */

static void count_marks(struct km_trial_result *r)
{
	const struct km_plays *s = r->source;

	for (size_t i = 0; i < s->count; i++) {
		const struct km_trial_record *p = &s->play[i];
		bool new_repeat = true;
		bool new_episode = !is_alone(p);

		for (size_t k = 0; k < i; k++) {
			new_repeat &= s->play[k].repeat != p->repeat;
			new_episode &= !same_episode(&s->play[k], p);
		}
		r->repeats += new_repeat;
		r->episodes += new_episode;
		r->asked += p->asked;
		r->failed += p->failed;
		r->neutral += p->neutral;
		r->stale += p->stale;
		r->all_filtered += p->all_filtered;
		r->kept += p->gate[0] != '\0';
		r->saturated += p->saturated;
		r->with_errors += p->load.errors > 0;
		r->served_apart += fabs(p->served_difference) > KM_TRIAL_SERVED_APART;
		if (!isnan(p->slo_p99_ms))
			r->slo_p99_ms = p->slo_p99_ms;
	}
	r->plays = s->count;
	r->gated = s->gated_count;
	r->unreadable = s->unreadable;
}

int km_trial_summarise(const struct km_plays *plays, struct km_trial_result *out,
                       struct km_err *err)
{
	double *scratch = calloc(plays->count + 1, sizeof(*scratch));
	struct km_pair *pair = calloc(plays->count + 1, sizeof(*pair));
	int rc = 0;

	*out = (struct km_trial_result){ .source = plays, .slo_p99_ms = NAN };
	if (scratch == NULL || pair == NULL) {
		(void)km_err_set(err, ENOMEM, "out of memory");
		rc = -ENOMEM;
		goto out;
	}
	if (plays->count == 0 && plays->unreadable > 0) {
		rc = km_err_set(err, ENODATA, "not one play that can be read: %.140s",
		                plays->why.text);
	} else if (plays->count == 0) {
		rc = km_err_set(err, ENODATA, "nothing was played yet");
	}
	if (rc == 0) {
		out->plan_hash = plays->play[0].plan_hash;
		name_nodes(out);
		alone(out, scratch);
		find_arms(out);
		count_marks(out);
		for (size_t a = 0; a < out->arms; a++)
			fill_arm(out, &out->arm[a], scratch);
	}
	for (size_t a = 1; rc == 0 && a < out->arms; a++) {
		struct km_trial_versus *v = &out->versus[out->versus_count++];

		v->arm = a;
		rc = compare(out, v, false, pair);
		rc = rc == 0 ? compare(out, v, true, pair) : rc;
		if (rc != 0)
			rc = km_err_set(err, -rc, "%s: cannot be compared", out->arm[a].name);
	}
out:
	free(pair);
	free(scratch);
	return rc;
}

void km_trial_result_fini(struct km_trial_result *r)
{
	r->source = NULL;
}
