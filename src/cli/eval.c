/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla train` and `kubemarla eval`: recorded runs to a model, and how good it is. */
#include "km/eval/eval.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "km/base/buf.h"
#include "km/base/num.h"

#include "cli_internal.h"
#include "progress.h"

#define BOOTSTRAP_ROUNDS 200
#define THREADS_MAX      64

static const char train_usage[] =
	"train --dataset DIR --features FILE --out FILE [OPTION]...\n\n"
	"Trains the model that FILE (features.yaml) describes on the runs in DIR, and writes\n"
	"it with the interval that cross-validation by campaign found. Nothing is overwritten\n"
	"on an error.\n\n"
	"  --dataset DIR     runs.csv, traces/ and, for placement, pairs.csv\n"
	"  --features FILE   features and recipe; default: features.yaml beside --out\n"
	"  --out FILE        the model file\n"
	"  --pairs FILE      default: DIR/pairs.csv\n"
	"  --note TEXT       goes into the model's provenance\n"
	"  --no-baselines    do not judge what the model has to beat\n"
	"  --json            the report as JSON on standard output\n"
	"  --html FILE       the report as a page with plots (drawn by gnuplot)\n"
	"  --threads N       default: one for each CPU\n";

static const char eval_usage[] =
	"eval --dataset DIR --model FILE [OPTION]...\n\n"
	"Judges a model on the runs in DIR. Without --cv the model is taken as it is, which is\n"
	"honest only for a folder it was not trained on. With --cv its recipe is trained again\n"
	"and again, each time judged on the group that was left out.\n\n"
	"  --dataset DIR     runs.csv, traces/ and, for placement, pairs.csv\n"
	"  --model FILE      the model file\n"
	"  --cv WHAT         campaign, family or scenario: what is left out\n"
	"  --features FILE   for --cv: features and recipe; default: features.yaml beside --model\n"
	"  --pairs FILE      default: DIR/pairs.csv\n"
	"  --hide-now        judge without knowing what the node carries before the pod comes\n"
	"  --no-baselines    do not judge what the model has to beat\n"
	"  --json            one JSON object on standard output\n"
	"  --html FILE       a page with tables and plots, too (drawn by gnuplot)\n"
	"  --threads N       default: one for each CPU\n";

enum option_id {
	OPT_DATASET = 256,
	OPT_MODEL,
	OPT_FEATURES,
	OPT_PAIRS,
	OPT_NOTE,
	OPT_CV,
	OPT_HIDE_NOW,
	OPT_NO_BASELINES,
	OPT_JSON,
	OPT_HTML,
	OPT_THREADS,
	OPT_HELP,
};

static const struct option train_options[] = {
	{ "dataset", required_argument, NULL, OPT_DATASET },
	{ "features", required_argument, NULL, OPT_FEATURES },
	{ "out", required_argument, NULL, OPT_MODEL },
	{ "pairs", required_argument, NULL, OPT_PAIRS },
	{ "note", required_argument, NULL, OPT_NOTE },
	{ "no-baselines", no_argument, NULL, OPT_NO_BASELINES },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "html", required_argument, NULL, OPT_HTML },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const struct option eval_options[] = {
	{ "dataset", required_argument, NULL, OPT_DATASET },
	{ "model", required_argument, NULL, OPT_MODEL },
	{ "features", required_argument, NULL, OPT_FEATURES },
	{ "pairs", required_argument, NULL, OPT_PAIRS },
	{ "cv", required_argument, NULL, OPT_CV },
	{ "hide-now", no_argument, NULL, OPT_HIDE_NOW },
	{ "no-baselines", no_argument, NULL, OPT_NO_BASELINES },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "html", required_argument, NULL, OPT_HTML },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

/* What the command line said. */
struct request {
	struct km_train_job job;
	enum km_protocol protocol;
	const char *html; /* where the page goes, NULL = nowhere */
	bool json, help;
};

static bool take_threads(struct request *r, const char *text)
{
	int64_t n;

	if (km_num_int(text, strlen(text), &n) != 0 || n < 1 || n > THREADS_MAX) {
		fprintf(stderr, "kubemarla: --threads: saw \"%.40s\", want 1 to %d\n", text,
		        THREADS_MAX);
		return false;
	}
	r->job.options.threads = (unsigned)n;
	return true;
}

static bool take_protocol(struct request *r, const char *text)
{
	int p = km_protocol_parse(text);

	if (p < 0) {
		fprintf(stderr,
		        "kubemarla: --cv: saw \"%.40s\", want campaign, family or scenario\n",
		        text);
		return false;
	}
	r->protocol = (enum km_protocol)p;
	return true;
}

static bool take_option(struct request *r, int opt, const char *value)
{
	struct km_eval_options *o = &r->job.options;

	switch (opt) {
	case OPT_DATASET:
		o->dataset = value;
		return true;
	case OPT_MODEL:
		o->model = value;
		return true;
	case OPT_FEATURES:
		o->features = value;
		return true;
	case OPT_PAIRS:
		o->pairs = value;
		return true;
	case OPT_NOTE:
		r->job.provenance = value;
		return true;
	case OPT_CV:
		return take_protocol(r, value);
	case OPT_HIDE_NOW:
		o->mask_now = true;
		return true;
	case OPT_NO_BASELINES:
		o->no_baselines = true;
		return true;
	case OPT_JSON:
		r->json = true;
		return true;
	case OPT_HTML:
		r->html = value;
		o->gain = true;
		return true;
	case OPT_THREADS:
		return take_threads(r, value);
	case OPT_HELP:
		r->help = true;
		return true;
	default:
		return false;
	}
}

/* returns false when the command line is wrong. */
static bool parse(int argc, char **argv, const struct option *options, struct request *r)
{
	int opt;

	*r = (struct request){ .protocol = KM_PROTOCOL_GIVEN };
	r->job.options.bootstrap_rounds = BOOTSTRAP_ROUNDS;
	r->job.options.progress = progress_step;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the tool has one thread here */
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h')
			opt = OPT_HELP;
		if (!take_option(r, opt, optarg))
			return false;
	}
	return optind == argc &&
	       (r->help || (r->job.options.dataset != NULL && r->job.options.model != NULL));
}

static int show(const struct km_eval_report *report, bool json)
{
	struct km_buf out;
	int rc;

	km_buf_init(&out);
	if (json)
		km_eval_report_json(report, &out);
	else
		km_eval_report_text(report, &out);
	rc = km_cli_show(&out);
	km_buf_fini(&out);
	return rc;
}

/* The page, if one was asked for. returns an exit code. */
static int write_page(const struct km_eval_report *report, const char *path)
{
	struct km_err missing = { .code = 0 };
	struct km_buf out;
	int rc;

	if (path == NULL)
		return KM_COMMAND_OK;
	km_buf_init(&out);
	rc = km_eval_report_html(report, NULL, &out, &missing);
	rc = km_cli_write_page(path, rc, &out, &missing);
	km_buf_fini(&out);
	return rc;
}

/* Shows the report and writes the page; the worse of their exit codes. */
static int deliver(const struct km_eval_report *report, const struct request *r)
{
	int shown = show(report, r->json);
	int written = write_page(report, r->html);

	return shown != KM_COMMAND_OK ? shown : written;
}

static int failed(int rc, const struct km_err *err)
{
	if (rc == -EINTR) {
		fputs("kubemarla: interrupted; nothing was written\n", stderr);
		return 130;
	}
	fprintf(stderr, "kubemarla: %s\n", err->text);
	return rc == -ENOMEM || rc == -EIO ? KM_COMMAND_FAILED : KM_COMMAND_USAGE;
}

int km_cli_train(int argc, char **argv)
{
	struct km_eval_report report;
	struct km_err err = { .code = 0 };
	struct request r;
	int rc;

	if (!parse(argc, argv, train_options, &r) || r.help)
		return km_command_usage(train_usage, r.help);
	progress_start();
	rc = km_train_model(&r.job, &report, &err);
	progress_end();
	if (rc != 0)
		return failed(rc, &err);
	rc = deliver(&report, &r);
	fprintf(stderr, "kubemarla: wrote %s\n", r.job.options.model);
	km_eval_report_fini(&report);
	return rc;
}

int km_cli_eval(int argc, char **argv)
{
	struct km_eval_report report;
	struct km_err err = { .code = 0 };
	struct request r;
	int rc;

	if (!parse(argc, argv, eval_options, &r) || r.help)
		return km_command_usage(eval_usage, r.help);
	progress_start();
	rc = km_evaluate(&r.job.options, r.protocol, &report, &err);
	progress_end();
	if (rc != 0)
		return failed(rc, &err);
	rc = deliver(&report, &r);
	km_eval_report_fini(&report);
	return rc;
}
