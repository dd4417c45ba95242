/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim: the corun world on a file that is made up, where it is known who hurts whom. Short programs
 * are hurt by long ones on half of the platforms; on the others nothing depends on anything.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/base/rng.h"

#include "sim/corun_internal.h"

#define PLATFORMS 12
#define WORKLOADS 20

static char path[] = "/tmp/km-sim-XXXXXX";

static double alone_of(unsigned platform, unsigned workload)
{
	return exp(0.4 * (double)workload - 6 + 0.1 * (double)platform);
}

static double slowdown_of(unsigned platform, unsigned a, unsigned b)
{
	double turns = platform % 2 == 0 ? 0.4 : 0;
	/* the neighbour's pressure, and who waits for whom */
	return exp(0.3 + 0.004 * (double)b + turns * tanh(0.2 * ((double)a - (double)b)));
}

/* Each workload beside three others on each platform, both ways. */
static int write_file(void **state)
{
	struct km_rng rng;
	FILE *f;
	int fd = mkstemp(path);

	(void)state;
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (f == NULL)
		return -1;
	km_rng_init(&rng, 1);
	(void)fputs("platform,workload,neighbour,alone_ms,with_neighbour_ms\n", f);
	for (unsigned p = 0; p < PLATFORMS; p++) {
		for (unsigned a = 0; a < WORKLOADS; a++) {
			for (unsigned k = 1; k <= 3; k++) {
				unsigned b = (a + k * (3 + p % 4)) % WORKLOADS;

				(void)fprintf(f, "p%u,w%u,w%u,%.9g,%.9g\n", p, a, b, alone_of(p, a),
				              alone_of(p, a) * slowdown_of(p, a, b) *
				                      exp(0.01 * km_rng_normal(&rng)));
				(void)fprintf(f, "p%u,w%u,w%u,%.9g,%.9g\n", p, b, a, alone_of(p, b),
				              alone_of(p, b) * slowdown_of(p, b, a) *
				                      exp(0.01 * km_rng_normal(&rng)));
			}
		}
	}
	return fclose(f);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static const struct km_sim_setting *find(const struct km_sim_report *r, const char *name)
{
	for (size_t i = 0; i < r->setting_count; i++) {
		if (strcmp(r->setting[i].name, name) == 0)
			return &r->setting[i];
	}
	fail_msg("no setting %s", name);
	return NULL;
}

static double closed(const struct km_sim_setting *s, enum km_sim_arm a)
{
	assert_true(s->arm[a].there);
	return s->arm[a].metric[KM_SIM_CLOSED].value;
}

static const struct km_sim_options options = { .corun = path,
	                                       .seeds = 2,
	                                       .first_seed = 1,
	                                       .score_scale = 100,
	                                       .max_slowdown = 2,
	                                       .nodes = 2 };

static void ours_finds_what_is_there_and_nothing_else(void **state)
{
	struct km_sim_report r;
	const struct km_sim_setting *pairs;
	const struct km_sim_setting *nothing;
	struct km_err err = { .code = 0 };

	(void)state;
	if (km_sim_run(&options, &r, &err) != 0)
		fail_msg("%s", err.text);
	pairs = find(&r, "corun-pairs");
	assert_true(pairs->decisions > 300);
	assert_int_equal(pairs->clusters, WORKLOADS);
	if (!(closed(pairs, KM_SIM_OURS) > 0.6))
		fail_msg("closed %.3f", closed(pairs, KM_SIM_OURS));
	assert_true(closed(find(&r, "corun-workloads"), KM_SIM_OURS) > 0.5);
	/* who looks at the newcomer alone leaves the incumbents worse off */
	assert_true(pairs->arm[KM_SIM_OURS].metric[KM_SIM_OTHERS].value <
	            pairs->arm[KM_SIM_ONE_SIDED_ORACLE].metric[KM_SIM_OTHERS].value);
	assert_true(closed(pairs, KM_SIM_OURS) > closed(pairs, KM_SIM_NO_HARM));
	nothing = find(&r, "corun-null");
	assert_true(nothing->null_check);
	if (!(fabs(closed(nothing, KM_SIM_OURS)) < 0.25))
		fail_msg("closed %.3f with permuted labels", closed(nothing, KM_SIM_OURS));
	assert_false(pairs->arm[KM_SIM_THESIS].there); /* there are no counters */
	km_sim_report_fini(&r);
}

static void the_same_seeds_give_the_same_report(void **state)
{
	struct km_sim_report r;
	struct km_buf text[2];
	struct km_err err = { .code = 0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		km_buf_init(&text[i]);
		assert_int_equal(km_sim_run(&options, &r, &err), 0);
		r.seconds = 0;
		km_sim_report_json(&r, &text[i]);
		km_sim_report_fini(&r);
	}
	assert_int_equal(text[0].len, text[1].len);
	assert_memory_equal(text[0].data, text[1].data, text[0].len);
	km_buf_fini(&text[0]);
	km_buf_fini(&text[1]);
}

/* The file as its own teacher: all its pairs are judged, so nothing may be learned from it. */
static void pairs_that_are_judged_teach_nothing(void **state)
{
	struct km_sim_options o = options;
	struct km_sim_report r;
	struct km_err err = { .code = 0 };

	(void)state;
	o.learn = path;
	o.seeds = 1;
	if (km_sim_run(&o, &r, &err) != 0)
		fail_msg("%s", err.text);
	if (!(fabs(closed(find(&r, "corun-unseen"), KM_SIM_ADDITIVE)) < 0.15))
		fail_msg("closed %.3f", closed(find(&r, "corun-unseen"), KM_SIM_ADDITIVE));
	km_sim_report_fini(&r);
}

static void namesakes_are_told_by_their_times_alone(void **state)
{
	static const char *const text[2] = {
		"platform,workload,neighbour,alone_ms,with_neighbour_ms\n"
		"p,a,b,1,2\nq,a,b,2,3\np,b,a,5,6\nq,b,a,5,6\np,c,a,1,2\n",
		"platform,workload,neighbour,alone_ms,with_neighbour_ms\n"
		"q,b,x,9,10\np,b,x,9,10\np,a,b,1,9\nq,a,b,2,9\np,x,a,1,2\n",
	};
	struct km_corun *c[2] = { NULL, NULL };
	bool other[3] = { false, false, false };

	(void)state;
	for (int i = 0; i < 2; i++) {
		char name[] = "/tmp/km-sim-two-XXXXXX";
		int fd = mkstemp(name);

		assert_true(fd >= 0);
		assert_int_equal(write(fd, text[i], strlen(text[i])), (ssize_t)strlen(text[i]));
		assert_int_equal(close(fd), 0);
		assert_int_equal(km_corun_open(name, &c[i], NULL), 0);
		assert_int_equal(unlink(name), 0);
	}
	corun_find_others(c[0], c[1], other);
	/* ids of the second file: b, x, a */
	assert_true(other[0]);
	assert_false(other[1]);
	assert_false(other[2]);
	km_corun_free(c[0]);
	km_corun_free(c[1]);
}

static void an_oracle_with_noise_closes_less_the_more_of_it(void **state)
{
	struct km_corun *c = NULL;
	struct corun_choice choice[64];
	const struct km_corun_row *row;
	size_t count;
	size_t n = 0;

	(void)state;
	assert_int_equal(km_corun_open(path, &c, NULL), 0);
	row = km_corun_rows(c, &count);
	for (size_t i = 0; i + 1 < count && n < 64; i++) {
		if (row[i].platform == row[i + 1].platform &&
		    row[i].workload == row[i + 1].workload && row[i].mirror != KM_CORUN_NONE &&
		    row[i + 1].mirror != KM_CORUN_NONE)
			choice[n++] = (struct corun_choice){ { (uint32_t)i, (uint32_t)i + 1 } };
	}
	assert_int_equal(n, 64);
	assert_true(corun_second_oracle(row, choice, n, 0, 1) == 1);
	assert_true(corun_second_oracle(row, choice, n, 0.05, 1) < 1);
	assert_true(corun_second_oracle(row, choice, n, 1, 1) <
	            corun_second_oracle(row, choice, n, 0.05, 1));
	km_corun_free(c);
}

static void bad_files_are_refused(void **state)
{
	struct km_sim_options o = options;
	struct km_sim_report r;
	struct km_err err = { .code = 0 };

	(void)state;
	o.corun = "/nowhere/coruns.csv";
	assert_int_equal(km_sim_run(&o, &r, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nowhere/coruns.csv"));
	o = options;
	o.learn = "/nowhere/learn.csv";
	assert_int_equal(km_sim_run(&o, &r, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nowhere/learn.csv"));
	o = options;
	o.seeds = 0;
	assert_int_equal(km_sim_run(&o, &r, &err), -EINVAL);
}

static void the_page_has_every_policy_even_without_a_plotter(void **state)
{
	const struct km_plotter nobody = { .program = "/nowhere/gnuplot" };
	struct km_sim_options o = options;
	struct km_sim_report r;
	struct km_err err = { .code = 0 };
	struct km_err missing = { .code = 0 };
	struct km_buf page;

	(void)state;
	o.seeds = 1;
	km_buf_init(&page);
	assert_int_equal(km_sim_run(&o, &r, &err), 0);
	assert_int_equal(km_sim_report_html(&r, &nobody, &page, &missing), 0);
	assert_int_equal(missing.code, ENOENT);
	for (int a = 0; a < KM_SIM_ARM_N; a++) {
		if (find(&r, "corun-pairs")->arm[a].there &&
		    strstr(km_buf_cstr(&page), km_sim_arm_name((enum km_sim_arm)a)) == NULL)
			fail_msg("no %s", km_sim_arm_name((enum km_sim_arm)a));
	}
	km_sim_report_fini(&r);
	km_buf_fini(&page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ours_finds_what_is_there_and_nothing_else),
		cmocka_unit_test(the_same_seeds_give_the_same_report),
		cmocka_unit_test(pairs_that_are_judged_teach_nothing),
		cmocka_unit_test(namesakes_are_told_by_their_times_alone),
		cmocka_unit_test(an_oracle_with_noise_closes_less_the_more_of_it),
		cmocka_unit_test(bad_files_are_refused),
		cmocka_unit_test(the_page_has_every_policy_even_without_a_plotter),
	};

	return cmocka_run_group_tests(tests, write_file, remove_file);
}
