/* SPDX-License-Identifier: Apache-2.0 */
/* A trial's result for people on a terminal: arms, verdicts, and all that speaks against them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "km/experiment/trial_report.h"

#include "trial_words.h"

static void put_number(struct km_buf *out, int width, int decimals, double value)
{
	if (isnan(value))
		km_buf_printf(out, " %*s", width, "-");
	else
		km_buf_printf(out, " %*.*f", width, decimals, value);
}

static void put_share(struct km_buf *out, int width, size_t part, size_t of)
{
	char text[32] = "-";

	if (of > 0)
		(void)snprintf(text, sizeof(text), "%zu/%zu", part, of);
	km_buf_printf(out, " %*s", width, text);
}

static void put_arms(const struct km_trial_result *r, struct km_buf *out)
{
	km_buf_printf(out, "\n  %-11s %6s %9s %9s %9s %10s %12s %12s %9s\n", "arm", "plays",
	              "mean p99", "median", "slowdown", "over SLO", "on stressed", "right*",
	              "regret %");
	for (size_t a = 0; a < r->arms; a++) {
		const struct km_trial_arm *arm = &r->arm[a];

		km_buf_printf(out, "  %-11s %6zu", arm->name, arm->plays);
		put_number(out, 9, 3, arm->mean_ms);
		put_number(out, 9, 3, arm->median_ms);
		put_number(out, 9, 2, arm->slowdown);
		put_share(out, 10, arm->violations, arm->judged);
		put_share(out, 12, arm->on_stressed, arm->replicas);
		put_share(out, 12, arm->right, arm->comparable);
		put_number(out, 9, 1, 100 * arm->regret);
		km_buf_char(out, '\n');
	}
	km_buf_str(out,
	           "  * took the node with the lower p99, and regret: in episodes in which arms "
	           "took different nodes\n");
	for (size_t n = 0; n < r->nodes; n++) {
		km_buf_printf(out, "  alone on %s:", r->node[n]);
		put_number(out, 0, 3, r->alone_ms[n]);
		km_buf_printf(out, " ms, median p99 of %zu\n", r->alone_plays[n]);
	}
}

static void put_verdicts(const struct km_trial_result *r, struct km_buf *out)
{
	for (size_t i = 0; i < r->versus_count; i++) {
		char text[TRIAL_WORDS_MAX];

		km_buf_printf(out, "%s%s\n", i == 0 ? "\n" : "",
		              trial_verdict_words(r, &r->versus[i], text));
	}
	if (r->versus_count > 0)
		km_buf_str(out, "  p99 in the same episodes; 95 % intervals by drawing repeats "
		                "(bootstrap), each for itself\n");
}

static void put_setup(const struct km_trial_setup *s, struct km_buf *out)
{
	const char *const texts[] = { s->cpu, s->kernel, s->target, s->generator, s->model };
	bool first = true;

	for (size_t i = 0; i < KM_ARRAY_LEN(texts); i++) {
		if (texts[i][0] == '\0')
			continue;
		km_buf_printf(out, "%s%s", first ? "  " : ", ", texts[i]);
		first = false;
	}
	if (!first)
		km_buf_char(out, '\n');
}

void km_trial_result_text(const struct km_trial_result *r, const struct km_trial_setup *setup,
                          const char *command, struct km_buf *out)
{
	char text[TRIAL_WORDS_MAX];

	km_buf_printf(out, "%s: %zu plays, %zu episodes in %zu repeats on %zu nodes\n",
	              setup->name[0] != '\0' ? setup->name : "trial", r->plays, r->episodes,
	              r->repeats, r->nodes);
	put_setup(setup, out);
	put_arms(r, out);
	put_verdicts(r, out);
	km_buf_char(out, '\n');
	for (size_t i = 0; trial_note(r, i, text); i++)
		km_buf_printf(out, "  %s\n", text);
	if (command != NULL)
		km_buf_printf(out, "  the same from the recorded plays: %s\n", command);
}
