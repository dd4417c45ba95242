/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What collect.pcm costs: kubemarla-pcm over the fake libpcm on 128 CPUs, a reading a second for
 * BENCH_PCM_SECONDS (60), and the source that asks for them. CPU time is getrusage's, of the helper
 * from its start to its end. The fake counts for nothing: what libpcm itself costs on a machine
 * with counters comes on top.
 */
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "km/base/clock.h"
#include "km/base/num.h"

#include "sources/pcm_internal.h"

#define CPUS 128

static void die(const char *what)
{
	(void)fprintf(stderr, "bench_pcm_helper: %s\n", what);
	exit(1);
}

static double cpu_s(int who)
{
	struct rusage u;

	(void)getrusage(who, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

/* A number of /proc/PID/status, in KiB. */
static long status_kib(pid_t pid, const char *name)
{
	char path[64];
	char line[256];
	long kib = -1;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, name, strlen(name)) == 0) {
			kib = strtol(line + strlen(name), NULL, 10);
		}
	}
	if (file != NULL) {
		(void)fclose(file);
	}
	return kib;
}

static void write_list(const char *root, const char *name)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/devices/system/cpu/%s", root, name);
	file = fopen(path, "we");
	if (file == NULL || fprintf(file, "0-%d\n", CPUS - 1) < 0 || fclose(file) != 0) {
		die("cannot write a list of CPUs");
	}
}

static void make_sysfs(char root[static 64])
{
	static const char *const dirs[] = { "", "/devices", "/devices/system",
		                            "/devices/system/cpu" };
	char path[128];

	(void)snprintf(root, 64, "/tmp/km-bench-XXXXXX");
	if (mkdtemp(root) == NULL) {
		die("no temporary directory");
	}
	for (size_t i = 0; i < KM_ARRAY_LEN(dirs); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", root, dirs[i]);
		(void)mkdir(path, 0755);
		(void)chmod(path, 0755); /* read as nobody */
	}
	write_list(root, "present");
	write_list(root, "online");
}

static void remove_sysfs(const char *root)
{
	static const char *const names[] = { "/devices/system/cpu/present",
		                             "/devices/system/cpu/online",
		                             "/devices/system/cpu",
		                             "/devices/system",
		                             "/devices",
		                             "" };
	char path[128];

	for (size_t i = 0; i < KM_ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", root, names[i]);
		(void)remove(path);
	}
}

static void count(void *ctx, const struct km_sample *sample)
{
	unsigned *samples = ctx;

	*samples += sample->cpu_count == CPUS;
}

int main(int argc, char **argv)
{
	const char *given = getenv("BENCH_PCM_SECONDS");
	struct km_live_settings live = { .procfs = (char[]){ "/proc" },
		                         .pcm_isolation_process = true };
	struct km_source_settings settings = { .kind = "pcm" };
	struct km_source_args args = { .settings = &settings,
		                       .live = &live,
		                       .interval_ns = KM_NS_PER_S };
	struct timespec next;
	struct km_source *s;
	struct km_err err = { .code = 0 };
	int64_t seconds = 60;
	unsigned samples = 0;
	char program[512];
	char helper[512];
	char library[512];
	char sysfs[64];
	const char *build;
	double self_s;
	double began_s;
	long helper_kib = 0;
	long threads;

	if (given != NULL && km_num_int(given, strlen(given), &seconds) != 0) {
		die("BENCH_PCM_SECONDS is no number");
	}
	make_sysfs(sysfs);
	(void)snprintf(program, sizeof(program), "%s", argc > 0 ? argv[0] : ".");
	build = dirname(program);
	(void)snprintf(helper, sizeof(helper), "%s/../kubemarla-pcm", build);
	(void)snprintf(library, sizeof(library), "%s/../tests/libpcm_fake.so", build);
	live.sysfs = sysfs;
	live.pcm_helper = helper;
	live.pcm_library = library;
	(void)setenv("KUBEMARLA_PCM_CPU", "GenuineIntel/6/143", 1);
	(void)setenv("LIBPCM_FAKE", "quiet,cpus=128", 1);
	(void)clock_gettime(CLOCK_MONOTONIC, &next);
	began_s = (double)next.tv_sec + (double)next.tv_nsec * 1e-9;
	args.now_ns = km_clock_mono_ns(km_clock_system());
	if (km_source_open(&args, &s, &err) != 0) {
		remove_sysfs(sysfs);
		die(err.text);
	}
	self_s = cpu_s(RUSAGE_SELF);
	for (int64_t i = 0; i < seconds; i++) {
		next.tv_sec++;
		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
		if (km_source_read(s, km_clock_mono_ns(km_clock_system()), count, &samples, &err) <
		    0) {
			remove_sysfs(sysfs);
			die(err.text);
		}
	}
	self_s = cpu_s(RUSAGE_SELF) - self_s;
	helper_kib = status_kib(((struct pcm *)s)->helper->pid, "VmHWM:");
	threads = status_kib(((struct pcm *)s)->helper->pid, "Threads:");
	km_source_close(s);
	(void)clock_gettime(CLOCK_MONOTONIC, &next);
	began_s = (double)next.tv_sec + (double)next.tv_nsec * 1e-9 - began_s;
	remove_sysfs(sysfs);
	printf("%d CPUs, 4 counts each, a reading a second, %.1f s, %u samples\n\n", CPUS, began_s,
	       samples);
	printf("| process | CPU s | %% of a core | RSS KiB (highest) | threads |\n");
	printf("| --- | --: | --: | --: | --: |\n");
	printf("| kubemarla-pcm, start included | %.4f | %.4f | %ld | %ld |\n",
	       cpu_s(RUSAGE_CHILDREN), 100 * cpu_s(RUSAGE_CHILDREN) / began_s, helper_kib, threads);
	printf("| source pcm in the daemon | %.4f | %.4f | | |\n", self_s, 100 * self_s / began_s);
	return samples > 0 ? 0 : 1;
}
