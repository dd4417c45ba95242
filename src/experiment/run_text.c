/* SPDX-License-Identifier: Apache-2.0 */
/* An experiment's runs for people on a terminal, and for machines. */
#include <math.h>
#include <stdio.h>

#include "km/experiment/run_result.h"
#include "km/wire/json.h"

#include "run_words.h"

static void put_number(struct km_buf *out, int width, int decimals, double value)
{
	if (isnan(value))
		km_buf_printf(out, " %*s", width, "-");
	else
		km_buf_printf(out, " %*.*f", width, decimals, value);
}

static bool new_load(const struct km_run_result *r, size_t i)
{
	const struct km_run_record *a = r->condition[i].example;
	const struct km_run_record *b = i > 0 ? r->condition[i - 1].example : NULL;

	return b == NULL || a->replicas != b->replicas || a->rps != b->rps ||
	       r->condition[i].baseline_ms != r->condition[i - 1].baseline_ms;
}

void km_run_result_text(const struct km_run_result *r, struct km_buf *out)
{
	char text[RUN_WORDS_MAX];

	km_buf_printf(out, "%zu runs in %zu conditions\n", r->runs, r->conditions);
	for (size_t i = 0; i < r->conditions; i++) {
		const struct km_run_condition *c = &r->condition[i];

		if (new_load(r, i)) {
			km_buf_printf(out, "\n%s on %s, %u replicas, %g requests/s\n",
			              c->example->load.generator, c->example->target_node,
			              c->example->replicas, c->example->rps);
			km_buf_printf(out, "  %-26s %5s %10s %21s %9s %17s %6s\n", "", "runs",
			              "median p99", "least to most, ms", "slowdown", "over repeats",
			              "busy");
		}
		km_buf_printf(out, "  %-26s %5zu", c->title, c->runs);
		put_number(out, 10, 3, c->median_ms);
		put_number(out, 10, 3, c->least_ms);
		put_number(out, 10, 3, c->most_ms);
		put_number(out, 9, 2, c->slowdown);
		put_number(out, 8, 2, c->slowdown_low);
		put_number(out, 8, 2, c->slowdown_high);
		put_number(out, 6, 2, c->utilisation);
		km_buf_str(out, c->saturated > 0 ? " *\n" : "\n");
	}
	km_buf_str(out, "  * the target's CPUs were busier than the plan's limit, interference "
	                "included\n\n");
	for (size_t i = 0; run_note(r, i, text); i++)
		km_buf_printf(out, "  %s\n", text);
}

static void put_condition(struct km_json *j, const struct km_run_condition *c)
{
	const struct km_run_record *e = c->example;

	km_json_begin(j, '{');
	km_json_put_string(j, "stressor", e->stressed ? e->stressor : NULL);
	km_json_put_number(j, "levelPercent", e->stressed ? e->level_pct : (double)NAN);
	km_json_put_string(j, "on", e->stressed ? e->on : NULL);
	km_json_put_string(j, "targetNode", e->target_node);
	km_json_put_integer(j, "replicas", e->replicas);
	km_json_put_number(j, "rps", e->rps);
	km_json_put_integer(j, "runs", (long long)c->runs);
	km_json_put_integer(j, "repeats", (long long)c->repeats);
	km_json_put_number(j, "medianP99Ms", c->median_ms);
	km_json_put_number(j, "leastP99Ms", c->least_ms);
	km_json_put_number(j, "mostP99Ms", c->most_ms);
	km_json_put_number(j, "baselineP99Ms", c->baseline_ms);
	km_json_put_number(j, "slowdown", c->slowdown);
	km_json_put_number(j, "slowdownLeastRepeat", c->slowdown_low);
	km_json_put_number(j, "slowdownMostRepeat", c->slowdown_high);
	km_json_put_number(j, "targetUtilisation", c->utilisation);
	km_json_put_integer(j, "saturated", (long long)c->saturated);
	km_json_end(j, '}');
}

void km_run_result_json(const struct km_run_result *r, struct km_buf *out)
{
	const struct {
		const char *key;
		size_t count;
	} counts[] = {
		{ "runs", r->runs },
		{ "gated", r->gated },
		{ "keptWithAGate", r->kept },
		{ "saturated", r->saturated },
		{ "withErrors", r->with_errors },
		{ "servedApart", r->served_apart },
		{ "withoutP99", r->no_p99 },
		{ "unreadable", r->source->unreadable },
	};
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	for (size_t i = 0; i < KM_ARRAY_LEN(counts); i++)
		km_json_put_integer(&j, counts[i].key, (long long)counts[i].count);
	km_json_key(&j, "conditions");
	km_json_begin(&j, '[');
	for (size_t i = 0; i < r->conditions; i++)
		put_condition(&j, &r->condition[i]);
	km_json_end(&j, ']');
	km_json_end(&j, '}');
	km_buf_char(out, '\n');
}

bool run_note(const struct km_run_result *r, size_t i, char out[RUN_WORDS_MAX])
{
	switch (i) {
	case 0:
		(void)snprintf(out, RUN_WORDS_MAX,
		               "gates: %zu attempts were made again, %zu runs are kept although a "
		               "gate speaks against them",
		               r->gated, r->kept);
		return true;
	case 1:
		(void)snprintf(out, RUN_WORDS_MAX,
		               "load: in %zu runs the target's CPUs were busier than the plan's "
		               "limit, in %zu requests failed, in %zu the service's own count is "
		               "more than %.0f %% off the generator's, %zu have no p99",
		               r->saturated, r->with_errors, r->served_apart,
		               100 * KM_RUN_SERVED_APART, r->no_p99);
		return true;
	case 2:
		(void)snprintf(out, RUN_WORDS_MAX, "%zu files could not be read%s%.150s",
		               r->source->unreadable,
		               r->source->unreadable > 0 ? "; the first: " : "",
		               r->source->unreadable > 0 ? r->source->why.text : "");
		return true;
	default:
		return false;
	}
}
