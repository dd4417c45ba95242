/* SPDX-License-Identifier: Apache-2.0 */
/* decide: learned effects outlive the process, whatever became of their file meanwhile. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "km/base/file.h"
#include "km/decide/effects_file.h"

#include "support/decide_world.h"

#define WEB  1
#define LOUD 2
#define HERE 3

struct file_world {
	struct world w;
	struct km_effects_file *file;
	char dir[64];
	char path[96];
	char aside[112];
};

static void open_file(struct file_world *f)
{
	assert_int_equal(km_effects_file_open(f->path, f->w.decide, &f->w.clock, f->w.metrics,
	                                      &f->file, NULL),
	                 0);
}

static void start(struct file_world *f)
{
	world_init_ready(&f->w);
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/km-effects.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->path, sizeof(f->path), "%s/effects", f->dir);
	(void)snprintf(f->aside, sizeof(f->aside), "%s.bad", f->path);
	open_file(f);
}

static void stop(struct file_world *f)
{
	km_effects_file_close(f->file);
	world_fini(&f->w);
	(void)unlink(f->path);
	(void)unlink(f->aside);
	(void)rmdir(f->path);
	assert_int_equal(rmdir(f->dir), 0); /* nothing else was left there */
}

static int learn(struct file_world *f, double log_slowdown)
{
	return km_decide_observe_effect(f->w.decide, HERE, WEB, LOUD, log_slowdown, 1);
}

/* What is in the file; count 0: there is none, or nothing in it. */
static struct km_effect kept(const struct file_world *f)
{
	struct km_effect out = { .count = 0 };
	struct km_effects *e = NULL;
	struct km_buf buf;

	km_buf_init(&buf);
	if (km_file_read(f->path, 1 << 20, &buf, NULL) == 0 &&
	    km_effects_read(buf.data, buf.len, &e, NULL) == 0)
		km_effects_predict(e, HERE, WEB, LOUD, &out);
	km_effects_free(e);
	km_buf_fini(&buf);
	return out;
}

static double metric(struct file_world *f, const char *line)
{
	struct km_buf page;
	double value = NAN;
	const char *at;

	km_buf_init(&page);
	assert_int_equal(km_metrics_expose(f->w.metrics, &page), 0);
	at = strstr(km_buf_cstr(&page), line);
	if (at != NULL)
		value = strtod(at + strlen(line), NULL);
	km_buf_fini(&page);
	return value;
}

#define SAVES(result) "\nkubemarla_effects_saves_total{result=\"" result "\"} "

static void pass_time(struct file_world *f, int64_t ns)
{
	f->w.now_ns += ns;
	km_effects_file_tick(f->file);
}

static void what_was_learned_is_there_after_a_restart(void **state)
{
	struct km_effect before;
	struct file_world f;

	(void)state;
	start(&f);
	for (int i = 0; i < 20; i++)
		assert_int_equal(learn(&f, 0.7), 0);
	km_effects_file_close(f.file);
	before = kept(&f);
	assert_true(before.count == 20 && before.log_slowdown > 0.3);
	assert_int_equal(learn(&f, 0.7), -ENOENT); /* detached */
	open_file(&f);
	assert_int_equal(learn(&f, 0.7), 0);
	km_effects_file_close(f.file);
	f.file = NULL;
	assert_true(kept(&f).count == 21); /* it went on from where it was */
	stop(&f);
}

static void it_is_written_now_and_then_when_there_is_news(void **state)
{
	struct stat first;
	struct stat then;
	struct file_world f;

	(void)state;
	start(&f);
	pass_time(&f, 2 * KM_EFFECTS_SAVE_NS);
	assert_int_not_equal(access(f.path, F_OK), 0); /* nothing to write */
	assert_int_equal(learn(&f, 0.7), 0);
	pass_time(&f, KM_EFFECTS_SAVE_NS - 1);
	assert_int_not_equal(access(f.path, F_OK), 0);
	pass_time(&f, 1);
	assert_true(kept(&f).count == 1);
	assert_int_equal(stat(f.path, &first), 0);
	assert_true(metric(&f, "\nkubemarla_effects_file_bytes ") == (double)first.st_size);
	pass_time(&f, KM_EFFECTS_SAVE_NS);
	assert_true(metric(&f, SAVES("written")) == 1);
	assert_int_equal(learn(&f, NAN), -EINVAL); /* no news */
	pass_time(&f, KM_EFFECTS_SAVE_NS);
	assert_true(metric(&f, SAVES("written")) == 1);
	assert_int_equal(learn(&f, 0.1), 0);
	pass_time(&f, KM_EFFECTS_SAVE_NS);
	assert_true(kept(&f).count == 2);
	assert_int_equal(stat(f.path, &then), 0);
	assert_true(then.st_ino != first.st_ino); /* another file in its place, not written over */
	assert_true(metric(&f, SAVES("written")) == 2);
	assert_true(metric(&f, "\nkubemarla_effects_observations_total{result=\"learned\"} ") == 2);
	assert_true(metric(&f, "\nkubemarla_effects_observations_total{result=\"dropped\"} ") == 1);
	stop(&f);
}

static void a_damaged_file_is_set_aside(void **state)
{
	struct km_buf bytes;
	struct file_world f;

	(void)state;
	start(&f);
	assert_int_equal(learn(&f, 0.7), 0);
	km_effects_file_close(f.file);
	km_buf_init(&bytes);
	assert_int_equal(km_file_read(f.path, 1 << 20, &bytes, NULL), 0);
	bytes.data[bytes.len / 2] ^= 1;
	assert_int_equal(km_file_write_atomic(f.path, bytes.data, bytes.len, NULL), 0);
	open_file(&f);
	assert_int_not_equal(access(f.path, F_OK), 0);
	assert_int_equal(access(f.aside, F_OK), 0);
	assert_int_equal(learn(&f, 0.2), 0);
	km_effects_file_close(f.file);
	assert_true(kept(&f).count == 1); /* from nothing */
	/* cut, and another time: the last damaged one is kept */
	assert_int_equal(km_file_write_atomic(f.path, bytes.data, bytes.len / 3, NULL), 0);
	open_file(&f);
	assert_int_not_equal(access(f.path, F_OK), 0);
	km_buf_fini(&bytes);
	stop(&f);
}

static void what_cannot_be_read_is_not_written_over(void **state)
{
	struct stat st;
	struct file_world f;

	(void)state;
	start(&f);
	km_effects_file_close(f.file);
	assert_int_equal(mkdir(f.path, 0700), 0);
	open_file(&f);
	assert_int_equal(learn(&f, 0.7), 0); /* learns all the same */
	pass_time(&f, KM_EFFECTS_SAVE_NS);
	assert_int_equal(stat(f.path, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_true(metric(&f, SAVES("written")) == 0 && metric(&f, SAVES("failed")) == 0);
	stop(&f);
}

static void a_failed_save_is_counted_and_tried_again(void **state)
{
	struct file_world f;

	(void)state;
	start(&f);
	assert_int_equal(learn(&f, 0.7), 0);
	assert_int_equal(rmdir(f.dir), 0);
	pass_time(&f, KM_EFFECTS_SAVE_NS);
	assert_true(metric(&f, SAVES("failed")) == 1);
	assert_int_equal(mkdir(f.dir, 0700), 0);
	pass_time(&f, KM_EFFECTS_SAVE_NS);
	assert_true(metric(&f, SAVES("written")) == 1);
	assert_true(kept(&f).count == 1);
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_learned_is_there_after_a_restart),
		cmocka_unit_test(it_is_written_now_and_then_when_there_is_news),
		cmocka_unit_test(a_damaged_file_is_set_aside),
		cmocka_unit_test(what_cannot_be_read_is_not_written_over),
		cmocka_unit_test(a_failed_save_is_counted_and_tried_again),
	};

	return cmocka_run_group_tests_name("learned effects and their file", tests, NULL, NULL);
}
