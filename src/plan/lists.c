/* SPDX-License-Identifier: Apache-2.0 */
/* The plan's lists and texts of its own: each value read, in range and there once. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "km/base/num.h"

#include "plan_internal.h"

#define ITEM_MAX 64 /* bytes of one entry, with its NUL */

/* An entry as text -> a number that is the same for equal entries; NaN = not to be had. */
typedef double item_fn(const char *text);

struct list {
	item_fn *read;
	bool twice; /* an entry may come again */
	double *out;
	size_t max, count;
};

static double take_item(const struct list *l, const struct km_tree *item, const char *from,
                        size_t len)
{
	char text[ITEM_MAX];
	double value;

	if (item->kind != KM_TREE_SCALAR || len >= sizeof(text) || l->count == l->max)
		return NAN;
	memcpy(text, from, len);
	text[len] = '\0';
	value = l->read(text);
	for (size_t i = 0; i < l->count && !l->twice; i++) {
		if (l->out[i] == value)
			return NAN;
	}
	return value;
}

/* Reads a list, or a text with commas (a preset). -EINVAL for an entry refused or there twice. */
static int read_list(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                     const struct km_tree *v, struct list *l)
{
	const struct km_tree *item = v->kind == KM_TREE_LIST ? v->child : v;
	const char *from = v->text;

	l->count = 0;
	if (v->kind == KM_TREE_MAP)
		return km_conf_bad_value(c, key, v, o->want);
	while (item != NULL) {
		bool list = v->kind == KM_TREE_LIST;
		double value;
		size_t len;

		if (list)
			from = item->kind == KM_TREE_SCALAR ? item->text : "";
		len = list ? strlen(from) : strcspn(from, ",");
		value = take_item(l, item, from, len);
		if (isnan(value))
			return km_conf_bad_value(c, key, item, o->want);
		l->out[l->count++] = value;
		from += len + (!list && from[len] == ',');
		item = list ? item->next : *from != '\0' ? item : NULL;
	}
	return 0;
}

static double in_range(const char *text, double min, double max, bool whole)
{
	double value;

	if (km_num_double(text, strlen(text), &value) != 0 || !(value >= min && value <= max) ||
	    (whole && value != floor(value)))
		return NAN;
	return value;
}

static double item_stressor(const char *text)
{
	int kind = km_stress_kind_parse(text);

	return kind < 0 ? NAN : (double)kind;
}

static double item_level(const char *text)
{
	return in_range(text, 1, 100, true);
}

static double item_replicas(const char *text)
{
	return in_range(text, 1, KM_PLAN_REPLICAS_MAX, true);
}

static double item_rate(const char *text)
{
	return in_range(text, 1, 1e6, false);
}

static double item_factor(const char *text)
{
	return in_range(text, 0, 100, false);
}

static double item_arm(const char *text)
{
	for (int i = 0; plan_arms[i] != NULL; i++) {
		if (strcmp(plan_arms[i], text) == 0)
			return i;
	}
	return NAN;
}

/* matrix.* and trial.* have the same lists: the one that the row's offset says. */
int plan_parse_stressors(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                         const struct km_tree *v, void *base)
{
	struct km_plan *p = base;
	bool trial = o->offset == offsetof(struct km_plan, trial.stressor);
	enum km_stress_kind *kind = trial ? p->trial.stressor : p->matrix.stressor;
	double value[KM_STRESS_KIND_N] = { 0 };
	struct list l = { .read = item_stressor, .out = value, .max = KM_STRESS_KIND_N };
	int rc = read_list(c, o, key, v, &l);

	for (size_t i = 0; rc == 0 && i < l.count; i++)
		kind[i] = (enum km_stress_kind)value[i];
	if (rc == 0)
		*(trial ? &p->trial.stressor_count : &p->matrix.stressor_count) = l.count;
	return rc;
}

static int read_whole(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                      const struct km_tree *v, item_fn *read, unsigned *out, size_t *out_count)
{
	double value[KM_PLAN_LIST_MAX] = { 0 };
	struct list l = { .read = read, .out = value, .max = KM_PLAN_LIST_MAX };
	int rc = read_list(c, o, key, v, &l);

	if (rc == 0 && l.count == 0)
		return km_conf_bad_value(c, key, v, o->want);
	for (size_t i = 0; rc == 0 && i < l.count; i++)
		out[i] = (unsigned)value[i];
	if (rc == 0)
		*out_count = l.count;
	return rc;
}

int plan_parse_levels(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                      const struct km_tree *v, void *base)
{
	struct km_plan *p = base;

	if (o->offset == offsetof(struct km_plan, trial.level_pct))
		return read_whole(c, o, key, v, item_level, p->trial.level_pct,
		                  &p->trial.level_count);
	return read_whole(c, o, key, v, item_level, p->matrix.level_pct, &p->matrix.level_count);
}

int plan_parse_replicas(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                        const struct km_tree *v, void *base)
{
	struct km_plan *p = base;

	return read_whole(c, o, key, v, item_replicas, p->matrix.replicas,
	                  &p->matrix.replicas_count);
}

static int read_numbers(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                        const struct km_tree *v, item_fn *read, double *out, size_t *out_count)
{
	double value[KM_PLAN_LIST_MAX] = { 0 };
	/* The same factor may come again, the same rate would be the same runs. */
	struct list l = {
		.read = read, .twice = read == item_factor, .out = value, .max = KM_PLAN_LIST_MAX
	};
	int rc = read_list(c, o, key, v, &l);

	if (rc == 0 && l.count == 0)
		return km_conf_bad_value(c, key, v, o->want);
	if (rc == 0) {
		memcpy(out, value, l.count * sizeof(*out));
		*out_count = l.count;
	}
	return rc;
}

int plan_parse_rates(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                     const struct km_tree *v, void *base)
{
	struct km_plan *p = base;

	return read_numbers(c, o, key, v, item_rate, p->matrix.rps, &p->matrix.rps_count);
}

int plan_parse_factors(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                       const struct km_tree *v, void *base)
{
	struct km_plan *p = base;

	return read_numbers(c, o, key, v, item_factor, p->load.step, &p->load.step_count);
}

int plan_parse_arms(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                    const struct km_tree *v, void *base)
{
	struct km_plan *p = base;
	double value[KM_PLAN_ARM_N] = { 0 };
	struct list l = { .read = item_arm, .out = value, .max = KM_PLAN_ARM_N };
	int rc = read_list(c, o, key, v, &l);

	if (rc == 0 && l.count == 0)
		return km_conf_bad_value(c, key, v, o->want);
	for (size_t i = 0; rc == 0 && i < l.count; i++)
		p->trial.arm[i] = (enum km_plan_arm)value[i];
	if (rc == 0)
		p->trial.arm_count = l.count;
	return rc;
}

/* Words alone: which nodes they mean depends on target.node, which may come later. */
int plan_parse_on(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                  const struct km_tree *v, void *base)
{
	struct km_plan_matrix *m = &((struct km_plan *)base)->matrix;

	m->on_count = 0;
	if (v->kind != KM_TREE_LIST || v->child == NULL)
		return km_conf_bad_value(c, key, v, o->want);
	for (const struct km_tree *i = v->child; i != NULL; i = i->next) {
		if (i->kind != KM_TREE_SCALAR || i->text[0] == '\0' ||
		    strlen(i->text) >= KM_PLAN_ON_MAX || m->on_count == KM_PLAN_NODES_MAX)
			return km_conf_bad_value(c, key, i, o->want);
		(void)snprintf(m->on[m->on_count++].word, KM_PLAN_ON_MAX, "%s", i->text);
	}
	return 0;
}

/* Part of file names, of labels and of a CSV's columns. */
int plan_parse_name(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                    const struct km_tree *v, void *base)
{
	struct km_plan *p = base;
	size_t len = v->kind == KM_TREE_SCALAR && !km_conf_is_null(v) ? strlen(v->text) : 0;

	if (len == 0 || len >= sizeof(p->name) || !isalnum((unsigned char)v->text[0]))
		return km_conf_bad_value(c, key, v, o->want);
	for (size_t i = 0; i < len; i++) {
		unsigned char letter = (unsigned char)v->text[i];

		if (letter > 127 || (!isalnum(letter) && strchr("-._", letter) == NULL))
			return km_conf_bad_value(c, key, v, o->want);
	}
	memcpy(p->name, v->text, len + 1);
	return 0;
}

int plan_parse_target_node(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                           const struct km_tree *v, void *base)
{
	struct km_plan *p = base;

	for (size_t i = 0; v->kind == KM_TREE_SCALAR && i < p->node_count; i++) {
		if (strcmp(p->node[i].name, v->text) == 0) {
			p->target.node = i;
			return 0;
		}
	}
	return km_conf_bad_value(c, key, v, o->want);
}

int plan_parse_load_cpus(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                         const struct km_tree *v, void *base)
{
	struct km_plan_load *l = &((struct km_plan *)base)->load;

	if (v->kind != KM_TREE_SCALAR || km_conf_is_null(v) || v->text[0] == '\0' ||
	    km_cpuset_parse(v->text, &l->cpus, NULL) != 0)
		return km_conf_bad_value(c, key, v, o->want);
	l->cpus_given = true;
	return 0;
}

int plan_parse_recorder(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                        const struct km_tree *v, void *base)
{
	struct km_plan *p = base;
	bool local = v->kind == KM_TREE_SCALAR && strcmp(v->text, "local") == 0;

	if (!local && (v->kind != KM_TREE_SCALAR || strcmp(v->text, "none") != 0))
		return km_conf_bad_value(c, key, v, o->want);
	p->cluster.recorder_local = local;
	return 0;
}
