/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who stresses better cannot be read from two programs' own units: what an operation is differs. So
 * both are judged by what they do to a neighbour, too, which works at the same place with a fixed
 * kernel, alone and beside each.
 */
#include "stress_compare.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "km/base/clock.h"
#include "km/base/macros.h"
#include "km/command/table.h"
#include "km/wire/stress_report.h"

#include "lab_internal.h"

#define PROGRAM    "stress-ng"
#define PRESET_S   2.0
#define REPORT_FD  3
#define REPORT_MAX 65536
#define WORDS_MAX  16

/* stress-ng's nearest: one instance for each CPU of the set. */
static const struct {
	const char *stressor[3]; /* options that take a count */
	const char *more;        /* one more option with its value, or NULL */
	const char *value;
} nearest[KM_STRESS_KIND_N] = {
	[KM_STRESS_CPU] = { { "--cpu" }, "--cpu-method", "int64double" },
	[KM_STRESS_L2] = { { "--cache" }, "--cache-level", "2" },
	[KM_STRESS_L3] = { { "--cache" }, "--cache-level", "3" },
	[KM_STRESS_MEMBW] = { { "--stream" }, NULL, NULL },
	[KM_STRESS_MIXED] = { { "--cpu", "--cache", "--stream" }, NULL, NULL },
};

struct measured {
	struct km_stress_result stressor;
	double bogo_ops_per_s; /* stress-ng's */
	double neighbour;      /* operations per second of its CPU time; NaN = there is none */
};

/* What stress-ng is called with; texts live as long as this. */
struct call {
	char *argv[WORDS_MAX];
	char word[WORDS_MAX][32];
	struct km_buf cpus; /* a list of many is no word */
	size_t words;
};

const char *lab_rate(double value, const char *unit, char *out, size_t size)
{
	static const char *const prefix[] = { "", "k", "M", "G", "T" };
	size_t i = 0;

	out[0] = '\0';
	if (isnan(value))
		return out;
	for (; value >= 1000 && i + 1 < KM_ARRAY_LEN(prefix); i++)
		value /= 1000;
	(void)snprintf(out, size, "%.*f %s%s",
	               value < 10    ? 2
	               : value < 100 ? 1
	                             : 0,
	               value, prefix[i], unit);
	return out;
}

static void add_text(struct call *call, char *text)
{
	if (call->words + 1 < WORDS_MAX) {
		call->argv[call->words++] = text;
		call->argv[call->words] = NULL;
	}
}

static void add_word(struct call *call, const char *word)
{
	char *to = call->word[call->words];

	(void)snprintf(to, sizeof(call->word[0]), "%s", word);
	add_text(call, to);
}

static void add_option(struct call *call, const char *option, const char *value)
{
	add_word(call, option);
	add_word(call, value);
}

static void make_call(const struct km_stress_options *o, double seconds, struct call *call)
{
	char count[16];
	char timeout[24];
	char load[16];

	memset(call, 0, sizeof(*call));
	km_buf_init(&call->cpus);
	km_cpuset_format(o->cpus, &call->cpus);
	(void)snprintf(count, sizeof(count), "%u", km_cpuset_count(o->cpus));
	(void)snprintf(timeout, sizeof(timeout), "%.0fs", ceil(seconds));
	(void)snprintf(load, sizeof(load), "%u", o->level_pct);
	add_word(call, PROGRAM);
	for (size_t i = 0; i < KM_ARRAY_LEN(nearest[0].stressor); i++) {
		if (nearest[o->kind].stressor[i] != NULL)
			add_option(call, nearest[o->kind].stressor[i], count);
	}
	if (nearest[o->kind].more != NULL)
		add_option(call, nearest[o->kind].more, nearest[o->kind].value);
	if (o->kind == KM_STRESS_CPU) /* the others are all or nothing */
		add_option(call, "--cpu-load", load);
	(void)km_buf_cstr(&call->cpus); /* ends it with NUL */
	add_word(call, "--taskset");
	add_text(call, call->cpus.data);
	add_option(call, "--timeout", timeout);
	add_word(call, "--metrics");
	add_option(call, "--yaml", "/dev/fd/3");
}

/* Standard output and error go nowhere; its report to a file in memory. returns 0 or an errno. */
static int spawn(struct call *call, int report, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	int rc = posix_spawn_file_actions_init(&files);

	if (rc != 0)
		return rc;
	rc = posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	rc = rc != 0 ? rc : posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
	rc = rc != 0 ? rc : posix_spawn_file_actions_adddup2(&files, report, REPORT_FD);
	rc = rc != 0 ? rc : posix_spawnp(pid, PROGRAM, &files, NULL, call->argv, environ);
	(void)posix_spawn_file_actions_destroy(&files);
	return rc;
}

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* The rate of its report; NaN when there is none. */
static double bogo_ops(int report)
{
	char text[REPORT_MAX];
	ssize_t n = pread(report, text, sizeof(text), 0);

	return n > 0 ? km_stress_ng_decode(text, (size_t)n) : NAN;
}

/* Runs it to its end, which its own --timeout brings. */
static int run_theirs(const struct km_stress_options *o, double seconds, struct measured *out,
                      struct km_err *err)
{
	const struct km_clock *clock = km_clock_system();
	int64_t start_ns = km_clock_mono_ns(clock);
	struct rusage used = { .ru_nvcsw = 0 };
	struct call call;
	int report = memfd_create("stress-ng", MFD_CLOEXEC);
	int status = 0;
	pid_t pid;
	int rc;

	if (report < 0)
		return km_err_errno(err, errno, "a file in memory");
	make_call(o, seconds, &call);
	rc = km_buf_ok(&call.cpus) ? spawn(&call, report, &pid) : ENOMEM;
	if (rc == ENOENT)
		rc = km_err_set(err, rc, PROGRAM " is not installed: apt-get install " PROGRAM);
	else if (rc != 0)
		rc = km_err_errno(err, rc, "starting " PROGRAM);
	else if (wait4(pid, &status, 0, &used) != pid)
		rc = km_err_errno(err, errno, "waiting for " PROGRAM);
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		rc = km_err_set(err, EIO, PROGRAM " failed: status %d, want 0", status);
	if (rc == 0) {
		double wall = (double)(km_clock_mono_ns(clock) - start_ns) / (double)KM_NS_PER_S;

		out->stressor.duty_ratio = (seconds_of(used.ru_utime) + seconds_of(used.ru_stime)) /
		                           wall / km_cpuset_count(o->cpus);
		out->bogo_ops_per_s = o->kind == KM_STRESS_MIXED ? NAN : bogo_ops(report);
	}
	km_buf_fini(&call.cpus);
	close(report);
	return rc;
}

static void pass(double seconds)
{
	struct timespec t = { .tv_sec = (time_t)seconds,
		              .tv_nsec = (long)(fmod(seconds, 1.0) * (double)KM_NS_PER_S) };

	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		continue;
}

static int run_ours(const struct km_stress_options *o, double seconds, struct measured *out,
                    struct km_err *err)
{
	struct km_stress *s;
	int rc = km_stress_start(o, &s, err);

	if (rc != 0)
		return rc;
	pass(seconds);
	km_stress_stop(s, &out->stressor);
	return 0;
}

static int run_nobody(const struct km_stress_options *o, double seconds, struct measured *out,
                      struct km_err *err)
{
	(void)o;
	(void)out;
	(void)err;
	pass(seconds);
	return 0;
}

typedef int run_fn(const struct km_stress_options *o, double seconds, struct measured *out,
                   struct km_err *err);

/* Somebody stresses while the neighbour, if there is one, works; it begins and ends with them. */
static int measure(const struct lab_compare *c, const struct km_cpuset *beside, run_fn *run,
                   struct measured *out, struct km_err *err)
{
	struct km_stress_options neighbour = c->stress;
	struct km_stress_result result;
	struct km_stress *n = NULL;
	int rc = 0;

	*out = (struct measured){ .bogo_ops_per_s = NAN, .neighbour = NAN };
	neighbour.cpus = beside;
	neighbour.level_pct = KM_STRESS_LEVEL_MAX;
	if (km_cpuset_count(beside) > 0)
		rc = km_stress_start(&neighbour, &n, err);
	if (rc == 0)
		rc = run(&c->stress, c->seconds, out, err);
	if (n != NULL) {
		km_stress_stop(n, &result);
		/* of its own CPU time: who else wants that CPU does not count */
		out->neighbour = result.ops_per_s / result.duty_ratio;
	}
	return rc;
}

static void add_row(struct km_table *t, const char *kind, const char *by, const struct measured *m,
                    double alone)
{
	bool theirs = strcmp(by, PROGRAM) == 0;
	char cell[64];

	km_table_cell(t, kind);
	km_table_cell(t, by);
	(void)snprintf(cell, sizeof(cell), "%.0f %%", m->stressor.duty_ratio * 100);
	km_table_cell(t, cell);
	km_table_cell(t, theirs ? lab_rate(m->bogo_ops_per_s, "bogo ops/s", cell, sizeof(cell))
	                        : lab_rate(m->stressor.ops_per_s, "ops/s", cell, sizeof(cell)));
	km_table_cell(t,
	              theirs ? "" : lab_rate(m->stressor.bytes_per_s, "B/s", cell, sizeof(cell)));
	(void)snprintf(cell, sizeof(cell), "%.1f %%", m->neighbour / alone * 100);
	km_table_cell(t, isnan(m->neighbour) ? "" : cell);
}

/* One kind, two rows. */
static int compare_kind(struct lab_compare *c, const struct km_cpuset *beside, struct km_table *t,
                        struct km_err *err)
{
	const char *kind = km_stress_kind_name(c->stress.kind);
	struct measured alone;
	struct measured ours;
	struct measured theirs;
	int rc;

	if ((rc = measure(c, beside, run_nobody, &alone, err)) != 0 ||
	    (rc = measure(c, beside, run_ours, &ours, err)) != 0 ||
	    (rc = measure(c, beside, run_theirs, &theirs, err)) != 0)
		return rc;
	add_row(t, kind, "kubemarla-lab", &ours, alone.neighbour);
	add_row(t, kind, PROGRAM, &theirs, alone.neighbour);
	return 0;
}

/* The neighbour's CPU, or none: then that column stays empty. */
static int find_neighbour(const struct lab_compare *c, struct km_cpuset *out, struct km_err *err)
{
	struct km_cpuset allowed;
	int rc;

	memset(out, 0, sizeof(*out));
	if (c->has_neighbour) {
		km_cpuset_add(out, c->neighbour);
		return 0;
	}
	rc = km_stress_allowed(&allowed, err);
	if (rc != 0)
		return rc;
	km_cpuset_each (cpu, &allowed) {
		if (!km_cpuset_has(c->stress.cpus, cpu)) {
			km_cpuset_add(out, cpu);
			return 0;
		}
	}
	return 0;
}

int lab_compare(const struct lab_compare *wanted)
{
	static const struct km_table_column columns[] = {
		{ .title = "KIND" },
		{ .title = "BY" },
		{ .title = "HAD CPU", .right = true },
		{ .title = "WORK", .right = true },
		{ .title = "MOVED", .right = true },
		{ .title = "NEIGHBOUR", .right = true },
	};
	struct lab_compare c = *wanted;
	struct km_err err = { .code = 0 };
	struct km_cpuset beside;
	struct km_table table;
	int rc = find_neighbour(&c, &beside, &err);

	c.seconds = isnan(c.seconds) ? PRESET_S : c.seconds;
	km_table_init(&table, columns, KM_ARRAY_LEN(columns));
	for (int k = 0; rc == 0 && k < KM_STRESS_KIND_N; k++) {
		if (!c.all_kinds && k != (int)wanted->stress.kind)
			continue;
		c.stress.kind = (enum km_stress_kind)k;
		rc = compare_kind(&c, &beside, &table, &err);
	}
	if (rc == 0 && km_table_print(&table, stdout, km_table_terminal_width()) != 0)
		rc = km_err_set(&err, ENOMEM, "out of memory");
	if (rc == 0) {
		printf("\nOperations are each program's own. The neighbour works with our kernel "
		       "of that kind on %s:\nits pace beside each, by the CPU time it had, as a "
		       "share of its pace alone.\n",
		       km_cpuset_count(&beside) > 0 ? "another CPU"
		                                    : "no CPU (there is none left)");
	}
	km_table_fini(&table);
	return rc == 0 ? KM_COMMAND_OK : km_lab_tell(&err);
}
