/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request to /filter or /prioritize decided, into the ring, and to the log when there is
 * one. Two looks through the verdicts and the details of sixteen nodes; memory from the request's
 * arena.
 */
#include <math.h>

#include "api_internal.h"

static enum km_workload_origin origin_of(const struct km_pod *pod)
{
	return isfinite(pod->rps) || isfinite(pod->max_slowdown) || pod->class_name.len > 0
	               ? KM_ORIGIN_ANNOTATIONS
	               : KM_ORIGIN_DEFAULT;
}

/* The nodes picked, as they were judged: details are looked up, the verdict is the one given. */
static int describe(struct km_api *api, const struct km_http_request *req,
                    const struct km_extender_args *args, const struct km_verdict *verdict,
                    const struct km_subject *who, const uint32_t *pick, struct km_recorded *d)
{
	struct km_name name[KM_RECORD_NODES_MAX];
	struct km_decision detail;

	for (size_t i = 0; i < d->count; i++)
		name[i] = args->name[pick[i]];
	if (km_decide_run_subject(api->decide, who, name, d->count, req->arena, &detail) != 0)
		return -1;
	d->model_hash = detail.model_hash;
	d->scale = detail.scale;
	for (size_t i = 0; i < d->count; i++) {
		const struct km_decision_node *n = &detail.node[i];

		d->node[i] = (struct km_recorded_node){
			.name = name[i],
			.verdict = verdict[pick[i]],
			.state = n->state,
			.tier = n->tier,
			.age_s = n->age_s,
			.slowdown = n->prediction.slowdown,
			.low = n->prediction.low,
			.high = n->prediction.high,
		};
	}
	return 0;
}

static void write_log(struct km_api *api, const struct km_extender_args *args,
                      const struct km_verdict *verdict, const struct km_recorded *d, int64_t now_ns)
{
	const struct km_logged_decision line = {
		.id = d->prioritize_id != 0 ? d->prioritize_id : d->id,
		.call = d->prioritize_id != 0 ? KM_DECISION_PRIORITIZE : KM_DECISION_FILTER,
		.wall_ns = d->wall_ns,
		.at_ns = now_ns,
		.pod_namespace = d->pod_namespace,
		.pod_name = d->pod_name,
		.pod_uid = d->pod_uid,
		.workload = d->workload,
		.workload_from = km_workload_origin_name(d->origin),
		.model_hash = d->model_hash,
		.count = args->count,
	};
	const struct km_decision_log_entry entry = { &line, args->name, verdict };

	km_decision_log_add(api->decision_log, &entry);
}

void km_api_remember(struct km_api *api, const struct km_http_request *req,
                     const struct km_extender_args *args, const struct km_subject *who,
                     const struct km_verdict *verdict, unsigned call)
{
	int64_t now_ns = km_clock_mono_ns(api->clock);
	uint32_t pick[KM_RECORD_NODES_MAX];
	struct km_recorded d;

	if (!api->record || !verdict)
		return;
	d = (struct km_recorded){
		.id = req->id,
		.wall_ns = km_clock_wall_ns(api->clock),
		.calls = call,
		.pod_namespace = args->pod.namespace,
		.pod_name = args->pod.name,
		.pod_uid = args->pod.uid,
		.workload = who->workload,
		.origin = origin_of(&args->pod),
	};
	d.count = km_record_pick(verdict, args->count, &d, pick);
	if (call == KM_RECORD_PRIORITIZE) {
		d.prioritize_id = req->id;
		d.scored = d.asked;
	}
	if (describe(api, req, args, verdict, who, pick, &d) != 0)
		return;
	km_record_add(api->record, &d, now_ns);
	if (km_decision_log_wanted(api->decision_log))
		write_log(api, args, verdict, &d, now_ns);
}
