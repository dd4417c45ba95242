/* SPDX-License-Identifier: Apache-2.0 */
/* The report for machines: one JSON object. What does not exist is null, never 0. */
#include <math.h>
#include <string.h>

#include "km/wire/json.h"

#include "sim_internal.h"

#define DIGITS 6

static void put_number(struct km_json *j, const char *key, const struct km_sim_number *n)
{
	km_json_key(j, key);
	km_json_begin(j, '{');
	km_json_put_rounded(j, "value", n->value, DIGITS);
	km_json_key(j, "interval95");
	km_json_begin(j, '[');
	km_json_rounded(j, n->low, DIGITS);
	km_json_rounded(j, n->high, DIGITS);
	km_json_end(j, ']');
	km_json_end(j, '}');
}

static void put_setting(struct km_json *j, const struct km_sim_setting *s)
{
	km_json_begin(j, '{');
	km_json_put_string(j, "name", s->name);
	km_json_put_string(j, "title", s->title);
	km_json_put_string(j, "costUnit", s->unit);
	km_json_put_bool(j, "nullCheck", s->null_check);
	km_json_put_integer(j, "decisions", (long long)s->decisions);
	km_json_put_integer(j, "clusters", (long long)s->clusters);
	km_json_put_string(j, "cluster", s->cluster);
	km_json_key(j, "arms");
	km_json_begin(j, '[');
	for (size_t a = 0; a < KM_SIM_ARM_N; a++) {
		if (!s->arm[a].there)
			continue;
		km_json_begin(j, '{');
		km_json_put_string(j, "name", km_sim_arm_name((enum km_sim_arm)a));
		for (size_t m = 0; m < KM_SIM_METRIC_N; m++)
			put_number(j, km_sim_metric_name((enum km_sim_metric)m),
			           &s->arm[a].metric[m]);
		km_json_end(j, '}');
	}
	km_json_end(j, ']');
	km_json_end(j, '}');
}

static void put_burst(struct km_json *j, const struct km_sim_burst *b)
{
	km_json_begin(j, '{');
	km_json_put_string(j, "name", b->name);
	km_json_put_bool(j, "ledger", b->ledger);
	km_json_put_integer(j, "nodes", b->nodes);
	km_json_put_integer(j, "pods", b->pods);
	km_json_put_number(j, "podsPerSecond", b->pods_per_s);
	km_json_put_number(j, "lagSeconds", b->lag_s);
	km_json_put_rounded(j, "maxOverMean", b->max_over_mean, DIGITS);
	km_json_put_rounded(j, "slowdown", b->slowdown, DIGITS);
	km_json_put_rounded(j, "regret", b->regret, DIGITS);
	km_json_put_rounded(j, "microsecondsPerPod", b->us_per_pod, DIGITS);
	km_json_end(j, '}');
}

static void put_notes(struct km_json *j, const struct km_buf *notes)
{
	const char *at = notes->data;
	size_t left = notes->len;

	km_json_key(j, "notes");
	km_json_begin(j, '[');
	while (left > 0) {
		const char *end = memchr(at, '\n', left);
		size_t len = end != NULL ? (size_t)(end - at) : left;

		km_json_name(j, (struct km_name){ at, (uint32_t)len });
		len += end != NULL;
		at += len;
		left -= len;
	}
	km_json_end(j, ']');
}

void km_sim_report_json(const struct km_sim_report *r, struct km_buf *out)
{
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	km_json_put_integer(&j, "firstSeed", (long long)r->first_seed);
	km_json_put_integer(&j, "seeds", r->seeds);
	km_json_put_integer(&j, "scoreScale", r->score_scale);
	km_json_put_rounded(&j, "seconds", r->seconds, 3);
	km_json_key(&j, "settings");
	km_json_begin(&j, '[');
	for (size_t i = 0; i < r->setting_count; i++)
		put_setting(&j, &r->setting[i]);
	km_json_end(&j, ']');
	km_json_key(&j, "bursts");
	km_json_begin(&j, '[');
	for (size_t i = 0; i < r->burst_count; i++)
		put_burst(&j, &r->burst[i]);
	km_json_end(&j, ']');
	put_notes(&j, &r->notes);
	km_json_end(&j, '}');
	km_buf_char(out, '\n');
}
