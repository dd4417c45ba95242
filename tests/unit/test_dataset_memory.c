/* SPDX-License-Identifier: Apache-2.0 */
/* dataset: a large pairs.csv is a stream; what stays of a line is its row. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/dataset_world.h"

#define FEW  50000
#define MANY 300000

static const char *const names[] = { "node.ipc.mean", "pod.rps" };

/* pairs.csv with `count` lines over the folder's runs. returns its size. */
static long write_pairs(const struct dataset_world *w, size_t count)
{
	FILE *f = fopen(dataset_world_path(w, "pairs.csv"), "w");
	long size;

	assert_non_null(f);
	(void)fputs("kind,role,before_run_id,candidate_cores,before_replicas,before_rps,"
	            "after_run_id,campaign,family,scenario,placement,replicas,rps,p99_ms,"
	            "baseline_p99_ms,slowdown,norm_perf,weight\n",
	            f);
	for (size_t i = 0; i < count; i++) {
		const struct dataset_run *r = &w->run[i % w->run_count];

		(void)fprintf(f,
		              "lighter,%s,%s,3-5,1,500,%s,%s,Alpha,c1_l0_m0,local,1,%zu,0.300000,"
		              "0.150000,2.000000,0.500000,1.000\n",
		              i % 3 == 0 ? "score" : "augment", r->id, r->id, r->campaign,
		              1000 + i % 5000);
	}
	size = ftell(f);
	assert_int_equal(fclose(f), 0);
	return size;
}

/* Opens the folder in a process of its own. returns the most that process ever held, in bytes. */
static double peak_bytes(const struct dataset_world *w, size_t want_rows)
{
	struct rusage usage;
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct km_dataset_options o = { .dir = w->dir, .placement = true };
		struct km_schema *schema = NULL;
		struct km_dataset *d = NULL;
		size_t count = 0;

		if (km_schema_create(names, KM_ARRAY_LEN(names), 60, 5, &schema, NULL) != 0)
			_exit(1);
		o.schema = schema;
		if (km_dataset_open(&o, &d, NULL) != 0)
			_exit(2);
		(void)km_dataset_rows(d, &count);
		_exit(count == want_rows ? 0 : 3);
	}
	assert_int_equal(wait4(pid, &status, 0, &usage), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	return (double)usage.ru_maxrss * 1024;
}

static void a_line_costs_its_row_and_no_more(void **state)
{
	struct dataset_world w;
	double bytes[2];
	long size[2];
	double a_line;
	double a_row;

	(void)state;
	dataset_world_init(&w);
	(void)dataset_world_run(&w, "Alpha_V01", "100", DATASET_LOCAL, 500);
	(void)dataset_world_run(&w, "Alpha_V02", "100", DATASET_LOCAL, 500);
	dataset_world_write(&w);
	size[0] = write_pairs(&w, FEW);
	bytes[0] = peak_bytes(&w, FEW);
	size[1] = write_pairs(&w, MANY);
	bytes[1] = peak_bytes(&w, MANY);
	a_line = (double)(size[1] - size[0]) / (MANY - FEW);
	a_row = (bytes[1] - bytes[0]) / (MANY - FEW);
	print_message(
		"%d lines: %.1f MB of text, %.1f bytes a line; %.1f MB at most, %.1f bytes a row\n",
		MANY, (double)size[1] / 1e6, a_line, bytes[1] / 1e6, a_row);
	assert_int_equal(sizeof(struct km_dataset_row), 68); /* as dataset.h says */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	print_message("a sanitizer's memory is its own: not compared\n");
#else
	/* the array doubles, and its old and new half may be held at once */
	assert_true(2.0 * sizeof(struct km_dataset_row) < a_line);
	assert_true(a_row < 2.0 * sizeof(struct km_dataset_row));
#endif
	dataset_world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_costs_its_row_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
