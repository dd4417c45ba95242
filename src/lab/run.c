/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla-lab run`: a plan's runs into a folder, with progress, until done or told to stop. */
#include "km/experiment/run.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "km/base/file.h"

#include "lab_internal.h"
#include "lab_report.h"
#include "lab_session.h"

static const char usage[] =
	"run PLAN --out DIR\n\n"
	"Makes the runs of PLAN and keeps them in DIR, which `kubemarla train --dataset` reads.\n"
	"Finished runs stay whatever happens; the same command goes on from there.\n"
	"Exit code 0: all runs are there; 1: something failed; 2: bad arguments or a bad plan;\n"
	"3: interrupted, or stopped at a gate. The keys of a plan: docs/PLANS.md.\n";

#define CLEAR_LINE "\r\033[K"

struct terminal {
	bool live; /* a line that is written over; else a line per run */
	const char *self;
};

static void print_left(const struct km_experiment_progress *p)
{
	printf("  ");
	km_lab_print_time(stdout, p->remaining_s);
	printf(" left");
}

static void print_live(const struct km_experiment_progress *p)
{
	printf(CLEAR_LINE "%zu/%zu  %s  %s", p->finished + 1, p->count, p->spec->id,
	       p->event == KM_EXPERIMENT_LOADED ? "under load" : "counters before");
	if (p->attempt > 1)
		printf("  attempt %u", p->attempt);
	print_left(p);
}

static void print_finished(const struct km_experiment_progress *p)
{
	const struct km_run_record *r = p->record;

	printf("%zu/%zu  %s  p99 ", p->finished, p->count, p->spec->id);
	if (isfinite(r->load.p99_ms))
		printf("%.3g ms", r->load.p99_ms);
	else
		printf("unknown");
	if (r->load.errors > 0)
		printf("  %llu errors", (unsigned long long)r->load.errors);
	if (r->saturated)
		printf("  saturated (%.0f %%)", 100 * r->during.target_utilisation);
	if (r->gate[0] != '\0')
		printf("  kept although: %s", r->gate);
	print_left(p);
	printf("\n");
}

static void progress(void *ctx, const struct km_experiment_progress *p)
{
	const struct terminal *t = ctx;

	if (t->live && p->event != KM_EXPERIMENT_OPENED && p->event != KM_EXPERIMENT_STARTED &&
	    p->event != KM_EXPERIMENT_LOADED)
		printf(CLEAR_LINE);
	switch (p->event) {
	case KM_EXPERIMENT_OPENED:
		printf("%zu runs, %zu finished;", p->count, p->finished);
		print_left(p);
		printf("\n");
		break;
	case KM_EXPERIMENT_STARTED:
	case KM_EXPERIMENT_LOADED:
		if (t->live)
			print_live(p);
		break;
	case KM_EXPERIMENT_GATED:
		printf("again  %s: %s\n", p->spec->id, p->record->gate);
		break;
	case KM_EXPERIMENT_FINISHED:
		print_finished(p);
		break;
	}
	(void)fflush(stdout); /* km_command_main checks the stream at the end */
}

static void say(void *ctx, const char *line)
{
	const struct terminal *t = ctx;

	fprintf(stderr, "%skubemarla-lab: %s\n", t->live ? CLEAR_LINE : "", line);
}

static const struct {
	int rc;
	int code;
} exit_codes[] = {
	{ 0, KM_COMMAND_OK },
	{ -EINTR, KM_COMMAND_STOPPED },
	{ -ECANCELED, KM_COMMAND_STOPPED },
	{ -EEXIST, KM_COMMAND_USAGE },
	{ -ERANGE, KM_COMMAND_USAGE }, /* CPUs that are not there */
};

static int conclude(int rc, const char *plan, const char *dir, const struct km_err *err)
{
	int code = KM_COMMAND_FAILED;

	for (size_t i = 0; i < KM_ARRAY_LEN(exit_codes); i++) {
		if (exit_codes[i].rc == rc)
			code = exit_codes[i].code;
	}
	if (rc == -EINTR)
		fprintf(stderr, "kubemarla-lab: interrupted\n");
	else if (rc != 0)
		(void)km_lab_tell(err);
	if (rc == 0)
		printf("results: %s\n\n", dir);
	else if (code != KM_COMMAND_USAGE)
		km_lab_tell_resume((const char *const[]){ "run", plan, "--out", dir, NULL });
	return code;
}

/* What came of it, as text here and as a page in the folder. */
static int report(const char *dir)
{
	char page[PATH_MAX];
	const struct km_lab_reported how = { .dir = dir, .html = page };

	if (snprintf(page, sizeof(page), "%s/report.html", dir) >= (int)sizeof(page))
		return KM_COMMAND_FAILED;
	return km_lab_report_runs(&how);
}

static int make_runs(const struct km_plan *plan, const char *path, const struct km_buf *text,
                     const char *dir)
{
	struct terminal t = { .live = isatty(STDOUT_FILENO) == 1 };
	struct km_lab_session session;
	struct km_err err = { .code = 0 };
	struct km_experiment_options o = {
		.plan = plan,
		.text = text->data,
		.len = text->len,
		.dir = dir,
		.self = session.self,
		.scratch = session.scratch,
		.version = KM_VERSION,
		.progress = progress,
		.say = say,
		.ctx = &t,
	};
	size_t finished = 0;
	int code;
	int rc;

	if (km_lab_session_begin(&session, &err) != 0)
		return km_lab_tell(&err);
	o.stop_fd = session.stop_fd;
	rc = km_experiment_run(&o, &finished, &err);
	km_lab_session_end(&session);
	if (t.live && rc != 0)
		printf(CLEAR_LINE "%zu runs are finished and kept\n", finished);
	(void)fflush(stdout);
	code = conclude(rc, path, dir, &err);
	return code == KM_COMMAND_OK ? report(dir) : code;
}

int km_lab_run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "out", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct km_plan *plan = NULL;
	struct km_err err = { .code = 0 };
	const char *dir = NULL;
	struct km_buf text;
	int code;
	int opt;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	while ((opt = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		if (opt != 'o')
			return km_command_usage(usage, opt == 'h');
		dir = optarg;
	}
	if (optind + 1 != argc || dir == NULL)
		return km_command_usage(usage, 0);
	km_buf_init(&text);
	if (km_plan_load(argv[optind], &plan, &err) != 0 ||
	    km_file_read(argv[optind], KM_PLAN_MAX_BYTES, &text, &err) != 0) {
		(void)km_lab_tell(&err);
		code = KM_COMMAND_USAGE;
	} else {
		code = make_runs(plan, argv[optind], &text, dir);
	}
	km_buf_fini(&text);
	km_plan_free(plan);
	return code;
}
