/* SPDX-License-Identifier: Apache-2.0 */
/* A trial's result for machines: one JSON object, every bit of every number. */
#include <math.h>

#include "km/experiment/trial_report.h"
#include "km/wire/json.h"

static void put_interval(struct km_json *j, const char *key, double low, double high)
{
	km_json_key(j, key);
	km_json_begin(j, '[');
	km_json_number(j, low);
	km_json_number(j, high);
	km_json_end(j, ']');
}

static void put_paired(struct km_json *j, const char *key, const struct km_paired *p)
{
	km_json_key(j, key);
	km_json_begin(j, '{');
	km_json_put_integer(j, "pairs", (long long)p->pairs);
	km_json_put_integer(j, "repeats", (long long)p->clusters);
	km_json_put_number(j, "lnRatio", p->mean);
	put_interval(j, "interval95", p->low, p->high);
	km_json_put_number(j, "ratio", exp(p->mean));
	km_json_put_string(j, "verdict", km_verdict_text(p->verdict));
	km_json_end(j, '}');
}

static void put_arm(struct km_json *j, const struct km_trial_result *r,
                    const struct km_trial_arm *a)
{
	km_json_begin(j, '{');
	km_json_put_string(j, "name", a->name);
	km_json_put_integer(j, "plays", (long long)a->plays);
	km_json_put_number(j, "meanP99Ms", a->mean_ms);
	km_json_put_number(j, "medianP99Ms", a->median_ms);
	km_json_put_number(j, "slowdown", a->slowdown);
	km_json_put_integer(j, "judged", (long long)a->judged);
	km_json_put_integer(j, "violations", (long long)a->violations);
	km_json_put_integer(j, "replicas", (long long)a->replicas);
	km_json_put_integer(j, "onStressed", (long long)a->on_stressed);
	km_json_put_integer(j, "comparable", (long long)a->comparable);
	km_json_put_integer(j, "right", (long long)a->right);
	km_json_put_number(j, "regret", a->regret);
	km_json_key(j, "chosen");
	km_json_begin(j, '[');
	for (size_t n = 0; n < r->nodes; n++)
		km_json_integer(j, (long long)a->chosen[n]);
	km_json_end(j, ']');
	km_json_end(j, '}');
}

static void put_counts(struct km_json *j, const struct km_trial_result *r)
{
	const struct {
		const char *key;
		size_t count;
	} counts[] = {
		{ "plays", r->plays },
		{ "repeats", r->repeats },
		{ "episodes", r->episodes },
		{ "playedAgain", r->gated },
		{ "keptWithAGate", r->kept },
		{ "saturated", r->saturated },
		{ "withErrors", r->with_errors },
		{ "servedApart", r->served_apart },
		{ "unreadable", r->unreadable },
		{ "asked", r->asked },
		{ "failed", r->failed },
		{ "neutral", r->neutral },
		{ "stale", r->stale },
		{ "allFiltered", r->all_filtered },
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(counts); i++)
		km_json_put_integer(j, counts[i].key, (long long)counts[i].count);
}

void km_trial_result_json(const struct km_trial_result *r, struct km_buf *out)
{
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	km_json_key(&j, "planHash");
	km_json_hash(&j, r->plan_hash);
	put_counts(&j, r);
	km_json_put_number(&j, "sloP99Ms", r->slo_p99_ms);
	km_json_key(&j, "nodes");
	km_json_begin(&j, '[');
	for (size_t n = 0; n < r->nodes; n++) {
		km_json_begin(&j, '{');
		km_json_put_string(&j, "name", r->node[n]);
		km_json_put_number(&j, "aloneP99Ms", r->alone_ms[n]);
		km_json_put_integer(&j, "alonePlays", (long long)r->alone_plays[n]);
		km_json_end(&j, '}');
	}
	km_json_end(&j, ']');
	km_json_key(&j, "arms");
	km_json_begin(&j, '[');
	for (size_t a = 0; a < r->arms; a++)
		put_arm(&j, r, &r->arm[a]);
	km_json_end(&j, ']');
	km_json_key(&j, "against");
	km_json_begin(&j, '[');
	for (size_t i = 0; i < r->versus_count; i++) {
		km_json_begin(&j, '{');
		km_json_put_string(&j, "arm", r->arm[0].name);
		km_json_put_string(&j, "against", r->arm[r->versus[i].arm].name);
		put_paired(&j, "all", &r->versus[i].all);
		put_paired(&j, "clean", &r->versus[i].clean);
		km_json_end(&j, '}');
	}
	km_json_end(&j, ']');
	km_json_end(&j, '}');
	km_buf_char(out, '\n');
}
