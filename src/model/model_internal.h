/* SPDX-License-Identifier: Apache-2.0 */
/* A loaded model, and the attributes of a model file, as this room's files share them. */
#ifndef KM_MODEL_MODEL_INTERNAL_H
#define KM_MODEL_MODEL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "km/base/arena.h"
#include "km/base/buf.h"
#include "km/model/model.h"

#include "ubj.h"
#include "xgb.h"

#define KM_PROXIES_IDLE_MAX 16

/* Of the attributes, not of the trees; a change of meaning needs a new one. */
#define KM_MODEL_SCHEMA_VERSION "1"
/* What a margin is. */
#define KM_MODEL_TARGET "log_slowdown"

/* libxgboost's proxy matrices waiting for a caller; more callers at once make their own. */
struct km_proxies {
	pthread_mutex_t lock;
	DMatrixHandle idle[KM_PROXIES_IDLE_MAX];
	size_t count;
};

/* Rows whose margins were written down at training. */
struct km_golden {
	const float *rows;   /* [count][feature_count] */
	const float *margin; /* [count] */
	size_t count;
};

struct km_model {
	_Atomic uint32_t refs;
	struct km_arena arena; /* everything info and golden point to */
	struct km_schema *schema;
	struct km_model_info info;
	struct km_golden golden;
	BoosterHandle booster; /* configured at load: predicting never changes it */
	struct km_proxies proxies;
};

/* The attributes, all with the prefix "kubemarla."; what each holds is said in attrs.c. */
enum km_attr {
	KM_ATTR_SCHEMA_VERSION,
	KM_ATTR_NAME,
	KM_ATTR_TASK,
	KM_ATTR_TARGET,
	KM_ATTR_FEATURES,
	KM_ATTR_WINDOW_S,
	KM_ATTR_BIN_S,
	KM_ATTR_TIER,
	KM_ATTR_CLASSES,
	KM_ATTR_RESIDUAL_SD,
	KM_ATTR_INTERVAL_LOW,
	KM_ATTR_INTERVAL_HIGH,
	KM_ATTR_INTERVAL_KNOTS,
	KM_ATTR_RANGES,
	KM_ATTR_PROVENANCE,
	KM_ATTR_LIBRARY_VERSION,
	KM_ATTR_METRICS_JSON,
	KM_ATTR_GOLDEN,
	KM_ATTR_N,
};

/* Where the values are in the file's bytes; text NULL = absent. */
struct km_attrs {
	struct km_ubj_text value[KM_ATTR_N];
	const char *doubled; /* name of one that came twice, or NULL */
};

/* Full name with prefix, static. */
const char *km_attr_name(enum km_attr a);

/* The km_model_attr_fn that fills a struct km_attrs, which ctx is; foreign names are ignored. */
void km_attrs_collect(void *ctx, const char *name, size_t name_len, const char *value,
                      size_t value_len);

/*
 * Fills schema, info and golden of `m` from the attributes; copies into m->arena.
 * returns 0; -EPROTO (another schema version, unknown feature), -EBADMSG (missing, malformed),
 * -ENOMEM.
 */
int km_attrs_read(const struct km_attrs *a, struct km_model *m, struct km_err *err) KM_MUST_CHECK;

/* Numbers as attributes hold them: 9 digits bring a float back exactly; "nan" for NaN. */
void km_attrs_put_number(struct km_buf *out, double value);

/* Keeps the text, changes the code. returns -code. */
static inline int km_err_recode(struct km_err *err, int code)
{
	if (err)
		err->code = code;
	return -code;
}

void km_proxies_fini(struct km_proxies *p);

/* Margins (ln slowdown) of many rows, by any thread. */
int km_model_margins(struct km_model *m, const float *rows, size_t row_count, float *out,
                     struct km_err *err) KM_MUST_CHECK;

#endif
