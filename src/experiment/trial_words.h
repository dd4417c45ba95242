/* SPDX-License-Identifier: Apache-2.0 */
/* Sentences that the text and the page of a trial share. */
#ifndef KM_EXPERIMENT_TRIAL_WORDS_H
#define KM_EXPERIMENT_TRIAL_WORDS_H

#include "km/experiment/trial_result.h"

#define TRIAL_WORDS_MAX 512

/* "kubemarla against random: p99 -34.1 % [-51.2, -12.3], 20 pairs in 5 repeats: lower". out. */
const char *trial_verdict_words(const struct km_trial_result *r, const struct km_trial_versus *v,
                                char out[TRIAL_WORDS_MAX]);

/* What has to be known of it, one after another from 0. returns false behind the last one. */
bool trial_note(const struct km_trial_result *r, size_t i, char out[TRIAL_WORDS_MAX]);

/* ln of a ratio as a change in percent. */
double trial_percent(double ln_ratio);

#endif
