/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trained model: XGBoost trees plus everything serving needs, read from one file that is
 * validated by our own bounded reader before libxgboost sees it. The only room with XGBoost.
 * A model is immutable and reference-counted; any thread may predict with it.
 */
#ifndef KM_MODEL_MODEL_H
#define KM_MODEL_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/core/schema.h"

#define KM_MODEL_FILE_MAX_BYTES (64u << 20)

#define KM_INTERVAL_KNOTS_MAX   16

struct km_model;

/*
 * The 90 % interval around predictions of one size: quantiles of held-out residuals in ln slowdown.
 * Between knots it is interpolated, beyond the first and the last it is theirs.
 */
struct km_interval_knot {
	double margin; /* ln of the predicted slowdown */
	double low, high;
};

/* What the file says about itself; strings and arrays are borrowed from the model. */
struct km_model_info {
	const char *name;         /* written at training, or else the file's directory; ASCII */
	const char *task;         /* "placement" or "diagnosis" */
	const char *provenance;   /* what it was trained on */
	const char *library;      /* XGBoost version that wrote it */
	const char *metrics_json; /* held-out metrics at training, a JSON object; "" = none */
	uint64_t hash;            /* of the file's bytes */
	uint32_t tree_count;
	uint32_t max_depth;
	size_t file_bytes;
	double residual_sd;  /* sd of held-out residuals of ln slowdown */
	double interval_low; /* 5 % and 95 % quantiles of held-out ln residuals */
	double interval_high;
	const struct km_interval_knot *knot; /* [knot_count], ascending; 0: the same everywhere */
	size_t knot_count;
	const double *range_low;  /* [schema->count] training range of each feature; NaN = none */
	const double *range_high; /* [schema->count] */
};

/*
 * One prediction: p99 there / p99 alone, with the 90 % interval from held-out residuals. The
 * interval always holds the prediction itself. Each feature outside its training range widens it by
 * a tenth of its half-width in ln slowdown, at most to twice: a rule of caution, not calibrated.
 */
struct km_prediction {
	double slowdown; /* NaN when the model gave no finite number */
	double low;      /* both NaN when the model knows no residuals */
	double high;
	uint32_t outside; /* features outside the training range; they widen the interval */
	uint32_t missing; /* features that were NaN */
};

/*
 * Reads, validates (structure, attributes, golden vectors to 1e-5) and loads a model file.
 * returns 0 and an owned reference; -ENOENT, -EFBIG, -EBADMSG (malformed, with what and where),
 * -EPROTO (another schema version, unknown feature), -EIO (libxgboost failed), -ENOMEM.
 */
int km_model_open(const char *path, struct km_model **out, struct km_err *err) KM_MUST_CHECK;

/* The same from memory; nothing of `bytes` is kept. A file without a name gets "". */
int km_model_open_bytes(const void *bytes, size_t len, struct km_model **out,
                        struct km_err *err) KM_MUST_CHECK;

struct km_model *km_model_ref(struct km_model *m);
void km_model_unref(struct km_model *m); /* NULL allowed */

const struct km_schema *km_model_schema(const struct km_model *m); /* borrowed */
void km_model_info(const struct km_model *m, struct km_model_info *out);

/*
 * rows [row_count][schema->count], NaN = missing. out [row_count]. Any thread.
 * returns 0; -ENOMEM; -EIO with XGBoost's own message. out is undefined after an error.
 */
int km_model_predict(struct km_model *m, const float *rows, size_t row_count,
                     struct km_prediction *out, struct km_err *err) KM_MUST_CHECK;

/*
 * SHAP contributions of one row to ln(slowdown): out [schema->count + 1], the last one is the bias;
 * their sum is ln of the prediction. About a millisecond a row: on demand only. Any thread.
 * returns 0, or -EIO with XGBoost's own message.
 */
int km_model_contributions(struct km_model *m, const float *row, float *out,
                           struct km_err *err) KM_MUST_CHECK;

/* The rows whose predictions the file holds: [*count][schema->count], NaN = missing. Borrowed. */
const float *km_model_golden(const struct km_model *m, size_t *count);

/*
 * Each feature's share of what the trees' splits gained in training: out [schema->count], in all 1
 * (all 0 for trees without a split). For tools: not while another thread uses the model.
 * returns 0, or -EIO with XGBoost's own message.
 */
int km_model_gain(struct km_model *m, double *out, struct km_err *err) KM_MUST_CHECK;

/* The interval of `knot` [count >= 1] at a margin. */
void km_interval_at(const struct km_interval_knot *knot, size_t count, double margin, double *low,
                    double *high);

/*
 * Keeps OpenMP to the calling thread and libxgboost quiet in it. Every function here does it by
 * itself at a thread's first call; calling it when the thread starts moves the cost there.
 */
void km_model_thread_init(void);

/* "1.7.4": the library this process runs with. */
const char *km_model_library_version(void);

#endif
