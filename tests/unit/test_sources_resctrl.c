/* SPDX-License-Identifier: Apache-2.0 */
/* resctrl over constructed trees: sums over groups and domains, values that are none, changes. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/clock.h"
#include "km/sources/source.h"

#include "sources/counter.h"
#include "sources/resctrl.h"
#include "support/tree.h"

#define GB 1e9

struct rig {
	struct tree tree;
	struct km_live_settings live;
	struct km_source_settings settings;
	struct km_source_args args;
	struct km_source *source;
	int64_t now_ns;
	unsigned samples;
	struct km_sample last;
};

static void domain(struct rig *r, const char *dir, const char *occupancy, const char *total,
                   const char *local)
{
	static const char *const names[] = { "llc_occupancy", "mbm_total_bytes",
		                             "mbm_local_bytes" };
	const char *values[] = { occupancy, total, local };

	for (size_t i = 0; i < 3; i++) {
		char path[128];

		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		if (values[i] != NULL)
			tree_put(&r->tree, path, "%s\n", values[i]);
	}
}

static void rig_init(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	tree_init(&r->tree);
	tree_put(&r->tree, "schemata", "L3:0=fff;1=fff\n");
	tree_put(&r->tree, "info/L3_MON/mon_features", "llc_occupancy\n");
	tree_dir(&r->tree, "mon_groups");
	r->live.resctrl = r->tree.root;
	strcpy(r->settings.kind, "resctrl");
	r->now_ns = 1000 * KM_NS_PER_S;
	r->args = (struct km_source_args){ .settings = &r->settings,
		                           .live = &r->live,
		                           .interval_ns = KM_NS_PER_S,
		                           .now_ns = r->now_ns };
}

static void rig_fini(struct rig *r)
{
	km_source_close(r->source);
	tree_fini(&r->tree);
}

static void take(void *ctx, const struct km_sample *sample)
{
	struct rig *r = ctx;

	r->samples++;
	r->last = *sample;
	assert_null(km_sample_implausible(sample));
}

/* A second later; returns how many samples came. */
static unsigned tick(struct rig *r)
{
	unsigned before = r->samples;
	struct km_err err = { 0 };

	r->now_ns += KM_NS_PER_S;
	assert_int_equal(km_source_read(r->source, r->now_ns, take, r, &err), KM_SOURCE_LIVE);
	return r->samples - before;
}

static void open_it(struct rig *r)
{
	struct km_err err = { 0 };

	r->args.now_ns = r->now_ns;
	assert_int_equal(km_source_open(&r->args, &r->source, &err), 0);
	assert_int_equal(tick(r), 0); /* the baseline */
}

static uint64_t faults(struct rig *r, enum km_source_fault f)
{
	struct km_source_stats stats;

	km_source_get_stats(r->source, &stats);
	return stats.fault[f];
}

static void a_value_is_a_number_or_a_word_for_none(void **state)
{
	static const struct {
		const char *text;
		int want;
		uint64_t value;
	} rows[] = {
		{ "0\n", 0, 0 },
		{ "11234000\n", 0, 11234000 },
		{ "11234000", 0, 11234000 },
		{ "18446744073709551615\n", 0, UINT64_MAX },
		{ "18446744073709551616\n", -EBADMSG, 0 },
		{ "Unavailable\n", -ENODATA, 0 },
		{ "Unassigned\n", -ENODATA, 0 },
		{ "Error\n", -EIO, 0 },
		{ "error\n", -EBADMSG, 0 },
		{ "Unavailable \n", -EBADMSG, 0 },
		{ "", -EBADMSG, 0 },
		{ "\n", -EBADMSG, 0 },
		{ "-1\n", -EBADMSG, 0 },
		{ "1.5\n", -EBADMSG, 0 },
		{ "12 34\n", -EBADMSG, 0 },
		{ "0x10\n", -EBADMSG, 0 },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		uint64_t value = 0;

		assert_int_equal(km_resctrl_parse(rows[i].text, strlen(rows[i].text), &value),
		                 rows[i].want);
		if (rows[i].want == 0)
			assert_true(value == rows[i].value);
	}
}

static void a_counter_wraps_at_its_width_and_may_not_run_back(void **state)
{
	static const struct {
		uint64_t before, now;
		unsigned bits;
		double max;
		int want;
		uint64_t delta;
	} rows[] = {
		{ 100, 350, 64, 1e6, 0, 250 },
		{ 100, 100, 64, 1e6, 0, 0 },
		{ UINT64_MAX - 99, 150, 64, 1e6, 0, 250 },
		{ (1 << 24) - 10, 5, 24, 1e6, 0, 15 },
		{ (UINT64_C(1) << 48) - 1, 0, 48, 1e6, 0, 1 },
		{ 350, 100, 64, 1e6, -ERANGE, 0 },   /* back, or reset */
		{ 0, 2000000, 64, 1e6, -ERANGE, 0 }, /* more than there can be */
		{ 1 << 24, 5, 24, 1e6, -ERANGE, 0 }, /* wider than it says */
		{ 5, UINT64_C(1) << 48, 48, 1e6, -ERANGE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		uint64_t delta = 0;

		assert_int_equal(km_counter_delta(rows[i].before, rows[i].now, rows[i].bits,
		                                  rows[i].max, &delta),
		                 rows[i].want);
		assert_true(delta == rows[i].delta);
	}
}

static void the_host_is_the_sum_of_groups_and_domains(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	domain(&r, "mon_data/mon_L3_00", "1000", "5000000000", "4000000000");
	domain(&r, "mon_data/mon_L3_01", "2000", "100", "90");
	domain(&r, "batch/mon_data/mon_L3_00", "30000", "7", "7");
	domain(&r, "batch/mon_data/mon_L3_01", "400000", "0", "0");
	/* their parents' sums hold these already */
	domain(&r, "mon_groups/web/mon_data/mon_L3_00", "7777777", "7", "7");
	domain(&r, "batch/mon_groups/a/mon_data/mon_L3_00", "7777777", "7", "7");
	domain(&r, "mon_data/mon_L3_00/mon_sub_L3_00", "7777777", "7", "7");
	open_it(&r);
	domain(&r, "mon_data/mon_L3_00", "1001", "6000000000", "4500000000");
	domain(&r, "mon_data/mon_L3_01", "2000", "1100", "1090");
	domain(&r, "batch/mon_data/mon_L3_00", "30000", "2000000007", "7");
	assert_int_equal(tick(&r), 1);
	assert_int_equal(r.last.cpu_count, 0);
	assert_true(r.last.end_ns == r.now_ns);
	assert_true(r.last.start_ns == r.now_ns - KM_NS_PER_S);
	assert_true(r.last.host[KM_HOST_L3_OCCUPANCY_BYTES] == 433001);
	assert_true(r.last.host[KM_HOST_MBM_TOTAL_BYTES] == 3 * GB + 1000);
	assert_true(r.last.host[KM_HOST_MBM_LOCAL_BYTES] == 0.5 * GB + 1000);
	/* RDT does not tell reads from writes, and neither do we */
	assert_true(isnan(r.last.host[KM_HOST_MEM_READ_BYTES]));
	assert_true(isnan(r.last.host[KM_HOST_MEM_WRITE_BYTES]));
	rig_fini(&r);
}

static void no_value_leaves_its_sum_unknown_and_the_others_known(void **state)
{
	static const struct {
		const char *text;
		enum km_source_fault fault;
	} rows[] = {
		{ "Unavailable", KM_FAULT_UNAVAILABLE },
		{ "Unassigned", KM_FAULT_UNAVAILABLE },
		{ "Error", KM_FAULT_UNAVAILABLE },
		{ "", KM_FAULT_GARBLED },
		{ "12 34", KM_FAULT_GARBLED },
		{ "99", KM_FAULT_BACKWARDS },
		{ "99999999999999999", KM_FAULT_BACKWARDS },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct rig r;

		rig_init(&r);
		domain(&r, "mon_data/mon_L3_00", "1000", "100", "100");
		domain(&r, "mon_data/mon_L3_01", "1000", "100", "100");
		open_it(&r);
		domain(&r, "mon_data/mon_L3_00", "1000", rows[i].text, "300");
		domain(&r, "mon_data/mon_L3_01", "1000", "100", "100");
		assert_int_equal(tick(&r), 1);
		assert_true(isnan(r.last.host[KM_HOST_MBM_TOTAL_BYTES]));
		assert_true(r.last.host[KM_HOST_MBM_LOCAL_BYTES] == 200);
		assert_true(r.last.host[KM_HOST_L3_OCCUPANCY_BYTES] == 2000);
		assert_int_equal(faults(&r, rows[i].fault), 1);
		/* back again: the first number is the new baseline, the second counts */
		domain(&r, "mon_data/mon_L3_00", "1000", "500", "300");
		(void)tick(&r);
		domain(&r, "mon_data/mon_L3_00", "1000", "550", "300");
		assert_int_equal(tick(&r), 1);
		assert_true(r.last.host[KM_HOST_MBM_TOTAL_BYTES] == 50);
		rig_fini(&r);
	}
}

static void groups_come_and_go(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	domain(&r, "mon_data/mon_L3_00", "1000", "100", "100");
	open_it(&r);
	domain(&r, "new/mon_data/mon_L3_00", "500", "70", "70");
	assert_int_equal(tick(&r), 1);
	assert_true(r.last.host[KM_HOST_L3_OCCUPANCY_BYTES] == 1500);
	assert_true(isnan(r.last.host[KM_HOST_MBM_TOTAL_BYTES])); /* of which tick are the 70? */
	domain(&r, "new/mon_data/mon_L3_00", "500", "90", "70");
	assert_int_equal(tick(&r), 1);
	assert_true(r.last.host[KM_HOST_MBM_TOTAL_BYTES] == 20);
	assert_int_equal(faults(&r, KM_FAULT_VANISHED), 0);
	tree_remove(&r.tree, "new");
	assert_int_equal(tick(&r), 1);
	assert_true(r.last.host[KM_HOST_L3_OCCUPANCY_BYTES] == 1000);
	assert_true(isnan(r.last.host[KM_HOST_MBM_TOTAL_BYTES])); /* what it counted last is lost */
	assert_int_equal(faults(&r, KM_FAULT_VANISHED), 1);
	assert_int_equal(tick(&r), 1);
	assert_true(r.last.host[KM_HOST_MBM_TOTAL_BYTES] == 0);
	/* one file of a domain that stays */
	tree_remove(&r.tree, "mon_data/mon_L3_00/mbm_total_bytes");
	assert_int_equal(tick(&r), 1);
	assert_true(isnan(r.last.host[KM_HOST_MBM_TOTAL_BYTES]));
	assert_true(r.last.host[KM_HOST_MBM_LOCAL_BYTES] == 0);
	assert_int_equal(faults(&r, KM_FAULT_VANISHED), 2);
	rig_fini(&r);
}

static void without_any_value_there_is_no_sample(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	domain(&r, "mon_data/mon_L3_00", "Unavailable", "Unavailable", "Unavailable");
	open_it(&r); /* it may be a number later */
	assert_int_equal(tick(&r), 0);
	domain(&r, "mon_data/mon_L3_00", "4096", "1", "1");
	assert_int_equal(tick(&r), 1);
	assert_true(r.last.host[KM_HOST_L3_OCCUPANCY_BYTES] == 4096);
	assert_true(isnan(r.last.host[KM_HOST_MBM_TOTAL_BYTES]));
	rig_fini(&r);
}

static void an_unmounted_tree_closes_the_source(void **state)
{
	struct km_err err = { 0 };
	struct rig r;

	(void)state;
	rig_init(&r);
	domain(&r, "mon_data/mon_L3_00", "1", "1", "1");
	open_it(&r);
	tree_remove(&r.tree, "mon_data");
	assert_int_equal(km_source_read(r.source, r.now_ns + 1, take, &r, &err), -ENOENT);
	assert_non_null(strstr(err.text, "mon_data: no L3 domain any more"));
	rig_fini(&r);
}

static void the_probe_says_what_is_there_or_what_is_missing(void **state)
{
	struct km_source_offer offer;
	struct km_err err = { 0 };
	char none[96];
	struct rig r;

	(void)state;
	rig_init(&r);
	assert_int_equal(km_source_probe(&r.args, &offer, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "is mounted, but has no mon_data"));
	tree_remove(&r.tree, "schemata");
	assert_int_equal(km_source_probe(&r.args, &offer, &err), -ENOENT);
	assert_non_null(strstr(err.text, "not mounted; want mount -t resctrl resctrl"));
	(void)snprintf(none, sizeof(none), "%s/nowhere", r.tree.root);
	r.live.resctrl = none;
	assert_int_equal(km_source_probe(&r.args, &offer, &err), -ENOENT);
	assert_non_null(strstr(err.text, "want a kernel with resctrl and a CPU with RDT"));
	r.live.resctrl = r.tree.root;
	tree_dir(&r.tree, "mon_data/mon_L3_00");
	assert_int_equal(km_source_probe(&r.args, &offer, &err), -ENOTSUP);
	domain(&r, "mon_data/mon_L3_00", "1", NULL, NULL);
	assert_int_equal(km_source_probe(&r.args, &offer, &err), 0);
	assert_int_equal(offer.host, 1U << KM_HOST_L3_OCCUPANCY_BYTES);
	assert_int_equal(offer.cpu, 0);
	assert_false(offer.owns_pmu);
	domain(&r, "mon_data/mon_L3_00", "1", "1", "1");
	assert_int_equal(km_source_probe(&r.args, &offer, &err), 0);
	assert_int_equal(offer.host, 1U << KM_HOST_L3_OCCUPANCY_BYTES |
	                                     1U << KM_HOST_MBM_TOTAL_BYTES |
	                                     1U << KM_HOST_MBM_LOCAL_BYTES);
	assert_non_null(strstr(offer.note, "1 L3 domain"));
	rig_fini(&r);
}

/* Rights are the process's own: root puts its off for the test. */
static void what_may_not_be_read_is_told(void **state)
{
	struct km_source_offer offer;
	struct km_err err = { 0 };
	bool root = geteuid() == 0;
	char file[128];
	struct rig r;
	int at_tree;
	int at_file;

	(void)state;
	rig_init(&r);
	domain(&r, "mon_data/mon_L3_00", "1", NULL, NULL);
	(void)snprintf(file, sizeof(file), "%s/mon_data/mon_L3_00/llc_occupancy", r.tree.root);
	assert_int_equal(chmod(file, 0), 0);
	assert_int_equal(chmod(r.tree.root, 0), 0);
	assert_int_equal(root ? seteuid(65534) : 0, 0);
	at_tree = km_source_probe(&r.args, &offer, &err);
	assert_int_equal(root ? seteuid(0) : 0, 0);
	assert_int_equal(at_tree, -EACCES);
	assert_non_null(strstr(err.text, "/mon_data: Permission denied"));
	assert_int_equal(chmod(r.tree.root, 0755), 0);
	assert_int_equal(root ? seteuid(65534) : 0, 0);
	at_file = km_source_probe(&r.args, &offer, &err);
	assert_int_equal(root ? seteuid(0) : 0, 0);
	assert_int_equal(at_file, -EACCES);
	assert_non_null(strstr(err.text, "/mon_data: files may not be read"));
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_is_a_number_or_a_word_for_none),
		cmocka_unit_test(a_counter_wraps_at_its_width_and_may_not_run_back),
		cmocka_unit_test(the_host_is_the_sum_of_groups_and_domains),
		cmocka_unit_test(no_value_leaves_its_sum_unknown_and_the_others_known),
		cmocka_unit_test(groups_come_and_go),
		cmocka_unit_test(without_any_value_there_is_no_sample),
		cmocka_unit_test(an_unmounted_tree_closes_the_source),
		cmocka_unit_test(what_may_not_be_read_is_told),
		cmocka_unit_test(the_probe_says_what_is_there_or_what_is_missing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
