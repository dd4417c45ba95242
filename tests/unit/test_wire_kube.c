/* SPDX-License-Identifier: Apache-2.0 */
/* wire: quantities, times and objects of the Kubernetes API. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/buf.h"
#include "km/wire/kube_objects.h"

static void assert_name(struct km_name got, const char *want)
{
	assert_int_equal(got.len, strlen(want));
	assert_memory_equal(got.text, want, got.len);
}

static struct km_arena arena;

static int set_up(void **state)
{
	(void)state;
	km_arena_init(&arena, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	km_arena_fini(&arena);
	return 0;
}

static void quantities_are_rounded_up_in_the_unit_asked_for(void **state)
{
	static const struct {
		const char *text;
		int64_t per_one;
		int64_t want;
	} rows[] = {
		{ "500m", 1000, 500 },
		{ "1", 1000, 1000 },
		{ "0.5", 1000, 500 },
		{ ".5", 1000, 500 },
		{ "5.", 1000, 5000 },
		{ "0.1", 1000, 100 },
		{ "0.07", 1000, 70 }, /* in binary floating point 70.00000000000001 */
		{ "1.0001", 1000, 1001 },
		{ "100u", 1000, 1 },
		{ "1n", 1000, 1 },
		{ "0", 1000, 0 },
		{ "0.0000", 1000, 0 },
		{ "1Gi", 1, INT64_C(1) << 30 },
		{ "1.5Gi", 1, INT64_C(3) << 29 },
		{ "128974848", 1, 128974848 },
		{ "129e6", 1, 129000000 },
		{ "129M", 1, 129000000 },
		{ "123Mi", 1, 128974848 },
		{ "1e3", 1, 1000 },
		{ "1E3", 1, 1000 },
		{ "12E", 1, INT64_MAX }, /* exa */
		{ "1E", 1, INT64_C(1000000000000000000) },
		{ "1e+3", 1, 1000 },
		{ "1e-3", 1, 1 },
		{ "1k", 1, 1000 },
		{ "7Ki", 1, 7168 },
		{ "2T", 1, INT64_C(2000000000000) },
		{ "1Ei", 1, INT64_C(1) << 60 },
		{ "8Ei", 1, INT64_MAX },
		{ "9223372036854775807", 1, INT64_MAX },
		{ "9223372036854775806", 1, INT64_MAX - 1 },
		{ "99999999999999999999999999999999", 1, INT64_MAX },
		{ "0.00000000000000000000000000000000000001", 1, 1 },
		{ "0.0000000000001234567890123456789Ei", 1, 142336 },
		{ "1e1000", 1, INT64_MAX },
		{ "1e-1000", 1, 1 },
		{ "0e1000", 1, 0 },
		{ "-1.5", 1, -2 },
		{ "+2", 1, 2 },
		{ "00000000000000000000000000000000002", 1, 2 },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int64_t got = 42;

		if (km_kube_quantity_parse(rows[i].text, strlen(rows[i].text), rows[i].per_one,
		                           &got) != 0 ||
		    got != rows[i].want) {
			fail_msg("%s: got %lld, want %lld", rows[i].text, (long long)got,
			         (long long)rows[i].want);
		}
	}
}

static void what_is_no_quantity_is_refused(void **state)
{
	static const char *const rows[] = { "",
		                            " 1",
		                            "1 ",
		                            "m",
		                            ".",
		                            "-",
		                            "+",
		                            "1K",
		                            "1mi",
		                            "1Kii",
		                            "1e",
		                            "1e+",
		                            "1e+-3",
		                            "1e1m",
		                            "1.2.3",
		                            "0x10",
		                            "1e9999999999999999999",
		                            "NaN",
		                            "inf",
		                            "--1",
		                            "1,5",
		                            "1e 3",
		                            "1e1001" };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int64_t got = 42;

		if (km_kube_quantity_parse(rows[i], strlen(rows[i]), 1, &got) != -EINVAL ||
		    got != 42) {
			fail_msg("\"%s\": got %lld", rows[i], (long long)got);
		}
	}
}

static void times_are_read_to_the_nanosecond(void **state)
{
	static const struct {
		const char *text;
		int64_t want; /* -1 = refused */
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2024-02-29T12:34:56Z", INT64_C(1709210096000000000) },
		{ "2026-01-02T03:04:05.123456Z", INT64_C(1767323045123456000) },
		{ "2026-01-02T03:04:05.1234567899Z", INT64_C(1767323045123456789) },
		{ "2026-01-02T04:04:05+01:00", INT64_C(1767323045000000000) },
		{ "2026-01-01T21:34:05-05:30", INT64_C(1767323045000000000) },
		{ "2026-01-02t03:04:05z", INT64_C(1767323045000000000) },
		{ "2000-03-01T00:00:00Z", INT64_C(951868800000000000) },
		{ "2100-03-01T00:00:00Z", INT64_C(4107542400000000000) },
		{ "2261-12-31T23:59:60Z", INT64_C(9214646400000000000) },
		{ "2023-02-29T00:00:00Z", -1 },
		{ "2100-02-29T00:00:00Z", -1 },
		{ "1969-12-31T23:59:59Z", -1 },
		{ "1970-01-01T00:00:00+01:00", -1 },
		{ "2262-01-01T00:00:00Z", -1 },
		{ "2026-13-01T00:00:00Z", -1 },
		{ "2026-00-01T00:00:00Z", -1 },
		{ "2026-01-00T00:00:00Z", -1 },
		{ "2026-01-01T24:00:00Z", -1 },
		{ "2026-01-01T00:60:00Z", -1 },
		{ "2026-01-01T00:00:61Z", -1 },
		{ "2026-01-01 00:00:00Z", -1 },
		{ "2026-01-01T00:00:00", -1 },
		{ "2026-01-01T00:00:00.Z", -1 },
		{ "2026-01-01T00:00:00ZZ", -1 },
		{ "2026-01-01T00:00:00+0100", -1 },
		{ "2026-01-01T00:00:00+24:00", -1 },
		{ "2026-1-01T00:00:00Z", -1 },
		{ "", -1 },
		{ "Z", -1 },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int64_t got = -1;
		int rc = km_kube_time_parse(rows[i].text, strlen(rows[i].text), &got);

		if (rc != (rows[i].want < 0 ? -EINVAL : 0) || got != rows[i].want) {
			fail_msg("%s: got %d, %lld", rows[i].text, rc, (long long)got);
		}
	}
}

static void times_that_are_written_are_read_again(void **state)
{
	char text[KM_KUBE_TIME_MAX];
	int64_t got;

	(void)state;
	km_kube_time_format(INT64_C(1767323045123456789), true, text);
	assert_string_equal(text, "2026-01-02T03:04:05.123456Z");
	km_kube_time_format(INT64_C(1767323045123456789), false, text);
	assert_string_equal(text, "2026-01-02T03:04:05Z");
	for (int64_t ns = 1; ns < INT64_C(3000000000000000000); ns = ns * 3 + 1000) {
		km_kube_time_format(ns, true, text);
		assert_int_equal(km_kube_time_parse(text, strlen(text), &got), 0);
		assert_true(got == ns - ns % 1000);
	}
}

/* As an API server of 1.33 writes it, shortened by what nobody here reads. */
static const char node_json[] =
	"{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"minikube-m02\",\"uid\":"
	"\"8f3f\",\"resourceVersion\":\"4711\",\"creationTimestamp\":\"2026-01-02T03:04:05Z\","
	"\"labels\":{\"kubernetes.io/arch\":\"amd64\",\"node.kubernetes.io/instance-type\":"
	"\"m5.large\",\"feature.node.kubernetes.io/cpu-model.vendor_id\":\"Intel\","
	"\"feature.node.kubernetes.io/cpu-model.family\":\"6\","
	"\"feature.node.kubernetes.io/cpu-model.id\":\"207\"},\"annotations\":{"
	"\"kubemarla.io/verdict\":\"pass\",\"volumes.kubernetes.io/x\":\"true\"},"
	"\"managedFields\":[{\"manager\":\"kubelet\",\"fieldsV1\":{\"f:metadata\":{\".\":{}}}}]},"
	"\"spec\":{\"podCIDR\":\"10.244.1.0/24\",\"unschedulable\":true,\"taints\":[]},"
	"\"status\":{\"capacity\":{\"cpu\":\"8\"},\"allocatable\":{\"cpu\":\"7910m\","
	"\"ephemeral-storage\":\"17784752Ki\",\"memory\":\"3912Mi\",\"pods\":\"110\"},"
	"\"conditions\":[{\"type\":\"MemoryPressure\",\"status\":\"False\"},{\"type\":\"Ready\","
	"\"status\":\"True\",\"lastTransitionTime\":\"2026-01-02T03:05:00Z\"}],"
	"\"addresses\":[{\"type\":\"Hostname\",\"address\":\"minikube-m02\"},{\"type\":"
	"\"InternalIP\",\"address\":\"192.168.49.3\"},{\"type\":\"InternalIP\",\"address\":"
	"\"fd00::3\"}],\"nodeInfo\":{\"architecture\":\"amd64\",\"kubeletVersion\":\"v1.33.1\"}}}";

static void a_node_says_what_it_has(void **state)
{
	struct km_kube_node n;

	(void)state;
	assert_int_equal(km_kube_node_decode(node_json, strlen(node_json), &arena, &n), 0);
	assert_name(n.meta.name, "minikube-m02");
	assert_name(n.meta.uid, "8f3f");
	assert_name(n.meta.resource_version, "4711");
	assert_true(n.meta.created_unix_ns == INT64_C(1767323045000000000));
	assert_int_equal(n.meta.label_count, 5);
	assert_name(*km_kube_label(&n.meta, "kubernetes.io/arch"), "amd64");
	assert_null(km_kube_label(&n.meta, "kubernetes.io/os"));
	assert_true(n.has_verdict);
	assert_name(n.verdict, "pass");
	assert_true(n.unschedulable);
	assert_true(n.ready);
	assert_int_equal(n.cpu_millis, 7910);
	assert_int_equal(n.memory_bytes, INT64_C(3912) << 20);
	assert_int_equal(n.pods, 110);
	assert_name(n.instance_type, "m5.large");
	assert_name(n.cpu_vendor, "Intel");
	assert_name(n.cpu_family, "6");
	assert_name(n.cpu_model, "207");
	assert_name(n.architecture, "amd64");
	assert_name(n.internal_ip, "192.168.49.3");
}

static const char pod_json[] =
	"{\"metadata\":{\"name\":\"web-7d4-x2x\",\"generateName\":\"web-7d4-\",\"namespace\":"
	"\"shop\","
	"\"uid\":\"u-1\",\"resourceVersion\":\"99\",\"creationTimestamp\":\"2026-01-02T03:04:05Z\","
	"\"labels\":{\"app\":\"web\",\"pod-template-hash\":\"7d4\"},\"annotations\":{"
	"\"kubemarla.io/rps\":\"1500\",\"kubemarla.io/class\":\"latency\"},\"ownerReferences\":[{"
	"\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\"web-7d4\",\"uid\":\"u-2\","
	"\"controller\":true}]},\"spec\":{\"volumes\":[{\"name\":\"v\"}],\"initContainers\":[{"
	"\"name\":\"big\",\"resources\":{\"requests\":{\"cpu\":\"2\",\"memory\":\"64Mi\"}}},{"
	"\"name\":"
	"\"proxy\",\"restartPolicy\":\"Always\",\"resources\":{\"requests\":{\"cpu\":\"100m\","
	"\"memory\":"
	"\"128Mi\"}}},{\"name\":\"late\",\"resources\":{\"requests\":{\"cpu\":\"1950m\"}}}],"
	"\"containers\":[{\"name\":\"web\",\"image\":\"nginx\",\"resources\":{\"limits\":{\"cpu\":"
	"\"1\"},"
	"\"requests\":{\"cpu\":\"250m\",\"memory\":\"1Gi\"}}},{\"name\":\"log\",\"resources\":{}}],"
	"\"nodeName\":\"minikube-m02\",\"schedulerName\":\"kubemarla\",\"overhead\":{\"cpu\":"
	"\"10m\"}},"
	"\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":"
	"\"True\"},{\"type\":\"Ready\",\"status\":\"True\",\"lastTransitionTime\":"
	"\"2026-01-02T03:04:10Z\"}],\"podIP\":\"10.244.1.7\",\"startTime\":\"2026-01-02T03:04:"
	"06Z\","
	"\"containerStatuses\":[{\"name\":\"web\",\"state\":{\"running\":{\"startedAt\":"
	"\"2026-01-02T03:04:08Z\"}}},{\"name\":\"log\",\"state\":{\"running\":{\"startedAt\":"
	"\"2026-01-02T03:04:07Z\"}}}]}}";

static void a_pod_says_where_it_is_and_what_it_asks_for(void **state)
{
	struct km_kube_pod p;

	(void)state;
	assert_int_equal(km_kube_pod_decode(pod_json, strlen(pod_json), &arena, &p), 0);
	assert_name(p.pod.name, "web-7d4-x2x");
	assert_name(p.pod.namespace, "shop");
	assert_name(p.pod.uid, "u-1");
	assert_name(p.pod.owner_name, "web-7d4");
	assert_true(p.pod.rps == 1500);
	assert_name(p.pod.class_name, "latency");
	assert_int_equal(p.pod.label_count, 2);
	assert_name(p.resource_version, "99");
	assert_name(p.node_name, "minikube-m02");
	assert_name(p.scheduler_name, "kubemarla");
	assert_name(p.pod_ip, "10.244.1.7");
	assert_int_equal(p.phase, KM_KUBE_PHASE_RUNNING);
	assert_true(p.ready);
	assert_false(p.deleting);
	assert_false(p.unschedulable);
	assert_true(p.created_unix_ns == INT64_C(1767323045000000000));
	assert_true(p.started_unix_ns == INT64_C(1767323046000000000));
	assert_true(p.running_unix_ns == INT64_C(1767323048000000000));
	assert_true(p.ready_unix_ns == INT64_C(1767323050000000000));
	/* the last init container beside the sidecar is the most it takes at once: 1950 + 100 */
	assert_int_equal(p.cpu_millis, 2050 + 10);
	/* 1 Gi beside the sidecar's 128 Mi */
	assert_int_equal(p.memory_bytes, (INT64_C(1) << 30) + (INT64_C(128) << 20));
}

static void a_pod_that_found_no_node_says_why(void **state)
{
	static const char json[] =
		"{\"metadata\":{\"name\":\"p\",\"namespace\":\"d\",\"deletionTimestamp\":"
		"\"2026-01-02T03:04:05Z\"},\"spec\":{\"resources\":{\"requests\":{\"cpu\":\"3\"}},"
		"\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"1\",\"memory\":\"5\"}}}]},"
		"\"status\":{\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\","
		"\"status\":\"False\",\"lastTransitionTime\":\"2026-01-02T03:04:05Z\",\"reason\":"
		"\"Unschedulable\",\"message\":\"0/2 nodes are available: 2 \\\"x\\\".\"}],"
		"\"containerStatuses\":[{\"state\":{\"running\":{\"startedAt\":"
		"\"2026-01-02T03:04:08Z\"}}},{\"state\":{\"waiting\":{\"reason\":\"Err\"}}}]}}";
	struct km_kube_pod p;

	(void)state;
	assert_int_equal(km_kube_pod_decode(json, strlen(json), &arena, &p), 0);
	assert_int_equal(p.node_name.len, 0);
	assert_int_equal(p.phase, KM_KUBE_PHASE_PENDING);
	assert_true(p.unschedulable && p.deleting && !p.ready);
	assert_name(p.sched_reason, "Unschedulable");
	assert_name(p.sched_message, "0/2 nodes are available: 2 \"x\".");
	assert_true(p.sched_unix_ns == INT64_C(1767323045000000000));
	assert_true(p.running_unix_ns == 0);  /* one waits */
	assert_int_equal(p.cpu_millis, 3000); /* of the pod as a whole */
	assert_int_equal(p.memory_bytes, 5);
}

static void a_lease_says_who_holds_it(void **state)
{
	static const char json[] =
		"{\"kind\":\"Lease\",\"metadata\":{\"name\":\"kubemarla-controller\",\"namespace\":"
		"\"kubemarla-system\",\"resourceVersion\":\"7\"},\"spec\":{\"holderIdentity\":\"a_"
		"1\","
		"\"leaseDurationSeconds\":15,\"acquireTime\":\"2026-01-02T03:04:05.000001Z\","
		"\"renewTime\":\"2026-01-02T03:04:06.5Z\",\"leaseTransitions\":3}}";
	static const char bare[] = "{\"spec\":{\"leaseDurationSeconds\":\"15\",\"renewTime\":null,"
				   "\"leaseTransitions\":-1,\"holderIdentity\":\"\"}}";
	struct km_kube_lease l;

	(void)state;
	assert_int_equal(km_kube_lease_decode(json, strlen(json), &arena, &l), 0);
	assert_name(l.holder, "a_1");
	assert_name(l.meta.resource_version, "7");
	assert_int_equal(l.duration_s, 15);
	assert_int_equal(l.transitions, 3);
	assert_true(l.acquired_unix_ns == INT64_C(1767323045000001000));
	assert_true(l.renewed_unix_ns == INT64_C(1767323046500000000));
	assert_int_equal(km_kube_lease_decode(bare, strlen(bare), &arena, &l), 0);
	assert_int_equal(l.holder.len, 0);
	assert_int_equal(l.duration_s, -1);
	assert_int_equal(l.transitions, -1);
	assert_true(l.renewed_unix_ns == 0);
}

static void a_status_says_what_went_wrong(void **state)
{
	static const char json[] =
		"{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
		"\"message\":\"too many\",\"reason\":\"TooManyRequests\",\"details\":{"
		"\"retryAfterSeconds\":2},\"code\":429}";
	struct km_kube_status s;

	(void)state;
	assert_int_equal(km_kube_status_decode(json, strlen(json), &arena, &s), 0);
	assert_name(s.reason, "TooManyRequests");
	assert_name(s.message, "too many");
	assert_int_equal(s.code, 429);
	assert_int_equal(s.retry_after_s, 2);
	assert_int_equal(km_kube_status_decode(node_json, strlen(node_json), &arena, &s), -EINVAL);
}

/* Every decoder over texts that lack what it reads, or have something else there. */
static void what_is_not_there_is_not_given(void **state)
{
	static const char *const rows[] = {
		"{}",
		" {\"metadata\":null,\"spec\":null,\"status\":null} ",
		"{\"metadata\":[],\"spec\":\"x\",\"status\":1}",
		"{\"metadata\":{\"name\":1,\"namespace\":[],\"uid\":{},\"labels\":[1],"
		"\"annotations\":"
		"{\"kubemarla.io/"
		"verdict\":1}},\"spec\":{\"containers\":[1,null,{}],\"initContainers\":"
		"{},\"nodeName\":false,\"unschedulable\":\"true\"},\"status\":{\"conditions\":["
		"null,"
		"{\"type\":1},{\"type\":\"Ready\"}],\"allocatable\":{\"cpu\":\"x\",\"memory\":-1},"
		"\"containerStatuses\":[{}],\"addresses\":[{\"type\":\"InternalIP\"}]}}",
		"{\"metadata\":{\"name\":\"cut",
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		size_t len = strlen(rows[i]);
		struct km_kube_node n;
		struct km_kube_pod p;
		struct km_kube_lease l;

		assert_int_equal(km_kube_node_decode(rows[i], len, &arena, &n), 0);
		assert_true(n.meta.name.len == 0 && !n.ready && !n.has_verdict && !n.unschedulable);
		assert_true(n.cpu_millis == -1 && n.memory_bytes == -1 && n.pods == -1);
		assert_int_equal(km_kube_pod_decode(rows[i], len, &arena, &p), 0);
		assert_true(p.pod.name.len == 0 && p.node_name.len == 0 && !p.ready);
		assert_true(p.cpu_millis == 0 && p.memory_bytes == 0 && isnan(p.pod.rps));
		assert_true(p.phase == KM_KUBE_PHASE_UNKNOWN && p.running_unix_ns == 0);
		assert_int_equal(km_kube_lease_decode(rows[i], len, &arena, &l), 0);
		assert_true(l.duration_s == -1 && l.holder.len == 0);
	}
}

static void what_is_no_object_is_refused(void **state)
{
	static const char *const rows[] = { "", " ", "[]", "null", "\"x\"", "x", "1" };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		size_t len = strlen(rows[i]);
		struct km_kube_meta m;
		struct km_kube_node n;
		struct km_kube_pod p;
		struct km_kube_lease l;
		struct km_kube_status s;

		assert_int_equal(km_kube_meta_decode(rows[i], len, &arena, &m), -EINVAL);
		assert_int_equal(km_kube_node_decode(rows[i], len, &arena, &n), -EINVAL);
		assert_int_equal(km_kube_pod_decode(rows[i], len, &arena, &p), -EINVAL);
		assert_int_equal(km_kube_lease_decode(rows[i], len, &arena, &l), -EINVAL);
		assert_int_equal(km_kube_status_decode(rows[i], len, &arena, &s), -EINVAL);
	}
}

static void a_label_more_than_the_most_is_left_out(void **state)
{
	struct km_kube_meta m;
	struct km_buf json;

	(void)state;
	km_buf_init(&json);
	km_buf_str(&json, "{\"metadata\":{\"name\":\"n\",\"labels\":{");
	for (int i = 0; i < 400; i++)
		km_buf_printf(&json, "%s\"l\\u002d%d\":\"v%d\"", i > 0 ? "," : "", i, i);
	km_buf_str(&json, "}}}");
	assert_int_equal(km_kube_meta_decode(json.data, json.len, &arena, &m), 0);
	assert_int_equal(m.label_count, 256);
	for (size_t i = 0; i < m.label_count; i++) {
		char key[32];
		char value[32];

		(void)snprintf(key, sizeof(key), "l-%zu", i);
		(void)snprintf(value, sizeof(value), "v%zu", i);
		assert_name(m.label[i].key, key);
		assert_name(m.label[i].value, value);
	}
	km_buf_fini(&json);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(quantities_are_rounded_up_in_the_unit_asked_for),
		TEST(what_is_no_quantity_is_refused),
		TEST(times_are_read_to_the_nanosecond),
		TEST(times_that_are_written_are_read_again),
		TEST(a_node_says_what_it_has),
		TEST(a_pod_says_where_it_is_and_what_it_asks_for),
		TEST(a_pod_that_found_no_node_says_why),
		TEST(a_lease_says_who_holds_it),
		TEST(a_status_says_what_went_wrong),
		TEST(what_is_not_there_is_not_given),
		TEST(what_is_no_object_is_refused),
		TEST(a_label_more_than_the_most_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
