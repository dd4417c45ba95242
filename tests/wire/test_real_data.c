/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorded runs (DATASET) through the daemon with the model it ships with: of two nodes that
 * replay runs of one campaign and load, one beside four CPU stressors and one without any, the
 * quiet one is ranked first. Skips without the runs or without the model.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/macros.h"

#include "dataset/csv.h"
#include "support/dataset_world.h"
#include "support/wire.h"

#define MODEL     "models/pcm-nginx/model.ubj"
#define RUNS_MAX  4096
#define DUELS_MAX 64
#define POD_RPS   2000 /* of the pod to be placed: more than any node carries yet */
#define LIGHT_RPS 500  /* what a node carries before, at most: as pairs.csv has it */
#define WINDOW_S  60

/* A line of runs.csv, as far as it matters here. */
struct line {
	char campaign[64], trace[256], target[16], other[16];
	double rps, replicas_here, replicas;
	bool quiet; /* c0_l0_m0; else c4_l0_m0 on the node itself */
};

/* Two nodes with equal load in one campaign. */
struct duel {
	struct line quiet, busy;
};

static struct duel duels[DUELS_MAX];
static size_t duel_count;

static void copy(char *out, size_t size, struct km_name from)
{
	assert_true(from.len < size);
	memcpy(out, from.text, from.len);
	out[from.len] = '\0';
}

static bool is(struct km_name a, const char *b)
{
	return a.len == strlen(b) && memcmp(a.text, b, a.len) == 0;
}

enum column {
	CAMPAIGN,
	SCENARIO,
	PLACEMENT,
	TARGET,
	OTHER,
	RPS,
	HERE,
	NODE1,
	NODE2,
	TRACE,
	COLUMN_N,
};

static size_t read_lines(const char *dir, struct line *out)
{
	static const struct csv_column columns[COLUMN_N] = {
		[CAMPAIGN] = { "campaign", false },       [SCENARIO] = { "scenario", false },
		[PLACEMENT] = { "placement", false },     [TARGET] = { "target_cores", false },
		[OTHER] = { "other_cores", false },       [RPS] = { "rps", false },
		[HERE] = { "replicas_on_target", false }, [NODE1] = { "replicas_node1", false },
		[NODE2] = { "replicas_node2", false },    [TRACE] = { "trace_file", false },
	};
	struct km_name f[COLUMN_N];
	struct km_err err = { .code = 0 };
	struct csv *csv = NULL;
	char path[4096];
	size_t count = 0;
	int rc;

	(void)snprintf(path, sizeof(path), "%s/runs.csv", dir);
	rc = csv_open(path, columns, COLUMN_N, &csv, &err);
	while (rc == 0 && (rc = csv_next(csv, f, &err)) > 0) {
		struct line *l = &out[count];
		double v[COLUMN_N];

		rc = 0;
		for (int i = RPS; i <= NODE2 && rc == 0; i++)
			rc = csv_number(csv, (size_t)i, f[i], &v[i], &err);
		if (rc != 0)
			break;
		l->quiet = is(f[SCENARIO], "c0_l0_m0");
		if (!l->quiet && !(is(f[SCENARIO], "c4_l0_m0") && is(f[PLACEMENT], "local")))
			continue;
		copy(l->campaign, sizeof(l->campaign), f[CAMPAIGN]);
		copy(l->trace, sizeof(l->trace), f[TRACE]);
		copy(l->target, sizeof(l->target), f[TARGET]);
		copy(l->other, sizeof(l->other), f[OTHER]);
		l->rps = v[RPS];
		l->replicas_here = v[HERE];
		l->replicas = v[NODE1] + v[NODE2];
		count++;
		assert_true(count < RUNS_MAX);
	}
	if (rc != 0)
		fail_msg("%s", err.text);
	csv_close(csv);
	return count;
}

static bool same_load(const struct line *a, const struct line *b)
{
	return strcmp(a->campaign, b->campaign) == 0 && strcmp(a->target, b->target) == 0 &&
	       a->rps == b->rps && a->replicas_here == b->replicas_here &&
	       a->replicas == b->replicas;
}

/* Every pair there is, of nodes that carry little yet. */
static void find_duels(const char *dir)
{
	struct line *line = calloc(RUNS_MAX, sizeof(*line));
	size_t count;

	assert_non_null(line);
	count = read_lines(dir, line);
	for (size_t i = 0; i < count; i++) {
		if (!line[i].quiet || line[i].rps > LIGHT_RPS)
			continue;
		for (size_t k = 0; k < count; k++) {
			if (line[k].quiet || !same_load(&line[i], &line[k]))
				continue;
			assert_true(duel_count < DUELS_MAX);
			duels[duel_count++] = (struct duel){ line[i], line[k] };
		}
	}
	free(line);
	assert_true(duel_count >= 4);
}

/* Both hosts of each duel: the node, and with `peers` the other one on its host. */
static void configure(const char *dir, bool peers, struct km_buf *yaml)
{
	km_buf_str(yaml, "nodes:\n");
	for (size_t i = 0; i < 2 * duel_count; i++) {
		const struct line *l = i % 2 == 0 ? &duels[i / 2].quiet : &duels[i / 2].busy;
		const char *kind = i % 2 == 0 ? "quiet" : "busy";

		km_buf_printf(yaml, "- {name: %s-%zu, cpus: \"%s\"}\n", kind, i / 2, l->target);
		if (peers)
			km_buf_printf(yaml, "- {name: %s-%zu-peer, cpus: \"%s\"}\n", kind, i / 2,
			              l->other);
	}
	km_buf_str(yaml, "collect:\n  interval: 100ms\n  sources:\n");
	for (size_t i = 0; i < 2 * duel_count; i++) {
		const struct line *l = i % 2 == 0 ? &duels[i / 2].quiet : &duels[i / 2].busy;
		const char *kind = i % 2 == 0 ? "quiet" : "busy";

		km_buf_printf(yaml, "  - replay: {file: \"%s/%s\", speed: 100000, nodes: [%s-%zu",
		              dir, l->trace, kind, i / 2);
		if (peers)
			km_buf_printf(yaml, ", %s-%zu-peer", kind, i / 2);
		km_buf_str(yaml, "]}\n");
	}
	km_buf_str(yaml, "model: {path: " MODEL "}\ndecide: {maxAge: 1h}\n");
	assert_true(km_buf_ok(yaml));
}

static cJSON *ask(const struct daemon *d, const char *method, const char *path, const char *body)
{
	struct answer a;
	cJSON *tree;

	daemon_request(d, method, path, body, &a);
	if (a.status != 200)
		fail_msg("%s %s: %d\n%s", method, path, a.status, a.head != NULL ? a.head : "");
	tree = cJSON_Parse(a.body);
	assert_non_null(tree);
	answer_fini(&a);
	return tree;
}

static const cJSON *named(const cJSON *list, const char *key, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		if (strcmp(cJSON_GetObjectItem(item, key)->valuestring, name) == 0)
			return item;
	}
	fail_msg("no %s \"%s\"", key, name);
	return NULL;
}

/* Every node has a full window of counters of the model's tier. */
static void want_full_windows(const struct daemon *d)
{
	cJSON *features = ask(d, "GET", "/v1/features", NULL);
	const cJSON *node;
	size_t count = 0;

	cJSON_ArrayForEach(node, cJSON_GetObjectItem(features, "nodes"))
	{
		const char *name = cJSON_GetObjectItem(node, "name")->valuestring;
		double covered_s = cJSON_GetObjectItem(node, "coveredSeconds")->valuedouble;

		if (!(covered_s >= WINDOW_S * 0.9))
			fail_msg("%s: %g s", name, covered_s);
		assert_string_equal(cJSON_GetObjectItem(node, "tier")->valuestring, "uncore");
		count++;
	}
	assert_true(count >= 2 * duel_count);
	cJSON_Delete(features);
}

static void want_quiet_first(const struct daemon *d, size_t i)
{
	const struct line *l = &duels[i].quiet;
	char body[512];
	char quiet[32];
	char busy[32];
	cJSON *scores;
	cJSON *predicted;
	const cJSON *list;
	double score[2];
	double slowdown[2];

	(void)snprintf(quiet, sizeof(quiet), "quiet-%zu", i);
	(void)snprintf(busy, sizeof(busy), "busy-%zu", i);
	(void)snprintf(body, sizeof(body),
	               "{\"Pod\":{\"metadata\":{\"name\":\"p\",\"annotations\":{"
	               "\"kubemarla.io/rps\":\"%d\"}}},\"Nodes\":null,"
	               "\"NodeNames\":[\"%s\",\"%s\"]}",
	               POD_RPS, busy, quiet);
	scores = ask(d, "POST", "/prioritize", body);
	score[0] = cJSON_GetObjectItem(named(scores, "Host", quiet), "Score")->valuedouble;
	score[1] = cJSON_GetObjectItem(named(scores, "Host", busy), "Score")->valuedouble;
	(void)snprintf(body, sizeof(body),
	               "{\"pod\":{\"rps\":%d,\"replicas\":1},\"nodes\":[\"%s\",\"%s\"]}", POD_RPS,
	               quiet, busy);
	predicted = ask(d, "POST", "/v1/predict", body);
	list = cJSON_GetObjectItem(predicted, "predictions");
	slowdown[0] = cJSON_GetObjectItem(named(list, "node", quiet), "slowdown")->valuedouble;
	slowdown[1] = cJSON_GetObjectItem(named(list, "node", busy), "slowdown")->valuedouble;
	print_message("%s, %.0f rps now: quiet %.2f (score %.0f), busy %.2f (score %.0f)\n",
	              l->campaign, l->rps, slowdown[0], score[0], slowdown[1], score[1]);
	assert_true(slowdown[1] > slowdown[0]);
	assert_true(score[0] > score[1]);
	cJSON_Delete(predicted);
	cJSON_Delete(scores);
}

static void rank(bool peers)
{
	const char *dir = dataset_recorded();
	struct km_buf yaml;
	struct daemon d;

	if (dir == NULL)
		skip();
	if (access(MODEL, R_OK) != 0) {
		print_message("no " MODEL ": make model writes it\n");
		skip();
	}
	if (duel_count == 0)
		find_duels(dir);
	km_buf_init(&yaml);
	configure(dir, peers, &yaml);
	daemon_init(&d);
	wire_start(&d, km_buf_cstr(&yaml));
	wire_wait_replayed(&d, (int)(2 * duel_count));
	want_full_windows(&d);
	for (size_t i = 0; i < duel_count; i++)
		want_quiet_first(&d, i);
	wire_stop(&d);
	km_buf_fini(&yaml);
}

static void a_quiet_node_of_two_on_its_host_is_ranked_first(void **state)
{
	(void)state;
	rank(true);
}

static void a_quiet_node_that_is_the_only_one_of_its_host_is_ranked_first(void **state)
{
	(void)state;
	rank(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quiet_node_of_two_on_its_host_is_ranked_first),
		cmocka_unit_test(a_quiet_node_that_is_the_only_one_of_its_host_is_ranked_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
