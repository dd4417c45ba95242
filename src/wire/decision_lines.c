/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the decision log's lines. */
#include "km/wire/decision_lines.h"

#include <math.h>

#include "answers_internal.h"

/* As many digits as a float has: that is what models are given. */
#define VALUE_DIGITS 9

#define NS_PER_S     1e9

static const char *const calls[KM_DECISION_CALL_N] = {
	[KM_DECISION_FILTER] = "filter",
	[KM_DECISION_PRIORITIZE] = "prioritize",
};

static struct km_json begin(struct km_buf *out, const char *kind)
{
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	km_json_put_string(&j, "kind", kind);
	return j;
}

static void end(struct km_json *j)
{
	km_json_end(j, '}');
	km_buf_char(j->out, '\n');
}

void km_decision_line_settings(struct km_buf *out, const struct km_decide_settings *s,
                               int64_t wall_ns)
{
	struct km_json j = begin(out, "settings");

	km_wire_put_time(&j, "time", wall_ns);
	km_json_put_number(&j, "maxAgeSeconds", (double)s->max_age_ns / NS_PER_S);
	km_json_put_string(&j, "onStale", km_on_stale_name(s->on_stale));
	km_json_put_integer(&j, "scoreScale", s->score_scale);
	km_json_put_number(&j, "minMaxSlowdown", s->min_max_slowdown);
	km_json_put_number(&j, "risk", s->risk);
	km_json_put_bool(&j, "harmFilter", s->harm_filter);
	km_json_put_bool(&j, "harmScore", s->harm_score);
	km_json_put_bool(&j, "ledgerOff", s->ledger_off);
	km_json_put_number(&j, "reservationTTLSeconds", (double)s->reservation_ttl_ns / NS_PER_S);
	km_json_put_number(&j, "unknownSlowdown", s->unknown_slowdown);
	end(&j);
}

void km_decision_line_schema(struct km_buf *out, const struct km_schema *schema)
{
	struct km_json j = begin(out, "schema");

	km_json_put_number(&j, "windowSeconds", schema->window_s);
	km_json_put_number(&j, "binSeconds", schema->bin_s);
	km_json_key(&j, "features");
	km_json_begin(&j, '[');
	for (uint32_t i = 0; i < schema->count; i++) {
		if (schema->feature[i].scope < KM_SCOPE_POD)
			km_json_string(&j, schema->feature[i].name);
	}
	km_json_end(&j, ']');
	end(&j);
}

void km_decision_line_nodes(struct km_buf *out, const struct km_name *name, size_t count)
{
	struct km_json j = begin(out, "nodes");

	km_json_key(&j, "names");
	km_json_begin(&j, '[');
	for (size_t i = 0; i < count; i++)
		km_json_name(&j, name[i]);
	km_json_end(&j, ']');
	end(&j);
}

void km_decision_line_row(struct km_buf *out, const struct km_logged_row *row)
{
	struct km_json j = begin(out, "row");

	km_json_put_integer(&j, "node", row->node);
	km_json_put_integer(&j, "version", (long long)row->version);
	km_json_put_integer(&j, "windowEndNs", row->window_end_ns);
	km_json_put_string(&j, "tier", km_tier_name(row->tier));
	km_json_key(&j, "values");
	km_json_begin(&j, '[');
	for (size_t i = 0; i < row->count; i++)
		km_json_rounded(&j, row->value[i], VALUE_DIGITS);
	km_json_end(&j, ']');
	end(&j);
}

/* null for none. */
static void put_hash(struct km_json *j, const char *key, uint64_t hash)
{
	km_json_key(j, key);
	if (hash != 0)
		km_json_hash(j, hash);
	else
		km_json_string(j, NULL);
}

static void put_says(struct km_json *j, const struct km_pod *pod)
{
	km_json_key(j, "says");
	km_json_begin(j, '{');
	km_json_key(j, "labels");
	km_json_begin(j, '[');
	for (size_t i = 0; i < pod->label_count; i++) {
		km_json_begin(j, '[');
		km_json_name(j, pod->label[i].key);
		km_json_name(j, pod->label[i].value);
		km_json_end(j, ']');
	}
	km_json_end(j, ']');
	km_json_put_name(j, "ownerKind", pod->owner_kind);
	km_json_put_name(j, "ownerName", pod->owner_name);
	km_json_put_number(j, "rps", pod->rps);
	km_json_put_number(j, "maxSlowdown", pod->max_slowdown);
	km_json_put_name(j, "class", pod->class_name);
	km_json_end(j, '}');
}

static void put_candidates(struct km_json *j, const struct km_logged_decision *d)
{
	km_json_key(j, "nodes");
	km_json_begin(j, '[');
	for (size_t i = 0; i < d->count; i++) {
		if (d->node[i] >= 0)
			km_json_integer(j, d->node[i]);
		else
			km_json_name(j, d->name[i]);
	}
	km_json_end(j, ']');
	km_json_key(j, "agesUs");
	km_json_begin(j, '[');
	for (size_t i = 0; i < d->count; i++) {
		if (d->age_us[i] >= 0)
			km_json_integer(j, d->age_us[i]);
		else
			km_json_string(j, NULL);
	}
	km_json_end(j, ']');
	km_json_key(j, "scores");
	km_json_begin(j, '[');
	for (size_t i = 0; i < d->count; i++)
		km_json_integer(j, d->score[i]);
	km_json_end(j, ']');
	km_json_key(j, "rejected");
	km_json_begin(j, '[');
	for (size_t i = 0; d->rejected && i < d->count; i++) {
		if (d->rejected[i])
			km_json_integer(j, (long long)i);
	}
	km_json_end(j, ']');
}

void km_decision_line_decision(struct km_buf *out, const struct km_logged_decision *d)
{
	struct km_json j = begin(out, "decision");

	km_json_put_integer(&j, "id", (long long)d->id);
	km_json_put_string(&j, "call", calls[d->call]);
	km_wire_put_time(&j, "time", d->wall_ns);
	km_json_put_integer(&j, "atNs", d->at_ns);
	km_wire_put_pod(&j, d->pod.namespace, d->pod.name, d->pod.uid);
	put_says(&j, &d->pod);
	km_wire_put_workload(&j, &d->workload);
	km_json_put_string(&j, "workloadFrom", d->workload_from);
	km_wire_put_policy(&j, d->policy);
	put_hash(&j, "service", d->service);
	km_json_put_number(&j, "podRps", d->pod_rps);
	put_hash(&j, "modelHash", d->model_hash);
	put_candidates(&j, d);
	end(&j);
}
