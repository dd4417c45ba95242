/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside eval: a dataset's rows become tables, a subject (learner, columns, recipe) is fitted to
 * tables, cross-validation asks it about rows it has not seen.
 */
#ifndef KM_EVAL_INTERNAL_H
#define KM_EVAL_INTERNAL_H

#include "km/core/recipe.h"
#include "km/dataset/dataset.h"
#include "km/eval/eval.h"
#include "km/eval/metrics.h"
#include "km/model/train.h"

/* Rows for a learner: [count][columns]. */
struct table {
	size_t count, columns;
	float *rows;
	float *labels;  /* ln slowdown */
	float *weights; /* sum to `count` */
};

struct subject;

/* Something that learns ln slowdown from a table. Different states may be used at the same time. */
struct learner {
	int (*fit)(const struct subject *s, const struct table *t, void **state,
	           struct km_err *err);
	int (*predict)(void *state, const float *rows, size_t count, float *out,
	               struct km_err *err);
	void (*release)(void *state);
};

/* Trees of the recipe; `valid` and progress as km_booster_train takes them, NULL = none. */
int trees_train(const struct subject *s, const struct table *t, const struct table *valid,
                km_train_progress_fn *progress, void *ctx, struct km_booster **out,
                struct km_err *err) KM_MUST_CHECK;

extern const struct learner learner_trees, learner_mean, learner_ridge;

/* What is judged. */
struct subject {
	const char *name;
	const char *help; /* one sentence for the report */
	const struct learner *learner;
	struct km_recipe recipe;
	const struct km_schema *schema; /* of the dataset */
	uint32_t *column;               /* [column_count], into the schema; owned */
	size_t column_count;
};

/* returns -EINVAL when the schema lacks one of the names, -ENOMEM. */
int subject_init(struct subject *s, const struct km_schema *schema, const char *const *names,
                 size_t count, struct km_err *err) KM_MUST_CHECK;
void subject_fini(struct subject *s);

/* Does it read no counters, or has some row one of them? Else it would learn of the load alone. */
bool subject_is_measured(const struct km_dataset *d, const struct subject *s);

/* What the baselines read beside the model's own features: the i-th, NULL behind the last. */
const char *baseline_feature(size_t i);

/* In the place of the one with counters, where none of them was measured, comes CPU use. */
enum { BASELINE_THESIS = 3, BASELINE_CPU_USE, BASELINES };

/* The baselines over a schema that has the model's and baseline_feature's columns. */
int baselines_init(struct subject *out, const struct km_schema *schema,
                   const char *const *model_names, size_t count, const struct km_recipe *recipe,
                   struct km_err *err) KM_MUST_CHECK;

/* One input for a subject. out [column_count]. */
void table_input(const struct km_dataset *d, const struct subject *s,
                 const struct km_dataset_row *row, enum km_layout_kind layout, size_t window,
                 bool mask_now, float *out);

/*
 * Rows for which keep[i] is set (NULL: all), expanded by the recipe: at most about TABLE_ROWS_MAX,
 * of more an even sample. Owned; table_fini frees.
 */
#define TABLE_ROWS_MAX ((size_t)1 << 18)
int table_build(const struct km_dataset *d, const struct subject *s, const bool *keep,
                struct table *out, struct km_err *err) KM_MUST_CHECK;
void table_fini(struct table *t);

/* Range of the measured values of each column, [columns] each; NaN where there is none. */
void table_ranges(const struct table *t, double *low, double *high);

/* Is the row a kind that the subject can learn from and be asked about? */
bool table_takes(const struct subject *s, const struct km_dataset_row *row);

/* Predictions of ln slowdown for every row in every layout, *_now known or hidden: NaN = none. */
#define PREDICTIONS_PER_ROW ((size_t)KM_LAYOUT_N * 2)

static inline size_t prediction_at(size_t row, enum km_layout_kind layout, bool mask_now)
{
	return row * PREDICTIONS_PER_ROW + (size_t)layout * 2 + (mask_now ? 1 : 0);
}

/*
 * The windows of its trace that a row is judged by. A scheduler sees one window before the pod is
 * placed: one by chance, the same each time. What a diagnosis is compared with is the latency of
 * the whole run: the mean of ln slowdown over all its windows.
 */
struct span {
	size_t first, count;
};

struct span judged_windows(const struct km_dataset *d, size_t row);

/* The inputs to ask about for one of them. out [PREDICTIONS_PER_ROW][column_count] */
void judged_input(const struct km_dataset *d, const struct subject *s, size_t row, size_t window,
                  float *out);

/* Asks a fitted state about every row with ask[i] (NULL: all). */
int predict_rows(const struct km_dataset *d, const struct subject *s, void *state, const bool *ask,
                 float *out, struct km_err *err) KM_MUST_CHECK;

struct crossval {
	const struct km_dataset *dataset;
	enum km_protocol protocol;
	unsigned threads;
	km_eval_progress_fn *progress; /* NULL = none */
	void *ctx;
	const char *what; /* for the progress line */
	/*
	 * Beyond this many folds an even sample of FOLDS_SAMPLED is judged, the rows of the others
	 * stay NaN, and *sampled_of, if not NULL, becomes the number of all. 0 = all are judged.
	 */
	size_t folds_max;
	size_t *sampled_of;
};

/*
 * What is left out together. Rows whose label is of one group and whose counters are of another
 * (an empty candidate's) have both to leave out: a state that saw the campaign of the counters
 * knows what came of them there.
 */
struct fold {
	uint32_t group, counters;
};

#define FOLDS_SAMPLED 32

/* Folds of the scored rows that the subject can be asked about, in the order of their first row.
 * *out owned; returns 0 or -ENOMEM. */
int fold_list(const struct km_dataset *d, const struct subject *s, enum km_protocol p,
              struct fold **out, size_t *count) KM_MUST_CHECK;

/* Is the row judged by the fold's state; may that state be fitted to it? */
bool fold_asks(const struct km_dataset_row *row, enum km_protocol p, struct fold fold);
bool fold_keeps(const struct km_dataset_row *row, enum km_protocol p, struct fold fold);

/* Are the scored rows' labels of two groups at least? */
bool crossval_possible(const struct km_dataset *d, enum km_protocol p);

/* out [rows x PREDICTIONS_PER_ROW], each row by a state fitted without the groups it touches. */
int crossval_run(const struct crossval *cv, const struct subject *s, float *out,
                 struct km_err *err) KM_MUST_CHECK;

/*
 * interval.c: quantiles of ln(measured / predicted), over all predictions and by their size, each
 * campaign with equal weight.
 */
#define INTERVAL_KNOTS 6

struct interval {
	double low, high, sd;
	struct km_interval_knot knot[INTERVAL_KNOTS];
	size_t knot_count;
};

int interval_fit(const struct km_dataset *d, const float *margin, uint32_t without_campaign,
                 struct interval *out, struct km_err *err) KM_MUST_CHECK;

/* Collects scored rows. filter NULL = all; returns their number, or -ENOMEM through *rc. */
struct selection {
	enum km_row_kind kind;
	enum km_layout_kind layout;
	bool mask_now;
	unsigned inflight;       /* pods on their way; KM_ROW_INFLIGHT only */
	uint32_t scenario;       /* UINT32_MAX = all */
	uint32_t campaign;       /* likewise */
	const float *margin;     /* as crossval_run gives them */
	const float *low, *high; /* bounds of ln slowdown likewise; NULL = none */
};

int select_rows(const struct km_dataset *d, const struct selection *s, struct km_scored **out,
                size_t *count) KM_MUST_CHECK;

/* report.c */
int report_fill(struct km_eval_report *r, const struct km_dataset *d, const float *margin,
                const float *low, const float *high, uint32_t rounds,
                struct km_err *err) KM_MUST_CHECK;
int report_add_baseline(struct km_eval_report *r, const struct km_dataset *d,
                        const struct subject *s, const float *margin,
                        struct km_err *err) KM_MUST_CHECK;

#endif
