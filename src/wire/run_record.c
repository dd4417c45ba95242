/* SPDX-License-Identifier: Apache-2.0 */
/* A run's record both ways, from one table of fields. Read once a run: cJSON will do. */
#include "km/wire/run_record.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "km/wire/json.h"

#define EXACT_MAX 9007199254740992.0 /* 2^53: beyond it a double skips integers */

enum kind {
	NUMBER, /* double; null = NaN */
	WHOLE,  /* unsigned */
	LONG,   /* uint64_t or int64_t, at most 2^53, not negative */
	BOOL,
	TEXT, /* char []; plain ASCII once read */
	NAME, /* the same: letters, digits and "._-/:"; part of paths and of CSV */
};

struct field {
	const char *section; /* NULL = the object itself */
	const char *key;
	enum kind kind;
	size_t offset, size;
	bool required;
};

#define AT(member)                                                                                 \
	.offset = offsetof(struct km_run_record, member),                                          \
	.size = sizeof(((struct km_run_record *)0)->member)

/* clang-format off: a table */
static const struct field fields[] = {
	{ NULL, "id", NAME, AT(id), .required = true },
	{ NULL, "plan", NAME, AT(plan), .required = true },
	{ NULL, "repeat", WHOLE, AT(repeat), .required = true },
	{ NULL, "attempt", WHOLE, AT(attempt) },
	{ NULL, "stressed", BOOL, AT(stressed), .required = true },
	{ NULL, "stressor", NAME, AT(stressor) },
	{ NULL, "levelPercent", WHOLE, AT(level_pct) },
	{ NULL, "on", NAME, AT(on) },
	{ NULL, "stressNode", NAME, AT(stress_node) },
	{ NULL, "targetNode", NAME, AT(target_node), .required = true },
	{ NULL, "replicas", WHOLE, AT(replicas), .required = true },
	{ NULL, "rps", NUMBER, AT(rps), .required = true },
	{ NULL, "startUnixMs", LONG, AT(start_unix_ms) },
	{ NULL, "intervalSeconds", NUMBER, AT(interval_s) },
	{ NULL, "tier", NAME, AT(tier) },
	{ NULL, "traceBefore", NAME, AT(trace_before), .required = true },
	{ NULL, "traceDuring", NAME, AT(trace_during), .required = true },
	{ NULL, "serverRequests", NUMBER, AT(server_requests) },
	{ NULL, "prometheusP99Ms", NUMBER, AT(kpi_p99_ms) },
	{ NULL, "prometheusRps", NUMBER, AT(kpi_rps) },
	{ NULL, "saturated", BOOL, AT(saturated) },
	{ NULL, "gate", TEXT, AT(gate) },
	{ "load", "generator", NAME, AT(load.generator) },
	{ "load", "version", TEXT, AT(load.version) },
	{ "load", "openLoop", BOOL, AT(load.open_loop) },
	{ "load", "offeredRps", NUMBER, AT(load.offered_rps) },
	{ "load", "achievedRps", NUMBER, AT(load.achieved_rps) },
	{ "load", "meanMs", NUMBER, AT(load.mean_ms) },
	{ "load", "p50Ms", NUMBER, AT(load.p50_ms) },
	{ "load", "p90Ms", NUMBER, AT(load.p90_ms) },
	{ "load", "p95Ms", NUMBER, AT(load.p95_ms) },
	{ "load", "p99Ms", NUMBER, AT(load.p99_ms) },
	{ "load", "maxMs", NUMBER, AT(load.max_ms) },
	{ "load", "requests", LONG, AT(load.requests) },
	{ "load", "errors", LONG, AT(load.errors) },
	{ "before", "seconds", NUMBER, AT(before.seconds) },
	{ "before", "busyCpus", NUMBER, AT(before.busy_cpus) },
	{ "before", "ownCpus", NUMBER, AT(before.own_cpus) },
	{ "before", "foreignCpus", NUMBER, AT(before.foreign_cpus) },
	{ "before", "targetUtilisation", NUMBER, AT(before.target_utilisation) },
	{ "during", "seconds", NUMBER, AT(during.seconds) },
	{ "during", "busyCpus", NUMBER, AT(during.busy_cpus) },
	{ "during", "ownCpus", NUMBER, AT(during.own_cpus) },
	{ "during", "foreignCpus", NUMBER, AT(during.foreign_cpus) },
	{ "during", "targetUtilisation", NUMBER, AT(during.target_utilisation) },
};
/* clang-format on */

static bool same_section(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

void km_run_record_init(struct km_run_record *r)
{
	memset(r, 0, sizeof(*r));
	for (size_t i = 0; i < KM_ARRAY_LEN(fields); i++) {
		if (fields[i].kind == NUMBER)
			memcpy((char *)r + fields[i].offset, &(double){ NAN }, sizeof(double));
	}
}

/* ---- writing ---- */

static void put_field(struct km_json *j, const struct field *f, const struct km_run_record *r)
{
	const char *at = (const char *)r + f->offset;
	double number;
	unsigned whole;
	uint64_t big;

	switch (f->kind) {
	case NUMBER:
		memcpy(&number, at, sizeof(number));
		km_json_put_number(j, f->key, number);
		break;
	case WHOLE:
		memcpy(&whole, at, sizeof(whole));
		km_json_put_integer(j, f->key, whole);
		break;
	case LONG:
		memcpy(&big, at, sizeof(big));
		km_json_put_integer(j, f->key, (long long)big);
		break;
	case BOOL:
		km_json_put_bool(j, f->key, *at != 0);
		break;
	case TEXT:
	case NAME:
		km_json_put_string(j, f->key, at);
		break;
	}
}

static void put_section(struct km_json *j, const char *section, const struct km_run_record *r)
{
	if (section != NULL) {
		km_json_key(j, section);
		km_json_begin(j, '{');
	}
	for (size_t i = 0; i < KM_ARRAY_LEN(fields); i++) {
		if (same_section(fields[i].section, section))
			put_field(j, &fields[i], r);
	}
	if (section != NULL)
		km_json_end(j, '}');
}

void km_run_record_encode(const struct km_run_record *r, struct km_buf *out)
{
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	put_section(&j, NULL, r);
	put_section(&j, "load", r);
	put_section(&j, "before", r);
	put_section(&j, "during", r);
	km_json_key(&j, "stress");
	km_json_begin(&j, '[');
	for (size_t i = 0; i < r->stress_count; i++) {
		const struct km_run_stress *s = &r->stress[i];

		km_json_begin(&j, '{');
		km_json_put_string(&j, "kind", s->kind);
		km_json_put_number(&j, "seconds", s->seconds);
		km_json_put_number(&j, "dutyRatio", s->duty_ratio);
		km_json_put_number(&j, "opsPerSecond", s->ops_per_s);
		km_json_put_number(&j, "bytesPerSecond", s->bytes_per_s);
		km_json_end(&j, '}');
	}
	km_json_end(&j, ']');
	km_json_end(&j, '}');
	km_buf_char(out, '\n');
}

/* ---- reading ---- */

static bool is_name(const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c > 127 || (!isalnum(c) && strchr("._-/:", c) == NULL))
			return false;
	}
	return true;
}

static bool take_text(const struct field *f, const cJSON *v, char *at)
{
	size_t len;

	if (!cJSON_IsString(v))
		return false;
	len = strlen(v->valuestring);
	if (len >= f->size || (f->kind == NAME && !is_name(v->valuestring)) ||
	    (f->required && len == 0))
		return false;
	memcpy(at, v->valuestring, len + 1);
	/* Free text is other programs' words: what is not plain is no reason to lose a run. */
	for (; *at != '\0'; at++) {
		if ((unsigned char)*at < ' ' || (unsigned char)*at > '~')
			*at = '?';
	}
	return true;
}

static bool take_number(const cJSON *v, double max, double *out)
{
	if (cJSON_IsNull(v)) {
		*out = NAN;
		return isinf(max) != 0; /* only measured ones may be unknown */
	}
	*out = v->valuedouble;
	if (!cJSON_IsNumber(v) || !isfinite(*out))
		return false;
	return isinf(max) || (*out >= 0 && *out <= max && *out == floor(*out));
}

/* returns false when the value is not of the field's kind. */
static bool take_field(const struct field *f, const cJSON *v, struct km_run_record *r)
{
	char *at = (char *)r + f->offset;
	double number = NAN;

	switch (f->kind) {
	case NUMBER:
		if (!take_number(v, INFINITY, &number) || (f->required && isnan(number)))
			return false;
		memcpy(at, &number, sizeof(number));
		return true;
	case WHOLE:
		if (!take_number(v, 1e9, &number))
			return false;
		memcpy(at, &(unsigned){ (unsigned)number }, sizeof(unsigned));
		return true;
	case LONG:
		if (!take_number(v, EXACT_MAX, &number))
			return false;
		memcpy(at, &(uint64_t){ (uint64_t)number }, sizeof(uint64_t));
		return true;
	case BOOL:
		*(bool *)(void *)at = cJSON_IsTrue(v) != 0;
		return cJSON_IsBool(v) != 0;
	case TEXT:
	case NAME:
		return take_text(f, v, at);
	}
	return false;
}

static bool take_stress(const cJSON *list, struct km_run_record *r)
{
	const struct field kind = { .kind = NAME, .size = KM_RUN_WORD_MAX };
	const cJSON *item;

	if (list == NULL)
		return true;
	if (!cJSON_IsArray(list))
		return false;
	cJSON_ArrayForEach(item, list)
	{
		struct km_run_stress *s = &r->stress[r->stress_count];
		const struct {
			const char *key;
			double *out;
		} numbers[] = {
			{ "seconds", &s->seconds },
			{ "dutyRatio", &s->duty_ratio },
			{ "opsPerSecond", &s->ops_per_s },
			{ "bytesPerSecond", &s->bytes_per_s },
		};

		if (r->stress_count == KM_RUN_STRESS_MAX ||
		    !take_text(&kind, cJSON_GetObjectItemCaseSensitive(item, "kind"), s->kind))
			return false;
		for (size_t i = 0; i < KM_ARRAY_LEN(numbers); i++) {
			const cJSON *v = cJSON_GetObjectItemCaseSensitive(item, numbers[i].key);

			*numbers[i].out = NAN;
			if (v != NULL && !take_number(v, INFINITY, numbers[i].out))
				return false;
		}
		r->stress_count++;
	}
	return true;
}

int km_run_record_decode(const char *text, size_t len, struct km_run_record *out,
                         struct km_err *err)
{
	cJSON *json = len <= KM_RUN_RECORD_MAX ? cJSON_ParseWithLength(text, len) : NULL;
	int rc = 0;

	km_run_record_init(out);
	if (!cJSON_IsObject(json)) {
		cJSON_Delete(json);
		return km_err_set(err, EINVAL, "run record: no JSON object of at most %u bytes",
		                  KM_RUN_RECORD_MAX);
	}
	for (size_t i = 0; i < KM_ARRAY_LEN(fields) && rc == 0; i++) {
		const struct field *f = &fields[i];
		const cJSON *in = json;
		const cJSON *v;

		if (f->section != NULL)
			in = cJSON_GetObjectItemCaseSensitive(json, f->section);
		v = cJSON_GetObjectItemCaseSensitive(in, f->key);
		if (v == NULL ? f->required : !take_field(f, v, out)) {
			rc = km_err_set(err, EINVAL, "run record: %s%s%s is %s",
			                f->section != NULL ? f->section : "",
			                f->section != NULL ? "." : "", f->key,
			                v == NULL ? "missing" : "not what it should be");
		}
	}
	if (rc == 0 && !take_stress(cJSON_GetObjectItemCaseSensitive(json, "stress"), out))
		rc = km_err_set(err, EINVAL, "run record: stress is not what it should be");
	if (rc == 0 && (out->id[0] == '\0' || strchr(out->id, '/') != NULL ||
	                strstr(out->trace_before, "..") != NULL || out->trace_before[0] == '/' ||
	                strstr(out->trace_during, "..") != NULL || out->trace_during[0] == '/'))
		rc = km_err_set(err, EINVAL, "run record: a name leads out of its folder");
	cJSON_Delete(json);
	return rc;
}
