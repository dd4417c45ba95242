/* SPDX-License-Identifier: Apache-2.0 */
/* wire: what vegeta, wrk and nginx say of a load, good, odd and hostile. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "km/wire/load_report.h"

#define LATENCIES                                                                                  \
	"\"latencies\":{\"total\":9,\"mean\":134635,\"50th\":109304,\"90th\":163684,\"95th\":"     \
	"212144,\"99th\":707475,\"max\":2129860,\"min\":63821}"
#define VEGETA(requests, success)                                                                  \
	"{" LATENCIES ",\"requests\":" requests ",\"rate\":500.5,\"throughput\":499.5,"            \
	"\"success\":" success                                                                     \
	",\"status_codes\":{\"200\":1000},\"errors\":[\"dial \\u003e x\",\"b\"]}"

#define WRK_HEAD                                                                                   \
	"Running 2s test @ http://127.0.0.1:80/body\n  1 threads and 4 connections\n"              \
	"  Thread Stats   Avg      Stdev     Max   +/- Stdev\n"                                    \
	"    Latency    75.60us  158.87us   4.16ms   99.07%\n"                                     \
	"    Req/Sec    60.84k    24.90k   92.53k    66.67%\n"
#define WRK_LATENCY                                                                                \
	"  Latency Distribution\n     50%   50.00us\n     75%   80.00us\n     90%  131.00us\n"     \
	"     99%    1.50s\n"
#define WRK_COUNT "  126753 requests in 2.10s, 1.96GB read\n"
#define WRK_TAIL  "Requests/sec:  60355.78\nTransfer/sec:      0.93GB\n"

#define STATUS                                                                                     \
	"Active connections: 1 \nserver accepts handled requests\n 247 246 237819 \n"              \
	"Reading: 0 Writing: 1 Waiting: 0 \n"

static void assert_near(double got, double want)
{
	if (!(fabs(got - want) <= 1e-9 * fabs(want)))
		fail_msg("got %g, want %g", got, want);
}

static void vegeta_is_read(void **state)
{
	const char *body = VEGETA("1000", "0.998");
	struct km_load_result r;
	struct km_err err = { .code = 0 };
	char said[8];

	(void)state;
	assert_int_equal(km_vegeta_decode(body, strlen(body), &r, said, sizeof(said), &err), 0);
	assert_string_equal(r.generator, "vegeta");
	assert_true(r.open_loop);
	assert_near(r.offered_rps, 500.5);
	assert_near(r.achieved_rps, 499.5);
	assert_near(r.mean_ms, 0.134635);
	assert_near(r.p50_ms, 0.109304);
	assert_near(r.p90_ms, 0.163684);
	assert_near(r.p95_ms, 0.212144);
	assert_near(r.p99_ms, 0.707475);
	assert_near(r.max_ms, 2.12986);
	assert_int_equal(r.requests, 1000);
	assert_int_equal(r.errors, 2);
	assert_string_equal(said, "dial > ");
}

static void nothing_sent_is_not_measured(void **state)
{
	const char *body = VEGETA("0", "0");
	const char *text =
		WRK_HEAD WRK_LATENCY "  0 requests in 1.00s, 0.00B read\n"
				     "  Socket errors: connect 4, read 0, write 0, timeout 0\n"
				     "Requests/sec:      0.00\n";
	struct km_load_result r;

	(void)state;
	assert_int_equal(km_vegeta_decode(body, strlen(body), &r, NULL, 0, NULL), 0);
	assert_true(isnan(r.p99_ms) && isnan(r.mean_ms) && isnan(r.max_ms));
	assert_int_equal(km_wrk_decode(text, strlen(text), &r, NULL), 0);
	assert_true(isnan(r.p99_ms));
	assert_int_equal(r.requests, 4);
	assert_int_equal(r.errors, 4);
}

static void what_is_no_vegeta_report_is_refused(void **state)
{
	static const struct {
		const char *body;
		const char *want;
	} rows[] = {
		{ "", "vegeta" },
		{ "[]", "an object" },
		{ "{}", "requests" },
		{ "{\"requests\":1}", "latencies/mean" },
		{ "{\"requests\":-1," LATENCIES "}", "requests" },
		{ "{\"requests\":1," LATENCIES "}", "rate: saw" },
		{ "{\"requests\":1," LATENCIES ",\"rate\":1e999}", "rate: saw" },
		{ "{\"requests\":1," LATENCIES ",\"rate\":-1}", "rate: saw" },
		{ VEGETA("1", "1.5"), "success: saw 1.5" },
		{ VEGETA("1", "\"1\""), "success: saw a string" },
		{ VEGETA("1", "1") "x", "vegeta: JSON" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_load_result r;
		struct km_err err = { .code = 0 };
		int rc = km_vegeta_decode(rows[i].body, strlen(rows[i].body), &r, NULL, 0, &err);

		if (rc != -EINVAL || strstr(err.text, rows[i].want) == NULL)
			fail_msg("%s: %d %s, want %s", rows[i].body, rc, err.text, rows[i].want);
	}
}

static void wrk_is_read(void **state)
{
	const char *text = WRK_HEAD WRK_LATENCY WRK_COUNT WRK_TAIL;
	struct km_load_result r;
	struct km_err err = { .code = 0 };

	(void)state;
	assert_int_equal(km_wrk_decode(text, strlen(text), &r, &err), 0);
	assert_string_equal(r.generator, "wrk");
	assert_false(r.open_loop);
	assert_true(isnan(r.offered_rps));
	assert_near(r.achieved_rps, 60355.78);
	assert_near(r.mean_ms, 0.0756);
	assert_near(r.max_ms, 4.16);
	assert_near(r.p50_ms, 0.05);
	assert_near(r.p90_ms, 0.131);
	assert_true(isnan(r.p95_ms));
	assert_near(r.p99_ms, 1500);
	assert_int_equal(r.requests, 126753);
	assert_int_equal(r.errors, 0);
}

static void what_wrk_could_not_do_is_an_error(void **state)
{
	static const struct {
		const char *lines;
		uint64_t requests, errors;
	} rows[] = {
		{ "  Socket errors: connect 1, read 2, write 3, timeout 4\n", 126759, 10 },
		{ "  Non-2xx or 3xx responses: 753\n", 126753, 753 },
		{ "  Socket errors: connect 0, read 0, write 0, timeout 1\n"
		  "  Non-2xx or 3xx responses: 126753\n",
		  126753, 126753 },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_load_result r;
		char text[1024];

		(void)snprintf(text, sizeof(text), "%s%s%s", WRK_HEAD WRK_LATENCY WRK_COUNT,
		               rows[i].lines, WRK_TAIL);
		assert_int_equal(km_wrk_decode(text, strlen(text), &r, NULL), 0);
		assert_int_equal(r.requests, rows[i].requests);
		assert_int_equal(r.errors, rows[i].errors);
		assert_near(r.achieved_rps, (double)(r.requests - r.errors) / 2.10);
	}
}

static void what_is_no_wrk_report_is_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"unable to connect to 127.0.0.1:80 Connection refused\n",
		WRK_HEAD WRK_COUNT WRK_TAIL,
		WRK_HEAD WRK_LATENCY WRK_TAIL,
		WRK_HEAD WRK_LATENCY WRK_COUNT,
		WRK_HEAD WRK_LATENCY "  -1 requests in 2.10s, 1.96GB read\n" WRK_TAIL,
		WRK_HEAD WRK_LATENCY WRK_COUNT "Requests/sec: many\n",
		WRK_HEAD WRK_LATENCY WRK_COUNT "Requests/sec: -1\n",
		WRK_HEAD "     99%   50.00parsec\n" WRK_COUNT WRK_TAIL,
		WRK_HEAD "     99%   nanms\n" WRK_COUNT WRK_TAIL,
		WRK_HEAD WRK_LATENCY WRK_COUNT
		"  Socket errors: connect x, read 0, write 0, timeout 0\n" WRK_TAIL,
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_load_result r;
		struct km_err err = { .code = 0 };

		if (km_wrk_decode(rows[i], strlen(rows[i]), &r, &err) != -EINVAL ||
		    strncmp(err.text, "wrk: ", 5) != 0)
			fail_msg("row %zu: %s", i, err.text);
	}
}

static void stub_status_is_read(void **state)
{
	struct km_stub_status s;

	(void)state;
	assert_int_equal(km_stub_status_decode(STATUS, strlen(STATUS), &s, NULL), 0);
	assert_int_equal(s.active, 1);
	assert_int_equal(s.accepts, 247);
	assert_int_equal(s.handled, 246);
	assert_int_equal(s.requests, 237819);
}

static void what_is_no_status_page_is_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"<html>404</html>",
		"Active connections: one\nserver accepts handled requests\n 1 1 1\n",
		"Active connections: 1\n 1 1 1\n",
		"Active connections: 1\nserver accepts handled requests\n 1 1\n",
		"Active connections: 1\nserver accepts handled requests\n 1 1 -1\n",
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_stub_status s;
		struct km_err err = { .code = 0 };

		if (km_stub_status_decode(rows[i], strlen(rows[i]), &s, &err) != -EINVAL ||
		    strncmp(err.text, "stub_status: ", 13) != 0)
			fail_msg("row %zu: %s", i, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vegeta_is_read),
		cmocka_unit_test(nothing_sent_is_not_measured),
		cmocka_unit_test(what_is_no_vegeta_report_is_refused),
		cmocka_unit_test(wrk_is_read),
		cmocka_unit_test(what_wrk_could_not_do_is_an_error),
		cmocka_unit_test(what_is_no_wrk_report_is_refused),
		cmocka_unit_test(stub_status_is_read),
		cmocka_unit_test(what_is_no_status_page_is_refused),
	};

	return cmocka_run_group_tests_name("wire: load reports", tests, NULL, NULL);
}
