/* SPDX-License-Identifier: Apache-2.0 */
/* Objects as they are kept: the struct, then a pod's labels, then every text, in one piece. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/macros.h"

#include "slots.h"

#define LABELS_MAX 4096 /* far more than an API server takes */

static const size_t node_texts[] = {
	offsetof(struct km_view_node, name),
	offsetof(struct km_view_node, uid),
	offsetof(struct km_view_node, verdict),
	offsetof(struct km_view_node, platform),
};

static const size_t pod_texts[] = {
	offsetof(struct km_view_pod, pod.name),       offsetof(struct km_view_pod, pod.namespace),
	offsetof(struct km_view_pod, pod.uid),        offsetof(struct km_view_pod, pod.owner_kind),
	offsetof(struct km_view_pod, pod.owner_name), offsetof(struct km_view_pod, pod.class_name),
	offsetof(struct km_view_pod, node),           offsetof(struct km_view_pod, ip),
	offsetof(struct km_view_pod, scheduler),      offsetof(struct km_view_pod, refused),
	offsetof(struct km_view_pod, refused_reason),
};

static const size_t policy_texts[] = {
	offsetof(struct km_view_policy, namespace),
	offsetof(struct km_view_policy, name),
	offsetof(struct km_view_policy, uid),
	offsetof(struct km_view_policy, resource_version),
	offsetof(struct km_view_policy, json),
	offsetof(struct km_view_policy, error),
};

static const size_t namespace_texts[] = { offsetof(struct km_view_namespace, name) };

/* What of an object is a text, and where the object is in its item. */
static const struct shape {
	const size_t *text;
	size_t count;
	size_t at, size;
} shapes[KM_VIEW_KINDS] = {
	[KM_VIEW_NODES] = { node_texts, KM_ARRAY_LEN(node_texts), offsetof(struct view_item, node),
	                    sizeof(struct km_view_node) },
	[KM_VIEW_PODS] = { pod_texts, KM_ARRAY_LEN(pod_texts), offsetof(struct view_item, pod),
	                   sizeof(struct km_view_pod) },
	[KM_VIEW_POLICIES] = { policy_texts, KM_ARRAY_LEN(policy_texts),
	                       offsetof(struct view_item, policy), sizeof(struct km_view_policy) },
	[KM_VIEW_NAMESPACES] = { namespace_texts, KM_ARRAY_LEN(namespace_texts),
	                         offsetof(struct view_item, namespace),
	                         sizeof(struct km_view_namespace) },
};

static struct km_name *text_at(void *object, size_t offset)
{
	return (struct km_name *)(void *)((char *)object + offset);
}

/* Copies the text of a name to *end and lets the name point there. */
static void move_text(struct km_name *n, char **end)
{
	if (n->len > 0) {
		memcpy(*end, n->text, n->len);
	}
	n->text = *end;
	*end += n->len;
}

/* An item with the object in it, and `extra` bytes between object and texts. NULL: no memory. */
static struct view_item *item_create(enum km_view_kind kind, const void *object, size_t extra,
                                     size_t more_text, char **end)
{
	const struct shape *shape = &shapes[kind];
	size_t size = sizeof(struct view_item) + extra + more_text;
	struct view_item *i;

	for (size_t t = 0; t < shape->count; t++) {
		struct km_name name;

		memcpy(&name, (const char *)object + shape->text[t], sizeof(name));
		size += name.len;
	}
	i = malloc(size);
	if (i == NULL) {
		return NULL;
	}
	memset(i, 0, sizeof(*i));
	atomic_init(&i->refs, 1);
	i->kind = kind;
	memcpy((char *)i + shape->at, object, shape->size);
	*end = (char *)(i + 1) + extra;
	for (size_t t = 0; t < shape->count; t++) {
		move_text(text_at((char *)i + shape->at, shape->text[t]), end);
	}
	return i;
}

struct view_item *view_item_ref(struct view_item *i)
{
	if (i != NULL) {
		atomic_fetch_add_explicit(&i->refs, 1, memory_order_relaxed);
	}
	return i;
}

void view_item_unref(struct view_item *i)
{
	if (i == NULL || atomic_fetch_sub_explicit(&i->refs, 1, memory_order_acq_rel) != 1) {
		return;
	}
	if (i->parsed != NULL) {
		km_policy_fini(i->parsed);
		free(i->parsed);
	}
	free(i);
}

bool view_same_name(struct km_name a, struct km_name b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.text, b.text, a.len) == 0);
}

void view_item_key(const struct view_item *i, struct km_name *namespace, struct km_name *name)
{
	*namespace = (struct km_name){ NULL, 0 };
	switch (i->kind) {
	case KM_VIEW_PODS:
		*namespace = i->pod.pod.namespace;
		*name = i->pod.pod.name;
		break;
	case KM_VIEW_POLICIES:
		*namespace = i->policy.namespace;
		*name = i->policy.name;
		break;
	case KM_VIEW_NODES:
		*name = i->node.name;
		break;
	default:
		*name = i->namespace.name;
		break;
	}
}

struct view_item *view_item_of_node(const struct km_view_node *n)
{
	char *end;

	return item_create(KM_VIEW_NODES, n, 0, 0, &end);
}

struct view_item *view_item_of_pod(const struct km_view_pod *p)
{
	size_t labels = p->pod.label_count < LABELS_MAX ? p->pod.label_count : LABELS_MAX;
	struct km_label *label;
	struct view_item *i;
	size_t bytes = 0;
	char *end;

	for (size_t l = 0; l < labels; l++) {
		bytes += p->pod.label[l].key.len + p->pod.label[l].value.len;
	}
	i = item_create(KM_VIEW_PODS, p, labels * sizeof(*label), bytes, &end);
	if (i == NULL) {
		return NULL;
	}
	label = (struct km_label *)(void *)(i + 1);
	for (size_t l = 0; l < labels; l++) {
		label[l] = p->pod.label[l];
		move_text(&label[l].key, &end);
		move_text(&label[l].value, &end);
	}
	i->pod.pod.label = label;
	i->pod.pod.label_count = labels;
	return i;
}

struct view_item *view_item_of_policy(const struct km_view_policy *p)
{
	char *end;

	return item_create(KM_VIEW_POLICIES, p, 0, 0, &end);
}

struct view_item *view_item_of_namespace(const struct km_view_namespace *n)
{
	char *end;

	return item_create(KM_VIEW_NAMESPACES, n, 0, 0, &end);
}

static bool same_texts(enum km_view_kind kind, const void *a, const void *b)
{
	const struct shape *shape = &shapes[kind];
	bool same = true;

	for (size_t t = 0; t < shape->count && same; t++) {
		struct km_name x;
		struct km_name y;

		memcpy(&x, (const char *)a + shape->text[t], sizeof(x));
		memcpy(&y, (const char *)b + shape->text[t], sizeof(y));
		same = view_same_name(x, y);
	}
	return same;
}

bool view_same_number(double a, double b)
{
	return a == b || (isnan(a) && isnan(b));
}

bool view_item_same_node(const struct km_view_node *a, const struct km_view_node *b)
{
	return a->ready == b->ready && a->unschedulable == b->unschedulable &&
	       view_same_number(a->cpu_cores, b->cpu_cores) &&
	       view_same_number(a->memory_bytes, b->memory_bytes) &&
	       same_texts(KM_VIEW_NODES, a, b);
}

bool view_same_labels(const struct km_pod *a, const struct km_pod *b)
{
	bool same = a->label_count == b->label_count;

	for (size_t l = 0; l < a->label_count && same; l++) {
		same = view_same_name(a->label[l].key, b->label[l].key) &&
		       view_same_name(a->label[l].value, b->label[l].value);
	}
	return same;
}

bool view_item_same_pod(const struct km_view_pod *a, const struct km_view_pod *b)
{
	return a->phase == b->phase && a->ready == b->ready && a->deleting == b->deleting &&
	       a->running_mono_ns == b->running_mono_ns &&
	       a->running_wall_ns == b->running_wall_ns &&
	       view_same_number(a->cpu_cores, b->cpu_cores) &&
	       view_same_number(a->memory_bytes, b->memory_bytes) &&
	       view_same_number(a->pod.rps, b->pod.rps) &&
	       view_same_number(a->pod.max_slowdown, b->pod.max_slowdown) &&
	       same_texts(KM_VIEW_PODS, a, b) && view_same_labels(&a->pod, &b->pod);
}
