/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What came of a trial: everything here follows from the recorded plays alone, the intervals too,
 * whose seed is the plan's hash. The same files give the same bits.
 */
#ifndef KM_EXPERIMENT_TRIAL_RESULT_H
#define KM_EXPERIMENT_TRIAL_RESULT_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/experiment/paired.h"
#include "km/experiment/plays.h"

/* Beyond this share, nginx and the generator do not agree on how many requests there were. */
#define KM_TRIAL_SERVED_APART 0.01

struct km_trial_arm {
	char name[KM_TRIAL_WORD_MAX];
	size_t plays;
	double mean_ms, median_ms;         /* of p99 */
	double slowdown;                   /* geometric mean of p99 / p99 alone on the same node */
	size_t judged, violations;         /* plays with an objective, and those beyond it */
	size_t chosen[KM_TRIAL_NODES_MAX]; /* replicas on each node */
	size_t replicas, on_stressed;      /* replicas; those beside interference */
	/* Of plays of an episode in which at least two nodes were measured: */
	size_t comparable, right; /* its node had the lowest p99 */
	double regret;            /* geometric mean of p99 / that lowest one, - 1 */
};

/* The first arm against another, in the same episodes: below 0, the first one is faster. */
struct km_trial_versus {
	size_t arm;
	struct km_paired all;
	struct km_paired clean; /* without plays that anything speaks against */
};

struct km_trial_result {
	uint64_t plan_hash;
	size_t plays, repeats, episodes; /* that count; distinct repeats, episodes of all repeats */
	char node[KM_TRIAL_NODES_MAX][KM_TRIAL_NAME_MAX];
	size_t nodes;
	double alone_ms[KM_TRIAL_NODES_MAX]; /* median p99 without interference; NaN = none */
	size_t alone_plays[KM_TRIAL_NODES_MAX];
	struct km_trial_arm arm[KM_PLAN_ARM_N]; /* that played; the one all are against first */
	size_t arms;
	struct km_trial_versus versus[KM_PLAN_ARM_N];
	size_t versus_count;
	double slo_p99_ms;                                  /* NaN = none */
	size_t asked, failed, neutral, stale, all_filtered; /* of the daemon */
	size_t gated, kept, saturated; /* played again; kept with a gate against them; marked */
	size_t served_apart, with_errors, unreadable;
	const struct km_plays *source; /* borrowed */
};

/* plays is borrowed until _fini. returns 0; -ENODATA (nothing was played), -ENOMEM. */
int km_trial_summarise(const struct km_plays *plays, struct km_trial_result *out,
                       struct km_err *err) KM_MUST_CHECK;
void km_trial_result_fini(struct km_trial_result *r);

/*
 * Median p99 of plays alone on the nodes of that play, where replicas are on several their
 * geometric mean; NaN = there is none.
 */
double km_trial_alone_ms(const struct km_trial_result *r, const struct km_trial_record *play);

/* ---- what it was played with ---- */

#define KM_TRIAL_SETUP_TEXT_MAX 128

struct km_trial_setup {
	char name[KM_TRIAL_SETUP_TEXT_MAX]; /* of the plan; "" = not known, as all of these */
	char version[KM_TRIAL_SETUP_TEXT_MAX];
	char cpu[KM_TRIAL_SETUP_TEXT_MAX], kernel[KM_TRIAL_SETUP_TEXT_MAX];
	char system[KM_TRIAL_SETUP_TEXT_MAX];
	char model[KM_TRIAL_SETUP_TEXT_MAX], tier[KM_TRIAL_SETUP_TEXT_MAX];
	char target[KM_TRIAL_SETUP_TEXT_MAX], generator[KM_TRIAL_SETUP_TEXT_MAX];
	char groups[KM_TRIAL_SETUP_TEXT_MAX];
	double cpus, window_s, bin_s;
};

void km_trial_setup_init(struct km_trial_setup *s);
/* What no provenance has: model, window_s, bin_s. */
void km_trial_setup_encode(struct km_buf *out, const struct km_trial_setup *s);
/* From setup.json and provenance.json of a results folder's trial; what cannot be read is not
 * known.
 */
void km_trial_setup_read(const char *dir, struct km_trial_setup *out);

#endif
