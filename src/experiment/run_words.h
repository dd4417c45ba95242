/* SPDX-License-Identifier: Apache-2.0 */
/* Sentences and parts that the reports of runs share. */
#ifndef KM_EXPERIMENT_RUN_WORDS_H
#define KM_EXPERIMENT_RUN_WORDS_H

#include "km/experiment/run_result.h"
#include "km/report/page.h"

#define RUN_WORDS_MAX 512

/* What has to be known of them, one after another from 0. returns false behind the last one. */
bool run_note(const struct km_run_result *r, size_t i, char out[RUN_WORDS_MAX]);

/* Where the interference of a run is. */
enum run_group { RUN_ALONE, RUN_ON_TARGET, RUN_ELSEWHERE, RUN_GROUPS };

enum run_group run_group_of(const struct km_run_record *r);
const char *run_group_title(enum run_group g);

/* Parts of the page that come from traces: run_traces.c. */
void run_put_traces(struct km_page *p, const struct km_run_result *r, const char *dir);

#endif
