/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla search`: which recipe errs least on what was left out. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/num.h"
#include "km/eval/eval.h"

#include "cli_internal.h"
#include "progress.h"

#define TRIALS_DEFAULT 12
#define TRIALS_MAX     1000

static const char search_usage[] =
	"search --dataset DIR --features FILE [OPTION]...\n\n"
	"Tries recipes for the features in FILE: its own, then seeded draws. Each is trained\n"
	"without one group at a time and judged on it, rounds included. Prints the trials, and\n"
	"the best as the `training` part of a features.yaml. Nothing is written.\n\n"
	"  --dataset DIR     runs.csv, traces/ and, for placement, pairs.csv\n"
	"  --features FILE   features and recipe\n"
	"  --cv WHAT         campaign, family (default) or scenario: what is left out\n"
	"  --trials N        1 to 1000; default 12\n"
	"  --seed N          default 1\n";

struct request {
	struct km_eval_options options;
	enum km_protocol protocol;
	int64_t trials, seed;
};

static bool take_number(const char *name, const char *text, int64_t low, int64_t high, int64_t *out)
{
	if (km_num_int(text, strlen(text), out) == 0 && *out >= low && *out <= high)
		return true;
	fprintf(stderr, "kubemarla: %s: saw \"%.40s\", want %lld to %lld\n", name, text,
	        (long long)low, (long long)high);
	return false;
}

/* returns 1 = go on, 0 = --help, -1 = wrong. */
static int parse(int argc, char **argv, struct request *r)
{
	static const struct option options[] = {
		{ "dataset", required_argument, NULL, 'd' },
		{ "features", required_argument, NULL, 'f' },
		{ "cv", required_argument, NULL, 'c' },
		{ "trials", required_argument, NULL, 't' },
		{ "seed", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	bool good = true;
	int opt;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the tool has one thread here */
	while (good && (opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'd':
			r->options.dataset = optarg;
			break;
		case 'f':
			r->options.features = optarg;
			break;
		case 'c':
			good = km_protocol_parse(optarg) >= 0;
			r->protocol = (enum km_protocol)(good ? km_protocol_parse(optarg) : 0);
			break;
		case 't':
			good = take_number("--trials", optarg, 1, TRIALS_MAX, &r->trials);
			break;
		case 's':
			good = take_number("--seed", optarg, 0, INT64_MAX, &r->seed);
			break;
		case 'h':
			return 0;
		default:
			good = false;
			break;
		}
	}
	return good && optind == argc && r->options.dataset != NULL && r->options.features != NULL
	               ? 1
	               : -1;
}

static void print_trials(const struct km_search_trial *t, size_t count)
{
	printf("  MAE     empty   1.25x   rounds depth  eta    rows   cols   child  lambda npShare "
	       "zeroLabel\n");
	for (size_t i = 0; i < count; i++) {
		const struct km_recipe *r = &t[i].recipe;

		printf("  %.4f  %.4f  %.4f  %6u %5u  %.3f  %.2f   %.2f  %6.2f  %6.2f  %5.2f  "
		       "%5.2f\n",
		       t[i].mae, t[i].mae_empty, t[i].pair_accuracy125, r->rounds, r->max_depth,
		       r->eta, r->subsample, r->colsample_bynode, r->min_child_weight, r->lambda,
		       r->np_share, r->zero_label);
	}
}

static void print_recipe(const struct km_recipe *r)
{
	printf("\ntraining:\n  rounds: %u\n  maxDepth: %u\n  eta: %.4g\n  subsample: %.4g\n"
	       "  colsampleByNode: %.4g\n  minChildWeight: %.4g\n  lambda: %.4g\n"
	       "  npShare: %.4g\n  zeroLabel: %.4g\n",
	       r->rounds, r->max_depth, r->eta, r->subsample, r->colsample_bynode,
	       r->min_child_weight, r->lambda, r->np_share, r->zero_label);
}

int km_cli_search(int argc, char **argv)
{
	struct request r = {
		.options = { .progress = progress_step },
		.protocol = KM_PROTOCOL_FAMILY,
		.trials = TRIALS_DEFAULT,
		.seed = 1,
	};
	struct km_search_trial *trial;
	struct km_err err = { .code = 0 };
	int go = parse(argc, argv, &r);
	int rc;

	if (go <= 0)
		return km_command_usage(search_usage, go == 0);
	trial = calloc((size_t)r.trials, sizeof(*trial));
	if (trial == NULL)
		return KM_COMMAND_FAILED;
	progress_start();
	rc = km_search(&r.options, r.protocol, (size_t)r.trials, (uint64_t)r.seed, trial, &err);
	progress_end();
	if (rc == 0) {
		printf("%s\n", km_protocol_name(r.protocol));
		print_trials(trial, (size_t)r.trials);
		print_recipe(&trial[0].recipe);
	} else {
		fprintf(stderr, "kubemarla: %s\n", err.text);
	}
	free(trial);
	if (rc == -EINTR)
		return 130;
	return rc == 0 ? KM_COMMAND_OK : KM_COMMAND_USAGE;
}
