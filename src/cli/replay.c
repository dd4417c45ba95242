/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla replay`: a decision log once more, with another model or other settings. */
#include "replay.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/err.h"
#include "km/base/file.h"
#include "km/base/macros.h"
#include "km/config/config.h"
#include "km/config/policy_file.h"
#include "km/wire/json.h"

#include "cli_internal.h"
#include "model.h"

#define BAD_LINES_TOLD 5
#define DIGITS         6

static const char usage[] =
	"replay LOG --model FILE [-c FILE] [--json]\n\n"
	"Decides again what a decision log (decide.log) says, with another model, and prints what\n"
	"would have been chosen otherwise.  LOG may be gzip.\n\n"
	"      --model FILE   the model; every feature it reads has to be in the log\n"
	"  -c, --config FILE  a configuration: its decide settings and policies instead of what\n"
	"                     the log says of them\n"
	"      --json         one JSON object on standard output\n\n"
	"A choice is the set of nodes with the best score: kube-scheduler's own plugins decide\n"
	"among them.  Slowdowns are predictions of the new model at both choices.\n";

struct question {
	const char *log;
	const char *model;
	const char *config; /* NULL = none */
	bool json;
};

/* What the file itself was like. */
struct reading {
	size_t lines;
	size_t bad;
	bool cut;
};

/* returns KM_COMMAND_OK, or -1 when the command is over with *code. */
static int parse(int argc, char **argv, struct question *q, int *code)
{
	static const struct option options[] = {
		{ "model", required_argument, NULL, 'm' },
		{ "config", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	*q = (struct question){ .log = NULL };
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the tool has one thread */
	while ((opt = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (opt == 'm') {
			q->model = optarg;
		} else if (opt == 'c') {
			q->config = optarg;
		} else if (opt == 'j') {
			q->json = true;
		} else {
			*code = km_command_usage(usage, opt == 'h');
			return -1;
		}
	}
	if (optind + 1 != argc || q->model == NULL) {
		*code = km_command_usage(usage, 0);
		return -1;
	}
	q->log = argv[optind];
	return KM_COMMAND_OK;
}

static void tell_bad_line(struct reading *in, const char *path, size_t number,
                          const struct km_err *err)
{
	if (in->bad++ < BAD_LINES_TOLD)
		fprintf(stderr, "kubemarla: %s:%zu: %s\n", path, number, err->text);
	else if (in->bad == BAD_LINES_TOLD + 1)
		fprintf(stderr, "kubemarla: %s: more bad lines are only counted\n", path);
}

/* returns KM_COMMAND_OK, or an exit code when it is over. */
static int take_line(struct replay *r, const struct question *q, size_t number, const char *text,
                     size_t len, struct reading *in)
{
	struct km_decision_line line;
	struct km_err err = { .code = 0 };
	struct km_arena arena;
	int rc;

	km_arena_init(&arena, 0);
	rc = km_decision_line_read(text, len, &arena, &line, &err);
	if (rc == 0)
		rc = replay_line(r, &line, &err);
	km_arena_fini(&arena);
	if (rc == -EPROTO) {
		fprintf(stderr, "kubemarla: %s:%zu: %s\n", q->log, number, err.text);
		return KM_COMMAND_USAGE;
	}
	if (rc == -ENOMEM)
		return km_cli_tell(&err);
	if (rc != 0)
		tell_bad_line(in, q->log, number, &err);
	return KM_COMMAND_OK;
}

static int read_log(struct replay *r, const struct question *q, struct reading *in)
{
	struct km_lines *lines = NULL;
	struct km_err err = { .code = 0 };
	int code = KM_COMMAND_OK;
	const char *text;
	size_t len;
	int rc;

	if (km_lines_open(q->log, KM_DECISION_LINE_MAX, &lines, &err) != 0) {
		fprintf(stderr, "kubemarla: %s\n", err.text);
		return KM_COMMAND_USAGE;
	}
	while (code == KM_COMMAND_OK &&
	       (rc = km_lines_next(lines, &text, &len, &err)) != KM_LINE_END) {
		if (rc == KM_LINE_PART) {
			in->cut = true; /* it is being written, or was when the disk was full */
			continue;
		}
		in->lines++;
		if (rc == KM_LINE_OK) {
			code = take_line(r, q, km_lines_number(lines), text, len, in);
		} else if (rc == -EMSGSIZE) {
			tell_bad_line(in, q->log, km_lines_number(lines), &err);
		} else {
			fprintf(stderr, "kubemarla: %s\n", err.text);
			code = KM_COMMAND_FAILED;
		}
	}
	km_lines_close(lines);
	return code;
}

/* ---- what came of it ------------------------------------------------------------------------ */

static double percent(size_t part, size_t all)
{
	return all > 0 ? 100.0 * (double)part / (double)all : NAN;
}

/* Geometric mean of `count` slowdowns whose ln sum up to this. */
static double mean(double ln_sum, size_t count)
{
	return count > 0 ? exp(ln_sum / (double)count) : NAN;
}

static void print_changes(const struct replay_result *res)
{
	static const struct km_table_column columns[] = {
		{ "REQUEST", true, false, 0 },   { "POD", false, false, 12 },
		{ "CHOSEN", false, false, 12 },  { "SLOWDOWN", true, false, 0 },
		{ "INSTEAD", false, false, 12 }, { "SLOWDOWN", true, false, 0 },
	};
	struct km_table table;
	struct km_buf cell;

	km_buf_init(&cell);
	km_table_init(&table, columns, KM_ARRAY_LEN(columns));
	for (size_t i = 0; i < res->change_count; i++) {
		const struct replay_change *c = &res->change[i];
		const char *text[] = { c->then, c->now };
		const double slowdown[] = { c->slowdown_then, c->slowdown_now };

		km_buf_clear(&cell);
		km_buf_printf(&cell, "%" PRIu64, c->id);
		km_table_cell(&table, km_buf_cstr(&cell));
		km_table_cell(&table, c->pod);
		for (size_t k = 0; k < 2; k++) {
			km_table_cell(&table, text[k]);
			km_buf_clear(&cell);
			if (isfinite(slowdown[k]))
				km_buf_printf(&cell, "%.2f", slowdown[k]);
			else
				km_buf_char(&cell, '-');
			km_table_cell(&table, km_buf_cstr(&cell));
		}
	}
	printf("\n");
	if (km_table_print(&table, stdout, km_table_terminal_width()) != 0)
		fprintf(stderr, "kubemarla: out of memory printing the table\n");
	if (res->changed > res->change_count)
		printf("and %zu more.\n", res->changed - res->change_count);
	km_table_fini(&table);
	km_buf_fini(&cell);
}

static void print_text(const struct km_model_info *model, const struct replay_result *res,
                       const struct reading *in)
{
	printf("Model %s (%016" PRIx64 ") on %zu calls, answered then by", model->name, model->hash,
	       res->calls);
	for (size_t i = 0; i < res->model_count; i++) {
		if (res->model[i].hash != 0)
			printf("%s %016" PRIx64, i > 0 ? "," : "", res->model[i].hash);
		else
			printf("%s no model", i > 0 ? "," : "");
		printf(" (%zu)", res->model[i].calls);
	}
	printf(".\n%zu of them would have been answered the same in every score and rejection.\n",
	       res->identical);
	printf("Of %zu choices %zu (%.1f %%) are the same, %zu (%.1f %%) overlap, %zu (%.1f %%) "
	       "changed.\n",
	       res->choices, res->same, percent(res->same, res->choices), res->overlapping,
	       percent(res->overlapping, res->choices), res->changed,
	       percent(res->changed, res->choices));
	if (res->predicted > 0)
		printf("This model predicts a mean slowdown of %.3f at its choices, %.3f at those "
		       "made.\n",
		       mean(res->ln_now, res->predicted), mean(res->ln_then, res->predicted));
	if (res->changed_predicted > 0)
		printf("Where the choice changed: %.3f and %.3f.\n",
		       mean(res->changed_ln_now, res->changed_predicted),
		       mean(res->changed_ln_then, res->changed_predicted));
	if (res->filter_calls > 0)
		printf("Of %zu calls to /filter %zu would have dropped other nodes.\n",
		       res->filter_calls, res->filter_changed);
	if (res->rows_missing > 0)
		printf("For %zu candidates the log has no counters: they count as nodes without.\n",
		       res->rows_missing);
	if (in->bad > 0)
		printf("%zu of %zu lines are bad.\n", in->bad, in->lines);
	if (in->cut)
		printf("The last line is cut.\n");
	if (res->change_count > 0)
		print_changes(res);
}

static void put_means(struct km_json *j, const char *key, double then, double now, size_t count)
{
	km_json_key(j, key);
	km_json_begin(j, '{');
	km_json_put_integer(j, "choices", (long long)count);
	km_json_put_rounded(j, "then", mean(then, count), DIGITS);
	km_json_put_rounded(j, "now", mean(now, count), DIGITS);
	km_json_end(j, '}');
}

static void put_lists(struct km_json *j, const struct replay_result *res)
{
	km_json_key(j, "answeredBy");
	km_json_begin(j, '[');
	for (size_t i = 0; i < res->model_count; i++) {
		km_json_begin(j, '{');
		km_json_key(j, "modelHash");
		if (res->model[i].hash != 0)
			km_json_hash(j, res->model[i].hash);
		else
			km_json_string(j, NULL);
		km_json_put_integer(j, "calls", (long long)res->model[i].calls);
		km_json_end(j, '}');
	}
	km_json_end(j, ']');
	km_json_key(j, "changes");
	km_json_begin(j, '[');
	for (size_t i = 0; i < res->change_count; i++) {
		const struct replay_change *c = &res->change[i];

		km_json_begin(j, '{');
		km_json_put_integer(j, "id", (long long)c->id);
		km_json_put_string(j, "pod", c->pod);
		km_json_put_string(j, "then", c->then);
		km_json_put_rounded(j, "slowdownThen", c->slowdown_then, DIGITS);
		km_json_put_string(j, "now", c->now);
		km_json_put_rounded(j, "slowdownNow", c->slowdown_now, DIGITS);
		km_json_end(j, '}');
	}
	km_json_end(j, ']');
}

static void print_json(const struct km_model_info *model, const struct replay_result *res,
                       const struct reading *in)
{
	struct km_buf out;
	struct km_json j;

	km_buf_init(&out);
	j = km_json_to(&out);
	km_json_begin(&j, '{');
	km_json_put_string(&j, "model", model->name);
	km_json_key(&j, "modelHash");
	km_json_hash(&j, model->hash);
	km_json_put_integer(&j, "calls", (long long)res->calls);
	km_json_put_integer(&j, "identical", (long long)res->identical);
	km_json_put_integer(&j, "choices", (long long)res->choices);
	km_json_put_integer(&j, "same", (long long)res->same);
	km_json_put_integer(&j, "overlapping", (long long)res->overlapping);
	km_json_put_integer(&j, "changed", (long long)res->changed);
	put_means(&j, "meanSlowdown", res->ln_then, res->ln_now, res->predicted);
	put_means(&j, "meanSlowdownChanged", res->changed_ln_then, res->changed_ln_now,
	          res->changed_predicted);
	km_json_put_integer(&j, "filterCalls", (long long)res->filter_calls);
	km_json_put_integer(&j, "filterChanged", (long long)res->filter_changed);
	km_json_put_integer(&j, "rowsMissing", (long long)res->rows_missing);
	km_json_put_integer(&j, "lines", (long long)in->lines);
	km_json_put_integer(&j, "badLines", (long long)in->bad);
	km_json_put_bool(&j, "lastLineCut", in->cut);
	put_lists(&j, res);
	km_json_end(&j, '}');
	printf("%s\n", km_buf_cstr(&out));
	km_buf_fini(&out);
}

static int run(const struct question *q, struct km_model *model,
               const struct km_decide_settings *settings, struct km_policies *policies)
{
	const bool fixed = q->config != NULL;
	struct reading in = { .lines = 0 };
	struct replay *r = NULL;
	struct km_err err = { .code = 0 };
	struct km_model_info info;
	int code;

	if (replay_create(model, settings, fixed, policies, &r, &err) != 0)
		return km_cli_tell(&err);
	code = read_log(r, q, &in);
	km_model_info(model, &info);
	if (code == KM_COMMAND_OK && replay_result(r)->calls == 0) {
		fprintf(stderr, "kubemarla: %s: no decision in %zu lines, %zu of them bad\n",
		        q->log, in.lines, in.bad);
		code = KM_COMMAND_USAGE;
	}
	if (code == KM_COMMAND_OK && q->json)
		print_json(&info, replay_result(r), &in);
	else if (code == KM_COMMAND_OK)
		print_text(&info, replay_result(r), &in);
	replay_free(r);
	return code;
}

int km_cli_replay(int argc, char **argv)
{
	struct km_settings settings = { .roles = 0 };
	struct km_err err = { .code = 0 };
	struct km_policies *policies = NULL;
	struct km_model *model = NULL;
	struct question q;
	int code = KM_COMMAND_OK;

	if (parse(argc, argv, &q, &code) != 0)
		return code;
	code = model_open(q.model, &model);
	if (code == KM_COMMAND_OK && q.config != NULL &&
	    km_config_load(q.config, &settings, &err) != 0) {
		fprintf(stderr, "kubemarla: %s\n", err.text);
		code = KM_COMMAND_USAGE;
	} else if (code == KM_COMMAND_OK && q.config == NULL &&
	           km_config_defaults(&settings) != 0) {
		fprintf(stderr, "kubemarla: out of memory\n");
		code = KM_COMMAND_FAILED;
	}
	if (code == KM_COMMAND_OK && settings.decide.policies_path[0] != '\0' &&
	    km_policy_file_load(settings.decide.policies_path, settings.decide.trusted_namespaces,
	                        &policies, &err) != 0) {
		fprintf(stderr, "kubemarla: decide.policies: %s\n", err.text);
		code = KM_COMMAND_USAGE;
	}
	if (code == KM_COMMAND_OK)
		code = run(&q, model, &settings.decide, policies);
	km_policies_unref(policies);
	km_settings_fini(&settings);
	km_model_unref(model);
	return code;
}
