/* SPDX-License-Identifier: Apache-2.0 */
/* What a model has to beat, judged in the same run on the same rows. */
#include <errno.h>

#include "eval_internal.h"

/*
 * The inputs of the thesis this project began with: seven counters of the target's own cores by
 * mean, std and p95, the machine's bandwidth, load and replicas. Its seventh counter, IPC of the
 * physical core, is a multiple of IPC on that machine; work_ratio stands in its place.
 */
static const char *const thesis[] = {
	"node.ipc.mean",
	"node.ipc.std",
	"node.ipc.p95",
	"node.work_ratio.mean",
	"node.work_ratio.std",
	"node.work_ratio.p95",
	"node.l2_miss_per_s.mean",
	"node.l2_miss_per_s.std",
	"node.l2_miss_per_s.p95",
	"node.l3_miss_per_s.mean",
	"node.l3_miss_per_s.std",
	"node.l3_miss_per_s.p95",
	"node.c0_ratio.mean",
	"node.c0_ratio.std",
	"node.c0_ratio.p95",
	"node.c1_ratio.mean",
	"node.c1_ratio.std",
	"node.c1_ratio.p95",
	"node.c6_ratio.mean",
	"node.c6_ratio.std",
	"node.c6_ratio.p95",
	"host.mem_read_bytes_per_s.mean",
	"host.mem_write_bytes_per_s.mean",
	"pod.rps",
	"pod.replicas",
	NULL,
};

/* What any scheduler can know without counters. */
static const char *const cpu_use[] = { "node.busy_ratio.mean", "pod.rps", "pod.replicas" };

const char *baseline_feature(size_t i)
{
	size_t counters = KM_ARRAY_LEN(thesis) - 1;

	if (i < counters)
		return thesis[i];
	return i - counters < KM_ARRAY_LEN(cpu_use) ? cpu_use[i - counters] : NULL;
}

static const char *const load_only[] = { "pod.rps", "pod.replicas" };

/* XGBoost's own defaults, fitted to NP as the thesis did. */
static const struct km_recipe thesis_recipe = {
	.rounds = 100,
	.max_depth = 6,
	.max_bin = 256,
	.parallel_trees = 1,
	.seed = 1,
	.eta = 0.1,
	.subsample = 1,
	.colsample_bytree = 1,
	.colsample_bynode = 1,
	.min_child_weight = 1,
	.lambda = 1,
	.np_share = 1,
	.zero_label = 1,
	.weight_recorded = 1,
	.weight_lighter = 1,
	.weight_empty = 1,
	.windows = 1,
};

int baselines_init(struct subject *out, const struct km_schema *schema,
                   const char *const *model_names, size_t count, const struct km_recipe *recipe,
                   struct km_err *err)
{
	static const struct {
		const char *name, *help;
		const struct learner *learner;
	} rows[BASELINES] = {
		{ "mean", "the same for every node", &learner_mean },
		{ "rps+replicas", "trees on the load alone, no counters", &learner_trees },
		{ "linear", "ridge regression on the model's features", &learner_ridge },
		[BASELINE_THESIS] = { "thesis",
		                      "25 inputs of the target's cores, XGBoost's defaults",
		                      &learner_trees },
		[BASELINE_CPU_USE] = { "CPU use",
		                       "trees on how busy the node's CPUs are, and on the load",
		                       &learner_trees },
	};
	const struct {
		const char *const *names;
		size_t count;
	} features[BASELINES] = {
		{ load_only, KM_ARRAY_LEN(load_only) },
		{ load_only, KM_ARRAY_LEN(load_only) },
		{ model_names, count },
		[BASELINE_THESIS] = { thesis, KM_ARRAY_LEN(thesis) - 1 },
		[BASELINE_CPU_USE] = { cpu_use, KM_ARRAY_LEN(cpu_use) },
	};
	int rc = 0;

	for (size_t i = 0; i < BASELINES; i++) {
		out[i] = (struct subject){ .name = rows[i].name,
			                   .help = rows[i].help,
			                   .learner = rows[i].learner,
			                   .recipe = thesis_recipe };
	}
	/* the line learns from the rows the model learned from, if that is known: a model file
	   does not say */
	if (recipe->rounds > 0)
		out[2].recipe = *recipe;
	out[1].recipe.max_depth = 3;
	out[BASELINE_CPU_USE].recipe.max_depth = 3;
	out[BASELINE_CPU_USE].recipe.exact_splits = true;
	for (size_t i = 0; rc == 0 && i < BASELINES; i++)
		rc = subject_init(&out[i], schema, features[i].names, features[i].count, err);
	return rc;
}
