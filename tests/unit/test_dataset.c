/* SPDX-License-Identifier: Apache-2.0 */
/* dataset: which rows a folder gives, their labels, loads and groups, and what is counted instead.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "support/dataset_world.h"

static const char *const names[] = { "node.ipc.mean",   "peer.ipc.mean", "node.c0_ratio.mean",
	                             "pod.rps",         "pod.replicas",  "pod.rps_now",
	                             "pod.replicas_now" };
#define NAMES KM_ARRAY_LEN(names)

static const struct km_dataset_row *row_at(const struct km_dataset *d, size_t i, size_t want_count)
{
	size_t count;
	const struct km_dataset_row *row = km_dataset_rows(d, &count);

	assert_int_equal(count, want_count);
	return &row[i];
}

static bool near(double a, double b)
{
	return fabs(a - b) <= 1e-6 * fmax(1, fabs(b));
}

static void want_name(const struct km_dataset *d, uint32_t id, const char *name)
{
	assert_string_equal(km_dataset_name(d, id), name);
}

static void a_run_is_a_row_of_diagnosis(void **state)
{
	const struct km_dataset_row *row;
	struct km_dataset_stats stats;
	struct dataset_world w;
	struct km_dataset *d;
	float in[NAMES];

	(void)state;
	dataset_world_init(&w);
	(void)dataset_world_run(&w, "Alpha_V01", "000", DATASET_NONE, 500);
	(void)dataset_world_run(&w, "Alpha_V02_3_Mixed", "201", DATASET_REMOTE, 2000);
	w.run[0].slowdown = 0.9;
	w.run[1].slowdown = 1.6;
	dataset_world_write(&w);
	d = dataset_world_open(&w, false, names, NAMES);
	row = row_at(d, 0, 2);
	assert_int_equal(row->kind, KM_ROW_DIAGNOSIS);
	assert_true(row->score && !row->remote);
	assert_true(near(row->slowdown, 0.9));
	assert_true(row->norm_perf == 1); /* nothing interferes: 1 by definition */
	want_name(d, row->campaign, "Alpha_V01");
	want_name(d, row->scenario, "c0_l0_m0");
	want_name(d, row->family, "Alpha");
	row = row_at(d, 1, 2);
	assert_true(row->score && row->remote);
	assert_true(near(row->slowdown, 1.6) && near(row->norm_perf, 1 / 1.6));
	want_name(d, row->campaign, "Alpha_V02_3_Mixed");
	want_name(d, row->scenario, "c2_l0_m1");
	want_name(d, row->family, "Alpha+mix");
	assert_int_equal(row->before_campaign, row->campaign);
	assert_int_equal(row->before_family, row->family);
	assert_true(row->weight == 1);
	/* counters while the service ran: it carries now what it is to carry */
	km_dataset_features(d, row, KM_LAYOUT_RECORDED, 0, in);
	assert_true(in[3] == 2000 && in[4] == 1 && in[5] == 2000 && in[6] == 1);
	km_dataset_stats(d, &stats);
	assert_int_equal(stats.runs, 2);
	assert_int_equal(stats.traces, 2);
	assert_int_equal(stats.no_trace + stats.no_label + stats.no_run, 0);
	assert_string_equal(stats.first_bad, "");
	km_dataset_free(d);
	dataset_world_fini(&w);
}

/* Two lines of one run_id: one latency, each node with its own share of the load and counters. */
static void replicas_on_both_nodes_are_two_rows(void **state)
{
	const struct km_dataset_row *row;
	struct dataset_world w;
	struct dataset_run *r;
	struct km_dataset *d;
	float here[NAMES];
	float there[NAMES];

	(void)state;
	dataset_world_init(&w);
	r = dataset_world_run(&w, "Delta_V01", "200", DATASET_LOCAL, 3000);
	r->here = 2;
	r->on[0] = 1;
	r->on[1] = 2;
	(void)dataset_world_run(&w, "Delta_V01", "200", DATASET_REMOTE, 3000);
	w.run[1] = w.run[0];
	w.run[1].here = 1;
	w.run[1].target = 1;
	w.run[1].place = DATASET_REMOTE;
	w.run[1].no_file = true; /* the other line's trace is the same */
	dataset_world_write(&w);
	d = dataset_world_open(&w, false, names, NAMES);
	row = row_at(d, 0, 2);
	assert_true(row[0].slowdown == row[1].slowdown);
	assert_true(row[0].rps == 2000 && row[0].replicas == 2 && !row[0].remote);
	assert_true(row[1].rps == 1000 && row[1].replicas == 1 && row[1].remote);
	assert_true(row[0].rps_now == 2000 && row[1].rps_now == 1000);
	km_dataset_features(d, &row[0], KM_LAYOUT_RECORDED, 0, here);
	km_dataset_features(d, &row[1], KM_LAYOUT_RECORDED, 0, there);
	assert_true(here[0] == there[1] && here[1] == there[0] && here[0] != here[1]);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

static void a_blank_label_comes_from_the_baseline_or_not_at_all(void **state)
{
	struct km_dataset_stats stats;
	const struct km_dataset_row *row;
	struct dataset_world w;
	struct km_dataset *d;

	(void)state;
	dataset_world_init(&w);
	for (int i = 0; i < 8; i++)
		(void)dataset_world_run(&w, "Alpha_V01", "200", DATASET_LOCAL, 500 + i);
	w.run[0].slowdown = NAN; /* p99 / own baseline */
	w.run[0].p99_ms = 0.30;
	w.run[0].baseline_ms = NAN;
	w.run[0].own_baseline_ms = 0.20;
	w.run[1].slowdown = NAN; /* no baseline at all */
	w.run[1].p99_ms = 0.30;
	w.run[1].baseline_ms = NAN;
	w.run[1].own_baseline_ms = NAN;
	w.run[2].slowdown = NAN; /* no latency */
	w.run[3].rps = 0;
	w.run[4].slowdown = 0;
	w.run[5].slowdown = 1e30; /* numbers, but no measurements */
	w.run[6].slowdown = 1e-6 / 2;
	w.run[7].slowdown = NAN; /* p99 / the baseline that slowdown is defined by */
	w.run[7].p99_ms = 0.30;
	w.run[7].baseline_ms = 0.15;
	w.run[7].own_baseline_ms = 0.20;
	dataset_world_write(&w);
	d = dataset_world_open(&w, false, names, NAMES);
	assert_true(near(row_at(d, 1, 2)->slowdown, 2));
	row = row_at(d, 0, 2);
	assert_true(near(row->slowdown, 1.5) && near(row->norm_perf, 1 / 1.5));
	assert_true(row->rps == 500);
	km_dataset_stats(d, &stats);
	assert_int_equal(stats.runs, 8);
	assert_int_equal(stats.no_label, 6);
	assert_int_equal(stats.traces, 2); /* nobody reads what no row needs */
	assert_non_null(strstr(stats.first_bad, w.run[1].id));
	assert_non_null(strstr(stats.first_bad, "no slowdown"));
	km_dataset_free(d);
	dataset_world_fini(&w);
}

static void a_lighter_pair_is_the_node_with_less_on_it(void **state)
{
	const struct km_dataset_row *row;
	struct dataset_world w;
	struct dataset_pair *p;
	struct km_dataset *d;
	float in[NAMES];

	(void)state;
	dataset_world_init(&w);
	(void)dataset_world_run(&w, "Alpha_V01", "200", DATASET_LOCAL, 500);
	(void)dataset_world_run(&w, "Alpha_V01", "200", DATASET_LOCAL, 2000);
	(void)dataset_world_run(&w, "Alpha_V01", "000", DATASET_NONE, 2000);
	w.run[1].slowdown = 1.7;
	w.run[2].slowdown = 1.1;
	(void)dataset_world_pair(&w, 0, 1);
	p = dataset_world_pair(&w, 0, 2);
	p->augment = true;
	p->weight = 0.25;
	p->family[0] = '\0';
	p = dataset_world_pair(&w, 0, 1);
	p->weight = NAN;
	dataset_world_write(&w);
	d = dataset_world_open(&w, true, names, NAMES);
	row = row_at(d, 0, 3);
	assert_int_equal(row->kind, KM_ROW_LIGHTER);
	assert_true(row->score && near(row->slowdown, 1.7) && near(row->norm_perf, 1 / 1.7));
	assert_true(row->weight == 1);
	km_dataset_features(d, row, KM_LAYOUT_RECORDED, 0, in);
	assert_true(in[3] == 2000 && in[4] == 1 && in[5] == 500 && in[6] == 1);
	want_name(d, row->family, "Alpha");
	want_name(d, row->scenario, "c2_l0_m0");
	assert_true(!row[1].score && row[1].weight == 0.25f);
	assert_true(near(row[1].slowdown, 1.1) && row[1].norm_perf == 1);
	want_name(d, row[1].family, "Alpha_V01"); /* blank: the campaign stands for itself */
	assert_true(row[2].weight == 1);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

/* The candidate is the node beside the one that hosted the service. */
/* For scoring, NP is 1 where nothing interferes, whether or not the file says so. */
static void without_interference_a_pair_has_a_performance_of_one(void **state)
{
	struct dataset_world w;
	struct km_dataset *d;

	(void)state;
	dataset_world_init(&w);
	(void)dataset_world_run(&w, "Alpha_V01", "000", DATASET_NONE, 500);
	(void)dataset_world_run(&w, "Alpha_V01", "000", DATASET_NONE, 1000);
	dataset_world_pair(&w, 0, 1)->slowdown = 1.25;
	dataset_world_write(&w);
	dataset_world_replace(&w, "pairs.csv", ",norm_perf,", ",unknown,");
	d = dataset_world_open(&w, true, names, NAMES);
	assert_true(near(row_at(d, 0, 1)->slowdown, 1.25));
	assert_true(row_at(d, 0, 1)->norm_perf == 1);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

static void an_empty_candidate_is_the_other_node(void **state)
{
	const struct km_dataset_row *row;
	struct dataset_world w;
	struct km_dataset *d;
	float candidate[NAMES];
	float host[NAMES];

	(void)state;
	dataset_world_init(&w);
	(void)dataset_world_run(&w, "Beta_V01", "400", DATASET_REMOTE, 500);
	(void)dataset_world_run(&w, "Alpha_V01", "400", DATASET_LOCAL, 1000);
	(void)dataset_world_empty_pair(&w, 0, 1);
	(void)dataset_world_pair(&w, 0, 1);
	dataset_world_write(&w);
	d = dataset_world_open(&w, true, names, NAMES);
	row = row_at(d, 0, 2);
	assert_int_equal(row[0].kind, KM_ROW_EMPTY);
	want_name(d, row[0].campaign, "Alpha_V01");
	want_name(d, row[0].before_campaign, "Beta_V01");
	want_name(d, row[0].family, "Alpha");
	want_name(d, row[0].before_family, "Beta");
	km_dataset_features(d, &row[0], KM_LAYOUT_RECORDED, 0, candidate);
	km_dataset_features(d, &row[1], KM_LAYOUT_RECORDED, 0, host);
	assert_true(candidate[0] == host[1] && candidate[1] == host[0]);
	/* four pods run there: that node is the busy one */
	assert_true(candidate[2] > 2 * host[2]);
	assert_true(candidate[5] == 0 && candidate[6] == 0);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

/* The campaign whose counters a pair borrows is of the family that pairs.csv states elsewhere. */
static void families_are_those_of_the_pairs(void **state)
{
	const struct km_dataset_row *row;
	struct dataset_world w;
	struct km_dataset *d;

	(void)state;
	dataset_world_init(&w);
	(void)dataset_world_run(&w, "One_V01", "200", DATASET_LOCAL, 500);
	(void)dataset_world_run(&w, "One_V01", "200", DATASET_LOCAL, 1000);
	(void)dataset_world_run(&w, "Two_V01", "200", DATASET_REMOTE, 500);
	(void)dataset_world_run(&w, "Two_V01", "200", DATASET_REMOTE, 1000);
	(void)dataset_world_run(&w, "Three_V01", "200", DATASET_REMOTE, 500);
	(void)dataset_world_empty_pair(&w, 2, 1);
	(void)dataset_world_empty_pair(&w, 4, 1);
	(void)dataset_world_pair(&w, 2, 3);
	strcpy(w.pair[0].family, "Together");
	strcpy(w.pair[1].family, "Together");
	strcpy(w.pair[2].family, "Together");
	dataset_world_write(&w);
	d = dataset_world_open(&w, true, names, NAMES);
	row = row_at(d, 0, 3);
	want_name(d, row[0].before_family, "Together"); /* stated by the third pair */
	want_name(d, row[1].before_family, "Three");    /* by nobody: its name tells */
	km_dataset_free(d);
	dataset_world_fini(&w);
}

static void pairs_without_their_run_are_counted_and_named(void **state)
{
	struct km_dataset_stats stats;
	const struct km_dataset_row *row;
	struct dataset_world w;
	struct km_dataset *d;

	(void)state;
	dataset_world_init(&w);
	(void)dataset_world_run(&w, "Alpha_V01", "200", DATASET_LOCAL, 500);
	(void)dataset_world_run(&w, "Alpha_V01", "200", DATASET_LOCAL, 1000);
	strcpy(dataset_world_pair(&w, 0, 1)->before_id, "Alpha_V01__nobody");
	strcpy(dataset_world_pair(&w, 0, 1)->candidate, "6-7"); /* no node of that run */
	dataset_world_pair(&w, 0, 1)->slowdown = NAN;
	dataset_world_pair(&w, 0, 1)->slowdown = 1e30;
	dataset_world_pair(&w, 0, 1)->rps = 0;
	(void)dataset_world_pair(&w, 0, 1);
	dataset_world_write(&w);
	d = dataset_world_open(&w, true, names, NAMES);
	row = row_at(d, 0, 1);
	assert_true(row->rps == 1000);
	km_dataset_stats(d, &stats);
	assert_int_equal(stats.no_run, 2);
	assert_int_equal(stats.no_label, 3);
	assert_non_null(strstr(stats.first_bad, "Alpha_V01__nobody"));
	assert_non_null(strstr(stats.first_bad, "no such run"));
	km_dataset_free(d);
	dataset_world_fini(&w);
}

/* Of two lines with one run_id, the pair's candidate says which. */
static void a_pair_takes_the_line_of_its_candidate(void **state)
{
	const struct km_dataset_row *row;
	struct dataset_world w;
	struct km_dataset *d;
	float in[2][NAMES];

	(void)state;
	dataset_world_init(&w);
	(void)dataset_world_run(&w, "Delta_V01", "400", DATASET_LOCAL, 500);
	(void)dataset_world_run(&w, "Delta_V01", "400", DATASET_LOCAL, 1000);
	(void)dataset_world_run(&w, "Delta_V01", "400", DATASET_REMOTE, 500);
	w.run[0].on[0] = 1;
	w.run[2] = w.run[0];
	w.run[2].target = 1;
	w.run[2].place = DATASET_REMOTE;
	w.run[2].no_file = true;
	(void)dataset_world_pair(&w, 0, 1);
	(void)dataset_world_pair(&w, 2, 1);
	dataset_world_write(&w);
	d = dataset_world_open(&w, true, names, NAMES);
	row = row_at(d, 0, 2);
	assert_true(row[0].view != row[1].view);
	km_dataset_features(d, &row[0], KM_LAYOUT_RECORDED, 0, in[0]);
	km_dataset_features(d, &row[1], KM_LAYOUT_RECORDED, 0, in[1]);
	assert_true(in[0][0] == in[1][1] && in[0][1] == in[1][0]);
	assert_true(in[0][2] > 2 * in[1][2]); /* the pods are on node2 */
	km_dataset_free(d);
	dataset_world_fini(&w);
}

static void the_fingerprint_is_of_the_recordings(void **state)
{
	struct dataset_world w;
	struct dataset_run swap;
	struct km_dataset *d;
	uint64_t print[4];

	(void)state;
	dataset_world_init(&w);
	for (int i = 0; i < 3; i++)
		(void)dataset_world_run(&w, "Alpha_V01", "200", DATASET_LOCAL, 500 + i);
	for (int i = 0; i < 4; i++) {
		if (i == 1) { /* another order */
			swap = w.run[0];
			w.run[0] = w.run[2];
			w.run[2] = swap;
		}
		if (i == 2)
			w.run[1].slowdown += 0.5;
		if (i == 3)
			w.run_count--;
		dataset_world_write(&w);
		d = dataset_world_open(&w, false, names, NAMES);
		print[i] = km_dataset_fingerprint(d);
		km_dataset_free(d);
	}
	assert_true(print[0] == print[1]);
	assert_true(print[1] != print[2] && print[2] != print[3] && print[1] != print[3]);
	dataset_world_fini(&w);
}

static void names_of_kinds_and_layouts(void **state)
{
	(void)state;
	assert_string_equal(km_layout_kind_name(KM_LAYOUT_RECORDED), "recorded");
	assert_string_equal(km_layout_kind_name(KM_LAYOUT_ONE_NODE), "oneNode");
	assert_string_equal(km_layout_kind_name(KM_LAYOUT_ALONE), "alone");
	for (int k = 0; k < KM_ROW_KIND_N; k++)
		assert_non_null(km_row_kind_name((enum km_row_kind)k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_is_a_row_of_diagnosis),
		cmocka_unit_test(replicas_on_both_nodes_are_two_rows),
		cmocka_unit_test(a_blank_label_comes_from_the_baseline_or_not_at_all),
		cmocka_unit_test(a_lighter_pair_is_the_node_with_less_on_it),
		cmocka_unit_test(without_interference_a_pair_has_a_performance_of_one),
		cmocka_unit_test(an_empty_candidate_is_the_other_node),
		cmocka_unit_test(families_are_those_of_the_pairs),
		cmocka_unit_test(pairs_without_their_run_are_counted_and_named),
		cmocka_unit_test(a_pair_takes_the_line_of_its_candidate),
		cmocka_unit_test(the_fingerprint_is_of_the_recordings),
		cmocka_unit_test(names_of_kinds_and_layouts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
