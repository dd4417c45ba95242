/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies of the API as one set, each with the trust of its namespace. Made anew as a whole when a
 * spec or a trust changed: there are a thousand at most. Thread km-view.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/log.h"

#include "view_internal.h"

static int by_name(const void *a, const void *b)
{
	const struct km_name *x = a;
	const struct km_name *y = b;
	uint32_t len = x->len < y->len ? x->len : y->len;
	int order = len > 0 ? memcmp(x->text, y->text, len) : 0;

	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* Names of trusted namespaces, ascending, borrowed from s. NULL: no memory. */
static struct km_name *trusted_of(const struct km_view_snapshot *s, size_t *count)
{
	struct km_name *name =
		calloc(km_view_count(s, KM_VIEW_NAMESPACES) + 1, sizeof(struct km_name));
	const struct km_view_namespace *ns;
	size_t at = 0;

	*count = 0;
	while (name != NULL && (ns = km_view_next_namespace(s, &at)) != NULL) {
		if (ns->trusted) {
			name[(*count)++] = ns->name;
		}
	}
	if (name != NULL) {
		qsort(name, *count, sizeof(*name), by_name);
	}
	return name;
}

static bool is_trusted(const struct km_name *trusted, size_t count, struct km_name namespace)
{
	return bsearch(&namespace, trusted, count, sizeof(*trusted), by_name) != NULL;
}

/* Every policy that parses, once more: each set owns what it holds. returns how many. */
static size_t parse_all(struct km_view *v, const struct km_view_snapshot *s,
                        const struct km_name *trusted, size_t trusted_count, struct km_policy *out)
{
	const struct km_view_policy *p;
	size_t count = 0;
	size_t left = 0;
	size_t at = 0;
	char path[KM_POLICY_PATH_MAX];

	while ((p = km_view_next_policy(s, &at)) != NULL) {
		if (p->policy == NULL) {
			continue;
		}
		if (count == KM_POLICIES_MAX) {
			left++;
		} else if (v->parse_policy(view_policy_path(p, path, sizeof(path)), p->json.text,
		                           p->json.len,
		                           is_trusted(trusted, trusted_count, p->namespace),
		                           &out[count], NULL) == 0) {
			count++;
		}
	}
	if (left > 0) {
		km_log_warn("cluster", "policies over the limit are left out count=%zu limit=%d",
		            left, KM_POLICIES_MAX);
	}
	return count;
}

static void hold(struct km_view *v, struct km_policies *set)
{
	struct km_policies *holds =
		v->feed.policies != NULL ? v->feed.policies(v->feed.ctx, set) : NULL;

	km_policies_unref(v->feeder.policies);
	v->feeder.policies = holds != NULL ? holds : set;
	if (holds != NULL) {
		km_policies_unref(set);
	}
}

void view_policies_build(struct km_view *v)
{
	const struct km_view_snapshot *s = km_view_get(v);
	struct km_policy *policy = calloc(KM_POLICIES_MAX, sizeof(*policy));
	struct km_err err = { .code = 0 };
	struct km_policies *set = NULL;
	struct km_name *trusted = NULL;
	size_t trusted_count;
	size_t count = 0;

	if (s != NULL && policy != NULL) {
		trusted = trusted_of(s, &trusted_count);
	}
	if (trusted == NULL) {
		km_log_error("cluster", "old policies kept error=memory");
		goto out;
	}
	if (v->parse_policy != NULL) {
		count = parse_all(v, s, trusted, trusted_count, policy);
	}
	if (km_policies_create(policy, count, &set, &err) != 0) {
		km_log_error("cluster", "old policies kept error=\"%s\"", err.text);
		goto out;
	}
	hold(v, set);
out:
	free(trusted);
	free(policy);
	km_view_put(s);
}
