/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a trial's page: trial_html.c puts them together. */
#ifndef KM_EXPERIMENT_TRIAL_PAGE_H
#define KM_EXPERIMENT_TRIAL_PAGE_H

#include "km/experiment/trial_result.h"
#include "km/report/page.h"

#include "trial_words.h"

void trial_plot_spread(struct km_page *p, const struct km_trial_result *r);
void trial_put_alone(struct km_page *p, const struct km_trial_result *r);
void trial_put_choices(struct km_page *p, const struct km_trial_result *r);
void trial_put_plays(struct km_page *p, const struct km_trial_result *r);

#endif
