/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides again what a log says: its nodes become a picture, its rows are published before the
 * decision that they were made for, the clock stands where it stood, and km_decide judges with
 * another model. Every node is a host of its own: the log does not say which share one.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/clock.h"
#include "km/cluster/cluster.h"

#include "replay.h"

#define NS_PER_US   INT64_C(1000)
#define ABSENT      UINT32_MAX
#define SAME_NS     (2 * NS_PER_US) /* ages are whole microseconds */
#define CHOICES_MAX 16              /* of the best nodes, asked for their prediction */

struct row {
	uint64_t version; /* 0 = none yet */
	int64_t window_end_ns;
	enum km_tier tier;
	double *value;                  /* [log_count] */
	int64_t measured_ns;            /* as published */
	struct km_host_features *shown; /* NULL = not published */
	bool changed;
	uint64_t published; /* number of the decision it was published for last */
};

struct replay {
	struct km_model *model;
	const struct km_schema *schema;
	bool fixed; /* settings do not follow the log */
	struct km_decide_settings settings;
	struct km_clock clock;
	int64_t now_ns;
	struct km_cluster *cluster;
	struct km_decide *decide;

	uint32_t *column; /* [schema->count]: where the log has it; ABSENT = not measured */
	size_t log_count; /* features in the log; 0 = not said yet */
	char **name;      /* [node_count] */
	struct row *row;
	size_t node_count;

	uint64_t decisions;    /* so far */
	struct km_arena arena; /* of one decision */
	struct replay_result result;
};

static int64_t replay_now(void *ctx)
{
	return ((struct replay *)ctx)->now_ns;
}

static int no_memory(struct km_err *err)
{
	return km_err_set(err, ENOMEM, "replay: out of memory");
}

static void forget_nodes(struct replay *r)
{
	for (size_t i = 0; i < r->node_count; i++) {
		free(r->name[i]);
		free(r->row[i].value);
		km_host_features_unref(r->row[i].shown);
	}
	free(r->name);
	free(r->row);
	r->name = NULL;
	r->row = NULL;
	r->node_count = 0;
}

int replay_create(struct km_model *model, const struct km_decide_settings *settings, bool fixed,
                  struct km_policies *policies, struct replay **out, struct km_err *err)
{
	struct replay *r = calloc(1, sizeof(*r));
	int rc;

	*out = NULL;
	if (r == NULL)
		return no_memory(err);
	r->model = model;
	r->schema = km_model_schema(model);
	r->fixed = fixed;
	r->settings = *settings;
	r->settings.log_path = NULL;
	r->clock = (struct km_clock){ replay_now, replay_now, r };
	km_arena_init(&r->arena, (size_t)1 << 20);
	r->column = calloc((size_t)r->schema->count + 1, sizeof(*r->column));
	rc = r->column != NULL ? km_cluster_create(NULL, 0, &r->cluster, err) : no_memory(err);
	if (rc == 0)
		rc = km_decide_create(&r->settings, r->cluster, &r->clock, NULL, &r->decide, err);
	if (rc != 0) {
		replay_free(r);
		return rc;
	}
	km_decide_set_model(r->decide, model);
	km_decide_set_policies(r->decide, policies);
	*out = r;
	return 0;
}

void replay_free(struct replay *r)
{
	if (r == NULL)
		return;
	forget_nodes(r);
	km_decide_free(r->decide);
	km_cluster_free(r->cluster);
	km_arena_fini(&r->arena);
	free(r->column);
	free(r);
}

const struct replay_result *replay_result(const struct replay *r)
{
	return &r->result;
}

/* ---- what a decision is made from ----------------------------------------------------------- */

/* Another process, or another file: nothing of what was said before holds. */
static void take_settings(struct replay *r, const struct km_decision_line *line)
{
	r->log_count = 0;
	forget_nodes(r);
	if (r->fixed)
		return;
	r->settings.max_age_ns = line->settings.max_age_ns;
	r->settings.on_stale = line->settings.on_stale;
	r->settings.score_scale = line->settings.score_scale;
	r->settings.min_max_slowdown = line->settings.min_max_slowdown;
	r->settings.risk = line->settings.risk;
	r->settings.harm_filter = line->settings.harm_filter;
	r->settings.harm_score = line->settings.harm_score;
	r->settings.ledger_off = line->settings.ledger_off;
	r->settings.reservation_ttl_ns = line->settings.reservation_ttl_ns;
	r->settings.unknown_slowdown = line->settings.unknown_slowdown;
	km_decide_set_settings(r->decide, &r->settings);
}

static int take_schema(struct replay *r, const struct km_decision_line *line, struct km_err *err)
{
	const struct km_schema *want = r->schema;
	bool same_time = line->window_s == want->window_s && line->bin_s == want->bin_s;

	if (!same_time) {
		return km_err_set(err, EPROTO,
		                  "the log has windows of %g s in bins of %g s, the model wants "
		                  "%g s in %g s",
		                  line->window_s, line->bin_s, want->window_s, want->bin_s);
	}
	for (uint32_t i = 0; i < r->schema->count; i++) {
		const struct km_feature *f = &r->schema->feature[i];

		r->column[i] = ABSENT;
		for (size_t k = 0; k < line->count && r->column[i] == ABSENT; k++) {
			if (strcmp(f->name, line->feature[k]) == 0)
				r->column[i] = (uint32_t)k;
		}
		if (r->column[i] == ABSENT && f->scope < KM_SCOPE_POD)
			return km_err_set(err, EPROTO,
			                  "the model reads %s, which is not in the log", f->name);
	}
	r->log_count = line->count;
	for (size_t i = 0; i < r->node_count; i++)
		r->row[i].version = 0;
	return 0;
}

static int take_nodes(struct replay *r, const struct km_decision_line *line, struct km_err *err)
{
	struct km_cluster_host *host = calloc(line->count + 1, sizeof(*host));
	int rc = 0;

	forget_nodes(r);
	r->name = calloc(line->count + 1, sizeof(*r->name));
	r->row = calloc(line->count + 1, sizeof(*r->row));
	if (host == NULL || r->name == NULL || r->row == NULL) {
		rc = no_memory(err);
		goto out;
	}
	for (size_t i = 0; i < line->count; i++) {
		r->name[i] = strndup(line->name[i].text, line->name[i].len);
		if (r->name[i] == NULL) {
			rc = no_memory(err);
			goto out;
		}
		host[i] = (struct km_cluster_host){ (const char *const *)&r->name[i], 1 };
		r->node_count++;
	}
	rc = km_cluster_set_hosts(r->cluster, host, line->count, err);
	if (rc == -EEXIST)
		rc = -EINVAL;
out:
	if (rc != 0)
		forget_nodes(r);
	free(host);
	return rc;
}

static int take_row(struct replay *r, const struct km_logged_row *logged, struct km_err *err)
{
	struct row *row;

	if (r->log_count == 0 || logged->node >= r->node_count)
		return km_err_set(err, EINVAL, "row: node %u of %zu, want schema and nodes before",
		                  logged->node, r->node_count);
	if (logged->count != r->log_count)
		return km_err_set(err, EINVAL, "row: saw %zu values, want %zu", logged->count,
		                  r->log_count);
	row = &r->row[logged->node];
	if (row->value == NULL) {
		row->value = calloc(KM_FEATURES_MAX, sizeof(*row->value));
		if (row->value == NULL)
			return no_memory(err);
	}
	memcpy(row->value, logged->value, logged->count * sizeof(*row->value));
	row->version = logged->version;
	row->window_end_ns = logged->window_end_ns;
	row->tier = logged->tier;
	row->changed = true;
	return 0;
}

/* The row as the sampler would have published it. NULL: no memory. */
static struct km_host_features *features_of(const struct replay *r, uint32_t node,
                                            int64_t measured_ns)
{
	const struct row *row = &r->row[node];
	struct km_host_features *f = km_host_features_create(r->schema, 1);

	if (f == NULL)
		return NULL;
	f->host = node;
	f->version = row->version;
	f->measured_mono_ns = measured_ns > 0 ? measured_ns : 1; /* 0 would be never */
	f->window_end_mono_ns = row->window_end_ns;
	f->tier = row->tier;
	f->covered_s = r->schema->window_s;
	for (uint32_t i = 0; i < r->schema->count; i++)
		f->row[i] = r->column[i] != ABSENT ? row->value[r->column[i]] : NAN;
	return f;
}

/* Publishes what changed among the candidates. returns 0, -EINVAL or -ENOMEM. */
static int publish(struct replay *r, const struct km_logged_decision *d, struct km_err *err)
{
	struct km_host_features **fresh =
		km_arena_alloc(&r->arena, (d->count + 1) * sizeof(struct km_host_features *));
	size_t count = 0;

	if (fresh == NULL)
		return no_memory(err);
	for (size_t i = 0; i < d->count; i++) {
		int64_t measured_ns = d->at_ns - d->age_us[i] * NS_PER_US;
		struct row *row;

		if (d->node[i] < 0)
			continue;
		if ((size_t)d->node[i] >= r->node_count)
			return km_err_set(err, EINVAL, "decision: node %lld of %zu",
			                  (long long)d->node[i], r->node_count);
		row = &r->row[d->node[i]];
		if (row->published == r->decisions)
			continue; /* named twice */
		if (row->version == 0 || d->age_us[i] < 0) {
			r->result.rows_missing += d->age_us[i] >= 0;
			continue;
		}
		if (!row->changed && llabs(measured_ns - row->measured_ns) <= SAME_NS)
			continue;
		km_host_features_unref(row->shown);
		row->shown = features_of(r, (uint32_t)d->node[i], measured_ns);
		if (row->shown == NULL)
			return no_memory(err);
		row->measured_ns = measured_ns;
		row->changed = false;
		row->published = r->decisions;
		fresh[count++] = row->shown;
	}
	if (count > 0 && km_cluster_publish(r->cluster, fresh, count) != 0)
		return no_memory(err);
	return 0;
}

/* ---- deciding again, and comparing ---------------------------------------------------------- */

static const struct km_name *names_of(struct replay *r, const struct km_logged_decision *d)
{
	struct km_name *name = km_arena_alloc(&r->arena, (d->count + 1) * sizeof(*name));

	for (size_t i = 0; name != NULL && i < d->count; i++) {
		name[i] = d->name[i];
		if (d->node[i] >= 0)
			name[i] = (struct km_name){ r->name[d->node[i]],
				                    (uint32_t)strlen(r->name[d->node[i]]) };
	}
	return name;
}

/* Mean ln slowdown that the model predicts at the marked nodes; NaN where it does not at one. */
static double mean_ln(struct replay *r, const struct km_subject *who, const struct km_name *name,
                      const bool *best, size_t count)
{
	struct km_name some[CHOICES_MAX];
	struct km_decision d;
	size_t asked = 0;
	double sum = 0;

	for (size_t i = 0; i < count && asked < CHOICES_MAX; i++) {
		if (best[i])
			some[asked++] = name[i];
	}
	if (asked == 0 || km_decide_run_subject(r->decide, who, some, asked, &r->arena, &d) != 0)
		return NAN;
	for (size_t i = 0; i < asked; i++)
		sum += log(d.node[i].prediction.slowdown);
	return sum / (double)asked;
}

struct comparison {
	const struct km_logged_decision *then;
	const struct km_name *name;
	const struct km_subject *who;
	const bool *best_then;
	const bool *best_now;
};

static void note_change(struct replay *r, const struct comparison *c, double ln_then, double ln_now)
{
	struct replay_result *out = &r->result;
	struct replay_change *change;

	if (isfinite(ln_then) && isfinite(ln_now)) {
		out->changed_ln_then += ln_then;
		out->changed_ln_now += ln_now;
		out->changed_predicted++;
	}
	out->changed++;
	if (out->change_count == REPLAY_CHANGES_MAX)
		return;
	change = &out->change[out->change_count++];
	change->id = c->then->id;
	(void)snprintf(change->pod, sizeof(change->pod), "%.*s%s%.*s",
	               (int)c->then->pod.namespace.len, c->then->pod.namespace.text,
	               c->then->pod.namespace.len > 0 ? "/" : "", (int)c->then->pod.name.len,
	               c->then->pod.name.text);
	replay_copy_first(change->then, c->name, c->best_then, c->then->count);
	replay_copy_first(change->now, c->name, c->best_now, c->then->count);
	change->slowdown_then = exp(ln_then);
	change->slowdown_now = exp(ln_now);
}

static void compare_choice(struct replay *r, const struct comparison *c)
{
	struct replay_result *out = &r->result;
	size_t only = 0;
	size_t common = 0;
	double ln_then;
	double ln_now;

	for (size_t i = 0; i < c->then->count; i++) {
		common += c->best_then[i] && c->best_now[i];
		only += c->best_then[i] != c->best_now[i];
	}
	ln_then = mean_ln(r, c->who, c->name, c->best_then, c->then->count);
	ln_now = mean_ln(r, c->who, c->name, c->best_now, c->then->count);
	out->choices++;
	if (isfinite(ln_then) && isfinite(ln_now)) {
		out->ln_then += ln_then;
		out->ln_now += ln_now;
		out->predicted++;
	}
	if (only == 0)
		out->same++;
	else if (common > 0)
		out->overlapping++;
	else
		note_change(r, c, ln_then, ln_now);
}

/* returns 0 or -ENOMEM. */
static int compare(struct replay *r, const struct km_logged_decision *d, const struct km_name *name,
                   const struct km_subject *who, const struct km_verdict *now)
{
	bool *rejected = km_arena_calloc(&r->arena, d->count + 1, sizeof(*rejected));
	bool *best_then = km_arena_calloc(&r->arena, d->count + 1, sizeof(*best_then));
	bool *best_now = km_arena_calloc(&r->arena, d->count + 1, sizeof(*best_now));
	int32_t *score = km_arena_calloc(&r->arena, d->count + 1, sizeof(*score));
	const struct comparison c = { d, name, who, best_then, best_now };
	size_t scored_otherwise = 0;
	size_t rejected_otherwise = 0;

	if (rejected == NULL || best_then == NULL || best_now == NULL || score == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < d->count; i++) {
		rejected[i] = !now[i].passes;
		score[i] = now[i].score;
		scored_otherwise += score[i] != d->score[i];
		rejected_otherwise += rejected[i] != d->rejected[i];
	}
	r->result.calls++;
	r->result.identical += scored_otherwise == 0 && rejected_otherwise == 0;
	replay_count_model(&r->result, d->model_hash);
	if (d->call == KM_DECISION_FILTER) {
		r->result.filter_calls++;
		r->result.filter_changed += rejected_otherwise > 0;
		return 0;
	}
	if (replay_best_of(d->score, d->rejected, d->count, best_then) > 0 &&
	    replay_best_of(score, rejected, d->count, best_now) > 0 && d->count > 1)
		compare_choice(r, &c);
	return 0;
}

/* As it was; by other settings and policies as they have it. */
static void find_subject(struct replay *r, const struct km_logged_decision *d,
                         struct km_subject *out)
{
	if (r->fixed) {
		km_decide_subject(r->decide, &d->pod, out);
		return;
	}
	km_decide_recorded_subject(&d->workload, d->pod.uid, out);
	out->kind.service = d->service;
	out->kind.rps = d->pod_rps;
}

static int take_decision(struct replay *r, const struct km_logged_decision *d, struct km_err *err)
{
	struct km_subject who;
	struct km_ask ask = { .who = &who, .count = d->count };
	struct km_verdict *now;
	const struct km_name *name;
	int rc;

	km_arena_reset(&r->arena);
	r->decisions++;
	r->now_ns = d->at_ns;
	rc = publish(r, d, err);
	if (rc != 0)
		return rc;
	find_subject(r, d, &who);
	name = names_of(r, d);
	now = km_arena_calloc(&r->arena, d->count + 1, sizeof(*now));
	ask.call = d->call == KM_DECISION_FILTER ? KM_CALL_FILTER : KM_CALL_PRIORITIZE;
	ask.names = name;
	if (name == NULL || now == NULL || km_decide_place(r->decide, &ask, &r->arena, now) != 0 ||
	    compare(r, d, name, &who, now) != 0)
		return no_memory(err);
	return 0;
}

int replay_line(struct replay *r, const struct km_decision_line *line, struct km_err *err)
{
	switch (line->kind) {
	case KM_LINE_SETTINGS:
		take_settings(r, line);
		return 0;
	case KM_LINE_SCHEMA:
		return take_schema(r, line, err);
	case KM_LINE_NODES:
		return take_nodes(r, line, err);
	case KM_LINE_ROW:
		return take_row(r, &line->row, err);
	default:
		return take_decision(r, &line->decision, err);
	}
}
