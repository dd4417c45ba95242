/* SPDX-License-Identifier: Apache-2.0 */
/* eval: the report as JSON, whose shape others rely on, and as text. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>

#include "support/eval_world.h"

static struct dataset_world shared;

static int set_up(void **state)
{
	(void)state;
	eval_world_init(&shared, 3);
	eval_train_ok(&shared, "model.ubj");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	dataset_world_fini(&shared);
	return 0;
}

/* What may stand under a key. */
enum want { STRING, BOOL, COUNT, OBJECT, ARRAY, SCORE };

struct member {
	const char *key;
	enum want want;
	bool optional;
};

static bool is(const cJSON *v, enum want want)
{
	switch (want) {
	case STRING:
		return cJSON_IsString(v);
	case BOOL:
		return cJSON_IsBool(v);
	case COUNT:
		return cJSON_IsNumber(v) && v->valuedouble >= 0 &&
		       v->valuedouble == floor(v->valuedouble);
	case OBJECT:
		return cJSON_IsObject(v);
	case ARRAY:
		return cJSON_IsArray(v);
	case SCORE:
		return cJSON_IsNumber(v) || cJSON_IsNull(v); /* never 0 for "there is none" */
	}
	return false;
}

/* Has all of these, of these kinds, and nothing else. */
static void want_members(const cJSON *object, const struct member *member, size_t count,
                         const char *what)
{
	const cJSON *v;

	assert_true(cJSON_IsObject(object));
	for (size_t i = 0; i < count; i++) {
		v = cJSON_GetObjectItemCaseSensitive(object, member[i].key);
		if (v == NULL ? !member[i].optional : !is(v, member[i].want))
			fail_msg("%s: %s is %s", what, member[i].key,
			         v == NULL ? "missing" : "of another kind");
	}
	cJSON_ArrayForEach(v, object)
	{
		size_t i = 0;

		while (i < count && strcmp(member[i].key, v->string) != 0)
			i++;
		if (i == count)
			fail_msg("%s: unknown key %s", what, v->string);
		/* each once */
		assert_ptr_equal(cJSON_GetObjectItemCaseSensitive(object, v->string), v);
	}
}

#define SCORES                                                                                     \
	{ "mae", SCORE, false }, { "rmse", SCORE, false }, { "r2", SCORE, false },                 \
		{ "mapeSlowdown", SCORE, false }, { "spearman", SCORE, false },                    \
		{ "pairAccuracy", SCORE, false }, { "pairAccuracy125", SCORE, false },             \
		{ "regret", SCORE, false }, { "bias", SCORE, false },                              \
	{                                                                                          \
		"coverage90", SCORE, false                                                         \
	}

/* A part of the report: `name` is the key that says which one, NULL for the two main ones. */
static void want_part(const cJSON *part, const char *name)
{
	static const struct member bounds[] = {
		{ "mae", ARRAY, false },
		{ "rmse", ARRAY, false },
		{ "r2", ARRAY, false },
		{ "mapeSlowdown", ARRAY, false },
		{ "spearman", ARRAY, false },
		{ "pairAccuracy", ARRAY, false },
		{ "pairAccuracy125", ARRAY, false },
		{ "regret", ARRAY, false },
		{ "bias", ARRAY, false },
		{ "coverage90", ARRAY, false },
	};
	const struct member members[] = {
		SCORES,
		{ "rows", COUNT, false },
		{ "pairs", COUNT, false },
		{ "pairs125", COUNT, false },
		{ "interval90", OBJECT, true },
		{ "help", STRING, true },
		{ name, STRING, false },
	};
	const cJSON *interval = cJSON_GetObjectItem(part, "interval90");
	const cJSON *v;

	want_members(part, members, KM_ARRAY_LEN(members) - (name == NULL),
	             name != NULL ? name : "metrics");
	if (interval == NULL)
		return;
	want_members(interval, bounds, KM_ARRAY_LEN(bounds), "interval90");
	cJSON_ArrayForEach(v, interval)
	{
		assert_int_equal(cJSON_GetArraySize(v), 2);
		assert_true(is(cJSON_GetArrayItem(v, 0), SCORE));
		assert_true(is(cJSON_GetArrayItem(v, 1), SCORE));
	}
}

static size_t want_parts(const cJSON *report, const char *key, const char *name)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(report, key);
	const cJSON *part;
	size_t count = 0;

	assert_true(cJSON_IsArray(list));
	cJSON_ArrayForEach(part, list)
	{
		want_part(part, name);
		count++;
	}
	return count;
}

static cJSON *json_of(const struct km_eval_report *r)
{
	struct km_buf out;
	cJSON *tree;
	const char *end = NULL;

	km_buf_init(&out);
	km_eval_report_json(r, &out);
	assert_true(km_buf_ok(&out));
	tree = cJSON_ParseWithOpts(km_buf_cstr(&out), &end, 0);
	if (tree == NULL)
		fail_msg("no JSON:\n%s", km_buf_cstr(&out));
	assert_string_equal(end, "\n"); /* one line, nothing behind it */
	assert_ptr_equal(strchr(km_buf_cstr(&out), '\n'), end);
	km_buf_fini(&out);
	return tree;
}

/* The shape of a report: what every one has, and what the task adds. */
static void want_report(const cJSON *report, bool placement)
{
	static const struct member members[] = {
		{ "model", STRING, false },
		{ "task", STRING, false },
		{ "rows", COUNT, false },
		{ "kind", STRING, false },
		{ "metrics", OBJECT, false },
		{ "byScenario", ARRAY, false },
		{ "byLayout", ARRAY, false },
		{ "baselines", ARRAY, false },
		/* beside the promised ones */
		{ "byCampaign", ARRAY, false },
		{ "protocol", STRING, false },
		{ "inSample", BOOL, false },
		{ "nowKnown", BOOL, false },
		{ "baselineProtocol", STRING, false },
		{ "gain", ARRAY, false },
		{ "dataset", OBJECT, false },
		{ "seconds", SCORE, false },
		/* placement only */
		{ "empty", OBJECT, false },
		{ "inflight", ARRAY, false },
	};

	want_members(report, members, KM_ARRAY_LEN(members) - (placement ? 0 : 2), "report");
	want_part(cJSON_GetObjectItem(report, "metrics"), NULL);
	if (placement) {
		want_part(cJSON_GetObjectItem(report, "empty"), NULL);
		(void)want_parts(report, "inflight", "pods");
	}
	assert_string_equal(cJSON_GetObjectItem(report, "task")->valuestring,
	                    placement ? "placement" : "diagnosis");
}

static double score(const cJSON *part, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(part, key)->valuedouble;
}

static void a_report_of_placement_has_its_shape(void **state)
{
	struct km_eval_options o = eval_options(&shared, "model.ubj");
	struct km_eval_report r;
	const cJSON *part;
	cJSON *report;

	(void)state;
	o.no_baselines = false;
	o.bootstrap_rounds = 20;
	eval_ok(&o, KM_PROTOCOL_CAMPAIGN, &r);
	report = json_of(&r);
	want_report(report, true);
	assert_string_equal(cJSON_GetObjectItem(report, "model")->valuestring, "synthetic");
	assert_string_equal(cJSON_GetObjectItem(report, "protocol")->valuestring,
	                    "leave-campaign-out");
	assert_int_equal(want_parts(report, "byScenario", "scenario"), 6);
	assert_int_equal(want_parts(report, "byLayout", "layout"), KM_LAYOUT_N);
	assert_int_equal(want_parts(report, "baselines", "baseline"), 4);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(report, "inflight")), 3);
	part = cJSON_GetObjectItem(report, "metrics");
	assert_non_null(cJSON_GetObjectItem(part, "interval90"));
	/* numbers are those of the report, to six digits */
	assert_true(fabs(score(part, "mae") / r.metrics.scores.mae - 1) < 1e-5);
	assert_true(fabs(score(part, "regret") - r.metrics.scores.regret) < 1e-5);
	assert_int_equal((int)score(part, "rows"), (int)r.metrics.scores.rows);
	assert_int_equal((int)score(report, "rows"), (int)r.metrics.scores.rows);
	assert_int_equal((int)score(cJSON_GetObjectItem(report, "dataset"), "rows"), (int)r.rows);
	assert_true(r.rows > r.metrics.scores.rows + r.empty.scores.rows); /* in flight too */
	/* the same rows in each layout; scenarios add up */
	cJSON_ArrayForEach(part, cJSON_GetObjectItem(report, "byLayout"))
		assert_int_equal((int)score(part, "rows"), (int)r.metrics.scores.rows);
	{
		int sum = 0;

		cJSON_ArrayForEach(part, cJSON_GetObjectItem(report, "byScenario")) sum +=
			(int)score(part, "rows");
		assert_int_equal(sum, (int)r.metrics.scores.rows);
	}
	assert_int_equal((int)score(cJSON_GetObjectItem(report, "dataset"), "runs"),
	                 (int)shared.run_count);
	cJSON_Delete(report);
	km_eval_report_fini(&r);
}

static void a_report_of_diagnosis_has_no_empty(void **state)
{
	struct dataset_world w;
	struct km_eval_options o;
	struct km_eval_report r;
	struct km_err err;
	cJSON *report;

	(void)state;
	eval_world_init(&w, 2);
	(void)dataset_world_features(&w, "diagnosis", EVAL_TRAINING, eval_features, 8);
	o = eval_options(&w, "model.ubj");
	assert_int_equal(eval_train(&o, &r, &err), 0);
	report = json_of(&r);
	want_report(report, false);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(report, "gain")), 8);
	cJSON_Delete(report);
	km_eval_report_fini(&r);
	dataset_world_fini(&w);
}

static void a_score_that_does_not_exist_is_null(void **state)
{
	struct km_eval_options o = eval_options(&shared, "model.ubj");
	struct dataset_world w;
	struct km_eval_report r;
	const cJSON *part;
	cJSON *report;

	(void)state;
	dataset_world_init(&w);
	dataset_world_plan(&w, 1);
	w.pair_count = 1;
	dataset_world_write(&w);
	o.dataset = w.dir;
	eval_ok(&o, KM_PROTOCOL_GIVEN, &r);
	report = json_of(&r);
	want_report(report, true);
	part = cJSON_GetObjectItem(report, "metrics");
	assert_int_equal((int)score(part, "rows"), 1);
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(part, "r2")));
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(part, "pairAccuracy125")));
	assert_true(cJSON_IsNumber(cJSON_GetObjectItem(part, "mae")));
	part = cJSON_GetObjectItem(report, "empty"); /* none: there all the same */
	assert_int_equal((int)score(part, "rows"), 0);
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(part, "mae")));
	cJSON_Delete(report);
	km_eval_report_fini(&r);
	dataset_world_fini(&w);
}

/* A name is longer than what a report keeps of it, and yet one group. */
static void a_group_is_told_by_its_whole_name(void **state)
{
	struct km_eval_options o = eval_options(&shared, "model.ubj");
	struct dataset_world w;
	struct km_eval_report r;
	struct km_buf text;
	char campaign[2][400];
	size_t rows = 0;

	(void)state;
	dataset_world_init(&w);
	dataset_world_plan(&w, 2);
	dataset_world_write(&w);
	for (int i = 0; i < 2; i++) {
		memset(campaign[i], 'x', sizeof(campaign[i]));
		(void)snprintf(campaign[i] + 300, 20, "_V0%d", i + 1);
	}
	km_buf_init(&text);
	km_buf_printf(&text, "kind,role,before_run_id,candidate_cores,before_replicas,before_rps,"
	                     "campaign,scenario,placement,replicas,rps,slowdown\n");
	for (size_t i = 0; i < 40; i++)
		km_buf_printf(&text, "lighter,score,%s,3-5,1,100,%s,c%zu_l0_m0,local,1,1000,%zu\n",
		              w.run[0].id, campaign[i % 2], i % 4, 1 + i % 4);
	dataset_world_put(&w, "pairs.csv", text.data, text.len);
	km_buf_fini(&text);
	o.dataset = w.dir;
	eval_ok(&o, KM_PROTOCOL_GIVEN, &r);
	assert_int_equal(r.metrics.scores.rows, 40);
	assert_int_equal(r.campaign_count, 2);
	assert_int_equal(r.scenario_count, 4);
	for (size_t i = 0; i < r.scenario_count; i++) {
		assert_int_equal(r.by_scenario[i].scores.rows, 10);
		rows += r.by_scenario[i].scores.rows;
	}
	assert_int_equal(rows, 40);
	for (size_t i = 0; i < r.campaign_count; i++)
		assert_int_equal(r.by_campaign[i].scores.rows, 20);
	/* each point is in the group of its own label */
	for (size_t i = 0; i < r.point_count; i++) {
		const struct km_eval_point *p = &r.point[i];

		if (p->kind == KM_ROW_LIGHTER)
			assert_true((double)p->slowdown ==
			            strtod(r.by_scenario[p->scenario].name + 1, NULL) + 1);
	}
	km_eval_report_fini(&r);
	dataset_world_fini(&w);
}

static void names_from_outside_are_escaped(void **state)
{
	struct km_eval_options o = eval_options(&shared, "model.ubj");
	struct km_eval_report r;
	const cJSON *bad;
	cJSON *report;

	(void)state;
	eval_ok(&o, KM_PROTOCOL_GIVEN, &r);
	(void)snprintf(r.model, sizeof(r.model), "a \"model\" \\ \n");
	(void)snprintf(r.stats.first_bad, sizeof(r.stats.first_bad), "traces/\"x\"\t\xff: no");
	report = json_of(&r);
	assert_string_equal(cJSON_GetObjectItem(report, "model")->valuestring, r.model);
	bad = cJSON_GetObjectItem(cJSON_GetObjectItem(report, "dataset"), "firstUnused");
	assert_int_equal(strncmp(bad->valuestring, "traces/\"x\"\t", 11), 0);
	cJSON_Delete(report);
	km_eval_report_fini(&r);
}

/* ---- for people ---- */

static void the_text_has_the_same_figures(void **state)
{
	struct km_eval_options o = eval_options(&shared, "model.ubj");
	struct km_eval_report r;
	struct km_buf out;
	const char *text;
	char mae[32];

	(void)state;
	o.no_baselines = false;
	o.bootstrap_rounds = 20;
	eval_ok(&o, KM_PROTOCOL_GIVEN, &r);
	r.stats.no_trace = 3;
	(void)snprintf(r.stats.first_bad, sizeof(r.stats.first_bad), "traces/x.csv: no such file");
	km_buf_init(&out);
	km_eval_report_text(&r, &out);
	assert_true(km_buf_ok(&out));
	text = km_buf_cstr(&out);
	assert_int_equal(strncmp(text, "synthetic: placement, given-model\n", 34), 0);
	(void)snprintf(mae, sizeof(mae), "%7.3f", r.metrics.scores.mae);
	assert_non_null(strstr(text, mae));
	for (size_t i = 0; i < r.scenario_count; i++)
		assert_non_null(strstr(text, r.by_scenario[i].name));
	for (size_t i = 0; i < r.baseline_count; i++)
		assert_non_null(strstr(text, r.baseline[i].name));
	for (int l = 0; l < KM_LAYOUT_N; l++)
		assert_non_null(strstr(text, km_layout_kind_name((enum km_layout_kind)l)));
	/* what a reader must not miss: these figures are of what it has seen, and of a part */
	assert_non_null(strstr(text, "how well it remembers"));
	assert_non_null(strstr(text, "3 without trace"));
	assert_non_null(strstr(text, "traces/x.csv: no such file"));
	assert_null(strstr(text, "nan"));
	for (const char *line = text; *line != '\0';) {
		size_t len = strcspn(line, "\n");

		if (len > 132)
			fail_msg("a line of %zu characters: %.*s", len, (int)len, line);
		line += len + (line[len] == '\n');
	}
	km_buf_fini(&out);
	km_eval_report_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_of_placement_has_its_shape),
		cmocka_unit_test(a_report_of_diagnosis_has_no_empty),
		cmocka_unit_test(a_score_that_does_not_exist_is_null),
		cmocka_unit_test(a_group_is_told_by_its_whole_name),
		cmocka_unit_test(names_from_outside_are_escaped),
		cmocka_unit_test(the_text_has_the_same_figures),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
