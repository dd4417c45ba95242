/* SPDX-License-Identifier: Apache-2.0 */
/* Inside plan: its table of options, the parsers of lists, and the checks of the whole. */
#ifndef KM_PLAN_INTERNAL_H
#define KM_PLAN_INTERNAL_H

#include "km/config/option.h"
#include "km/plan/plan.h"

/* Where keys are listed, for errors. */
#define PLAN_MANUAL "docs/PLANS.md"

extern const struct km_conf_table plan_table;

/* NULL-ended, indexed by their enums. */
extern const char *const plan_modes[], *const plan_target_kinds[], *const plan_generators[];
extern const char *const plan_profiles[], *const plan_gate_actions[], *const plan_arms[];

km_conf_parse_fn plan_parse_name, plan_parse_stressors, plan_parse_levels, plan_parse_on;
km_conf_parse_fn plan_parse_replicas, plan_parse_rates, plan_parse_factors, plan_parse_arms;
km_conf_parse_fn plan_parse_target_node, plan_parse_load_cpus, plan_parse_recorder;

/* What only the whole can tell, and defaults that follow from other keys. `root` for lines. */
int plan_check(struct km_conf_ctx *c, struct km_plan *p, const struct km_tree *root);

/* Can the load be made at every rate? -EINVAL says what it cannot be. */
int plan_check_parts(const char *path, const struct km_plan *p, struct km_err *err) KM_MUST_CHECK;

/* Reads "seconds,factor" lines into p->load.trace. */
int plan_read_trace(const char *path, struct km_plan *p, struct km_err *err) KM_MUST_CHECK;

#endif
