/* SPDX-License-Identifier: Apache-2.0 */
/* kube: what we write into the API, and how Events are kept few. No API server: requests are kept.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "km/kube/event.h"
#include "km/kube/patch.h"
#include "km/wire/kube_write.h"

#define S KM_NS_PER_S

struct kept {
	int64_t mono_ns, wall_ns;
	int answer; /* 0 = as the method wants */
	int requests;
	char method[8];
	char path[400];
	char type[64];
	struct km_buf body;
	int64_t timeout_ns;
};

static int ask(void *ctx, const struct km_kube_request *r, struct km_buf *out, struct km_err *err)
{
	struct kept *k = ctx;

	(void)out;
	k->requests++;
	(void)snprintf(k->method, sizeof(k->method), "%s", r->method);
	(void)snprintf(k->path, sizeof(k->path), "%s", r->path);
	(void)snprintf(k->type, sizeof(k->type), "%s",
	               r->content_type != NULL ? r->content_type : "");
	k->timeout_ns = r->timeout_ns;
	km_buf_clear(&k->body);
	km_buf_append(&k->body, r->body, r->body_len);
	if (k->answer < 0)
		return km_err_set(err, -k->answer, "no answer");
	if (k->answer != 0)
		return k->answer;
	return strcmp(r->method, "POST") == 0 ? 201 : 200;
}

static int64_t mono_of(void *ctx)
{
	return ((struct kept *)ctx)->mono_ns;
}

static int64_t wall_of(void *ctx)
{
	return ((struct kept *)ctx)->wall_ns;
}

static struct km_name n(const char *text)
{
	return (struct km_name){ text, (uint32_t)strlen(text) };
}

static struct kept k;
static struct km_clock fake_clock;

static int set_up(void **state)
{
	struct km_events_options o = {
		.instance = "node-1", .via = { ask, &k }, .clock = &fake_clock, .seed = 1
	};
	struct km_events *e = NULL;

	k = (struct kept){ .mono_ns = 1000 * S, .wall_ns = INT64_C(1700000000123456789) };
	km_buf_init(&k.body);
	fake_clock = (struct km_clock){ mono_of, wall_of, &k };
	assert_int_equal(km_events_create(&o, &e, NULL), 0);
	*state = e;
	return 0;
}

static int tear_down(void **state)
{
	km_events_free(*state);
	km_buf_fini(&k.body);
	return 0;
}

static struct km_event about(const char *pod, const char *note)
{
	return (struct km_event){ .kind = "Pod",
		                  .api_version = "v1",
		                  .namespace = n("shop"),
		                  .name = n(pod),
		                  .uid = n("u-1"),
		                  .reason = "KubeMarlaRejected",
		                  .action = "Filter",
		                  .note = note,
		                  .warning = true };
}

static void an_event_is_of_events_v1(void **state)
{
	struct km_event v = about("web-0", "no node of \"3\" passes");
	static const char want[] =
		"\"eventTime\":\"2023-11-14T22:13:20.123456Z\","
		"\"reportingController\":\"kubemarla.io/controller\","
		"\"reportingInstance\":\"node-1\",\"reason\":\"KubeMarlaRejected\","
		"\"action\":\"Filter\",\"note\":\"no node of \\\"3\\\" passes\","
		"\"type\":\"Warning\",\"regarding\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\","
		"\"namespace\":\"shop\",\"name\":\"web-0\",\"uid\":\"u-1\"}}";

	assert_int_equal(km_events_write(*state, &v, NULL), 0);
	assert_string_equal(k.method, "POST");
	assert_string_equal(k.path, "/apis/events.k8s.io/v1/namespaces/shop/events");
	assert_non_null(strstr(km_buf_cstr(&k.body), want));
	assert_non_null(strstr(km_buf_cstr(&k.body), "\"name\":\"web-0."));
}

static void the_same_again_is_counted(void **state)
{
	struct km_event v = about("web-0", "x");

	for (int i = 0; i < 100; i++) {
		k.mono_ns += S;
		assert_int_equal(km_events_write(*state, &v, NULL), 0);
	}
	/* 1, then as series of 2, 4, 8, 16, 32, 64 */
	assert_int_equal(k.requests, 7);
	assert_string_equal(k.method, "PATCH");
	assert_string_equal(k.type, "application/merge-patch+json");
	assert_non_null(strstr(km_buf_cstr(&k.body), "{\"series\":{\"count\":64,"));
	assert_non_null(strstr(k.path, "/namespaces/shop/events/web-0."));
	k.mono_ns += 400 * S; /* long after: an event of its own */
	assert_int_equal(km_events_write(*state, &v, NULL), 0);
	assert_string_equal(k.method, "POST");
}

static void a_series_that_the_server_forgot_begins_anew(void **state)
{
	struct km_event v = about("web-0", "x");
	int before;

	assert_int_equal(km_events_write(*state, &v, NULL), 0);
	k.answer = 404;
	before = k.requests;
	assert_int_equal(km_events_write(*state, &v, NULL), -EREMOTEIO);
	assert_int_equal(k.requests, before + 2); /* the patch, then a new one */
	k.answer = 0;
	assert_int_equal(km_events_write(*state, &v, NULL), 0);
	assert_string_equal(k.method, "POST");
}

static void an_object_cannot_flood(void **state)
{
	char note[32] = "";
	struct km_event v = about("web-0", note);

	for (int i = 0; i < 200; i++) {
		(void)snprintf(note, sizeof(note), "note %d", i);
		assert_int_equal(km_events_write(*state, &v, NULL), 0);
	}
	assert_int_equal(k.requests, 25);
	k.mono_ns += 61 * S;
	for (int i = 200; i < 210; i++) {
		(void)snprintf(note, sizeof(note), "note %d", i);
		assert_int_equal(km_events_write(*state, &v, NULL), 0);
	}
	assert_int_equal(k.requests, 27);
}

static void all_together_are_bounded(void **state)
{
	char name[32] = "web";
	struct km_event v = about(name, "x");

	for (int i = 0; i < 1000; i++) {
		int len = snprintf(name, sizeof(name), "web-%d", i);

		v.name.len = (uint32_t)len;
		assert_int_equal(km_events_write(*state, &v, NULL), 0);
	}
	assert_int_equal(k.requests, 50);
}

static void trouble_is_told(void **state)
{
	struct km_event v = about("web-0", "x");
	struct km_err err = { .code = 0 };

	k.answer = -ETIMEDOUT;
	assert_int_equal(km_events_write(*state, &v, &err), -ETIMEDOUT);
	assert_int_equal(km_events_write(*state, &v, &err), 0); /* dropped: nobody waits again */
	k.mono_ns += 6 * S;
	k.answer = 403;
	assert_int_equal(km_events_write(*state, &v, &err), -EREMOTEIO);
	k.answer = 0;
	assert_int_equal(km_events_write(*state, &v, &err), 0); /* it was never there */
	assert_string_equal(k.method, "POST");
}

static void an_object_without_namespace_has_its_events_in_default(void **state)
{
	struct km_event v = about("node-a", "x");
	char note[3000];

	v.kind = "Node";
	v.namespace = (struct km_name){ NULL, 0 };
	memset(note, 'x', sizeof(note) - 1);
	note[sizeof(note) - 1] = '\0';
	memcpy(note + 1022, "\xc3\xa9", 2); /* a character across the bound */
	v.note = note;
	assert_int_equal(km_events_write(*state, &v, NULL), 0);
	assert_string_equal(k.path, "/apis/events.k8s.io/v1/namespaces/default/events");
	assert_null(strstr(km_buf_cstr(&k.body), "\xef\xbf\xbd"));
	assert_true(k.body.len < 1600);
}

static void patches_and_evictions(void **state)
{
	const struct km_kube_via via = { ask, &k };

	(void)state;
	assert_int_equal(km_kube_annotate_node(&via, n("a/b"), KM_NODE_VERDICT_ANNOTATION, "v\"1",
	                                       5 * S, NULL),
	                 200);
	assert_string_equal(k.path, "/api/v1/nodes/a%2Fb");
	assert_string_equal(k.type, "application/merge-patch+json");
	assert_true(k.timeout_ns == 5 * S);
	assert_string_equal(km_buf_cstr(&k.body), "{\"metadata\":{\"annotations\":{"
	                                          "\"kubemarla.io/verdict\":\"v\\\"1\"}}}");
	assert_int_equal(km_kube_evict(&via, n("shop"), n("web-0"), n("u-1"), 0, NULL), 201);
	assert_string_equal(k.path, "/api/v1/namespaces/shop/pods/web-0/eviction");
	assert_string_equal(km_buf_cstr(&k.body),
	                    "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{"
	                    "\"namespace\":\"shop\",\"name\":\"web-0\"},\"deleteOptions\":{"
	                    "\"preconditions\":{\"uid\":\"u-1\"}}}");
	k.answer = 429;
	assert_int_equal(km_kube_evict(&via, n("shop"), n("web-0"), n("u-1"), 0, NULL), 429);
	k.answer = 0;
	assert_int_equal(km_kube_patch_policy_status(&via, n("shop"), n("slo"), "{}", 2, 0, NULL),
	                 200);
	assert_string_equal(k.path, "/apis/kubemarla.io/v1alpha1/namespaces/shop/"
	                            "interferencepolicies/slo/status");
}

static void times_are_rfc_3339(void **state)
{
	char text[KM_TIME_TEXT_MAX];

	(void)state;
	assert_string_equal(km_time_micro(k.wall_ns, text), "2023-11-14T22:13:20.123456Z");
	assert_string_equal(km_time_seconds(k.wall_ns, text), "2023-11-14T22:13:20Z");
	assert_string_equal(km_time_micro(0, text), "");
	assert_string_equal(km_time_seconds(-1, text), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_event_is_of_events_v1, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_same_again_is_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_series_that_the_server_forgot_begins_anew, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(an_object_cannot_flood, set_up, tear_down),
		cmocka_unit_test_setup_teardown(all_together_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(trouble_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_object_without_namespace_has_its_events_in_default, set_up, tear_down),
		cmocka_unit_test_setup_teardown(patches_and_evictions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(times_are_rfc_3339, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("kube event", tests, NULL, NULL);
}
