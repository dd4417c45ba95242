/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request to /filter or /prioritize decided, into the ring, and to the log when there is
 * one: counts, and the details of sixteen nodes at most, which the decision brought along.
 */
#include <math.h>
#include <string.h>

#include "api_internal.h"

/* What says most of the workload: a policy goes before annotations. */
static enum km_workload_origin origin_of(const struct km_pod *pod, const struct km_subject *who)
{
	if (who->policy[0] != '\0')
		return KM_ORIGIN_POLICY;
	return isfinite(pod->rps) || isfinite(pod->max_slowdown) || pod->class_name.len > 0
	               ? KM_ORIGIN_ANNOTATIONS
	               : KM_ORIGIN_DEFAULT;
}

/* The nodes picked, as they were judged. */
static void describe(const struct km_extender_args *args, const struct km_decision *detail,
                     struct km_recorded *d)
{
	d->model_hash = detail->model_hash;
	d->scale = detail->scale;
	for (size_t i = 0; i < d->count; i++) {
		const struct km_decision_node *n = &detail->node[i];

		d->node[i] = (struct km_recorded_node){
			.name = args->name[n->asked],
			.verdict = n->verdict,
			.state = n->state,
			.tier = n->tier,
			.age_s = n->age_s,
			.slowdown = n->prediction.slowdown,
			.low = n->prediction.low,
			.high = n->prediction.high,
			.scored = n->scored,
			.in_flight = km_api_in_flight(n),
			.harm_pods = n->harm.pods,
			.harm_worst = n->harm.worst,
			.harm_limit = n->harm.worst_limit,
		};
	}
}

static void write_log(struct km_api *api, const struct km_extender_args *args,
                      const struct km_verdict *verdict, const struct km_subject *who,
                      const struct km_recorded *d, int64_t now_ns)
{
	const struct km_logged_decision line = {
		.id = d->prioritize_id != 0 ? d->prioritize_id : d->id,
		.call = d->prioritize_id != 0 ? KM_DECISION_PRIORITIZE : KM_DECISION_FILTER,
		.wall_ns = d->wall_ns,
		.at_ns = now_ns,
		.pod = args->pod,
		.workload = d->workload,
		.workload_from = km_workload_origin_name(d->origin),
		.policy = d->policy,
		.service = who->kind.service,
		.pod_rps = who->kind.rps,
		.model_hash = d->model_hash,
		.count = args->count,
	};
	const struct km_decision_log_entry entry = { &line, args->name, verdict };

	km_decision_log_add(api->decision_log, &entry);
}

void km_api_remember(struct km_api *api, const struct km_http_request *req,
                     const struct km_extender_args *args, const struct km_subject *who,
                     struct km_api_judged *judged, unsigned call)
{
	int64_t now_ns = km_clock_mono_ns(api->clock);
	struct km_recorded *d = &judged->record;

	if (!api->record || !judged->verdict)
		return;
	d->id = req->id;
	d->wall_ns = km_clock_wall_ns(api->clock);
	d->calls = call;
	d->pod_namespace = args->pod.namespace;
	d->pod_name = args->pod.name;
	d->pod_uid = args->pod.uid;
	d->workload = who->workload;
	d->origin = origin_of(&args->pod, who);
	d->policy = (struct km_name){ who->policy, (uint32_t)strlen(who->policy) };
	if (call == KM_RECORD_PRIORITIZE) {
		d->prioritize_id = req->id;
		d->scored = d->asked;
	}
	describe(args, &judged->detail, d);
	km_record_add(api->record, d, now_ns);
	if (km_decision_log_wanted(api->decision_log))
		write_log(api, args, judged->verdict, who, d, now_ns);
}
