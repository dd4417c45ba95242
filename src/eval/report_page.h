/* SPDX-License-Identifier: Apache-2.0 */
/* The report's page: report_html.c writes the text and the tables, report_plots.c the plots. */
#ifndef KM_EVAL_REPORT_PAGE_H
#define KM_EVAL_REPORT_PAGE_H

#include "km/eval/eval.h"
#include "km/report/page.h"

/* "lighter start" */
const char *page_kind_words(enum km_row_kind kind);

/* A plot each with its table. return 0 or -ENOMEM. */
int page_put_points(struct km_page *p, const struct km_eval_report *r) KM_MUST_CHECK;
int page_put_calibration(struct km_page *p, const struct km_eval_report *r) KM_MUST_CHECK;
void page_put_residuals(struct km_page *p, const struct km_eval_report *r);
int page_put_scenarios(struct km_page *p, const struct km_eval_report *r) KM_MUST_CHECK;
int page_put_pairs(struct km_page *p, const struct km_eval_report *r) KM_MUST_CHECK;
int page_put_gain(struct km_page *p, const struct km_eval_report *r) KM_MUST_CHECK;

#endif
