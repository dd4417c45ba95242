/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla train` and `kubemarla eval` as a person runs them, on a synthetic folder. */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/eval_world.h"
#include "support/tool.h"
#include "support/wire.h"

struct world {
	struct dataset_world data; /* four campaigns, features.yaml, model.ubj */
	struct tool_result r;
};

static const char *path(const struct world *w, const char *name)
{
	return dataset_world_path(&w->data, name);
}

#define RUN(w, ...) tool_run((const char *[]){ __VA_ARGS__, NULL }, NULL, 0, &(w)->r)

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -1;
	eval_world_init(&w->data, 4);
	tool_result_init(&w->r);
	RUN(w, "train", "--dataset", w->data.dir, "--out", path(w, "model.ubj"), "--no-baselines");
	tool_want_code(&w->r, 0);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	dataset_world_fini(&w->data);
	tool_result_fini(&w->r);
	free(w);
	return 0;
}

/* All of it is one JSON object and a newline. */
static cJSON *json_of(const struct tool_result *r)
{
	const char *end = NULL;
	cJSON *tree = cJSON_ParseWithOpts(r->out.data, &end, 0);

	if (tree == NULL || strcmp(end, "\n") != 0)
		fail_msg("standard output is not JSON alone:\n%s", r->out.data);
	return tree;
}

static void train_writes_a_model_and_says_how_good_it_is(void **state)
{
	struct world *w = *state;
	struct km_buf bytes[2];

	/* features.yaml is taken from beside the model */
	RUN(w, "train", "--dataset", w->data.dir, "--out", path(w, "again.ubj"), "--threads", "1");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "synthetic: placement, leave-campaign-out\n");
	tool_want_text(w->r.out.data, "model, lighter start");
	tool_want_text(w->r.out.data, "model, empty candidate");
	tool_want_text(w->r.out.data, "model, 3 in flight");
	tool_want_text(w->r.out.data, "baseline thesis");
	tool_want_text(w->r.out.data, "90 % by bootstrap:");
	tool_want_text(w->r.out.data, "gain by feature");
	/* a line for each piece of work that is done */
	tool_want_text(w->r.err.data, "  leave-campaign-out 8/8\n");
	tool_want_text(w->r.err.data, "  linear 8/8\n");
	tool_want_text(w->r.err.data, "again.ubj\n");
	for (int i = 0; i < 2; i++) {
		km_buf_init(&bytes[i]);
		assert_int_equal(km_file_read(path(w, i == 0 ? "model.ubj" : "again.ubj"), 1 << 26,
		                              &bytes[i], NULL),
		                 0);
	}
	assert_int_equal(bytes[0].len, bytes[1].len);
	assert_memory_equal(bytes[0].data, bytes[1].data, bytes[0].len);
	km_buf_fini(&bytes[0]);
	km_buf_fini(&bytes[1]);
}

static void standard_output_is_json_alone(void **state)
{
	struct world *w = *state;
	cJSON *report;

	RUN(w, "eval", "--dataset", w->data.dir, "--model", path(w, "model.ubj"), "--json");
	tool_want_code(&w->r, 0);
	report = json_of(&w->r);
	assert_string_equal(cJSON_GetObjectItem(report, "protocol")->valuestring, "given-model");
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(report, "inSample")));
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(report, "baselines")), 4);
	cJSON_Delete(report);
	tool_want_text(w->r.err.data, "  thesis 8/8\n");
	RUN(w, "train", "--dataset", w->data.dir, "--features", path(w, "features.yaml"), "--out",
	    path(w, "json.ubj"), "--no-baselines", "--json", "--note", "from a test");
	tool_want_code(&w->r, 0);
	report = json_of(&w->r);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(report, "gain")), EVAL_FEATURES);
	cJSON_Delete(report);
}

static void each_protocol_is_asked_for_by_name(void **state)
{
	static const char *const words[] = { "campaign", "family", "scenario" };
	struct world *w = *state;

	for (size_t i = 0; i < KM_ARRAY_LEN(words); i++) {
		char protocol[64];
		cJSON *report;

		RUN(w, "eval", "--dataset", w->data.dir, "--model", path(w, "model.ubj"), "--cv",
		    words[i], "--json", "--no-baselines", "--hide-now");
		tool_want_code(&w->r, 0);
		report = json_of(&w->r);
		(void)snprintf(protocol, sizeof(protocol), "leave-%s-out", words[i]);
		assert_string_equal(cJSON_GetObjectItem(report, "protocol")->valuestring, protocol);
		assert_true(cJSON_IsFalse(cJSON_GetObjectItem(report, "nowKnown")));
		assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(report, "baselines")), 0);
		cJSON_Delete(report);
	}
}

static void help_goes_to_standard_output(void **state)
{
	static const char *const ways[][2] = { { "train", "--help" },
		                               { "eval", "--help" },
		                               { "help", "train" },
		                               { "help", "eval" },
		                               { "eval", "-h" } };
	struct world *w = *state;

	for (size_t i = 0; i < KM_ARRAY_LEN(ways); i++) {
		RUN(w, ways[i][0], ways[i][1]);
		tool_want_code(&w->r, 0);
		tool_want_text(w->r.out.data, "Usage: kubemarla ");
		tool_want_text(w->r.out.data, "--dataset DIR");
		assert_string_equal(w->r.err.data, "");
	}
}

static void wrong_options_are_exit_code_2_and_the_usage(void **state)
{
	static const struct {
		const char *args[8];
		const char *text;
	} rows[] = {
		{ { "train" }, "Usage: kubemarla train" },
		{ { "eval" }, "Usage: kubemarla eval" },
		{ { "eval", "--dataset", "d" }, "Usage: kubemarla eval" },
		{ { "eval", "--model", "m" }, "Usage: kubemarla eval" },
		{ { "train", "--dataset", "d" }, "Usage: kubemarla train" },
		{ { "eval", "--dataset", "d", "--model", "m", "more" }, "Usage: kubemarla eval" },
		{ { "eval", "--dataset", "d", "--model", "m", "--nonsense" }, "nonsense" },
		{ { "eval", "--dataset", "d", "--model" }, "requires an argument" },
		{ { "train", "--dataset", "d", "--out", "m", "--cv", "family" }, "--cv" },
		{ { "eval", "--dataset", "d", "--model", "m", "--cv", "luck" },
		  "--cv: saw \"luck\", want campaign, family or scenario" },
		{ { "eval", "--dataset", "d", "--model", "m", "--threads", "0" },
		  "--threads: saw \"0\", want 1 to 64" },
		{ { "eval", "--dataset", "d", "--model", "m", "--threads", "65" },
		  "--threads: saw \"65\"" },
		{ { "eval", "--dataset", "d", "--model", "m", "--threads", "two" },
		  "--threads: saw \"two\"" },
	};
	struct world *w = *state;

	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		const char *args[9] = { NULL };

		memcpy(args, rows[i].args, sizeof(rows[i].args));
		tool_run(args, NULL, 0, &w->r);
		tool_want_code(&w->r, 2);
		tool_want_text(w->r.err.data, rows[i].text);
		assert_string_equal(w->r.out.data, "");
	}
}

static void what_does_not_work_is_one_line_and_exit_code_2(void **state)
{
	struct world *w = *state;
	const struct {
		const char *dataset, *model, *text;
	} rows[] = {
		{ path(w, "nowhere"), path(w, "model.ubj"), "nowhere/runs.csv: No such file" },
		{ w->data.dir, path(w, "nothing.ubj"), "nothing.ubj" },
		{ w->data.dir, path(w, "runs.csv"), "runs.csv" },
		{ w->data.dir, path(w, "traces"), "a directory" },
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		RUN(w, "eval", "--dataset", rows[i].dataset, "--model", rows[i].model, "--json");
		tool_want_code(&w->r, 2);
		assert_string_equal(w->r.out.data, "");
		assert_int_equal(strncmp(w->r.err.data, "kubemarla: ", 11), 0);
		tool_want_text(w->r.err.data, rows[i].text);
		assert_ptr_equal(strchr(w->r.err.data, '\n'), w->r.err.data + w->r.err.len - 1);
	}
}

static void a_folder_of_one_campaign_says_so_and_writes_nothing(void **state)
{
	struct world *w = *state;
	struct dataset_world one;

	eval_world_init(&one, 1);
	RUN(w, "train", "--dataset", one.dir, "--out", dataset_world_path(&one, "model.ubj"));
	tool_want_code(&w->r, 2);
	tool_want_text(w->r.err.data, "leave-campaign-out: one group only, want at least two");
	assert_int_equal(access(dataset_world_path(&one, "model.ubj"), F_OK), -1);
	dataset_world_fini(&one);
}

/* A page is made beside what is printed, not instead of it. */
static void a_page_is_written_if_asked_for(void **state)
{
	struct world *w = *state;
	struct km_buf page;

	RUN(w, "eval", "--dataset", w->data.dir, "--model", path(w, "model.ubj"), "--html",
	    path(w, "page.html"), "--no-baselines");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "synthetic: placement, given-model\n");
	km_buf_init(&page);
	assert_int_equal(km_file_read(path(w, "page.html"), 1 << 26, &page, NULL), 0);
	tool_want_text(km_buf_cstr(&page), "</html>");
	km_buf_fini(&page);
}

/* ---- Ctrl-C ---- */

/* In the child: only what is safe between fork and exec. */
static void become_train(const char *program, const char *dataset, const char *out, int err)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(null, STDOUT_FILENO);
	(void)dup2(err, STDERR_FILENO);
	(void)execl(program, "kubemarla", "train", "--dataset", dataset, "--out", out, "--threads",
	            "1", (char *)NULL);
	_exit(127);
}

static size_t files_in(const char *dir)
{
	DIR *d = opendir(dir);
	size_t count = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		count++;
	(void)closedir(d);
	return count;
}

static void wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, WIRE_PATIENCE_MS), 1);
}

/*
 * Its standard error is a pipe of one packet: once the first progress line is in it, the second one
 * has to wait until somebody reads. So the signal comes between the two, whatever the machine does.
 */
static void interrupted_it_leaves_nothing_behind(void **state)
{
	static const char old[] = "an older model";
	static const int signals[] = { SIGINT, SIGTERM };
	struct world *w = *state;
	const char *build = getenv("KM_BUILD");
	char program[512];

	(void)snprintf(program, sizeof(program), "%s/kubemarla", build != NULL ? build : "build");
	dataset_world_put(&w->data, "old.ubj", old, sizeof(old) - 1);
	for (size_t i = 0; i < KM_ARRAY_LEN(signals); i++) {
		size_t files = files_in(w->data.dir);
		struct km_buf now;
		char text[4096] = "";
		size_t len = 0;
		ssize_t got;
		int status;
		int err[2];
		pid_t pid;

		assert_int_equal(pipe2(err, O_CLOEXEC | O_DIRECT), 0);
		assert_int_equal(fcntl(err[1], F_SETPIPE_SZ, 4096), 4096);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			become_train(program, w->data.dir, path(w, "old.ubj"), err[1]);
		(void)close(err[1]);
		wait_readable(err[0]);
		assert_int_equal(kill(pid, signals[i]), 0);
		do {
			wait_readable(err[0]);
			got = read(err[0], text + len, sizeof(text) - 1 - len);
			len += got > 0 ? (size_t)got : 0;
		} while (got > 0);
		text[len] = '\0';
		(void)close(err[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 130)
			fail_msg("status %#x, want exit code 130\n%s", status, text);
		tool_want_text(text, "  leave-campaign-out 8/8\n");
		tool_want_text(text, "kubemarla: interrupted; nothing was written\n");
		assert_int_equal(files_in(w->data.dir), files);
		km_buf_init(&now);
		assert_int_equal(km_file_read(path(w, "old.ubj"), 1 << 20, &now, NULL), 0);
		assert_string_equal(km_buf_cstr(&now), old);
		km_buf_fini(&now);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(train_writes_a_model_and_says_how_good_it_is),
		cmocka_unit_test(standard_output_is_json_alone),
		cmocka_unit_test(each_protocol_is_asked_for_by_name),
		cmocka_unit_test(help_goes_to_standard_output),
		cmocka_unit_test(wrong_options_are_exit_code_2_and_the_usage),
		cmocka_unit_test(what_does_not_work_is_one_line_and_exit_code_2),
		cmocka_unit_test(a_folder_of_one_campaign_says_so_and_writes_nothing),
		cmocka_unit_test(a_page_is_written_if_asked_for),
		cmocka_unit_test(interrupted_it_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
