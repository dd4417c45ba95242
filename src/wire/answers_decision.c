/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/decisions: decisions as they were made, newest first. */
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "answers_internal.h"

#define NS_PER_S  1000000000
#define NS_PER_MS 1000000
/* As the ring keeps them. */
#define KEPT_DIGITS 4

void km_wire_put_time(struct km_json *j, const char *key, int64_t wall_ns)
{
	time_t s = (time_t)(wall_ns / NS_PER_S);
	char text[40];
	struct tm utc;
	size_t len;

	if (wall_ns <= 0 || gmtime_r(&s, &utc) == NULL) {
		km_json_put_string(j, key, NULL);
		return;
	}
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	(void)snprintf(text + len, sizeof(text) - len, ".%03dZ",
	               (int)(wall_ns % NS_PER_S / NS_PER_MS));
	km_json_put_string(j, key, text);
}

void km_answer_decisions_begin(struct km_json *j, size_t held, size_t capacity,
                               int64_t oldest_wall_ns)
{
	km_json_begin(j, '{');
	km_json_put_integer(j, "held", (long long)held);
	km_json_put_integer(j, "capacity", (long long)capacity);
	km_wire_put_time(j, "oldest", oldest_wall_ns);
	km_json_key(j, "decisions");
	km_json_begin(j, '[');
}

static void put_calls(struct km_json *j, const struct km_answer_decision *d)
{
	km_json_key(j, "calls");
	km_json_begin(j, '[');
	if (d->filter)
		km_json_string(j, "filter");
	if (d->prioritize)
		km_json_string(j, "prioritize");
	km_json_end(j, ']');
}

/* Negative: there was none. */
static void put_score(struct km_json *j, const char *key, int32_t score)
{
	km_json_put_number(j, key, score < 0 ? NAN : (double)score);
}

static void put_reasons(struct km_json *j, const struct km_answer_decision *d)
{
	km_json_key(j, "reasons");
	km_json_begin(j, '[');
	for (size_t i = 0; i < d->reason_count; i++) {
		const struct km_answer_reason *r = &d->reason[i];

		km_json_begin(j, '{');
		km_json_put_string(j, "reason", r->code);
		km_json_put_string(j, "message", r->text);
		km_json_put_integer(j, "nodes", r->judged);
		km_json_put_integer(j, "rejected", r->rejected);
		km_json_end(j, '}');
	}
	km_json_end(j, ']');
}

void km_answer_decision_begin(struct km_json *j, const struct km_answer_decision *d)
{
	km_json_begin(j, '{');
	km_json_put_integer(j, "id", (long long)d->id);
	km_json_put_number(j, "prioritizeId", d->prioritize ? (double)d->prioritize_id : NAN);
	km_wire_put_time(j, "time", d->wall_ns);
	put_calls(j, d);
	km_wire_put_pod(j, d->pod_namespace, d->pod_name, d->pod_uid);
	km_wire_put_workload(j, d->workload);
	km_json_put_string(j, "workloadFrom", d->workload_from);
	km_wire_put_policy(j, d->policy);
	km_json_key(j, "modelHash");
	if (d->model_hash != 0)
		km_json_hash(j, d->model_hash);
	else
		km_json_string(j, NULL);
	km_json_put_integer(j, "scoreScale", d->scale);
	km_json_put_integer(j, "asked", d->asked);
	km_json_put_integer(j, "passed", d->passed);
	km_json_put_integer(j, "scored", d->scored);
	put_score(j, "bestScore", d->best);
	km_json_put_integer(j, "bestNodes", d->best_count);
	put_score(j, "worstScore", d->worst);
	put_reasons(j, d);
	km_json_key(j, "nodes");
	km_json_begin(j, '[');
}

void km_answer_decision_node(struct km_json *j, const struct km_answer_node *node,
                             const struct km_answer_verdict *verdict)
{
	km_json_begin(j, '{');
	km_json_put_name(j, "node", node->name);
	km_wire_put_verdict(j, verdict);
	km_json_put_rounded(j, "slowdown", node->slowdown, KEPT_DIGITS);
	km_json_put_rounded(j, "low", node->low, KEPT_DIGITS);
	km_json_put_rounded(j, "high", node->high, KEPT_DIGITS);
	km_wire_put_company(j, node, KEPT_DIGITS);
	km_json_put_string(j, "data", node->state);
	km_wire_put_data(j, node);
	km_json_end(j, '}');
}

void km_answer_decision_end(struct km_json *j)
{
	km_json_end(j, ']');
	km_json_end(j, '}');
}

void km_answer_decisions_end(struct km_json *j, bool cut)
{
	km_json_end(j, ']');
	km_json_put_bool(j, "cut", cut);
	km_json_end(j, '}');
	km_buf_char(j->out, '\n');
}
