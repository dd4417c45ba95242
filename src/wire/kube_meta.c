/* SPDX-License-Identifier: Apache-2.0 */
/* metadata, and the objects that are little more: Node, Lease, Status. */
#include <errno.h>

#include "km/base/num.h"
#include "km/wire/kube_objects.h"

#include "kube_internal.h"

int km_wire_kube_object(const char *json, size_t len, struct km_json_slice *out)
{
	struct km_scan s;

	/* The bytes were scanned when they came; only their ends are looked at. */
	km_scan_init(&s, json, len, KM_KUBE_DEPTH_MAX, NULL);
	if (km_scan_peek(&s) != KM_JSON_OBJECT)
		return -EINVAL;
	*out = (struct km_json_slice){ s.p, (size_t)(s.end - s.p), KM_JSON_OBJECT, false };
	return 0;
}

int64_t km_wire_kube_integer(const struct km_json_slice *slice)
{
	int64_t value;

	if (slice->kind != KM_JSON_NUMBER || km_num_int(slice->text, slice->len, &value) != 0 ||
	    value < 0)
		return -1;
	return value;
}

int64_t km_wire_kube_quantity(const struct km_json_slice *slice, int64_t per_one)
{
	const char *text = slice->text;
	size_t len = slice->len;
	int64_t value;

	/* The API writes strings; what people apply may be a number, and comes back as a string. */
	if (slice->kind == KM_JSON_STRING && !slice->escaped) {
		text++;
		len -= 2;
	} else if (slice->kind != KM_JSON_NUMBER) {
		return -1;
	}
	if (km_kube_quantity_parse(text, len, per_one, &value) != 0 || value < 0)
		return -1;
	return value;
}

int64_t km_wire_kube_time(const struct km_json_slice *slice)
{
	int64_t ns;

	if (slice->kind != KM_JSON_STRING || slice->escaped ||
	    km_kube_time_parse(slice->text + 1, slice->len - 2, &ns) != 0)
		return 0;
	return ns;
}

bool km_wire_kube_text_is(const struct km_json_slice *slice, const char *text)
{
	return slice->kind == KM_JSON_STRING && km_json_key_is(slice, text, false);
}

void km_wire_kube_condition(const struct km_json_slice *conditions, const char *name,
                            struct km_wire_kube_condition *out)
{
	struct km_json_slice type;
	const struct km_json_want in_condition[] = {
		{ "type", &type },
		{ "status", &out->status },
		{ "reason", &out->reason },
		{ "message", &out->message },
		{ "lastTransitionTime", &out->changed },
	};
	struct km_json_slice one;
	struct km_scan s;

	if (km_wire_enter(&s, conditions, KM_JSON_ARRAY)) {
		while (km_scan_element(&s) == KM_SCAN_MORE && km_scan_value(&s, &one) == 0) {
			km_wire_members(&one, in_condition, KM_ARRAY_LEN(in_condition));
			if (km_wire_kube_text_is(&type, name))
				return;
		}
	}
	*out = (struct km_wire_kube_condition){ .status.kind = KM_JSON_ABSENT };
}

int km_wire_kube_meta(const struct km_json_slice *metadata, struct km_arena *arena,
                      struct km_kube_meta *out, struct km_json_slice *annotations)
{
	struct km_json_slice name;
	struct km_json_slice namespace;
	struct km_json_slice uid;
	struct km_json_slice version;
	struct km_json_slice generation;
	struct km_json_slice created;
	struct km_json_slice deleted;
	struct km_json_slice labels;
	const struct km_json_want in_metadata[] = {
		{ "name", &name },
		{ "namespace", &namespace },
		{ "uid", &uid },
		{ "resourceVersion", &version },
		{ "generation", &generation },
		{ "creationTimestamp", &created },
		{ "deletionTimestamp", &deleted },
		{ "labels", &labels },
		{ "annotations", annotations },
	};
	int64_t number;
	int rc;

	*out = (struct km_kube_meta){ 0 };
	km_wire_members(metadata, in_metadata, KM_ARRAY_LEN(in_metadata));
	number = km_wire_kube_integer(&generation);
	out->generation = number > 0 ? number : 0;
	out->created_unix_ns = km_wire_kube_time(&created);
	out->deleting = deleted.kind == KM_JSON_STRING;
	if ((rc = km_wire_text(&name, arena, &out->name)) != 0 ||
	    (rc = km_wire_text(&namespace, arena, &out->namespace)) != 0 ||
	    (rc = km_wire_text(&uid, arena, &out->uid)) != 0 ||
	    (rc = km_wire_text(&version, arena, &out->resource_version)) != 0)
		return rc;
	return km_wire_labels(&labels, arena, &out->label, &out->label_count);
}

int km_kube_meta_decode(const char *json, size_t len, struct km_arena *arena,
                        struct km_kube_meta *out)
{
	struct km_json_slice object;
	struct km_json_slice metadata;
	struct km_json_slice annotations;
	const struct km_json_want in_object[] = { { "metadata", &metadata } };
	int rc = km_wire_kube_object(json, len, &object);

	*out = (struct km_kube_meta){ 0 };
	if (rc != 0)
		return rc;
	km_wire_members(&object, in_object, KM_ARRAY_LEN(in_object));
	return km_wire_kube_meta(&metadata, arena, out, &annotations);
}

const struct km_name *km_kube_label(const struct km_kube_meta *m, const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < m->label_count; i++) {
		if (m->label[i].key.len == len && memcmp(m->label[i].key.text, key, len) == 0)
			return &m->label[i].value;
	}
	return NULL;
}

/* The label's value, or "". */
static struct km_name label_or_none(const struct km_kube_meta *m, const char *key)
{
	const struct km_name *value = km_kube_label(m, key);

	return value != NULL ? *value : (struct km_name){ "", 0 };
}

static int take_internal_ip(const struct km_json_slice *addresses, struct km_arena *arena,
                            struct km_name *out)
{
	struct km_json_slice type;
	struct km_json_slice address;
	const struct km_json_want in_address[] = { { "type", &type }, { "address", &address } };
	struct km_json_slice one;
	struct km_scan s;

	if (!km_wire_enter(&s, addresses, KM_JSON_ARRAY))
		return 0;
	while (km_scan_element(&s) == KM_SCAN_MORE && km_scan_value(&s, &one) == 0) {
		km_wire_members(&one, in_address, KM_ARRAY_LEN(in_address));
		if (km_wire_kube_text_is(&type, "InternalIP"))
			return km_wire_text(&address, arena, out);
	}
	return 0;
}

static int node_status(const struct km_json_slice *status, struct km_arena *arena,
                       struct km_kube_node *out)
{
	struct km_json_slice allocatable;
	struct km_json_slice conditions;
	struct km_json_slice addresses;
	struct km_json_slice info;
	struct km_json_slice cpu;
	struct km_json_slice memory;
	struct km_json_slice pods;
	struct km_json_slice architecture;
	const struct km_json_want in_status[] = {
		{ "allocatable", &allocatable },
		{ "conditions", &conditions },
		{ "addresses", &addresses },
		{ "nodeInfo", &info },
	};
	const struct km_json_want in_allocatable[] = {
		{ "cpu", &cpu },
		{ "memory", &memory },
		{ "pods", &pods },
	};
	const struct km_json_want in_info[] = { { "architecture", &architecture } };
	struct km_wire_kube_condition ready;
	int rc;

	km_wire_members(status, in_status, KM_ARRAY_LEN(in_status));
	km_wire_members(&allocatable, in_allocatable, KM_ARRAY_LEN(in_allocatable));
	km_wire_members(&info, in_info, KM_ARRAY_LEN(in_info));
	out->cpu_millis = km_wire_kube_quantity(&cpu, 1000);
	out->memory_bytes = km_wire_kube_quantity(&memory, 1);
	out->pods = km_wire_kube_quantity(&pods, 1);
	km_wire_kube_condition(&conditions, "Ready", &ready);
	out->ready = km_wire_kube_text_is(&ready.status, "True");
	rc = km_wire_text(&architecture, arena, &out->architecture);
	return rc != 0 ? rc : take_internal_ip(&addresses, arena, &out->internal_ip);
}

int km_kube_node_decode(const char *json, size_t len, struct km_arena *arena,
                        struct km_kube_node *out)
{
	struct km_json_slice object;
	struct km_json_slice metadata;
	struct km_json_slice annotations;
	struct km_json_slice spec;
	struct km_json_slice status;
	struct km_json_slice unschedulable;
	struct km_json_slice verdict;
	const struct km_json_want in_object[] = {
		{ "metadata", &metadata },
		{ "spec", &spec },
		{ "status", &status },
	};
	const struct km_json_want in_spec[] = { { "unschedulable", &unschedulable } };
	const struct km_json_want in_annotations[] = { { "kubemarla.io/verdict", &verdict } };
	int rc = km_wire_kube_object(json, len, &object);

	*out = (struct km_kube_node){ .cpu_millis = -1, .memory_bytes = -1, .pods = -1 };
	if (rc != 0)
		return rc;
	km_wire_members(&object, in_object, KM_ARRAY_LEN(in_object));
	rc = km_wire_kube_meta(&metadata, arena, &out->meta, &annotations);
	if (rc != 0)
		return rc;
	km_wire_members(&annotations, in_annotations, KM_ARRAY_LEN(in_annotations));
	km_wire_members(&spec, in_spec, KM_ARRAY_LEN(in_spec));
	out->has_verdict = verdict.kind == KM_JSON_STRING;
	out->unschedulable = unschedulable.kind == KM_JSON_TRUE;
	out->instance_type = label_or_none(&out->meta, "node.kubernetes.io/instance-type");
	/* https://nfd.sigs.k8s.io/usage/features: cpu */
	out->cpu_vendor =
		label_or_none(&out->meta, "feature.node.kubernetes.io/cpu-model.vendor_id");
	out->cpu_family = label_or_none(&out->meta, "feature.node.kubernetes.io/cpu-model.family");
	out->cpu_model = label_or_none(&out->meta, "feature.node.kubernetes.io/cpu-model.id");
	rc = km_wire_text(&verdict, arena, &out->verdict);
	return rc != 0 ? rc : node_status(&status, arena, out);
}

int km_kube_lease_decode(const char *json, size_t len, struct km_arena *arena,
                         struct km_kube_lease *out)
{
	struct km_json_slice object;
	struct km_json_slice metadata;
	struct km_json_slice annotations;
	struct km_json_slice spec;
	struct km_json_slice holder;
	struct km_json_slice duration;
	struct km_json_slice acquired;
	struct km_json_slice renewed;
	struct km_json_slice transitions;
	const struct km_json_want in_object[] = { { "metadata", &metadata }, { "spec", &spec } };
	const struct km_json_want in_spec[] = {
		{ "holderIdentity", &holder },        { "leaseDurationSeconds", &duration },
		{ "acquireTime", &acquired },         { "renewTime", &renewed },
		{ "leaseTransitions", &transitions },
	};
	int rc = km_wire_kube_object(json, len, &object);

	*out = (struct km_kube_lease){ .duration_s = -1, .transitions = -1 };
	if (rc != 0)
		return rc;
	km_wire_members(&object, in_object, KM_ARRAY_LEN(in_object));
	km_wire_members(&spec, in_spec, KM_ARRAY_LEN(in_spec));
	out->duration_s = km_wire_kube_integer(&duration);
	out->transitions = km_wire_kube_integer(&transitions);
	out->acquired_unix_ns = km_wire_kube_time(&acquired);
	out->renewed_unix_ns = km_wire_kube_time(&renewed);
	rc = km_wire_kube_meta(&metadata, arena, &out->meta, &annotations);
	return rc != 0 ? rc : km_wire_text(&holder, arena, &out->holder);
}

int km_kube_status_decode(const char *json, size_t len, struct km_arena *arena,
                          struct km_kube_status *out)
{
	struct km_json_slice object;
	struct km_json_slice kind;
	struct km_json_slice reason;
	struct km_json_slice message;
	struct km_json_slice code;
	struct km_json_slice details;
	struct km_json_slice retry;
	const struct km_json_want in_object[] = {
		{ "kind", &kind }, { "reason", &reason },   { "message", &message },
		{ "code", &code }, { "details", &details },
	};
	const struct km_json_want in_details[] = { { "retryAfterSeconds", &retry } };
	int rc = km_wire_kube_object(json, len, &object);

	*out = (struct km_kube_status){ .code = -1, .retry_after_s = -1 };
	if (rc != 0)
		return rc;
	km_wire_members(&object, in_object, KM_ARRAY_LEN(in_object));
	if (!km_wire_kube_text_is(&kind, "Status"))
		return -EINVAL;
	km_wire_members(&details, in_details, KM_ARRAY_LEN(in_details));
	out->code = km_wire_kube_integer(&code);
	out->retry_after_s = km_wire_kube_integer(&retry);
	rc = km_wire_text(&reason, arena, &out->reason);
	return rc != 0 ? rc : km_wire_text(&message, arena, &out->message);
}
