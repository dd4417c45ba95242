/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spec of an InterferencePolicy by tables of options, one a section. deploy/base/crd.yaml says
 * the same of types, ranges, defaults and rules; tests/policies holds both to it.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/num.h"
#include "km/core/policy.h"
#include "km/place/footprint.h"

#include "config_internal.h"

#define PER_S_MAX           1e15 /* of any quantity: beyond all hardware */
#define COOLDOWN_PARTS_MAX  4
#define COOLDOWN_DIGITS_MAX 6
#define COOLDOWN_MIN_S      60
#define COOLDOWN_MAX_S      86400

#define FIELD(member)                                                                              \
	.offset = offsetof(struct km_policy, member),                                              \
	.size = sizeof(((struct km_policy *)0)->member)

static int parse_class(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                       const struct km_tree *v, void *base)
{
	struct km_policy *p = base;
	size_t len = conf_is_text(v) ? strlen(v->text) : 0;

	if (len == 0 || len >= sizeof(p->class_name))
		return km_conf_bad_value(c, key, v, o->want);
	for (size_t i = 0; i < len; i++) {
		unsigned char letter = (unsigned char)v->text[i];

		if (letter > 127 || (!isalnum(letter) && letter != '-' && letter != '_'))
			return km_conf_bad_value(c, key, v, o->want);
	}
	memcpy(p->class_name, v->text, len + 1);
	return 0;
}

/* Characters, as the API server counts them; its text is valid UTF-8. */
static size_t characters(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

static int parse_query(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                       const struct km_tree *v, void *base)
{
	char **field = (char **)(void *)((char *)base + o->offset);
	char *copy;

	if (!conf_is_text(v) || v->text[0] == '\0' || characters(v->text) > KM_POLICY_QUERY_MAX)
		return km_conf_bad_value(c, key, v, o->want);
	copy = strdup(v->text);
	if (copy == NULL)
		return km_conf_no_memory(c);
	free(*field);
	*field = copy;
	return 0;
}

static int parse_on_stale(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                          const struct km_tree *v, void *base)
{
	struct km_policy *p = base;
	int value = v->kind == KM_TREE_SCALAR ? km_on_stale_parse(v->text) : -1;

	if (value < 0)
		return km_conf_bad_value(c, key, v, o->want);
	p->on_stale = (enum km_on_stale)value;
	p->on_stale_given = true;
	return 0;
}

static int parse_footprint(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                           const struct km_tree *v, void *base)
{
	struct km_policy *p = base;

	if (v->kind != KM_TREE_MAP)
		return km_conf_bad_value(c, key, v, o->want);
	for (const struct km_tree *i = v->child; i != NULL; i = i->next) {
		struct km_policy_footprint *f = &p->footprint[p->footprint_count];
		double value = -1;

		if (km_quantity_parse(i->key) < 0 || p->footprint_count == KM_POLICY_FOOTPRINTS_MAX)
			return km_conf_fail(c, i->line, "%s.%s: saw the key %.40s, want %s",
			                    c->within, key, i->key, o->want);
		if (i->kind != KM_TREE_SCALAR || i->quoted ||
		    km_num_double(i->text, strlen(i->text), &value) != 0 ||
		    !(value >= 0 && value <= PER_S_MAX))
			return km_conf_bad_value(c, i->key, i, "a number per second, 0 to 1e15");
		memcpy(f->quantity, i->key, strlen(i->key) + 1); /* a known name: it fits */
		f->per_s = value;
		p->footprint_count++;
	}
	return 0;
}

/* "1h30m": what our durations and Go's have in common. returns -1 when it is none. */
static int64_t cooldown_s(const char *text)
{
	int64_t sum = 0;

	for (int parts = 0; *text != '\0'; parts++) {
		size_t digits = strspn(text, "0123456789");
		int64_t value = 0;

		if (parts == COOLDOWN_PARTS_MAX || digits == 0 || digits > COOLDOWN_DIGITS_MAX ||
		    km_num_int(text, digits, &value) != 0)
			return -1;
		text += digits;
		if (*text == 'h')
			value *= 3600;
		else if (*text == 'm')
			value *= 60;
		else if (*text != 's')
			return -1;
		text++;
		sum += value;
	}
	return sum;
}

static int parse_cooldown(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                          const struct km_tree *v, void *base)
{
	struct km_policy *p = base;
	int64_t seconds = v->kind == KM_TREE_SCALAR ? cooldown_s(v->text) : -1;

	if (seconds < COOLDOWN_MIN_S || seconds > COOLDOWN_MAX_S)
		return km_conf_bad_value(c, key, v, o->want);
	p->rebalance.cooldown_ns = seconds * INT64_C(1000000000);
	return 0;
}

#define WANT_QUERY "a PromQL text of 1 to 1024 characters"
_Static_assert(KM_POLICY_QUERY_MAX == 1024, "WANT_QUERY says it");

/* clang-format off: tables */
static const struct km_conf_option workload_rows[] = {
	{ .key = "rps", .type = KM_CONF_NUMBER, .min = 0.001, .max = 1e9, FIELD(rps) },
	{ .key = "rpsQuery",
	  .type = KM_CONF_CUSTOM,
	  .custom = parse_query,
	  .want = WANT_QUERY,
	  FIELD(rps_query) },
	{ .key = "class",
	  .type = KM_CONF_CUSTOM,
	  .custom = parse_class,
	  .want = "1 to 31 letters, digits, '-' or '_'" },
};

static const struct km_conf_option kpi_rows[] = {
	{ .key = "latencyQuery",
	  .type = KM_CONF_CUSTOM,
	  .custom = parse_query,
	  .required = true,
	  .want = WANT_QUERY,
	  FIELD(kpi.latency_query) },
	{ .key = "baselineSeconds",
	  .type = KM_CONF_NUMBER,
	  .min = 1e-6,
	  .max = 3600,
	  FIELD(kpi.baseline_s) },
	{ .key = "baselineQuery",
	  .type = KM_CONF_CUSTOM,
	  .custom = parse_query,
	  .want = WANT_QUERY,
	  FIELD(kpi.baseline_query) },
};

static const struct km_conf_option rebalance_rows[] = {
	{ .key = "enabled", .type = KM_CONF_BOOL, .preset = "false", FIELD(rebalance.enabled) },
	{ .key = "dryRun", .type = KM_CONF_BOOL, .preset = "true", FIELD(rebalance.dry_run) },
	{ .key = "minGainRatio",
	  .type = KM_CONF_NUMBER,
	  .preset = "0.15",
	  .min = 0.05,
	  .max = 0.9,
	  FIELD(rebalance.min_gain_ratio) },
	{ .key = "cooldown",
	  .type = KM_CONF_CUSTOM,
	  .custom = parse_cooldown,
	  .preset = "10m",
	  .want = "a duration like 1h30m from 1m to 24h" },
	{ .key = "maxEvictionsPerHour",
	  .type = KM_CONF_INTEGER,
	  .preset = "6",
	  .min = 1,
	  .max = 1000,
	  FIELD(rebalance.max_evictions_per_hour) },
};

static const struct km_conf_table workload_table = { workload_rows, KM_ARRAY_LEN(workload_rows) };
static const struct km_conf_table kpi_table = { kpi_rows, KM_ARRAY_LEN(kpi_rows) };
static const struct km_conf_table rebalance_table = { rebalance_rows,
	                                              KM_ARRAY_LEN(rebalance_rows) };
/* clang-format on */

static int parse_section(struct km_conf_ctx *outer, const struct km_conf_option *o,
                         const char *within, const struct km_conf_table *t, const struct km_tree *v,
                         struct km_policy *p)
{
	struct km_conf_ctx c = { .file = outer->file, .err = outer->err, .within = within };

	if (v->kind != KM_TREE_MAP)
		return km_conf_bad_value(outer, o->key, v, o->want);
	return km_conf_apply_all(&c, t, v, p);
}

static int parse_workload(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                          const struct km_tree *v, void *base)
{
	struct km_policy *p = base;
	int rc = parse_section(c, o, "spec.workload", &workload_table, v, p);

	(void)key;
	if (rc == 0 && p->rps_query != NULL && km_tree_get(v, "rps") != NULL)
		return km_conf_fail(
			c, v->line,
			"spec.workload: saw rps and rpsQuery, want at most one of them");
	return rc;
}

static int parse_kpi(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                     const struct km_tree *v, void *base)
{
	struct km_policy *p = base;
	int rc = parse_section(c, o, "spec.kpi", &kpi_table, v, p);
	bool number = km_tree_get(v, "baselineSeconds") != NULL;

	(void)key;
	if (rc != 0 || number != (p->kpi.baseline_query != NULL))
		return rc;
	return km_conf_fail(c, v->line,
	                    "spec.kpi: saw %s, want one of baselineSeconds and baselineQuery",
	                    number ? "both" : "neither");
}

static int parse_rebalance(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                           const struct km_tree *v, void *base)
{
	(void)key;
	return parse_section(c, o, "spec.rebalance", &rebalance_table, v, base);
}

static const char *const modes[] = { "Observe", "Prefer", "Enforce", NULL };
_Static_assert(KM_MODE_OBSERVE == 0 && KM_MODE_PREFER == 1 && KM_MODE_ENFORCE == 2,
               "modes[] is indexed by the enum");

#define QUANTITIES                                                                                 \
	"a map of activeCpus, workCpus, instructionsPerS, l2MissPerS, l3MissPerS, "                \
	"memReadBytesPerS, memWriteBytesPerS"

/* clang-format off: a table */
static const struct km_conf_option spec_rows[] = {
	{ .key = "selector",
	  .type = KM_CONF_CUSTOM,
	  .custom = conf_parse_selector,
	  .required = true,
	  .want = "a map of matchLabels and matchExpressions" },
	{ .key = "mode",
	  .type = KM_CONF_CHOICE,
	  .preset = "Observe",
	  .choices = modes,
	  FIELD(mode) },
	{ .key = "maxSlowdown",
	  .type = KM_CONF_NUMBER,
	  .min = 1.05,
	  .max = 100,
	  FIELD(max_slowdown) },
	{ .key = "workload",
	  .type = KM_CONF_CUSTOM,
	  .custom = parse_workload,
	  .want = "a map of rps, rpsQuery and class" },
	{ .key = "footprint",
	  .type = KM_CONF_CUSTOM,
	  .custom = parse_footprint,
	  .want = QUANTITIES },
	{ .key = "onStale",
	  .type = KM_CONF_CUSTOM,
	  .custom = parse_on_stale,
	  .want = "Neutral, Avoid or Reject" },
	{ .key = "weight",
	  .type = KM_CONF_NUMBER,
	  .preset = "1",
	  .min = 0.001,
	  .max = 1000,
	  FIELD(weight) },
	{ .key = "kpi",
	  .type = KM_CONF_CUSTOM,
	  .custom = parse_kpi,
	  .want = "a map of latencyQuery, baselineSeconds and baselineQuery" },
	{ .key = "rebalance",
	  .type = KM_CONF_CUSTOM,
	  .custom = parse_rebalance,
	  .want = "a map of enabled, dryRun, minGainRatio, cooldown and maxEvictionsPerHour" },
};
/* clang-format on */

static const struct km_conf_table spec_table = { spec_rows, KM_ARRAY_LEN(spec_rows) };

int conf_parse_policy_spec(struct km_conf_ctx *c, const struct km_tree *spec, struct km_policy *p)
{
	struct km_conf_ctx in_spec = { .file = c->file, .err = c->err, .within = "spec" };

	return km_conf_apply_all(&in_spec, &spec_table, spec, p);
}
