/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent costs a node: CPU time of the whole process by getrusage while the sampler runs in
 * real time, memory, and how late its ticks begin, on an idle and on a fully loaded machine.
 *
 * The host is constructed: 128 CPUs in one /proc/stat, with pressure files, the nodes' control
 * groups and two L3 domains of resctrl, read by the real sources; and a fake source that hands over
 * eight core counters of each CPU, so that merging, bins and windows have what perf would give.
 * What reading hardware counters costs is not in it. BENCH_AGENT_SECONDS: each run (60).
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "km/agent/agent.h"
#include "km/base/log.h"

#include "sources/sources_internal.h"
#include "support/fake_source_table.h"

#define BENCH_CPUS 128
#define NODES_MAX  8
#define STARTS_MAX 20000
#define SPINNERS   4 /* for each CPU of the machine */

/* Features of each scope, three statistics each: more than any model of ours reads. */
static const char *const features[] = {
	"node.ipc.mean",           "node.ipc.std",           "node.ipc.p95",
	"node.l2_miss_per_s.mean", "node.l2_miss_per_s.std", "node.l2_miss_per_s.p95",
	"node.l3_miss_per_s.mean", "node.l3_miss_per_s.std", "node.l3_miss_per_s.p95",
	"node.c0_ratio.mean",      "node.c0_ratio.std",      "node.c0_ratio.p95",
	"node_min.ipc.p5",         "node_max.c0_ratio.p95",  "node_spread.c0_ratio.mean",
	"node_max.busy_ratio.p95", "rest.ipc.mean",          "rest.l3_miss_per_s.p95",
	"peer.c0_ratio.mean",      "peer.l3_per_l2.mean",    "node.busy_ratio.mean",
	"node.steal_ratio.mean",   "node.cpu_psi_ratio.p95", "host.l3_occupancy_bytes.mean",
	"host.cpu_psi_ratio.mean", "host.io_psi_ratio.mean", "host.runnable_per_cpu.p95",
};

/* ---- a source of core counters that costs only the hand-over ---- */

struct fake {
	struct km_source base;
	struct km_sample_space space;
	int64_t last_ns;
	uint64_t turn;
};

static int fake_open(const struct km_source_args *args, struct km_source **out, struct km_err *err)
{
	struct fake *f = calloc(1, sizeof(*f));

	(void)args;
	(void)err;
	if (f == NULL) {
		abort();
	}
	*out = &f->base;
	return 0;
}

static int fake_read(struct km_source *s, int64_t now_ns, km_sample_fn *emit, void *ctx,
                     struct km_err *err)
{
	static const enum km_count counted[] = { KM_COUNT_INSTRUCTIONS, KM_COUNT_CYCLES,
		                                 KM_COUNT_L2_MISS,      KM_COUNT_L3_MISS,
		                                 KM_COUNT_C0_NS,        KM_COUNT_C1_NS,
		                                 KM_COUNT_C6_NS,        KM_COUNT_CONTEXT_SWITCHES };
	struct fake *f = (struct fake *)s;
	double elapsed_ns = (double)(now_ns - f->last_ns);

	(void)err;
	if (f->last_ns != 0) {
		if (km_sample_space_reset(&f->space, BENCH_CPUS) != 0) {
			abort();
		}
		f->turn++;
		for (size_t cpu = 0; cpu < BENCH_CPUS; cpu++) {
			double *v = f->space.cpu + cpu * KM_COUNT_CPU_N;
			double level = (double)((f->turn * 7 + cpu) % 13 + 1) / 14;

			for (size_t i = 0; i < KM_ARRAY_LEN(counted); i++) {
				v[counted[i]] = elapsed_ns * level / (double)(i + 1);
			}
		}
		f->space.sample.start_ns = f->last_ns;
		f->space.sample.end_ns = now_ns;
		emit(ctx, &f->space.sample);
	}
	f->last_ns = now_ns;
	return KM_SOURCE_LIVE;
}

static void fake_close(struct km_source *s)
{
	km_sample_space_fini(&((struct fake *)s)->space);
	free(s);
}

static void fake_stats(const struct km_source *s, struct km_source_stats *out)
{
	memset(out, 0, sizeof(*out));
	out->rows = ((const struct fake *)s)->turn;
}

static const struct km_source_ops fake_core = { .name = "fake",
	                                        .help = "",
	                                        .live = true,
	                                        .open = fake_open,
	                                        .read = fake_read,
	                                        .close = fake_close,
	                                        .stats = fake_stats };
const struct km_source_ops *const fake_source_table[] = { &fake_core, &km_source_resctrl,
	                                                  &km_source_os, NULL };

/* ---- the constructed host ---- */

static void put(const char *root, const char *path, const char *text)
{
	char full[256];
	FILE *f;

	(void)snprintf(full, sizeof(full), "%s/%s", root, path);
	for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(full, 0700); /* there already, as a rule */
		*slash = '/';
	}
	f = fopen(full, "w");
	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0) {
		perror(full);
		exit(1);
	}
}

static void put_stat(const char *root)
{
	struct km_buf text;

	km_buf_init(&text);
	km_buf_str(&text, "cpu  1 2 3 4 5 6 7 8 0 0\n");
	for (int cpu = 0; cpu < BENCH_CPUS; cpu++) {
		km_buf_printf(&text, "cpu%d %d 310 88012 90213388 1203 0 4410 0 0 0\n", cpu,
		              1200345 + cpu);
	}
	km_buf_str(&text, "intr 998877");
	for (int i = 0; i < 1000; i++) {
		km_buf_printf(&text, " %d", i % 3 == 0 ? 120034 + i : 0);
	}
	km_buf_str(&text, "\nctxt 88776655\nbtime 1700000000\nprocesses 71234\n"
	                  "procs_running 3\nprocs_blocked 0\n");
	put(root, "proc/stat", km_buf_cstr(&text));
	km_buf_fini(&text);
}

static void put_host(const char *root)
{
	static const char pressure[] = "some avg10=0.60 avg60=0.20 avg300=0.19 total=5698625\n"
				       "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
	static const char *const kinds[] = { "cpu", "memory", "io" };
	char path[96];

	put_stat(root);
	for (size_t i = 0; i < KM_ARRAY_LEN(kinds); i++) {
		(void)snprintf(path, sizeof(path), "proc/pressure/%s", kinds[i]);
		put(root, path, pressure);
		for (int n = 0; n < NODES_MAX; n++) {
			(void)snprintf(path, sizeof(path), "cg/node%d/%s.pressure", n, kinds[i]);
			put(root, path, pressure);
		}
	}
	for (int n = 0; n < NODES_MAX; n++) {
		(void)snprintf(path, sizeof(path), "cg/node%d/cpu.stat", n);
		put(root, path, "usage_usec 1\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n");
	}
	put(root, "resctrl/info/L3_MON/mon_features",
	    "llc_occupancy\nmbm_total_bytes\nmbm_local_bytes\n");
	put(root, "resctrl/info/L3_MON/num_rmids", "256\n");
	for (int domain = 0; domain < 2; domain++) {
		static const char *const files[] = { "llc_occupancy", "mbm_total_bytes",
			                             "mbm_local_bytes" };

		for (size_t i = 0; i < KM_ARRAY_LEN(files); i++) {
			(void)snprintf(path, sizeof(path), "resctrl/mon_data/mon_L3_%02d/%s",
			               domain, files[i]);
			put(root, path, "123456789\n");
		}
	}
}

/* ---- one run ---- */

/* The clock the agent stamps with; it notes when each tick asks it first. */
struct noting_clock {
	struct km_clock clock;
	int64_t interval_ns, last_ns;
	int64_t start_ns[STARTS_MAX];
	size_t count;
};

static int64_t noting_mono(void *ctx)
{
	struct noting_clock *c = ctx;
	int64_t now_ns = km_clock_mono_ns(km_clock_system());

	/* within a tick it is asked again after micro- or milliseconds, a tick after an interval */
	if (now_ns - c->last_ns > c->interval_ns / 2 && c->count < STARTS_MAX) {
		c->start_ns[c->count++] = now_ns;
	}
	c->last_ns = now_ns;
	return now_ns;
}

static int64_t noting_wall(void *ctx)
{
	(void)ctx;
	return km_clock_wall_ns(km_clock_system());
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

/*
 * How late ticks began. They are due on a grid; where it lies is told by the longest stretch of the
 * interval in which no tick ever began: it ends where they are due. Percentile in ms.
 */
static double lateness_ms(const struct noting_clock *c, double percentile)
{
	static double phase[STARTS_MAX];
	double interval = (double)c->interval_ns;
	size_t count = c->count - 1; /* the first is when the agent was made */
	double due;
	double widest;

	for (size_t i = 0; i < count; i++) {
		phase[i] = fmod((double)(c->start_ns[i + 1] - c->start_ns[1]), interval);
	}
	qsort(phase, count, sizeof(phase[0]), by_value);
	due = phase[0];
	widest = phase[0] + interval - phase[count - 1];
	for (size_t i = 1; i < count; i++) {
		if (phase[i] - phase[i - 1] > widest) {
			widest = phase[i] - phase[i - 1];
			due = phase[i];
		}
	}
	for (size_t i = 0; i < count; i++) {
		phase[i] = fmod(phase[i] - due + interval, interval);
	}
	qsort(phase, count, sizeof(phase[0]), by_value);
	return phase[(size_t)(percentile * (double)(count - 1))] * 1e-6;
}

static double cpu_s(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) != 0) {
		abort();
	}
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static long rss_kib(void)
{
	char line[128];
	long kib = -1;
	FILE *f = fopen("/proc/self/status", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "VmRSS:", 6) == 0) {
			kib = strtol(line + 6, NULL, 10);
		}
	}
	if (f != NULL) {
		(void)fclose(f);
	}
	return kib;
}

static void ignore(void *ctx, struct km_host_features *const *hosts, size_t host_count)
{
	(void)ctx;
	(void)hosts;
	(void)host_count;
}

static void sleep_s(double seconds)
{
	struct timespec left = { .tv_sec = (time_t)seconds,
		                 .tv_nsec = (long)((seconds - floor(seconds)) * 1e9) };

	while (nanosleep(&left, &left) != 0) {
	}
}

/* Busy processes, four for each CPU of the machine: nowhere to hide. */
enum load {
	LOAD_NONE,
	LOAD_SAME,  /* in the scheduling group of this process */
	LOAD_OTHER, /* all in one other group, as in another service or container */
	LOAD_EACH,  /* each in a group of its own */
};

struct run {
	const char *name;
	double interval_s;
	size_t nodes;
	enum load load;
	const char *sources[4];
	double share; /* of the seconds wanted */
};

static void settle(struct km_settings *s, const struct run *run, const char *root)
{
	char path[128];

	memset(s, 0, sizeof(*s));
	s->collect.interval_ns = (int64_t)(run->interval_s * 1e9);
	s->collect.window_s = 60;
	(void)snprintf(path, sizeof(path), "%s/proc", root);
	s->collect.live.procfs = strdup(path);
	(void)snprintf(path, sizeof(path), "%s/resctrl", root);
	s->collect.live.resctrl = strdup(path);
	(void)snprintf(path, sizeof(path), "%s/cg", root);
	s->collect.live.cgroupfs = strdup(path);
	s->collect.live.sysfs = strdup(root);
	s->node = calloc(run->nodes, sizeof(s->node[0]));
	s->collect.source = calloc(4, sizeof(s->collect.source[0]));
	if (s->node == NULL || s->collect.source == NULL) {
		abort();
	}
	for (size_t n = 0; n < run->nodes; n++) {
		struct km_node_settings *node = &s->node[s->node_count++];

		(void)snprintf(node->name, sizeof(node->name), "node%zu", n);
		node->cgroup = strdup(node->name);
		node->cpus_given = true;
		for (size_t cpu = n; cpu < BENCH_CPUS; cpu += run->nodes) {
			km_cpuset_add(&node->cpus, (unsigned)cpu);
		}
	}
	for (; run->sources[s->collect.source_count] != NULL; s->collect.source_count++) {
		(void)snprintf(s->collect.source[s->collect.source_count].kind,
		               sizeof(s->collect.source[0].kind), "%s",
		               run->sources[s->collect.source_count]);
	}
}

static void measure(const struct run *run, const char *root, double seconds)
{
	static struct noting_clock noting;
	struct km_agent_source_status status[4];
	struct km_settings settings;
	struct km_schema *schema;
	struct km_metrics *metrics;
	struct km_agent *agent;
	struct km_err err = { .code = 0 };
	double used_s;
	long rss;

	settle(&settings, run, root);
	memset(&noting, 0, sizeof(noting));
	noting.clock = (struct km_clock){ noting_mono, noting_wall, &noting };
	noting.interval_ns = settings.collect.interval_ns;
	if (km_schema_create(features, KM_ARRAY_LEN(features), 60, 5, &schema, &err) != 0 ||
	    km_metrics_create(&metrics, &err) != 0 ||
	    km_agent_create(&settings, schema, &noting.clock, metrics,
	                    (struct km_agent_sink){ ignore, NULL }, &agent, &err) != 0 ||
	    km_agent_start(agent, &err) != 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	sleep_s(2); /* opened, baselines taken, windows laid out */
	for (size_t i = 0; i < km_agent_sources(agent, status, 4); i++) {
		if (status[i].state != KM_SOURCE_LIVE) {
			(void)fprintf(stderr, "%s: %s\n", status[i].source, status[i].detail);
			exit(1);
		}
	}
	used_s = cpu_s();
	sleep_s(seconds);
	used_s = cpu_s() - used_s;
	rss = rss_kib();
	km_agent_free(agent); /* its thread has ended: what it noted may be read */
	printf("| %s | %.3f %% | %.0f | %ld | %zu | %.2f | %.2f | %.2f |\n", run->name,
	       used_s / seconds * 100, used_s / seconds * run->interval_s * 1e6, rss,
	       noting.count - 1, lateness_ms(&noting, 0.5), lateness_ms(&noting, 0.99),
	       lateness_ms(&noting, 1));
	(void)fflush(stdout);
	km_metrics_free(metrics);
	km_schema_unref(schema);
	km_settings_fini(&settings);
}

/*
 * Busy loops at normal priority below a process of their own, which is returned, and gone with it.
 * A session is a scheduling group where kernel.sched_autogroup_enabled is 1.
 */
static pid_t start_load(enum load load)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN) * SPINNERS;
	pid_t pid = fork();

	if (pid != 0) {
		return pid;
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (load != LOAD_SAME) {
		(void)setsid();
	}
	for (long i = 0; i < count; i++) {
		if (fork() != 0) {
			continue;
		}
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (load == LOAD_EACH) {
			(void)setsid();
		}
		for (volatile unsigned long turns = 0;; turns++) {
		}
	}
	for (;;) {
		(void)pause();
	}
}

#define CORE                                                                                       \
	{                                                                                          \
		"fake", "resctrl", "os"                                                            \
	}

int main(void)
{
	static const struct run runs[] = {
		{ "os alone, 1 node, 1 s", 1, 1, LOAD_NONE, { "os" }, 0.34 },
		{ "core + resctrl + os, 1 node, 1 s", 1, 1, LOAD_NONE, CORE, 1 },
		{ "the same, 8 nodes", 1, 8, LOAD_NONE, CORE, 0.34 },
		{ "the same, 1 node, 0.1 s", 0.1, 1, LOAD_NONE, CORE, 0.34 },
		{ "the same, loaded by its own group", 0.1, 1, LOAD_SAME, CORE, 1 },
		{ "the same, loaded by one other", 0.1, 1, LOAD_OTHER, CORE, 1 },
		{ "the same, loaded by many others", 0.1, 1, LOAD_EACH, CORE, 1 },
	};
	const char *wish = getenv("BENCH_AGENT_SECONDS");
	double seconds = wish != NULL ? strtod(wish, NULL) : 60;
	char root[] = "/tmp/km-bench-agent-XXXXXX";
	char command[64];

	if (mkdtemp(root) == NULL || !(seconds > 0)) {
		return 1;
	}
	put_host(root);
	printf("%d CPUs, real time. CPU: of one core, the whole process.\n\n", BENCH_CPUS);
	printf("| sources, nodes, interval | CPU | us per tick | RSS KiB | ticks | late ms p50 | "
	       "p99 | "
	       "most |\n| --- | --: | --: | --: | --: | --: | --: | --: |\n");
	for (size_t i = 0; i < KM_ARRAY_LEN(runs); i++) {
		pid_t load = runs[i].load != LOAD_NONE ? start_load(runs[i].load) : 0;

		measure(&runs[i], root, seconds * runs[i].share);
		if (load > 0) {
			(void)kill(load, SIGKILL);
			(void)waitpid(load, NULL, 0);
		}
	}
	(void)snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command) == 0 ? 0 : 1;
}
