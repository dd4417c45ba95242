/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What live sources cost on a host of 128 CPUs (64 cores, 2 sockets), as CPU time by getrusage for
 * each tick: perf over a constructed sysfs and a fake of the system call, so
 * without the kernel's part; resctrl over a constructed tree; a page of pcm-sensor-server read.
 * Then the kernel's part of a read, measured with software events of this machine.
 */
#include <ftw.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "km/base/macros.h"
#include "km/sources/source.h"

#include "sources/pcm_page.h"
#include "sources/perf.h"
#include "support/fake_perf.h"
#include "support/pcm_page_text.h"

#define CPUS    128
#define CORES   64
#define IMCS    16
#define TICKS   600
#define TICK_NS INT64_C(1000000000)
#define PMUS    "bus/event_source/devices/"

static char root[] = "/tmp/km-bench-sources-XXXXXX";
static unsigned samples;

static void must(bool right)
{
	if (!right) {
		perror("bench_sources");
		exit(1);
	}
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

/* A file with the directories above it. */
static void put(const char *path, const char *text)
{
	char full[PATH_MAX];
	FILE *f;

	(void)snprintf(full, sizeof(full), "%s/%s", root, path);
	for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		(void)mkdir(full, 0755);
		*slash = '/';
	}
	f = fopen(full, "w");
	must(f != NULL);
	must(fputs(text, f) >= 0);
	must(fclose(f) == 0);
}

static void putf(const char *text, const char *fmt, ...) KM_PRINTF(2, 3);
static void putf(const char *text, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	put(path, text);
}

static double cpu_ms(void)
{
	struct rusage u;

	must(getrusage(RUSAGE_SELF, &u) == 0);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-3;
}

static void say(const char *what, double ms, int ticks)
{
	double each = ms / ticks;

	(void)printf("%-44s %8.3f ms a tick  %6.3f %% of a core at 1 s\n", what, each, each / 10);
}

static void take(void *ctx, const struct km_sample *s)
{
	(void)ctx;
	(void)s;
	samples++;
}

/* ---- perf ---- */

static double rate(uint32_t type, uint64_t config, int cpu)
{
	(void)type;
	(void)config;
	return 1e6 + cpu;
}

static void make_sysfs(void)
{
	char text[64];

	put("proc/cpuinfo", "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n");
	put("sys/devices/system/cpu/online", "0-127\n");
	put("sys/" PMUS "msr/type", "9\n");
	put("sys/" PMUS "msr/format/event", "config:0-63\n");
	put("sys/" PMUS "msr/events/tsc", "event=0x00\n");
	put("sys/" PMUS "msr/events/mperf", "event=0x02\n");
	put("sys/" PMUS "cstate_core/type", "20\n");
	put("sys/" PMUS "cstate_core/cpumask", "0-63\n");
	put("sys/" PMUS "cstate_core/format/event", "config:0-63\n");
	put("sys/" PMUS "cstate_core/events/c6-residency", "event=0x02\n");
	put("sys/" PMUS "cstate_core/events/c3-residency", "event=0x01\n");
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		(void)snprintf(text, sizeof(text), "%u,%u\n", cpu % CORES, cpu % CORES + CORES);
		putf(text, "sys/devices/system/cpu/cpu%u/topology/core_cpus_list", cpu);
	}
	for (unsigned i = 0; i < IMCS; i++) {
		(void)snprintf(text, sizeof(text), "%u\n", 30 + i);
		putf(text, "sys/" PMUS "uncore_imc_%u/type", i);
		putf("0,32\n", "sys/" PMUS "uncore_imc_%u/cpumask", i);
		putf("config:0-7\n", "sys/" PMUS "uncore_imc_%u/format/event", i);
		putf("config:8-15\n", "sys/" PMUS "uncore_imc_%u/format/umask", i);
		for (unsigned w = 0; w < 2; w++) {
			const char *name = w ? "cas_count_write" : "cas_count_read";

			putf(w ? "event=0x05,umask=0xf0\n" : "event=0x05,umask=0xcf\n",
			     "sys/" PMUS "uncore_imc_%u/events/%s", i, name);
			putf("6.103515625e-5\n", "sys/" PMUS "uncore_imc_%u/events/%s.scale", i,
			     name);
			putf("MiB\n", "sys/" PMUS "uncore_imc_%u/events/%s.unit", i, name);
		}
	}
}

/* returns how many reads a tick takes. */
static size_t bench_perf(void)
{
	static struct fake_perf fake;
	char sysfs[64];
	char procfs[64];
	struct km_live_settings live = { .sysfs = sysfs,
		                         .procfs = procfs,
		                         .perf_core_events = true };
	struct km_source_args args = { .live = &live };
	struct km_source_offer offer;
	struct km_perf *p;
	struct km_err err;
	double ms;

	(void)snprintf(sysfs, sizeof(sysfs), "%s/sys", root);
	(void)snprintf(procfs, sizeof(procfs), "%s/proc", root);
	fake_perf_init(&fake, CPUS, rate);
	args.now_ns = fake.now_ns;
	ms = cpu_ms();
	if (km_perf_create(&args, &fake.sys, false, &p, &err) != 0) {
		(void)fprintf(stderr, "bench_sources: %s\n", err.text);
		exit(1);
	}
	(void)printf("perf: open %.1f ms, %zu descriptors\n", cpu_ms() - ms, fake.open_now);
	km_perf_offer(p, &offer);
	fake.reads = 0;
	samples = 0;
	ms = cpu_ms();
	for (int t = 0; t < TICKS; t++) {
		fake.now_ns += TICK_NS;
		must(km_perf_read(p, fake.now_ns, take, NULL, &err) == KM_SOURCE_LIVE);
	}
	say("perf, 128 CPUs, 64 cores, 32 controllers", cpu_ms() - ms, TICKS);
	must(samples == TICKS - 1);
	km_perf_free(p);
	return fake.reads / TICKS;
}

/* ---- resctrl ---- */

static void bench_resctrl(void)
{
	static const char *const groups[] = { "", "batch/", "web/", "db/" };
	static const char *const files[] = { "llc_occupancy", "mbm_total_bytes",
		                             "mbm_local_bytes" };
	char resctrl[64];
	struct km_live_settings live = { .resctrl = resctrl };
	struct km_source_settings settings = { .kind = "resctrl" };
	struct km_source_args args = { .settings = &settings, .live = &live };
	struct km_source *s;
	struct km_err err;
	double ms;

	(void)snprintf(resctrl, sizeof(resctrl), "%s/resctrl", root);
	for (size_t g = 0; g < KM_ARRAY_LEN(groups); g++) {
		for (unsigned l3 = 0; l3 < 2; l3++) {
			for (size_t f = 0; f < KM_ARRAY_LEN(files); f++)
				putf("123456789\n", "resctrl/%smon_data/mon_L3_%02u/%s", groups[g],
				     l3, files[f]);
		}
	}
	must(km_source_open(&args, &s, &err) == 0);
	ms = cpu_ms();
	for (int t = 1; t <= TICKS; t++)
		must(km_source_read(s, t * TICK_NS, take, NULL, &err) == KM_SOURCE_LIVE);
	say("resctrl, 4 groups x 2 L3 x 3 files", cpu_ms() - ms, TICKS);
	km_source_close(s);
}

/* ---- pcm-server ---- */

static void bench_page(void)
{
	struct km_pcm_page page[2] = { { .cpu_count = 0 } };
	struct km_sample_space space = { .cpu_cap = 0 };
	struct km_source_stats stats = { .rows = 0 };
	struct km_buf text[2];
	double ms;

	for (unsigned i = 0; i < 2; i++) {
		struct pcm_host h = pcm_host_at(1000 + i);

		h.cores = CORES / h.sockets;
		km_buf_init(&text[i]);
		page_of(&text[i], &h);
		must(km_pcm_page_parse(&page[i], text[i].data, text[i].len, NULL) == 0);
		must(page[i].cpu_count == CPUS);
	}
	ms = cpu_ms();
	for (int t = 0; t < TICKS; t++) {
		must(km_pcm_page_parse(&page[1], text[1].data, text[1].len, NULL) == 0);
		must(km_pcm_page_sample(&page[0], &page[1], TICK_NS, 5 * TICK_NS, &space, &stats) ==
		     1);
	}
	say("pcm-server, a page of 128 CPUs", cpu_ms() - ms, TICKS);
	(void)printf("  %zu bytes a page; HTTP is not in it\n", text[1].len);
	for (unsigned i = 0; i < 2; i++) {
		km_buf_fini(&text[i]);
		km_pcm_page_fini(&page[i]);
	}
	km_sample_space_fini(&space);
}

/* ---- the kernel ---- */

static void bench_kernel(size_t reads)
{
	static const struct km_perf_event events[] = {
		{ .type = PERF_TYPE_SOFTWARE, .config = { PERF_COUNT_SW_CONTEXT_SWITCHES } },
		{ .type = PERF_TYPE_SOFTWARE, .config = { PERF_COUNT_SW_CPU_CLOCK }, .role = 1 },
	};
	unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	struct km_perf_budget budget;

	km_perf_budget_init(&budget, km_perf_sys_kernel());
	for (unsigned cpu = 0; cpu < cpus && cpu < 2; cpu++) {
		struct km_source_stats stats = { .rows = 0 };
		struct km_perf_counts v;
		struct km_perf_set set;
		double ms;
		int why;

		if (km_perf_set_open(&budget, cpu, events, KM_ARRAY_LEN(events), &set, &why) != 0) {
			(void)printf("kernel: not measured, perf_event_open says %s\n",
			             strerror(-why));
			return;
		}
		ms = cpu_ms();
		for (int t = 0; t < 100 * TICKS; t++)
			must(km_perf_set_read(budget.sys, &set, &v, &stats) == 0);
		ms = (cpu_ms() - ms) / (100 * TICKS);
		(void)printf(
			"kernel: a group of 2 software events on CPU %u: %.2f us a read; %zu such "
			"reads: %.3f ms\n",
			cpu, ms * 1e3, reads, ms * (double)reads);
		km_perf_set_close(&budget, &set);
	}
}

int main(void)
{
	size_t reads;

	must(mkdtemp(root) != NULL);
	make_sysfs();
	reads = bench_perf();
	bench_resctrl();
	bench_page();
	bench_kernel(reads);
	must(nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0);
	return 0;
}
