/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `auto` after the start: a set that gives more is told of, once it was there twice, and only then.
 * Three fakes in the order that auto prefers: two that want the PMU, one that does not.
 */
#include <pthread.h>
#include <time.h>

#include "km/base/log.h"

#include "agent/agent_internal.h"
#include "support/agent_world.h"
#include "support/fake_source_table.h"

#define FIRST  0
#define SECOND 1
#define PLAIN  2
#define FAKES  3

static struct {
	int probe;       /* 0 or negative errno */
	int state;       /* of reads */
	unsigned probes; /* under the lock: the lookout counts them on its thread */
} fake[FAKES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t probed = PTHREAD_COND_INITIALIZER;

static unsigned probes_of(unsigned i)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = fake[i].probes;
	pthread_mutex_unlock(&lock);
	return n;
}

static int fake_probe(unsigned i, struct km_source_offer *out, struct km_err *err)
{
	pthread_mutex_lock(&lock);
	fake[i].probes++;
	pthread_cond_broadcast(&probed);
	pthread_mutex_unlock(&lock);
	if (fake[i].probe != 0) {
		return km_err_set(err, -fake[i].probe, "no such luck");
	}
	out->owns_pmu = i != PLAIN;
	out->cpu = i != PLAIN ? 1U << KM_COUNT_CYCLES | 1U << KM_COUNT_INSTRUCTIONS
	                      : 1U << KM_COUNT_BUSY_NS;
	return 0;
}

static int probe_first(const struct km_source_args *a, struct km_source_offer *o, struct km_err *e)
{
	(void)a;
	return fake_probe(FIRST, o, e);
}

static int probe_second(const struct km_source_args *a, struct km_source_offer *o, struct km_err *e)
{
	(void)a;
	return fake_probe(SECOND, o, e);
}

static int probe_plain(const struct km_source_args *a, struct km_source_offer *o, struct km_err *e)
{
	(void)a;
	return fake_probe(PLAIN, o, e);
}

static int fake_open(const struct km_source_args *args, struct km_source **out, struct km_err *err)
{
	(void)args;
	(void)err;
	*out = calloc(1, sizeof(**out));
	assert_non_null(*out);
	return 0;
}

static int fake_read(struct km_source *s, int64_t now_ns, km_sample_fn *emit, void *ctx,
                     struct km_err *err)
{
	int state = 0;

	(void)now_ns;
	(void)emit;
	(void)ctx;
	for (unsigned i = 0; i < FAKES; i++) {
		state = s->ops == fake_source_table[i] ? fake[i].state : state;
	}
	return state < 0 ? km_err_set(err, -state, "it broke") : state;
}

static void fake_close(struct km_source *s)
{
	free(s);
}

static void fake_stats(const struct km_source *s, struct km_source_stats *out)
{
	(void)s;
	memset(out, 0, sizeof(*out));
}

#define ROW(name_, probe_)                                                                         \
	{                                                                                          \
		name_, "", true, probe_, fake_open, fake_read, fake_close, fake_stats              \
	}
static const struct km_source_ops first = ROW("first", probe_first);
static const struct km_source_ops second = ROW("second", probe_second);
static const struct km_source_ops plain = ROW("plain", probe_plain);
const struct km_source_ops *const fake_source_table[] = { &first, &second, &plain, NULL };

/* An agent whose set was taken when only these worked, after its first tick. */
static void start(struct world *w, int first_probe, int second_probe)
{
	memset(fake, 0, sizeof(fake));
	fake[FIRST].probe = first_probe;
	fake[SECOND].probe = second_probe;
	world_init(w);
	add_node(w, "a", NULL);
	w->settings.collect.auto_sources = true;
	create(w);
	tick_after(w, 1);
}

static bool two_looks(struct world *w)
{
	agent_look(w->agent);
	assert_false(km_agent_outdated(w->agent)); /* once may be chance */
	agent_look(w->agent);
	return km_agent_outdated(w->agent);
}

static void a_source_that_works_by_now_is_found(void **state)
{
	struct world w;

	(void)state;
	start(&w, -ENOENT, -EACCES);
	assert_false(two_looks(&w));
	fake[SECOND].probe = 0;
	agent_look(w.agent);
	fake[SECOND].probe = -EACCES; /* gone again */
	agent_look(w.agent);
	fake[SECOND].probe = 0;
	assert_true(two_looks(&w));
	assert_false(km_agent_outdated(w.agent)); /* it is said once */
	assert_int_equal(probes_of(PLAIN), 1);    /* what works is not asked */
	world_fini(&w);
}

/* As at a start: who comes first in the table has the PMU. */
static void the_pmu_goes_to_whom_a_start_would_give_it(void **state)
{
	struct world w;

	(void)state;
	start(&w, -ENOENT, 0);
	fake[FIRST].probe = 0;
	assert_true(two_looks(&w));
	world_fini(&w);
	start(&w, 0, -ENOENT);
	fake[SECOND].probe = 0;
	assert_false(two_looks(&w));
	world_fini(&w);
}

static void what_takes_the_place_of_a_broken_source_is_found(void **state)
{
	struct world w;

	(void)state;
	start(&w, 0, 0); /* the second is not taken */
	assert_false(two_looks(&w));
	fake[FIRST].state = -EIO;
	tick_after(&w, 1);
	assert_false(two_looks(&w)); /* the probe still finds it: it is tried again */
	fake[FIRST].probe = -EIO;
	assert_true(two_looks(&w));
	world_fini(&w);
}

static void the_thread_looks_and_ends_when_told(void **state)
{
	struct world w;
	struct km_err err = { .code = 0 };
	struct timespec deadline;
	int ret = 0;

	(void)state;
	start(&w, -ENOENT, -ENOENT);
	fake[FIRST].probe = 0;
	w.settings.collect.probe_interval_ns = KM_NS_PER_MS;
	assert_int_equal(km_agent_start(w.agent, &err), 0);
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &deadline), 0);
	deadline.tv_sec += 20;
	pthread_mutex_lock(&lock);
	while (fake[FIRST].probes < 4 && ret == 0) { /* the start, two looks, and one behind them */
		ret = pthread_cond_timedwait(&probed, &lock, &deadline);
	}
	pthread_mutex_unlock(&lock);
	assert_int_equal(ret, 0);
	assert_true(km_agent_outdated(w.agent));
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_source_that_works_by_now_is_found),
		cmocka_unit_test(the_pmu_goes_to_whom_a_start_would_give_it),
		cmocka_unit_test(what_takes_the_place_of_a_broken_source_is_found),
		cmocka_unit_test(the_thread_looks_and_ends_when_told),
	};

	km_log_set_level(KM_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
