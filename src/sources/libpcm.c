/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seven functions of libpcm's C interface, in the only order that is safe: events, init, its
 * result, start, and then stop and getters again and again. There is no header for them; these
 * declarations are ours.
 *
 * Started once, stopped many times: the getters then give counts since the start, and whoever
 * misses a reading misses no count. (The interface is made for start, stop, start, stop; but start
 * and stop only remember the counters, and every start would leave a gap and cost as much as a
 * stop.)
 */
#include "km/sources/libpcm.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "km/base/clock.h"

/* Of a small file of the kernel: a CPU list of 1,024 CPUs, at its worst every second one. */
#define SMALL_FILE_BYTES 4096

struct functions {
	int (*build_core_event)(uint8_t slot, const char *event); /* 0, or -1; may abort */
	int (*init)(void);                                        /* 0, or -1 */
	void (*start)(void);
	void (*stop)(void);
	/* after a successful init only, and for cores it found: no index is checked */
	uint64_t (*get_cycles)(uint32_t core);
	uint64_t (*get_instr)(uint32_t core);
	uint64_t (*get_core_event)(uint32_t core, uint32_t slot);
};

struct km_libpcm {
	char *procfs, *sysfs;
	struct functions f;
	struct km_pcm_cpu cpu;
	struct km_pcm_events events;
	uint32_t cpu_count;
	uint64_t sequence;
	unsigned zero_readings;           /* in a row */
	uint32_t seen;                    /* KM_PCM_HAS_* of what has counted at least once */
	uint64_t last_cycles[KM_CPU_MAX]; /* of the reading before */
};

static const struct {
	const char *name, *value;
} environment[] = {
	/* Without it pcm_c_init zeroes the event registers of every CPU, whoever programmed them;
	 * with it libpcm goes through perf, where the kernel keeps users apart. */
	{ "PCM_NO_MSR", "1" },
	{ "PCM_USE_UNCORE_PERF", "1" },
	{ "PCM_KEEP_NMI_WATCHDOG", "1" },
	{ "PCM_NO_RDT", "1" }, /* its monitoring groups collide with other users of resctrl */
};

void km_libpcm_environment_set(void)
{
	/* NOLINTBEGIN(concurrency-mt-unsafe): the caller has one thread */
	for (size_t i = 0; i < KM_ARRAY_LEN(environment); i++) {
		(void)setenv(environment[i].name, environment[i].value, 1);
	}
	(void)unsetenv("PCM_NO_PERF");
	/* NOLINTEND(concurrency-mt-unsafe) */
}

int km_libpcm_environment_check(struct km_err *err)
{
	for (size_t i = 0; i < KM_ARRAY_LEN(environment); i++) {
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets variables while we run */
		const char *value = getenv(environment[i].name);

		if (value == NULL || strcmp(value, environment[i].value) != 0) {
			return km_err_set(
				err, EPERM,
				"isolation thread: environment %s is \"%.20s\", wanted %s: "
				"libpcm in this process would disturb others",
				environment[i].name, value != NULL ? value : "",
				environment[i].value);
		}
	}
	return 0;
}

static int find_functions(void *library, struct functions *f, struct km_err *err)
{
	static const struct {
		const char *name;
		size_t at;
	} wanted[] = {
		{ "pcm_c_build_core_event", offsetof(struct functions, build_core_event) },
		{ "pcm_c_init", offsetof(struct functions, init) },
		{ "pcm_c_start", offsetof(struct functions, start) },
		{ "pcm_c_stop", offsetof(struct functions, stop) },
		{ "pcm_c_get_cycles", offsetof(struct functions, get_cycles) },
		{ "pcm_c_get_instr", offsetof(struct functions, get_instr) },
		{ "pcm_c_get_core_event", offsetof(struct functions, get_core_event) },
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(wanted); i++) {
		void *symbol = dlsym(library, wanted[i].name);

		if (symbol == NULL) {
			return km_err_set(err, ENOENT, "libpcm has no %s: not a library we know",
			                  wanted[i].name);
		}
		/* POSIX: a function's address fits a void *, and C has no cast for it */
		memcpy((char *)f + wanted[i].at, &symbol, sizeof(symbol));
	}
	return 0;
}

int km_libpcm_load(const struct km_libpcm_options *options, struct km_libpcm **out,
                   struct km_err *err)
{
	const char *file = options->file[0] != '\0' ? options->file : "libpcm.so";
	struct km_libpcm *p = calloc(1, sizeof(*p));
	void *library;
	int ret;

	*out = NULL;
	if (p == NULL) {
		return km_err_set(err, ENOMEM, "libpcm: out of memory");
	}
	/* copies: a thread that hangs in libpcm may outlive the settings */
	p->procfs = strdup(options->procfs);
	p->sysfs = strdup(options->sysfs);
	if (p->procfs == NULL || p->sysfs == NULL) {
		km_libpcm_free(p);
		return km_err_set(err, ENOMEM, "libpcm: out of memory");
	}
	km_pcm_cpu_identify(&p->cpu);
	ret = km_pcm_events_find(&p->cpu, &p->events, err);
	if (ret == 0) {
		library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
		if (library == NULL) {
			const char *why = dlerror(); /* NOLINT: glibc keeps it per thread */

			ret = km_err_set(err, ENOENT, "libpcm: %.160s", why != NULL ? why : file);
		} else {
			ret = find_functions(library, &p->f, err);
		}
	}
	if (ret != 0) {
		km_libpcm_free(p);
		return ret;
	}
	*out = p;
	return 0;
}

const struct km_pcm_events *km_libpcm_events(const struct km_libpcm *p)
{
	return &p->events;
}

const struct km_pcm_cpu *km_libpcm_cpu(const struct km_libpcm *p)
{
	return &p->cpu;
}

void km_libpcm_free(struct km_libpcm *p)
{
	if (p == NULL) {
		return;
	}
	free(p->procfs);
	free(p->sysfs);
	free(p);
}

/* returns 0 with the text, its newline cut off; or a negative errno. */
static int read_small(const char *root, const char *name, char text[static SMALL_FILE_BYTES])
{
	char path[512];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return -errno;
	}
	n = read(fd, text, SMALL_FILE_BYTES - 1);
	close(fd);
	if (n < 0) {
		return -EIO;
	}
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

static int read_cpus(const struct km_libpcm *p, const char *name, struct km_cpuset *out,
                     struct km_err *err)
{
	char path[64];
	char text[SMALL_FILE_BYTES];
	int ret;

	(void)snprintf(path, sizeof(path), "devices/system/cpu/%s", name);
	ret = read_small(p->sysfs, path, text);
	if (ret != 0) {
		return km_err_errno(err, -ret, "%.80s/%s", p->sysfs, path);
	}
	return km_cpuset_parse(text, out, err);
}

/* libpcm sizes its arrays by the highest CPU that is present when it starts. */
static int count_cpus(const struct km_libpcm *p, uint32_t *out, struct km_err *err)
{
	struct km_cpuset present;
	int ret = read_cpus(p, "present", &present, err);

	if (ret != 0) {
		return ret;
	}
	*out = 0;
	km_cpuset_each (cpu, &present) {
		*out = cpu + 1;
	}
	return *out > 0 ? 0 : km_err_set(err, ENOENT, "no CPU is present");
}

#define NMI_WATCHDOG "sys/kernel/nmi_watchdog"

static void put_back_watchdog(const struct km_libpcm *p, const char *before)
{
	char now[SMALL_FILE_BYTES];
	char path[512];
	int fd;

	if (before[0] == '\0' || read_small(p->procfs, NMI_WATCHDOG, now) != 0 ||
	    strcmp(now, before) == 0) {
		return;
	}
	(void)snprintf(path, sizeof(path), "%s/" NMI_WATCHDOG, p->procfs);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, before, strlen(before)); /* no right to: nothing else to try */
		close(fd);
	}
}

static int program_events(const struct km_libpcm *p, struct km_err *err)
{
	for (uint8_t slot = 0; slot < KM_PCM_SLOTS; slot++) {
		char *event;
		int rc;

		if (p->events.event[slot] == NULL) {
			continue;
		}
		/* libpcm cuts the string up in place: it must be ours to lose */
		event = strdup(p->events.event[slot]);
		if (event == NULL) {
			return km_err_set(err, ENOMEM, "libpcm: out of memory");
		}
		rc = p->f.build_core_event(slot, event);
		free(event);
		if (rc != 0) {
			return km_err_set(err, EINVAL, "libpcm refuses event %u, %s", slot,
			                  p->events.event[slot]);
		}
	}
	return 0;
}

int km_libpcm_start(struct km_libpcm *p, struct km_err *err)
{
	char watchdog[SMALL_FILE_BYTES] = "";
	struct rlimit files;
	uint32_t after = 0;
	int rc;
	int ret = count_cpus(p, &p->cpu_count, err);

	if (ret == 0) {
		ret = program_events(p, err);
	}
	if (ret != 0) {
		return ret;
	}
	if (read_small(p->procfs, NMI_WATCHDOG, watchdog) != 0) {
		watchdog[0] = '\0';
	}
	(void)getrlimit(RLIMIT_NOFILE, &files);
	rc = p->f.init();
	put_back_watchdog(p, watchdog);
	(void)setrlimit(RLIMIT_NOFILE, &files); /* what it has open stays open */
	if (rc != 0) {
		return km_err_set(err, EACCES, "pcm_c_init says %d, wanted 0", rc);
	}
	/* a CPU that came while it initialised may or may not be in its arrays */
	ret = count_cpus(p, &after, err);
	if (ret != 0) {
		return ret;
	}
	p->cpu_count = after < p->cpu_count ? after : p->cpu_count;
	p->f.start();
	return 0;
}

static uint64_t sum_slots(const struct km_libpcm *p, uint32_t cpu, unsigned slots)
{
	uint64_t sum = 0;

	for (uint32_t slot = 0; slot < KM_PCM_SLOTS; slot++) {
		if ((slots & (1U << slot)) != 0) {
			sum += p->f.get_core_event(cpu, slot);
		}
	}
	return sum;
}

/* Nobody reads the counters of a CPU without spending cycles on it: none means not measured. */
static void read_cpu(struct km_libpcm *p, uint32_t cpu, struct km_pcm_reading *out)
{
	struct km_pcm_counts *c = &out->cpu[cpu];

	c->cycles = p->f.get_cycles(cpu);
	c->instructions = p->f.get_instr(cpu);
	c->l2_miss = sum_slots(p, cpu, p->events.l2_slots);
	c->l3_miss = sum_slots(p, cpu, p->events.l3_slots);
	if (c->cycles != p->last_cycles[cpu]) {
		km_cpuset_add(&out->measured, cpu);
		p->seen |= c->l2_miss != 0 ? KM_PCM_HAS_L2 : 0;
		p->seen |= c->l3_miss != 0 ? KM_PCM_HAS_L3 : 0;
	}
	p->last_cycles[cpu] = c->cycles;
}

int km_libpcm_read(struct km_libpcm *p, struct km_pcm_reading *out, struct km_err *err)
{
	struct km_cpuset online;

	if (read_cpus(p, "online", &online, err) != 0) {
		memset(&online, 0xff, sizeof(online)); /* the counts themselves will tell */
	}
	memset(&out->measured, 0, sizeof(out->measured));
	p->f.stop();
	out->time_ns = km_clock_mono_ns(km_clock_system());
	out->sequence = ++p->sequence;
	out->cpu_count = p->cpu_count;
	for (uint32_t cpu = 0; cpu < p->cpu_count; cpu++) {
		if (km_cpuset_has(&online, cpu)) {
			read_cpu(p, cpu, out);
		} else {
			memset(&out->cpu[cpu], 0, sizeof(out->cpu[cpu]));
		}
	}
	/* An event that has never counted anywhere is one this machine does not count. */
	out->counted = p->seen;
	p->zero_readings = km_cpuset_count(&out->measured) > 0 ? 0 : p->zero_readings + 1;
	if (p->zero_readings >= KM_LIBPCM_ZERO_READINGS) {
		return km_err_set(err, ENODATA,
		                  "silent zeros: %u readings without a cycle on any of %u CPUs",
		                  p->zero_readings, p->cpu_count);
	}
	return 0;
}
