/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a stressor: as bytes, back, and what is none; stress-ng's beside it. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "km/wire/stress_report.h"

#define GOOD                                                                                       \
	"{\"kind\":\"membw\",\"intensity\":30,\"cpus\":\"1,3\",\"seconds\":10,"                    \
	"\"dutyRatio\":0.25,\"opsPerSecond\":4,\"bytesPerSecond\":64,\"workingSetBytes\":128,"     \
	"\"unit\":\"triads\",\"cachesAssumed\":true}"

static void it_is_one_object_and_reads_back(void **state)
{
	struct km_stress_result r = {
		.kind = KM_STRESS_MEMBW,
		.level_pct = 30,
		.seconds = 10,
		.duty_ratio = 0.25,
		.ops_per_s = 4,
		.bytes_per_s = 64,
		.working_set_bytes = 128,
		.caches_assumed = true,
		.unit = "triads",
	};
	struct km_stress_result back;
	struct km_buf out;

	(void)state;
	km_cpuset_add(&r.cpus, 1);
	km_cpuset_add(&r.cpus, 3);
	km_buf_init(&out);
	km_stress_report_encode(&r, &out);
	assert_string_equal(km_buf_cstr(&out), GOOD);
	assert_int_equal(km_stress_report_decode(out.data, out.len, &back, NULL), 0);
	assert_int_equal(back.kind, KM_STRESS_MEMBW);
	assert_int_equal(back.level_pct, 30);
	assert_memory_equal(&back.cpus, &r.cpus, sizeof(r.cpus));
	assert_true(back.seconds == 10 && back.duty_ratio == 0.25 && back.ops_per_s == 4);
	assert_true(back.bytes_per_s == 64 && back.working_set_bytes == 128);
	assert_true(back.caches_assumed);
	assert_string_equal(back.unit, "triads");
	km_buf_fini(&out);
}

/* Hyper-threads and sockets are often numbered in turn: a node's CPUs are then no range. */
static void a_long_list_of_cpus_reads_back(void **state)
{
	struct km_stress_result r = { .kind = KM_STRESS_CPU };
	struct km_stress_result back;
	struct km_buf out;

	(void)state;
	for (unsigned cpu = 0; cpu < KM_CPU_MAX; cpu += 2)
		km_cpuset_add(&r.cpus, cpu);
	km_buf_init(&out);
	km_stress_report_encode(&r, &out);
	assert_true(km_buf_ok(&out));
	assert_int_equal(km_stress_report_decode(out.data, out.len, &back, NULL), 0);
	assert_memory_equal(&back.cpus, &r.cpus, sizeof(r.cpus));
	km_buf_fini(&out);
}

static void not_measured_is_null_and_not_a_number(void **state)
{
	struct km_stress_result r = { .kind = KM_STRESS_CPU, .bytes_per_s = NAN, .ops_per_s = NAN };
	struct km_stress_result back;
	struct km_buf out;

	(void)state;
	km_cpuset_add(&r.cpus, 0);
	km_buf_init(&out);
	km_stress_report_encode(&r, &out);
	assert_non_null(strstr(km_buf_cstr(&out), "\"opsPerSecond\":null,\"bytesPerSecond\":null"));
	assert_int_equal(km_stress_report_decode(out.data, out.len, &back, NULL), 0);
	assert_true(isnan(back.bytes_per_s) && isnan(back.ops_per_s));
	assert_true(back.seconds == 0);
	km_buf_fini(&out);
}

static void what_is_no_report_is_refused_with_the_key(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "" },
		{ "[1]", "want an object, saw an array" },
		{ "{\"kind\":\"cpuu\"}", "kind: saw \"cpuu\"" },
		{ "{\"kind\":\"cpu\"}", "intensity: want 0 to 100" },
		{ "{\"kind\":\"cpu\",\"intensity\":101}", "intensity: want 0 to 100" },
		{ "{\"kind\":\"cpu\",\"intensity\":1}", "cpus: want a list" },
		{ "{\"kind\":\"cpu\",\"intensity\":1,\"cpus\":\"2-1\"}", "cpus: " },
		{ "{\"kind\":\"cpu\",\"intensity\":1,\"cpus\":\"1\"}", "seconds: want a number" },
		{ "{\"kind\":\"cpu\",\"intensity\":1,\"cpus\":\"1\",\"seconds\":-1}", "seconds: " },
		{ "{\"kind\":\"cpu\",\"intensity\":1,\"cpus\":\"1\",\"seconds\":1,"
		  "\"dutyRatio\":2}",
		  "dutyRatio: want a number, 0 to 1.5" },
		{ GOOD "x", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct km_stress_result r = { .seconds = 7 };
		struct km_err err = { .code = 0 };

		assert_int_equal(
			km_stress_report_decode(rows[i].text, strlen(rows[i].text), &r, &err),
			-EINVAL);
		assert_non_null(strstr(err.text, rows[i].want));
		assert_true(err.text[0] != '\0' && r.seconds == 7);
	}
}

static void stress_ng_is_summed_over_its_stressors(void **state)
{
	static const struct {
		const char *text;
		double want; /* NaN = no such line */
	} rows[] = {
		{ "metrics:\n    - stressor: cpu\n      bogo-ops: 781\n"
		  "      bogo-ops-per-second-real-time: 769.76\n...\n",
		  769.76 },
		{ "bogo-ops-per-second-real-time: 1.5\nbogo-ops-per-second-real-time: 2", 3.5 },
		{ "bogo-ops-per-second-real-time: many\n", NAN },
		{ "bogo-ops-per-second-usr-sys-time: 5\n", NAN },
		{ "bogo-ops-per-second-real-time: ", NAN },
		{ "", NAN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		double got = km_stress_ng_decode(rows[i].text, strlen(rows[i].text));

		assert_true(isnan(rows[i].want) ? isnan(got) : got == rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_one_object_and_reads_back),
		cmocka_unit_test(a_long_list_of_cpus_reads_back),
		cmocka_unit_test(not_measured_is_null_and_not_a_number),
		cmocka_unit_test(what_is_no_report_is_refused_with_the_key),
		cmocka_unit_test(stress_ng_is_summed_over_its_stressors),
	};

	return cmocka_run_group_tests_name("wire stress report", tests, NULL, NULL);
}
