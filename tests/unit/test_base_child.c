/* SPDX-License-Identifier: Apache-2.0 */
/* base: children that end well, badly, never, and those that would outlive us. */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/child.h"
#include "km/base/clock.h"
#include "km/base/num.h"

#define LONG_NS (60 * KM_NS_PER_S)

static int run(const char *script, size_t max, struct km_buf *out, struct km_err *err)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	const struct km_child_spec spec = { .argv = argv, .max_out_bytes = max };

	return km_child_run(&spec, LONG_NS, out, err);
}

static struct km_child *start(const char *script, int tied)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	const struct km_child_spec spec = { .argv = argv,
		                            .max_out_bytes = 4096,
		                            .tied_signal = tied };
	struct km_child *c;
	struct km_err err = { .code = 0 };

	if (km_child_start(&spec, &c, &err) != 0)
		fail_msg("%s", err.text);
	return c;
}

static void what_it_says_is_handed_on(void **state)
{
	struct km_err err = { .code = 0 };
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	km_buf_str(&out, "a");
	assert_int_equal(run("echo b; echo c >&2; cat", 100, &out, &err), 0);
	assert_string_equal(km_buf_cstr(&out), "ab\n");
	km_buf_fini(&out);
}

static void one_that_fails_says_why(void **state)
{
	static const struct {
		const char *script;
		int code;
		const char *text;
	} rows[] = {
		{ "echo good; echo one >&2; echo two >&2; exit 3", EIO, "sh: one" },
		{ "exit 3", EIO, "sh: ended with status 3" },
		{ "echo up >&2; kill -9 $$", EIO, "sh: died of signal 9" },
		{ "while :; do echo flood; done", EFBIG, "sh said more than 100 bytes" },
		{ "printf '\\033[1m' >&2; exit 1", EIO, "sh: ?[1m" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_err err = { .code = 0 };
		struct km_buf out;

		km_buf_init(&out);
		assert_int_equal(run(rows[i].script, 100, &out, &err), -rows[i].code);
		assert_string_equal(err.text, rows[i].text);
		assert_int_equal(out.len, 0);
		km_buf_fini(&out);
	}
}

static void the_last_words_are_kept_of_many(void **state)
{
	char words[KM_CHILD_WORDS_MAX + 1];
	struct km_child *c;

	(void)state;
	c = start("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i + 1)); done >&2; exit 1", 0);
	assert_true(km_child_await(c, LONG_NS));
	assert_false(km_child_succeeded(c));
	assert_string_equal(km_child_words(c, false, words), "line 2999");
	km_child_free(c);
}

static void one_that_does_not_end_is_ended(void **state)
{
	const char *const argv[] = { "sleep", "1000", NULL };
	const struct km_child_spec spec = { .argv = argv };
	struct km_child *c = start("trap '' TERM; echo up; while :; do sleep 1000; done", SIGKILL);
	struct km_err err = { .code = 0 };
	struct km_buf out;

	(void)state;
	while (km_child_output(c)->len == 0)
		assert_false(km_child_await(c, KM_NS_PER_MS));
	km_child_stop(c, SIGTERM, KM_NS_PER_MS);
	assert_true(km_child_ended(c));
	km_child_free(c);
	km_buf_init(&out);
	assert_int_equal(km_child_run(&spec, KM_NS_PER_MS, &out, &err), -ETIMEDOUT);
	assert_string_equal(err.text, "sleep did not finish in time");
	km_buf_fini(&out);
}

static void what_cannot_start_says_so(void **state)
{
	static const struct {
		const char *program;
		int code;
		const char *text;
	} rows[] = {
		{ "no-such-program", ENOENT, "no-such-program is not installed" },
		{ "/no/such/program", ENOENT, "/no/such/program: No such file" },
		{ "", ENOENT, " is not installed" },
		{ "tests/support", EACCES, "tests/support: cannot be run: Permission denied" },
		{ "./LICENSE", EACCES, "./LICENSE: Permission denied" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		const char *const argv[] = { rows[i].program, NULL };
		const struct km_child_spec spec = { .argv = argv };
		struct km_err err = { .code = 0 };
		struct km_child *c;

		assert_int_equal(km_child_start(&spec, &c, &err), -rows[i].code);
		assert_null(c);
		if (strstr(err.text, rows[i].text) == NULL)
			fail_msg("%s: %s", rows[i].program, err.text);
	}
}

static void it_runs_on_its_cpus_and_in_its_groups(void **state)
{
	char group[] = "/tmp/km-child-XXXXXX";
	const char *const groups[] = { group, NULL };
	const char *const missing[] = { "/no/such/group", NULL };
	const char *const argv[] = { "sh", "-c",
		                     "sed -n 's/^Cpus_allowed_list:.//p' /proc/$$/status", NULL };
	struct km_child_spec spec = { .argv = argv, .max_out_bytes = 100, .groups = groups };
	struct km_cpuset one = { { 0 } };
	struct km_err err = { .code = 0 };
	struct km_buf want;
	struct km_buf out;
	char entered[2] = "";
	int fd = mkstemp(group);

	(void)state;
	assert_true(fd >= 0);
	km_cpuset_add(&one, (unsigned)sched_getcpu());
	spec.cpus = &one;
	km_buf_init(&want);
	km_buf_init(&out);
	km_cpuset_format(&one, &want);
	km_buf_char(&want, '\n');
	if (km_child_run(&spec, LONG_NS, &out, &err) != 0)
		fail_msg("%s", err.text);
	assert_string_equal(km_buf_cstr(&out), km_buf_cstr(&want));
	assert_int_equal(read(fd, entered, 1), 1);
	assert_string_equal(entered, "0");
	spec.groups = missing;
	assert_int_equal(km_child_run(&spec, LONG_NS, &out, &err), -ENOENT);
	assert_non_null(strstr(err.text, "entering its control group"));
	km_buf_fini(&out);
	km_buf_fini(&want);
	(void)close(fd);
	(void)unlink(group);
}

/* A tied child and its own child are gone with the process that started them, even by SIGKILL. */
static void one_that_is_tied_goes_with_us(void **state)
{
	struct pollfd gone = { .events = POLLIN };
	int tell[2];
	int64_t pid;
	char text[32];
	ssize_t n;
	pid_t us;

	(void)state;
	assert_int_equal(pipe(tell), 0);
	us = fork();
	if (us == 0) {
		struct km_child *c = start("exec sleep 1000", SIGKILL);
		int len = snprintf(text, sizeof(text), "%d", (int)km_child_pid(c));

		if (write(tell[1], text, (size_t)len) == len)
			(void)pause();
		_exit(1);
	}
	assert_true(us > 0);
	n = read(tell[0], text, sizeof(text));
	assert_true(n > 0);
	assert_int_equal(km_num_int(text, (size_t)n, &pid), 0);
	gone.fd = pidfd_open((pid_t)pid, 0);
	assert_true(gone.fd >= 0);
	assert_int_equal(kill(us, SIGKILL), 0);
	assert_int_equal(waitpid(us, NULL, 0), us);
	assert_int_equal(poll(&gone, 1, 60000), 1);
	(void)close(gone.fd);
	(void)close(tell[0]);
	(void)close(tell[1]);
}

/* What a tied child leaves in its process group is ended with it. */
static void its_own_children_go_with_it(void **state)
{
	struct km_child *c = start("sleep 1000 & echo $!; wait", SIGKILL);
	struct pollfd gone = { .events = POLLIN };
	struct km_buf *said = km_child_output(c);
	int64_t pid;

	(void)state;
	while (said->len == 0 || said->data[said->len - 1] != '\n')
		assert_false(km_child_await(c, KM_NS_PER_MS));
	assert_int_equal(km_num_int(said->data, said->len - 1, &pid), 0);
	gone.fd = pidfd_open((pid_t)pid, 0);
	assert_true(gone.fd >= 0);
	km_child_stop(c, SIGTERM, LONG_NS);
	assert_int_equal(poll(&gone, 1, 60000), 1);
	(void)close(gone.fd);
	km_child_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_says_is_handed_on),
		cmocka_unit_test(one_that_fails_says_why),
		cmocka_unit_test(the_last_words_are_kept_of_many),
		cmocka_unit_test(one_that_does_not_end_is_ended),
		cmocka_unit_test(what_cannot_start_says_so),
		cmocka_unit_test(it_runs_on_its_cpus_and_in_its_groups),
		cmocka_unit_test(one_that_is_tied_goes_with_us),
		cmocka_unit_test(its_own_children_go_with_it),
	};

	return cmocka_run_group_tests_name("base: children", tests, NULL, NULL);
}
