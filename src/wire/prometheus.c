/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instant queries' answers, walked by the scanner: what was passed once is well-formed, so the
 * second look at a slice cannot fail for its form. Pure, any thread.
 */
#include "km/wire/prometheus.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "km/base/num.h"
#include "km/wire/scan.h"

#define DEPTH_MAX 16 /* an answer needs 6 */
#define SAID_MAX  120

static int no_answer(struct km_err *err, const char *saw)
{
	return km_err_set(err, EPROTO, "Prometheus: saw %.60s, want the answer to an instant query",
	                  saw);
}

static int no_memory(struct km_err *err)
{
	return km_err_set(err, ENOMEM, "Prometheus: out of memory");
}

/* A string's content into out [size], cut and NUL-terminated; "" when it is none. */
static const char *said(const struct km_json_slice *s, struct km_arena *arena, char *out,
                        size_t size)
{
	char *text = s->kind == KM_JSON_STRING ? km_arena_alloc(arena, s->len) : NULL;
	size_t len = text != NULL ? km_json_unescape(s, text) : 0;

	len = len < size ? len : size - 1;
	if (len > 0)
		memcpy(out, text, len);
	out[len] = '\0';
	return out;
}

static int name_of(const struct km_json_slice *s, struct km_arena *arena, struct km_name *out)
{
	char *text;

	if (!s->escaped) {
		*out = (struct km_name){ s->text + 1, (uint32_t)(s->len - 2) };
		return 0;
	}
	text = km_arena_alloc(arena, s->len);
	if (text == NULL)
		return -ENOMEM;
	*out = (struct km_name){ text, (uint32_t)km_json_unescape(s, text) };
	return 0;
}

/* How many entries the array or object is of; it was passed before. */
static size_t entries(const struct km_json_slice *slice)
{
	struct km_scan s;
	size_t count = 0;

	km_scan_init(&s, slice->text, slice->len, DEPTH_MAX, NULL);
	if (slice->kind == KM_JSON_ARRAY ? km_scan_array(&s) != 0 : km_scan_object(&s) != 0)
		return 0;
	while ((slice->kind == KM_JSON_ARRAY ? km_scan_element(&s) : km_scan_member(&s, NULL)) ==
	               KM_SCAN_MORE &&
	       km_scan_value(&s, NULL) == 0)
		count++;
	return count;
}

/* [time, "value"]: the number as text, since JSON has no NaN. */
static int read_sample(const struct km_json_slice *slice, struct km_prometheus_series *out)
{
	struct km_json_slice time;
	struct km_json_slice value;
	struct km_scan s;

	km_scan_init(&s, slice->text, slice->len, DEPTH_MAX, NULL);
	if (slice->kind != KM_JSON_ARRAY || km_scan_array(&s) != 0 ||
	    km_scan_element(&s) != KM_SCAN_MORE || km_scan_value(&s, &time) != 0 ||
	    km_scan_element(&s) != KM_SCAN_MORE || km_scan_value(&s, &value) != 0 ||
	    km_scan_element(&s) != KM_SCAN_END)
		return -EPROTO;
	if (time.kind != KM_JSON_NUMBER || km_num_double(time.text, time.len, &out->time_s) != 0 ||
	    value.kind != KM_JSON_STRING ||
	    km_num_double(value.text + 1, value.len - 2, &out->value) != 0)
		return -EPROTO;
	return 0;
}

static int read_labels(const struct km_json_slice *slice, struct km_arena *arena,
                       struct km_prometheus_series *out)
{
	size_t count = slice->kind == KM_JSON_OBJECT ? entries(slice) : 0;
	struct km_prometheus_label *label;
	struct km_json_slice key = { 0 };
	struct km_json_slice value;
	struct km_scan s;

	if (slice->kind != KM_JSON_OBJECT)
		return -EPROTO;
	count = count < KM_PROMETHEUS_LABELS_MAX ? count : KM_PROMETHEUS_LABELS_MAX;
	label = km_arena_calloc(arena, count + 1, sizeof(*label));
	if (label == NULL)
		return -ENOMEM;
	km_scan_init(&s, slice->text, slice->len, DEPTH_MAX, NULL);
	if (km_scan_object(&s) != 0)
		return -EPROTO;
	out->label = label;
	while (out->label_count < count && km_scan_member(&s, &key) == KM_SCAN_MORE) {
		struct km_prometheus_label *one = &label[out->label_count];

		if (km_scan_value(&s, &value) != 0 || value.kind != KM_JSON_STRING)
			return -EPROTO;
		if (name_of(&key, arena, &one->name) != 0 ||
		    name_of(&value, arena, &one->value) != 0)
			return -ENOMEM;
		out->label_count++;
	}
	return 0;
}

/* A native histogram has no one value: its series is kept with NaN. */
static int read_series(const struct km_json_slice *slice, struct km_arena *arena,
                       struct km_prometheus_series *out)
{
	struct km_json_slice metric;
	struct km_json_slice value;
	struct km_json_slice histogram;
	const struct km_json_want want[] = { { "metric", &metric },
		                             { "value", &value },
		                             { "histogram", &histogram } };
	struct km_scan s;
	int rc;

	*out = (struct km_prometheus_series){ .value = NAN, .time_s = NAN };
	km_scan_init(&s, slice->text, slice->len, DEPTH_MAX, NULL);
	if (slice->kind != KM_JSON_OBJECT ||
	    km_scan_members(&s, want, KM_ARRAY_LEN(want), false) != 0)
		return -EPROTO;
	rc = read_labels(&metric, arena, out);
	if (rc == 0 && (value.kind != KM_JSON_ABSENT || histogram.kind != KM_JSON_ARRAY))
		rc = read_sample(&value, out);
	return rc;
}

static int read_vector(const struct km_json_slice *result, size_t max, struct km_arena *arena,
                       struct km_prometheus_answer *out)
{
	size_t count = entries(result);
	size_t kept = count < max ? count : max;
	struct km_prometheus_series *series = km_arena_calloc(arena, kept + 1, sizeof(*series));
	struct km_json_slice one;
	struct km_scan s;
	int rc = 0;

	if (series == NULL)
		return -ENOMEM;
	km_scan_init(&s, result->text, result->len, DEPTH_MAX, NULL);
	if (km_scan_array(&s) != 0)
		return -EPROTO;
	for (size_t i = 0; i < kept && rc == 0; i++) {
		if (km_scan_element(&s) != KM_SCAN_MORE || km_scan_value(&s, &one) != 0)
			return -EPROTO;
		rc = read_series(&one, arena, &series[i]);
	}
	out->series = series;
	out->count = kept;
	out->left_out = count - kept;
	return rc;
}

static int read_scalar(const struct km_json_slice *result, struct km_arena *arena,
                       struct km_prometheus_answer *out)
{
	struct km_prometheus_series *series = km_arena_calloc(arena, 1, sizeof(*series));

	if (series == NULL)
		return -ENOMEM;
	out->series = series;
	out->count = 1;
	return read_sample(result, series);
}

static int read_data(const struct km_json_slice *data, size_t max, struct km_arena *arena,
                     struct km_prometheus_answer *out, struct km_err *err)
{
	struct km_json_slice type;
	struct km_json_slice result;
	const struct km_json_want want[] = { { "resultType", &type }, { "result", &result } };
	char text[SAID_MAX];
	struct km_scan s;
	int rc = -EPROTO;

	km_scan_init(&s, data->text, data->len, DEPTH_MAX, NULL);
	if (data->kind != KM_JSON_OBJECT ||
	    km_scan_members(&s, want, KM_ARRAY_LEN(want), false) != 0)
		return no_answer(err, "no data");
	if (result.kind != KM_JSON_ARRAY)
		return no_answer(err, "no result");
	if (strcmp(said(&type, arena, text, sizeof(text)), "vector") == 0)
		rc = read_vector(&result, max, arena, out);
	else if (strcmp(text, "scalar") == 0)
		rc = read_scalar(&result, arena, out);
	else
		return no_answer(err, text[0] != '\0' ? text : "no result type");
	if (rc == -ENOMEM)
		return no_memory(err);
	return rc != 0 ? no_answer(err, "series that are none") : 0;
}

int km_prometheus_decode(const char *body, size_t len, size_t max, struct km_arena *arena,
                         struct km_prometheus_answer *out, struct km_err *err)
{
	struct km_json_slice status;
	struct km_json_slice data;
	struct km_json_slice type;
	struct km_json_slice error;
	const struct km_json_want want[] = { { "status", &status },
		                             { "data", &data },
		                             { "errorType", &type },
		                             { "error", &error } };
	char word[SAID_MAX];
	char text[SAID_MAX];
	struct km_scan s;
	int rc;

	*out = (struct km_prometheus_answer){ .count = 0 };
	km_scan_init(&s, body, len, DEPTH_MAX, err);
	rc = km_scan_members(&s, want, KM_ARRAY_LEN(want), false);
	if (rc != 0)
		return rc;
	if (km_scan_peek(&s) != KM_JSON_ABSENT || s.p != s.end)
		return km_err_set(err, EINVAL, "JSON: saw more behind the answer, want its end");
	(void)said(&status, arena, word, sizeof(word));
	if (strcmp(word, "error") == 0)
		return km_err_set(err, EREMOTEIO, "Prometheus: %.40s: %.110s",
		                  said(&type, arena, word, sizeof(word)),
		                  said(&error, arena, text, sizeof(text)));
	if (strcmp(word, "success") != 0)
		return no_answer(err, "no status");
	rc = read_data(&data, max, arena, out, err);
	if (rc != 0)
		*out = (struct km_prometheus_answer){ .count = 0 };
	return rc;
}

struct km_name km_prometheus_label(const struct km_prometheus_series *s, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < s->label_count; i++) {
		if (s->label[i].name.len == len && memcmp(s->label[i].name.text, name, len) == 0)
			return s->label[i].value;
	}
	return (struct km_name){ NULL, 0 };
}

double km_prometheus_number(const struct km_prometheus_answer *a, bool *several)
{
	if (several != NULL)
		*several = a->count + a->left_out > 1;
	if (a->count != 1 || a->left_out > 0 || !isfinite(a->series[0].value))
		return NAN;
	return a->series[0].value;
}
