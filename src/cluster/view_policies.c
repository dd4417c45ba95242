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

struct candidate {
	const struct km_view_policy *at;
	bool trusted;
};

/* Whose namespace is trusted comes first: no tenant pushes others over the limit. */
static int by_trust_and_name(const void *a, const void *b)
{
	const struct candidate *x = a;
	const struct candidate *y = b;
	int order;

	if (x->trusted != y->trusted) {
		return x->trusted ? -1 : 1;
	}
	order = by_name(&x->at->namespace, &y->at->namespace);
	return order != 0 ? order : by_name(&x->at->name, &y->at->name);
}

/* Policies that parse; of more than there may be the same ones in every process, whenever it came
 * to know them. NULL: no memory. */
static struct candidate *candidates_of(const struct km_view_snapshot *s,
                                       const struct km_name *trusted, size_t trusted_count,
                                       size_t *count)
{
	struct candidate *c = calloc(km_view_count(s, KM_VIEW_POLICIES) + 1, sizeof(*c));
	const struct km_view_policy *p;
	size_t at = 0;

	*count = 0;
	while (c != NULL && (p = km_view_next_policy(s, &at)) != NULL) {
		if (p->policy != NULL) {
			c[(*count)++] = (struct candidate){ p, is_trusted(trusted, trusted_count,
				                                          p->namespace) };
		}
	}
	if (c != NULL && *count > KM_POLICIES_MAX) {
		qsort(c, *count, sizeof(*c), by_trust_and_name);
		km_log_warn("cluster", "policies over the limit are left out count=%zu limit=%d",
		            *count - KM_POLICIES_MAX, KM_POLICIES_MAX);
		*count = KM_POLICIES_MAX;
	}
	return c;
}

/* Once more: each set owns what it holds. returns how many. */
static size_t parse_all(struct km_view *v, const struct candidate *c, size_t candidates,
                        struct km_policy *out)
{
	char path[KM_POLICY_PATH_MAX];
	size_t count = 0;

	for (size_t i = 0; i < candidates; i++) {
		const struct km_view_policy *p = c[i].at;

		count += v->parse_policy(view_policy_path(p, path, sizeof(path)), p->json.text,
		                         p->json.len, c[i].trusted, &out[count], NULL) == 0;
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
	struct candidate *candidate = NULL;
	struct km_name *trusted = NULL;
	size_t trusted_count;
	size_t count = 0;

	if (s != NULL && policy != NULL) {
		trusted = trusted_of(s, &trusted_count);
	}
	if (trusted != NULL) {
		candidate = candidates_of(s, trusted, trusted_count, &count);
	}
	if (candidate == NULL) {
		km_log_error("cluster", "old policies kept error=memory");
		goto out;
	}
	count = v->parse_policy != NULL ? parse_all(v, candidate, count, policy) : 0;
	if (km_policies_create(policy, count, &set, &err) != 0) {
		km_log_error("cluster", "old policies kept error=\"%s\"", err.text);
		goto out;
	}
	hold(v, set);
out:
	free(candidate);
	free(trusted);
	free(policy);
	km_view_put(s);
}
