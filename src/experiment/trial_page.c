/* SPDX-License-Identifier: Apache-2.0 */
/* Distributions, choices and single plays of a trial, as parts of its page. */
#include "trial_page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- distributions ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

/* p99 of an arm's plays, sorted, and the share of them up to each. returns how many. */
static size_t spread_of(const struct km_trial_result *r, const char *arm, double *p99,
                        double *share)
{
	size_t count = 0;

	for (size_t i = 0; i < r->source->count; i++) {
		const struct km_trial_record *play = &r->source->play[i];

		if (play->episode > 0 && strcmp(play->arm, arm) == 0)
			p99[count++] = play->load.p99_ms;
	}
	qsort(p99, count, sizeof(*p99), by_value);
	for (size_t i = 0; i < count; i++)
		share[i] = 100 * (double)(i + 1) / (double)count;
	return count;
}

void trial_plot_spread(struct km_page *p, const struct km_trial_result *r)
{
	size_t plays = r->source->count;
	double *memory = calloc((size_t)2 * KM_PLAN_ARM_N * plays + 1, sizeof(*memory));
	struct km_plot plot;

	if (memory == NULL) {
		p->out->failed = true;
		return;
	}
	km_plot_init(&plot, "Distribution of p99 by arm", "p99 of a play, ms",
	             "plays up to there, %");
	plot.y_min = 0;
	plot.y_max = 100;
	for (size_t a = 0; a < r->arms; a++) {
		double *p99 = memory + 2 * a * plays;
		size_t count = spread_of(r, r->arm[a].name, p99, p99 + plays);

		(void)km_plot_add(&plot, KM_PLOT_MARKED, r->arm[a].name, p99, p99 + plays, count);
	}
	km_page_plot(p, &plot,
	             "Further left is faster: the share of an arm's plays with a p99 of "
	             "at most so much.");
	free(memory);
}

void trial_put_alone(struct km_page *p, const struct km_trial_result *r)
{
	static const struct km_page_column columns[] = {
		{ "node", false },
		{ "median p99 alone, ms", true },
		{ "plays", true },
	};

	km_page_table_begin(p, "The service without interference", columns, KM_ARRAY_LEN(columns),
	                    false);
	for (size_t n = 0; n < r->nodes; n++) {
		km_page_row(p, false);
		km_page_cell(p, r->node[n], "");
		km_page_number(p, r->alone_ms[n], NAN, NAN, 3);
		km_page_number(p, (double)r->alone_plays[n], NAN, NAN, 0);
	}
	km_page_table_end(p, false);
}

/* ---- choices ---- */

static void put_confusion(struct km_page *p, const struct km_trial_result *r)
{
	struct km_page_column columns[KM_TRIAL_NODES_MAX + 4] = { { "arm", false } };
	size_t count = 1;

	for (size_t n = 0; n < r->nodes && count < 28; n++)
		columns[count++] = (struct km_page_column){ r->node[n], true };
	columns[count++] = (struct km_page_column){ "right", true };
	columns[count++] = (struct km_page_column){ "wrong", true };
	columns[count++] = (struct km_page_column){ "arms agreed", true };
	km_page_table_begin(p, "Replicas by node, and choices against the node with the lower p99",
	                    columns, count, false);
	for (size_t a = 0; a < r->arms; a++) {
		const struct km_trial_arm *arm = &r->arm[a];

		km_page_row(p, a == 0);
		km_page_cell(p, arm->name, "");
		for (size_t n = 0; n + 4 < count; n++)
			km_page_number(p, (double)arm->chosen[n], NAN, NAN, 0);
		km_page_number(p, (double)arm->right, NAN, NAN, 0);
		km_page_number(p, (double)(arm->comparable - arm->right), NAN, NAN, 0);
		km_page_number(p, (double)(arm->plays - arm->comparable), NAN, NAN, 0);
	}
	km_page_table_end(p, false);
}

struct predictions {
	double *predicted, *measured; /* [count] */
	size_t count, cap;
	double most;
};

static bool add_prediction(struct predictions *to, double predicted, double measured)
{
	if (to->count == to->cap) {
		size_t cap = to->cap == 0 ? 64 : 2 * to->cap;
		double *x = reallocarray(to->predicted, cap, sizeof(*x));
		double *y;

		if (x == NULL)
			return false;
		to->predicted = x;
		y = reallocarray(to->measured, cap, sizeof(*y));
		if (y == NULL)
			return false;
		to->measured = y;
		to->cap = cap;
	}
	to->predicted[to->count] = predicted;
	to->measured[to->count++] = measured;
	to->most = fmax(to->most, fmax(predicted, measured));
	return true;
}

/* The node of a play whose replicas are all on it; NULL when they are not. */
static const char *place_of(const struct km_trial_record *play)
{
	for (unsigned k = 1; k < play->replicas; k++) {
		if (play->placed[k] != play->placed[0])
			return NULL;
	}
	return play->node[play->placed[0]].name;
}

/*
 * What was said of every node in one play, against what any arm then measured there in the same
 * episode: nodes that were not taken are judged too, if somebody else took them.
 */
static bool judge_predictions(const struct km_trial_result *r, const struct km_trial_record *said,
                              struct predictions *taken, struct predictions *left)
{
	const char *own = place_of(said);

	for (size_t i = 0; i < r->source->count; i++) {
		const struct km_trial_record *play = &r->source->play[i];
		const char *place = place_of(play);
		double slowdown = play->load.p99_ms / km_trial_alone_ms(r, play);

		if (play->episode != said->episode || play->repeat != said->repeat ||
		    place == NULL || isnan(slowdown))
			continue;
		for (size_t n = 0; n < said->node_count; n++) {
			bool is_own = own != NULL && strcmp(own, place) == 0;

			if (strcmp(said->node[n].name, place) == 0 &&
			    !isnan(said->node[n].slowdown) &&
			    !add_prediction(is_own ? taken : left, said->node[n].slowdown,
			                    slowdown))
				return false;
		}
	}
	return true;
}

static void plot_predictions(struct km_page *p, const struct km_trial_result *r)
{
	struct predictions taken = { .most = 1 };
	struct predictions left = { .most = 1 };
	double ends[2] = { 0, 1 };
	struct km_plot plot;

	for (size_t i = 0; i < r->source->count; i++) {
		const struct km_trial_record *play = &r->source->play[i];

		if (play->episode > 0 && !judge_predictions(r, play, &taken, &left))
			p->out->failed = true;
	}
	ends[1] = fmax(taken.most, left.most);
	if (taken.count + left.count > 0) {
		km_plot_init(&plot, "Predicted and measured slowdown", "predicted slowdown",
		             "measured slowdown");
		plot.x_min = 0;
		plot.y_min = 0;
		(void)km_plot_add(&plot, KM_PLOT_POINTS, "taken", taken.predicted, taken.measured,
		                  taken.count);
		(void)km_plot_add(&plot, KM_PLOT_POINTS, "not taken", left.predicted, left.measured,
		                  left.count);
		(void)km_plot_add(&plot, KM_PLOT_GUIDE, NULL, ends, ends, 2);
		km_page_plot(
			p, &plot,
			"What the model said of a node before the choice, and what an arm then "
			"measured there in the same episode: on the dashed line it was right. "
			"Nodes that kubemarla did not take are judged by arms that did.");
	} else {
		km_page_text(p, "No play has a prediction to compare with what was measured.");
	}
	free(taken.predicted);
	free(taken.measured);
	free(left.predicted);
	free(left.measured);
}

void trial_put_choices(struct km_page *p, const struct km_trial_result *r)
{
	km_page_section(p, "Choices");
	put_confusion(p, r);
	plot_predictions(p, r);
}

/* ---- single plays ---- */

static void list_nodes(const struct km_trial_record *play, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned k = 0; k < play->replicas && len < size; k++)
		len += (size_t)snprintf(out + len, size - len, "%s%.60s", k > 0 ? ", " : "",
		                        play->node[play->placed[k]].name);
}

/* Every node with its interference, and what was seen of it before the choice. */
static void list_seen(const struct km_trial_record *play, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < play->node_count && len < size; i++) {
		const struct km_trial_node *n = &play->node[i];

		len += (size_t)snprintf(out + len, size - len, "%s%.60s:", i > 0 ? "; " : "",
		                        n->name);
		if (n->stress[0] != '\0' && len < size)
			len += (size_t)snprintf(out + len, size - len, " %s %u %%", n->stress,
			                        n->level_pct);
		if (!isnan(n->busy_ratio) && len < size)
			len += (size_t)snprintf(out + len, size - len, " busy %.2f", n->busy_ratio);
		if (!isnan(n->slowdown) && len < size)
			len += (size_t)snprintf(out + len, size - len, " predicted %.2f",
			                        n->slowdown);
		if (!isnan(n->score) && len < size)
			len += (size_t)snprintf(out + len, size - len, " score %g", n->score);
	}
}

static void list_marks(const struct km_trial_record *play, char *out, size_t size)
{
	const struct {
		bool there;
		const char *text;
	} marks[] = {
		{ play->discarded, "played again" },
		{ play->saturated, "busy CPUs" },
		{ play->failed > 0, "no answer" },
		{ play->neutral > 0, "no prediction" },
		{ play->stale > 0, "late counters" },
		{ play->all_filtered > 0, "no node passed" },
		{ play->load.errors > 0, "failed requests" },
		{ fabs(play->served_difference) > KM_TRIAL_SERVED_APART, "counts differ" },
	};
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < KM_ARRAY_LEN(marks) && len < size; i++) {
		if (marks[i].there)
			len += (size_t)snprintf(out + len, size - len, "%s%s", len > 0 ? ", " : "",
			                        marks[i].text);
	}
}

static void put_play(struct km_page *p, const struct km_trial_result *r,
                     const struct km_trial_record *play)
{
	char text[1024];
	char why[512];

	km_page_row(p, false);
	(void)snprintf(text, sizeof(text), "%u / %u", play->repeat, play->order);
	km_page_cell(p, text, "");
	if (play->episode > 0)
		(void)snprintf(text, sizeof(text), "%u", play->episode);
	km_page_cell(p, play->episode > 0 ? text : "-", "");
	km_page_cell(p, play->arm, "");
	list_nodes(play, text, sizeof(text));
	km_page_cell(p, text, "");
	km_page_number(p, play->load.p99_ms, NAN, NAN, 3);
	km_page_number(p, play->load.p99_ms / km_trial_alone_ms(r, play), NAN, NAN, 2);
	km_page_number(p, (double)play->load.requests, NAN, NAN, 0);
	km_page_number(p, play->during.foreign_cpus, NAN, NAN, 2);
	list_seen(play, text, sizeof(text));
	km_page_cell(p, text, "");
	list_marks(play, text, sizeof(text));
	(void)snprintf(why, sizeof(why), "%s%s%s", play->gate,
	               play->gate[0] != '\0' && play->trouble[0] != '\0' ? "; " : "",
	               play->trouble);
	km_page_cell(p, text, why);
}

static void put_table(struct km_page *p, const struct km_trial_result *r, const char *caption,
                      const struct km_trial_record *play, size_t count)
{
	static const struct km_page_column columns[] = {
		{ "repeat / play", true }, { "episode", true },      { "arm", false },
		{ "node", false },         { "p99, ms", true },      { "slowdown", true },
		{ "requests", true },      { "foreign CPUs", true }, { "seen before", false },
		{ "marks", false },
	};

	km_page_table_begin(p, caption, columns, KM_ARRAY_LEN(columns), true);
	for (size_t i = 0; i < count; i++)
		put_play(p, r, &play[i]);
	km_page_table_end(p, true);
}

void trial_put_plays(struct km_page *p, const struct km_trial_result *r)
{
	const struct km_plays *s = r->source;

	km_page_section(p, "Plays");
	put_table(p, r, "Every play that counts", s->play, s->count);
	if (s->gated_count > 0)
		put_table(p, r, "Played again: these do not count", s->gated, s->gated_count);
	else
		km_page_text(p, "Nothing was played again.");
}
