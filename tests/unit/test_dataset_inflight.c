/* SPDX-License-Identifier: Apache-2.0 */
/* dataset: rows with pods on their way, made of two runs of one campaign. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/dataset_world.h"

static const char *const names[] = { "node.ipc.mean", "inflight.cpu", "inflight.l3",
	                             "inflight.membw", "inflight.web" };
#define NAMES KM_ARRAY_LEN(names)

static void open_inflight(struct dataset_world *w, struct km_dataset **d)
{
	struct km_dataset_options o = { .dir = w->dir, .placement = true, .inflight = true };
	struct km_schema *schema = NULL;
	struct km_err err = { .code = 0 };

	dataset_world_write(w);
	assert_int_equal(km_schema_create(names, NAMES, 60, 5, &schema, NULL), 0);
	o.schema = schema;
	if (km_dataset_open(&o, d, &err) != 0)
		fail_msg("%s", err.text);
	km_schema_unref(schema);
}

/* "cpu,l3,membw@before rps->rps slowdown" of every in-flight row, sorted by its making. */
static void list(const struct km_dataset *d, char *out, size_t size)
{
	size_t count;
	const struct km_dataset_row *row = km_dataset_rows(d, &count);
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		if (row[i].kind != KM_ROW_INFLIGHT)
			continue;
		len += (size_t)snprintf(out + len, size - len, "%s+%u,%u,%u@%.0f->%.0f w%.3g; ",
		                        km_dataset_name(d, row[i].scenario),
		                        (unsigned)row[i].inflight[0], (unsigned)row[i].inflight[1],
		                        (unsigned)row[i].inflight[2], (double)row[i].rps_now,
		                        (double)row[i].rps, (double)row[i].weight);
		assert_true(len < size);
	}
}

static size_t add(struct dataset_world *w, const char *campaign, const char *mix,
                  enum dataset_place place, int rps)
{
	(void)dataset_world_run(w, campaign, mix, place, rps);
	return w->run_count - 1;
}

static void what_is_more_in_a_later_run_was_on_its_way(void **state)
{
	struct dataset_world w;
	struct km_dataset *d;
	char got[1024];

	(void)state;
	dataset_world_init(&w);
	(void)add(&w, "Alpha_V01", "000", DATASET_NONE, 500);
	(void)add(&w, "Alpha_V01", "100", DATASET_LOCAL, 400);
	(void)dataset_world_pair(&w, 0, add(&w, "Alpha_V01", "200", DATASET_LOCAL, 1000));
	(void)add(&w, "Alpha_V01", "210", DATASET_LOCAL, 2000);
	(void)add(&w, "Alpha_V01", "400", DATASET_LOCAL, 1000); /* 4 more than none: too many */
	(void)add(&w, "Alpha_V01", "011", DATASET_LOCAL, 500);  /* not a lighter load than none's */
	(void)add(&w, "Alpha_V01", "200", DATASET_REMOTE, 1000); /* pods of the other node */
	open_inflight(&w, &d);
	list(d, got, sizeof(got));
	assert_string_equal(got, "c2_l0_m0+2,0,0@500->1000 w0.5; c2_l0_m0+1,0,0@400->1000 w0.5; "
	                         "c2_l1_m0+2,1,0@500->2000 w0.5; c2_l1_m0+1,1,0@400->2000 w0.5; "
	                         "c4_l0_m0+3,0,0@400->1000 w1; ");
	km_dataset_free(d);
	dataset_world_fini(&w);
}

static void runs_that_cannot_be_before_are_not(void **state)
{
	struct dataset_world w;
	struct km_dataset *d;
	size_t other_node;
	size_t more;
	size_t spread;
	size_t two_nodes;
	char got[256];

	(void)state;
	dataset_world_init(&w);
	(void)add(&w, "Beta_V01", "000", DATASET_NONE, 500);    /* another campaign */
	(void)add(&w, "Alpha_V01", "100", DATASET_REMOTE, 500); /* its pods are elsewhere */
	(void)add(&w, "Alpha_V01", "001", DATASET_LOCAL, 500);  /* no part of what comes */
	(void)add(&w, "Alpha_V01", "200", DATASET_LOCAL, 500);  /* nothing on its way */
	(void)add(&w, "Alpha_V01", "000", DATASET_NONE, 600);   /* no light load */
	other_node = add(&w, "Alpha_V01", "100", DATASET_LOCAL, 500);
	w.run[other_node].target = 1;
	w.run[other_node].on[0] = 1;
	w.run[other_node].on[1] = 0;
	more = add(&w, "Alpha_V01", "110", DATASET_LOCAL, 450);
	w.run[more].pods[1] = 0;
	w.run[more].here = 3; /* more replicas than after */
	w.run[more].on[1] = 3;
	two_nodes = add(&w, "Alpha_V01", "000", DATASET_NONE, 400);
	w.run[two_nodes].on[0] = 1; /* how much of the load was here is not known */
	(void)add(&w, "Alpha_V01", "200", DATASET_LOCAL, 1000);
	spread = add(&w, "Alpha_V01", "300", DATASET_LOCAL, 1000);
	w.run[spread].on[0] = 1; /* of the load that comes only a part is here */
	(void)dataset_world_pair(&w, 3, 8);
	open_inflight(&w, &d);
	list(d, got, sizeof(got));
	assert_string_equal(got, "");
	km_dataset_free(d);
	dataset_world_fini(&w);
}

static void the_model_gets_counts_by_class(void **state)
{
	const struct km_dataset_row *row;
	struct dataset_world w;
	struct km_dataset *d;
	float pair[NAMES];
	float in[NAMES];
	size_t count;

	(void)state;
	dataset_world_init(&w);
	(void)add(&w, "Alpha_V01", "010", DATASET_LOCAL, 500);
	(void)dataset_world_pair(&w, 0, add(&w, "Alpha_V01", "111", DATASET_LOCAL, 1000));
	open_inflight(&w, &d);
	row = km_dataset_rows(d, &count);
	assert_int_equal(count, 2);
	assert_int_equal(row[0].kind, KM_ROW_LIGHTER);
	assert_int_equal(row[1].kind, KM_ROW_INFLIGHT);
	assert_true(row[1].score && !row[1].remote);
	assert_true(row[1].slowdown == row[0].slowdown && row[1].view == row[0].view);
	assert_string_equal(km_dataset_name(d, row[1].campaign), "Alpha_V01");
	assert_string_equal(km_dataset_name(d, row[1].scenario), "c1_l1_m1");
	km_dataset_features(d, &row[0], KM_LAYOUT_ALONE, 0, pair);
	km_dataset_features(d, &row[1], KM_LAYOUT_ALONE, 0, in);
	assert_true(pair[0] == in[0]);
	/* nothing is in flight: known to be 0, also for a class of which nobody ever ran one */
	assert_true(pair[1] == 0 && pair[2] == 0 && pair[3] == 0 && pair[4] == 0);
	assert_true(in[1] == 1 && in[2] == 0 && in[3] == 1 && in[4] == 0);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_more_in_a_later_run_was_on_its_way),
		cmocka_unit_test(runs_that_cannot_be_before_are_not),
		cmocka_unit_test(the_model_gets_counts_by_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
