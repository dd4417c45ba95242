/* SPDX-License-Identifier: Apache-2.0 */
/* experiment: plays on disk count whole or not at all, and one process writes at a time. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/experiment/trial_result.h"

#include "support/trial_world.h"

struct place {
	char dir[64];
	int lock;
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	struct km_err err = { .code = 0 };

	if (p == NULL)
		return -1;
	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/km-plays-XXXXXX");
	if (mkdtemp(p->dir) == NULL)
		return -1;
	p->lock = km_plays_lock(p->dir, &err);
	*state = p;
	return p->lock >= 0 ? 0 : -1;
}

static void empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char file[400];

	while (dir != NULL && (entry = readdir(dir)) != NULL) { /* NOLINT: one thread */
		(void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		(void)unlink(file);
	}
	if (dir != NULL)
		(void)closedir(dir);
	(void)rmdir(path);
}

static int tear_down(void **state)
{
	struct place *p = *state;
	char path[128];

	(void)close(p->lock);
	(void)snprintf(path, sizeof(path), "%s/trial/gated", p->dir);
	empty(path);
	(void)snprintf(path, sizeof(path), "%s/trial", p->dir);
	empty(path);
	empty(p->dir);
	free(p);
	return 0;
}

static void add(struct km_plays *p, const char *dir, const struct km_trial_record *r)
{
	struct km_err err = { .code = 0 };

	if (km_plays_add(p, dir, r, &err) != 0)
		fail_msg("%s", err.text);
}

static void what_was_added_is_read_in_its_order(void **state)
{
	const struct place *at = *state;
	struct km_trial_record r;
	struct km_plays p;
	struct km_plays back;

	km_plays_init(&p);
	assert_true(km_plays_there(at->dir) && !km_plays_there("/tmp/km-no-such"));
	r = world_play(2, 1, "random", 0, 1, 1);
	r.order = 9;
	add(&p, at->dir, &r);
	r = world_play(2, 2, "random", 0, 1, 1);
	r.order = 2;
	add(&p, at->dir, &r);
	r = world_play(1, 0, KM_TRIAL_ALONE, 0, 1, 1);
	r.order = 30;
	add(&p, at->dir, &r);
	r = world_play(2, 1, "random", 0, 1, 5);
	r.discarded = true;
	add(&p, at->dir, &r);
	r.attempt = 2;
	add(&p, at->dir, &r);
	assert_true(p.count == 3 && p.gated_count == 2);
	assert_int_equal(km_plays_read(at->dir, &back, NULL), 0);
	assert_true(back.count == 3 && back.gated_count == 2 && back.unreadable == 0);
	assert_true(back.play[0].episode == 0 && back.play[1].order == 2 &&
	            back.play[2].order == 9);
	assert_true(back.gated[0].attempt == 1 && back.gated[1].attempt == 2);
	/* once more: the newer one stands */
	r = world_play(2, 2, "random", 0, 1, 7);
	add(&p, at->dir, &r);
	km_plays_fini(&back);
	assert_int_equal(km_plays_read(at->dir, &back, NULL), 0);
	assert_int_equal(back.count, 3);
	km_plays_fini(&back);
	km_plays_fini(&p);
}

static void plays_are_found_by_who_and_when(void **state)
{
	const struct km_play play = { .repeat = 1, .episode = 2, .arm = KM_PLAN_ARM_RANDOM };
	const struct km_play alone = { .repeat = 1, .node = 1 };
	struct km_plays p;

	(void)state;
	km_plays_init(&p);
	world_add(&p, world_play(1, 0, KM_TRIAL_ALONE, 0, 0, 1));
	world_add(&p, world_play(1, 2, "spread", 0, 0, 1));
	world_add(&p, world_play(2, 2, "random", 0, 0, 1));
	assert_null(km_plays_find(&p, &play, "node-a"));
	assert_null(km_plays_find(&p, &alone, "node-b"));
	world_add(&p, world_play(1, 2, "random", 0, 0, 1));
	world_add(&p, world_play(1, 0, KM_TRIAL_ALONE, 0, 1, 1));
	assert_ptr_equal(km_plays_find(&p, &play, "node-a"), &p.play[3]);
	assert_ptr_equal(km_plays_find(&p, &alone, "node-b"), &p.play[4]);
	km_plays_fini(&p);
}

static void put(const char *dir, const char *name, const char *text)
{
	struct km_buf content;

	km_buf_init(&content);
	km_buf_str(&content, text);
	assert_int_equal(km_plays_put(dir, name, &content, NULL), 0);
	km_buf_fini(&content);
}

/* Cut short by a crash of the machine, or somebody's else: said, and the others still count. */
static void what_is_no_record_does_not_count(void **state)
{
	const struct place *at = *state;
	struct km_trial_record r = world_play(1, 1, "random", 0, 1, 1);
	struct km_plays p;
	struct km_plays back;

	km_plays_init(&p);
	add(&p, at->dir, &r);
	put(at->dir, "r1__e2__random.json", "{\"repeat\":1,");
	put(at->dir, "r1__e3__random.json", "");
	put(at->dir, "result.json", "{}");
	put(at->dir, "notes.txt", "r1__");
	put(at->dir, "r1__e4__random.json.tmp", "{}");
	assert_int_equal(km_plays_read(at->dir, &back, NULL), 0);
	assert_true(back.count == 1 && back.unreadable == 2);
	assert_non_null(strstr(back.why.text, "r1__e2__random.json: no JSON object"));
	km_plays_fini(&back);
	km_plays_fini(&p);
}

static void one_trial_at_a_time(void **state)
{
	struct place *at = *state;
	struct km_err err = { .code = 0 };

	assert_int_equal(km_plays_lock(at->dir, &err), -EBUSY);
	assert_non_null(strstr(err.text, "another trial runs there"));
	(void)close(at->lock);
	at->lock = km_plays_lock(at->dir, &err);
	assert_true(at->lock >= 0);
}

/* Nothing can be made below a file, whoever asks. */
static void a_folder_that_cannot_be_is_said(void **state)
{
	const struct place *at = *state;
	struct km_err err = { .code = 0 };
	char path[128];

	put(at->dir, "file", "x");
	(void)snprintf(path, sizeof(path), "%s/trial/file", at->dir);
	assert_int_equal(km_plays_lock(path, &err), -ENOTDIR);
	assert_non_null(strstr(err.text, "/trial/file"));
}

static void a_setup_reads_back(void **state)
{
	const struct place *at = *state;
	struct km_trial_setup s;
	struct km_trial_setup back;
	struct km_buf text;

	km_trial_setup_read(at->dir, &back);
	assert_true(back.name[0] == '\0' && back.cpus != back.cpus);
	km_trial_setup_init(&s);
	(void)snprintf(s.model, sizeof(s.model), "a \"model\"");
	s.window_s = 8;
	km_buf_init(&text);
	km_trial_setup_encode(&text, &s);
	put(at->dir, "setup.json", km_buf_cstr(&text));
	put(at->dir, "provenance.json",
	    "{\"name\":\"os-nginx\",\"machine\":{\"cpu\":\"a CPU\",\"cpus\":2,\"kernel\":null}}");
	km_trial_setup_read(at->dir, &back);
	assert_string_equal(back.model, s.model);
	assert_string_equal(back.name, "os-nginx");
	assert_string_equal(back.cpu, "a CPU");
	assert_true(back.kernel[0] == '\0' && back.cpus == 2);
	assert_true(back.window_s == 8 && back.bin_s != back.bin_s);
	km_buf_fini(&text);
	put(at->dir, "setup.json", "{");
	km_trial_setup_read(at->dir, &back);
	assert_true(back.model[0] == '\0' && back.window_s != back.window_s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(what_was_added_is_read_in_its_order),
		cmocka_unit_test(plays_are_found_by_who_and_when),
		TEST(what_is_no_record_does_not_count),
		TEST(one_trial_at_a_time),
		TEST(a_folder_that_cannot_be_is_said),
		TEST(a_setup_reads_back),
	};

	return cmocka_run_group_tests_name("experiment_plays", tests, NULL, NULL);
}
