/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of training and judging: a synthetic folder with a small recipe beside it. */
#ifndef KM_TESTS_EVAL_WORLD_H
#define KM_TESTS_EVAL_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/base/macros.h"
#include "km/eval/eval.h"

#include "support/dataset_world.h"

static const char *const eval_features[] = {
	"host.mem_read_bytes_per_s.mean",
	"host.mem_write_bytes_per_s.mean",
	"node.ipc.mean",
	"node.c0_ratio.mean",
	"node_min.ipc.p5",
	"rest.ipc.mean",
	"peer.ipc.mean",
	"node_vs_rest.c0_ratio.mean",
	"pod.rps",
	"pod.replicas",
	"pod.rps_now",
	"pod.replicas_now",
	"inflight.cpu",
	"inflight.l3",
	"inflight.membw",
};
#define EVAL_FEATURES KM_ARRAY_LEN(eval_features)

#define EVAL_TRAINING "  rounds: 15\n  maxDepth: 3\n  eta: 0.3\n"

/* The standard plan, written, with features.yaml. */
static inline void eval_world_init(struct dataset_world *w, unsigned campaigns)
{
	dataset_world_init(w);
	dataset_world_plan(w, campaigns);
	dataset_world_write(w);
	(void)dataset_world_features(w, "placement", EVAL_TRAINING, eval_features, EVAL_FEATURES);
}

/* Options for this folder, its features.yaml and the model file `model` in it. */
static inline struct km_eval_options eval_options(const struct dataset_world *w, const char *model)
{
	return (struct km_eval_options){
		.dataset = w->dir,
		.features = dataset_world_path(w, "features.yaml"),
		.model = dataset_world_path(w, model),
		.threads = 2,
		.no_baselines = true,
	};
}

static inline int eval_train(const struct km_eval_options *o, struct km_eval_report *r,
                             struct km_err *err)
{
	const struct km_train_job job = { .options = *o };

	*err = (struct km_err){ .code = 0 };
	return km_train_model(&job, r, err);
}

/* Trains dir/model; the test fails if that does. */
static inline void eval_train_ok(const struct dataset_world *w, const char *model)
{
	struct km_eval_options o = eval_options(w, model);
	struct km_eval_report r;
	struct km_err err;

	if (eval_train(&o, &r, &err) != 0)
		fail_msg("%s", err.text);
	km_eval_report_fini(&r);
}

/* Judges; the test fails if that does. km_eval_report_fini frees *r. */
static inline void eval_ok(const struct km_eval_options *o, enum km_protocol protocol,
                           struct km_eval_report *r)
{
	struct km_err err = { .code = 0 };

	if (km_evaluate(o, protocol, r, &err) != 0)
		fail_msg("%s: %s", km_protocol_name(protocol), err.text);
}

#endif
