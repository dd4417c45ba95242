/* SPDX-License-Identifier: Apache-2.0 */
/* sim: which campaigns are judged together in the nginx world, and what its tables take in. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"

#include "sim/nginx_internal.h"
#include "support/dataset_world.h"

#define CAMPAIGNS 4

/* Views of campaigns 0 and 1; runs of 1 and 2 under load 0, of 2 alone under load 1. */
static struct nginx_view views[] = { { 0, 0 }, { 0, 1 } };
static struct nginx_run runs[] = {
	{ 1, 0, 1.0F, 1.0F }, { 2, 0, 2.0F, 2.0F }, { 2, 0, 2.5F, 2.5F }, { 2, 1, 3.0F, 3.0F }
};
static struct nginx_state state_of_all = { .view = views,
	                                   .view_count = KM_ARRAY_LEN(views),
	                                   .run = runs,
	                                   .run_count = KM_ARRAY_LEN(runs) };

static void campaigns_are_counted_once_each(void **state)
{
	(void)state;
	assert_int_equal(nginx_campaigns(&state_of_all, 0), 2);
	assert_int_equal(nginx_campaigns(&state_of_all, 1), 1);
	assert_int_equal(nginx_campaigns(&state_of_all, 2), 0);
}

static void a_pair_has_a_view_of_one_and_a_run_of_the_other(void **state)
{
	struct nginx_tables t = { .campaigns = CAMPAIGNS };
	struct nginx_fold fold[NGINX_FOLDS] = { 0 };
	uint32_t count;

	(void)state;
	t.state[NGINX_LOCAL] = &state_of_all;
	t.state_count[NGINX_LOCAL] = 1;
	count = nginx_pair(&t, fold);
	/* 0-1: seen 0, run 1. 0-2: seen 0, run 2. 1-2: seen 1, run 2. Nobody saw 2, or ran 0. */
	assert_int_equal(count, 3);
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t *c = fold[i].campaign;

		assert_true(c[0] < c[1] && c[1] <= 2);
		for (uint32_t k = 0; k < i; k++)
			assert_false(c[0] == fold[k].campaign[0] && c[1] == fold[k].campaign[1]);
	}
	/* two runs of campaign 2 can be played, so it comes first */
	assert_int_equal(fold[0].campaign[1], 2);
}

static void without_a_view_and_a_run_there_is_no_pair(void **state)
{
	struct nginx_tables t = { .campaigns = CAMPAIGNS };
	struct nginx_fold fold[NGINX_FOLDS];
	/* each has its own mix: nobody else's run tells an oracle anything */
	struct nginx_state lonely = state_of_all;

	(void)state;
	assert_int_equal(nginx_pair(&t, fold), 0);
	lonely.run_count = 1;
	t.state[NGINX_REMOTE] = &lonely;
	t.state_count[NGINX_REMOTE] = 1;
	assert_int_equal(nginx_pair(&t, fold), 0);
}

/* Every view is of the state's own mix, and no state mixes local with remote interference. */
static void tables_keep_situations_apart(void **state)
{
	static const char *const features[] = { "node.c0_ratio.mean", "pod.rps", "pod.replicas" };
	struct dataset_world w;
	struct nginx_tables t;
	struct km_dataset *d;
	const struct km_dataset_row *row;
	struct km_err err = { .code = 0 };
	size_t count;

	(void)state;
	dataset_world_init(&w);
	dataset_world_plan(&w, 4);
	dataset_world_write(&w);
	d = dataset_world_open(&w, true, features, KM_ARRAY_LEN(features));
	row = km_dataset_rows(d, &count);
	assert_int_equal(nginx_tables_init(&t, d, &err), 0);
	for (int p = 0; p < NGINX_PLACES; p++) {
		assert_true(t.state_count[p] > 1);
		for (size_t i = 0; i < t.state_count[p]; i++) {
			const struct nginx_state *s = &t.state[p][i];

			assert_true(s->view_count > 0 && s->run_count > 0);
			for (size_t k = 0; k < s->view_count; k++) {
				const struct km_dataset_row *r = &row[s->view[k].row];

				assert_int_equal(r->before_scenario, s->scenario);
				assert_int_equal(r->before_campaign, s->view[k].campaign);
				assert_true(r->norm_perf == 1 || r->remote == (p == NGINX_REMOTE));
			}
			for (size_t k = 0; k < s->run_count; k++)
				assert_true(s->run[k].load < t.load_count &&
				            s->run[k].campaign < t.campaigns &&
				            s->run[k].p99_ms > 0);
		}
	}
	nginx_tables_fini(&t);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(campaigns_are_counted_once_each),
		cmocka_unit_test(a_pair_has_a_view_of_one_and_a_run_of_the_other),
		cmocka_unit_test(without_a_view_and_a_run_there_is_no_pair),
		cmocka_unit_test(tables_keep_situations_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
