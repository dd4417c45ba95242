/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla-lab load PLAN`: the target, one load, perhaps a stressor, and what came of it. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "km/base/clock.h"
#include "km/base/num.h"
#include "km/rig/rig.h"
#include "km/wire/json.h"

#include "lab_internal.h"

#define SECONDS_MAX 86400

static const char usage[] =
	"load PLAN [OPTION]...\n\n"
	"Starts PLAN's target, drives PLAN's load through it once, prints what its generator\n"
	"measured, and removes all it started. For a look at a set-up before a whole plan.\n\n"
	"      --rps N            requests per second over all replicas (the matrix' first)\n"
	"      --seconds N        how long (times.during)\n"
	"      --warm-up N        seconds of the same load before, not measured (0)\n"
	"      --replicas N       how many, all on the target's node (the matrix' first)\n"
	"      --stress KIND      with a stressor: cpu, l2, l3, membw or mixed\n"
	"      --intensity N      of it, in per cent (100)\n"
	"      --on NODE          where it is (the target's node)\n"
	"      --scratch DIR      for configuration and pages, an existing directory (TMPDIR)\n"
	"      --json             one JSON object\n";

enum {
	OPT_RPS = 256,
	OPT_SECONDS,
	OPT_WARM_UP,
	OPT_REPLICAS,
	OPT_STRESS,
	OPT_INTENSITY,
	OPT_ON,
	OPT_SCRATCH,
	OPT_JSON
};

struct request {
	const char *path, *on, *scratch;
	double rps, seconds, warm_up; /* NaN = the plan's */
	double replicas, intensity;
	int kind; /* -1 = no stressor */
	bool json;
	struct km_plan *plan;
	size_t stress_node;
};

struct outcome {
	struct km_load_result load;
	struct km_rig_usage usage;
	struct km_rig_kpi kpi;
	struct km_stress_result stress;
	size_t stressors;
};

static int bad(const char *option, const char *saw, const char *want)
{
	fprintf(stderr, "kubemarla-lab load: %s: saw \"%.40s\", want %s\n", option, saw, want);
	return KM_COMMAND_USAGE;
}

/* The numbers of the command line. */
static const struct number {
	int opt;
	const char *name;
	size_t offset;
	double least, most;
	bool whole;
	const char *want;
} numbers[] = {
	{ OPT_RPS, "--rps", offsetof(struct request, rps), 0.001, 1e7, false,
	  "a rate over 0, 10000000 at most" },
	{ OPT_SECONDS, "--seconds", offsetof(struct request, seconds), 0.001, SECONDS_MAX, false,
	  "a number over 0, 86400 at most" },
	{ OPT_WARM_UP, "--warm-up", offsetof(struct request, warm_up), 0, SECONDS_MAX, false,
	  "0 to 86400" },
	{ OPT_REPLICAS, "--replicas", offsetof(struct request, replicas), 1, KM_PLAN_REPLICAS_MAX,
	  true, "1 to 16" },
	{ OPT_INTENSITY, "--intensity", offsetof(struct request, intensity), 1, 100, true,
	  "1 to 100, in per cent" },
};

static int take_option(struct request *q, int opt, const char *arg)
{
	for (size_t i = 0; i < KM_ARRAY_LEN(numbers); i++) {
		const struct number *n = &numbers[i];
		double value;

		if (opt != n->opt)
			continue;
		if (km_num_double(arg, strlen(arg), &value) != 0 ||
		    !(value >= n->least && value <= n->most) || (n->whole && floor(value) != value))
			return bad(n->name, arg, n->want);
		memcpy((char *)q + n->offset, &value, sizeof(value));
		return KM_COMMAND_OK;
	}
	switch (opt) {
	case OPT_STRESS:
		q->kind = km_stress_kind_parse(arg);
		return q->kind >= 0 ? KM_COMMAND_OK
		                    : bad("--stress", arg, "cpu, l2, l3, membw or mixed");
	case OPT_ON:
		q->on = arg;
		return KM_COMMAND_OK;
	case OPT_SCRATCH:
		q->scratch = arg;
		return KM_COMMAND_OK;
	case OPT_JSON:
		q->json = true;
		return KM_COMMAND_OK;
	default:
		return km_command_usage(usage, 0);
	}
}

/* What the command line left open is the plan's. */
static int complete(struct request *q)
{
	const struct km_plan *p = q->plan;

	q->rps = isnan(q->rps) ? p->matrix.rps[0] : q->rps;
	q->seconds =
		isnan(q->seconds) ? (double)p->times.during_ns / (double)KM_NS_PER_S : q->seconds;
	q->replicas = isnan(q->replicas) ? p->matrix.replicas[0] : q->replicas;
	q->stress_node = p->target.node;
	if (q->on == NULL)
		return KM_COMMAND_OK;
	for (size_t i = 0; i < p->node_count; i++) {
		if (strcmp(p->node[i].name, q->on) == 0) {
			q->stress_node = i;
			return KM_COMMAND_OK;
		}
	}
	return bad("--on", q->on, "the name of a node of the plan");
}

/* returns -1 when there is something to do, else the exit code. */
static int parse(int argc, char **argv, struct request *q)
{
	static const struct option options[] = {
		{ "rps", required_argument, NULL, OPT_RPS },
		{ "seconds", required_argument, NULL, OPT_SECONDS },
		{ "warm-up", required_argument, NULL, OPT_WARM_UP },
		{ "replicas", required_argument, NULL, OPT_REPLICAS },
		{ "stress", required_argument, NULL, OPT_STRESS },
		{ "intensity", required_argument, NULL, OPT_INTENSITY },
		{ "on", required_argument, NULL, OPT_ON },
		{ "scratch", required_argument, NULL, OPT_SCRATCH },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct km_err err = { .code = 0 };
	int opt;
	int rc;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h')
			return km_command_usage(usage, 1);
		rc = take_option(q, opt, optarg);
		if (rc != KM_COMMAND_OK)
			return rc;
	}
	if (optind + 1 != argc)
		return km_command_usage(usage, 0);
	q->path = argv[optind];
	if (km_plan_load(q->path, &q->plan, &err) != 0) {
		(void)km_lab_tell(&err);
		return KM_COMMAND_USAGE;
	}
	if (q->plan == NULL)
		return KM_COMMAND_FAILED;
	rc = complete(q);
	return rc == KM_COMMAND_OK ? -1 : rc;
}

static int work(const struct request *q, struct km_rig *rig, struct outcome *o, struct km_err *err)
{
	const struct km_load_spec spec = {
		.rps = q->rps,
		.duration_ns = (int64_t)(q->seconds * (double)KM_NS_PER_S),
		.warm_up_ns = isnan(q->warm_up) ? 0 : (int64_t)(q->warm_up * (double)KM_NS_PER_S),
	};
	size_t node[KM_PLAN_REPLICAS_MAX] = { 0 };
	int rc = 0;

	for (size_t i = 0; q->plan != NULL && i < KM_PLAN_REPLICAS_MAX; i++)
		node[i] = q->plan->target.node;
	if (q->kind >= 0)
		rc = km_rig_stress_start(rig, q->stress_node, (enum km_stress_kind)q->kind,
		                         (unsigned)q->intensity, err);
	if (rc == 0)
		rc = km_rig_target_start(rig, node, (unsigned)q->replicas, err);
	if (rc == 0)
		rc = km_rig_record_begin(rig, err);
	if (rc == 0)
		rc = km_rig_load(rig, &spec, &o->load, err);
	if (rc == 0)
		rc = km_rig_record_end(rig, NULL, &o->usage, err);
	if (rc == 0)
		km_rig_kpi(rig, &o->kpi);
	if (rc == 0)
		rc = km_rig_stress_stop(rig, &o->stress, 1, &o->stressors, err);
	return rc;
}

static void put_stress(struct km_json *j, const struct outcome *o)
{
	km_json_key(j, "stress");
	if (o->stressors == 0) {
		km_json_raw(j, "", 0);
		return;
	}
	km_json_begin(j, '{');
	km_json_put_string(j, "kind", km_stress_kind_name(o->stress.kind));
	km_json_put_integer(j, "intensity", o->stress.level_pct);
	km_json_put_number(j, "dutyRatio", o->stress.duty_ratio);
	km_json_put_number(j, "opsPerSecond", o->stress.ops_per_s);
	km_json_end(j, '}');
}

static int print_json(const struct km_rig_facts *f, const struct outcome *o)
{
	const struct {
		const char *key;
		double value;
	} rows[] = {
		{ "offeredRps", o->load.offered_rps },
		{ "achievedRps", o->load.achieved_rps },
		{ "meanMs", o->load.mean_ms },
		{ "p50Ms", o->load.p50_ms },
		{ "p90Ms", o->load.p90_ms },
		{ "p95Ms", o->load.p95_ms },
		{ "p99Ms", o->load.p99_ms },
		{ "maxMs", o->load.max_ms },
		{ "servedByTarget", o->kpi.served },
		{ "servedDifference", o->kpi.difference },
		{ "prometheusP99Ms", o->kpi.prometheus_p99_ms },
		{ "prometheusRps", o->kpi.prometheus_rps },
		{ "busyCpus", o->usage.busy_cpus },
		{ "ownCpus", o->usage.own_cpus },
		{ "foreignCpus", o->usage.foreign_cpus },
		{ "targetUtilisation", o->usage.target_utilisation },
	};
	struct km_buf out;
	struct km_json j = km_json_to(&out);
	int rc;

	km_buf_init(&out);
	km_json_begin(&j, '{');
	km_json_put_string(&j, "generator", f->generator);
	km_json_put_string(&j, "target", f->target);
	km_json_put_string(&j, "groups", f->groups);
	km_json_put_bool(&j, "realtime", f->realtime);
	km_json_put_bool(&j, "openLoop", o->load.open_loop);
	km_json_put_integer(&j, "requests", (long long)o->load.requests);
	km_json_put_integer(&j, "errors", (long long)o->load.errors);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++)
		km_json_put_rounded(&j, rows[i].key, rows[i].value, 6);
	put_stress(&j, o);
	km_json_end(&j, '}');
	rc = km_buf_ok(&out) ? KM_COMMAND_OK : KM_COMMAND_FAILED;
	printf("%s\n", km_buf_cstr(&out));
	km_buf_fini(&out);
	return rc;
}

static int print_text(const struct km_rig_facts *f, const struct outcome *o)
{
	const struct {
		const char *name;
		double value;
	} latencies[] = {
		{ "mean", o->load.mean_ms }, { "p50", o->load.p50_ms }, { "p90", o->load.p90_ms },
		{ "p95", o->load.p95_ms },   { "p99", o->load.p99_ms }, { "max", o->load.max_ms },
	};

	printf("%s on %s, %s%s\n", f->generator, f->target, f->groups,
	       o->load.open_loop ? "" : "; a closed loop: its latencies wait for the service");
	printf("requests  %llu, %llu of them without a good answer; %.1f per second\n",
	       (unsigned long long)o->load.requests, (unsigned long long)o->load.errors,
	       o->load.achieved_rps);
	printf("latency  ");
	for (size_t i = 0; i < KM_ARRAY_LEN(latencies); i++) {
		if (!isnan(latencies[i].value))
			printf(" %s %.3f", latencies[i].name, latencies[i].value);
	}
	printf(" ms\n");
	if (!isnan(o->kpi.served))
		printf("target    served %.0f by its own count (%+.2f %%)\n", o->kpi.served,
		       o->kpi.difference * 100);
	if (!isnan(o->usage.busy_cpus)) {
		printf("CPUs      %.2f busy, %.2f of them ours, %.2f foreign; target's %.0f %% "
		       "busy\n",
		       o->usage.busy_cpus, o->usage.own_cpus, o->usage.foreign_cpus,
		       o->usage.target_utilisation * 100);
	}
	if (o->stressors > 0)
		printf("stress    %s at %u %%, had the CPU %.1f %% of the time\n",
		       km_stress_kind_name(o->stress.kind), o->stress.level_pct,
		       o->stress.duty_ratio * 100);
	return KM_COMMAND_OK;
}

static void say(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "kubemarla-lab load: %s\n", line);
}

/* Ctrl-C and its like as a descriptor; blocked until the process ends. */
static int stop_signals(void)
{
	sigset_t ends;

	(void)sigemptyset(&ends);
	(void)sigaddset(&ends, SIGINT);
	(void)sigaddset(&ends, SIGTERM);
	(void)sigaddset(&ends, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
	return signalfd(-1, &ends, SFD_CLOEXEC);
}

static int run(const struct request *q)
{
	struct outcome o = { .stressors = 0 };
	struct km_rig_options options = {
		.self = "/proc/self/exe",
		.scratch_dir = q->scratch,
		.stop_fd = stop_signals(),
		.say = say,
	};
	struct km_err err = { .code = 0 };
	struct km_rig *rig = NULL;
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int rc;

	if (n > 0) {
		self[n] = '\0';
		options.self = self;
	}
	rc = km_rig_open(q->plan, &options, &rig, &err);
	if (rc == 0)
		rc = work(q, rig, &o, &err);
	if (rc == 0)
		rc = q->json ? print_json(km_rig_facts(rig), &o)
		             : print_text(km_rig_facts(rig), &o);
	else
		(void)km_lab_tell(&err);
	km_rig_close(rig);
	if (options.stop_fd >= 0)
		(void)close(options.stop_fd);
	if (rc == -EINTR)
		return KM_COMMAND_STOPPED;
	if (rc == -ERANGE) /* CPUs that are not there */
		return KM_COMMAND_USAGE;
	return rc < 0 ? KM_COMMAND_FAILED : rc;
}

int km_lab_load(int argc, char **argv)
{
	const char *tmp = getenv("TMPDIR"); /* NOLINT(concurrency-mt-unsafe): one thread */
	struct request q = {
		.scratch = tmp != NULL && tmp[0] == '/' ? tmp : "/tmp",
		.rps = NAN,
		.seconds = NAN,
		.warm_up = NAN,
		.replicas = NAN,
		.intensity = 100,
		.kind = -1,
	};
	int rc = parse(argc, argv, &q);

	if (rc < 0)
		rc = run(&q);
	km_plan_free(q.plan);
	return rc;
}
