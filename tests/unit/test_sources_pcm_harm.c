/* SPDX-License-Identifier: Apache-2.0 */
/* What kubemarla-pcm leaves as it was, what it gives up, and that it does not stay behind. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/pcm_world.h"

/* The first line of /proc/PID/... that begins with `name`, into line. */
static void proc_line(const char *path, const char *name, char line[static 256])
{
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	do {
		if (fgets(line, 256, file) == NULL) {
			fail_msg("%s has no %s", path, name);
		}
	} while (strncmp(line, name, strlen(name)) != 0);
	(void)fclose(file);
}

static void limits_and_watchdog_are_as_before(void **state)
{
	struct pcm_world w;
	char script[160];
	char path[128];
	char ours[256];
	char its[256];

	(void)state;
	pcm_world_init(&w, 2, "", NULL);
	(void)snprintf(path, sizeof(path), "%s/proc/sys/kernel/nmi_watchdog", w.tree.root);
	(void)snprintf(script, sizeof(script), "nofile,watchdog=%s", path);
	(void)setenv("LIBPCM_FAKE", script, 1);
	assert_int_equal(pcm_world_open(&w), 0);
	pcm_world_until_samples(&w, 1);
	proc_line(path, "", its);
	assert_string_equal(its, "1\n");
	(void)snprintf(path, sizeof(path), "/proc/%d/limits", (int)pcm_world_helper(&w)->pid);
	proc_line(path, "Max open files", its);
	proc_line("/proc/self/limits", "Max open files", ours);
	assert_string_equal(its, ours);
	pcm_world_fini(&w);
}

/* Threads of the helper, and how many of them have a right or could have one again. */
static unsigned count_threads(const struct pcm_world *w, unsigned *with_rights)
{
	char path[128];
	char line[256];
	unsigned threads = 0;
	struct dirent *entry;
	DIR *tasks;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pcm_world_helper(w)->pid);
	tasks = opendir(path);
	assert_non_null(tasks);
	*with_rights = 0;
	while ((entry = readdir(tasks)) != NULL) {
		if (entry->d_name[0] == '.') {
			continue;
		}
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status",
		               (int)pcm_world_helper(w)->pid, entry->d_name);
		threads++;
		proc_line(path, "CapPrm:", line);
		*with_rights += strcmp(line, "CapPrm:\t0000000000000000\n") != 0;
		proc_line(path, "CapEff:", line);
		*with_rights += strcmp(line, "CapEff:\t0000000000000000\n") != 0;
		proc_line(path, "NoNewPrivs:", line);
		*with_rights += strcmp(line, "NoNewPrivs:\t1\n") != 0;
	}
	(void)closedir(tasks);
	return threads;
}

static void no_thread_of_the_helper_keeps_rights(void **state)
{
	struct pcm_world w;
	char path[128];
	char line[256];
	unsigned with_rights;

	(void)state;
	pcm_world_init(&w, 2, "thread", NULL);
	assert_int_equal(pcm_world_open(&w), 0);
	pcm_world_until_samples(&w, 1);
	assert_true(count_threads(&w, &with_rights) >= 3); /* main, chatter, libpcm's own */
	assert_int_equal(with_rights, 0);
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pcm_world_helper(&w)->pid);
	proc_line(path, "Uid:", line);
	assert_null(strstr(line, "\t0\t"));
	pcm_world_fini(&w);
}

/*
 * Root that may not change its user, as in a container with few capabilities: each thread has to
 * give up its own. Runs in a child, for what is dropped from the bounding set is gone for good.
 */
static void nor_where_the_user_cannot_change(void **state)
{
	int status = 0;
	pid_t child;

	(void)state;
#ifdef __SANITIZE_THREAD__
	skip(); /* its run-time holds signals back while a thread waits */
#endif
	if (geteuid() != 0) {
		skip();
	}
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		unsigned with_rights = 1;
		unsigned threads = 0;
		struct pcm_world w;

		if (prctl(PR_CAPBSET_DROP, CAP_SETUID, 0, 0, 0) == 0) {
			pcm_world_init(&w, 2, "thread", NULL);
			if (pcm_world_open(&w) == 0) {
				pcm_world_until_samples(&w, 1);
				threads = count_threads(&w, &with_rights);
			}
			pcm_world_fini(&w);
		}
		_exit(threads >= 3 && with_rights == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* In a child of the test: opens a source whose libpcm hangs, tells the helper's pid, and dies. */
static void orphan_a_helper(int tell)
{
	struct pcm_world w;
	pid_t pid;

	pcm_world_init(&w, 2, "hang=1", NULL);
	if (pcm_world_open(&w) != 0) {
		_exit(1);
	}
	while (!pcm_world_helper(&w)->asked) {
		pcm_world_step(&w);
	}
	pid = pcm_world_helper(&w)->pid;
	(void)!write(tell, &pid, sizeof(pid));
	(void)!write(tell, &w.tree, sizeof(w.tree));
	_exit(0);
}

static void a_helper_does_not_outlive_its_daemon(void **state)
{
	struct tree tree;
	int tell[2];
	int status = 0;
	pid_t child;
	pid_t helper;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		orphan_a_helper(tell[1]);
	}
	close(tell[1]);
	assert_int_equal(read(tell[0], &helper, sizeof(helper)), sizeof(helper));
	assert_int_equal(read(tell[0], &tree, sizeof(tree)), sizeof(tree));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	/* ours now; the time limit of the whole test is the deadline */
	assert_int_equal(waitpid(helper, &status, 0), helper);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	tree_fini(&tree);
	close(tell[0]);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_and_watchdog_are_as_before),
		cmocka_unit_test(no_thread_of_the_helper_keeps_rights),
		cmocka_unit_test(nor_where_the_user_cannot_change),
		cmocka_unit_test(a_helper_does_not_outlive_its_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
