/* SPDX-License-Identifier: Apache-2.0 */
/* What plots show, computed from a report's points: calibration, residuals, pairs. Pure. */
#ifndef KM_EVAL_PLOT_DATA_H
#define KM_EVAL_PLOT_DATA_H

#include "km/eval/eval.h"

#define DECILES       10
#define RESIDUAL_SIDE 20 /* bins on each side of 0 */
#define RESIDUAL_BINS (2 * RESIDUAL_SIDE + 1)
#define RESIDUAL_STEP 0.025 /* of NP; the outermost bins hold what is further off, too */
#define RATIO_BINS    7

/* A tenth of the predictions, all NP. */
struct decile {
	size_t rows;
	double from, to, predicted;              /* bounds and mean of the predictions */
	double measured, measured10, measured90; /* mean and quantiles */
	double inside; /* share of the measured slowdowns within the interval; NaN = no intervals */
};

/* Pairs of competing points whose measured slowdowns differ by a factor in [from, to). */
struct ratio_bin {
	double from, to;
	size_t pairs;
	double right; /* share in the right order, a tie is half right; NaN without pairs */
};

/* The decile's rows come by predicted NP. returns how many of out[DECILES] are filled, or -ENOMEM.
 */
int plot_deciles(const struct km_eval_report *r, enum km_row_kind kind, struct decile *out);

/* Shares of the points by predicted - measured NP; bin i is around plot_residual_at(i). */
double plot_residual_at(size_t bin);
void plot_residuals(const struct km_eval_report *r, enum km_row_kind kind, double *share);

/* out [RATIO_BINS], the last without an upper end (INFINITY). returns 0 or -ENOMEM. */
int plot_pairs(const struct km_eval_report *r, enum km_row_kind kind, struct ratio_bin *out);

#endif
