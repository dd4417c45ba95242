/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `kubemarla model diff`: what two models do not share, in lines of -old +new, and by how much they
 * disagree about the rows that either was checked with.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/wire/answers.h"
#include "km/wire/leaves.h"

#include "cli_internal.h"
#include "model.h"

#define TROUBLE 2
#define NOWHERE UINT32_MAX

struct side {
	const char *path;
	struct km_model *model;
	struct km_model_info info;
	const struct km_schema *schema;
};

static int open_side(struct side *s, const char *path)
{
	s->path = path;
	if (model_open(path, &s->model) != KM_COMMAND_OK)
		return TROUBLE;
	km_model_info(s->model, &s->info);
	s->schema = km_model_schema(s->model);
	return 0;
}

static uint32_t find(const struct km_schema *s, const char *name)
{
	for (uint32_t i = 0; i < s->count; i++) {
		if (strcmp(s->feature[i].name, name) == 0)
			return i;
	}
	return NOWHERE;
}

static void diff_text(const char *what, const char *a, const char *b)
{
	if (strcmp(a, b) != 0)
		printf("%-10s- %s\n%-10s+ %s\n", what, a, "", b);
}

static void diff_head(const struct side *a, const struct side *b)
{
	char text[2][128];

	diff_text("name", a->info.name, b->info.name);
	diff_text("task", a->info.task, b->info.task);
	for (int i = 0; i < 2; i++) {
		const struct side *s = i == 0 ? a : b;

		(void)snprintf(text[i], sizeof(text[i]), "%s, %g s in bins of %g s",
		               km_tier_name(s->schema->tier), s->schema->window_s,
		               s->schema->bin_s);
	}
	diff_text("reads", text[0], text[1]);
	for (int i = 0; i < 2; i++) {
		const struct side *s = i == 0 ? a : b;

		(void)snprintf(text[i], sizeof(text[i]), "%u, up to %u deep, XGBoost %s",
		               s->info.tree_count, s->info.max_depth, s->info.library);
	}
	diff_text("trees", text[0], text[1]);
	diff_text("data", a->info.provenance, b->info.provenance);
}

/* Features of `a` that `b` has not. */
static void print_missing(const struct side *a, const struct side *b, char sign)
{
	for (uint32_t i = 0; i < a->schema->count; i++) {
		if (find(b->schema, a->schema->feature[i].name) != NOWHERE)
			continue;
		printf("%-10s%c %s\n", "feature", sign, a->schema->feature[i].name);
	}
}

static bool same_number(double a, double b)
{
	return a == b || (isnan(a) && isnan(b));
}

static void diff_ranges(const struct side *a, const struct side *b)
{
	struct km_buf text;

	km_buf_init(&text);
	for (uint32_t i = 0; i < a->schema->count; i++) {
		const char *name = a->schema->feature[i].name;
		uint32_t j = find(b->schema, name);

		if (j == NOWHERE || (same_number(a->info.range_low[i], b->info.range_low[j]) &&
		                     same_number(a->info.range_high[i], b->info.range_high[j])))
			continue;
		km_buf_clear(&text);
		km_answer_human(&text, name, a->info.range_low[i]);
		km_buf_str(&text, " to ");
		km_answer_human(&text, name, a->info.range_high[i]);
		km_buf_str(&text, " -> ");
		km_answer_human(&text, name, b->info.range_low[j]);
		km_buf_str(&text, " to ");
		km_answer_human(&text, name, b->info.range_high[j]);
		printf("%-10s%s: %s\n", "range", name, km_buf_cstr(&text));
	}
	km_buf_fini(&text);
}

/* One score of the other model, looked for. */
struct wanted {
	const char *path;
	char value[KM_LEAVES_VALUE_MAX];
	bool found;
};

static void look(void *ctx, const char *path, const char *value)
{
	struct wanted *w = ctx;

	if (!w->found && strcmp(path, w->path) == 0) {
		w->found = true;
		(void)snprintf(w->value, sizeof(w->value), "%s", value);
	}
}

struct score_diff {
	const char *other; /* the other model's JSON */
	bool only_missing; /* those both have were compared already */
	char sign;
};

static void diff_score(void *ctx, const char *path, const char *value)
{
	struct score_diff *d = ctx;
	struct wanted w = { .path = path };

	if (km_json_leaves(d->other, strlen(d->other), look, &w, NULL) != 0)
		w.found = false; /* what is no JSON has nothing */
	if (!w.found) {
		printf("%-10s%c %s %s\n", "score", d->sign, path, value);
	} else if (!d->only_missing && strcmp(w.value, value) != 0) {
		printf("%-10s%s: %s -> %s\n", "score", path, value, w.value);
	}
}

static void diff_scores(const struct side *a, const struct side *b)
{
	const char *json[2] = { a->info.metrics_json, b->info.metrics_json };
	struct score_diff d[2] = { { json[1], false, '-' }, { json[0], true, '+' } };

	for (int i = 0; i < 2; i++) {
		if (json[i][0] != '\0' &&
		    km_json_leaves(json[i], strlen(json[i]), diff_score, &d[i], NULL) != 0)
			printf("%-10s%c cannot be read\n", "score", d[i].sign);
	}
}

/* How far predictions of `b` are from those of `a`, over rows of `of`. */
struct gap {
	double sum, most, at; /* ratios of slowdowns, as ln; the slowdown of `a` at the largest */
	size_t rows;
};

static void add_gap(struct gap *g, double a, double b)
{
	double off = fabs(log(b / a));

	if (isnan(off))
		return;
	g->sum += off;
	g->rows++;
	if (off > g->most) {
		g->most = off;
		g->at = a;
	}
}

/* A row of `of` with the columns of `to`; what `of` does not have is missing. */
static void map_row(const struct side *of, const float *row, const struct side *to, float *out)
{
	for (uint32_t i = 0; i < to->schema->count; i++) {
		uint32_t at = find(of->schema, to->schema->feature[i].name);

		out[i] = at == NOWHERE ? NAN : row[at];
	}
}

static int measure(const struct side *of, const struct side *a, const struct side *b,
                   float *scratch, struct gap *g)
{
	struct km_err err = { .code = 0 };
	size_t count;
	const float *rows = km_model_golden(of->model, &count);

	for (size_t i = 0; i < count; i++) {
		struct km_prediction p[2];
		int rc;

		map_row(of, rows + i * of->schema->count, a, scratch);
		rc = km_model_predict(a->model, scratch, 1, &p[0], &err);
		map_row(of, rows + i * of->schema->count, b, scratch);
		if (rc == 0)
			rc = km_model_predict(b->model, scratch, 1, &p[1], &err);
		if (rc != 0) {
			fprintf(stderr, "kubemarla: %s\n", err.text);
			return TROUBLE;
		}
		add_gap(g, p[0].slowdown, p[1].slowdown);
	}
	return 0;
}

static int diff_predictions(const struct side *a, const struct side *b)
{
	uint32_t most = a->schema->count > b->schema->count ? a->schema->count : b->schema->count;
	float *scratch = calloc(most + 1, sizeof(*scratch));
	struct gap g = { .rows = 0 };
	int rc;

	if (scratch == NULL) {
		fprintf(stderr, "kubemarla: out of memory\n");
		return TROUBLE;
	}
	rc = measure(a, a, b, scratch, &g);
	if (rc == 0)
		rc = measure(b, a, b, scratch, &g);
	free(scratch);
	if (rc != 0)
		return rc;
	if (g.most == 0) {
		printf("%-10sof %zu golden rows are the same\n", "slowdowns", g.rows);
		return 0;
	}
	printf("%-10sof %zu golden rows differ by %.1f %% on average, by %.1f %% at most (where "
	       "the first predicts a slowdown of %.2f)\n",
	       "slowdowns", g.rows, 100 * expm1(g.sum / (double)g.rows), 100 * expm1(g.most), g.at);
	return 0;
}

int model_diff(const char *path_a, const char *path_b)
{
	struct side a = { .model = NULL };
	struct side b = { .model = NULL };
	int rc = open_side(&a, path_a);
	int differ = 0;

	if (rc == 0)
		rc = open_side(&b, path_b);
	if (rc == 0 && a.info.hash != b.info.hash) {
		printf("- %s %016" PRIx64 "\n+ %s %016" PRIx64 "\n", path_a, a.info.hash, path_b,
		       b.info.hash);
		diff_head(&a, &b);
		print_missing(&a, &b, '-');
		print_missing(&b, &a, '+');
		diff_ranges(&a, &b);
		diff_scores(&a, &b);
		rc = diff_predictions(&a, &b);
		differ = 1; /* the bytes do, whatever else */
	}
	km_model_unref(a.model);
	km_model_unref(b.model);
	return rc != 0 ? rc : differ;
}
