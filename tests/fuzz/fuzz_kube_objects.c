/* SPDX-License-Identifier: Apache-2.0 */
/* The same bytes as every kind of object, as a quantity and as a time. */
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/wire/kube_objects.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
	if (!condition)
		abort();
}

/* Sums all bytes, so that a sanitizer sees a text that is not ours to read. */
static void read_name(struct km_name name)
{
	static volatile unsigned sink;

	for (uint32_t i = 0; i < name.len; i++)
		sink += (unsigned char)name.text[i];
}

static void read_meta(const struct km_kube_meta *m)
{
	read_name(m->name);
	read_name(m->namespace);
	read_name(m->uid);
	read_name(m->resource_version);
	must(m->generation >= 0 && m->created_unix_ns >= 0);
	for (size_t i = 0; i < m->label_count; i++) {
		read_name(m->label[i].key);
		read_name(m->label[i].value);
	}
}

static void read_node(const char *text, size_t len, struct km_arena *arena)
{
	struct km_kube_node n;

	if (km_kube_node_decode(text, len, arena, &n) != 0)
		return;
	read_meta(&n.meta);
	must(n.cpu_millis >= -1 && n.memory_bytes >= -1 && n.pods >= -1);
	must(n.has_verdict || n.verdict.len == 0);
	read_name(n.verdict);
	read_name(n.instance_type);
	read_name(n.cpu_vendor);
	read_name(n.cpu_family);
	read_name(n.cpu_model);
	read_name(n.architecture);
	read_name(n.internal_ip);
}

static void read_pod(const char *text, size_t len, struct km_arena *arena)
{
	struct km_kube_pod p;

	if (km_kube_pod_decode(text, len, arena, &p) != 0)
		return;
	read_name(p.pod.name);
	read_name(p.pod.owner_name);
	read_name(p.resource_version);
	read_name(p.node_name);
	read_name(p.scheduler_name);
	read_name(p.pod_ip);
	read_name(p.sched_reason);
	read_name(p.sched_message);
	must(p.cpu_millis >= 0 && p.memory_bytes >= 0);
	must(p.created_unix_ns >= 0 && p.started_unix_ns >= 0 && p.ready_unix_ns >= 0 &&
	     p.running_unix_ns >= 0 && p.sched_unix_ns >= 0);
	must(p.ready || p.ready_unix_ns == 0);
	must(p.unschedulable || (p.sched_reason.len == 0 && p.sched_unix_ns == 0));
	must(isnan(p.pod.rps) || p.pod.rps > 0);
}

static void read_others(const char *text, size_t len, struct km_arena *arena)
{
	struct km_kube_lease l;
	struct km_kube_status s;
	struct km_kube_meta m;

	if (km_kube_meta_decode(text, len, arena, &m) == 0)
		read_meta(&m);
	if (km_kube_lease_decode(text, len, arena, &l) == 0) {
		read_name(l.holder);
		must(l.duration_s >= -1 && l.transitions >= -1);
		must(l.renewed_unix_ns >= 0 && l.acquired_unix_ns >= 0);
	}
	if (km_kube_status_decode(text, len, arena, &s) == 0) {
		read_name(s.reason);
		read_name(s.message);
		must(s.code >= -1 && s.retry_after_s >= -1);
	}
}

static void read_values(const char *text, size_t len)
{
	char again[KM_KUBE_TIME_MAX];
	int64_t milli;
	int64_t one;
	int64_t ns;

	if (km_kube_quantity_parse(text, len, 1, &one) == 0) {
		must(km_kube_quantity_parse(text, len, 1000, &milli) == 0);
		/* both rounded away from zero: a thousandth more is never less */
		must(one >= 0 ? milli >= one - (one > 0) : milli <= one + 1);
	} else {
		must(km_kube_quantity_parse(text, len, 1000, &milli) == -EINVAL);
	}
	if (km_kube_time_parse(text, len, &ns) == 0) {
		int64_t same;

		must(ns >= 0);
		km_kube_time_format(ns, true, again);
		must(km_kube_time_parse(again, strlen(again), &same) == 0 &&
		     same == ns - ns % 1000);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct km_arena arena;

	km_arena_init(&arena, 0);
	read_node(text, size, &arena);
	read_pod(text, size, &arena);
	read_others(text, size, &arena);
	read_values(text, size);
	km_arena_fini(&arena);
	return 0;
}
