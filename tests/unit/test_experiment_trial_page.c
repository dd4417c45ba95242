/* SPDX-License-Identifier: Apache-2.0 */
/* experiment: the page of a trial is whole, hides nothing, and needs nobody's good behaviour. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/experiment/trial_report.h"

#include "support/trial_world.h"
#include "support/xml.h"

#define HOSTILE "</td><script>alert('1')</script> & \"'`id`' \\n \x01\xff]]>"

static const struct km_plotter absent = { .program = "tests/support/fake_gnuplot/is-not-there" };

static const char *dir; /* NULL = no folder */

static void page_of(const struct km_plays *p, const struct km_trial_setup *setup,
                    const struct km_plotter *plotter, struct km_buf *out, struct km_err *missing)
{
	struct km_trial_result r;
	struct km_err err = { .code = 0 };
	const char *trouble;

	if (km_trial_summarise(p, &r, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(km_trial_result_html(&r, setup, dir, "kubemarla-lab report DIR", plotter,
	                                      out, missing),
	                 0);
	trouble = xml_trouble(km_buf_cstr(out), out->len);
	if (trouble != NULL)
		fail_msg("%s", trouble);
	km_trial_result_fini(&r);
}

static void want(struct km_buf *page, const char *part)
{
	if (strstr(km_buf_cstr(page), part) == NULL)
		fail_msg("no \"%s\" in the page", part);
}

static void the_page_hides_nothing(void **state)
{
	struct km_err missing = { .code = 0 };
	struct km_trial_setup setup;
	struct km_trial_record again;
	struct km_plays p;
	struct km_buf out;

	(void)state;
	world_fill(&p, 6, 0.2);
	again = p.play[3];
	again.discarded = true;
	(void)snprintf(again.gate, sizeof(again.gate), "foreign CPUs: saw 0.77");
	p.gated = &again;
	p.gated_count = 1;
	(void)snprintf(p.play[4].gate, sizeof(p.play[4].gate), "foreign CPUs: saw 0.55");
	p.play[5].saturated = true;
	p.play[6].load.errors = 3;
	p.play[7].served_difference = 0.5;
	p.play[2].neutral = 1;
	(void)snprintf(p.play[2].trouble, sizeof(p.play[2].trouble), "status 503");
	p.play[2].node[0].slowdown = 4.25;
	p.play[2].node[0].score = 17;
	km_trial_setup_init(&setup);
	(void)snprintf(setup.name, sizeof(setup.name), "os-nginx");
	km_buf_init(&out);
	page_of(&p, &setup, &absent, &out, &missing);
	assert_int_equal(missing.code, ENOENT);
	want(&out, "Trial: os-nginx");
	want(&out, "foreign CPUs: saw 0.77");
	want(&out, "played again");
	want(&out, "foreign CPUs: saw 0.55");
	want(&out, "busy CPUs");
	want(&out, "failed requests");
	want(&out, "counts differ");
	want(&out, "no prediction");
	want(&out, "status 503");
	want(&out, "predicted 4.25");
	want(&out, "score 17");
	want(&out, "1 plays were played again, 1 are kept");
	want(&out, "not recorded");
	want(&out, "kubemarla-lab report DIR");
	want(&out, "no difference shown");
	assert_int_equal(xml_count(km_buf_cstr(&out), "tr"), 1 + 3 + 1 + 2 + 1 + 3 + 1 + 84 + 2);
	p.gated = NULL;
	p.gated_count = 0;
	km_buf_fini(&out);
	km_plays_fini(&p);
}

static void whatever_the_texts_are(void **state)
{
	struct km_err missing = { .code = 0 };
	struct km_trial_setup setup;
	struct km_plays p;
	struct km_buf out;

	(void)state;
	world_fill(&p, 5, 0.2);
	for (size_t i = 0; i < p.count; i++) {
		(void)snprintf(p.play[i].node[0].name, KM_TRIAL_NAME_MAX, HOSTILE);
		(void)snprintf(p.play[i].gate, sizeof(p.play[i].gate), HOSTILE);
		(void)snprintf(p.play[i].trouble, sizeof(p.play[i].trouble), HOSTILE);
	}
	km_trial_setup_init(&setup);
	(void)snprintf(setup.name, sizeof(setup.name), HOSTILE);
	(void)snprintf(setup.model, sizeof(setup.model), HOSTILE);
	km_buf_init(&out);
	page_of(&p, &setup, &absent, &out, &missing);
	assert_int_equal(xml_count(km_buf_cstr(&out), "script"), 0);
	km_buf_fini(&out);
	km_plays_fini(&p);
}

static void one_play_is_a_page_too(void **state)
{
	struct km_err missing = { .code = 0 };
	struct km_trial_setup setup;
	struct km_plays p;
	struct km_buf out;

	(void)state;
	km_plays_init(&p);
	world_add(&p, world_play(1, 0, KM_TRIAL_ALONE, 0, 0, 0.4));
	km_trial_setup_init(&setup);
	km_buf_init(&out);
	page_of(&p, &setup, &absent, &out, &missing);
	want(&out, "Nothing was played again.");
	km_buf_clear(&out);
	world_add(&p, world_play(1, 1, "random", 0, 0, 4));
	world_add(&p, world_play(1, 1, "kubemarla", 0, 1, 0.4));
	page_of(&p, &setup, &absent, &out, &missing);
	want(&out, "too few repeats");
	km_buf_fini(&out);
	km_plays_fini(&p);
}

static void the_models_own_figures_are_there(void **state)
{
	static const char card[] =
		"{\"loaded\":true,\"name\":\"os-<nginx>\",\"metrics\":{\"mae\":0.125},"
		"\"features\":[{\"name\":\"node.ipc.mean\"}]}";
	char folder[] = "/tmp/km-page-XXXXXX";
	struct km_trial_setup setup;
	struct km_buf out;
	struct km_plays p;
	char path[64];

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/trial", folder);
	assert_int_equal(mkdir(path, 0777), 0);
	(void)snprintf(path, sizeof(path), "%s/trial/model.json", folder);
	assert_int_equal(km_file_write_atomic(path, card, strlen(card), NULL), 0);
	world_fill(&p, 5, 0.2);
	km_trial_setup_init(&setup);
	km_buf_init(&out);
	dir = folder;
	page_of(&p, &setup, &absent, &out, NULL);
	dir = NULL;
	want(&out, "os-&lt;nginx&gt;");
	want(&out, "metrics.mae");
	assert_null(strstr(km_buf_cstr(&out), "node.ipc.mean"));
	km_buf_fini(&out);
	km_plays_fini(&p);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/trial", folder);
	(void)rmdir(path);
	(void)rmdir(folder);
}

static void with_gnuplot_every_plot_is_there(void **state)
{
	struct km_err missing = { .code = 0 };
	struct km_trial_setup setup;
	struct km_plays p;
	struct km_buf out;

	(void)state;
	world_fill(&p, 6, 0.2);
	for (size_t i = 0; i < p.count; i++)
		p.play[i].node[0].slowdown = 1.5;
	km_trial_setup_init(&setup);
	km_buf_init(&out);
	page_of(&p, &setup, NULL, &out, &missing);
	if (missing.code == ENOENT)
		skip(); /* no gnuplot here */
	assert_int_equal(missing.code, 0);
	assert_int_equal(xml_count(km_buf_cstr(&out), "svg"), 3);
	km_buf_fini(&out);
	km_plays_fini(&p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_hides_nothing),
		cmocka_unit_test(whatever_the_texts_are),
		cmocka_unit_test(one_play_is_a_page_too),
		cmocka_unit_test(the_models_own_figures_are_there),
		cmocka_unit_test(with_gnuplot_every_plot_is_there),
	};

	return cmocka_run_group_tests_name("experiment_trial_page", tests, NULL, NULL);
}
