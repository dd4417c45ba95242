/* SPDX-License-Identifier: Apache-2.0 */
/* v1.Pod out of a list or a watch: what km_pod_decode reads, where it runs, and what it asks for.
 */
#include <errno.h>

#include "kube_internal.h"

/* Thousandths of a core, and bytes; -1 = not given. */
struct demand {
	int64_t cpu_millis, memory_bytes;
};

static int64_t add(int64_t a, int64_t b)
{
	int64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static struct demand demand_of(const struct km_json_slice *resources)
{
	struct km_json_slice cpu;
	struct km_json_slice memory;
	const struct km_json_want in_resources[] = { { "cpu", &cpu }, { "memory", &memory } };

	km_wire_members(resources, in_resources, KM_ARRAY_LEN(in_resources));
	return (struct demand){ km_wire_kube_quantity(&cpu, 1000),
		                km_wire_kube_quantity(&memory, 1) };
}

/* `resources` of a container or pod -> its requests; what is not given is 0. */
static struct demand requests_of(const struct km_json_slice *resources)
{
	struct km_json_slice requests;
	const struct km_json_want in_resources[] = { { "requests", &requests } };
	struct demand d;

	km_wire_members(resources, in_resources, KM_ARRAY_LEN(in_resources));
	d = demand_of(&requests);
	return (struct demand){ larger(d.cpu_millis, 0), larger(d.memory_bytes, 0) };
}

static struct demand sum_of(struct demand a, struct demand b)
{
	return (struct demand){ add(a.cpu_millis, b.cpu_millis),
		                add(a.memory_bytes, b.memory_bytes) };
}

static struct demand most_of(struct demand a, struct demand b)
{
	return (struct demand){ larger(a.cpu_millis, b.cpu_millis),
		                larger(a.memory_bytes, b.memory_bytes) };
}

/*
 * Init containers run one after the other, each beside the sidecars (restartPolicy: Always) that
 * began before it; then all containers run beside all sidecars.
 * https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers
 */
static struct demand containers_demand(const struct km_json_slice *containers,
                                       const struct km_json_slice *init_containers)
{
	struct km_json_slice resources;
	struct km_json_slice restart;
	const struct km_json_want in_container[] = {
		{ "resources", &resources },
		{ "restartPolicy", &restart },
	};
	struct demand sidecars = { 0 };
	struct demand beginning = { 0 };
	struct demand running = { 0 };
	struct km_json_slice one;
	struct km_scan s;

	if (km_wire_enter(&s, init_containers, KM_JSON_ARRAY)) {
		while (km_scan_element(&s) == KM_SCAN_MORE && km_scan_value(&s, &one) == 0) {
			struct demand d;

			km_wire_members(&one, in_container, KM_ARRAY_LEN(in_container));
			d = sum_of(requests_of(&resources), sidecars);
			if (km_wire_kube_text_is(&restart, "Always"))
				sidecars = d;
			beginning = most_of(beginning, d);
		}
	}
	if (km_wire_enter(&s, containers, KM_JSON_ARRAY)) {
		while (km_scan_element(&s) == KM_SCAN_MORE && km_scan_value(&s, &one) == 0) {
			km_wire_members(&one, in_container, KM_ARRAY_LEN(in_container));
			running = sum_of(running, requests_of(&resources));
		}
	}
	return most_of(beginning, sum_of(running, sidecars));
}

static int pod_spec(const struct km_json_slice *spec, struct km_arena *arena,
                    struct km_kube_pod *out)
{
	struct km_json_slice node;
	struct km_json_slice scheduler;
	struct km_json_slice containers;
	struct km_json_slice init_containers;
	struct km_json_slice overhead;
	struct km_json_slice resources;
	struct km_json_slice requests;
	const struct km_json_want in_spec[] = {
		{ "nodeName", &node },         { "schedulerName", &scheduler },
		{ "containers", &containers }, { "initContainers", &init_containers },
		{ "overhead", &overhead },     { "resources", &resources },
	};
	const struct km_json_want in_resources[] = { { "requests", &requests } };
	struct demand whole;
	struct demand d;
	int rc;

	km_wire_members(spec, in_spec, KM_ARRAY_LEN(in_spec));
	km_wire_members(&resources, in_resources, KM_ARRAY_LEN(in_resources));
	d = containers_demand(&containers, &init_containers);
	/* What the pod asks for as a whole replaces the sum, resource by resource. */
	whole = demand_of(&requests);
	if (whole.cpu_millis >= 0)
		d.cpu_millis = whole.cpu_millis;
	if (whole.memory_bytes >= 0)
		d.memory_bytes = whole.memory_bytes;
	d = sum_of(d, most_of(demand_of(&overhead), (struct demand){ 0 }));
	out->cpu_millis = d.cpu_millis;
	out->memory_bytes = d.memory_bytes;
	rc = km_wire_text(&node, arena, &out->node_name);
	return rc != 0 ? rc : km_wire_text(&scheduler, arena, &out->scheduler_name);
}

static enum km_kube_phase phase_of(const struct km_json_slice *phase)
{
	static const struct {
		const char *text;
		enum km_kube_phase phase;
	} known[] = {
		{ "Running", KM_KUBE_PHASE_RUNNING },
		{ "Pending", KM_KUBE_PHASE_PENDING },
		{ "Succeeded", KM_KUBE_PHASE_SUCCEEDED },
		{ "Failed", KM_KUBE_PHASE_FAILED },
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(known); i++) {
		if (km_wire_kube_text_is(phase, known[i].text))
			return known[i].phase;
	}
	return KM_KUBE_PHASE_UNKNOWN;
}

/* When the last container began to run; 0 unless there are some and all run. */
static int64_t all_running_since(const struct km_json_slice *statuses)
{
	struct km_json_slice state;
	struct km_json_slice running;
	struct km_json_slice started;
	const struct km_json_want in_status[] = { { "state", &state } };
	const struct km_json_want in_state[] = { { "running", &running } };
	const struct km_json_want in_running[] = { { "startedAt", &started } };
	struct km_json_slice one;
	int64_t last = 0;
	struct km_scan s;

	if (!km_wire_enter(&s, statuses, KM_JSON_ARRAY))
		return 0;
	while (km_scan_element(&s) == KM_SCAN_MORE && km_scan_value(&s, &one) == 0) {
		int64_t at;

		km_wire_members(&one, in_status, KM_ARRAY_LEN(in_status));
		km_wire_members(&state, in_state, KM_ARRAY_LEN(in_state));
		km_wire_members(&running, in_running, KM_ARRAY_LEN(in_running));
		at = km_wire_kube_time(&started);
		if (at == 0)
			return 0;
		last = larger(last, at);
	}
	return last;
}

static int pod_status(const struct km_json_slice *status, struct km_arena *arena,
                      struct km_kube_pod *out)
{
	struct km_json_slice phase;
	struct km_json_slice ip;
	struct km_json_slice started;
	struct km_json_slice conditions;
	struct km_json_slice containers;
	const struct km_json_want in_status[] = {
		{ "phase", &phase },
		{ "podIP", &ip },
		{ "startTime", &started },
		{ "conditions", &conditions },
		{ "containerStatuses", &containers },
	};
	struct km_wire_kube_condition ready;
	struct km_wire_kube_condition scheduled;
	int rc;

	km_wire_members(status, in_status, KM_ARRAY_LEN(in_status));
	km_wire_kube_condition(&conditions, "Ready", &ready);
	km_wire_kube_condition(&conditions, "PodScheduled", &scheduled);
	out->phase = phase_of(&phase);
	out->started_unix_ns = km_wire_kube_time(&started);
	out->running_unix_ns = all_running_since(&containers);
	out->ready = km_wire_kube_text_is(&ready.status, "True");
	if (out->ready)
		out->ready_unix_ns = km_wire_kube_time(&ready.changed);
	out->unschedulable = km_wire_kube_text_is(&scheduled.status, "False");
	rc = km_wire_text(&ip, arena, &out->pod_ip);
	if (rc != 0 || !out->unschedulable)
		return rc;
	out->sched_unix_ns = km_wire_kube_time(&scheduled.changed);
	rc = km_wire_text(&scheduled.reason, arena, &out->sched_reason);
	return rc != 0 ? rc : km_wire_text(&scheduled.message, arena, &out->sched_message);
}

int km_kube_pod_decode(const char *json, size_t len, struct km_arena *arena,
                       struct km_kube_pod *out)
{
	static const struct km_name none = { "", 0 };
	struct km_json_slice object;
	struct km_json_slice metadata;
	struct km_json_slice spec;
	struct km_json_slice status;
	struct km_wire_pod_life life;
	const struct km_json_want in_object[] = {
		{ "metadata", &metadata },
		{ "spec", &spec },
		{ "status", &status },
	};
	int rc = km_wire_kube_object(json, len, &object);

	*out = (struct km_kube_pod){ .sched_reason = none, .sched_message = none };
	km_pod_init(&out->pod);
	if (rc != 0)
		return rc;
	km_wire_members(&object, in_object, KM_ARRAY_LEN(in_object));
	rc = km_wire_pod_metadata(&metadata, arena, &out->pod, &life);
	if (rc != 0)
		return rc;
	out->created_unix_ns = km_wire_kube_time(&life.created);
	out->deleting = life.deleted.kind == KM_JSON_STRING;
	if ((rc = km_wire_text(&life.version, arena, &out->resource_version)) != 0 ||
	    (rc = pod_spec(&spec, arena, out)) != 0)
		return rc;
	return pod_status(&status, arena, out);
}
