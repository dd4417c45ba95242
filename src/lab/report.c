/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla-lab report`: what came of the experiment in a results folder, from its files alone. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "km/experiment/trial_report.h"

#include "lab_internal.h"
#include "lab_report.h"

static const char usage[] =
	"report DIR [--html FILE] [--json]\n\n"
	"Prints what the recorded files of an experiment say: of its trial arms, verdicts, and\n"
	"what speaks against them.  Nothing is measured; the same files give the same bits.\n\n"
	"      --html FILE   a page with plots as well (drawn by gnuplot)\n"
	"      --json        one JSON object instead of text\n";

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

static int report_trial(const struct request *q)
{
	const struct km_lab_trial_report how = { .dir = q->dir, .html = q->html, .json = q->json };

	return km_lab_report_trial(&how);
}

int km_lab_report(int argc, char **argv)
{
	struct km_err err = { .code = 0 };
	struct request q;

	if (!parse(argc, argv, &q) || q.help)
		return km_command_usage(usage, q.help);
	if (km_plays_there(q.dir))
		return report_trial(&q);
	(void)km_err_set(&err, ENOENT, "%.120s: no results of an experiment there", q.dir);
	return km_lab_tell(&err);
}
