/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feature names: one grammar, three tables (scopes, statistics, pod inputs). A name that parses
 * here can be computed by core/feature.c or is filled by the decision; there is no third kind.
 */
#include "km/core/schema.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/buf.h"
#include "km/base/hash.h"
#include "km/base/map.h"

static const struct {
	const char *name;
	bool measured;  /* scope.metric.stat; otherwise scope.<one word> */
	bool host_wide; /* takes metrics that exist for the host only */
} scopes[KM_SCOPE_N] = {
	[KM_SCOPE_NODE] = { "node", true, false },
	[KM_SCOPE_NODE_MIN] = { "node_min", true, false },
	[KM_SCOPE_NODE_MAX] = { "node_max", true, false },
	[KM_SCOPE_NODE_SPREAD] = { "node_spread", true, false },
	[KM_SCOPE_REST] = { "rest", true, false },
	[KM_SCOPE_PEER] = { "peer", true, false },
	[KM_SCOPE_SPARE] = { "spare", true, false },
	[KM_SCOPE_NODE_VS_PEER] = { "node_vs_peer", true, false },
	[KM_SCOPE_NODE_VS_REST] = { "node_vs_rest", true, false },
	[KM_SCOPE_NODE_VS_SPARE] = { "node_vs_spare", true, false },
	[KM_SCOPE_HOST] = { "host", true, true },
	[KM_SCOPE_POD] = { "pod", false, false },
	[KM_SCOPE_INFLIGHT] = { "inflight", false, false },
};

static const char *const stats[KM_STAT_N] = {
	[KM_STAT_MEAN] = "mean", [KM_STAT_STD] = "std", [KM_STAT_P95] = "p95",
	[KM_STAT_P5] = "p5",     [KM_STAT_MAX] = "max",
};

static const char *const pod_inputs[KM_POD_INPUT_N] = {
	[KM_POD_RPS] = "rps",
	[KM_POD_REPLICAS] = "replicas",
	[KM_POD_RPS_NOW] = "rps_now",
	[KM_POD_REPLICAS_NOW] = "replicas_now",
};

const char *km_scope_name(enum km_scope s)
{
	return scopes[s].name;
}

const char *km_stat_name(enum km_stat s)
{
	return stats[s];
}

const char *km_pod_input_name(enum km_pod_input p)
{
	return pod_inputs[p];
}

static bool is_word(const char *word, const char *text, size_t len)
{
	return strlen(word) == len && memcmp(word, text, len) == 0;
}

static int find_scope(const char *text, size_t len)
{
	for (int i = 0; i < KM_SCOPE_N; i++) {
		if (is_word(scopes[i].name, text, len)) {
			return i;
		}
	}
	return -1;
}

static int find_word(const char *const *words, int count, const char *text, size_t len)
{
	for (int i = 0; i < count; i++) {
		if (is_word(words[i], text, len)) {
			return i;
		}
	}
	return -1;
}

/* "a, b, c" of what is known, for error texts. */
static void list_words(const char *const *words, int count, char *out, size_t out_size)
{
	size_t at = 0;

	out[0] = '\0';
	for (int i = 0; i < count; i++) {
		size_t len = strlen(words[i]);

		if (at + len + 3 > out_size) {
			return;
		}
		if (at > 0) {
			memcpy(out + at, ", ", 2);
			at += 2;
		}
		memcpy(out + at, words[i], len + 1);
		at += len;
	}
}

/* Where a metric exists that is not one of any CPUs. */
static const char *const scopes_of[] = {
	[KM_OF_CPUS] = "",
	[KM_OF_HOST] = "host",
	[KM_OF_PRESSURE] = "host or node",
	[KM_OF_NODE] = "node",
};

static bool exists_in(enum km_metric metric, enum km_scope scope)
{
	switch (km_metric_info(metric)->of) {
	case KM_OF_CPUS:
		return true;
	case KM_OF_HOST:
		return scope == KM_SCOPE_HOST;
	case KM_OF_PRESSURE:
		return scope == KM_SCOPE_HOST || scope == KM_SCOPE_NODE;
	case KM_OF_NODE:
		return scope == KM_SCOPE_NODE;
	}
	return false;
}

static int parse_measured(const char *name, const char *rest, struct km_feature *out,
                          struct km_err *err)
{
	const char *dot = strchr(rest, '.');
	char known[64];
	int metric;
	int stat;

	if (dot == NULL) {
		return km_err_set(err, EINVAL, "feature \"%.64s\": wanted scope.metric.stat", name);
	}
	metric = km_metric_parse(rest, (size_t)(dot - rest));
	if (metric < 0) {
		return km_err_set(err, EINVAL,
		                  "feature \"%.64s\": unknown metric \"%.*s\" (docs/COUNTERS.md "
		                  "lists them)",
		                  name, (int)(dot - rest < 48 ? dot - rest : 48), rest);
	}
	stat = find_word(stats, KM_STAT_N, dot + 1, strlen(dot + 1));
	if (stat < 0) {
		list_words(stats, KM_STAT_N, known, sizeof(known));
		return km_err_set(err, EINVAL, "feature \"%.64s\": unknown statistic, wanted %s",
		                  name, known);
	}
	if (!exists_in((enum km_metric)metric, out->scope)) {
		return km_err_set(err, EINVAL, "feature \"%.64s\": %s exists for scope %s only",
		                  name, km_metric_info((enum km_metric)metric)->name,
		                  scopes_of[km_metric_info((enum km_metric)metric)->of]);
	}
	out->metric = (enum km_metric)metric;
	out->stat = (enum km_stat)stat;
	return 0;
}

static int parse_inflight(const char *name, const char *class_name, struct km_err *err)
{
	size_t len = strlen(class_name);

	if (len == 0 || len >= KM_CLASS_NAME_MAX) {
		return km_err_set(err, EINVAL,
		                  "feature \"%.64s\": class of %zu characters, wanted 1 to %d",
		                  name, len, KM_CLASS_NAME_MAX - 1);
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)class_name[i];

		if (c > 127 || (!isalnum(c) && c != '-' && c != '_')) {
			return km_err_set(err, EINVAL,
			                  "feature \"%.64s\": a class is letters, digits, - and _",
			                  name);
		}
	}
	return 0;
}

int km_feature_parse(const char *name, struct km_feature *out, struct km_err *err)
{
	size_t len = strnlen(name, KM_FEATURE_NAME_MAX);
	const char *dot;
	char known[64];
	int scope;
	int input;

	if (len == KM_FEATURE_NAME_MAX) {
		return km_err_set(err, EINVAL, "feature \"%.32s...\": over %d characters", name,
		                  KM_FEATURE_NAME_MAX - 1);
	}
	dot = strchr(name, '.');
	scope = dot == NULL ? -1 : find_scope(name, (size_t)(dot - name));
	if (scope < 0) {
		return km_err_set(err, EINVAL,
		                  "feature \"%s\": unknown scope, wanted node, node_min, "
		                  "node_max, node_spread, rest, peer, spare, node_vs_*, host, pod "
		                  "or inflight",
		                  name);
	}
	memset(out, 0, sizeof(*out));
	memcpy(out->name, name, len + 1);
	out->scope = (enum km_scope)scope;
	if (scopes[scope].measured) {
		return parse_measured(name, dot + 1, out, err);
	}
	if (scope == KM_SCOPE_INFLIGHT) {
		return parse_inflight(name, dot + 1, err);
	}
	input = find_word(pod_inputs, KM_POD_INPUT_N, dot + 1, strlen(dot + 1));
	if (input < 0) {
		list_words(pod_inputs, KM_POD_INPUT_N, known, sizeof(known));
		return km_err_set(err, EINVAL, "feature \"%s\": unknown pod input, wanted %s", name,
		                  known);
	}
	out->input = (enum km_pod_input)input;
	return 0;
}

/* The lowest tier that gives the metric. */
static enum km_tier metric_tier(enum km_metric m)
{
	if (m == KM_METRIC_MEM_READ_BYTES_PER_S || m == KM_METRIC_MEM_WRITE_BYTES_PER_S) {
		return KM_TIER_UNCORE;
	}
	return m < KM_METRIC_CPU_PSI_RATIO ? KM_TIER_CORE : KM_TIER_OS;
}

static int add_class(struct km_schema *s, struct km_feature *f, struct km_err *err)
{
	const char *class_name = strchr(f->name, '.') + 1;

	if (s->class_count == KM_CLASSES_MAX) {
		return km_err_set(err, E2BIG, "feature \"%s\": more than %d in-flight classes",
		                  f->name, KM_CLASSES_MAX);
	}
	f->class_index = s->class_count;
	/* km_feature_parse has seen to it that it fits */
	memcpy(s->classes[s->class_count++], class_name, strlen(class_name) + 1);
	return 0;
}

static int fill(struct km_schema *s, const char *const *names, size_t count, struct km_err *err)
{
	struct km_map seen;
	int ret;

	km_map_init(&seen, 0);
	ret = km_map_reserve(&seen, count);
	for (size_t i = 0; ret == 0 && i < count; i++) {
		struct km_feature *f = &s->feature[i];

		ret = km_feature_parse(names[i], f, err);
		if (ret != 0) {
			break;
		}
		ret = km_map_add(&seen, f->name, strlen(f->name), (uint32_t)i, NULL);
		if (ret == -EEXIST) {
			ret = km_err_set(err, EINVAL, "feature \"%s\": named twice", f->name);
			break;
		}
		if (f->scope == KM_SCOPE_INFLIGHT) {
			ret = add_class(s, f, err);
		} else if (f->scope < KM_SCOPE_POD && metric_tier(f->metric) < s->tier) {
			s->tier = metric_tier(f->metric);
		}
	}
	km_map_fini(&seen);
	if (ret == -ENOMEM) {
		return km_err_set(err, ENOMEM, "schema of %zu features: out of memory", count);
	}
	return ret;
}

static int hash_of(struct km_schema *s)
{
	struct km_buf text;
	bool ok;

	km_buf_init(&text);
	for (uint32_t i = 0; i < s->count; i++) {
		km_buf_str(&text, s->feature[i].name);
		km_buf_char(&text, '\n');
	}
	km_buf_double(&text, s->window_s);
	km_buf_char(&text, '/');
	km_buf_double(&text, s->bin_s);
	ok = km_buf_ok(&text);
	if (ok) {
		s->hash = km_hash64(text.data, text.len, 0);
	}
	km_buf_fini(&text);
	return ok ? 0 : -ENOMEM;
}

int km_schema_create(const char *const *names, size_t count, double window_s, double bin_s,
                     struct km_schema **out, struct km_err *err)
{
	struct km_schema *s;
	int ret;

	*out = NULL;
	if (count > KM_FEATURES_MAX) {
		return km_err_set(err, E2BIG, "schema of %zu features, at most %d", count,
		                  KM_FEATURES_MAX);
	}
	if (!(window_s >= 1 && window_s <= 3600)) {
		return km_err_set(err, EINVAL, "schema: window of %g s, wanted 1 to 3600",
		                  window_s);
	}
	if (!(bin_s >= 0.1 && bin_s <= window_s)) {
		return km_err_set(err, EINVAL,
		                  "schema: bins of %g s, wanted 0.1 to %g (the window)", bin_s,
		                  window_s);
	}
	if (window_s / bin_s > KM_WINDOW_BINS_MAX) {
		return km_err_set(err, EINVAL, "schema: %g s in bins of %g s, at most %d bins",
		                  window_s, bin_s, KM_WINDOW_BINS_MAX);
	}
	s = calloc(1, sizeof(*s) + count * sizeof(s->feature[0]));
	if (s == NULL) {
		return km_err_set(err, ENOMEM, "schema of %zu features: out of memory", count);
	}
	atomic_init(&s->refs, 1);
	s->count = (uint32_t)count;
	s->window_s = window_s;
	s->bin_s = bin_s;
	s->tier = KM_TIER_NONE;
	s->classes = calloc(KM_CLASSES_MAX, sizeof(s->classes[0]));
	ret = s->classes == NULL ? km_err_set(err, ENOMEM, "schema: out of memory")
	                         : fill(s, names, count, err);
	if (ret == 0 && hash_of(s) != 0) {
		ret = km_err_set(err, ENOMEM, "schema: out of memory");
	}
	if (ret != 0) {
		km_schema_unref(s);
		return ret;
	}
	*out = s;
	return 0;
}

/* The content is immutable, the count of its holders is not; a schema is always ours, on the heap.
 */
static struct km_schema *counted(const struct km_schema *s)
{
	union {
		const struct km_schema *in;
		struct km_schema *out;
	} u = { .in = s };

	return u.out;
}

struct km_schema *km_schema_ref(const struct km_schema *s)
{
	atomic_fetch_add_explicit(&counted(s)->refs, 1, memory_order_relaxed);
	return counted(s);
}

void km_schema_unref(const struct km_schema *s)
{
	if (s == NULL ||
	    atomic_fetch_sub_explicit(&counted(s)->refs, 1, memory_order_acq_rel) != 1) {
		return;
	}
	free(s->classes);
	free(counted(s));
}
