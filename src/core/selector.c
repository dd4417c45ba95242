/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label selectors, as Kubernetes reads them: every requirement must hold; NotIn holds for pods
 * without the label too. Source: k8s.io/apimachinery/pkg/labels/selector.go.
 */
#include <string.h>

#include "km/core/policy.h"

#include "policy_internal.h"

static const char *const op_names[KM_SELECTOR_OP_N] = {
	[KM_SELECTOR_IN] = "In",
	[KM_SELECTOR_NOT_IN] = "NotIn",
	[KM_SELECTOR_EXISTS] = "Exists",
	[KM_SELECTOR_NOT_EXISTS] = "DoesNotExist",
};

const char *km_selector_op_name(enum km_selector_op op)
{
	return op_names[op];
}

int km_selector_op_parse(const char *text)
{
	for (int i = 0; i < KM_SELECTOR_OP_N; i++) {
		if (strcmp(op_names[i], text) == 0)
			return i;
	}
	return -1;
}

static bool is_one_of(const struct km_selector_term *t, const struct km_name *value)
{
	for (size_t i = 0; i < t->value_count; i++) {
		if (strlen(t->value[i]) == value->len &&
		    memcmp(t->value[i], value->text, value->len) == 0)
			return true;
	}
	return false;
}

static bool holds(const struct km_selector_term *t, const struct km_pod *pod)
{
	const struct km_name *value = km_pod_label(pod, t->key);

	switch (t->op) {
	case KM_SELECTOR_IN:
		return value != NULL && is_one_of(t, value);
	case KM_SELECTOR_NOT_IN:
		return value == NULL || !is_one_of(t, value);
	case KM_SELECTOR_EXISTS:
		return value != NULL;
	default:
		return value == NULL;
	}
}

bool policy_selects(const struct km_policy *p, const struct km_pod *pod)
{
	for (size_t i = 0; i < p->term_count; i++) {
		if (!holds(&p->term[i], pod))
			return false;
	}
	return true;
}

/* Are all values of `a` among those of `b`? */
static bool within(const struct km_selector_term *a, const struct km_selector_term *b)
{
	for (size_t i = 0; i < a->value_count; i++) {
		struct km_name v = { a->value[i], (uint32_t)strlen(a->value[i]) };

		if (!is_one_of(b, &v))
			return false;
	}
	return true;
}

static bool same_term(const struct km_selector_term *a, const struct km_selector_term *b)
{
	return a->op == b->op && strcmp(a->key, b->key) == 0 && within(a, b) && within(b, a);
}

static bool all_among(const struct km_policy *a, const struct km_policy *b)
{
	for (size_t i = 0; i < a->term_count; i++) {
		bool found = false;

		for (size_t k = 0; k < b->term_count && !found; k++)
			found = same_term(&a->term[i], &b->term[k]);
		if (!found)
			return false;
	}
	return true;
}

bool policy_same_selector(const struct km_policy *a, const struct km_policy *b)
{
	return a->term_count == b->term_count && all_among(a, b) && all_among(b, a);
}
