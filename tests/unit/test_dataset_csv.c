/* SPDX-License-Identifier: Apache-2.0 */
/* dataset: the tables' text. Whatever is wrong is said with file, line and column, or is no error.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/file.h"

#include "dataset/csv.h"
#include "support/dataset_world.h"

static const char *const names[] = { "node.ipc.mean", "pod.rps" };
#define NAMES KM_ARRAY_LEN(names)

/* Three runs and two pairs; line 1 is the header. */
static void set_up(struct dataset_world *w)
{
	dataset_world_init(w);
	(void)dataset_world_run(w, "Alpha_V01", "200", DATASET_LOCAL, 500);
	(void)dataset_world_run(w, "Alpha_V01", "200", DATASET_LOCAL, 1000);
	(void)dataset_world_run(w, "Alpha_V01", "200", DATASET_LOCAL, 2000);
	(void)dataset_world_pair(w, 0, 1);
	(void)dataset_world_pair(w, 0, 2);
}

static int try_open(const struct dataset_world *w, bool placement, struct km_dataset **d,
                    struct km_err *err)
{
	struct km_dataset_options o = { .dir = w->dir, .placement = placement };
	struct km_schema *schema = NULL;
	int rc;

	*err = (struct km_err){ .code = 0 };
	assert_int_equal(km_schema_create(names, NAMES, 60, 5, &schema, NULL), 0);
	o.schema = schema;
	rc = km_dataset_open(&o, d, err);
	km_schema_unref(schema);
	return rc;
}

/* The folder is refused with this error, and a text that has both parts. */
static void want_refusal(const struct dataset_world *w, int code, const char *where,
                         const char *what)
{
	struct km_dataset *d = NULL;
	struct km_err err;
	int rc = try_open(w, true, &d, &err);

	km_dataset_free(d);
	if (rc != code || d != NULL || strstr(err.text, where) == NULL ||
	    strstr(err.text, what) == NULL)
		fail_msg("%d \"%s\", want %d and \"%s\", \"%s\"", rc, err.text, code, where, what);
}

static void a_bad_cell_is_named_by_file_line_and_column(void **state)
{
	static const struct {
		const char *file, *what, *by, *where, *text;
	} rows[] = {
		{ "runs.csv", "node2,3-5,0-2,local,1,0,1,500,", "node2,3-5,0-2,local,1,0,1,five,",
		  "/runs.csv:2: rps: saw \"five\"", "want a number of at least 0" },
		{ "runs.csv", "node2,3-5,0-2,local,1,0,1,1000,", "node2,3-5,0-2,local,-1,0,1,1000,",
		  "/runs.csv:3: replicas_on_target: saw \"-1\"", "at least 0" },
		{ "runs.csv", ",1000,", ",1e999,", "/runs.csv:3: rps: saw \"1e999\"", "a number" },
		{ "runs.csv", ",1000,", ",1e39,", "/runs.csv:3: rps: saw \"1e39\"", "a number" },
		{ "runs.csv", ",1000,", ",inf,", "/runs.csv:3: rps: saw \"inf\"", "a number" },
		{ "runs.csv", ",1000,", ",0x10,", "/runs.csv:3: rps: saw \"0x10\"", "a number" },
		{ "runs.csv", ",1000,", ", 1000,", "/runs.csv:3: rps: saw \" 1000\"", "a number" },
		{ "runs.csv", ",1000,", ",10 00,", "/runs.csv:3: rps: saw \"10 00\"", "a number" },
		{ "runs.csv", ",local,", ",here,", "/runs.csv:2: placement: saw \"here\"",
		  "local, remote or none" },
		{ "runs.csv", ",c2_l0_m0,2,", ",c2_l0_m0,256,", "/runs.csv:2: n_cpu: saw \"256\"",
		  "0..255" },
		{ "runs.csv", ",c2_l0_m0,2,", ",c2_l0_m0,,", "/runs.csv:2: n_cpu: saw \"\"",
		  "0..255" },
		{ "runs.csv", ",c2_l0_m0,2,", ",c2_l0_m0,1.5,", "/runs.csv:2: n_cpu: saw \"1.5\"",
		  "0..255" },
		{ "runs.csv", ",5,39,", ",5e20,39,", "/runs.csv:2: sample_interval_s: saw \"5e20\"",
		  "at most 3600" },
		{ "pairs.csv", "lighter,score", "heavier,score",
		  "/pairs.csv:2: kind: saw \"heavier\"", "lighter or empty" },
		{ "pairs.csv", "lighter,score", "lighter,test", "/pairs.csv:2: role: saw \"test\"",
		  "score or augment" },
		{ "pairs.csv", ",1.000\n", ",heavy\n", "/pairs.csv:2: weight: saw \"heavy\"",
		  "a number" },
		{ "pairs.csv", ",local,1,2000,", ",local,1,-2000,",
		  "/pairs.csv:3: rps: saw \"-2000\"", "a number" },
		{ "pairs.csv", ",local,1,2000,",
		  ",local,1,2000000000000000000000000000000000000000"
		  "0000000000000000000000x,",
		  "/pairs.csv:3: rps: saw \"2000000000", "a number" },
		{ "runs.csv", "Alpha_V01,7,", "Alpha_V01;7,", "/runs.csv:2: fewer fields",
		  "the header's 36" },
		{ "runs.csv", "Alpha_V01,7,", "Alpha_V01,7,7,", "/runs.csv:2: more fields",
		  "the header's 36" },
		{ "pairs.csv", ",1.000\n", ",1.000,\n", "/pairs.csv:2: more fields",
		  "the header's 19" },
		{ "pairs.csv", "node2,3-5", "\"node2,3-5", "/pairs.csv:2: fewer fields",
		  "the header's 19" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct dataset_world w;

		set_up(&w);
		dataset_world_write(&w);
		dataset_world_replace(&w, rows[i].file, rows[i].what, rows[i].by);
		want_refusal(&w, -EBADMSG, rows[i].where, rows[i].text);
		dataset_world_fini(&w);
	}
}

static void a_column_that_must_be_there_is_missed_by_name(void **state)
{
	static const char *const runs[] = {
		"run_id",  "campaign",  "scenario", "n_cpu",     "n_l3",
		"n_membw", "rps",       "slowdown", "placement", "replicas_on_target",
		"p99_ms",  "trace_file"
	};
	static const char *const pairs[] = {
		"kind",       "role",     "before_run_id", "candidate_cores", "before_replicas",
		"before_rps", "scenario", "campaign",      "placement",       "replicas",
		"rps",        "slowdown"
	};
	struct dataset_world w;

	(void)state;
	set_up(&w);
	for (size_t i = 0; i < KM_ARRAY_LEN(runs) + KM_ARRAY_LEN(pairs); i++) {
		bool is_run = i < KM_ARRAY_LEN(runs);
		const char *name = is_run ? runs[i] : pairs[i - KM_ARRAY_LEN(runs)];
		const char *file = is_run ? "runs.csv" : "pairs.csv";
		char what[64];
		char by[64];
		char text[80];
		/* the first column has no comma before it */
		const char *before = i == 0 || i == KM_ARRAY_LEN(runs) ? "" : ",";

		dataset_world_write(&w);
		(void)snprintf(what, sizeof(what), "%s%s,", before, name);
		(void)snprintf(by, sizeof(by), "%sother,", before);
		if (strcmp(name, "trace_file") == 0) {
			strcpy(what, ",trace_file\n");
			strcpy(by, ",other\n");
		}
		dataset_world_replace(&w, file, what, by);
		(void)snprintf(text, sizeof(text), "no column \"%s\"", name);
		want_refusal(&w, -EBADMSG, file, text);
	}
	dataset_world_fini(&w);
}

static void a_column_that_may_be_missing_may(void **state)
{
	static const struct {
		const char *file, *name;
	} rows[] = {
		{ "runs.csv", "other_cores" },      { "runs.csv", "replicas_node1" },
		{ "runs.csv", "replicas_node2" },   { "runs.csv", "baseline_campaign_p99_ms" },
		{ "runs.csv", "norm_perf_thesis" }, { "runs.csv", "sample_interval_s" },
		{ "pairs.csv", "family" },          { "pairs.csv", "norm_perf" },
	};
	struct dataset_world w;

	(void)state;
	set_up(&w);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_dataset *d = NULL;
		const struct km_dataset_row *row;
		struct km_err err;
		char what[64];
		size_t count;

		dataset_world_write(&w);
		(void)snprintf(what, sizeof(what), ",%s,", rows[i].name);
		dataset_world_replace(&w, rows[i].file, what, ",unknown,");
		if (try_open(&w, true, &d, &err) != 0)
			fail_msg("without %s: %s", rows[i].name, err.text);
		row = km_dataset_rows(d, &count);
		assert_int_equal(count, 2);
		assert_true(fabs((double)row->norm_perf - 1 / (double)row->slowdown) < 1e-5);
		km_dataset_free(d);
	}
	dataset_world_fini(&w);
}

/* Rows of the plain folder, and of the same one written in another way. */
static void want_equal_rows(const struct km_dataset *a, const struct km_dataset *b)
{
	size_t count[2];
	const struct km_dataset_row *x = km_dataset_rows(a, &count[0]);
	const struct km_dataset_row *y = km_dataset_rows(b, &count[1]);

	assert_int_equal(count[0], count[1]);
	assert_int_equal(km_dataset_fingerprint(a), km_dataset_fingerprint(b));
	for (size_t i = 0; i < count[0]; i++) {
		float in[2][NAMES];

		assert_string_equal(km_dataset_name(a, x[i].campaign),
		                    km_dataset_name(b, y[i].campaign));
		assert_string_equal(km_dataset_name(a, x[i].scenario),
		                    km_dataset_name(b, y[i].scenario));
		assert_string_equal(km_dataset_name(a, x[i].family),
		                    km_dataset_name(b, y[i].family));
		assert_true(x[i].slowdown == y[i].slowdown && x[i].weight == y[i].weight);
		km_dataset_features(a, &x[i], KM_LAYOUT_RECORDED, 0, in[0]);
		km_dataset_features(b, &y[i], KM_LAYOUT_RECORDED, 0, in[1]);
		for (size_t k = 0; k < NAMES; k++)
			assert_true(in[0][k] == in[1][k]);
	}
}

static void quotes_crlf_and_a_bom_change_nothing(void **state)
{
	struct dataset_world w;
	struct km_dataset *plain;

	(void)state;
	set_up(&w);
	dataset_world_write(&w);
	plain = dataset_world_open(&w, true, names, NAMES);
	for (unsigned how = 1; how < 8; how++) {
		struct km_dataset *d;

		w.quotes = (how & 1) != 0;
		w.crlf = (how & 2) != 0;
		w.bom = (how & 4) != 0;
		dataset_world_write(&w);
		d = dataset_world_open(&w, true, names, NAMES);
		want_equal_rows(plain, d);
		km_dataset_free(d);
	}
	km_dataset_free(plain);
	dataset_world_fini(&w);
}

/* Blank lines, no newline at the end, a gzip table: all the same rows. */
static void the_shape_of_the_file_changes_nothing(void **state)
{
	struct km_dataset *plain;
	struct dataset_world w;
	struct km_dataset *d;
	struct km_buf text;
	char command[256];

	(void)state;
	set_up(&w);
	dataset_world_write(&w);
	plain = dataset_world_open(&w, true, names, NAMES);
	dataset_world_replace(&w, "runs.csv", "\n", "\n\n\r\n\n");
	km_buf_init(&text);
	assert_int_equal(km_file_read(dataset_world_path(&w, "pairs.csv"), 1 << 20, &text, NULL),
	                 0);
	dataset_world_put(&w, "pairs.csv", text.data, text.len - 1);
	km_buf_fini(&text);
	d = dataset_world_open(&w, true, names, NAMES);
	want_equal_rows(plain, d);
	km_dataset_free(d);
	(void)snprintf(command, sizeof(command),
	               "cd %s && gzip runs.csv && mv runs.csv.gz runs.csv", w.dir);
	assert_int_equal(system(command), 0);
	d = dataset_world_open(&w, true, names, NAMES);
	want_equal_rows(plain, d);
	km_dataset_free(d);
	km_dataset_free(plain);
	dataset_world_fini(&w);
}

static void a_path_out_of_the_folder_is_refused(void **state)
{
	static const char *const paths[] = { "/etc/passwd", "../runs.csv", "traces/../../runs.csv",
		                             "traces/..", ".." };
	struct dataset_world w;

	(void)state;
	set_up(&w);
	for (size_t i = 0; i < KM_ARRAY_LEN(paths); i++) {
		char saw[64];

		dataset_world_write(&w);
		dataset_world_replace(&w, "runs.csv", w.run[1].trace, paths[i]);
		(void)snprintf(saw, sizeof(saw), "/runs.csv:3: trace_file: saw \"%s\"", paths[i]);
		want_refusal(&w, -EBADMSG, saw, "a path inside the folder");
	}
	dataset_world_fini(&w);
}

static void a_folder_that_is_none_says_so(void **state)
{
	struct dataset_world w;

	(void)state;
	set_up(&w);
	want_refusal(&w, -ENOENT, "/runs.csv", "No such file");
	dataset_world_write(&w);
	assert_int_equal(remove(dataset_world_path(&w, "pairs.csv")), 0);
	want_refusal(&w, -ENOENT,
	             "a placement model is judged by pairs: ", "/pairs.csv: No such file");
	dataset_world_write(&w);
	dataset_world_put(&w, "runs.csv", "", 0);
	want_refusal(&w, -EBADMSG, "/runs.csv", "empty, want a header");
	dataset_world_put(&w, "runs.csv", "\n\n\n", 3);
	want_refusal(&w, -EBADMSG, "/runs.csv", "empty, want a header");
	w.run_count = 0;
	dataset_world_write(&w);
	want_refusal(&w, -ENODATA, "/runs.csv", "a header and no runs");
	w.run_count = 3;
	w.pair_count = 0;
	dataset_world_write(&w);
	want_refusal(&w, -ENODATA, w.dir, "no usable row");
	dataset_world_fini(&w);
}

static void a_line_or_a_header_without_end_is_refused(void **state)
{
	struct dataset_world w;
	struct km_buf text;
	char *long_name = malloc(70001);

	(void)state;
	assert_non_null(long_name);
	set_up(&w);
	dataset_world_write(&w);
	memset(long_name, 'x', 70000);
	long_name[70000] = '\0';
	dataset_world_replace(&w, "runs.csv", "Synthetic", long_name);
	want_refusal(&w, -EMSGSIZE, "/runs.csv:2: ", "line longer than 65536 bytes");
	km_buf_init(&text);
	for (int i = 0; i < 300; i++)
		km_buf_str(&text, "a,");
	dataset_world_put(&w, "runs.csv", text.data, text.len);
	want_refusal(&w, -EBADMSG, "/runs.csv", "more than 256 columns");
	km_buf_fini(&text);
	dataset_world_fini(&w);
	free(long_name);
}

/* ---- the reader itself ---- */

static const struct csv_column three[] = { { "b", false }, { "zz", true }, { "a", false } };

static void want_fields(struct csv *c, const char *b, const char *a)
{
	struct km_name field[3];
	struct km_err err = { .code = 0 };
	char text[2][64];

	if (csv_next(c, field, &err) != 1)
		fail_msg("%s", err.text);
	for (int i = 0; i < 2; i++) {
		struct km_name f = field[2 * i];

		assert_true(f.len < sizeof(text[0]));
		memcpy(text[i], f.text, f.len);
		text[i][f.len] = '\0';
	}
	assert_int_equal(field[1].len, 0);
	assert_string_equal(text[0], b);
	assert_string_equal(text[1], a);
}

static void fields_are_found_by_name_and_their_quotes_undone(void **state)
{
	static const char text[] = "\xef\xbb\xbf\"a\",x,b,b\r\n"
				   "1,2,3,4\r\n"
				   "\"one, two\",,\"a \"\"quoted\"\" word\",\r\n"
				   ",,,\n"
				   "\"\",\"\"\"\",\"x\"y,\n"
				   "a\"b,,\"c\"\"\",";
	struct dataset_world w;
	struct km_name field[3];
	struct km_err err = { .code = 0 };
	struct csv *c = NULL;
	double v;

	(void)state;
	dataset_world_init(&w);
	dataset_world_put(&w, "t.csv", text, sizeof(text) - 1);
	if (csv_open(dataset_world_path(&w, "t.csv"), three, 3, &c, &err) != 0)
		fail_msg("%s", err.text);
	want_fields(c, "3", "1"); /* of two columns with one name the first */
	want_fields(c, "a \"quoted\" word", "one, two");
	want_fields(c, "", "");
	want_fields(c, "xy", "");
	want_fields(c, "c\"", "a\"b"); /* a quote inside of a field that has none is itself */
	assert_int_equal(csv_next(c, field, &err), 0);
	assert_int_equal(csv_next(c, field, &err), 0);
	assert_int_equal(csv_number(c, 0, (struct km_name){ "", 0 }, &v, &err), 0);
	assert_true(isnan(v));
	assert_int_equal(csv_number(c, 0, (struct km_name){ "2.5", 3 }, &v, &err), 0);
	assert_true(v == 2.5);
	assert_int_equal(csv_number(c, 2, (struct km_name){ "nan", 3 }, &v, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "t.csv:6: a: saw \"nan\""));
	csv_close(c);
	csv_close(NULL);
	dataset_world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_cell_is_named_by_file_line_and_column),
		cmocka_unit_test(a_column_that_must_be_there_is_missed_by_name),
		cmocka_unit_test(a_column_that_may_be_missing_may),
		cmocka_unit_test(quotes_crlf_and_a_bom_change_nothing),
		cmocka_unit_test(the_shape_of_the_file_changes_nothing),
		cmocka_unit_test(a_path_out_of_the_folder_is_refused),
		cmocka_unit_test(a_folder_that_is_none_says_so),
		cmocka_unit_test(a_line_or_a_header_without_end_is_refused),
		cmocka_unit_test(fields_are_found_by_name_and_their_quotes_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
