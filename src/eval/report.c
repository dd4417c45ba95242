/* SPDX-License-Identifier: Apache-2.0 */
/* From predictions to a report: which rows go into which figure. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"

#include "eval_internal.h"

#define ALL                    UINT32_MAX
#define BOOTSTRAP_VISITS_MAX   4e9 /* half a minute */
#define BOOTSTRAP_ROUNDS_LEAST 50

static unsigned pods_in_flight(const struct km_dataset_row *row)
{
	return (unsigned)row->inflight[0] + row->inflight[1] + row->inflight[2];
}

static bool selected(const struct selection *s, const struct km_dataset_row *row, float margin)
{
	return row->score && row->kind == s->kind && !isnan(margin) &&
	       (s->scenario == ALL || row->scenario == s->scenario) &&
	       (s->campaign == ALL || row->campaign == s->campaign) &&
	       (row->kind != KM_ROW_INFLIGHT || pods_in_flight(row) == s->inflight);
}

/*
 * Rows of one decision differ only in what interferes: the same campaign, load and replicas, before
 * and after. A hash stands for all that; a collision would cost one wrong pair.
 */
static uint32_t decision_of(const struct km_dataset_row *row)
{
	const struct {
		uint32_t campaign, kind;
		float rps, replicas, rps_now, replicas_now;
	} key = {
		row->campaign, row->kind, row->rps, row->replicas, row->rps_now, row->replicas_now
	};

	return (uint32_t)km_hash64(&key, sizeof(key), 1);
}

int select_rows(const struct km_dataset *d, const struct selection *s, struct km_scored **out,
                size_t *count)
{
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);
	struct km_scored *scored = reallocarray(NULL, row_count + 1, sizeof(*scored));
	uint32_t scenarios = 1;

	*count = 0;
	*out = scored;
	if (scored == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < row_count; i++)
		scenarios = row[i].scenario >= scenarios ? row[i].scenario + 1 : scenarios;
	for (size_t i = 0; i < row_count; i++) {
		size_t at = prediction_at(i, s->layout, s->mask_now);

		if (!selected(s, &row[i], s->margin[at]))
			continue;
		scored[(*count)++] = (struct km_scored){
			.slowdown = (double)row[i].slowdown,
			.norm_perf = (double)row[i].norm_perf,
			.predicted = exp((double)s->margin[at]),
			.low = s->low != NULL ? exp((double)s->low[at]) : NAN,
			.high = s->high != NULL ? exp((double)s->high[at]) : NAN,
			.decision = decision_of(&row[i]),
			.situation = 2 * row[i].scenario + row[i].remote,
			.cluster = row[i].campaign * scenarios + row[i].scenario,
		};
	}
	return 0;
}

/* The clusters' numbers are sparse: close the gaps, so that a bootstrap draws among real ones. */
static int number_clusters(struct km_scored *rows, size_t count)
{
	uint32_t most = 0;
	uint32_t next = 1;
	uint32_t *number;

	for (size_t i = 0; i < count; i++)
		most = rows[i].cluster > most ? rows[i].cluster : most;
	number = calloc((size_t)most + 1, sizeof(*number));
	if (number == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (number[rows[i].cluster] == 0)
			number[rows[i].cluster] = next++;
		rows[i].cluster = number[rows[i].cluster] - 1;
	}
	free(number);
	return 0;
}

/* Each round visits all rows and pairs again: fewer of them for very many, then none at all. */
static uint32_t affordable_rounds(uint32_t wanted, const struct km_scores *s)
{
	double most = BOOTSTRAP_VISITS_MAX / (double)(s->rows + s->pairs + 1);

	if (most >= wanted)
		return wanted;
	return most >= BOOTSTRAP_ROUNDS_LEAST ? (uint32_t)most : 0;
}

static int fill_part(const struct km_dataset *d, const struct selection *s, uint32_t rounds,
                     struct km_eval_part *out)
{
	struct km_scored *rows = NULL;
	size_t count = 0;
	int rc = select_rows(d, s, &rows, &count);

	if (rc == 0)
		rc = number_clusters(rows, count);
	if (rc == 0)
		rc = km_scores_compute(rows, count, &out->scores);
	if (rc == 0)
		rounds = affordable_rounds(rounds, &out->scores);
	if (rc == 0 && rounds > 0 && count > 0)
		rc = km_scores_bootstrap(rows, count, rounds, 1, &out->low, &out->high);
	free(rows);
	return rc;
}

static enum km_row_kind main_kind(const struct km_eval_report *r)
{
	return r->placement ? KM_ROW_LIGHTER : KM_ROW_DIAGNOSIS;
}

/* What rows are told apart by. */
enum grouping { BY_SCENARIO, BY_CAMPAIGN };

/* A part for each group that has a selected row, in the order of the first. */
static int fill_groups(const struct km_dataset *d, const struct selection *base, enum grouping by,
                       struct km_eval_part **parts, size_t *count)
{
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);
	size_t cap = 0;

	for (size_t i = 0; i < row_count; i++) {
		uint32_t id = by == BY_SCENARIO ? row[i].scenario : row[i].campaign;
		const char *name = km_dataset_name(d, id);
		struct selection s = *base;
		struct km_eval_part *part;
		size_t at = 0;

		*(by == BY_SCENARIO ? &s.scenario : &s.campaign) = id;
		if (!selected(&s, &row[i], s.margin[prediction_at(i, s.layout, s.mask_now)]))
			continue;
		while (at < *count && strcmp((*parts)[at].name, name) != 0)
			at++;
		if (at < *count)
			continue;
		if (at == cap) {
			part = reallocarray(*parts, 2 * cap + 32, sizeof(*part));
			if (part == NULL)
				return -ENOMEM;
			*parts = part;
			cap = 2 * cap + 32;
		}
		part = &(*parts)[(*count)++];
		memset(part, 0, sizeof(*part));
		(void)snprintf(part->name, sizeof(part->name), "%s", name);
		if (fill_part(d, &s, 0, part) != 0)
			return -ENOMEM;
	}
	return 0;
}

static int fill_points(struct km_eval_report *r, const struct km_dataset *d,
                       const struct selection *s)
{
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);

	r->point = reallocarray(NULL, row_count + 1, sizeof(*r->point));
	if (r->point == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < row_count; i++) {
		size_t at = prediction_at(i, s->layout, s->mask_now);
		struct km_eval_point *p = &r->point[r->point_count];

		if (!row[i].score || isnan(s->margin[at]))
			continue;
		*p = (struct km_eval_point){
			.measured = row[i].norm_perf,
			.predicted = expf(-s->margin[at]),
			.low = s->high != NULL ? expf(-s->high[at]) : NAN,
			.high = s->low != NULL ? expf(-s->low[at]) : NAN,
			.slowdown = row[i].slowdown,
			.decision = decision_of(&row[i]),
			.situation = 2 * row[i].scenario + row[i].remote,
			.kind = row[i].kind,
			.inflight = (uint8_t)pods_in_flight(&row[i]),
		};
		while (p->scenario < r->scenario_count &&
		       strcmp(r->by_scenario[p->scenario].name,
		              km_dataset_name(d, row[i].scenario)) != 0)
			p->scenario++;
		r->point_count++;
	}
	return 0;
}

int report_fill(struct km_eval_report *r, const struct km_dataset *d, const float *margin,
                const float *low, const float *high, uint32_t rounds, struct km_err *err)
{
	struct selection s = {
		.kind = main_kind(r),
		.layout = KM_LAYOUT_RECORDED,
		.mask_now = r->mask_now,
		.scenario = ALL,
		.campaign = ALL,
		.margin = margin,
		.low = low,
		.high = high,
	};
	int rc = fill_part(d, &s, rounds, &r->metrics);

	if (rc == 0)
		rc = fill_groups(d, &s, BY_SCENARIO, &r->by_scenario, &r->scenario_count);
	if (rc == 0)
		rc = fill_groups(d, &s, BY_CAMPAIGN, &r->by_campaign, &r->campaign_count);
	if (rc == 0)
		rc = fill_points(r, d, &s);
	for (int l = 0; rc == 0 && l < KM_LAYOUT_N; l++) {
		s.layout = (enum km_layout_kind)l;
		(void)snprintf(r->by_layout[l].name, sizeof(r->by_layout[l].name), "%s",
		               km_layout_kind_name(s.layout));
		rc = fill_part(d, &s, 0, &r->by_layout[l]);
	}
	s.layout = KM_LAYOUT_RECORDED;
	s.kind = KM_ROW_EMPTY;
	if (rc == 0 && r->placement)
		rc = fill_part(d, &s, rounds, &r->empty);
	s.kind = KM_ROW_INFLIGHT;
	for (unsigned i = 0; rc == 0 && r->placement && i < KM_ARRAY_LEN(r->inflight); i++) {
		s.inflight = i + 1;
		(void)snprintf(r->inflight[i].name, sizeof(r->inflight[i].name), "%u", i + 1);
		rc = fill_part(d, &s, rounds, &r->inflight[i]);
	}
	return rc == 0 ? 0 : km_err_set(err, ENOMEM, "report: out of memory");
}

int report_add_baseline(struct km_eval_report *r, const struct km_dataset *d,
                        const struct subject *subject, const float *margin, struct km_err *err)
{
	struct selection s = {
		.kind = main_kind(r),
		.layout = KM_LAYOUT_RECORDED,
		.mask_now = r->mask_now,
		.scenario = ALL,
		.campaign = ALL,
		.margin = margin,
	};
	struct km_eval_part *part = &r->baseline[r->baseline_count];

	memset(part, 0, sizeof(*part));
	(void)snprintf(part->name, sizeof(part->name), "%s", subject->name);
	(void)snprintf(part->help, sizeof(part->help), "%s", subject->help);
	if (fill_part(d, &s, 0, part) != 0)
		return km_err_set(err, ENOMEM, "report: out of memory");
	r->baseline_count++;
	return 0;
}

void km_eval_report_fini(struct km_eval_report *r)
{
	free(r->by_scenario);
	free(r->by_campaign);
	free(r->gain);
	free(r->point);
	memset(r, 0, sizeof(*r));
}
