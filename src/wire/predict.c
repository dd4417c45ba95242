/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes /v1/predict. People type these bodies, so every refusal names the member. */
#include "km/wire/predict.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "km/base/num.h"
#include "km/wire/extender.h"
#include "km/wire/scan.h"

#define NAMES_FIRST 16

/* A number of a request and what it may be. */
struct range {
	const char *key;
	double low;
	double high;
	const char *want;
};

static const struct range rps_range = { "pod.rps", 1e-6, 1e9, "a number from 1e-6 to 1e9" };
static const struct range replicas_range = { "pod.replicas", 1, 1e6, "a number from 1 to 1e6" };
static const struct range slowdown_range = { "pod.maxSlowdown", 1.05, 1e6,
	                                     "a number from 1.05 to 1e6" };

static int read_number(struct km_scan *s, const struct range *r, double *out)
{
	struct km_json_slice value;
	int rc = km_scan_value(s, &value);

	if (rc != 0)
		return rc;
	if (value.kind == KM_JSON_NULL)
		return 0;
	if (value.kind != KM_JSON_NUMBER)
		return km_err_set(s->err, EINVAL, "%s: saw %s, want %s", r->key,
		                  km_json_kind_name(value.kind), r->want);
	if (km_num_double(value.text, value.len, out) != 0 || !(*out >= r->low && *out <= r->high))
		return km_err_set(s->err, EINVAL, "%s: saw %.*s, want %s", r->key,
		                  value.len < 40 ? (int)value.len : 40, value.text, r->want);
	return 0;
}

static int read_text(struct km_scan *s, struct km_arena *arena, struct km_name *out)
{
	struct km_json_slice value;
	char *decoded;
	int rc = km_scan_string(s, &value);

	if (rc != 0)
		return rc;
	*out = (struct km_name){ value.text + 1, (uint32_t)(value.len - 2) };
	if (!value.escaped)
		return 0;
	decoded = km_arena_alloc(arena, value.len);
	if (!decoded)
		return -ENOMEM;
	*out = (struct km_name){ decoded, (uint32_t)km_json_unescape(&value, decoded) };
	return 0;
}

static int unknown_key(const struct km_scan *s, const struct km_json_slice *key, const char *known)
{
	return km_err_set(s->err, EINVAL, "saw the key %.*s, want one of %s",
	                  key->len < 40 ? (int)key->len : 40, key->text, known);
}

static int read_class(struct km_scan *s, struct km_arena *arena, struct km_predict_args *out)
{
	int rc = read_text(s, arena, &out->class_name);

	if (rc == 0 && out->class_name.len >= KM_CLASS_NAME_MAX)
		return km_err_set(s->err, EINVAL, "pod.class: saw %u bytes, want less than %d",
		                  (unsigned)out->class_name.len, KM_CLASS_NAME_MAX);
	return rc;
}

static int read_pod(struct km_scan *s, struct km_arena *arena, struct km_predict_args *out)
{
	struct km_json_slice key = { 0 };
	int rc;

	if (km_scan_peek(s) == KM_JSON_NULL)
		return km_scan_value(s, NULL);
	rc = km_scan_object(s);
	if (rc != 0)
		return km_err_prefix(s->err, "pod");
	while ((rc = km_scan_member(s, &key)) == KM_SCAN_MORE) {
		if (km_json_key_is(&key, "rps", false))
			rc = read_number(s, &rps_range, &out->rps);
		else if (km_json_key_is(&key, "replicas", false))
			rc = read_number(s, &replicas_range, &out->replicas);
		else if (km_json_key_is(&key, "maxSlowdown", false))
			rc = read_number(s, &slowdown_range, &out->max_slowdown);
		else if (km_json_key_is(&key, "class", false))
			rc = read_class(s, arena, out);
		else
			rc = unknown_key(s, &key, "rps, replicas, maxSlowdown, class");
		if (rc != 0)
			return rc;
	}
	return rc;
}

static int read_nodes(struct km_scan *s, struct km_arena *arena, struct km_predict_args *out)
{
	size_t cap = 0;
	int rc;

	out->count = 0;
	out->all_nodes = km_scan_peek(s) == KM_JSON_NULL;
	if (out->all_nodes)
		return km_scan_value(s, NULL);
	rc = km_scan_array(s);
	if (rc != 0)
		return km_err_prefix(s->err, "nodes");
	while ((rc = km_scan_element(s)) == KM_SCAN_MORE) {
		if (out->count == KM_EXTENDER_NAMES_MAX)
			return km_err_set(s->err, EINVAL,
			                  "nodes: saw more than %d names, want fewer",
			                  KM_EXTENDER_NAMES_MAX);
		if (out->count == cap) {
			size_t grown = cap ? cap * 2 : NAMES_FIRST;
			struct km_name *name = km_arena_alloc(arena, grown * sizeof(*name));

			if (!name)
				return -ENOMEM;
			if (cap > 0)
				memcpy(name, out->name, cap * sizeof(*name));
			out->name = name;
			cap = grown;
		}
		rc = read_text(s, arena, &out->name[out->count]);
		if (rc == -EINVAL)
			return km_err_prefix(s->err, "nodes[%zu]", out->count);
		if (rc != 0)
			return rc;
		out->count++;
	}
	return rc;
}

int km_predict_decode(const char *body, size_t len, uint32_t depth_max, struct km_arena *arena,
                      struct km_predict_args *out, struct km_err *err)
{
	struct km_json_slice key = { 0 };
	struct km_scan s;
	int rc;

	*out = (struct km_predict_args){
		.rps = NAN, .replicas = NAN, .max_slowdown = NAN, .all_nodes = true
	};
	if (len > UINT32_MAX)
		return km_err_set(err, EINVAL, "body: saw %zu bytes, want less than 4 GiB", len);
	km_scan_init(&s, body, len, depth_max, err);
	rc = km_scan_object(&s);
	if (rc != 0)
		return rc;
	while ((rc = km_scan_member(&s, &key)) == KM_SCAN_MORE) {
		if (km_json_key_is(&key, "pod", false))
			rc = read_pod(&s, arena, out);
		else if (km_json_key_is(&key, "nodes", false))
			rc = read_nodes(&s, arena, out);
		else
			rc = unknown_key(&s, &key, "pod, nodes");
		if (rc != 0)
			break;
	}
	/* People type this: what stands behind a brace too many was meant. */
	if (rc == 0 && (km_scan_peek(&s) != KM_JSON_ABSENT || s.p != s.end))
		return km_err_set(err, EINVAL, "JSON: byte %zu: saw more, want the end",
		                  (size_t)(s.p - body));
	if (rc == -ENOMEM)
		return km_err_set(err, ENOMEM, "out of memory decoding a request of %zu bytes",
		                  len);
	return rc;
}

void km_predict_workload(const struct km_predict_args *args, const struct km_workload *base,
                         struct km_workload *out)
{
	*out = *base;
	if (isfinite(args->rps))
		out->rps = args->rps;
	if (isfinite(args->replicas))
		out->replicas = args->replicas;
	if (isfinite(args->max_slowdown))
		out->max_slowdown = args->max_slowdown;
	if (args->class_name.len > 0) {
		memcpy(out->class_name, args->class_name.text, args->class_name.len);
		out->class_name[args->class_name.len] = '\0';
	}
}
