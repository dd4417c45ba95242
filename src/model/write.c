/* SPDX-License-Identifier: Apache-2.0 */
/* A booster and its description into a model file; the reader in attrs.c is the other half. */
#include <errno.h>
#include <stdlib.h>

#include "km/base/file.h"
#include "km/model/model.h"

#include "booster.h"
#include "model_internal.h"

static void put_optional(struct km_buf *out, const char *text)
{
	km_buf_str(out, text ? text : "");
}

static void put_features(struct km_buf *out, const struct km_schema *s)
{
	for (size_t i = 0; i < s->count; i++)
		km_buf_printf(out, "%s%s", i > 0 ? "\n" : "", s->feature[i].name);
}

static void put_classes(struct km_buf *out, const struct km_schema *s)
{
	for (size_t i = 0; i < s->class_count; i++)
		km_buf_printf(out, "%s%s", i > 0 ? "\n" : "", s->classes[i]);
}

static void put_ranges(struct km_buf *out, const struct km_model_meta *meta)
{
	for (size_t i = 0; i < meta->schema->count; i++) {
		if (i > 0)
			km_buf_char(out, '\n');
		km_attrs_put_number(out, meta->range_low[i]);
		km_buf_char(out, ' ');
		km_attrs_put_number(out, meta->range_high[i]);
	}
}

static int put_golden(struct km_buf *out, struct km_booster *b, const struct km_model_meta *meta,
                      struct km_err *err)
{
	size_t columns = meta->schema->count;
	float *margin = calloc(meta->golden_count, sizeof(*margin));
	int rc;

	if (!margin)
		return km_err_set(err, ENOMEM, "model: out of memory");
	rc = km_booster_predict(b, meta->golden, meta->golden_count, margin, err);
	for (size_t i = 0; rc == 0 && i < meta->golden_count; i++) {
		if (i > 0)
			km_buf_char(out, '\n');
		for (size_t j = 0; j < columns; j++) {
			km_attrs_put_number(out, (double)meta->golden[i * columns + j]);
			km_buf_char(out, ' ');
		}
		km_attrs_put_number(out, (double)margin[i]);
	}
	free(margin);
	return rc;
}

static void put_knots(struct km_buf *out, const struct km_model_meta *meta)
{
	for (size_t i = 0; i < meta->knot_count; i++) {
		const struct km_interval_knot *k = &meta->knot[i];

		if (i > 0)
			km_buf_char(out, '\n');
		km_attrs_put_number(out, k->margin);
		km_buf_char(out, ' ');
		km_attrs_put_number(out, k->low);
		km_buf_char(out, ' ');
		km_attrs_put_number(out, k->high);
	}
}

/* The value of one attribute. */
static int put_value(struct km_buf *out, enum km_attr which, struct km_booster *b,
                     const struct km_model_meta *meta, struct km_err *err)
{
	switch (which) {
	case KM_ATTR_SCHEMA_VERSION:
		km_buf_str(out, KM_MODEL_SCHEMA_VERSION);
		break;
	case KM_ATTR_NAME:
		put_optional(out, meta->name);
		break;
	case KM_ATTR_TASK:
		put_optional(out, meta->task);
		break;
	case KM_ATTR_TARGET:
		km_buf_str(out, KM_MODEL_TARGET);
		break;
	case KM_ATTR_FEATURES:
		put_features(out, meta->schema);
		break;
	case KM_ATTR_WINDOW_S:
		km_attrs_put_number(out, meta->schema->window_s);
		break;
	case KM_ATTR_BIN_S:
		km_attrs_put_number(out, meta->schema->bin_s);
		break;
	case KM_ATTR_TIER:
		km_buf_str(out, km_tier_name(meta->schema->tier));
		break;
	case KM_ATTR_CLASSES:
		put_classes(out, meta->schema);
		break;
	case KM_ATTR_RESIDUAL_SD:
		km_attrs_put_number(out, meta->residual_sd);
		break;
	case KM_ATTR_INTERVAL_LOW:
		km_attrs_put_number(out, meta->interval_low);
		break;
	case KM_ATTR_INTERVAL_HIGH:
		km_attrs_put_number(out, meta->interval_high);
		break;
	case KM_ATTR_INTERVAL_KNOTS:
		put_knots(out, meta);
		break;
	case KM_ATTR_RANGES:
		put_ranges(out, meta);
		break;
	case KM_ATTR_PROVENANCE:
		put_optional(out, meta->provenance);
		break;
	case KM_ATTR_LIBRARY_VERSION:
		km_buf_str(out, km_model_library_version());
		break;
	case KM_ATTR_METRICS_JSON:
		put_optional(out, meta->metrics_json);
		break;
	case KM_ATTR_GOLDEN:
		return put_golden(out, b, meta, err);
	case KM_ATTR_N:
		break;
	}
	return 0;
}

static int set_attributes(struct km_booster *b, const struct km_model_meta *meta,
                          struct km_err *err)
{
	struct km_buf value;
	int rc = 0;

	km_buf_init(&value);
	for (int i = 0; i < KM_ATTR_N && rc == 0; i++) {
		km_buf_clear(&value);
		rc = put_value(&value, (enum km_attr)i, b, meta, err);
		(void)km_buf_cstr(&value); /* may be the allocation that fails */
		if (rc == 0 && !km_buf_ok(&value))
			rc = km_err_set(err, ENOMEM, "model: out of memory");
		if (rc == 0 && XGBoosterSetAttr(b->handle, km_attr_name((enum km_attr)i),
		                                km_buf_cstr(&value)) != 0)
			rc = km_xgb_error(err, "XGBoosterSetAttr");
	}
	km_buf_fini(&value);
	return rc;
}

int km_model_write(const char *path, struct km_booster *b, const struct km_model_meta *meta,
                   struct km_err *err)
{
	struct km_model *check = NULL;
	const char *raw = NULL;
	bst_ulong len = 0;
	struct km_buf bytes;
	int rc;

	km_model_thread_init();
	if (meta->schema->count != b->feature_count)
		return km_err_set(err, EINVAL, "%u feature names, but the trees have %zu",
		                  meta->schema->count, b->feature_count);
	if (meta->golden_count == 0)
		return km_err_set(err, EINVAL, "no golden vectors, want at least one");
	km_buf_init(&bytes);
	rc = set_attributes(b, meta, err);
	if (rc != 0)
		goto out;
	if (XGBoosterSaveModelToBuffer(b->handle, "{\"format\": \"ubj\"}", &len, &raw) != 0) {
		rc = km_xgb_error(err, "XGBoosterSaveModelToBuffer");
		goto out;
	}
	km_buf_append(&bytes, raw, len);
	if (!km_buf_ok(&bytes)) {
		rc = km_err_set(err, ENOMEM, "model: out of memory");
		goto out;
	}
	rc = km_model_open_bytes(bytes.data, bytes.len, &check, err);
	if (rc != 0) {
		(void)km_err_prefix(err, "not written, as it could not be opened");
		goto out;
	}
	rc = km_file_write_atomic(path, bytes.data, bytes.len, err);
out:
	km_model_unref(check);
	km_buf_fini(&bytes);
	return rc;
}
