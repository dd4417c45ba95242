/* SPDX-License-Identifier: Apache-2.0 */
/* When to move which pod. No clock, no I/O; memory grows with the pods that are to be moved. */
#include "rebalance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_NS   INT64_C(3600000000000)
#define TIMES_MAX 1000 /* the largest budget */
#define LOOKS     2    /* a window has to be looked at so often at least */
#define REALISED  0.5  /* of what was predicted */

struct gain {
	uint64_t pod;
	int64_t since_ns;
	bool told; /* in a dry run */
	bool seen; /* in this look */
};

struct rebalance {
	struct gain *gain; /* [count] */
	size_t count, cap;
	int64_t looked_ns; /* 0 = never */

	int64_t time[TIMES_MAX]; /* of the last moves: a ring */
	size_t times, next;
	int64_t last_ns; /* 0 = none */
	bool settling;

	int64_t refused_ns; /* not before */
	int64_t refused_wait_ns;

	bool to_judge; /* the last move */
	double level_before, expected;
	uint32_t failures;
};

static const char *const why_names[REBALANCE_WHY_N] = {
	[REBALANCE_MOVE] = "Move",         [REBALANCE_NO_GAIN] = "NoGain",
	[REBALANCE_WINDOW] = "Window",     [REBALANCE_SETTLING] = "Settling",
	[REBALANCE_COOLDOWN] = "Cooldown", [REBALANCE_BUDGET] = "Budget",
	[REBALANCE_REFUSED] = "Refused",   [REBALANCE_FRUITLESS] = "Fruitless",
};

const char *rebalance_why_name(enum rebalance_why w)
{
	return why_names[w];
}

struct rebalance *rebalance_create(void)
{
	return calloc(1, sizeof(struct rebalance));
}

void rebalance_free(struct rebalance *r)
{
	if (r != NULL)
		free(r->gain);
	free(r);
}

void rebalance_changed(struct rebalance *r)
{
	r->count = 0;
	r->failures = 0;
	r->to_judge = false;
}

static void note_time(struct rebalance *r, int64_t ns)
{
	r->time[r->next] = ns;
	r->next = (r->next + 1) % TIMES_MAX;
	r->times += r->times < TIMES_MAX;
	r->last_ns = ns;
}

void rebalance_restore(struct rebalance *r, int64_t last_ns, uint32_t count)
{
	for (uint32_t i = 0; i < count && i < TIMES_MAX; i++)
		note_time(r, last_ns);
	r->last_ns = last_ns;
}

uint32_t rebalance_in_last_hour(const struct rebalance *r, int64_t now_ns)
{
	uint32_t count = 0;

	for (size_t i = 0; i < r->times; i++)
		count += now_ns - r->time[i] < HOUR_NS;
	return count;
}

/* ---- for how long there is something to be gained ---- */

static double gain_of(const struct rebalance_candidate *c)
{
	if (!(c->here > 0) || !(c->there > 0) || !isfinite(c->here) || !isfinite(c->there))
		return 0;
	return 1 - c->there / c->here;
}

static struct gain *find(struct rebalance *r, uint64_t pod)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->gain[i].pod == pod)
			return &r->gain[i];
	}
	return NULL;
}

/* NULL: out of memory; then it is looked at again next time. */
static struct gain *add(struct rebalance *r, uint64_t pod, int64_t now_ns)
{
	if (r->count == r->cap) {
		size_t cap = r->cap > 0 ? r->cap * 2 : 16;
		struct gain *grown = reallocarray(r->gain, cap, sizeof(*grown));

		if (grown == NULL)
			return NULL;
		r->gain = grown;
		r->cap = cap;
	}
	r->gain[r->count] = (struct gain){ .pod = pod, .since_ns = now_ns };
	return &r->gain[r->count++];
}

static void follow(struct rebalance *r, const struct rebalance_rules *rules,
                   const struct rebalance_look *look)
{
	size_t kept = 0;

	/* What was not looked at was perhaps not so. */
	if (r->looked_ns != 0 && look->now_ns - r->looked_ns > rules->window_ns / LOOKS)
		r->count = 0;
	r->looked_ns = look->now_ns;
	for (size_t i = 0; i < r->count; i++)
		r->gain[i].seen = false;
	for (size_t i = 0; i < look->count; i++) {
		const struct rebalance_candidate *c = &look->candidate[i];
		struct gain *g;

		if (!(gain_of(c) >= rules->min_gain_ratio))
			continue;
		g = find(r, c->pod);
		if (g == NULL)
			g = add(r, c->pod, look->now_ns);
		if (g != NULL)
			g->seen = true;
	}
	for (size_t i = 0; i < r->count; i++) {
		if (r->gain[i].seen)
			r->gain[kept++] = r->gain[i];
	}
	r->count = kept;
	if (kept == 0)
		r->failures = 0; /* there is nothing wrong any more */
}

/* Did the last move bring what was predicted? Once, when its time has come. */
static void judge(struct rebalance *r, const struct rebalance_look *look)
{
	if (!r->to_judge)
		return;
	r->to_judge = false;
	if (r->level_before - look->level >= REALISED * r->expected)
		r->failures = 0;
	else
		r->failures++; /* also when nobody knows */
}

static int64_t cooldown_ns(const struct rebalance *r, const struct rebalance_rules *rules)
{
	return rules->cooldown_ns << (r->failures < REBALANCE_FAILURES_MAX
	                                      ? r->failures
	                                      : REBALANCE_FAILURES_MAX);
}

/* The best of those that have been so for a window; count when there is none. */
static size_t best(struct rebalance *r, const struct rebalance_rules *rules,
                   const struct rebalance_look *look)
{
	size_t found = look->count;

	for (size_t i = 0; i < look->count; i++) {
		const struct rebalance_candidate *c = &look->candidate[i];
		const struct gain *g = find(r, c->pod);

		if (g == NULL || look->now_ns - g->since_ns < rules->window_ns ||
		    c->running_ns < rules->window_ns || (rules->dry_run && g->told))
			continue;
		if (found == look->count || gain_of(c) > gain_of(&look->candidate[found]))
			found = i;
	}
	return found;
}

enum rebalance_why rebalance_choose(struct rebalance *r, const struct rebalance_rules *rules,
                                    const struct rebalance_look *look, size_t *chosen, double *gain)
{
	follow(r, rules, look);
	if (r->settling && !look->settled && look->now_ns - r->last_ns < REBALANCE_SETTLE_NS)
		return REBALANCE_SETTLING;
	r->settling = false;
	if (r->last_ns != 0 && look->now_ns - r->last_ns < rules->cooldown_ns)
		return REBALANCE_COOLDOWN;
	judge(r, look);
	if (r->count == 0)
		return REBALANCE_NO_GAIN;
	if (r->failures >= REBALANCE_FAILURES_MAX)
		return REBALANCE_FRUITLESS;
	if (r->last_ns != 0 && look->now_ns - r->last_ns < cooldown_ns(r, rules))
		return REBALANCE_COOLDOWN;
	if (rebalance_in_last_hour(r, look->now_ns) >= rules->per_hour)
		return REBALANCE_BUDGET;
	if (look->now_ns < r->refused_ns)
		return REBALANCE_REFUSED;
	*chosen = best(r, rules, look);
	if (*chosen == look->count)
		return REBALANCE_WINDOW;
	*gain = gain_of(&look->candidate[*chosen]);
	return REBALANCE_MOVE;
}

void rebalance_moved(struct rebalance *r, const struct rebalance_rules *rules,
                     const struct rebalance_look *look, size_t chosen)
{
	const struct rebalance_candidate *c = &look->candidate[chosen];
	struct gain *g = find(r, c->pod);

	note_time(r, look->now_ns);
	r->refused_wait_ns = 0;
	if (rules->dry_run) {
		if (g != NULL)
			g->told = true;
		return;
	}
	r->settling = true;
	r->to_judge = true;
	r->level_before = look->level;
	r->expected = log(c->here / c->there) / (look->pods > 0 ? look->pods : 1);
}

void rebalance_refused(struct rebalance *r, int64_t now_ns)
{
	r->refused_wait_ns = r->refused_wait_ns > 0 ? r->refused_wait_ns * 2 : REBALANCE_REFUSED_NS;
	if (r->refused_wait_ns > REBALANCE_REFUSED_MAX)
		r->refused_wait_ns = REBALANCE_REFUSED_MAX;
	r->refused_ns = now_ns + r->refused_wait_ns;
}
