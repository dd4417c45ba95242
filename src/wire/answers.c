/* SPDX-License-Identifier: Apache-2.0 */
/* Our own answers. Predictions are rounded to 6 digits and ages to 4: more is noise. */
#include "km/wire/answers.h"

#include <math.h>
#include <stdio.h>

#include "km/core/words.h"

#include "answers_internal.h"

#define PREDICTION_DIGITS 6
#define AGE_DIGITS        4
#define READING_DIGITS    6

static void put_model(struct km_json *j, const struct km_answer_model *model)
{
	km_json_key(j, "model");
	if (!model || !model->name) {
		km_json_string(j, NULL);
		return;
	}
	km_json_begin(j, '{');
	km_json_put_string(j, "name", model->name);
	km_json_key(j, "hash");
	km_json_hash(j, model->hash);
	km_json_end(j, '}');
}

void km_wire_put_pod(struct km_json *j, struct km_name ns, struct km_name name, struct km_name uid)
{
	km_json_key(j, "pod");
	km_json_begin(j, '{');
	km_json_put_name(j, "namespace", ns);
	km_json_put_name(j, "name", name);
	km_json_put_name(j, "uid", uid);
	km_json_end(j, '}');
}

void km_wire_put_workload(struct km_json *j, const struct km_workload *w)
{
	km_json_key(j, "workload");
	km_json_begin(j, '{');
	km_json_put_number(j, "rps", w->rps);
	km_json_put_number(j, "replicas", w->replicas);
	km_json_put_number(j, "maxSlowdown", w->max_slowdown);
	km_json_put_string(j, "mode", km_mode_name(w->mode));
	km_json_put_string(j, "onStale", km_on_stale_name(w->on_stale));
	km_json_put_string(j, "class", w->class_name);
	km_json_end(j, '}');
}

static void put_interval(struct km_json *j, const struct km_answer_node *node)
{
	km_json_put_rounded(j, "low", node->low, PREDICTION_DIGITS);
	km_json_put_rounded(j, "high", node->high, PREDICTION_DIGITS);
}

/* How far the model is out of its depth: null where it was not asked. */
static void put_range(struct km_json *j, const struct km_answer_node *node)
{
	bool asked = isfinite(node->slowdown);

	km_json_put_number(j, "featuresOutsideTraining", asked ? (double)node->outside : NAN);
	km_json_put_number(j, "featuresMissing", asked ? (double)node->missing : NAN);
}

void km_wire_put_data(struct km_json *j, const struct km_answer_node *node)
{
	km_json_put_string(j, "tier", km_tier_name(node->tier));
	km_json_put_rounded(j, "ageSeconds", node->age_s, AGE_DIGITS);
}

/* "contention": {"cause":"neighbour","message":"..."}, null when nothing is known. */
static void put_contention(struct km_json *j, const struct km_triage *t)
{
	struct km_buf text;

	if (t == NULL || t->cause == KM_TRIAGE_UNKNOWN) {
		km_json_put_string(j, "contention", NULL);
		return;
	}
	km_json_key(j, "contention");
	km_buf_init(&text);
	km_triage_text(t, &text);
	km_json_begin(j, '{');
	km_json_put_string(j, "cause", km_triage_name(t->cause));
	km_json_put_string(j, "message", km_buf_cstr(&text));
	km_json_end(j, '}');
	if (!km_buf_ok(&text))
		j->out->failed = true;
	km_buf_fini(&text);
}

void km_wire_put_verdict(struct km_json *j, const struct km_answer_verdict *verdict)
{
	km_json_put_integer(j, "score", verdict->score);
	km_json_put_bool(j, "passes", verdict->passes);
	km_json_put_string(j, "reason", verdict->code);
	km_json_put_string(j, "message", verdict->text);
}

static void put_features(struct km_json *j, const struct km_schema *schema, const double *row)
{
	km_json_key(j, "features");
	km_json_begin(j, '{');
	for (uint32_t i = 0; schema && row && i < schema->count; i++) {
		/* What a decision brings along is not measured and belongs to no node. */
		if (schema->feature[i].scope < KM_SCOPE_POD)
			km_json_put_number(j, schema->feature[i].name, row[i]);
	}
	km_json_end(j, '}');
}

void km_answer_predict_begin(struct km_json *j, const struct km_answer_model *model,
                             const struct km_workload *w)
{
	km_json_begin(j, '{');
	put_model(j, model);
	km_wire_put_workload(j, w);
	km_json_key(j, "predictions");
	km_json_begin(j, '[');
}

void km_answer_predict_node(struct km_json *j, const struct km_answer_node *node)
{
	km_json_begin(j, '{');
	km_json_put_name(j, "node", node->name);
	km_json_put_rounded(j, "slowdown", node->slowdown, PREDICTION_DIGITS);
	put_interval(j, node);
	km_json_put_rounded(j, "normalizedPerformance", 1.0 / node->slowdown, PREDICTION_DIGITS);
	km_wire_put_data(j, node);
	put_range(j, node);
	km_json_end(j, '}');
}

void km_answer_nodes_begin(struct km_json *j, const struct km_answer_model *model,
                           const struct km_workload *w)
{
	km_json_begin(j, '{');
	put_model(j, model);
	km_wire_put_workload(j, w);
	km_json_key(j, "nodes");
	km_json_begin(j, '[');
}

void km_answer_nodes_node(struct km_json *j, const struct km_answer_node *node,
                          const struct km_answer_verdict *verdict, const struct km_schema *schema,
                          const double *row)
{
	km_json_begin(j, '{');
	km_json_put_name(j, "name", node->name);
	km_wire_put_data(j, node);
	km_json_put_rounded(j, "predictedSlowdown", node->slowdown, PREDICTION_DIGITS);
	put_interval(j, node);
	put_range(j, node);
	km_wire_put_verdict(j, verdict);
	put_contention(j, node->triage);
	put_features(j, schema, row);
	km_json_end(j, '}');
}

void km_wire_put_policy(struct km_json *j, struct km_name policy)
{
	km_json_key(j, "policy");
	if (policy.len > 0)
		km_json_name(j, policy);
	else
		km_json_string(j, NULL);
}

static void put_harm(struct km_json *j, const struct km_answer_harm *h, int digits)
{
	km_json_key(j, "harm");
	if (h->pods == 0) {
		km_json_string(j, NULL);
		return;
	}
	km_json_begin(j, '{');
	km_json_put_integer(j, "pods", h->pods);
	km_json_put_rounded(j, "worstSlowdown", h->worst, digits);
	km_json_put_rounded(j, "worstTolerates", h->limit, digits);
	if (h->worst_of) {
		km_json_put_string(j, "worstOf", h->worst_of);
		km_json_put_rounded(j, "meanSlowdown", h->mean, digits);
	}
	km_json_end(j, '}');
}

void km_wire_put_company(struct km_json *j, const struct km_answer_node *node, int digits)
{
	km_json_put_rounded(j, "scoredSlowdown", node->scored, digits);
	km_json_put_rounded(j, "inFlight", node->in_flight, digits);
	put_harm(j, &node->harm, digits);
}

static void put_in_flight(struct km_json *j, const struct km_answer_in_flight *n)
{
	km_json_key(j, "inFlightBy");
	km_json_begin(j, '{');
	km_json_put_rounded(j, "service", n->service, AGE_DIGITS);
	km_json_put_rounded(j, "model", n->model, AGE_DIGITS);
	km_json_put_rounded(j, "footprint", n->footprint, AGE_DIGITS);
	km_json_put_rounded(j, "effects", n->effects, AGE_DIGITS);
	km_json_put_rounded(j, "unknown", n->unknown, AGE_DIGITS);
	km_json_end(j, '}');
}

static void put_vote(struct km_json *j, const struct km_answer_question *q)
{
	const struct km_vote *v = q->vote;

	km_json_key(j, "vote");
	km_json_begin(j, '{');
	km_json_put_number(j, "weight", v->weight);
	km_json_put_bool(j, "weightAssumed", !q->weight_given);
	km_json_put_number(j, "pointsPerScore", v->points_per_score);
	km_json_put_number(j, "points", v->points);
	km_json_put_number(j, "inTreePoints", v->in_tree_points);
	km_json_put_rounded(j, "share", v->share, AGE_DIGITS);
	km_json_end(j, '}');
}

void km_answer_explain_begin(struct km_json *j, const struct km_answer_question *q,
                             const struct km_answer_model *model)
{
	km_json_begin(j, '{');
	km_wire_put_pod(j, q->pod_namespace, q->pod_name, q->pod_uid);
	km_json_put_number(j, "decision", q->decision > 0 ? (double)q->decision : NAN);
	put_model(j, model);
	km_wire_put_workload(j, q->workload);
	km_wire_put_policy(j, q->policy);
	km_json_put_integer(j, "scoreScale", q->scale);
	km_json_put_number(j, "risk", q->risk);
	put_vote(j, q);
	km_json_put_integer(j, "explained", (long long)q->explained);
	km_json_put_bool(j, "cut", q->cut);
	km_json_key(j, "nodes");
	km_json_begin(j, '[');
}

static void put_contribution(struct km_json *j, struct km_buf *text,
                             const struct km_answer_contribution *c)
{
	km_buf_clear(text);
	km_feature_words(c->feature, text);
	km_buf_char(text, ' ');
	km_answer_human(text, c->feature, c->value);
	km_buf_printf(text, ": %+.2f slowdown", c->slowdown);
	km_json_begin(j, '{');
	km_json_put_string(j, "feature", c->feature);
	km_json_put_rounded(j, "value", c->value, PREDICTION_DIGITS);
	km_json_put_rounded(j, "slowdown", c->slowdown, PREDICTION_DIGITS);
	km_json_put_rounded(j, "logSlowdown", c->log_slowdown, PREDICTION_DIGITS);
	km_json_put_string(j, "text", km_buf_cstr(text));
	km_json_end(j, '}');
}

void km_answer_explain_node(struct km_json *j, const struct km_answer_node *node,
                            const struct km_answer_verdict *verdict,
                            const struct km_answer_explanation *why)
{
	struct km_buf text;

	km_buf_init(&text);
	km_json_begin(j, '{');
	km_json_put_name(j, "node", node->name);
	km_wire_put_data(j, node);
	km_json_put_rounded(j, "slowdown", node->slowdown, PREDICTION_DIGITS);
	put_interval(j, node);
	km_wire_put_verdict(j, verdict);
	km_wire_put_company(j, node, PREDICTION_DIGITS);
	put_in_flight(j, &node->by);
	km_json_put_string(j, "data", node->state);
	put_contention(j, node->triage);
	put_range(j, node);
	km_json_put_rounded(j, "typicalSlowdown", why->typical, PREDICTION_DIGITS);
	km_json_key(j, "contributions");
	km_json_begin(j, '[');
	for (size_t i = 0; i < why->count; i++)
		put_contribution(j, &text, &why->share[i]);
	km_json_end(j, ']');
	km_json_put_rounded(j, "otherContributions", why->others, PREDICTION_DIGITS);
	km_json_end(j, '}');
	if (!km_buf_ok(&text))
		j->out->failed = true;
	km_buf_fini(&text);
}

void km_answer_features_begin(struct km_json *j, const struct km_schema *schema,
                              const struct km_answer_source *source, size_t count)
{
	km_json_begin(j, '{');
	km_json_put_number(j, "windowSeconds", schema ? schema->window_s : NAN);
	km_json_put_number(j, "binSeconds", schema ? schema->bin_s : NAN);
	km_json_key(j, "sources");
	km_json_begin(j, '[');
	for (size_t i = 0; i < count; i++) {
		km_json_begin(j, '{');
		km_json_put_string(j, "source", source[i].name);
		km_json_put_string(j, "state", source[i].state);
		km_json_put_string(j, "detail", source[i].detail);
		km_json_end(j, '}');
	}
	km_json_end(j, ']');
	km_json_key(j, "nodes");
	km_json_begin(j, '[');
}

/* Metrics that were measured; the rest is not there. */
static void put_reading(struct km_json *j, const char *key, uint32_t cpus, const double *reading)
{
	km_json_key(j, key);
	km_json_begin(j, '{');
	km_json_put_integer(j, "cpus", cpus);
	for (unsigned m = 0; m < KM_METRIC_N; m++) {
		if (isfinite(reading[m]))
			km_json_put_rounded(j, km_metric_info((enum km_metric)m)->name, reading[m],
			                    READING_DIGITS);
	}
	km_json_end(j, '}');
}

static void put_readings(struct km_json *j, const struct km_answer_measured *m)
{
	km_json_key(j, "readings");
	if (!m->node_reading || !m->host_reading) {
		km_json_string(j, NULL);
		return;
	}
	km_json_begin(j, '{');
	put_reading(j, "node", m->node_cpus, m->node_reading);
	put_reading(j, "host", m->host_cpus, m->host_reading);
	km_json_end(j, '}');
}

void km_answer_features_node(struct km_json *j, const struct km_answer_measured *m,
                             const struct km_schema *schema, const double *row)
{
	km_json_begin(j, '{');
	km_json_put_name(j, "name", m->name);
	km_json_put_integer(j, "host", m->host);
	km_json_put_integer(j, "sequence", (long long)m->sequence);
	km_json_put_string(j, "tier", km_tier_name(m->tier));
	km_json_put_rounded(j, "ageSeconds", m->age_s, AGE_DIGITS);
	km_json_put_rounded(j, "binAgeSeconds", m->bin_age_s, AGE_DIGITS);
	km_json_put_rounded(j, "coveredSeconds", m->covered_s, AGE_DIGITS);
	km_json_put_integer(j, "outsideCpus", m->outside_cpus);
	put_contention(j, m->triage);
	put_readings(j, m);
	put_features(j, schema, row);
	km_json_end(j, '}');
}

void km_answer_end(struct km_json *j)
{
	km_json_end(j, ']');
	km_json_end(j, '}');
	km_buf_char(j->out, '\n');
}

static void put_intervals(struct km_json *j, const struct km_answer_model_card *card)
{
	km_json_key(j, "intervals");
	km_json_begin(j, '[');
	for (size_t i = 0; i < card->interval_count; i++) {
		const struct km_answer_interval *at = &card->interval[i];

		km_json_begin(j, '{');
		km_json_put_rounded(j, "slowdown", at->slowdown, PREDICTION_DIGITS);
		km_json_put_rounded(j, "low", at->low, PREDICTION_DIGITS);
		km_json_put_rounded(j, "high", at->high, PREDICTION_DIGITS);
		km_json_end(j, '}');
	}
	km_json_end(j, ']');
}

static void put_schema(struct km_json *j, const struct km_answer_model_card *card)
{
	const struct km_schema *schema = card->schema;

	km_json_put_string(j, "tier", km_tier_name(schema->tier));
	km_json_put_number(j, "windowSeconds", schema->window_s);
	km_json_put_number(j, "binSeconds", schema->bin_s);
	km_json_key(j, "classes");
	km_json_begin(j, '[');
	for (uint32_t i = 0; i < schema->class_count; i++)
		km_json_string(j, schema->classes[i]);
	km_json_end(j, ']');
	km_json_key(j, "features");
	km_json_begin(j, '[');
	for (uint32_t i = 0; i < schema->count; i++) {
		km_json_begin(j, '{');
		km_json_put_string(j, "name", schema->feature[i].name);
		km_json_put_number(j, "low", card->range_low ? card->range_low[i] : NAN);
		km_json_put_number(j, "high", card->range_high ? card->range_high[i] : NAN);
		if (card->gain)
			km_json_put_rounded(j, "gain", card->gain[i], PREDICTION_DIGITS);
		km_json_end(j, '}');
	}
	km_json_end(j, ']');
}

void km_answer_model(struct km_buf *out, const struct km_answer_model_card *card)
{
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	km_json_put_bool(&j, "loaded", card != NULL);
	if (card) {
		const char *metrics = card->metrics_json ? card->metrics_json : "";

		km_json_put_string(&j, "name", card->name);
		km_json_key(&j, "hash");
		km_json_hash(&j, card->hash);
		km_json_put_string(&j, "task", card->task);
		km_json_put_string(&j, "provenance", card->provenance);
		km_json_put_string(&j, "library", card->library);
		km_json_put_integer(&j, "trees", card->tree_count);
		km_json_put_integer(&j, "maxDepth", card->max_depth);
		km_json_put_integer(&j, "fileBytes", (long long)card->file_bytes);
		km_json_put_number(&j, "residualSd", card->residual_sd);
		km_json_put_number(&j, "intervalLow", card->interval_low);
		km_json_put_number(&j, "intervalHigh", card->interval_high);
		put_intervals(&j, card);
		km_json_key(&j, "metrics");
		/* The model's file is checked, but this text in it is anybody's. */
		km_json_raw_checked(&j, metrics, strlen(metrics));
		put_schema(&j, card);
	}
	km_json_end(&j, '}');
	km_buf_char(out, '\n');
}

void km_answer_status(struct km_buf *out, const char *status, const char *const *reasons,
                      size_t count)
{
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	km_json_put_string(&j, "status", status);
	km_json_key(&j, "reasons");
	km_json_begin(&j, '[');
	for (size_t i = 0; i < count; i++)
		km_json_string(&j, reasons[i]);
	km_json_end(&j, ']');
	km_json_end(&j, '}');
	km_buf_char(out, '\n');
}
