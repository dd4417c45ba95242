/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scrape of pcm-sensor-server against a fake one: pages become samples, and whatever the other
 * end does, read() comes back with what there is.
 */
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/clock.h"
#include "km/base/macros.h"

#include "sources/pcm_server.h"
#include "support/fake_pcm_server.h"

#define PATIENCE_NS (30 * KM_NS_PER_S)

struct rig {
	struct fake_pcm_server server;
	struct km_live_settings live;
	struct km_source_settings settings;
	struct km_source_args args;
	struct km_pcm_server_times times;
	struct km_source *source;
	unsigned samples;
	double ipc, c0_ratio, read_per_write; /* of the last sample: CPU 3, host */
	int64_t last_end_ns;
	struct km_err err;
};

static void rig_init(struct rig *r, enum fake_pcm_mode mode)
{
	memset(r, 0, sizeof(*r));
	fake_pcm_server_start(&r->server, mode);
	r->live.pcm_server_url = r->server.url;
	strcpy(r->settings.kind, "pcm-server");
	r->args = (struct km_source_args){ .settings = &r->settings,
		                           .live = &r->live,
		                           .interval_ns = KM_NS_PER_S };
	r->times = (struct km_pcm_server_times){ .period_ns = 5 * KM_NS_PER_MS,
		                                 .timeout_ns = 100 * KM_NS_PER_MS,
		                                 .give_up_ns = PATIENCE_NS,
		                                 .close_ns = PATIENCE_NS,
		                                 .body_max_bytes = 256 << 10 };
}

static void rig_open(struct rig *r)
{
	assert_int_equal(km_pcm_server_open(&r->args, &r->times, &r->source, &r->err), 0);
	r->source->ops = km_source_find("pcm-server");
}

static void rig_fini(struct rig *r)
{
	km_source_close(r->source);
	fake_pcm_server_stop(&r->server);
}

static void take(void *ctx, const struct km_sample *s)
{
	struct rig *r = ctx;

	assert_null(km_sample_implausible(s));
	assert_int_equal(s->cpu_count, 8);
	assert_true(s->end_ns > r->last_end_ns);
	r->last_end_ns = s->end_ns;
	r->samples++;
	r->ipc = km_sample_cpu(s, 3, KM_COUNT_INSTRUCTIONS) / km_sample_cpu(s, 3, KM_COUNT_CYCLES);
	r->c0_ratio = km_sample_cpu(s, 3, KM_COUNT_C0_NS) / (double)(s->end_ns - s->start_ns);
	r->read_per_write = s->host[KM_HOST_MEM_READ_BYTES] / s->host[KM_HOST_MEM_WRITE_BYTES];
}

static int read_once(struct rig *r)
{
	return km_source_read(r->source, km_clock_mono_ns(km_clock_system()), take, r, &r->err);
}

static uint64_t fault(struct rig *r, enum km_source_fault f)
{
	struct km_source_stats stats;

	km_source_get_stats(r->source, &stats);
	return stats.fault[f];
}

/* What does not depend on when the pages came, but for rounding to whole counts. */
static void check_numbers(const struct rig *r)
{
	assert_true(fabs(r->ipc - 1.5) < 1e-3);
	assert_true(fabs(r->c0_ratio - 0.25) < 1e-3);
	assert_true(fabs(r->read_per_write - 3) < 1e-3);
}

/* Reads until there are `samples` more. */
static void read_until_samples(struct rig *r, unsigned samples)
{
	int64_t until_ns = km_clock_mono_ns(km_clock_system()) + PATIENCE_NS;

	samples += r->samples;
	while (r->samples < samples) {
		int state = read_once(r);

		if (state < 0 || km_clock_mono_ns(km_clock_system()) > until_ns)
			fail_msg("no sample: %s", r->err.text);
		(void)sched_yield();
	}
}

/* Reads until a fault is counted, or the source gives up. returns the last state. */
static int read_until_fault(struct rig *r, enum km_source_fault f)
{
	int64_t until_ns = km_clock_mono_ns(km_clock_system()) + PATIENCE_NS;
	uint64_t before = fault(r, f);
	int state;

	do {
		state = read_once(r);
		if (km_clock_mono_ns(km_clock_system()) > until_ns)
			fail_msg("no fault of kind %s", km_source_fault_name(f));
		(void)sched_yield();
	} while (state >= 0 && fault(r, f) == before);
	return state;
}

static void pages_become_samples(void **state)
{
	struct km_source_stats stats;
	struct rig r;

	(void)state;
	rig_init(&r, FAKE_PCM_PAGES);
	rig_open(&r);
	read_until_samples(&r, 3);
	check_numbers(&r);
	km_source_get_stats(r.source, &stats);
	assert_int_equal(stats.rows, r.samples);
	assert_string_equal(stats.note, "");
	rig_fini(&r);
}

static void nothing_new_is_nothing_emitted(void **state)
{
	struct rig r;
	int64_t until_ns;

	(void)state;
	rig_init(&r, FAKE_PCM_PAGES);
	r.times.period_ns = PATIENCE_NS; /* one page, and no other in this test */
	rig_open(&r);
	until_ns = km_clock_mono_ns(km_clock_system()) + PATIENCE_NS;
	while (read_once(&r) == KM_SOURCE_STARTING) {
		assert_true(km_clock_mono_ns(km_clock_system()) < until_ns);
		(void)sched_yield();
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(read_once(&r), KM_SOURCE_LIVE);
	assert_int_equal(r.samples, 0);
	assert_int_equal(atomic_load(&r.server.requests), 1);
	rig_fini(&r);
}

/* Bad pages cost their samples; a good one later is worth a sample again. */
static void a_server_that_misbehaves_is_waited_for(void **state)
{
	static const struct {
		enum fake_pcm_mode mode;
		enum km_source_fault fault;
		const char *note;
	} rows[] = {
		{ FAKE_PCM_HANGS, KM_FAULT_TIMEOUT, "timed out" },
		{ FAKE_PCM_STALLS, KM_FAULT_TIMEOUT, "timed out" },
		{ FAKE_PCM_FLOODS, KM_FAULT_GARBLED, "the answer is over 262144 bytes" },
		{ FAKE_PCM_CUTS, KM_FAULT_GARBLED, "http://127.0.0.1" },
		{ FAKE_PCM_FAILS, KM_FAULT_GARBLED, "status 500, want 200" },
		{ FAKE_PCM_OTHER, KM_FAULT_GARBLED, "no series OS_ID in 21 bytes" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_source_stats stats;
		struct rig r;

		rig_init(&r, FAKE_PCM_PAGES);
		rig_open(&r);
		read_until_samples(&r, 1);
		atomic_store(&r.server.mode, rows[i].mode);
		assert_int_equal(read_until_fault(&r, rows[i].fault), KM_SOURCE_LIVE);
		km_source_get_stats(r.source, &stats);
		if (strstr(stats.note, rows[i].note) == NULL)
			fail_msg("note \"%s\", want \"%s\"", stats.note, rows[i].note);
		assert_int_equal(stats.bad_rows > 0, rows[i].fault == KM_FAULT_GARBLED);
		atomic_store(&r.server.mode, FAKE_PCM_PAGES);
		read_until_samples(&r, 2);
		check_numbers(&r);
		rig_fini(&r);
	}
}

static void while_the_server_hangs_read_does_not(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, FAKE_PCM_HANGS);
	r.times.timeout_ns = PATIENCE_NS;
	r.times.close_ns = 1; /* close() leaves the thread to its scrape */
	rig_open(&r);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(read_once(&r), KM_SOURCE_STARTING);
	rig_fini(&r);
}

static void a_server_that_stays_away_makes_the_source_absent(void **state)
{
	struct rig r;
	char nobody[64];
	int ret;

	(void)state;
	fake_pcm_server_nobody(nobody);
	rig_init(&r, FAKE_PCM_FAILS);
	r.live.pcm_server_url = nobody;
	r.times.give_up_ns = 20 * KM_NS_PER_MS;
	rig_open(&r);
	do {
		ret = read_until_fault(&r, KM_FAULT_UNAVAILABLE);
	} while (ret >= 0);
	assert_int_equal(ret, -ECONNREFUSED);
	assert_non_null(strstr(r.err.text, nobody));
	km_source_close(r.source);
	r.live.pcm_server_url = r.server.url;
	rig_open(&r);
	do {
		ret = read_until_fault(&r, KM_FAULT_GARBLED);
	} while (ret >= 0);
	assert_int_equal(ret, -EPROTO);
	assert_non_null(strstr(r.err.text, "status 500"));
	rig_fini(&r);
}

static void the_probe_tells_what_the_server_has(void **state)
{
	static const struct {
		enum fake_pcm_mode mode;
		int want;
		const char *text;
	} rows[] = {
		{ FAKE_PCM_FAILS, -EPROTO, "status 500, want 200" },
		{ FAKE_PCM_OTHER, -EBADMSG, "not a page of pcm-sensor-server" },
		{ FAKE_PCM_HANGS, -ETIMEDOUT, "http://127.0.0.1" },
	};
	struct km_source_offer offer;
	char nothing[] = "";
	char nobody[64];
	struct rig r;

	(void)state;
	rig_init(&r, FAKE_PCM_PAGES);
	assert_int_equal(km_source_probe(&r.args, &offer, &r.err), 0);
	assert_true(offer.owns_pmu);
	assert_int_equal(offer.cpu, 1U << KM_COUNT_INSTRUCTIONS | 1U << KM_COUNT_CYCLES |
	                                    1U << KM_COUNT_L2_MISS | 1U << KM_COUNT_L3_MISS |
	                                    1U << KM_COUNT_C0_NS | 1U << KM_COUNT_C1_NS |
	                                    1U << KM_COUNT_C6_NS);
	assert_int_equal(offer.host, 1U << KM_HOST_MEM_READ_BYTES | 1U << KM_HOST_MEM_WRITE_BYTES |
	                                     1U << KM_HOST_L3_OCCUPANCY_BYTES |
	                                     1U << KM_HOST_MBM_TOTAL_BYTES |
	                                     1U << KM_HOST_MBM_LOCAL_BYTES);
	assert_non_null(strstr(offer.note, "8 CPUs"));
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		atomic_store(&r.server.mode, rows[i].mode);
		assert_int_equal(km_source_probe(&r.args, &offer, &r.err), rows[i].want);
		if (strstr(r.err.text, rows[i].text) == NULL)
			fail_msg("\"%s\", want \"%s\"", r.err.text, rows[i].text);
	}
	fake_pcm_server_nobody(nobody);
	r.live.pcm_server_url = nobody;
	assert_int_equal(km_source_probe(&r.args, &offer, &r.err), -ECONNREFUSED);
	r.live.pcm_server_url = nothing;
	assert_int_equal(km_source_probe(&r.args, &offer, &r.err), -ENOENT);
	assert_int_equal(km_source_open(&r.args, &r.source, &r.err), -ENOENT);
	assert_non_null(strstr(r.err.text, "collect.pcmServer.url is empty"));
	rig_fini(&r);
}

static void its_times_keep_the_contract(void **state)
{
	struct km_pcm_server_times fast = km_pcm_server_times(KM_NS_PER_S / 10);
	struct km_pcm_server_times slow = km_pcm_server_times(5 * KM_NS_PER_S);

	(void)state;
	assert_true(fast.period_ns == KM_NS_PER_S); /* PCM reads anew for each request */
	assert_true(slow.period_ns == 5 * KM_NS_PER_S);
	assert_true(fast.close_ns < KM_SOURCE_CLOSE_MAX_NS);
	assert_true(fast.body_max_bytes == 16 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_become_samples),
		cmocka_unit_test(nothing_new_is_nothing_emitted),
		cmocka_unit_test(a_server_that_misbehaves_is_waited_for),
		cmocka_unit_test(while_the_server_hangs_read_does_not),
		cmocka_unit_test(a_server_that_stays_away_makes_the_source_absent),
		cmocka_unit_test(the_probe_tells_what_the_server_has),
		cmocka_unit_test(its_times_keep_the_contract),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
