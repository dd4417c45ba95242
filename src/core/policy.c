/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which policy holds for a pod, and what it makes of the pod's workload. A set keeps its policies
 * in the order in which they are tried, so that the first that matches is the one.
 */
#include "km/core/policy.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"

#include "policy_internal.h"

#define KEY_SEED UINT64_C(0x6b6d706f6c696379)

struct by_key {
	uint64_t key;
	size_t at;
};

struct km_policies {
	_Atomic uint32_t refs;
	size_t count;
	struct by_key *key; /* [count], ascending */
	struct km_policy policy[];
};

void km_policy_init(struct km_policy *p)
{
	*p = (struct km_policy){
		.mode = KM_MODE_OBSERVE,
		.max_slowdown = NAN,
		.rps = NAN,
		.weight = 1,
		.kpi = { .baseline_s = NAN },
		.rebalance = { .dry_run = true,
		               .min_gain_ratio = KM_POLICY_MIN_GAIN_RATIO,
		               .cooldown_ns = KM_POLICY_COOLDOWN_NS,
		               .max_evictions_per_hour = KM_POLICY_PER_HOUR },
	};
}

void km_policy_fini(struct km_policy *p)
{
	for (size_t i = 0; i < p->term_count; i++) {
		free(p->term[i].key);
		for (size_t k = 0; k < p->term[i].value_count; k++)
			free(p->term[i].value[k]);
		free(p->term[i].value);
	}
	free(p->term);
	free(p->rps_query);
	free(p->kpi.latency_query);
	free(p->kpi.baseline_query);
	memset(p, 0, sizeof(*p));
}

uint64_t km_policy_key(const char *namespace, const char *name)
{
	uint64_t key = km_hash64(namespace, strlen(namespace), KEY_SEED);

	key = km_hash64(name, strlen(name), key);
	return key != 0 ? key : 1;
}

char *km_policy_path(const struct km_policy *p, char *out)
{
	size_t len = strlen(p->namespace);

	memcpy(out, p->namespace, len);
	out[len] = '/';
	memcpy(out + len + 1, p->name, strlen(p->name) + 1);
	return out;
}

static bool in_namespace(const struct km_policy *p, const struct km_pod *pod)
{
	return strlen(p->namespace) == pod->namespace.len &&
	       (pod->namespace.len == 0 ||
	        memcmp(p->namespace, pod->namespace.text, pod->namespace.len) == 0);
}

bool km_policy_matches(const struct km_policy *p, const struct km_pod *pod)
{
	return in_namespace(p, pod) && policy_selects(p, pod);
}

/* By namespace; in it the most specific first, then by name. */
static int in_order(const void *a, const void *b)
{
	const struct km_policy *p = a;
	const struct km_policy *q = b;
	int order = strcmp(p->namespace, q->namespace);

	if (order == 0 && p->term_count != q->term_count)
		order = p->term_count > q->term_count ? -1 : 1;
	return order != 0 ? order : strcmp(p->name, q->name);
}

static int in_key_order(const void *a, const void *b)
{
	uint64_t x = ((const struct by_key *)a)->key;
	uint64_t y = ((const struct by_key *)b)->key;

	return (x > y) - (x < y);
}

static int index_keys(struct km_policies *p, struct km_err *err)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct km_policy *one = &p->policy[i];

		p->key[i] = (struct by_key){ km_policy_key(one->namespace, one->name), i };
	}
	qsort(p->key, p->count, sizeof(p->key[0]), in_key_order);
	for (size_t i = 1; i < p->count; i++) {
		if (p->key[i].key == p->key[i - 1].key) {
			return km_err_set(
				err, EEXIST, "policy %.63s/%.60s: saw it twice, want each once",
				p->policy[p->key[i].at].namespace, p->policy[p->key[i].at].name);
		}
	}
	return 0;
}

static void give_up(struct km_policy *policy, size_t count)
{
	for (size_t i = 0; i < count; i++)
		km_policy_fini(&policy[i]);
}

int km_policies_create(struct km_policy *policy, size_t count, struct km_policies **out,
                       struct km_err *err)
{
	struct km_policies *p = NULL;
	int rc;

	*out = NULL;
	if (count > KM_POLICIES_MAX) {
		give_up(policy, count);
		return km_err_set(err, E2BIG, "policies: saw %zu, want at most %d", count,
		                  KM_POLICIES_MAX);
	}
	p = calloc(1, sizeof(*p) + count * sizeof(p->policy[0]));
	if (p != NULL)
		p->key = calloc(count + 1, sizeof(p->key[0]));
	if (p == NULL || p->key == NULL) {
		give_up(policy, count);
		free(p);
		return km_err_set(err, ENOMEM, "policies: out of memory");
	}
	atomic_init(&p->refs, 1);
	p->count = count;
	if (count > 0) {
		memcpy(p->policy, policy, count * sizeof(policy[0]));
		memset(policy, 0, count * sizeof(policy[0]));
		qsort(p->policy, count, sizeof(p->policy[0]), in_order);
	}
	rc = index_keys(p, err);
	if (rc != 0) {
		km_policies_unref(p);
		return rc;
	}
	*out = p;
	return 0;
}

struct km_policies *km_policies_ref(struct km_policies *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void km_policies_unref(struct km_policies *p)
{
	if (p == NULL || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	give_up(p->policy, p->count);
	free(p->key);
	free(p);
}

size_t km_policies_count(const struct km_policies *p)
{
	return p != NULL ? p->count : 0;
}

const struct km_policy *km_policies_at(const struct km_policies *p, size_t i)
{
	return &p->policy[i];
}

/* The first policy of the pod's namespace, or of one behind it. */
static size_t first_of_namespace(const struct km_policies *p, const struct km_pod *pod)
{
	size_t low = 0;
	size_t high = p->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *namespace = p->policy[middle].namespace;
		size_t len = strlen(namespace);
		size_t common = len < pod->namespace.len ? len : pod->namespace.len;
		int order = common > 0 ? memcmp(namespace, pod->namespace.text, common) : 0;

		if (order < 0 || (order == 0 && len < pod->namespace.len))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct km_policy *km_policies_match(const struct km_policies *p, const struct km_pod *pod,
                                          const struct km_policy **other)
{
	const struct km_policy *found = NULL;

	if (other != NULL)
		*other = NULL;
	for (size_t i = p != NULL ? first_of_namespace(p, pod) : 0; i < km_policies_count(p); i++) {
		const struct km_policy *one = &p->policy[i];

		if (!in_namespace(one, pod))
			break;
		if (!policy_selects(one, pod))
			continue;
		if (found != NULL) {
			*other = one;
			break;
		}
		found = one;
		if (other == NULL)
			break;
	}
	return found;
}

const struct km_policy *km_policies_find(const struct km_policies *p, uint64_t key)
{
	const struct by_key wanted = { key, 0 };
	const struct by_key *found = NULL;

	if (km_policies_count(p) > 0)
		found = bsearch(&wanted, p->key, p->count, sizeof(p->key[0]), in_key_order);
	return found != NULL ? &p->policy[found->at] : NULL;
}

size_t km_policies_conflicts(const struct km_policies *p, size_t (*pair)[2], size_t max)
{
	size_t count = 0;

	for (size_t b = 1; b < km_policies_count(p); b++) {
		for (size_t a = b; a-- > 0;) {
			const struct km_policy *first = &p->policy[a];
			const struct km_policy *second = &p->policy[b];

			if (first->term_count != second->term_count ||
			    strcmp(first->namespace, second->namespace) != 0)
				break; /* the order has those side by side that may be alike */
			if (!policy_same_selector(first, second))
				continue;
			if (count < max) {
				pair[count][0] = a;
				pair[count][1] = b;
			}
			count++;
		}
	}
	return count;
}

void km_policy_workload(const struct km_policy *p, const struct km_pod *pod,
                        const struct km_workload *base, double min_max_slowdown, double ready,
                        struct km_workload *out)
{
	km_pod_workload(pod, base, min_max_slowdown, out);
	if (p == NULL)
		return;
	out->mode = p->mode;
	if (p->on_stale_given)
		out->on_stale = p->on_stale;
	if (isfinite(p->max_slowdown))
		out->max_slowdown = fmax(p->max_slowdown, min_max_slowdown);
	if (isfinite(p->rps))
		out->rps = p->rps / fmax(ready, 1) * (ready >= 1 ? base->replicas : 1);
	if (p->class_name[0] != '\0')
		memcpy(out->class_name, p->class_name, sizeof(out->class_name));
}
