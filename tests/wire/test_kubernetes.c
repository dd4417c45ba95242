/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon whose API server goes wrong: it serves on, says what is wrong in its log, in /readyz and
 * in a metric, and knows the same as the server as soon as that is well again. The server is a
 * stand-in; the daemon is as it ships.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/clock.h"
#include "km/base/macros.h"

#include "support/fake_apiserver.h"
#include "support/wire.h"

#define PODS "/api/v1/pods"
#define CONFIG                                                                                     \
	"roles: [extender]\nmodel: {path: tests/fixtures/model/test.ubj}\n"                        \
	"kubernetes: {kubeconfig: \"@DIR@/config\"}\n"
#define OBJECTS  "kubemarla_view_objects{kind=\"pods\"}"
#define RESTARTS "kubemarla_kube_watch_restarts_total{resource=\"pods\",reason="
#define LOST     "kubemarla_view_stream_lost_seconds{kind=\"pods\"}"

struct cluster {
	struct fake_apiserver api;
	struct daemon d;
	unsigned pods;
};

static void put_pod(struct cluster *c, const char *more)
{
	char json[512];

	(void)snprintf(json, sizeof(json),
	               "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"pod-%u\"%s}}", c->pods++,
	               more);
	fake_apiserver_put(&c->api, PODS, json);
}

static void write_config(struct cluster *c)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/config", c->d.dir);
	fake_apiserver_kubeconfig(&c->api, path);
}

static int set_up(void **state)
{
	struct cluster *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	fake_apiserver_start(&c->api);
	daemon_init(&c->d);
	write_config(c);
	for (int i = 0; i < 5; i++)
		put_pod(c, "");
	*state = c;
	return 0;
}

static int tear_down(void **state)
{
	struct cluster *c = *state;

	/* SIGTERM, whatever the server does: it must end in order */
	if (c->d.pid != 0)
		wire_stop(&c->d);
	else
		daemon_fini(&c->d);
	if (c->api.state != NULL)
		fake_apiserver_stop(&c->api);
	free(c);
	return 0;
}

/* Of a gauge that may also fall. */
static void wait_metric_is(const struct daemon *d, const char *series, double want)
{
	const int64_t deadline_ns =
		km_clock_mono_ns(km_clock_system()) + WIRE_PATIENCE_MS * KM_NS_PER_MS;
	double saw = wire_metric(d, series);

	while (saw != want && km_clock_mono_ns(km_clock_system()) < deadline_ns)
		saw = wire_metric(d, series);
	if (saw != want) {
		fail_msg("%s: saw %g, want %g", series, saw, want);
	}
}

/* One pod comes: the daemon knows as many as the server has, but for so many. */
static void agrees_but_for(struct cluster *c, size_t unknown)
{
	put_pod(c, "");
	wait_metric_is(&c->d, OBJECTS, (double)(fake_apiserver_count(&c->api, PODS) - unknown));
}

static void agrees(struct cluster *c)
{
	agrees_but_for(c, 0);
}

static void start(struct cluster *c)
{
	wire_start(&c->d, CONFIG);
	wait_metric_is(&c->d, OBJECTS, (double)fake_apiserver_count(&c->api, PODS));
	assert_true(fake_apiserver_wait_watches(&c->api, "/pods", 1));
}

static void ready_says(struct cluster *c, int status, const char *text)
{
	struct answer a;

	daemon_request(&c->d, "GET", "/readyz", NULL, &a);
	if (a.status != status || strstr(a.body, text) == NULL) {
		fail_msg("saw %d %s, want %d and \"%s\"", a.status, a.body, status, text);
	}
	answer_fini(&a);
}

static void each_trouble_is_told_and_gets_over(void **state)
{
	static const struct {
		struct fake_fault fault;
		const char *reason; /* of the watch's end */
		const char *log;
	} rows[] = {
		{ { .match = "/pods", .count = 1, .status = 503 }, "status", "503 ServiceUnav" },
		{ { .match = "/pods", .count = 1, .status = 429, .headers = "Retry-After: 1\r\n" },
		  "status",
		  "429 TooManyRequests" },
		{ { .match = "/pods", .count = 1, .status = 401 }, "status", "401 Unauthorized" },
		{ { .match = "/pods", .count = 1, .no_answer = true }, "network", "/pods" },
		{ { .match = "/pods?watch=1", .count = 1, .status = 410 }, "gone", "410 Expired" },
		{ { .match = "/pods", .count = 1, .body = "<html>\n" }, "garbage", "event: JSON" },
		{ { .match = "/pods", .count = 2, .body = "{\"type\":7}\n" }, "garbage", "event:" },
		{ { .match = "/pods", .count = 1, .body = "{}\n" }, "garbage", "event:" },
	};
	struct cluster *c = *state;

	/* a daemon each: after several troubles in a row the waits are longer than a test's */
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		char series[160];
		size_t from;

		start(c);
		from = c->d.len;
		(void)snprintf(series, sizeof(series), RESTARTS "\"%s\"}", rows[i].reason);
		assert_true(wire_metric(&c->d, series) == 0);
		fake_apiserver_fault(&c->api, &rows[i].fault);
		(void)fake_apiserver_cut(&c->api, PODS);
		assert_true(wire_wait_metric(&c->d, series, 1) >= 1);
		if (!daemon_wait_log(&c->d, from, rows[i].log)) {
			fail_msg("row %zu: no \"%s\" in\n%s", i, rows[i].log, c->d.text + from);
		}
		agrees(c);
		fake_apiserver_clear(&c->api);
		wire_stop(&c->d);
		daemon_init(&c->d);
		write_config(c);
	}
}

static void objects_without_what_we_read_cost_nothing_but_themselves(void **state)
{
	static const char *const odd[] = {
		",\"labels\":[1],\"annotations\":{\"kubemarla.io/rps\":\"many\"}",
		",\"uid\":7,\"ownerReferences\":{\"a\":[]}",
		"},\"spec\":null,\"status\":[],\"more\":{\"a\":\"\\u0001\"",
		"},\"spec\":{\"containers\":{},\"nodeName\":[]},\"status\":{\"phase\":3",
		"},\"spec\":{\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"x\"}}}]",
		"},\"status\":{\"startTime\":\"yesterday\",\"conditions\":[[]]",
	};
	struct cluster *c = *state;

	for (size_t i = 0; i < KM_ARRAY_LEN(odd); i++)
		put_pod(c, odd[i]);
	fake_apiserver_put(&c->api, PODS, "{\"metadata\":{}}"); /* nobody at all */
	wire_start(&c->d, CONFIG);
	wait_metric_is(&c->d, "kubemarla_kube_objects_skipped_total{resource=\"pods\"}", 1);
	wait_metric_is(&c->d, OBJECTS, 11);
	agrees_but_for(c, 1);
}

static void nobody_is_waited_for_at_start(void **state)
{
	struct cluster *c = *state;
	int port = c->api.port;

	fake_apiserver_stop(&c->api);
	wire_start(&c->d, CONFIG);
	assert_true(daemon_wait_log(&c->d, 0, "not watching resource=pods"));
	ready_says(c, 503, "Kubernetes: pods are not listed yet");
	ready_says(c, 503, "GET /api/v1/pods: ");
	fake_apiserver_start_at(&c->api, port);
	put_pod(c, "");
	wait_metric_is(&c->d, OBJECTS, 1);
	wait_metric_is(&c->d, "kubemarla_view_feeding", 1);
	ready_says(c, 200, "ready");
}

static void a_server_that_comes_back_with_another_past_is_believed(void **state)
{
	struct cluster *c = *state;
	int port = c->api.port;

	start(c);
	fake_apiserver_stop(&c->api);
	assert_true(daemon_wait_log(&c->d, 0, "not watching resource=pods"));
	assert_true(wire_wait_metric(&c->d, LOST, 0) >= 0);
	/* what was known stays */
	assert_true(wire_metric(&c->d, OBJECTS) == 5);
	fake_apiserver_start_at(&c->api, port);
	for (int i = 0; i < 50;
	     i++) /* versions go on from higher ones, as a restored etcd's must */
		fake_apiserver_compact(&c->api);
	put_pod(c, "");
	put_pod(c, "");
	wait_metric_is(&c->d, OBJECTS, 2);
}

static void an_expired_token_is_exchanged_for_the_files(void **state)
{
	struct cluster *c = *state;
	size_t from;

	daemon_write(&c->d, "token", "first");
	fake_apiserver_token(&c->api, "first");
	{
		char yaml[512];

		(void)snprintf(yaml, sizeof(yaml),
		               "current-context: x\ncontexts: [{name: x, context: {cluster: c, "
		               "user: u}}]\nclusters: [{name: c, cluster: {server: \"%s\"}}]\n"
		               "users: [{name: u, user: {tokenFile: token}}]\n",
		               c->api.url);
		daemon_write(&c->d, "config", yaml);
	}
	start(c);
	from = c->d.len;
	fake_apiserver_token(&c->api, "second");
	(void)fake_apiserver_cut(&c->api, PODS);
	assert_true(daemon_wait_log(&c->d, from, "401 Unauthorized"));
	daemon_write(&c->d, "token", "second");
	agrees(c);
}

static void storms_of_410_end(void **state)
{
	struct cluster *c = *state;

	fake_apiserver_fault(
		&c->api,
		&(struct fake_fault){ .match = "/pods?watch=1", .count = 4, .status = 410 });
	wire_start(&c->d, CONFIG);
	assert_true(wire_wait_metric(&c->d, RESTARTS "\"gone\"}", 4) >= 4);
	agrees(c);
}

static void many_pods_come_compressed_and_in_pieces(void **state)
{
	struct cluster *c = *state;

	fake_apiserver_gzip(&c->api, true);
	fake_apiserver_pieces(&c->api, 1000);
	for (int i = 0; i < 3000; i++)
		put_pod(c, ",\"labels\":{\"app\":\"web\",\"x\":\"\\u00e9\"}");
	start(c);
	agrees(c);
	assert_true(wire_metric(&c->d, "kubemarla_kube_objects_skipped_total{resource=\"pods\"}") ==
	            0);
}

static void it_ends_in_order_while_the_server_hangs(void **state)
{
	struct cluster *c = *state;

	fake_apiserver_fault(&c->api, &(struct fake_fault){ .match = "/api", .hang = true });
	wire_start(&c->d, CONFIG);
	assert_true(fake_apiserver_wait_requests(&c->api, PODS, 1));
	wire_stop(&c->d);
	daemon_init(&c->d);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(each_trouble_is_told_and_gets_over),
		TEST(objects_without_what_we_read_cost_nothing_but_themselves),
		TEST(nobody_is_waited_for_at_start),
		TEST(a_server_that_comes_back_with_another_past_is_believed),
		TEST(an_expired_token_is_exchanged_for_the_files),
		TEST(storms_of_410_end),
		TEST(many_pods_come_compressed_and_in_pieces),
		TEST(it_ends_in_order_while_the_server_hangs),
	};

	return cmocka_run_group_tests_name("kubernetes", tests, NULL, NULL);
}
