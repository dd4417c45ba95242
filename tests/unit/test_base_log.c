/* SPDX-License-Identifier: Apache-2.0 */
/* base's log lines and rate-limited complaints, as they arrive on stderr. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/clock.h"
#include "km/base/complain.h"
#include "km/base/log.h"

/* Runs `say` with stderr in a temporary file. returns what it wrote; freed by the caller. */
static char *captured(void (*say)(void))
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	char *text = calloc(1, 8192);

	assert_non_null(file);
	assert_non_null(text);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	say();
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(file);
	assert_true(fread(text, 1, 8191, file) > 0);
	(void)fclose(file);
	return text;
}

static void say_lines(void)
{
	errno = EPIPE;
	km_log_debug("test", "below the level");
	km_log_info("test", "node=%s", "a\nerror forged");
	km_log_error("test", "%02000d", 0);
	assert_int_equal(errno, EPIPE);
}

static void log_lines_cannot_be_forged_and_errno_survives(void **state)
{
	char *text = captured(say_lines);
	enum km_log_level level;

	(void)state;
	assert_non_null(strstr(text, "info test node=a?error forged\n"));
	assert_null(strstr(text, "below"));
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(text);
	assert_int_equal(km_log_level_parse("warn", &level), 0);
	assert_int_equal(level, KM_LOG_WARN);
	assert_int_equal(km_log_level_parse("loud", &level), -EINVAL);
}

static void say_elsewhere(void)
{
	int elsewhere = dup(STDERR_FILENO);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	assert_true(null >= 0 && dup2(null, STDERR_FILENO) >= 0);
	close(null);
	km_log_set_fd(elsewhere);
	km_log_info("test", "not to where stderr goes now");
	km_log_set_fd(STDERR_FILENO);
	km_log_info("test", "lost");
	close(elsewhere);
}

static void log_lines_can_go_elsewhere(void **state)
{
	char *text = captured(say_elsewhere);

	(void)state;
	assert_string_equal(text, "info test not to where stderr goes now\n");
	free(text);
}

static void complain_for_two_minutes(void)
{
	struct km_complain c = KM_COMPLAIN_INIT;

	km_recovered(&c, "test", "said only after a complaint");
	for (int64_t s = 0; s < 120; s++)
		km_complain(&c, s * KM_NS_PER_S, "test", "peer %s away", "x");
	km_recovered(&c, "test", "peer x");
	km_recovered(&c, "test", "peer x");
	km_complain(&c, 120 * KM_NS_PER_S, "test", "again");
}

static void complaints_back_off_and_recover_once(void **state)
{
	char *text = captured(complain_for_two_minutes);

	(void)state;
	assert_string_equal(text, "warn test peer x away count=1\n"
	                          "warn test peer x away count=11\n"
	                          "warn test peer x away count=31\n"
	                          "warn test peer x away count=71\n"
	                          "info test recovered: peer x count=120\n"
	                          "warn test again count=1\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_lines_cannot_be_forged_and_errno_survives),
		cmocka_unit_test(log_lines_can_go_elsewhere),
		cmocka_unit_test(complaints_back_off_and_recover_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
