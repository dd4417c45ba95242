/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a fake API server: tokens that change, refusals in words, waiting, stopping. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kube/watch_internal.h"
#include "support/kube_world.h"

#define REQUESTS "kubemarla_kube_requests_total{verb="

static struct kube_world world;

static int set_up(void **state)
{
	(void)state;
	kube_world_init(&world);
	kube_world_put(&world, "a", "p");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	kube_world_fini(&world);
	return 0;
}

static void every_verb_is_asked_and_counted(void **state)
{
	static const char lease[] = "{\"metadata\":{\"name\":\"l\"},\"spec\":{\"x\":1}}";
	static const char patch[] = "{\"spec\":{\"x\":null,\"y\":2}}";
	static const char path[] = "/apis/coordination.k8s.io/v1/namespaces/a/leases/l";
	const struct km_kube_body whole = { .text = lease, .len = strlen(lease) };
	const struct km_kube_body part = { KM_KUBE_MERGE_PATCH, patch, strlen(patch) };
	struct km_err err = { .code = 0 };
	struct km_buf out;
	char *got;

	(void)state;
	km_buf_init(&out);
	assert_int_equal(km_kube_ask(world.kube, "POST",
	                             "/apis/coordination.k8s.io/v1/namespaces/a/leases", &whole,
	                             &out, &err),
	                 201);
	assert_non_null(strstr(km_buf_cstr(&out), "\"namespace\":\"a\""));
	assert_int_equal(km_kube_ask(world.kube, "PATCH", path, &part, NULL, &err), 200);
	got = fake_apiserver_get(&world.server, "/apis/coordination.k8s.io/v1/leases", "a", "l");
	assert_non_null(strstr(got, "\"spec\":{\"y\":2}"));
	free(got);
	assert_int_equal(km_kube_ask(world.kube, "PUT", path, &whole, NULL, &err), 200);
	km_buf_clear(&out);
	assert_int_equal(km_kube_ask(world.kube, "GET", path, NULL, &out, &err), 200);
	assert_non_null(strstr(km_buf_cstr(&out), "\"spec\":{\"x\":1}"));
	assert_int_equal(km_kube_ask(world.kube, "DELETE", path, NULL, NULL, &err), 200);
	assert_int_equal(km_kube_ask(world.kube, "GET", path, NULL, NULL, &err), 404);
	assert_string_equal(err.text, "GET /apis/coordination.k8s.io/v1/namespaces/a/leases/l: 404 "
	                              "NotFound: there is none of that name");
	assert_true(kube_world_metric(&world, REQUESTS "\"create\",code=\"201\"}") == 1);
	assert_true(kube_world_metric(&world, REQUESTS "\"patch\",code=\"200\"}") == 1);
	assert_true(kube_world_metric(&world, REQUESTS "\"update\",code=\"200\"}") == 1);
	assert_true(kube_world_metric(&world, REQUESTS "\"delete\",code=\"200\"}") == 1);
	assert_true(kube_world_metric(&world, REQUESTS "\"get\",code=\"200\"}") == 1);
	assert_true(kube_world_metric(&world, REQUESTS "\"get\",code=\"404\"}") == 1);
	assert_int_equal(km_kube_ask(world.kube, "BREW", path, NULL, NULL, &err), -EINVAL);
	assert_int_equal(km_kube_ask(world.kube, "GET", "pods", NULL, NULL, &err), -EINVAL);
	km_buf_fini(&out);
}

static void refusals_are_told_in_the_servers_words(void **state)
{
	static const struct {
		struct fake_fault fault;
		const char *text;
		int64_t wait_s;
	} rows[] = {
		{ { .match = "/pods", .status = 403 },
		  "GET /api/v1/pods: 403 Forbidden: as the test wants it",
		  0 },
		{ { .match = "/pods", .status = 429, .headers = "Retry-After: 7\r\n" },
		  "GET /api/v1/pods: 429 TooManyRequests: as the test wants it",
		  7 },
		{ { .match = "/pods",
		    .status = 503,
		    .headers = "Retry-After: 86400\r\n",
		    .body = "<html>" },
		  "GET /api/v1/pods: 503 ",
		  60 },
		{ { .match = "/pods",
		    .status = 504,
		    .body = "{\"kind\":\"Status\",\"reason\":\"ServerTimeout\",\"details\":{"
		            "\"retryAfterSeconds\":3}}" },
		  "GET /api/v1/pods: 504 ServerTimeout",
		  3 },
		{ { .match = "/pods", .status = 500, .body = "{\"kind\":\"Pod\"}" },
		  "GET /api/v1/pods: 500 ",
		  0 },
	};
	struct km_err err = { .code = 0 };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		fake_apiserver_clear(&world.server);
		fake_apiserver_fault(&world.server, &rows[i].fault);
		assert_int_equal(km_kube_ask(world.kube, "GET", "/api/v1/pods", NULL, NULL, &err),
		                 rows[i].fault.status);
		assert_string_equal(err.text, rows[i].text);
		assert_true(km_kube_retry_after_ns(world.kube) == rows[i].wait_s * KM_NS_PER_S);
	}
	fake_apiserver_clear(&world.server);
	assert_int_equal(km_kube_ask(world.kube, "GET", "/api/v1/pods", NULL, NULL, &err), 200);
	assert_true(km_kube_retry_after_ns(world.kube) == 0);
}

static void write_token(const char *token)
{
	char path[128];
	char next[128];
	FILE *f;

	/* as the kubelet does it: another file under the same name */
	(void)snprintf(path, sizeof(path), "%s/token", world.dir);
	(void)snprintf(next, sizeof(next), "%s/token.new", world.dir);
	f = fopen(next, "w");
	assert_non_null(f);
	(void)fputs(token, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(rename(next, path), 0);
}

static struct km_kube *with_token_file(struct km_kube_credentials **credentials)
{
	struct km_kubernetes_settings settings = { 0 };
	struct km_err err = { .code = 0 };
	struct km_kube *k;
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/by-file", world.dir);
	f = fopen(path, "w");
	assert_non_null(f);
	(void)fprintf(f,
	              "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
	              "clusters: [{name: c, cluster: {server: \"%s\"}}]\n"
	              "users: [{name: u, user: {tokenFile: token}}]\n",
	              world.server.url);
	assert_int_equal(fclose(f), 0);
	settings.kubeconfig = path;
	if (km_kube_credentials_find(&settings, credentials, &err) != 0) {
		fail_msg("%s", err.text);
	}
	assert_int_equal(km_kube_create(*credentials, NULL, &k, &err), 0);
	return k;
}

static void a_token_that_is_rotated_is_read_again(void **state)
{
	struct km_kube_credentials *credentials;
	struct km_err err = { .code = 0 };
	struct km_kube *k;
	char path[128];

	(void)state;
	write_token("first\n");
	fake_apiserver_token(&world.server, "first");
	k = with_token_file(&credentials);
	assert_int_equal(km_kube_ask(k, "GET", "/api/v1/pods", NULL, NULL, &err), 200);
	write_token("second");
	fake_apiserver_token(&world.server, "second");
	assert_int_equal(km_kube_ask(k, "GET", "/api/v1/pods", NULL, NULL, &err), 200);
	assert_int_equal(fake_apiserver_requests(&world.server, "/pods"), 2);
	/* what does not change is not tried twice */
	fake_apiserver_token(&world.server, "third");
	assert_int_equal(km_kube_ask(k, "GET", "/api/v1/pods", NULL, NULL, &err), 401);
	assert_int_equal(fake_apiserver_requests(&world.server, "/pods"), 3);
	assert_non_null(strstr(err.text, "401 Unauthorized"));
	/* a file that is gone, or empty, leaves the token there was */
	(void)snprintf(path, sizeof(path), "%s/token", world.dir);
	fake_apiserver_token(&world.server, "second");
	assert_int_equal(remove(path), 0);
	assert_int_equal(km_kube_ask(k, "GET", "/api/v1/pods", NULL, NULL, &err), 200);
	write_token("");
	assert_int_equal(km_kube_ask(k, "GET", "/api/v1/pods", NULL, NULL, &err), 200);
	km_kube_free(k);
	km_kube_credentials_free(credentials);
}

static void without_an_answer_it_is_an_errno(void **state)
{
	struct km_err err = { .code = 0 };

	(void)state;
	fake_apiserver_fault(&world.server,
	                     &(struct fake_fault){ .match = "/pods", .no_answer = true });
	assert_true(km_kube_ask(world.kube, "GET", "/api/v1/pods?a=b", NULL, NULL, &err) < 0);
	assert_memory_equal(err.text, "GET /api/v1/pods: ", 18);
	assert_null(strstr(err.text, "http"));
	fake_apiserver_stop(&world.server);
	assert_int_equal(km_kube_ask(world.kube, "GET", "/api/v1/pods", NULL, NULL, &err),
	                 -ECONNREFUSED);
	assert_true(kube_world_metric(&world, REQUESTS "\"get\",code=\"none\"}") == 2);
}

static void *stop(void *arg)
{
	(void)arg;
	assert_true(fake_apiserver_wait_requests(&world.server, "/pods", 1));
	km_kube_stop(world.kube);
	return NULL;
}

static void a_request_in_progress_and_a_wait_end_when_told(void **state)
{
	struct km_err err = { .code = 0 };
	pthread_t thread;

	(void)state;
	fake_apiserver_fault(&world.server, &(struct fake_fault){ .match = "/pods", .hang = true });
	assert_int_equal(pthread_create(&thread, NULL, stop, NULL), 0);
	assert_int_equal(km_kube_ask(world.kube, "GET", "/api/v1/pods", NULL, NULL, &err),
	                 -ECANCELED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(km_kube_stopped(world.kube));
	assert_false(km_kube_wait(world.kube, INT64_C(3600) * KM_NS_PER_S));
	assert_int_equal(km_kube_ask(world.kube, "GET", "/api/v1/pods", NULL, NULL, &err),
	                 -ECANCELED);
}

static void a_wait_ends_by_itself(void **state)
{
	(void)state;
	assert_true(km_kube_wait(world.kube, 0));
	assert_true(km_kube_wait(world.kube, -5));
	assert_true(km_kube_wait(world.kube, KM_NS_PER_MS));
}

static void backing_off_is_random_up_to_a_bound_that_doubles(void **state)
{
	int64_t most[10] = { 0 };
	struct kube_backoff b;

	(void)state;
	for (uint64_t seed = 0; seed < 500; seed++) {
		kube_backoff_init(&b, 500, 30000, seed);
		for (size_t i = 0; i < KM_ARRAY_LEN(most); i++) {
			int64_t wait = kube_backoff_next(&b, 0);
			int64_t bound = i < 6 ? 500 << i : 30000;

			assert_true(wait >= 0 && wait <= bound);
			most[i] = wait > most[i] ? wait : most[i];
			/* all of the range is used */
			if (seed == 499) {
				assert_true(most[i] > bound * 9 / 10);
			}
		}
		/* what is asked for is waited out, not much longer */
		for (int i = 0; i < 3; i++) {
			int64_t wait = kube_backoff_next(&b, 1000);

			assert_true(wait >= 1000 && wait <= 1500);
		}
		kube_backoff_reset(&b);
		assert_true(kube_backoff_next(&b, 0) <= 500);
	}
}

static void how_long_it_took_is_no_other_trouble(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{ "port 1 after 3 ms: no", "port 1 after 12 ms: no", true },
		{ "port 1 after 3 ms: no", "port 2 after 3 ms: no", false },
		{ "", "", true },
		{ "5 ms", "", true },
		{ "5 msx", "7 msy", false },
		{ "401 a", "403 a", false },
		{ "a", "ab", false },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++)
		assert_int_equal(kube_same_trouble(rows[i].a, rows[i].b), rows[i].same);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(every_verb_is_asked_and_counted),
		TEST(refusals_are_told_in_the_servers_words),
		TEST(a_token_that_is_rotated_is_read_again),
		TEST(without_an_answer_it_is_an_errno),
		TEST(a_request_in_progress_and_a_wait_end_when_told),
		TEST(a_wait_ends_by_itself),
		cmocka_unit_test(how_long_it_took_is_no_other_trouble),
		cmocka_unit_test(backing_off_is_random_up_to_a_bound_that_doubles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
