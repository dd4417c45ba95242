/* SPDX-License-Identifier: Apache-2.0 */
/* A trial's result as text, as JSON, as a page. Each appends. Pure but for the plots' program. */
#ifndef KM_EXPERIMENT_TRIAL_REPORT_H
#define KM_EXPERIMENT_TRIAL_REPORT_H

#include "km/experiment/trial_result.h"
#include "km/report/plot.h"

/* command: what prints it again from the recorded plays; NULL = none is named. */
void km_trial_result_text(const struct km_trial_result *r, const struct km_trial_setup *setup,
                          const char *command, struct km_buf *out);
void km_trial_result_json(const struct km_trial_result *r, struct km_buf *out);

/* dir: the results folder, for what the model says of itself; NULL = not shown.
 * plotter NULL = gnuplot from PATH; missing (NULL allowed): why plots are. returns 0 or -ENOMEM. */
int km_trial_result_html(const struct km_trial_result *r, const struct km_trial_setup *setup,
                         const char *dir, const char *command, const struct km_plotter *plotter,
                         struct km_buf *out, struct km_err *missing) KM_MUST_CHECK;

#endif
