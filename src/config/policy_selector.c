/* SPDX-License-Identifier: Apache-2.0 */
/* A policy's label selector: matchLabels and matchExpressions to the terms of core/policy.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "km/core/policy.h"

#include "config_internal.h"

#define LABEL_KEY_MAX   317 /* a DNS subdomain, '/', and 63 characters */
#define LABEL_VALUE_MAX 63

static int new_term(struct km_conf_ctx *c, struct km_policy *p, const struct km_tree *at,
                    struct km_selector_term **out)
{
	if (p->term_count == KM_SELECTOR_TERMS_MAX)
		return km_conf_fail(c, at->line, "spec.selector: saw more than %d requirements",
		                    KM_SELECTOR_TERMS_MAX);
	if (p->term == NULL)
		p->term = calloc(KM_SELECTOR_TERMS_MAX, sizeof(p->term[0]));
	if (p->term == NULL)
		return km_conf_no_memory(c);
	*out = &p->term[p->term_count++];
	return 0;
}

/* Letters, digits and what is in `also`, the first and the last no mark: a label's name. */
static bool is_name(const char *text, size_t len, size_t max, const char *also)
{
	if (len == 0 || len > max || strchr(also, text[0]) != NULL ||
	    strchr(also, text[len - 1]) != NULL)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char letter = (unsigned char)text[i];

		if (letter > 127 || (!isalnum(letter) && strchr(also, letter) == NULL))
			return false;
	}
	return true;
}

/* A DNS subdomain: lower-case names with dots between. */
static bool is_prefix(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (isupper((unsigned char)text[i]))
			return false;
	}
	for (size_t i = 0; i <= len;) {
		const char *dot = memchr(text + i, '.', len - i);
		size_t part = dot != NULL ? (size_t)(dot - text) - i : len - i;

		if (!is_name(text + i, part, len, "-"))
			return false;
		i += part + 1;
	}
	return true;
}

static bool is_label_key(const char *key)
{
	const char *slash = strchr(key, '/');
	const char *name = slash != NULL ? slash + 1 : key;

	return strlen(key) <= LABEL_KEY_MAX &&
	       is_name(name, strlen(name), LABEL_VALUE_MAX, "-_.") &&
	       (slash == NULL || is_prefix(key, (size_t)(slash - key)));
}

static int set_key(struct km_conf_ctx *c, struct km_selector_term *t, const struct km_tree *at,
                   const char *key)
{
	if (!is_label_key(key)) {
		return km_conf_fail(
			c, at->line,
			"spec.selector: saw the label key \"%.40s\", want a name of at most "
			"63 characters, which may have a domain and a '/' in front",
			key);
	}
	t->key = strdup(key);
	return t->key != NULL ? 0 : km_conf_no_memory(c);
}

static int add_value(struct km_conf_ctx *c, struct km_selector_term *t, const struct km_tree *v)
{
	if (!conf_is_text(v) ||
	    (v->text[0] != '\0' && !is_name(v->text, strlen(v->text), LABEL_VALUE_MAX, "-_.")))
		return km_conf_bad_value(c, "selector", v,
		                         "texts of at most 63 letters, digits, '-', '_' and '.'");
	if (t->value_count == KM_SELECTOR_VALUES_MAX)
		return km_conf_fail(c, v->line, "spec.selector: saw more than %d values",
		                    KM_SELECTOR_VALUES_MAX);
	if (t->value == NULL)
		t->value = calloc(KM_SELECTOR_VALUES_MAX, sizeof(t->value[0]));
	if (t->value == NULL)
		return km_conf_no_memory(c);
	t->value[t->value_count] = strdup(v->text);
	return t->value[t->value_count++] != NULL ? 0 : km_conf_no_memory(c);
}

static int add_labels(struct km_conf_ctx *c, struct km_policy *p, const struct km_tree *labels)
{
	if (labels->kind != KM_TREE_MAP)
		return km_conf_bad_value(c, "selector.matchLabels", labels, "a map of labels");
	for (const struct km_tree *v = labels->child; v != NULL; v = v->next) {
		struct km_selector_term *t = NULL;
		int rc = new_term(c, p, v, &t);

		if (rc == 0 && t != NULL)
			rc = set_key(c, t, v, v->key);
		if (rc == 0 && t != NULL)
			rc = add_value(c, t, v);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int add_values(struct km_conf_ctx *c, struct km_selector_term *t, const struct km_tree *at,
                      const struct km_tree *values)
{
	bool needs = t->op == KM_SELECTOR_IN || t->op == KM_SELECTOR_NOT_IN;
	int rc = 0;

	if (values != NULL && values->kind != KM_TREE_LIST)
		return km_conf_bad_value(c, "selector.matchExpressions.values", values, "a list");
	for (const struct km_tree *v = values != NULL ? values->child : NULL; v != NULL && rc == 0;
	     v = v->next)
		rc = add_value(c, t, v);
	if (rc != 0 || needs == (t->value_count > 0))
		return rc;
	return km_conf_fail(c, at->line,
	                    "spec.selector.matchExpressions: saw %s %s values, want values with "
	                    "In and NotIn, and only with them",
	                    km_selector_op_name(t->op), needs ? "without" : "with");
}

static int add_expression(struct km_conf_ctx *c, struct km_policy *p, const struct km_tree *e)
{
	const struct km_tree *key = km_tree_get(e, "key");
	const struct km_tree *op = km_tree_get(e, "operator");
	int parsed = op != NULL && op->kind == KM_TREE_SCALAR ? km_selector_op_parse(op->text) : -1;
	struct km_selector_term *t = NULL;
	int rc;

	if (e->kind != KM_TREE_MAP || key == NULL || !conf_is_text(key))
		return km_conf_bad_value(c, "selector.matchExpressions", e,
		                         "maps of key, operator and values");
	if (parsed < 0)
		return km_conf_bad_value(c, "selector.matchExpressions.operator",
		                         op != NULL ? op : e, "In, NotIn, Exists or DoesNotExist");
	for (const struct km_tree *i = e->child; i != NULL; i = i->next) {
		if (strcmp(i->key, "key") != 0 && strcmp(i->key, "operator") != 0 &&
		    strcmp(i->key, "values") != 0) {
			return km_conf_fail(
				c, i->line,
				"spec.selector.matchExpressions: saw the key %.40s, want "
				"key, operator and values",
				i->key);
		}
	}
	rc = new_term(c, p, e, &t);
	if (rc != 0 || t == NULL)
		return rc;
	t->op = (enum km_selector_op)parsed;
	rc = set_key(c, t, key, key->text);
	return rc != 0 ? rc : add_values(c, t, e, km_tree_get(e, "values"));
}

static int add_expressions(struct km_conf_ctx *c, struct km_policy *p, const struct km_tree *list)
{
	int rc = 0;

	if (list->kind != KM_TREE_LIST)
		return km_conf_bad_value(c, "selector.matchExpressions", list, "a list");
	for (const struct km_tree *e = list->child; e != NULL && rc == 0; e = e->next)
		rc = add_expression(c, p, e);
	return rc;
}

int conf_parse_selector(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                        const struct km_tree *v, void *base)
{
	int rc = 0;

	if (v->kind != KM_TREE_MAP)
		return km_conf_bad_value(c, key, v, o->want);
	for (const struct km_tree *i = v->child; i != NULL && rc == 0; i = i->next) {
		if (strcmp(i->key, "matchLabels") == 0)
			rc = add_labels(c, base, i);
		else if (strcmp(i->key, "matchExpressions") == 0)
			rc = add_expressions(c, base, i);
		else {
			rc = km_conf_fail(c, i->line,
			                  "spec.selector: saw the key %.40s, want matchLabels or "
			                  "matchExpressions",
			                  i->key);
		}
	}
	return rc;
}
