/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The import, on folders made here in the thesis' layout: names, baselines, the node of the
 * interference, pairs, and what is left out. No row of the thesis is in it.
 */
#include <errno.h>
#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/dataset/dataset.h"

#include "experiment/import_internal.h"

#define HEADER                                                                                     \
	"Test_ID,Replicas,Interference_Name,Interference_ID,Given_RPS,Throughput,Avg_Latency,"     \
	"P50_Latency,P75_Latency,P90_Latency,P95_Latency,P99_Latency,Max_Latency,Errors\r\n"
#define ROWS 16

static char root[64], from[80], out[80];
static struct km_buf told; /* what was not used, a line each */

static void put(const char *name, const struct km_buf *text)
{
	char path[256];
	struct km_err err = { .code = 0 };

	(void)snprintf(path, sizeof(path), "%s/%s", from, name);
	if (km_file_write_atomic(path, text->data, text->len, &err) != 0)
		fail_msg("%s", err.text);
}

/* Sixteen rows of six cores, five seconds apart; a node's cores are awake as its share says. */
static void put_counters(const char *campaign, const char *test, double c0_1, double c0_2,
                         bool system)
{
	struct km_buf core;
	struct km_buf memory;
	char name[160];

	km_buf_init(&core);
	km_buf_init(&memory);
	km_buf_str(&core, "System - Date,System - Time");
	for (int c = 0; c < 6; c++)
		km_buf_printf(&core, ",Core%d (Socket 0) - IPC,Core%d (Socket 0) - C0res%%", c, c);
	km_buf_str(&core, "\r\n");
	km_buf_str(&memory, "System - Date,System - Time,System - READ,System - WRITE\r\n");
	for (int i = 0; i < ROWS; i++) {
		char time[32];

		(void)snprintf(time, sizeof(time), "2025-01-02,03:%02d:%02d.250", i * 5 / 60,
		               i * 5 % 60);
		km_buf_str(&core, time);
		for (int c = 0; c < 6; c++)
			km_buf_printf(&core, ",1.5,%.2f", c < 3 ? c0_1 : c0_2);
		km_buf_str(&core, "\r\n");
		km_buf_printf(&memory, "%s,2.0,1.0\r\n", time);
	}
	(void)snprintf(name, sizeof(name), "%s/pcm_core_%s.csv", campaign, test);
	put(name, &core);
	(void)snprintf(name, sizeof(name), "%s/pcm_system_%s.csv", campaign, test);
	if (system)
		put(name, &memory);
	km_buf_fini(&core);
	km_buf_fini(&memory);
}

struct row {
	const char *test, *replicas, *name;
	int rps;
	double p99_ms, c0_1, c0_2; /* c0 NaN: no counters */
	bool no_system;
};

static void put_campaign(const char *campaign, const struct row *rows, size_t count)
{
	struct km_buf text;
	char path[160];
	char name[160];

	(void)snprintf(path, sizeof(path), "%s/%s", from, campaign);
	assert_int_equal(mkdir(path, 0777), 0);
	km_buf_init(&text);
	km_buf_str(&text, HEADER);
	for (size_t i = 0; i < count; i++) {
		const struct row *r = &rows[i];

		km_buf_printf(&text, "%s,%s,%s,77,%d,%d.001,0.1,0.1,0,0.12,0.15,%g,3.5,0\r\n",
		              r->test, r->replicas, r->name, r->rps, r->rps, r->p99_ms);
		if (!isnan(r->c0_1))
			put_counters(campaign, r->test, r->c0_1, r->c0_2, !r->no_system);
	}
	(void)snprintf(name, sizeof(name), "%s/nginx_metrics.csv", campaign);
	put(name, &text);
	km_buf_fini(&text);
}

static int setup(void **state)
{
	(void)state;
	(void)snprintf(root, sizeof(root), "/tmp/km-test-import-XXXXXX");
	if (mkdtemp(root) == NULL)
		return -1;
	(void)snprintf(from, sizeof(from), "%s/raw", root);
	(void)snprintf(out, sizeof(out), "%s/out", root);
	km_buf_init(&told);
	return mkdir(from, 0777);
}

static int drop(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	km_buf_fini(&told);
	return nftw(root, drop, 8, FTW_DEPTH | FTW_PHYS);
}

static void skipped(void *ctx, const char *what, const char *why)
{
	(void)ctx;
	km_buf_printf(&told, "%s: %s\n", what, why);
}

static int import(struct km_import_stats *stats, struct km_err *err)
{
	const struct km_import_options o = { .from = from,
		                             .out = out,
		                             .cpus = { "0-2", "3-5" },
		                             .single_on = 2,
		                             .skipped = skipped };

	*err = (struct km_err){ .code = 0 };
	return km_import(&o, stats, err);
}

static void import_ok(struct km_import_stats *stats)
{
	struct km_err err;

	if (import(stats, &err) != 0)
		fail_msg("%s", err.text);
}

static void want_line(const char *table, const char *part)
{
	char path[160];
	struct km_buf text;

	km_buf_init(&text);
	(void)snprintf(path, sizeof(path), "%s/%s", out, table);
	assert_int_equal(km_file_read(path, 1 << 20, &text, NULL), 0);
	if (strstr(km_buf_cstr(&text), part) == NULL)
		fail_msg("no \"%s\" in\n%s", part, km_buf_cstr(&text));
	km_buf_fini(&text);
}

/* Quiet at 0.5 % of node2 by the service itself; interference adds 20 %. */
static const struct row alpha[] = {
	{ "t_q500", "1", "Baseline0", 500, 0.2, 0.1, 0.5, false },
	{ "t_q900", "1", "Baseline1", 900, 0.2, 0.1, 0.5, false },
	{ "t_r900", "1", "Baseline2", 900, 0.4, 0.1, 0.5, false },
	{ "t_c500", "1", "2_iBench_CPU_pods", 500, 0.4, 0.1, 20.5, false },
	{ "t_c900", "1", "2_iBench_CPU_pods", 900, 0.9, 0.1, 20.5, false },
	{ "t_l900", "1", "1_stress-ng_l3_pod", 900, 0.6, 20.1, 0.5, true },
};
static const struct row beta[] = {
	{ "t_c300", "1", "2_iBench_CPU_pods", 300, 0.4, 20.1, 0.5, false },
	{ "t_q300", "1", "Baseline0", 300, 0.2, 0.1, 0.5, false },
	{ "both", "weighted_1_2", "Baseline0", 300, 0.3, 0.5, 0.5, false },
};

static void runs_pairs_and_traces_come_of_it(void **state)
{
	struct km_import_stats stats;

	(void)state;
	put_campaign("Alpha", alpha, 6);
	put_campaign("Beta", beta, 3);
	import_ok(&stats);
	assert_int_equal(told.len, 0);
	assert_int_equal(stats.campaigns, 2);
	assert_int_equal(stats.runs, 9);
	assert_int_equal(stats.rows, 10); /* one service is on both nodes */
	assert_int_equal(stats.no_memory_traffic, 1);
	/* 0.9 ms by the mean of 0.2 and 0.4 */
	want_line("runs.csv",
	          "Alpha__t_c900,Alpha,2_iBench_CPU_pods,c2_l0_m0,2,0,0,node2,node2,3-5,"
	          "0-2,local,1,0,1,900,0.1,0.12,0.15,0.9,0.1,3.5,900.001,0,");
	want_line("runs.csv", "Alpha__t_l900,Alpha,1_stress-ng_l3_pod,c0_l1_m0,0,1,0,node1,node2,"
	                      "3-5,0-2,remote,");
	want_line("runs.csv",
	          "Beta__both,Beta,Baseline0,c0_l0_m0,0,0,0,none,node1,0-2,3-5,none,1,1,2");
	want_line("runs.csv",
	          "Beta__both,Beta,Baseline0,c0_l0_m0,0,0,0,none,node2,3-5,0-2,none,2,1,2");
	want_line("runs.csv", ",5,2025-01-02T03:00:00,traces/Beta__both.csv.gz\n");
	/* the same node and mix under less load */
	want_line("pairs.csv", "lighter,score,Alpha__t_c500,node2,3-5,1,500,Alpha__t_c900,Alpha,"
	                       "c2_l0_m0,local,1,900,0.9,");
	/* Beta's interference is on the node without the service: as Alpha's candidate was */
	want_line("pairs.csv",
	          "empty,score,Beta__t_c300,node1,0-2,0,0,Alpha__t_c900,Alpha,c2_l0_m0,"
	          "local,1,900,0.9,");
}

static void what_is_imported_is_a_dataset(void **state)
{
	static const char *const names[] = { "node.c0_ratio.mean", "peer.c0_ratio.mean",
		                             "host.mem_read_bytes_per_s.mean", "pod.rps" };
	struct km_import_stats stats;
	struct km_dataset_options o = { .dir = out, .placement = true };
	struct km_schema *schema = NULL;
	struct km_dataset *d = NULL;
	struct km_err err = { .code = 0 };
	const struct km_dataset_row *row;
	float v[4];
	size_t count;

	(void)state;
	put_campaign("Alpha", alpha, 6);
	put_campaign("Beta", beta, 3);
	import_ok(&stats);
	assert_int_equal(km_schema_create(names, 4, 60, 5, &schema, NULL), 0);
	o.schema = schema;
	if (km_dataset_open(&o, &d, &err) != 0)
		fail_msg("%s", err.text);
	row = km_dataset_rows(d, &count);
	assert_int_equal(count, stats.pairs);
	for (size_t i = 0; i < count; i++) {
		/* 16 rows are 14 samples: PCM's first and last say nothing */
		assert_int_equal(km_dataset_windows(d, &row[i]), 1);
		km_dataset_features(d, &row[i], KM_LAYOUT_RECORDED, 0, v);
		assert_true(fabs((double)v[2] - 0.4e9) < 1e3 || isnan(v[2]));
		assert_true(v[0] > 0.0009F && v[1] > 0.0009F);
	}
	km_dataset_free(d);
	km_schema_unref(schema);
}

static void what_cannot_be_used_is_told(void **state)
{
	static const struct row rows[] = {
		{ "good", "1", "Baseline0", 500, 0.2, 0.1, 0.5, false },
		{ "good", "1", "Baseline0", 500, 0.2, 0.1, 0.5, false },
		{ "gone", "1", "Baseline0", 500, 0.2, NAN, NAN, false },
		{ "odd", "1", "3_yaks", 500, 0.2, NAN, NAN, false },
		{ "many", "upside_1", "Baseline0", 500, 0.2, NAN, NAN, false },
		{ "../evil", "1", "Baseline0", 500, 0.2, NAN, NAN, false },
		{ "still", "1", "Baseline0", 500, 0, NAN, NAN, false },
		{ "where", "1", "1_iBench_memBW_pod", 500, 0.3, 9, 10, false },
		{ "alone", "1", "1_iBench_memBW_pod", 700, 0.3, 0.1, 10, false },
	};
	struct km_import_stats stats;
	char path[96];

	(void)state;
	put_campaign("Gamma", rows, 9);
	(void)snprintf(path, sizeof(path), "%s/Empty", from);
	assert_int_equal(mkdir(path, 0777), 0);
	import_ok(&stats);
	assert_int_equal(stats.runs, 1);
	assert_int_equal(stats.skipped, 9);
	assert_string_equal(
		km_buf_cstr(&told),
		"Empty: no nginx_metrics.csv in it\n"
		"Gamma/nginx_metrics.csv:3: its Test_ID was there before\n"
		"Gamma/nginx_metrics.csv:5: its Interference_Name is of a kind that is not known\n"
		"Gamma/nginx_metrics.csv:6: its Replicas are of a kind that is not known\n"
		"Gamma/nginx_metrics.csv:7: its Test_ID is no name\n"
		"Gamma/nginx_metrics.csv:8: a rate or latency is no number, or 0\n"
		"Gamma__gone: no pcm_core file\n"
		"Gamma__where: its counters do not tell on which node the interference was\n"
		"Gamma__alone: no run without interference with its load and replicas\n");
}

static void folders_that_are_none_are_refused(void **state)
{
	struct km_import_stats stats;
	struct km_err err;

	(void)state;
	assert_int_equal(import(&stats, &err), -ENOENT);
	assert_non_null(strstr(err.text, "no folder with a nginx_metrics.csv"));
	put_campaign("Alpha", alpha, 6);
	import_ok(&stats);
	assert_int_equal(import(&stats, &err), -EEXIST);
	assert_non_null(strstr(err.text, "runs.csv: is there already"));
}

static void a_campaign_alone_is_imported_too(void **state)
{
	struct km_import_stats stats;

	(void)state;
	put_campaign("Alpha", alpha, 6);
	(void)snprintf(from, sizeof(from), "%s/raw/Alpha/", root);
	import_ok(&stats);
	assert_int_equal(stats.runs, 6);
	want_line("runs.csv", "Alpha__t_c500,Alpha,");
}

static void names_of_mixes(void **state)
{
	static const struct {
		const char *name;
		bool good;
		unsigned pods[IMPORT_KINDS];
	} rows[] = {
		{ "Baseline2", true, { 0, 0, 0 } },
		{ "4_iBench_CPU_pods", true, { 4, 0, 0 } },
		{ "1_stress-ng_l3_pod", true, { 0, 1, 0 } },
		{ "3_iBench_memBW_pods", true, { 0, 0, 3 } },
		{ "1_CPU_2_MemBW", true, { 1, 0, 2 } },
		{ "1_CPU_1_L3_1_MemBW", true, { 1, 1, 1 } },
		{ "1_CPU_1_CPU", false, { 0, 0, 0 } },
		{ "CPU", false, { 0, 0, 0 } },
		{ "0_CPU", false, { 0, 0, 0 } },
		{ "1_CPU_2", false, { 0, 0, 0 } },
		{ "1_disk", false, { 0, 0, 0 } },
		{ "", false, { 0, 0, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned pods[IMPORT_KINDS];

		if (import_pods(rows[i].name, strlen(rows[i].name), pods) != rows[i].good)
			fail_msg("%s", rows[i].name);
		if (rows[i].good)
			assert_memory_equal(pods, rows[i].pods, sizeof(pods));
	}
}

#define IMPORT_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IMPORT_TEST(runs_pairs_and_traces_come_of_it),
		IMPORT_TEST(what_is_imported_is_a_dataset),
		IMPORT_TEST(what_cannot_be_used_is_told),
		IMPORT_TEST(folders_that_are_none_are_refused),
		IMPORT_TEST(a_campaign_alone_is_imported_too),
		cmocka_unit_test(names_of_mixes),
	};

	return cmocka_run_group_tests_name("experiment_import", tests, NULL, NULL);
}
