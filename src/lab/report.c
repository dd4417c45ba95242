/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla-lab report`: what came of the experiment in a results folder, from its files alone. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "km/experiment/plays.h"
#include "km/experiment/run_result.h"

#include "lab_internal.h"
#include "lab_report.h"

#define PATH_BYTES 4096

static const char usage[] =
	"report DIR [--html FILE] [--json]\n\n"
	"Prints what the recorded files of an experiment say: slowdown by stressor and level;\n"
	"of a trial arms, verdicts, and what speaks against them.  Nothing is measured; the\n"
	"same files give the same bits.\n\n"
	"      --html FILE   a page with plots as well (drawn by gnuplot); of runs and trial, in\n"
	"                    a folder with both, two: FILE, and trial- in front of its name\n"
	"      --json        one JSON object a line, instead of text\n";

struct request {
	const char *dir, *html;
	bool json, help;
};

static bool parse(int argc, char **argv, struct request *r)
{
	static const struct option options[] = {
		{ "html", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	*r = (struct request){ .dir = NULL };
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'o')
			r->html = optarg;
		else if (opt == 'j')
			r->json = true;
		else if (opt == 'h')
			r->help = true;
		else
			return false;
	}
	if (r->help)
		return true;
	if (optind + 1 != argc)
		return false;
	r->dir = argv[optind];
	return true;
}

static int report_runs(const struct request *q)
{
	const struct km_lab_reported how = { .dir = q->dir, .html = q->html, .json = q->json };

	return km_lab_report_runs(&how);
}

/* beside: there are runs as well, whose page has the name that was asked for. */
static int report_trial(const struct request *q, bool beside)
{
	struct km_lab_reported how = { .dir = q->dir, .html = q->html, .json = q->json };
	const char *slash = q->html != NULL ? strrchr(q->html, '/') : NULL;
	const char *name = slash != NULL ? slash + 1 : q->html;
	char path[PATH_BYTES];

	if (beside && q->html != NULL) {
		(void)snprintf(path, sizeof(path), "%.*strial-%s", (int)(name - q->html), q->html,
		               name);
		how.html = path;
	}
	return km_lab_report_trial(&how);
}

int km_lab_report(int argc, char **argv)
{
	struct km_err err = { .code = 0 };
	struct request q;
	int code = KM_COMMAND_OK;
	int trial_code;
	bool trial;
	bool runs;

	if (!parse(argc, argv, &q) || q.help)
		return km_command_usage(usage, q.help);
	runs = km_runs_there(q.dir);
	trial = km_plays_there(q.dir);
	if (runs)
		code = report_runs(&q);
	if (runs && trial && !q.json)
		printf("\n");
	if (trial) {
		trial_code = report_trial(&q, runs);
		code = code != KM_COMMAND_OK ? code : trial_code;
	}
	if (runs || trial)
		return code;
	(void)km_err_set(&err, ENOENT, "%.120s: no results of an experiment there", q.dir);
	return km_lab_tell(&err);
}
