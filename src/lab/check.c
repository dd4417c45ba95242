/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla-lab check`: a plan validated, its runs in their order, and how long they take. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "km/base/buf.h"
#include "km/plan/plan.h"
#include "km/plan/schedule.h"
#include "km/wire/json.h"

#include "lab_internal.h"
#include "lab_session.h"

static const char usage[] =
	"check PLAN [--json]\n\n"
	"Validates PLAN and prints its runs in the order they are to be made, and their time.\n"
	"Exit code 0: valid; 2: not valid. The keys of a plan: docs/PLANS.md.\n";

/* 0 = this plan has no trial, or memory is short. */
static size_t trial_plays(const struct km_plan *p)
{
	struct km_play *play = NULL;
	size_t count = 0;

	if (km_plan_trial_check(p, NULL) != 0 || km_plan_plays(p, &play, &count) != 0)
		return 0;
	free(play);
	return count;
}

static double play_seconds(const struct km_plan *p)
{
	return km_plan_play_seconds(p, (double)p->trial.window_ns / 1e9);
}

static void print_text(const struct km_plan *p, const struct km_run_spec *run, size_t count)
{
	struct km_buf cpus;

	km_buf_init(&cpus);
	printf("%s: valid, mode %s, hash %016" PRIx64 "\n", p->name, km_plan_mode_name(p->mode),
	       km_plan_hash(p));
	for (size_t i = 0; i < p->node_count; i++) {
		km_buf_clear(&cpus);
		km_cpuset_format(&p->node[i].cpus, &cpus);
		printf("node %s  cpus %s%s\n", p->node[i].name,
		       p->node[i].cpus_given ? km_buf_cstr(&cpus) : "all of its host",
		       i == p->target.node ? "  target" : "");
	}
	for (size_t i = 0; i < count; i++)
		printf("%5zu  %s\n", i + 1, run[i].id);
	printf("%zu runs of %g s: ", count, km_plan_run_seconds(p));
	km_lab_print_time(stdout, (double)count * km_plan_run_seconds(p));
	printf(", and what starting processes and gated runs take\n");
	if (trial_plays(p) > 0) {
		printf("%zu plays of a trial: ", trial_plays(p));
		km_lab_print_time(stdout, (double)trial_plays(p) * play_seconds(p));
		printf(", or more where the model's window is longer\n");
	}
	km_buf_fini(&cpus);
}

static void put_run(struct km_json *j, const struct km_plan *p, const struct km_run_spec *r)
{
	km_json_begin(j, '{');
	km_json_put_string(j, "id", r->id);
	km_json_put_integer(j, "repeat", r->repeat);
	km_json_put_string(j, "stressor", r->stressed ? km_stress_kind_name(r->kind) : NULL);
	if (r->stressed) {
		km_json_put_integer(j, "levelPercent", r->level_pct);
		km_json_put_string(j, "stressNode", p->node[r->stress_node].name);
	}
	km_json_put_string(j, "targetNode", p->node[r->target_node].name);
	km_json_put_integer(j, "replicas", r->replicas);
	km_json_put_number(j, "rps", r->rps);
	km_json_end(j, '}');
}

static int print_json(const struct km_plan *p, const struct km_run_spec *run, size_t count)
{
	struct km_buf out;
	struct km_json j = km_json_to(&out);
	int rc;

	km_buf_init(&out);
	km_json_begin(&j, '{');
	km_json_put_string(&j, "name", p->name);
	km_json_put_string(&j, "mode", km_plan_mode_name(p->mode));
	km_json_key(&j, "hash");
	km_json_hash(&j, km_plan_hash(p));
	km_json_put_number(&j, "runSeconds", km_plan_run_seconds(p));
	km_json_put_number(&j, "totalSeconds", (double)count * km_plan_run_seconds(p));
	km_json_put_integer(&j, "trialPlays", (long long)trial_plays(p));
	km_json_put_number(&j, "trialSeconds", (double)trial_plays(p) * play_seconds(p));
	km_json_key(&j, "runs");
	km_json_begin(&j, '[');
	for (size_t i = 0; i < count; i++)
		put_run(&j, p, &run[i]);
	km_json_end(&j, ']');
	km_json_end(&j, '}');
	rc = km_buf_ok(&out) ? KM_COMMAND_OK : KM_COMMAND_FAILED;
	printf("%s\n", km_buf_cstr(&out));
	km_buf_fini(&out);
	return rc;
}

int km_lab_check(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct km_run_spec *run = NULL;
	struct km_plan *p = NULL;
	struct km_err err = { .code = 0 };
	size_t count = 0;
	bool json = false;
	int rc = KM_COMMAND_OK;
	int opt;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt != 'j')
			return km_command_usage(usage, opt == 'h');
		json = true;
	}
	if (optind + 1 != argc)
		return km_command_usage(usage, 0);
	if (km_plan_load(argv[optind], &p, &err) != 0) {
		(void)km_lab_tell(&err);
		return KM_COMMAND_USAGE;
	}
	if (km_plan_runs(p, &run, &count) != 0) {
		(void)km_err_set(&err, ENOMEM, "%.80s: out of memory", argv[optind]);
		rc = km_lab_tell(&err);
	} else if (json) {
		rc = print_json(p, run, count);
	} else {
		print_text(p, run, count);
	}
	free(run);
	km_plan_free(p);
	return rc;
}
