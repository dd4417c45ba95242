/* SPDX-License-Identifier: Apache-2.0 */
/* From predictions to a report: which rows go into which figure. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"
#include "km/base/map.h"

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

/* Rows that stand or fall together. */
struct cluster {
	uint32_t campaign, scenario;
};

/* Rows of a selection, each with the number of its cluster: by the first row that is of it. */
static int collect(const struct km_dataset *d, const struct selection *s, struct km_map *clusters,
                   struct cluster *cluster, struct km_scored *scored)
{
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);
	size_t count = 0;

	for (size_t i = 0; i < row_count; i++) {
		size_t at = prediction_at(i, s->layout, s->mask_now);
		struct cluster *own = &cluster[count];
		uint32_t number = (uint32_t)clusters->count;
		int rc;

		if (!selected(s, &row[i], s->margin[at]))
			continue;
		*own = (struct cluster){ row[i].campaign, row[i].scenario };
		rc = km_map_add(clusters, (const char *)own, sizeof(*own), number, &number);
		if (rc != 0 && rc != -EEXIST)
			return rc;
		scored[count++] = (struct km_scored){
			.slowdown = (double)row[i].slowdown,
			.norm_perf = (double)row[i].norm_perf,
			.predicted = exp((double)s->margin[at]),
			.low = s->low != NULL ? exp((double)s->low[at]) : NAN,
			.high = s->high != NULL ? exp((double)s->high[at]) : NAN,
			.decision = decision_of(&row[i]),
			.situation = 2 * row[i].scenario + row[i].remote,
			.cluster = number,
		};
	}
	return 0;
}

int select_rows(const struct km_dataset *d, const struct selection *s, struct km_scored **out,
                size_t *count)
{
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);
	struct cluster *cluster;
	struct km_map clusters;
	int rc = -ENOMEM;

	*count = 0;
	for (size_t i = 0; i < row_count; i++)
		*count += selected(s, &row[i], s->margin[prediction_at(i, s->layout, s->mask_now)]);
	*out = reallocarray(NULL, *count + 1, sizeof(**out));
	cluster = reallocarray(NULL, *count + 1, sizeof(*cluster));
	km_map_init(&clusters, 1);
	if (*out != NULL && cluster != NULL)
		rc = collect(d, s, &clusters, cluster, *out);
	km_map_fini(&clusters);
	free(cluster);
	return rc;
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
		rc = km_scores_compute(rows, count, &out->scores);
	if (rc == 0)
		rounds = affordable_rounds(rounds, &out->scores);
	if (rc == 0 && rounds > 0 && count > 0)
		rc = km_scores_bootstrap(rows, count, rounds, 1, &out->low, &out->high);
	free(rows);
	return rc;
}

/* What the figures are of: a folder may hold empty candidates only, as the laboratory's do. */
static enum km_row_kind main_kind(const struct km_eval_report *r, const struct km_dataset *d)
{
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);
	bool empty = false;

	if (!r->placement)
		return KM_ROW_DIAGNOSIS;
	for (size_t i = 0; i < row_count; i++) {
		if (row[i].score && row[i].kind == KM_ROW_LIGHTER)
			return KM_ROW_LIGHTER;
		empty = empty || (row[i].score && row[i].kind == KM_ROW_EMPTY);
	}
	return empty ? KM_ROW_EMPTY : KM_ROW_LIGHTER;
}

/* What rows are told apart by. */
enum grouping { BY_SCENARIO, BY_CAMPAIGN };

static uint32_t group_of(const struct km_dataset_row *row, enum grouping by)
{
	return by == BY_SCENARIO ? row->scenario : row->campaign;
}

static bool is_selected(const struct selection *s, const struct km_dataset_row *row, size_t i)
{
	return selected(s, &row[i], s->margin[prediction_at(i, s->layout, s->mask_now)]);
}

/* The groups that have a selected row, numbered from 1 on by their first one. */
struct groups {
	uint32_t *number; /* [ids]; 0 = has none */
	size_t *end;      /* [ids + 1], see sort_by_group */
	uint32_t count;
};

static void groups_fini(struct groups *g)
{
	free(g->number);
	free(g->end);
}

static int groups_init(struct groups *g, const struct km_dataset *d, const struct selection *s,
                       enum grouping by)
{
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);
	size_t ids = 0;

	*g = (struct groups){ .count = 0 };
	for (size_t i = 0; i < row_count; i++)
		ids = group_of(&row[i], by) >= ids ? (size_t)group_of(&row[i], by) + 1 : ids;
	g->number = calloc(ids + 1, sizeof(*g->number));
	g->end = calloc(ids + 1, sizeof(*g->end));
	if (g->number == NULL || g->end == NULL) {
		groups_fini(g);
		return -ENOMEM;
	}
	for (size_t i = 0; i < row_count; i++) {
		uint32_t *own = &g->number[group_of(&row[i], by)];

		if (!is_selected(s, row, i))
			continue;
		if (*own == 0)
			*own = ++g->count;
		g->end[*own]++;
	}
	for (uint32_t n = 1; n <= g->count; n++)
		g->end[n] += g->end[n - 1];
	return 0;
}

/*
 * Copies the selected rows, which are in the folder's order, group by group. Each end[i] begins as
 * the start of group i + 1 and grows into its end.
 */
static void sort_by_group(const struct groups *g, const struct km_dataset *d,
                          const struct selection *s, enum grouping by, const struct km_scored *from,
                          struct km_scored *to)
{
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);

	for (size_t i = 0; i < row_count; i++) {
		if (is_selected(s, row, i))
			to[g->end[g->number[group_of(&row[i], by)] - 1]++] = *from++;
	}
}

/* A part for each group, in the order of their first rows. */
static int fill_groups(const struct km_dataset *d, const struct selection *s, enum grouping by,
                       struct km_eval_part **parts, size_t *count)
{
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);
	struct km_scored *rows = NULL;
	struct km_scored *sorted = NULL;
	struct groups g;
	size_t n = 0;
	int rc = groups_init(&g, d, s, by);

	if (rc != 0)
		return rc;
	rc = select_rows(d, s, &rows, &n);
	sorted = reallocarray(NULL, n + 1, sizeof(*sorted));
	*parts = calloc((size_t)g.count + 1, sizeof(**parts));
	if (sorted == NULL || *parts == NULL)
		rc = -ENOMEM;
	if (rc == 0) {
		*count = g.count;
		sort_by_group(&g, d, s, by, rows, sorted);
	}
	for (size_t i = 0; rc == 0 && i < row_count; i++) {
		uint32_t id = group_of(&row[i], by);

		if (g.number[id] > 0 && (*parts)[g.number[id] - 1].name[0] == '\0')
			(void)snprintf((*parts)[g.number[id] - 1].name, sizeof((*parts)->name),
			               "%s", km_dataset_name(d, id));
	}
	for (uint32_t i = 0; rc == 0 && i < g.count; i++) {
		size_t from = i > 0 ? g.end[i - 1] : 0;

		rc = km_scores_compute(sorted + from, g.end[i] - from, &(*parts)[i].scores);
	}
	free(sorted);
	free(rows);
	groups_fini(&g);
	return rc;
}

static int fill_points(struct km_eval_report *r, const struct km_dataset *d,
                       const struct selection *s)
{
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);
	struct groups scenarios; /* numbered as by_scenario has them */
	size_t points = 0;
	int rc = groups_init(&scenarios, d, s, BY_SCENARIO);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < row_count; i++)
		points +=
			row[i].score && !isnan(s->margin[prediction_at(i, s->layout, s->mask_now)]);
	r->point = reallocarray(NULL, points + 1, sizeof(*r->point));
	for (size_t i = 0; r->point != NULL && i < row_count; i++) {
		size_t at = prediction_at(i, s->layout, s->mask_now);
		uint32_t scenario = scenarios.number[row[i].scenario];

		if (!row[i].score || isnan(s->margin[at]))
			continue;
		r->point[r->point_count++] = (struct km_eval_point){
			.measured = row[i].norm_perf,
			.predicted = expf(-s->margin[at]),
			.low = s->high != NULL ? expf(-s->high[at]) : NAN,
			.high = s->low != NULL ? expf(-s->low[at]) : NAN,
			.slowdown = row[i].slowdown,
			.scenario = scenario > 0 ? scenario - 1 : (uint32_t)r->scenario_count,
			.decision = decision_of(&row[i]),
			.situation = 2 * row[i].scenario + row[i].remote,
			.kind = row[i].kind,
			.inflight = (uint8_t)pods_in_flight(&row[i]),
		};
	}
	groups_fini(&scenarios);
	return r->point != NULL ? 0 : -ENOMEM;
}

int report_fill(struct km_eval_report *r, const struct km_dataset *d, const float *margin,
                const float *low, const float *high, uint32_t rounds, struct km_err *err)
{
	struct selection s = {
		.kind = main_kind(r, d),
		.layout = KM_LAYOUT_RECORDED,
		.mask_now = r->mask_now,
		.scenario = ALL,
		.campaign = ALL,
		.margin = margin,
		.low = low,
		.high = high,
	};
	int rc;

	r->kind = s.kind;
	rc = fill_part(d, &s, rounds, &r->metrics);
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
	if (rc == 0 && r->kind == KM_ROW_LIGHTER)
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
		.kind = r->kind,
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
