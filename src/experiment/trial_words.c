/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts and notes in words. What speaks against a result is said with it, also when it is 0. */
#include "trial_words.h"

#include <math.h>
#include <stdio.h>

double trial_percent(double ln_ratio)
{
	return 100 * (exp(ln_ratio) - 1);
}

static int put_paired(char *out, size_t size, const struct km_paired *p)
{
	if (p->pairs == 0)
		return snprintf(out, size, "no pairs");
	if (isnan(p->low))
		return snprintf(out, size, "%+.1f %%, %zu pairs in %zu repeats: %s, want %d",
		                trial_percent(p->mean), p->pairs, p->clusters,
		                km_verdict_text(p->verdict), KM_PAIRED_CLUSTERS_MIN);
	return snprintf(out, size, "%+.1f %% [%+.1f, %+.1f], %zu pairs in %zu repeats: %s",
	                trial_percent(p->mean), trial_percent(p->low), trial_percent(p->high),
	                p->pairs, p->clusters, km_verdict_text(p->verdict));
}

const char *trial_verdict_words(const struct km_trial_result *r, const struct km_trial_versus *v,
                                char out[TRIAL_WORDS_MAX])
{
	char all[TRIAL_WORDS_MAX / 3];
	char clean[TRIAL_WORDS_MAX / 3];

	(void)put_paired(all, sizeof(all), &v->all);
	(void)put_paired(clean, sizeof(clean), &v->clean);
	if (v->clean.pairs == v->all.pairs)
		(void)snprintf(out, TRIAL_WORDS_MAX, "%s against %s: p99 %s", r->arm[0].name,
		               r->arm[v->arm].name, all);
	else
		(void)snprintf(out, TRIAL_WORDS_MAX,
		               "%s against %s: p99 %s (without marked plays: %s)", r->arm[0].name,
		               r->arm[v->arm].name, all, clean);
	return out;
}

bool trial_note(const struct km_trial_result *r, size_t i, char out[TRIAL_WORDS_MAX])
{
	switch (i) {
	case 0:
		(void)snprintf(out, TRIAL_WORDS_MAX,
		               "gates: %zu plays were played again, %zu are kept although a gate "
		               "speaks against them",
		               r->gated, r->kept);
		return true;
	case 1:
		(void)snprintf(
			out, TRIAL_WORDS_MAX,
			"the daemon: %zu requests, %zu without a usable answer (luck chose), "
			"%zu choices without a prediction of every node, %zu from counters "
			"that were not all of the play, %zu with no node that passed",
			r->asked, r->failed, r->neutral, r->stale, r->all_filtered);
		return true;
	case 2:
		(void)snprintf(out, TRIAL_WORDS_MAX,
		               "load: in %zu plays the target's CPUs were busier than the plan's "
		               "limit (interference beside it counts), in %zu requests failed, in "
		               "%zu nginx' own count is more than %.0f %% off the generator's",
		               r->saturated, r->with_errors, r->served_apart,
		               100 * KM_TRIAL_SERVED_APART);
		return true;
	case 3:
		(void)snprintf(out, TRIAL_WORDS_MAX,
		               "%zu files could not be read and do not count%s%.150s",
		               r->unreadable, r->unreadable > 0 ? "; the first: " : "",
		               r->unreadable > 0 ? r->source->why.text : "");
		return true;
	default:
		return false;
	}
}
