/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla simulate`: what would have happened under each policy, from recorded data. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "km/base/num.h"
#include "km/sim/sim.h"

#include "cli_internal.h"
#include "progress.h"

#define SEEDS_DEFAULT      20
#define FIRST_SEED_DEFAULT 1
#define SEEDS_MAX          1000
#define NODES_MAX          64
#define THREADS_MAX        64
#define PATH_BYTES         4096

static const char usage[] =
	"simulate [--dataset DIR] [--corun FILE] [--burst] [OPTION]...\n\n"
	"Compares placement policies in the same situations, with what was measured: what a\n"
	"policy sees and what then happens are different recordings. The daemon's own code\n"
	"decides for ours. A world without data is skipped.\n\n"
	"  --dataset DIR     runs.csv, pairs.csv and traces/: machines whose load changes\n"
	"  --corun FILE      co-runs: equal nodes with one incumbent each\n"
	"  --learn FILE      co-runs to learn from; default: those of --corun that are not judged\n"
	"  --model FILE      as it is; default: the recipe, trained without what is judged\n"
	"  --features FILE   the recipe; default: models/pcm-nginx/features.yaml, here or beside\n"
	"                    the program\n"
	"  --burst           synthetic bursts of pods, with and without the in-flight ledger\n"
	"  --nodes N         machines to choose from, with --dataset; default 4\n"
	"  --lag S           counters come so much later, with --dataset; 0 to 60, default 0\n"
	"  --seeds N         schedules, or ways to split the data; default 20\n"
	"  --first-seed N    default 1\n"
	"  --scale N         of scores, 10 (as the daemon's default) or 100; default 100\n"
	"  --max-slowdown X  what every pod tolerates; default 2\n"
	"  --json            one JSON object on standard output\n"
	"  --html FILE       a page with tables and plots, too (drawn by gnuplot)\n"
	"  --threads N       for training; default: one for each CPU\n";

enum option_id {
	OPT_DATASET = 256,
	OPT_CORUN,
	OPT_LEARN,
	OPT_MODEL,
	OPT_FEATURES,
	OPT_BURST,
	OPT_NODES,
	OPT_LAG,
	OPT_SEEDS,
	OPT_FIRST_SEED,
	OPT_SCALE,
	OPT_MAX_SLOWDOWN,
	OPT_JSON,
	OPT_HTML,
	OPT_THREADS,
	OPT_HELP,
};

static const struct option options[] = {
	{ "dataset", required_argument, NULL, OPT_DATASET },
	{ "corun", required_argument, NULL, OPT_CORUN },
	{ "learn", required_argument, NULL, OPT_LEARN },
	{ "model", required_argument, NULL, OPT_MODEL },
	{ "features", required_argument, NULL, OPT_FEATURES },
	{ "burst", no_argument, NULL, OPT_BURST },
	{ "nodes", required_argument, NULL, OPT_NODES },
	{ "lag", required_argument, NULL, OPT_LAG },
	{ "seeds", required_argument, NULL, OPT_SEEDS },
	{ "first-seed", required_argument, NULL, OPT_FIRST_SEED },
	{ "scale", required_argument, NULL, OPT_SCALE },
	{ "max-slowdown", required_argument, NULL, OPT_MAX_SLOWDOWN },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "html", required_argument, NULL, OPT_HTML },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

struct request {
	struct km_sim_options sim;
	const char *html; /* where the page goes, NULL = nowhere */
	bool json, help;
};

static bool take_integer(const char *option, const char *text, int64_t least, int64_t most,
                         int64_t *out)
{
	if (km_num_int(text, strlen(text), out) == 0 && *out >= least && *out <= most)
		return true;
	fprintf(stderr, "kubemarla: --%s: saw \"%.40s\", want %lld to %lld\n", option, text,
	        (long long)least, (long long)most);
	return false;
}

static bool take_scale(struct request *r, const char *text)
{
	int64_t n;

	if (km_num_int(text, strlen(text), &n) != 0 || (n != 10 && n != 100)) {
		fprintf(stderr, "kubemarla: --scale: saw \"%.40s\", want 10 or 100\n", text);
		return false;
	}
	r->sim.score_scale = (uint32_t)n;
	return true;
}

static bool take_max_slowdown(struct request *r, const char *text)
{
	double v;

	if (km_num_double(text, strlen(text), &v) != 0 || !(v >= 1.05 && v <= 1000)) {
		fprintf(stderr, "kubemarla: --max-slowdown: saw \"%.40s\", want 1.05 to 1000\n",
		        text);
		return false;
	}
	r->sim.max_slowdown = v;
	return true;
}

static bool take_number(struct request *r, int opt, const char *value)
{
	int64_t n = 0;
	bool ok = true;

	switch (opt) {
	case OPT_NODES:
		ok = take_integer("nodes", value, 2, NODES_MAX, &n);
		r->sim.nodes = (uint32_t)n;
		return ok;
	case OPT_LAG:
		ok = take_integer("lag", value, 0, 60, &n);
		r->sim.lag_s = (double)n;
		return ok;
	case OPT_SEEDS:
		ok = take_integer("seeds", value, 1, SEEDS_MAX, &n);
		r->sim.seeds = (uint32_t)n;
		return ok;
	case OPT_FIRST_SEED:
		ok = take_integer("first-seed", value, 0, 1000000000, &n);
		r->sim.first_seed = (uint64_t)n;
		return ok;
	case OPT_THREADS:
		ok = take_integer("threads", value, 1, THREADS_MAX, &n);
		r->sim.threads = (unsigned)n;
		return ok;
	case OPT_SCALE:
		return take_scale(r, value);
	case OPT_MAX_SLOWDOWN:
		return take_max_slowdown(r, value);
	default:
		return false;
	}
}

static bool take_option(struct request *r, int opt, const char *value)
{
	switch (opt) {
	case OPT_DATASET:
		r->sim.dataset = value;
		return true;
	case OPT_CORUN:
		r->sim.corun = value;
		return true;
	case OPT_LEARN:
		r->sim.learn = value;
		return true;
	case OPT_MODEL:
		r->sim.model = value;
		return true;
	case OPT_FEATURES:
		r->sim.features = value;
		return true;
	case OPT_BURST:
		r->sim.burst = true;
		return true;
	case OPT_JSON:
		r->json = true;
		return true;
	case OPT_HTML:
		r->html = value;
		return true;
	case OPT_HELP:
		r->help = true;
		return true;
	default:
		return take_number(r, opt, value);
	}
}

/* returns false when the command line is wrong. */
static bool parse(int argc, char **argv, struct request *r)
{
	int opt;

	*r = (struct request){ .sim = { .seeds = SEEDS_DEFAULT,
		                        .first_seed = FIRST_SEED_DEFAULT,
		                        .score_scale = 100,
		                        .max_slowdown = 2,
		                        .nodes = 4,
		                        .progress = progress_step } };
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the tool has one thread here */
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (!take_option(r, opt == 'h' ? OPT_HELP : opt, optarg))
			return false;
	}
	return optind == argc;
}

/* The shipped recipe: from the working directory, or from beside the program's own. */
static const char *find_recipe(char *out, size_t size)
{
	static const char recipe[] = "models/pcm-nginx/features.yaml";
	char self[PATH_BYTES];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (access(recipe, R_OK) == 0 || len <= 0)
		return recipe;
	self[len] = '\0';
	slash = strrchr(self, '/');
	if (slash == NULL)
		return recipe;
	*slash = '\0';
	if (snprintf(out, size, "%s/../%s", self, recipe) >= (int)size || access(out, R_OK) != 0)
		return recipe;
	return out;
}

/* What a wish lacks. returns false when nothing at all was asked for. */
static bool complete(struct request *r)
{
	static char recipe[2 * PATH_BYTES];

	if (r->sim.model == NULL && r->sim.features == NULL)
		r->sim.features = find_recipe(recipe, sizeof(recipe));
	if (r->sim.learn != NULL && r->sim.corun == NULL) {
		fputs("kubemarla: --learn without --corun: judging what is left of the same file\n",
		      stderr);
		r->sim.corun = r->sim.learn;
		r->sim.learn = NULL;
	}
	if (r->sim.dataset == NULL && r->sim.corun == NULL && !r->sim.burst) {
		fputs("kubemarla: simulate: want --dataset, --corun, --learn or --burst\n", stderr);
		return false;
	}
	if (r->sim.dataset == NULL)
		fputs("kubemarla: no --dataset: the nginx world is skipped\n", stderr);
	if (r->sim.corun == NULL)
		fputs("kubemarla: no --corun: the corun world is skipped\n", stderr);
	return true;
}

static int show(const struct km_sim_report *report, bool json)
{
	struct km_buf out;
	int rc;

	km_buf_init(&out);
	if (json)
		km_sim_report_json(report, &out);
	else
		km_sim_report_text(report, &out);
	rc = km_cli_show(&out);
	km_buf_fini(&out);
	return rc;
}

/* The page, if one was asked for. returns an exit code. */
static int write_page(const struct km_sim_report *report, const char *path)
{
	struct km_err missing = { .code = 0 };
	struct km_buf out;
	int rc;

	if (path == NULL)
		return KM_COMMAND_OK;
	km_buf_init(&out);
	rc = km_sim_report_html(report, NULL, &out, &missing);
	rc = km_cli_write_page(path, rc, &out, &missing);
	km_buf_fini(&out);
	return rc;
}

static int failed(int rc, const struct km_err *err)
{
	if (rc == -EINTR) {
		fputs("kubemarla: interrupted\n", stderr);
		return 130;
	}
	fprintf(stderr, "kubemarla: %s\n", err->text);
	return rc == -ENOMEM || rc == -EIO ? KM_COMMAND_FAILED : KM_COMMAND_USAGE;
}

int km_cli_simulate(int argc, char **argv)
{
	struct km_sim_report report;
	struct km_err err = { .code = 0 };
	struct request r;
	int shown;
	int written;
	int rc;

	if (!parse(argc, argv, &r) || r.help)
		return km_command_usage(usage, r.help);
	if (!complete(&r))
		return km_command_usage(usage, 0);
	progress_start();
	rc = km_sim_run(&r.sim, &report, &err);
	progress_end();
	if (rc != 0)
		return failed(rc, &err);
	shown = show(&report, r.json);
	written = write_page(&report, r.html);
	km_sim_report_fini(&report);
	return shown != KM_COMMAND_OK ? shown : written;
}
