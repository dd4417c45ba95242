/* SPDX-License-Identifier: Apache-2.0 */
/* dataset: a folder of the laboratory's: traces of our own, taken before, with rows of nodes. */
#include <errno.h>
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
#include "km/base/macros.h"
#include "km/core/feature.h"
#include "km/dataset/dataset.h"
#include "km/sources/source.h"

static const char *const names[] = {
	"node.busy_ratio.mean",       "peer.busy_ratio.mean",
	"spare.busy_ratio.mean",      "node.cpu_psi_ratio.mean",
	"node.throttled_ratio.mean",  "host.cpu_psi_ratio.mean",
	"host.runnable_per_cpu.mean", "pod.rps",
};
#define NAMES KM_ARRAY_LEN(names)

#define RUNS                                                                                       \
	"run_id,campaign,scenario,n_cpu,n_l3,n_membw,target_cores,other_cores,%splacement,"        \
	"replicas_on_target,rps,p99_ms,baseline_p99_ms,slowdown,trace_file\n"
#define RUN "x_r1,none,0,0,0,0,1,%snone,1,500,1,1,1,traces/during.csv\n"
#define PAIRS                                                                                      \
	"kind,role,before_run_id,before_trace_file,candidate_cores,before_replicas,before_rps,"    \
	"campaign,scenario,placement,replicas,rps,slowdown\n"

static char dir[64];

static void put(const char *name, const char *text)
{
	char path[128];
	struct km_err err = { .code = 0 };

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (km_file_write_atomic(path, text, strlen(text), &err) != 0)
		fail_msg("%s", err.text);
}

/* `rows` seconds, CPU 0 busy for `busy` of each, CPU 1 idle. */
static void put_trace(const char *name, unsigned rows, double busy)
{
	struct km_buf text;

	km_buf_init(&text);
	km_buf_str(&text, "start_ns,end_ns,cpu0.busy_ns,cpu1.busy_ns,host.cpu_psi_ns,"
	                  "host.runnable_tasks,node.node-b.cpu_psi_ns,node.node-a.cpu_psi_ns,"
	                  "node.node-b.throttled_ns,node.node-a.throttled_ns\n");
	for (unsigned i = 0; i < rows; i++)
		km_buf_printf(&text, "%u000000000,%u000000000,%.0f,0,5e8,4,2e8,1e8,,%u\n", i, i + 1,
		              busy * 1e9, 300000000);
	put(name, km_buf_cstr(&text));
	km_buf_fini(&text);
}

static int setup(void **state)
{
	char path[96];
	char text[1024];

	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/km-test-dataset-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/traces", dir);
	(void)snprintf(text, sizeof(text), RUNS "one," RUN, "target_name,other_name,",
	               "node-a,node-b,");
	if (mkdir(path, 0777) != 0)
		return -1;
	put("runs.csv", text);
	put("pairs.csv", PAIRS "empty,score,one,traces/before.csv,0,0,0,x_r1,none,none,1,500,1\n");
	put_trace("traces/before.csv", 8, 0.25);
	put_trace("traces/during.csv", 8, 0.75);
	return 0;
}

static int teardown(void **state)
{
	static const char *const files[] = { "runs.csv", "pairs.csv", "traces/before.csv",
		                             "traces/during.csv", "traces" };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(files); i++) {
		char path[128];

		(void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		(void)remove(path);
	}
	return rmdir(dir);
}

static int open_folder(bool placement, struct km_dataset **out, struct km_err *err)
{
	struct km_schema *schema = NULL;
	struct km_dataset_options options = { .dir = dir, .placement = placement };
	int rc;

	assert_int_equal(km_schema_create(names, NAMES, 8, 1, &schema, NULL), 0);
	options.schema = schema;
	rc = km_dataset_open(&options, out, err);
	km_schema_unref(schema);
	return rc;
}

/* The only row's features in one layout. */
static void features(bool placement, enum km_layout_kind layout, float *out)
{
	struct km_dataset *d = NULL;
	struct km_err err = { .code = 0 };
	const struct km_dataset_row *row;
	size_t count;

	if (open_folder(placement, &d, &err) != 0)
		fail_msg("%s", err.text);
	row = km_dataset_rows(d, &count);
	assert_int_equal(count, 1);
	/* eight whole rows: neither the first nor the last is dropped */
	assert_int_equal(km_dataset_windows(d, row), 1);
	km_dataset_features(d, row, layout, 0, out);
	km_dataset_free(d);
}

static void want(const float *got, const double *values)
{
	for (size_t i = 0; i < NAMES; i++) {
		if (isnan(values[i]) ? !isnan(got[i]) : !(fabs((double)got[i] - values[i]) < 1e-6))
			fail_msg("%s: %g, want %g", names[i], (double)got[i], values[i]);
	}
}

static void rows_of_nodes_reach_the_candidate_in_every_layout(void **state)
{
	static const double values[KM_LAYOUT_N][NAMES] = {
		[KM_LAYOUT_RECORDED] = { 0.25, 0, NAN, 0.1, 0.3, 0.5, 2, 500 },
		[KM_LAYOUT_ONE_NODE] = { 0.25, NAN, 0, 0.1, 0.3, 0.5, 2, 500 },
		/* what the whole machine's tasks do would be another number there */
		[KM_LAYOUT_ALONE] = { 0.25, NAN, NAN, 0.1, 0.3, NAN, NAN, 500 },
	};
	float got[NAMES];

	(void)state;
	for (int l = 0; l < KM_LAYOUT_N; l++) {
		features(true, (enum km_layout_kind)l, got);
		want(got, values[l]);
	}
}

static void the_trace_before_is_the_pairs_and_the_one_during_the_runs(void **state)
{
	static const double values[NAMES] = { 0.75, 0, NAN, 0.1, 0.3, 0.5, 2, 500 };
	float got[NAMES];

	(void)state;
	features(false, KM_LAYOUT_RECORDED, got);
	want(got, values);
	put("pairs.csv", PAIRS "empty,score,one,,0,0,0,x_r1,none,none,1,500,1\n");
	features(true, KM_LAYOUT_RECORDED, got);
	want(got, values);
}

static void into_features(void *ctx, const struct km_sample *s)
{
	assert_true(km_features_push(ctx, s) >= 0);
}

/* What a model is trained on is what a daemon that replays the trace would ask it about. */
static void training_and_serving_see_the_same(void **state)
{
	static struct km_node_settings node[] = { { .name = "node-a" }, { .name = "node-b" } };
	const struct km_node_settings *nodes[] = { &node[0], &node[1] };
	char path[128];
	struct km_source_settings settings = { .kind = "replay",
		                               .replay = { .file = path, .speed = 1 } };
	const struct km_source_args args = {
		.settings = &settings, .node = nodes, .node_count = 2, .now_ns = 1
	};
	struct km_schema *schema = NULL;
	struct km_features *f = NULL;
	struct km_source *source = NULL;
	struct km_cpuset cpus[2];
	double served[NAMES];
	float trained[NAMES];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/traces/before.csv", dir);
	assert_int_equal(km_cpuset_parse("0", &cpus[0], NULL), 0);
	assert_int_equal(km_cpuset_parse("1", &cpus[1], NULL), 0);
	assert_int_equal(km_schema_create(names, NAMES, 8, 1, &schema, NULL), 0);
	assert_int_equal(km_features_create(schema, cpus, 2, &f, NULL), 0);
	assert_int_equal(km_source_open(&args, &source, NULL), 0);
	assert_true(km_source_read(source, INT64_C(60000000000), into_features, f, NULL) >= 0);
	(void)km_features_read(f, 0, served);
	features(true, KM_LAYOUT_RECORDED, trained);
	for (size_t i = 0; i + 1 < NAMES; i++) { /* but for pod.rps */
		if (isnan(served[i]) ? !isnan(trained[i]) : (float)served[i] != trained[i])
			fail_msg("%s: %g, trained %g", names[i], served[i], (double)trained[i]);
	}
	km_source_close(source);
	km_features_free(f);
	km_schema_unref(schema);
}

/* The candidate may be the run's other node: then its own name's rows are its own. */
static void the_other_node_has_its_own_rows(void **state)
{
	static const double values[NAMES] = { 0, 0.25, NAN, 0.2, NAN, 0.5, 2, 500 };
	float got[NAMES];

	(void)state;
	put("pairs.csv", PAIRS "empty,score,one,traces/before.csv,1,0,0,x_r1,none,none,1,500,1\n");
	features(true, KM_LAYOUT_RECORDED, got);
	want(got, values);
}

static void without_names_rows_of_nodes_are_nobodys(void **state)
{
	static const double values[NAMES] = { 0.25, 0, NAN, NAN, NAN, 0.5, 2, 500 };
	char text[1024];
	float got[NAMES];

	(void)state;
	(void)snprintf(text, sizeof(text), RUNS "one," RUN, "", "");
	put("runs.csv", text);
	features(true, KM_LAYOUT_RECORDED, got);
	want(got, values);
}

static void a_trace_outside_the_folder_is_refused(void **state)
{
	struct km_dataset *d = NULL;
	struct km_err err = { .code = 0 };

	(void)state;
	put("pairs.csv", PAIRS "empty,score,one,../before.csv,0,0,0,x_r1,none,none,1,500,1\n");
	assert_int_equal(open_folder(true, &d, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "before_trace_file: saw \"../before.csv\", want a path "
	                                 "inside the folder"));
}

#define LAB_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(rows_of_nodes_reach_the_candidate_in_every_layout),
		LAB_TEST(the_trace_before_is_the_pairs_and_the_one_during_the_runs),
		LAB_TEST(training_and_serving_see_the_same),
		LAB_TEST(the_other_node_has_its_own_rows),
		LAB_TEST(without_names_rows_of_nodes_are_nobodys),
		LAB_TEST(a_trace_outside_the_folder_is_refused),
	};

	return cmocka_run_group_tests_name("dataset_lab", tests, NULL, NULL);
}
