/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla-lab stress KIND`: one stressor, until its time is over or somebody ends it. */
#include "km/stress/stress.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "km/base/clock.h"
#include "km/base/num.h"
#include "km/base/typo.h"
#include "km/wire/stress_report.h"

#include "lab_internal.h"
#include "stress_compare.h"

#define SECONDS_MAX 1e7
#define NEAR_MAX    3 /* letters wrong that still mean a kind */

static const char usage[] =
	"stress KIND [options]\n"
	"       kubemarla-lab stress --compare [KIND] [options]\n"
	"\n"
	"Keep a resource of this machine busy: cpu, l2, l3, membw or mixed. Says at its end, also\n"
	"when it is ended by a signal, what it achieved.\n"
	"\n"
	"  -i, --intensity N      share of the time at work in per cent, 0 to 100 (100)\n"
	"  -c, --cpus LIST        a thread on each, pinned (\"0-2,5\"; all that it may use)\n"
	"  -s, --seconds N        how long (until SIGTERM or Ctrl-C)\n"
	"      --json             the end's figures as one JSON object\n"
	"      --sysfs DIR        where sysfs is (/sys)\n"
	"      --compare          ours beside the nearest of stress-ng, and what each does to a\n"
	"                         neighbour; 2 seconds each, without KIND all of them\n"
	"      --neighbour CPU    for --compare: where the neighbour is (the next CPU)\n";

enum { OPT_JSON = 256, OPT_SYSFS, OPT_COMPARE, OPT_NEIGHBOUR };

struct request {
	struct lab_compare compare; /* its stress is that of the plain command, too */
	struct km_cpuset cpus;
	bool has_kind, comparing, json;
	const char *sysfs;
	double seconds; /* NaN: until ended */
};

static int bad(const char *option, const char *saw, const char *want)
{
	fprintf(stderr, "kubemarla-lab stress: %s: saw \"%.40s\", want %s\n", option, saw, want);
	return KM_COMMAND_USAGE;
}

static int unknown_kind(const char *text)
{
	const char *near = NULL;
	size_t fewest = NEAR_MAX;

	for (int i = 0; i < KM_STRESS_KIND_N; i++) {
		const char *known = km_stress_kind_name((enum km_stress_kind)i);
		size_t n = km_typos(text, strlen(text), known, strlen(known));

		/* not "xy" for "l2": something has to be right */
		if (n < fewest && n < strlen(known)) {
			fewest = n;
			near = known;
		}
	}
	fprintf(stderr, "kubemarla-lab stress: no kind \"%.40s\"", text);
	if (near != NULL)
		fprintf(stderr, ", did you mean %s?\n", near);
	else
		fprintf(stderr, ", want cpu, l2, l3, membw or mixed\n");
	return KM_COMMAND_USAGE;
}

static int take_cpus(const char *text, struct km_cpuset *out)
{
	struct km_err err = { .code = 0 };

	if (km_cpuset_parse(text, out, &err) != 0) {
		fprintf(stderr, "kubemarla-lab stress: --cpus: %s\n", err.text);
		return KM_COMMAND_USAGE;
	}
	return km_cpuset_count(out) > 0 ? KM_COMMAND_OK : bad("--cpus", text, "at least one CPU");
}

static int take_integer(const char *option, const char *text, int64_t most, const char *want,
                        unsigned *out)
{
	int64_t value;

	if (km_num_int(text, strlen(text), &value) != 0 || value < 0 || value > most)
		return bad(option, text, want);
	*out = (unsigned)value;
	return KM_COMMAND_OK;
}

static int take_option(struct request *q, int opt, const char *arg)
{
	switch (opt) {
	case 'i':
		return take_integer("--intensity", arg, KM_STRESS_LEVEL_MAX,
		                    "0 to 100, in per cent", &q->compare.stress.level_pct);
	case 'c':
		return take_cpus(arg, &q->cpus);
	case 's':
		if (km_num_double(arg, strlen(arg), &q->seconds) != 0 ||
		    !(q->seconds > 0 && q->seconds <= SECONDS_MAX))
			return bad("--seconds", arg, "a number over 0, 10000000 at most");
		return KM_COMMAND_OK;
	case OPT_JSON:
		q->json = true;
		return KM_COMMAND_OK;
	case OPT_SYSFS:
		q->sysfs = arg;
		return KM_COMMAND_OK;
	case OPT_COMPARE:
		q->comparing = true;
		return KM_COMMAND_OK;
	case OPT_NEIGHBOUR:
		q->compare.has_neighbour = true;
		return take_integer("--neighbour", arg, KM_CPU_MAX - 1, "a CPU's number",
		                    &q->compare.neighbour);
	default:
		return km_command_usage(usage, 0);
	}
}

/* returns -1 when there is something to do, else the exit code. */
static int parse(int argc, char **argv, struct request *q)
{
	static const struct option options[] = {
		{ "intensity", required_argument, NULL, 'i' },
		{ "cpus", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "sysfs", required_argument, NULL, OPT_SYSFS },
		{ "compare", no_argument, NULL, OPT_COMPARE },
		{ "neighbour", required_argument, NULL, OPT_NEIGHBOUR },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int kind;
	int opt;
	int rc;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread yet */
	while ((opt = getopt_long(argc, argv, "i:c:s:h", options, NULL)) != -1) {
		if (opt == 'h')
			return km_command_usage(usage, 1);
		rc = take_option(q, opt, optarg);
		if (rc != KM_COMMAND_OK)
			return rc;
	}
	q->has_kind = optind < argc;
	if (argc - optind > 1 || (!q->has_kind && !q->comparing))
		return km_command_usage(usage, 0);
	if (q->has_kind) {
		kind = km_stress_kind_parse(argv[optind]);
		if (kind < 0)
			return unknown_kind(argv[optind]);
		q->compare.stress.kind = (enum km_stress_kind)kind;
	}
	return -1;
}

/* Signals that end it; blocked from before the first thread. */
static void block_ends(sigset_t *ends)
{
	(void)sigemptyset(ends);
	(void)sigaddset(ends, SIGTERM);
	(void)sigaddset(ends, SIGINT);
	(void)sigaddset(ends, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, ends, NULL);
}

/* Until one of them comes, or the time is over. */
static void wait_for_end(const sigset_t *ends, double seconds)
{
	const struct km_clock *clock = km_clock_system();
	int64_t end_ns =
		isnan(seconds) ? INT64_MAX
			       : km_clock_mono_ns(clock) + (int64_t)(seconds * (double)KM_NS_PER_S);

	for (;;) {
		int64_t left_ns = end_ns - km_clock_mono_ns(clock);
		struct timespec left = { .tv_sec = left_ns / KM_NS_PER_S,
			                 .tv_nsec = left_ns % KM_NS_PER_S };

		if (left_ns <= 0 || sigtimedwait(ends, NULL, &left) > 0)
			return;
	}
}

static void print_rate(const char *what, double value, const char *unit)
{
	char text[64];

	if (!isnan(value))
		printf("%-13s %s\n", what, lab_rate(value, unit, text, sizeof(text)));
}

static void print_result(const struct km_stress_result *r)
{
	char unit[KM_STRESS_UNIT_MAX + 3];

	(void)snprintf(unit, sizeof(unit), " %s/s", r->unit);
	printf("%s at %u %%, %.3g s\n", km_stress_kind_name(r->kind), r->level_pct, r->seconds);
	printf("%-13s %.1f %% of the time\n", "had the CPU", r->duty_ratio * 100);
	print_rate("did", r->ops_per_s, unit);
	print_rate("moved", r->bytes_per_s, "B/s");
	print_rate("working set", r->working_set_bytes, "B");
}

/* From here on it may be ended, and will report. */
static void say_at_work(const struct km_stress_options *o)
{
	struct km_buf cpus;

	km_buf_init(&cpus);
	km_cpuset_format(o->cpus, &cpus);
	fprintf(stderr, "kubemarla-lab stress: %s at %u %% on CPUs %s\n",
	        km_stress_kind_name(o->kind), o->level_pct, km_buf_cstr(&cpus));
	km_buf_fini(&cpus);
}

static int stress(const struct request *q)
{
	struct km_stress_result result;
	struct km_err err = { .code = 0 };
	struct km_stress *s;
	struct km_buf json;
	sigset_t ends;
	int rc;

	block_ends(&ends);
	if (km_stress_start(&q->compare.stress, &s, &err) != 0) {
		(void)km_lab_tell(&err);
		return err.code == ERANGE ? KM_COMMAND_USAGE : KM_COMMAND_FAILED;
	}
	say_at_work(&q->compare.stress);
	wait_for_end(&ends, q->seconds);
	km_stress_stop(s, &result);
	if (!q->json) {
		print_result(&result);
		return KM_COMMAND_OK;
	}
	km_buf_init(&json);
	km_stress_report_encode(&result, &json);
	rc = km_buf_ok(&json) ? KM_COMMAND_OK : KM_COMMAND_FAILED;
	printf("%s\n", km_buf_cstr(&json));
	km_buf_fini(&json);
	return rc;
}

/* Sizes that were assumed change what the figures mean: it is said, each time. */
static void say_assumed(const struct km_caches *caches, const char *sysfs)
{
	struct km_buf text;

	km_buf_init(&text);
	km_caches_assumed(caches, sysfs, &text);
	if (text.len > 0)
		fprintf(stderr, "kubemarla-lab stress: %s\n", km_buf_cstr(&text));
	km_buf_fini(&text);
}

int km_lab_stress(int argc, char **argv)
{
	struct request q = { .sysfs = "/sys", .seconds = NAN };
	struct km_err err = { .code = 0 };
	struct km_caches caches;
	int rc;

	q.compare.stress.level_pct = KM_STRESS_LEVEL_MAX;
	q.compare.stress.cpus = &q.cpus;
	q.compare.stress.caches = &caches;
	rc = parse(argc, argv, &q);
	if (rc >= 0)
		return rc;
	if (km_cpuset_count(&q.cpus) == 0 && km_stress_allowed(&q.cpus, &err) != 0)
		return km_lab_tell(&err);
	if (km_caches_read(q.sysfs, &q.cpus, &caches, &err) != 0) {
		fprintf(stderr, "kubemarla-lab stress: --cpus: %s\n", err.text);
		return err.code == ENOMEM ? KM_COMMAND_FAILED : KM_COMMAND_USAGE;
	}
	say_assumed(&caches, q.sysfs);
	if (!q.comparing)
		return stress(&q);
	q.compare.all_kinds = !q.has_kind;
	q.compare.seconds = q.seconds;
	return lab_compare(&q.compare);
}
