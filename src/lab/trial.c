/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla-lab trial`: does placement help? The closed loop, from the plan to the verdict. */
#include "km/experiment/trial.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "km/base/file.h"

#include "lab_internal.h"
#include "lab_report.h"
#include "lab_session.h"

static const char usage[] =
	"trial PLAN --out DIR --model FILE [--daemon URL] [--html FILE] [--json]\n\n"
	"Plays the same interference under each arm of PLAN, and compares p99: random, spread,\n"
	"least-cpu, and kubemarla, which asks a live kubemarlad as kube-scheduler would. Plays\n"
	"are kept in DIR; the same command goes on where it ended. A verdict is given only\n"
	"where a 95 % interval over repeats excludes 0.\n\n"
	"  -o, --out DIR           results folder; made when it is not there\n"
	"  -m, --model FILE        for the kubemarlad that is started beside the trial\n"
	"      --kubemarlad FILE   that program; default: beside this one, or in PATH\n"
	"  -d, --daemon URL        ask this one instead; it must know the plan's nodes\n"
	"      --html FILE         the page; default: DIR/trial/report.html\n"
	"      --json              the result as one JSON object on standard output\n\n"
	"Exit code 0: all plays are there; 1: something failed; 2: bad arguments or a bad plan;\n"
	"3: interrupted, or stopped at a gate. The keys of a plan: docs/PLANS.md.\n";

struct request {
	const char *plan, *dir, *model, *daemon_url, *daemon_program, *html;
	bool json, help;
};

static bool take_option(struct request *r, int opt, const char *value)
{
	const struct {
		int opt;
		const char **text;
	} texts[] = {
		{ 'o', &r->dir },        { 'm', &r->model }, { 'k', &r->daemon_program },
		{ 'd', &r->daemon_url }, { 'p', &r->html },
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(texts); i++) {
		if (opt == texts[i].opt) {
			*texts[i].text = value;
			return true;
		}
	}
	r->json |= opt == 'j';
	r->help |= opt == 'h';
	return opt == 'j' || opt == 'h';
}

static bool parse(int argc, char **argv, struct request *r)
{
	static const struct option options[] = {
		{ "out", required_argument, NULL, 'o' },
		{ "model", required_argument, NULL, 'm' },
		{ "kubemarlad", required_argument, NULL, 'k' },
		{ "daemon", required_argument, NULL, 'd' },
		{ "html", required_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	*r = (struct request){ .json = false };
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	while ((opt = getopt_long(argc, argv, "o:m:d:h", options, NULL)) != -1) {
		if (!take_option(r, opt, optarg))
			return false;
	}
	if (r->help)
		return true;
	if (optind + 1 != argc || r->dir == NULL)
		return false;
	r->plan = argv[optind];
	return true;
}

/* ---- telling; on stderr: the result alone is for standard output ---- */

static void put_places(const struct km_trial_record *r)
{
	for (unsigned k = 0; k < r->replicas; k++)
		fprintf(stderr, "%s%s", k > 0 ? ", " : "", r->node[r->placed[k]].name);
}

static void progress(void *ctx, const struct km_trial_progress *p)
{
	const struct km_trial_record *r = p->play;
	char id[KM_TRIAL_ID_MAX];

	(void)ctx;
	if (r == NULL) {
		fprintf(stderr, "%zu plays, %zu there; ", p->all, p->done);
	} else {
		fprintf(stderr, "%zu/%zu  %s on ", p->done, p->all, km_trial_record_id(r, id));
		put_places(r);
		fprintf(stderr, "  p99 %.3g ms", r->load.p99_ms);
		if (r->slo_p99_ms < r->load.p99_ms)
			fprintf(stderr, " (beyond %.3g)", r->slo_p99_ms);
		if (r->load.errors > 0)
			fprintf(stderr, "  %llu errors", (unsigned long long)r->load.errors);
		if (r->failed + r->neutral + r->stale + r->all_filtered > 0)
			fprintf(stderr, "  %s",
			        r->trouble[0] != '\0' ? r->trouble : "no prediction");
		if (r->gate[0] != '\0')
			fprintf(stderr, "  kept although: %s", r->gate);
		fprintf(stderr, "  ");
	}
	km_lab_print_time(stderr, p->left_s);
	fprintf(stderr, " left\n");
}

static void say(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "kubemarla-lab: %s\n", line);
}

static const struct {
	int rc, code;
} exit_codes[] = {
	{ 0, KM_COMMAND_OK },          { -EINTR, KM_COMMAND_STOPPED },
	{ -EEXIST, KM_COMMAND_USAGE }, { -ECANCELED, KM_COMMAND_STOPPED },
	{ -EINVAL, KM_COMMAND_USAGE }, { -ERANGE, KM_COMMAND_USAGE },
};

static void tell_resume(const struct request *r)
{
	const struct {
		const char *option, *value;
	} given[] = {
		{ "--out", r->dir },
		{ "--model", r->model },
		{ "--kubemarlad", r->daemon_program },
		{ "--daemon", r->daemon_url },
		{ "--html", r->html },
	};
	const char *word[2 * KM_ARRAY_LEN(given) + 3] = { "trial", r->plan };
	size_t n = 2;

	for (size_t i = 0; i < KM_ARRAY_LEN(given); i++) {
		if (given[i].value == NULL)
			continue;
		word[n++] = given[i].option;
		word[n++] = given[i].value;
	}
	km_lab_tell_resume(word);
}

static int conclude(int rc, const struct request *r, const struct km_err *err)
{
	int code = KM_COMMAND_FAILED;

	for (size_t i = 0; i < KM_ARRAY_LEN(exit_codes); i++) {
		if (exit_codes[i].rc == rc)
			code = exit_codes[i].code;
	}
	if (rc == 0)
		return code;
	if (rc == -EINTR)
		fprintf(stderr, "kubemarla-lab: interrupted; finished plays are kept\n");
	else
		(void)km_lab_tell(err);
	if (code == KM_COMMAND_USAGE)
		return code;
	tell_resume(r);
	return code;
}

/* ---- doing ---- */

static int report(const struct request *r)
{
	char page[KM_LAB_PATH_BYTES];
	const struct km_lab_reported how = {
		.dir = r->dir,
		.html = r->html != NULL ? r->html : page,
		.json = r->json,
	};

	(void)snprintf(page, sizeof(page), "%s/trial/report.html", r->dir);
	return km_lab_report_trial(&how);
}

static int play(const struct request *r, const struct km_plan *plan, const struct km_buf *text)
{
	struct km_lab_session session;
	struct km_err err = { .code = 0 };
	struct km_trial_options o = {
		.plan = plan,
		.plan_text = text->data,
		.plan_len = text->len,
		.dir = r->dir,
		.scratch_dir = session.scratch,
		.self = session.self,
		.version = KM_VERSION,
		.model = r->model,
		.daemon_url = r->daemon_url,
		.daemon_program = r->daemon_program,
		.say = say,
		.progress = progress,
	};
	int code;
	int rc;

	if (km_lab_session_begin(&session, &err) != 0)
		return km_lab_tell(&err);
	o.stop_fd = session.stop_fd;
	rc = km_trial_run(&o, &err);
	km_lab_session_end(&session);
	code = conclude(rc, r, &err);
	return rc == 0 ? report(r) : code;
}

int km_lab_trial(int argc, char **argv)
{
	struct km_plan *plan = NULL;
	struct km_err err = { .code = 0 };
	struct km_buf text;
	struct request r;
	int code;

	if (!parse(argc, argv, &r) || r.help)
		return km_command_usage(usage, r.help);
	km_buf_init(&text);
	if (km_plan_load(r.plan, &plan, &err) != 0 ||
	    km_file_read(r.plan, KM_PLAN_MAX_BYTES, &text, &err) != 0) {
		(void)km_lab_tell(&err);
		code = KM_COMMAND_USAGE;
	} else {
		code = play(&r, plan, &text);
	}
	km_buf_fini(&text);
	km_plan_free(plan);
	return code;
}
