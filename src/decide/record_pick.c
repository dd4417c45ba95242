/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which nodes of a decision to keep. Few: all. Else, in this order, as long as there is room:
 *
 *   the three best            of ties, those named first
 *   an example of each reason for which a node was filtered out, or judged without a prediction
 *   the worst that passes
 *   the next best             down to the room for them
 *   a second example of each reason
 */
#include <string.h>

#include "record_internal.h"

#define BEST_FIRST        3
#define EXAMPLES          2
#define SCORES            (KM_PLACE_SCALE_MAX + 1)
#define REASON_IS_NEWS(r) ((r) != KM_REASON_FITS)

struct survey {
	uint32_t at_score[SCORES]; /* nodes that pass */
	uint32_t example[KM_REASON_N][EXAMPLES];
	uint32_t examples[KM_REASON_N];
	uint32_t worst; /* position */
};

static uint32_t score_slot(int32_t score)
{
	return score < 0 ? 0 : score < SCORES ? (uint32_t)score : SCORES - 1;
}

static void survey(const struct km_verdict *verdict, size_t count, struct km_recorded *d,
                   struct survey *s)
{
	memset(s, 0, sizeof(*s));
	memset(d->reason, 0, sizeof(d->reason));
	d->asked = (uint32_t)count;
	d->passed = 0;
	d->best = -1;
	d->worst = -1;
	for (size_t i = 0; i < count; i++) {
		const struct km_verdict *v = &verdict[i];
		enum km_reason r = v->reason;

		d->reason[r].judged++;
		if (REASON_IS_NEWS(r) && s->examples[r] < EXAMPLES) {
			s->example[r][s->examples[r]++] = (uint32_t)i;
		}
		if (!v->passes) {
			d->reason[r].rejected++;
			continue;
		}
		d->passed++;
		s->at_score[score_slot(v->score)]++;
		if (d->worst < 0 || v->score < d->worst) {
			d->worst = v->score;
			s->worst = (uint32_t)i;
		}
		if (v->score > d->best) {
			d->best = v->score;
		}
	}
	d->best_count = d->best >= 0 ? s->at_score[score_slot(d->best)] : 0;
}

struct picked {
	uint32_t *pick;
	size_t count;
};

static void take(struct picked *p, uint32_t at)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->pick[i] == at) {
			return;
		}
	}
	if (p->count < KM_RECORD_NODES_MAX) {
		p->pick[p->count++] = at;
	}
}

static void take_examples(struct picked *p, const struct survey *s, uint32_t which)
{
	for (int r = 0; r < KM_REASON_N; r++) {
		if (s->examples[r] > which) {
			take(p, s->example[r][which]);
		}
	}
}

/* The `most` best, in order. returns how many. */
static size_t find_best(const struct km_verdict *verdict, size_t count, const struct survey *s,
                        uint32_t *best, size_t most)
{
	uint32_t before[SCORES]; /* where a score's nodes begin in best[] */
	uint32_t sum = 0;
	uint32_t least = 0;
	uint32_t found = 0;

	for (uint32_t k = SCORES; k-- > 0;) {
		before[k] = sum;
		sum += s->at_score[k];
		least = k;
		if (sum >= most) {
			break;
		}
	}
	if (sum > most) {
		sum = (uint32_t)most;
	}
	for (size_t i = 0; i < count && found < sum; i++) {
		uint32_t k = score_slot(verdict[i].score);

		if (verdict[i].passes && k >= least && before[k] < most) {
			best[before[k]++] = (uint32_t)i;
			found++;
		}
	}
	return found;
}

size_t km_record_pick(const struct km_verdict *verdict, size_t count, struct km_recorded *d,
                      uint32_t *pick)
{
	struct picked p = { .count = 0 };
	uint32_t best[KM_RECORD_NODES_MAX];
	struct survey s;
	size_t found;

	p.pick = pick;
	survey(verdict, count, d, &s);
	found = find_best(verdict, count, &s, best, KM_RECORD_NODES_MAX);
	for (size_t i = 0; i < found && i < BEST_FIRST; i++) {
		take(&p, best[i]);
	}
	take_examples(&p, &s, 0);
	if (d->worst >= 0) {
		take(&p, s.worst);
	}
	for (size_t i = BEST_FIRST; i < found; i++) {
		take(&p, best[i]);
	}
	take_examples(&p, &s, 1);
	/* Few nodes, rejected alike. */
	for (size_t i = 0; count <= KM_RECORD_NODES_MAX && i < count; i++) {
		take(&p, (uint32_t)i);
	}
	return p.count;
}
