/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla model`: a model file as it describes itself. */
#include "model.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/api/card.h"
#include "km/wire/leaves.h"

#include "cli_internal.h"

#define LINE_WIDTH 90

static const char usage[] =
	"model show FILE [--json]\n"
	"       model check FILE\n"
	"       model diff FILE FILE\n\n"
	"show    prints what a model file says of itself: task, data, scores, intervals, and\n"
	"        each feature with its training range and its share of the gain.\n"
	"        --json: as GET /v1/model, and the gain\n"
	"check   opens it as the daemon would: structure, attributes, golden vectors.\n"
	"        Exit code 0: usable; 2: refused, with one line why.\n"
	"diff    prints what differs: features, ranges, scores, and by how much predictions\n"
	"        do for the golden vectors of both. Exit code 0: the same; 1: they differ.\n";

int model_open(const char *path, struct km_model **out)
{
	struct km_err err = { .code = 0 };
	int rc;

	km_model_thread_init();
	rc = km_model_open(path, out, &err);
	if (rc == 0)
		return KM_COMMAND_OK;
	fprintf(stderr, "kubemarla: %s\n", err.text);
	return rc == -ENOMEM || rc == -EIO ? KM_COMMAND_FAILED : KM_COMMAND_USAGE;
}

static int no_memory(void)
{
	fprintf(stderr, "kubemarla: out of memory\n");
	return KM_COMMAND_FAILED;
}

/* The line of "metrics.mae" and its siblings goes on as long as they share "metrics". */
struct scores_line {
	char group[64];
	size_t used;
};

static void put_score(void *ctx, const char *path, const char *value)
{
	struct scores_line *line = ctx;
	const char *dot = strrchr(path, '.');
	const char *key = dot != NULL ? dot + 1 : path;
	char group[sizeof(line->group)];

	(void)snprintf(group, sizeof(group), "%.*s", dot != NULL ? (int)(dot - path) : 0, path);
	if (line->used == 0 || strcmp(group, line->group) != 0 ||
	    line->used + strlen(key) + strlen(value) > LINE_WIDTH) {
		bool first = line->used == 0;

		line->used = (size_t)printf("%s%-10s%s%s", first ? "" : "\n", first ? "scores" : "",
		                            group, group[0] != '\0' ? ": " : "");
		memcpy(line->group, group, sizeof(group));
	} else {
		line->used += (size_t)printf(", ");
	}
	line->used += (size_t)printf("%s %s", key, value);
}

static void print_scores(const char *json)
{
	struct scores_line line = { .used = 0 };

	if (json[0] != '\0' && km_json_leaves(json, strlen(json), put_score, &line, NULL) != 0)
		printf("%-10scannot be read", "scores");
	else if (line.used == 0)
		printf("%-10snone", "scores");
	printf("\n");
}

static void print_head(const struct km_answer_model_card *c)
{
	printf("%-10s%s\n", "name", c->name);
	printf("%-10s%s, tier %s\n", "task", c->task, km_tier_name(c->schema->tier));
	printf("%-10s%016" PRIx64 ", %zu bytes, %u trees up to %u deep, XGBoost %s\n", "file",
	       c->hash, c->file_bytes, c->tree_count, c->max_depth, c->library);
	printf("%-10s%g s in bins of %g s\n", "window", c->schema->window_s, c->schema->bin_s);
	printf("%-10s", "classes");
	for (uint32_t i = 0; i < c->schema->class_count; i++)
		printf("%s%s", i > 0 ? ", " : "", c->schema->classes[i]);
	printf("%s\n", c->schema->class_count == 0 ? "none" : "");
	printf("%-10s%s\n", "data", c->provenance[0] != '\0' ? c->provenance : "not said");
	print_scores(c->metrics_json);
	printf("%-10s", "interval");
	for (size_t i = 0; i < c->interval_count; i++)
		printf("%s%.2f (%.2f to %.2f)",
		       i > 0 ? ", " : "90 % of slowdowns: ", c->interval[i].slowdown,
		       c->interval[i].low, c->interval[i].high);
	printf("%s\n\n", c->interval_count == 0 ? "unknown" : "");
}

static void put_value(struct km_table *t, struct km_buf *scratch, const char *feature, double value)
{
	km_buf_clear(scratch);
	if (isfinite(value))
		km_answer_human(scratch, feature, value);
	else
		km_buf_char(scratch, '-');
	km_table_cell(t, km_buf_cstr(scratch));
}

struct ranked {
	double gain;
	uint32_t feature;
};

static int by_gain(const void *a, const void *b)
{
	const struct ranked *x = a;
	const struct ranked *y = b;

	if (x->gain != y->gain)
		return x->gain < y->gain ? 1 : -1;
	return (x->feature > y->feature) - (x->feature < y->feature);
}

/* Largest gain first. */
static int print_features(const struct km_answer_model_card *c)
{
	static const struct km_table_column columns[] = {
		{ "FEATURE", false, false, 0 },
		{ "TRAINED FROM", true, false, 0 },
		{ "TO", true, false, 0 },
		{ "GAIN", true, false, 0 },
	};
	struct ranked *order = calloc(c->schema->count + 1, sizeof(*order));
	struct km_table table;
	struct km_buf scratch;
	int rc = -1;

	km_buf_init(&scratch);
	km_table_init(&table, columns, KM_ARRAY_LEN(columns));
	for (uint32_t i = 0; order != NULL && i < c->schema->count; i++)
		order[i] = (struct ranked){ c->gain[i], i };
	if (order != NULL)
		qsort(order, c->schema->count, sizeof(*order), by_gain);
	for (uint32_t k = 0; order != NULL && k < c->schema->count; k++) {
		uint32_t i = order[k].feature;
		const char *name = c->schema->feature[i].name;

		km_table_cell(&table, name);
		put_value(&table, &scratch, name, c->range_low[i]);
		put_value(&table, &scratch, name, c->range_high[i]);
		km_buf_clear(&scratch);
		km_buf_printf(&scratch, "%.1f %%", 100 * c->gain[i]);
		km_table_cell(&table, km_buf_cstr(&scratch));
	}
	if (order != NULL && km_buf_ok(&scratch))
		rc = km_table_print(&table, stdout, km_table_terminal_width());
	free(order);
	km_table_fini(&table);
	km_buf_fini(&scratch);
	return rc == 0 ? KM_COMMAND_OK : no_memory();
}

static int print_json(const struct km_answer_model_card *c)
{
	struct km_buf out;
	int rc = KM_COMMAND_OK;

	km_buf_init(&out);
	km_answer_model(&out, c);
	if (!km_buf_ok(&out))
		rc = no_memory();
	else
		(void)fwrite(out.data, 1, out.len, stdout); /* main looks at stdout's errors */
	km_buf_fini(&out);
	return rc;
}

static int show(const char *path, bool json)
{
	struct km_model *model = NULL;
	struct km_err err = { .code = 0 };
	struct km_api_card card;
	double *gain = NULL;
	int rc = model_open(path, &model);

	if (rc != KM_COMMAND_OK)
		return rc;
	km_api_card_fill(model, &card);
	gain = calloc(card.card.schema->count + 1, sizeof(*gain));
	if (gain == NULL) {
		rc = no_memory();
	} else if (km_model_gain(model, gain, &err) != 0) {
		fprintf(stderr, "kubemarla: %s: %s\n", path, err.text);
		rc = KM_COMMAND_FAILED;
	} else {
		card.card.gain = gain;
		if (!json)
			print_head(&card.card);
		rc = json ? print_json(&card.card) : print_features(&card.card);
	}
	free(gain);
	km_model_unref(model);
	return rc;
}

static int check(const char *path)
{
	struct km_model *model = NULL;
	struct km_model_info info;
	int rc = model_open(path, &model);

	if (rc != KM_COMMAND_OK)
		return rc;
	km_model_info(model, &info);
	printf("%s: usable: %s, %s, %u features, tier %s, %016" PRIx64 "\n", path, info.name,
	       info.task, km_model_schema(model)->count, km_tier_name(km_model_schema(model)->tier),
	       info.hash);
	km_model_unref(model);
	return KM_COMMAND_OK;
}

int km_cli_model(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *what;
	bool json = false;
	int opt;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the tool has one thread */
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt != 'j')
			return km_command_usage(usage, opt == 'h');
		json = true;
	}
	what = optind < argc ? argv[optind] : "";
	argc -= optind + 1; /* of files */
	argv += optind + 1;
	if (strcmp(what, "show") == 0 && argc == 1)
		return show(argv[0], json);
	if (strcmp(what, "check") == 0 && argc == 1 && !json)
		return check(argv[0]);
	if (strcmp(what, "diff") == 0 && argc == 2 && !json)
		return model_diff(argv[0], argv[1]);
	return km_command_usage(usage, 0);
}
