/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attributes of a model file: which there are and how each is written. Lists are lines, the
 * numbers in a line are parted by one blank; no JSON, so that this room needs no library for it.
 * A file is believed only after every one of them has been read.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "km/base/num.h"

#include "model_internal.h"

#define PREFIX         "kubemarla."
#define GOLDEN_MAX     64
#define NAME_MAX_BYTES 128
#define TEXT_MAX_BYTES 65536
#define RESIDUAL_MAX   10.0 /* e^10: no latency ratio is known better and means anything */

static const struct {
	const char *name;
	bool optional;
} attrs[KM_ATTR_N] = {
	[KM_ATTR_SCHEMA_VERSION] = { PREFIX "schema_version", false }, /* "1" */
	[KM_ATTR_NAME] = { PREFIX "name", true },
	[KM_ATTR_TASK] = { PREFIX "task", false },         /* placement or diagnosis */
	[KM_ATTR_TARGET] = { PREFIX "target", false },     /* what a margin is: log_slowdown */
	[KM_ATTR_FEATURES] = { PREFIX "features", false }, /* a name a line, in column order */
	[KM_ATTR_WINDOW_S] = { PREFIX "window_s", false },
	[KM_ATTR_BIN_S] = { PREFIX "bin_s", false },
	[KM_ATTR_TIER] = { PREFIX "tier", false },
	[KM_ATTR_CLASSES] = { PREFIX "classes", true }, /* a name a line */
	[KM_ATTR_RESIDUAL_SD] = { PREFIX "residual_sd", false },
	[KM_ATTR_INTERVAL_LOW] = { PREFIX "interval_low", false },
	[KM_ATTR_INTERVAL_HIGH] = { PREFIX "interval_high", false },
	[KM_ATTR_INTERVAL_KNOTS] = { PREFIX "interval_knots", true }, /* "margin low high" a line */
	[KM_ATTR_RANGES] = { PREFIX "ranges", false }, /* "low high" a line, in column order */
	[KM_ATTR_PROVENANCE] = { PREFIX "provenance", true },
	[KM_ATTR_LIBRARY_VERSION] = { PREFIX "library_version", false },
	[KM_ATTR_METRICS_JSON] = { PREFIX "metrics_json", true },
	[KM_ATTR_GOLDEN] = { PREFIX "golden", false }, /* a row and its margin a line */
};

const char *km_attr_name(enum km_attr a)
{
	return attrs[a].name;
}

void km_attrs_collect(void *ctx, const char *name, size_t name_len, const char *value,
                      size_t value_len)
{
	struct km_attrs *a = ctx;
	struct km_ubj_text key = { name, name_len };

	for (size_t i = 0; i < KM_ATTR_N; i++) {
		if (!km_ubj_text_is(&key, attrs[i].name))
			continue;
		if (a->value[i].text)
			a->doubled = attrs[i].name;
		a->value[i] = (struct km_ubj_text){ value, value_len };
	}
}

void km_attrs_put_number(struct km_buf *out, double value)
{
	if (isnan(value))
		km_buf_str(out, "nan");
	else
		km_buf_printf(out, "%.9g", value);
}

/* Splits off what stands before the next `separator`. returns false when nothing is left. */
static bool next_part(struct km_ubj_text *rest, char separator, struct km_ubj_text *part)
{
	const char *at;

	if (!rest->text)
		return false;
	at = memchr(rest->text, separator, rest->len);
	part->text = rest->text;
	part->len = at ? (size_t)(at - rest->text) : rest->len;
	rest->text = at ? at + 1 : NULL;
	rest->len = at ? rest->len - part->len - 1 : 0;
	return true;
}

static size_t count_lines(const struct km_ubj_text *t)
{
	size_t count = 1;

	for (size_t i = 0; i < t->len; i++)
		count += t->text[i] == '\n';
	return t->len == 0 ? 0 : count;
}

static int bad(struct km_err *err, enum km_attr a, const char *why)
{
	return km_err_set(err, EBADMSG, "attribute %s: %s", attrs[a].name, why);
}

/* Text that goes into logs and answers as it is: printable ASCII. */
static int read_word(const struct km_attrs *a, enum km_attr which, struct km_model *m,
                     const char **out, struct km_err *err)
{
	const struct km_ubj_text *t = &a->value[which];

	if (t->len > NAME_MAX_BYTES)
		return bad(err, which, "longer than 128 bytes");
	for (size_t i = 0; i < t->len; i++) {
		if (t->text[i] < 0x20 || t->text[i] > 0x7e)
			return bad(err, which, "not printable ASCII");
	}
	*out = km_arena_strndup(&m->arena, t->text ? t->text : "", t->len);
	return *out ? 0 : km_err_set(err, ENOMEM, "model: out of memory");
}

static int read_text(const struct km_attrs *a, enum km_attr which, struct km_model *m,
                     const char **out, struct km_err *err)
{
	const struct km_ubj_text *t = &a->value[which];

	if (t->len > TEXT_MAX_BYTES)
		return bad(err, which, "longer than 65536 bytes");
	if (t->len > 0 && memchr(t->text, '\0', t->len))
		return bad(err, which, "holds a NUL byte");
	*out = km_arena_strndup(&m->arena, t->text ? t->text : "", t->len);
	return *out ? 0 : km_err_set(err, ENOMEM, "model: out of memory");
}

static int read_number(const struct km_attrs *a, enum km_attr which, double *out,
                       struct km_err *err)
{
	const struct km_ubj_text *t = &a->value[which];

	return km_num_double(t->text, t->len, out) == 0 ? 0 : bad(err, which, "not a number");
}

/* NaN is allowed: a model may come without held-out residuals, and then without an interval. */
static int read_residuals(const struct km_attrs *a, struct km_model_info *info, struct km_err *err)
{
	int rc = read_number(a, KM_ATTR_RESIDUAL_SD, &info->residual_sd, err);

	if (rc == 0)
		rc = read_number(a, KM_ATTR_INTERVAL_LOW, &info->interval_low, err);
	if (rc == 0)
		rc = read_number(a, KM_ATTR_INTERVAL_HIGH, &info->interval_high, err);
	if (rc != 0)
		return rc;
	if (info->residual_sd < 0 || info->residual_sd > RESIDUAL_MAX)
		return bad(err, KM_ATTR_RESIDUAL_SD, "want 0..10 or nan");
	if (info->interval_low > info->interval_high || info->interval_low < -RESIDUAL_MAX ||
	    info->interval_high > RESIDUAL_MAX)
		return bad(err, KM_ATTR_INTERVAL_LOW, "want -10 <= low <= high <= 10, or nan");
	return 0;
}

static int read_schema(const struct km_attrs *a, struct km_model *m, struct km_err *err)
{
	struct km_ubj_text rest = a->value[KM_ATTR_FEATURES];
	size_t count = count_lines(&rest);
	struct km_ubj_text line;
	double window_s;
	double bin_s;
	char **names;
	int rc;

	if (count == 0 || count > KM_FEATURES_MAX)
		return km_err_set(err, EBADMSG, "attribute %s: %zu names, want 1..%d",
		                  attrs[KM_ATTR_FEATURES].name, count, KM_FEATURES_MAX);
	names = km_arena_calloc(&m->arena, count, sizeof(*names));
	for (size_t i = 0; names && next_part(&rest, '\n', &line); i++) {
		if (line.len >= KM_FEATURE_NAME_MAX || memchr(line.text, '\0', line.len))
			return bad(err, KM_ATTR_FEATURES, "a name is too long");
		names[i] = km_arena_strndup(&m->arena, line.text, line.len);
		if (!names[i])
			names = NULL;
	}
	if (!names)
		return km_err_set(err, ENOMEM, "model: out of memory");
	rc = read_number(a, KM_ATTR_WINDOW_S, &window_s, err);
	if (rc == 0)
		rc = read_number(a, KM_ATTR_BIN_S, &bin_s, err);
	if (rc != 0)
		return rc;
	rc = km_schema_create((const char *const *)names, count, window_s, bin_s, &m->schema, err);
	/* Well-formed but not for this program: its vocabulary is not ours. */
	if (rc == -EINVAL || rc == -E2BIG) {
		(void)km_err_prefix(err, "attribute %s", attrs[KM_ATTR_FEATURES].name);
		return km_err_recode(err, EPROTO);
	}
	return rc;
}

/* What the names already imply is written down too: a disagreement means another vocabulary. */
static int check_implied(const struct km_attrs *a, const struct km_schema *s, struct km_err *err)
{
	struct km_ubj_text rest = a->value[KM_ATTR_CLASSES];
	struct km_ubj_text line;
	size_t i = 0;

	if (!km_ubj_text_is(&a->value[KM_ATTR_TIER], km_tier_name(s->tier)))
		return km_err_set(err, EPROTO, "attribute %s: want \"%s\", as its features need",
		                  attrs[KM_ATTR_TIER].name, km_tier_name(s->tier));
	if (rest.len == 0)
		rest.text = NULL;
	for (; next_part(&rest, '\n', &line); i++) {
		if (i >= s->class_count || !km_ubj_text_is(&line, s->classes[i]))
			return km_err_set(err, EPROTO,
			                  "attribute %s: not the classes of its features",
			                  attrs[KM_ATTR_CLASSES].name);
	}
	if (i != s->class_count)
		return km_err_set(err, EPROTO, "attribute %s: %zu classes, its features have %u",
		                  attrs[KM_ATTR_CLASSES].name, i, s->class_count);
	return 0;
}

/* Reads `count` numbers parted by blanks. returns false unless exactly that many are there. */
static bool read_row(struct km_ubj_text line, size_t count, double *out)
{
	struct km_ubj_text part;
	size_t i = 0;

	for (; next_part(&line, ' ', &part); i++) {
		if (i == count || km_num_double(part.text, part.len, &out[i]) != 0)
			return false;
	}
	return i == count;
}

static int read_knots(const struct km_attrs *a, struct km_model *m, struct km_err *err)
{
	struct km_ubj_text rest = a->value[KM_ATTR_INTERVAL_KNOTS];
	size_t count = count_lines(&rest);
	struct km_interval_knot *knot;
	struct km_ubj_text line;

	if (count == 0)
		return 0;
	if (count > KM_INTERVAL_KNOTS_MAX)
		return bad(err, KM_ATTR_INTERVAL_KNOTS, "more than 16 lines");
	knot = km_arena_calloc(&m->arena, count, sizeof(*knot));
	if (!knot)
		return km_err_set(err, ENOMEM, "model: out of memory");
	for (size_t i = 0; next_part(&rest, '\n', &line); i++) {
		double v[3];

		if (!read_row(line, KM_ARRAY_LEN(v), v) || !(fabs(v[0]) <= RESIDUAL_MAX) ||
		    !(v[1] >= -RESIDUAL_MAX && v[1] <= v[2] && v[2] <= RESIDUAL_MAX) ||
		    (i > 0 && !(v[0] > knot[i - 1].margin))) {
			return bad(
				err, KM_ATTR_INTERVAL_KNOTS,
				"want lines \"margin low high\", margins ascending, -10 <= low <= "
				"high <= 10");
		}
		knot[i] = (struct km_interval_knot){ v[0], v[1], v[2] };
	}
	m->info.knot = knot;
	m->info.knot_count = count;
	return 0;
}

static int read_ranges(const struct km_attrs *a, struct km_model *m, struct km_err *err)
{
	struct km_ubj_text rest = a->value[KM_ATTR_RANGES];
	size_t count = m->schema->count;
	double *low = km_arena_calloc(&m->arena, count, sizeof(*low));
	double *high = km_arena_calloc(&m->arena, count, sizeof(*high));
	struct km_ubj_text line;

	if (!low || !high)
		return km_err_set(err, ENOMEM, "model: out of memory");
	if (count_lines(&rest) != count)
		return km_err_set(err, EBADMSG, "attribute %s: %zu lines, want %zu",
		                  attrs[KM_ATTR_RANGES].name, count_lines(&rest), count);
	for (size_t i = 0; next_part(&rest, '\n', &line); i++) {
		double pair[2] = { NAN, NAN };
		bool good = read_row(line, 2, pair) && !isinf(pair[0]) && !isinf(pair[1]) &&
		            isnan(pair[0]) == isnan(pair[1]) && !(pair[0] > pair[1]);

		if (!good) {
			line.len = line.len < 40 ? line.len : 40;
			return km_err_set(err, EBADMSG,
			                  "attribute %s: \"%.*s\" for %s, want \"low high\"",
			                  attrs[KM_ATTR_RANGES].name, (int)line.len, line.text,
			                  m->schema->feature[i].name);
		}
		low[i] = pair[0];
		high[i] = pair[1];
	}
	m->info.range_low = low;
	m->info.range_high = high;
	return 0;
}

static int read_golden(const struct km_attrs *a, struct km_model *m, struct km_err *err)
{
	struct km_ubj_text rest = a->value[KM_ATTR_GOLDEN];
	size_t columns = m->schema->count;
	size_t count = count_lines(&rest);
	struct km_ubj_text line;
	float *margin;
	double *row;
	float *rows;

	if (count == 0 || count > GOLDEN_MAX)
		return km_err_set(err, EBADMSG, "attribute %s: %zu lines, want 1..%d",
		                  attrs[KM_ATTR_GOLDEN].name, count, GOLDEN_MAX);
	rows = km_arena_calloc(&m->arena, count * columns, sizeof(*rows));
	margin = km_arena_calloc(&m->arena, count, sizeof(*margin));
	row = km_arena_calloc(&m->arena, columns + 1, sizeof(*row));
	if (!rows || !margin || !row)
		return km_err_set(err, ENOMEM, "model: out of memory");
	for (size_t i = 0; next_part(&rest, '\n', &line); i++) {
		if (!read_row(line, columns + 1, row) || !isfinite(row[columns]))
			return km_err_set(err, EBADMSG,
			                  "attribute %s: line %zu, want %zu numbers and a margin",
			                  attrs[KM_ATTR_GOLDEN].name, i + 1, columns);
		for (size_t j = 0; j < columns; j++)
			rows[i * columns + j] = (float)row[j];
		margin[i] = (float)row[columns];
	}
	m->golden = (struct km_golden){ rows, margin, count };
	return 0;
}

static int check_present(const struct km_attrs *a, struct km_err *err)
{
	const struct km_ubj_text *version = &a->value[KM_ATTR_SCHEMA_VERSION];

	if (a->doubled)
		return km_err_set(err, EBADMSG, "attribute %s twice", a->doubled);
	/* First, as its absence means a model that is not ours at all. */
	if (!version->text)
		return km_err_set(err, EPROTO, "no attribute %s: not a KubeMarla model",
		                  attrs[KM_ATTR_SCHEMA_VERSION].name);
	if (!km_ubj_text_is(version, KM_MODEL_SCHEMA_VERSION)) {
		return km_err_set(err, EPROTO, "schema version \"%.*s\", want \"%s\"",
		                  (int)(version->len < 16 ? version->len : 16), version->text,
		                  KM_MODEL_SCHEMA_VERSION);
	}
	for (size_t i = 0; i < KM_ATTR_N; i++) {
		if (!attrs[i].optional && !a->value[i].text)
			return km_err_set(err, EBADMSG, "no attribute %s", attrs[i].name);
	}
	if (!km_ubj_text_is(&a->value[KM_ATTR_TARGET], KM_MODEL_TARGET))
		return km_err_set(err, EPROTO, "attribute %s: want \"%s\"",
		                  attrs[KM_ATTR_TARGET].name, KM_MODEL_TARGET);
	if (!km_ubj_text_is(&a->value[KM_ATTR_TASK], "placement") &&
	    !km_ubj_text_is(&a->value[KM_ATTR_TASK], "diagnosis"))
		return km_err_set(err, EPROTO, "attribute %s: want placement or diagnosis",
		                  attrs[KM_ATTR_TASK].name);
	return 0;
}

int km_attrs_read(const struct km_attrs *a, struct km_model *m, struct km_err *err)
{
	int rc = check_present(a, err);

	if (rc == 0)
		rc = read_word(a, KM_ATTR_NAME, m, &m->info.name, err);
	if (rc == 0)
		rc = read_word(a, KM_ATTR_TASK, m, &m->info.task, err);
	if (rc == 0)
		rc = read_word(a, KM_ATTR_LIBRARY_VERSION, m, &m->info.library, err);
	if (rc == 0)
		rc = read_text(a, KM_ATTR_PROVENANCE, m, &m->info.provenance, err);
	if (rc == 0)
		rc = read_text(a, KM_ATTR_METRICS_JSON, m, &m->info.metrics_json, err);
	if (rc == 0)
		rc = read_residuals(a, &m->info, err);
	if (rc == 0)
		rc = read_schema(a, m, err);
	if (rc == 0)
		rc = check_implied(a, m->schema, err);
	if (rc == 0)
		rc = read_knots(a, m, err);
	if (rc == 0)
		rc = read_ranges(a, m, err);
	if (rc == 0)
		rc = read_golden(a, m, err);
	return rc;
}
