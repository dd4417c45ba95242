/* SPDX-License-Identifier: Apache-2.0 */
/* The report for machines: one JSON object. A score that does not exist is null, never 0. */
#include <math.h>

#include "km/wire/json.h"

#include "eval_internal.h"

#define DIGITS 6

static void put_scores(struct km_json *j, const struct km_scores *s)
{
	for (const struct km_score_field *f = km_score_fields; f->json != NULL; f++)
		km_json_put_rounded(j, f->json, s->rows > 0 ? km_score_get(s, f) : NAN, DIGITS);
}

/* {"mae": [low, high], ...}: 90 % intervals by bootstrap. */
static void put_bounds(struct km_json *j, const struct km_eval_part *p)
{
	km_json_key(j, "interval90");
	km_json_begin(j, '{');
	for (const struct km_score_field *f = km_score_fields; f->json != NULL; f++) {
		km_json_key(j, f->json);
		km_json_begin(j, '[');
		km_json_rounded(j, km_score_get(&p->low, f), DIGITS);
		km_json_rounded(j, km_score_get(&p->high, f), DIGITS);
		km_json_end(j, ']');
	}
	km_json_end(j, '}');
}

static void put_part(struct km_json *j, const char *key, const char *name_key,
                     const struct km_eval_part *p)
{
	if (key != NULL)
		km_json_key(j, key);
	km_json_begin(j, '{');
	if (name_key != NULL)
		km_json_put_string(j, name_key, p->name);
	if (p->help[0] != '\0')
		km_json_put_string(j, "help", p->help);
	km_json_put_integer(j, "rows", (long long)p->scores.rows);
	km_json_put_integer(j, "pairs", (long long)p->scores.pairs);
	km_json_put_integer(j, "pairs125", (long long)p->scores.pairs125);
	put_scores(j, &p->scores);
	if (p->low.rows > 0)
		put_bounds(j, p);
	km_json_end(j, '}');
}

static void put_parts(struct km_json *j, const char *key, const char *name_key,
                      const struct km_eval_part *part, size_t count)
{
	km_json_key(j, key);
	km_json_begin(j, '[');
	for (size_t i = 0; i < count; i++) {
		if (part[i].scores.rows > 0)
			put_part(j, NULL, name_key, &part[i]);
	}
	km_json_end(j, ']');
}

static void put_dataset(struct km_json *j, const struct km_eval_report *r)
{
	const struct km_dataset_stats *s = &r->stats;

	km_json_key(j, "dataset");
	km_json_begin(j, '{');
	km_json_put_integer(j, "runs", (long long)s->runs);
	km_json_put_integer(j, "traces", (long long)s->traces);
	km_json_put_integer(j, "rows", (long long)r->rows);
	km_json_put_integer(j, "withoutTrace", (long long)s->no_trace);
	km_json_put_integer(j, "withoutLabel", (long long)s->no_label);
	km_json_put_integer(j, "withoutRun", (long long)s->no_run);
	if (s->first_bad[0] != '\0')
		km_json_put_string(j, "firstUnused", s->first_bad);
	km_json_end(j, '}');
}

void km_eval_report_json(const struct km_eval_report *r, struct km_buf *out)
{
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	km_json_put_string(&j, "model", r->model);
	km_json_put_string(&j, "task", r->placement ? "placement" : "diagnosis");
	km_json_put_string(&j, "protocol", km_protocol_name(r->protocol));
	km_json_put_bool(&j, "inSample", r->in_sample);
	km_json_put_bool(&j, "nowKnown", !r->mask_now);
	km_json_put_integer(&j, "rows", (long long)r->metrics.scores.rows);
	km_json_put_string(&j, "kind", km_row_kind_name(r->kind));
	put_part(&j, "metrics", NULL, &r->metrics);
	if (r->placement)
		put_part(&j, "empty", NULL, r->kind == KM_ROW_EMPTY ? &r->metrics : &r->empty);
	if (r->placement)
		put_parts(&j, "inflight", "pods", r->inflight, KM_ARRAY_LEN(r->inflight));
	put_parts(&j, "byScenario", "scenario", r->by_scenario, r->scenario_count);
	put_parts(&j, "byCampaign", "campaign", r->by_campaign, r->campaign_count);
	put_parts(&j, "byLayout", "layout", r->by_layout, KM_LAYOUT_N);
	km_json_put_string(&j, "baselineProtocol", r->baseline_protocol);
	put_parts(&j, "baselines", "baseline", r->baseline, r->baseline_count);
	km_json_key(&j, "gain");
	km_json_begin(&j, '[');
	for (size_t i = 0; i < r->gain_count; i++) {
		km_json_begin(&j, '{');
		km_json_put_string(&j, "feature", r->gain[i].feature);
		km_json_put_rounded(&j, "share", r->gain[i].share, DIGITS);
		km_json_end(&j, '}');
	}
	km_json_end(&j, ']');
	put_dataset(&j, r);
	km_json_put_rounded(&j, "seconds", r->seconds, 3);
	km_json_end(&j, '}');
	km_buf_char(out, '\n');
}
