/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy's pods suffer where they are: predicted by decide, observed by its queries. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy_internal.h"

#define KINDS_MAX 8 /* of pods of one policy, told apart */

/* One kind of the policy's pods, and on which of its nodes there are some. */
struct kind {
	struct km_subject who;
	bool *on; /* [nodes] */
};

struct judging {
	struct km_decide *decide;
	struct policy_round *r;
	struct round_policy *p;
	struct policy_facts *facts;
	struct km_name *name; /* [facts->nodes] */
	struct kind kind[KINDS_MAX];
	size_t kinds;
	size_t *position; /* [nodes]: of a kind's nodes */
};

static void copy_name(char *to, size_t size, struct km_name from)
{
	size_t len = from.len < size ? from.len : size - 1;

	if (len > 0) {
		memcpy(to, from.text, len);
	}
	to[len] = '\0';
}

/* The nodes that its pods are on, in the order of pods. 0 or -ENOMEM. */
static int find_nodes(struct judging *j)
{
	struct round_policy *p = j->p;
	struct km_arena *arena = j->r->arena;

	j->facts->node = km_arena_calloc(arena, p->pods + 1, sizeof(j->facts->node[0]));
	j->name = km_arena_calloc(arena, p->pods + 1, sizeof(j->name[0]));
	j->position = km_arena_calloc(arena, p->pods + 1, sizeof(j->position[0]));
	if (j->facts->node == NULL || j->name == NULL || j->position == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < p->pods; i++) {
		struct km_name node = p->pod[i].at->node;
		struct km_status_node *n;

		if (node.len == 0) {
			continue;
		}
		if (j->facts->nodes == 0 || !policy_same_name(node, j->name[j->facts->nodes - 1])) {
			n = &j->facts->node[j->facts->nodes];
			j->name[j->facts->nodes++] = node;
			copy_name(n->name, sizeof(n->name), node);
			n->predicted = NAN;
			n->observed = NAN;
			n->tier = KM_TIER_NONE;
		}
		p->pod[i].node = j->facts->nodes - 1;
		j->facts->node[j->facts->nodes - 1].pods++;
	}
	return 0;
}

static bool same_number(double a, double b)
{
	return a == b || (isnan(a) && isnan(b));
}

static bool same_kind(const struct km_subject *a, const struct km_subject *b)
{
	return a->kind.service == b->kind.service && a->kind.policy == b->kind.policy &&
	       a->kind.effects == b->kind.effects && same_number(a->kind.rps, b->kind.rps) &&
	       strcmp(a->kind.class_name, b->kind.class_name) == 0;
}

static int note_kind(struct judging *j, const struct km_subject *who, size_t node)
{
	size_t k = 0;

	while (k < j->kinds && !same_kind(&j->kind[k].who, who)) {
		k++;
	}
	if (k == KINDS_MAX) {
		k--; /* about like the last one */
	} else if (k == j->kinds) {
		j->kind[k].who = *who;
		j->kind[k].on = km_arena_calloc(j->r->arena, j->facts->nodes + 1, sizeof(bool));
		if (j->kind[k].on == NULL) {
			return -ENOMEM;
		}
		j->kinds++;
	}
	if (node != SIZE_MAX) {
		j->kind[k].on[node] = true;
	}
	return 0;
}

static int find_kinds(struct judging *j)
{
	for (size_t i = 0; i < j->p->pods; i++) {
		struct km_subject who;
		int rc;

		km_decide_subject(j->decide, &j->p->pod[i].at->pod, &who);
		if (i == 0) {
			j->facts->limit = who.workload.max_slowdown;
		}
		rc = note_kind(j, &who, j->p->pod[i].node);
		if (rc != 0) {
			return rc;
		}
	}
	return 0;
}

static int predict(struct judging *j, const struct kind *k)
{
	struct km_name *names = km_arena_calloc(j->r->arena, j->facts->nodes + 1, sizeof(*names));
	struct km_decision now;
	size_t count = 0;
	int rc;

	if (names == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < j->facts->nodes; i++) {
		if (k->on[i]) {
			j->position[count] = i;
			names[count++] = j->name[i];
		}
	}
	rc = km_decide_run_there(j->decide, &k->who, names, count, j->r->scratch, &now);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		struct km_status_node *n = &j->facts->node[j->position[i]];
		double slowdown = now.node[i].prediction.slowdown;

		n->tier = now.node[i].tier;
		if (isfinite(slowdown) && !(n->predicted >= slowdown)) {
			n->predicted = slowdown;
		}
	}
	km_arena_reset(j->r->scratch);
	return rc;
}

/* ---- what was observed ---- */

/* The worst of what is said of a node. */
static void observe_on(struct km_status_node *n, double slowdown)
{
	if (!(n->observed >= slowdown)) {
		n->observed = slowdown;
	}
}

/* What queries know a pod of the policy by. */
struct pod_keys {
	uint64_t pod, node;
};

static struct pod_keys *find_keys(struct judging *j)
{
	struct pod_keys *key = km_arena_calloc(j->r->arena, j->p->pods + 1, sizeof(*key));

	for (size_t i = 0; key != NULL && i < j->p->pods; i++) {
		const struct km_view_pod *pod = j->p->pod[i].at;

		key[i].pod = kpi_name_key(pod->pod.name.text, pod->pod.name.len);
		key[i].node = kpi_name_key(pod->node.text, pod->node.len);
	}
	return key;
}

static void observe(struct judging *j, const struct pod_keys *key, const struct kpi_value *v,
                    double slowdown)
{
	if (v->pod == 0 && v->node == 0) {
		j->facts->observed = slowdown;
		return;
	}
	for (size_t i = 0; i < j->p->pods; i++) {
		const struct round_pod *pod = &j->p->pod[i];

		/* A pod's name says which node; the label node may be that of the exporter. */
		if (pod->node != SIZE_MAX &&
		    (v->pod != 0 ? key[i].pod == v->pod : key[i].node == v->node)) {
			observe_on(&j->facts->node[pod->node], slowdown);
		}
	}
}

static int read_observed(struct judging *j, struct policy_kpi *kpi)
{
	const struct km_policy *p = j->p->policy;
	struct pod_keys *key;
	struct kpi_value *value;
	bool whole = false;
	double baseline_s;
	size_t count;

	if (kpi == NULL || p->kpi.latency_query == NULL || !p->trusted) {
		return 0;
	}
	value = km_arena_calloc(j->r->arena, KPI_VALUES_MAX, sizeof(*value));
	key = find_keys(j);
	if (value == NULL || key == NULL) {
		return -ENOMEM;
	}
	baseline_s = p->kpi.baseline_query != NULL ? kpi_number(kpi, j->p->kept->key, KPI_BASELINE)
	                                           : p->kpi.baseline_s;
	if (!(baseline_s > 0)) {
		return 0;
	}
	count = kpi_values(kpi, j->p->kept->key, KPI_LATENCY, value);
	for (size_t i = 0; i < count; i++) {
		whole = whole || (value[i].pod == 0 && value[i].node == 0);
		observe(j, key, &value[i], value[i].value / baseline_s);
	}
	for (size_t i = 0; i < j->facts->nodes && !whole; i++) {
		double worst = j->facts->node[i].observed;

		if (isfinite(worst) && !(j->facts->observed >= worst)) {
			j->facts->observed = worst;
		}
	}
	return 0;
}

/* ---- */

static int read_queries(struct judging *j, struct policy_kpi *kpi)
{
	const struct km_policy *p = j->p->policy;
	bool queries = p->rps_query != NULL || p->kpi.latency_query != NULL;
	char error[KPI_ERROR_MAX];

	j->facts->queries_untrusted = queries && !p->trusted;
	if (kpi == NULL || kpi_error(kpi, j->p->kept->key, error)[0] == '\0') {
		return 0;
	}
	j->facts->query_error = km_arena_strndup(j->r->arena, error, strlen(error));
	return j->facts->query_error != NULL ? 0 : -ENOMEM;
}

/* The reader's text without the object's name and line in front: whoever reads it has the object.
 */
static const char *text_of(struct km_arena *arena, struct km_name error)
{
	const char *colon = memmem(error.text, error.len, ": ", 2);
	const char *from = colon != NULL ? colon + 2 : error.text;

	return km_arena_strndup(arena, from, error.len - (size_t)(from - error.text));
}

static double limit_of(struct km_decide *decide, const struct km_policy *p)
{
	struct km_workload base;

	km_decide_default_workload(decide, &base);
	return isfinite(p->max_slowdown) ? p->max_slowdown : base.max_slowdown;
}

static const char left_out[] =
	"left out: there are more than the 1,024 policies that a daemon takes, and those of "
	"trusted namespaces, then the first by namespace and name, come first";
_Static_assert(KM_POLICIES_MAX == 1024, "which the text says");

int judge_policy(struct km_decide *decide, struct policy_kpi *kpi, struct policy_round *r,
                 struct round_policy *p, struct policy_facts *facts)
{
	struct judging j = { .decide = decide, .r = r, .p = p, .facts = facts };
	int rc;

	*facts = (struct policy_facts){
		.generation = p->object->generation,
		.holds = p->holds,
		.model = r->model,
		.feeding = r->feeding,
		.matched_pods = (uint32_t)p->pods,
		.observed = NAN,
		.limit = NAN,
	};
	if (p->policy == NULL) {
		facts->invalid =
			p->object->error.len > 0 ? text_of(r->arena, p->object->error) : left_out;
		return facts->invalid != NULL ? 0 : -ENOMEM;
	}
	facts->limit = limit_of(decide, p->policy);
	rc = find_nodes(&j);
	if (rc == 0) {
		rc = find_kinds(&j);
	}
	for (size_t k = 0; k < j.kinds && rc == 0 && r->feeding; k++) {
		rc = predict(&j, &j.kind[k]);
	}
	for (size_t i = 0; i < p->pods && rc == 0; i++) {
		if (p->pod[i].node != SIZE_MAX) {
			p->pod[i].predicted = facts->node[p->pod[i].node].predicted;
		}
	}
	if (rc == 0) {
		rc = read_queries(&j, kpi);
	}
	return rc == 0 ? read_observed(&j, kpi) : rc;
}
