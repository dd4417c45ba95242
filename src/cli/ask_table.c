/* SPDX-License-Identifier: Apache-2.0 */
/* What a daemon answered, as tables: a line about the question, then a row for each node. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/macros.h"
#include "km/wire/answers.h"
#include "km/wire/client_answers.h"

#include "cli_internal.h"

/* Of what nodes measure, the columns of `top`: each is there when at least one node has it. */
static const char *const feature[] = {
	"node.ipc.mean",
	"node.c0_ratio.mean",
	"node.busy_ratio.mean",
	"node.l3_miss_per_s.mean",
	"host.mem_read_bytes_per_s.mean",
	"host.mem_write_bytes_per_s.mean",
	"node.cpu_psi_ratio.mean",
	"node.steal_ratio.mean",
};
static const char *const feature_title[] = {
	"IPC", "C0", "BUSY", "L3 MISS/S", "MEM READ", "MEM WRITE", "CPU PRESSURE", "STEAL",
};
#define FEATURES KM_ARRAY_LEN(feature)
_Static_assert(FEATURES == KM_ARRAY_LEN(feature_title), "a title each");
_Static_assert(FEATURES <= KM_CLIENT_FEATURES_MAX, "the reader keeps no more");

#define NAME_LEAST   12 /* columns that a node's name and a reason keep on a narrow terminal */
#define REASON_LEAST 16

#define TOO_LARGE    1e7 /* to be written out */

void km_cli_wanted_features(struct km_client_table *t)
{
	t->feature_name = feature;
	t->feature_count = FEATURES;
}

/* What is not known goes last. */
static int by_number(double a, double b)
{
	if (isnan(a) || isnan(b))
		return isnan(a) - isnan(b);
	return (a > b) - (a < b);
}

static bool passes(const struct km_client_node *n)
{
	return n->filter == NULL || strcmp(n->filter, KM_CLIENT_PASS) == 0;
}

/* As the scheduler would choose: of what passes the highest score, then the lowest slowdown. */
static int best_first(const void *a, const void *b)
{
	const struct km_client_node *x = a;
	const struct km_client_node *y = b;
	int order = passes(y) - passes(x);

	if (order == 0)
		order = by_number(-x->score, -y->score);
	if (order == 0)
		order = by_number(x->slowdown, y->slowdown);
	return order != 0 ? order : strcmp(x->name, y->name);
}

static void put_number(struct km_table *t, struct km_buf *scratch, int digits, double value,
                       const char *unit)
{
	km_buf_clear(scratch);
	if (fabs(value) < TOO_LARGE)
		km_buf_printf(scratch, "%.*f%s", digits, value, unit);
	else if (isfinite(value))
		km_buf_printf(scratch, "%.3g%s", value, unit);
	else
		km_buf_char(scratch, '-');
	km_table_cell(t, km_buf_cstr(scratch));
}

static void put_prediction(struct km_table *t, struct km_buf *scratch,
                           const struct km_client_node *n)
{
	put_number(t, scratch, 2, n->slowdown, "");
	km_buf_clear(scratch);
	if (isfinite(n->low) && isfinite(n->high))
		km_buf_printf(scratch, "%.2f - %.2f", n->low, n->high);
	else
		km_buf_char(scratch, '-');
	km_table_cell(t, km_buf_cstr(scratch));
	put_number(t, scratch, 0, n->score, "");
}

static const char *or_dash(const char *text)
{
	return text != NULL && text[0] != '\0' ? text : "-";
}

/* What moves the prediction most; where there is none, what the daemon says instead. */
static const char *reason_of(const struct km_client_node *n)
{
	if (n->main != NULL)
		return n->main;
	return passes(n) ? or_dash(n->reason) : or_dash(n->filter);
}

static void print_question(const struct km_client_table *t)
{
	if (t->model != NULL)
		printf("Model %s", t->model);
	else
		printf("No model: answers are neutral");
	if (isfinite(t->rps))
		printf("; a pod of %g requests/s", t->rps);
	if (isfinite(t->max_slowdown))
		printf(" that tolerates a slowdown of %g", t->max_slowdown);
	if (isfinite(t->score_scale))
		printf("; scores from 0 to %g", t->score_scale);
	printf(".\n\n");
}

static int tell_no_memory(void)
{
	fprintf(stderr, "kubemarla: out of memory printing the table\n");
	return KM_COMMAND_FAILED;
}

int km_cli_print_answers(struct km_client_table *t)
{
	static const struct km_table_column columns[] = {
		{ "NODE", false, false, NAME_LEAST },
		{ "TIER", false, false, 0 },
		{ "SLOWDOWN", true, false, 0 },
		{ "90% INTERVAL", true, false, 0 },
		{ "SCORE", true, false, 0 },
		{ "FILTER", false, false, 0 },
		{ "MAIN REASON", false, false, REASON_LEAST },
	};
	struct km_table table;
	struct km_buf scratch;
	int rc;

	km_buf_init(&scratch);
	km_table_init(&table, columns, KM_ARRAY_LEN(columns));
	if (t->count > 0)
		qsort(t->node, t->count, sizeof(*t->node), best_first);
	for (size_t i = 0; i < t->count; i++) {
		const struct km_client_node *n = &t->node[i];

		km_table_cell(&table, n->name);
		km_table_cell(&table, or_dash(n->tier));
		put_prediction(&table, &scratch, n);
		km_table_cell(&table, passes(n) ? KM_CLIENT_PASS : "reject");
		km_table_cell(&table, reason_of(n));
	}
	print_question(t);
	rc = km_table_print(&table, stdout, km_table_terminal_width());
	if (t->count == 0)
		printf("The request names no node.\n");
	if (t->cut)
		printf("\nMore nodes than /v1/explain gives main reasons for.\n");
	km_table_fini(&table);
	km_buf_fini(&scratch);
	return rc == 0 ? KM_COMMAND_OK : tell_no_memory();
}

static bool anybody_has(const struct km_client_table *t, size_t f)
{
	for (size_t i = 0; i < t->count; i++) {
		if (isfinite(t->node[i].feature[f]))
			return true;
	}
	return false;
}

static void put_feature(struct km_table *t, struct km_buf *scratch, size_t f, double value)
{
	char *unit;

	km_buf_clear(scratch);
	if (isfinite(value))
		km_answer_human(scratch, feature[f], value);
	else
		km_buf_char(scratch, '-');
	(void)km_buf_cstr(scratch);
	unit = km_buf_ok(scratch) ? strchr(scratch->data, ' ') : NULL;
	if (unit != NULL && strpbrk(unit, "B%") == NULL)
		*unit = '\0'; /* the title says it; of bytes and shares it is the scale */
	km_table_cell(t, km_buf_ok(scratch) ? scratch->data : "");
}

int km_cli_print_nodes(struct km_client_table *t)
{
	struct km_table_column columns[6 + FEATURES] = {
		{ "NODE", false, false, NAME_LEAST },
		{ "TIER", false, false, 0 },
		{ "AGE", true, false, 0 },
		{ "SLOWDOWN", true, false, 0 },
		{ "90% INTERVAL", true, false, 0 },
		{ "SCORE", true, false, 0 },
	};
	size_t shown[FEATURES];
	size_t count = 0;
	struct km_table table;
	struct km_buf scratch;
	int rc;

	for (size_t f = 0; f < FEATURES; f++) {
		if (!anybody_has(t, f))
			continue;
		columns[6 + count] = (struct km_table_column){ feature_title[f], true, true, 0 };
		shown[count++] = f;
	}
	km_buf_init(&scratch);
	km_table_init(&table, columns, 6 + count);
	for (size_t i = 0; i < t->count; i++) {
		const struct km_client_node *n = &t->node[i];

		km_table_cell(&table, n->name);
		km_table_cell(&table, or_dash(n->tier));
		put_number(&table, &scratch, 1, n->age_s, " s");
		put_prediction(&table, &scratch, n);
		for (size_t c = 0; c < count; c++)
			put_feature(&table, &scratch, shown[c], n->feature[shown[c]]);
	}
	print_question(t);
	rc = km_table_print(&table, stdout, km_table_terminal_width());
	if (t->count == 0)
		printf("It knows no nodes: its configuration names none.\n");
	km_table_fini(&table);
	km_buf_fini(&scratch);
	return rc == 0 ? KM_COMMAND_OK : tell_no_memory();
}
