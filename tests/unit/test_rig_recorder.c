/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder over two fakes: what is in a window, what is not, and what a broken source costs. */
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

#include "km/base/clock.h"
#include "km/rig/recorder.h"
#include "km/sources/trace.h"

#include "support/fake_source_table.h"

#define WALL_NS (INT64_C(1764510000) * KM_NS_PER_S)

/* A source that counts: one CPU count a nanosecond, one stalled node-nanosecond in ten. */
static struct fake {
	int state;      /* what its next reads return; negative: an error */
	int probe;      /* what its probe returns */
	int64_t lag_ns; /* its samples end that long ago, as a worker's do */
	unsigned opened, closed, probed;
} fake[2];

struct fake_source {
	struct km_source base;
	int64_t last_ns;
	struct km_sample_space space;
};

static struct fake *of(const struct km_source_ops *ops)
{
	return &fake[ops != fake_source_table[0]];
}

static int probe_as(struct fake *f, struct km_source_offer *out, struct km_err *err)
{
	f->probed++;
	out->cpu = UINT32_C(1) << KM_COUNT_BUSY_NS;
	return f->probe == 0 ? 0 : km_err_set(err, -f->probe, "this fake is not here");
}

static int probe_first(const struct km_source_args *args, struct km_source_offer *out,
                       struct km_err *err)
{
	(void)args;
	return probe_as(&fake[0], out, err);
}

static int probe_second(const struct km_source_args *args, struct km_source_offer *out,
                        struct km_err *err)
{
	(void)args;
	return probe_as(&fake[1], out, err);
}

static int fake_open(const struct km_source_args *args, struct km_source **out, struct km_err *err)
{
	struct fake_source *s = calloc(1, sizeof(*s));

	(void)err;
	assert_non_null(s);
	s->base.ops = km_source_find(args->settings->kind);
	of(s->base.ops)->opened++;
	*out = &s->base;
	return 0;
}

static int fake_read(struct km_source *base, int64_t now_ns, km_sample_fn *emit, void *ctx,
                     struct km_err *err)
{
	struct fake_source *s = (struct fake_source *)base;
	const struct fake *f = of(base->ops);
	int64_t end_ns = now_ns - f->lag_ns;
	double elapsed_ns = (double)(end_ns - s->last_ns);
	bool first = base->ops == fake_source_table[0];

	if (f->state < 0) {
		return km_err_set(err, -f->state, "broken for the test");
	}
	if (s->last_ns != 0 && end_ns > s->last_ns && f->state == 0) {
		assert_int_equal(km_sample_space_reset(&s->space, 2), 0);
		assert_int_equal(km_sample_space_nodes(&s->space, 2), 0);
		s->space.sample.start_ns = s->last_ns;
		s->space.sample.end_ns = end_ns;
		if (first) {
			s->space.cpu[KM_COUNT_BUSY_NS] = elapsed_ns;
		} else {
			s->space.sample.host[KM_HOST_RUNNABLE] = 3;
			s->space.node[KM_NODE_COUNT_N + KM_NODE_CPU_PSI_NS] = elapsed_ns / 10;
		}
		emit(ctx, &s->space.sample);
	}
	s->last_ns = end_ns;
	return f->state;
}

static void fake_close(struct km_source *base)
{
	struct fake_source *s = (struct fake_source *)base;

	of(base->ops)->closed++;
	km_sample_space_fini(&s->space);
	free(s);
}

static const struct km_source_ops first = {
	.name = "first",
	.live = true,
	.probe = probe_first,
	.open = fake_open,
	.read = fake_read,
	.close = fake_close,
};
static const struct km_source_ops second = {
	.name = "second",
	.live = true,
	.probe = probe_second,
	.open = fake_open,
	.read = fake_read,
	.close = fake_close,
};
static const struct km_source_ops recorded = { .name = "replay", .open = fake_open };

const struct km_source_ops *const fake_source_table[] = { &first, &second, &recorded, NULL };

static struct km_node_settings nodes[2] = { { .name = "a" }, { .name = "b" } };
static struct km_collect_settings collect;
static struct km_recorder *rec;
static struct km_buf csv;
static int64_t now_ns;

static int setup(void **state)
{
	(void)state;
	memset(fake, 0, sizeof(fake));
	collect = (struct km_collect_settings){ .interval_ns = KM_NS_PER_S, .auto_sources = true };
	rec = NULL;
	now_ns = 1000 * KM_NS_PER_S;
	km_buf_init(&csv);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	km_recorder_free(rec);
	km_buf_fini(&csv);
	assert_int_equal(fake[0].opened, fake[0].closed);
	assert_int_equal(fake[1].opened, fake[1].closed);
	return 0;
}

static int open_recorder(struct km_err *err)
{
	return km_recorder_open(&collect, nodes, 2, now_ns, &rec, err);
}

static void after(double seconds)
{
	now_ns += llround(seconds * 1e9);
}

static void begin(void)
{
	km_recorder_begin(rec, now_ns, WALL_NS);
}

static void ticks(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		after(1);
		assert_int_equal(km_recorder_tick(rec, now_ns, NULL), 0);
	}
}

static const char *end(void)
{
	struct km_err err = { .code = 0 };

	km_buf_clear(&csv);
	if (km_recorder_end(rec, now_ns, &csv, &err) != 0) {
		fail_msg("%s", err.text);
	}
	return km_buf_cstr(&csv);
}

#define HEADER                                                                                     \
	"start_ns,end_ns,cpu0.busy_ns,cpu1.busy_ns,host.runnable_tasks,"                           \
	"node.a.cpu_psi_ns,node.b.cpu_psi_ns\n"

static void a_window_holds_what_was_counted_in_it_and_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(open_recorder(NULL), 0);
	assert_string_equal(km_recorder_sources(rec), "first+second");
	assert_int_equal(km_recorder_tier(rec), KM_TIER_OS);
	after(5);
	begin();
	assert_true(km_recorder_due_ns(rec) == now_ns + KM_NS_PER_S);
	ticks(2);
	assert_string_equal(end(), HEADER
	                    "1764510000000000000,1764510001000000000,1000000000,,3,,100000000\n"
	                    "1764510001000000000,1764510002000000000,1000000000,,3,,100000000\n");
	/* the seven seconds between the windows are in none */
	after(7);
	assert_true(km_recorder_due_ns(rec) == INT64_MAX);
	assert_int_equal(km_recorder_tick(rec, now_ns, NULL), 0);
	begin();
	after(0.4);
	assert_int_equal(km_recorder_tick(rec, now_ns, NULL), 0);
	after(0.2);
	assert_string_equal(end(), HEADER "1764510000000000000,1764510000600000000,600000000,,3,,"
	                                  "60000000\n");
}

static void a_late_tick_is_one_longer_sample(void **state)
{
	(void)state;
	assert_int_equal(open_recorder(NULL), 0);
	begin();
	after(3.25);
	assert_int_equal(km_recorder_tick(rec, now_ns, NULL), 0);
	/* and the next is due when it would have been */
	assert_true(km_recorder_due_ns(rec) == now_ns + 3 * KM_NS_PER_S / 4);
	after(0.4);
	assert_string_equal(end(), HEADER "1764510000000000000,1764510003250000000,3250000000,,3,,"
	                                  "325000000\n");
}

/* What a worker hands over late was counted before the window began. */
static void a_sample_from_before_the_window_is_not_of_it(void **state)
{
	(void)state;
	assert_int_equal(open_recorder(NULL), 0);
	fake[0].lag_ns = KM_NS_PER_S / 2;
	assert_true(km_recorder_ready(rec, now_ns));
	after(1);
	begin();
	ticks(2);
	assert_string_equal(end(), HEADER
	                    "1764510000000000000,1764510001000000000,,,3,,100000000\n"
	                    "1764510001000000000,1764510002000000000,1000000000,,3,,100000000\n");
}

static void a_source_that_starts_is_waited_for(void **state)
{
	(void)state;
	fake[1].state = KM_SOURCE_STARTING;
	assert_int_equal(open_recorder(NULL), 0);
	assert_false(km_recorder_ready(rec, now_ns));
	fake[1].state = 0;
	assert_true(km_recorder_ready(rec, now_ns));
}

static void a_source_that_breaks_is_opened_again_and_costs_its_counts_only(void **state)
{
	(void)state;
	assert_int_equal(open_recorder(NULL), 0);
	begin();
	ticks(1);
	fake[1].state = -EIO;
	ticks(1);
	fake[1].state = 0;
	assert_string_equal(km_recorder_trouble(rec), "second: broken for the test");
	ticks(3); /* opened again after a second, a baseline, then counts */
	assert_int_equal(fake[1].opened, 2);
	assert_string_equal(end(), HEADER
	                    "1764510000000000000,1764510001000000000,1000000000,,3,,100000000\n"
	                    "1764510001000000000,1764510002000000000,1000000000,,,,\n"
	                    "1764510002000000000,1764510003000000000,1000000000,,,,\n"
	                    "1764510003000000000,1764510004000000000,1000000000,,3,,100000000\n"
	                    "1764510004000000000,1764510005000000000,1000000000,,3,,100000000\n");
}

static void a_window_without_a_sample_is_an_error_that_says_why(void **state)
{
	struct km_err err = { .code = 0 };

	(void)state;
	fake[1].probe = -ENOENT;
	assert_int_equal(open_recorder(NULL), 0);
	assert_string_equal(km_recorder_sources(rec), "first");
	assert_int_equal(km_recorder_end(rec, now_ns, &csv, &err), -ENODATA);
	assert_non_null(strstr(err.text, "no window"));
	fake[0].state = -EIO;
	begin();
	ticks(2);
	assert_int_equal(km_recorder_end(rec, now_ns, &csv, &err), -ENODATA);
	assert_non_null(strstr(err.text, "not one sample in 2.0 s: first: broken for the test"));
	assert_int_equal(csv.len, 0);
}

static void what_cannot_work_is_refused_when_opened(void **state)
{
	static struct km_source_settings list[2] = { { .kind = "second" }, { .kind = "first" } };
	static struct km_source_settings bad[] = { { .kind = "replay" } };
	struct km_err err = { .code = 0 };

	(void)state;
	fake[0].probe = -EACCES;
	fake[1].probe = -ENOENT;
	assert_int_equal(open_recorder(&err), -ENOENT);
	assert_non_null(strstr(err.text, "no source works here: this fake is not here"));
	fake[1].probe = 0;
	collect.auto_sources = false;
	collect.source = list;
	collect.source_count = 2;
	assert_int_equal(open_recorder(&err), -EACCES);
	assert_string_equal(err.text, "source first: this fake is not here");
	collect.source = bad;
	collect.source_count = 1;
	assert_int_equal(open_recorder(&err), -ENOTSUP);
	assert_string_equal(err.text, "recorder: source replay, want one that is live here");
	/* in the order of the list */
	fake[0].probe = 0;
	collect.source = list;
	collect.source_count = 2;
	assert_int_equal(open_recorder(&err), 0);
	assert_string_equal(km_recorder_sources(rec), "second+first");
}

#define RECORDER_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RECORDER_TEST(a_window_holds_what_was_counted_in_it_and_nothing_else),
		RECORDER_TEST(a_late_tick_is_one_longer_sample),
		RECORDER_TEST(a_sample_from_before_the_window_is_not_of_it),
		RECORDER_TEST(a_source_that_starts_is_waited_for),
		RECORDER_TEST(a_source_that_breaks_is_opened_again_and_costs_its_counts_only),
		RECORDER_TEST(a_window_without_a_sample_is_an_error_that_says_why),
		RECORDER_TEST(what_cannot_work_is_refused_when_opened),
	};

	return cmocka_run_group_tests_name("rig_recorder", tests, NULL, NULL);
}
