/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla-lab import`: the thesis' folders as a dataset. */
#include "km/experiment/import.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "km/wire/json.h"

#include "lab_internal.h"

static const char import_usage[] =
	"import FOLDER --out DIR [OPTION]...\n\n"
	"Makes a dataset for `kubemarla train` of recordings in the layout of the diploma thesis\n"
	"this project began with (Raw_Data/CAMPAIGN/nginx_metrics.csv, pcm_core_*.csv,\n"
	"pcm_system_*.csv). FOLDER is a campaign, or holds campaigns. Prints what is not used, "
	"and\n"
	"why. docs/MODEL.md says what is taken for granted.\n\n"
	"  --out DIR         where to; made if it is not there\n"
	"  --node1 CPUS      default 0-2\n"
	"  --node2 CPUS      default 3-5\n"
	"  --service-on N    node 1 or 2: where a service of one node was; default 2\n"
	"  --json            says what was imported as JSON\n";

static void skipped(void *ctx, const char *what, const char *why)
{
	(void)ctx;
	fprintf(stderr, "kubemarla-lab: not used: %s: %s\n", what, why);
}

static int progress(void *ctx, size_t done, size_t all)
{
	(void)ctx;
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K  traces %zu/%zu%s", done, all,
		        done + 1 < all ? "" : "\n");
	return 0;
}

static void tell(const struct km_import_stats *s, const char *out, bool as_json)
{
	struct km_buf text;
	struct km_json j;

	if (!as_json) {
		printf("%zu campaigns, %zu runs, %zu rows, %zu pairs in %s; %zu not used\n",
		       s->campaigns, s->runs, s->rows, s->pairs, out, s->skipped);
		if (s->no_memory_traffic > 0)
			printf("%zu runs have no pcm_system file: no memory traffic\n",
			       s->no_memory_traffic);
		return;
	}
	km_buf_init(&text);
	j = km_json_to(&text);
	km_json_begin(&j, '{');
	km_json_put_string(&j, "out", out);
	km_json_put_integer(&j, "campaigns", (long long)s->campaigns);
	km_json_put_integer(&j, "runs", (long long)s->runs);
	km_json_put_integer(&j, "rows", (long long)s->rows);
	km_json_put_integer(&j, "pairs", (long long)s->pairs);
	km_json_put_integer(&j, "notUsed", (long long)s->skipped);
	km_json_put_integer(&j, "withoutMemoryTraffic", (long long)s->no_memory_traffic);
	km_json_end(&j, '}');
	printf("%s\n", km_buf_cstr(&text));
	km_buf_fini(&text);
}

/* returns 1 = go on, 0 = --help, -1 = wrong. */
static int parse(int argc, char **argv, struct km_import_options *o, bool *as_json)
{
	static const struct option options[] = {
		{ "out", required_argument, NULL, 'o' },
		{ "node1", required_argument, NULL, '1' },
		{ "node2", required_argument, NULL, '2' },
		{ "service-on", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	bool good = true;
	int opt;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the program has one thread */
	while (good && (opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'o':
			o->out = optarg;
			break;
		case '1':
		case '2':
			o->cpus[opt - '1'] = optarg;
			break;
		case 's':
			good = strcmp(optarg, "1") == 0 || strcmp(optarg, "2") == 0;
			o->single_on = good ? (unsigned)(optarg[0] - '0') : 2;
			break;
		case 'j':
			*as_json = true;
			break;
		case 'h':
			return 0;
		default:
			good = false;
			break;
		}
	}
	if (!good || optind + 1 != argc || o->out == NULL)
		return -1;
	o->from = argv[optind];
	return 1;
}

int km_lab_import(int argc, char **argv)
{
	struct km_import_options o = {
		.cpus = { "0-2", "3-5" },
		.single_on = 2,
		.skipped = skipped,
		.progress = progress,
	};
	struct km_import_stats stats;
	struct km_err err = { .code = 0 };
	bool as_json = false;
	int go_on = parse(argc, argv, &o, &as_json);
	int rc;

	if (go_on <= 0)
		return km_command_usage(import_usage, go_on == 0);
	rc = km_import(&o, &stats, &err);
	if (rc == 0) {
		tell(&stats, o.out, as_json);
		return KM_COMMAND_OK;
	}
	(void)km_lab_tell(&err);
	return rc == -EINVAL || rc == -ENOENT || rc == -EEXIST || rc == -ENODATA
	               ? KM_COMMAND_USAGE
	               : KM_COMMAND_FAILED;
}
