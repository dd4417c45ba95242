/* SPDX-License-Identifier: Apache-2.0 */
/* What /filter, /prioritize and /v1/explain do alike: decode, find the workload, judge, count. */
#include <errno.h>
#include <stdatomic.h>
#include <sys/random.h>

#include "km/base/complain.h"
#include "km/base/log.h"

#include "api_internal.h"

/* A seed that no client knows, the same for the whole process. */
static uint64_t name_seed(void)
{
	static _Atomic uint64_t seed;
	uint64_t value = atomic_load_explicit(&seed, memory_order_relaxed);

	if (value == 0) {
		if (getrandom(&value, sizeof(value), GRND_NONBLOCK) != (ssize_t)sizeof(value))
			value = (uint64_t)(uintptr_t)&value; /* early boot: the stack's place */
		value |= 1;
		atomic_store_explicit(&seed, value, memory_order_relaxed);
	}
	return value;
}

/* As many bytes of a name as a log line should carry: Kubernetes allows 253. */
static int log_len(struct km_name name)
{
	return name.len < 253 ? (int)name.len : 253;
}

/* Requests that are answered, but that somebody should know of. */
static void notice(struct km_api *api, const struct km_extender_args *args)
{
	static struct km_complain nodes_form = KM_COMPLAIN_INIT;
	static struct km_complain annotations = KM_COMPLAIN_INIT;

	if (args->form == KM_EXTENDER_NODES) {
		km_counter_add(api->stats.nodes_form, 1);
		km_complain(&nodes_form, km_clock_mono_ns(api->clock), KM_API_ROOM,
		            "requests carry whole Node objects want=nodeCacheCapable:true");
	}
	if (args->pod.bad_annotations > 0) {
		km_counter_add(api->stats.bad_annotations, args->pod.bad_annotations);
		km_complain(&annotations, km_clock_mono_ns(api->clock), KM_API_ROOM,
		            "ignored unusable kubemarla.io annotations pod=%.*s/%.*s",
		            log_len(args->pod.namespace), args->pod.namespace.text,
		            log_len(args->pod.name), args->pod.name.text);
	}
}

int km_api_decode_args(struct km_api *api, const struct km_http_request *req,
                       struct km_http_reply *reply, struct km_extender_args *args,
                       struct km_subject *who)
{
	static struct km_complain bodies = KM_COMPLAIN_INIT;
	struct km_err err = { .code = 0 };
	int rc = km_extender_decode(req->body, req->body_len,
	                            atomic_load_explicit(&api->json_depth, memory_order_relaxed),
	                            name_seed(), req->arena, args, &err);

	if (rc == -ENOMEM) {
		/* Without its names there is no answer, not even a neutral one. */
		km_api_error(reply, 503, "outOfMemory", err.text);
		return rc;
	}
	if (rc != 0) {
		km_counter_add(api->stats.decode_errors, 1);
		km_complain(&bodies, km_clock_mono_ns(api->clock), KM_API_ROOM,
		            "refused a body path=%s id=%llu: %s", req->path,
		            (unsigned long long)req->id, err.text);
		km_api_error(reply, 400, "badRequest", err.text);
		return rc;
	}
	notice(api, args);
	km_decide_subject(api->decide, &args->pod, who);
	return 0;
}

/* Counts verdicts by reason; an answer in which nothing was predicted counts as neutral. */
static void count_verdicts(struct km_api *api, const struct km_verdict *verdict, size_t count)
{
	uint64_t by_reason[KM_REASON_N] = { 0 };
	int most = KM_REASON_NO_DATA;

	for (size_t i = 0; i < count; i++)
		by_reason[verdict[i].reason]++;
	for (int r = 0; r < KM_REASON_N; r++) {
		if (by_reason[r] > 0)
			km_counter_add(api->stats.judged[r], by_reason[r]);
		if (by_reason[r] > by_reason[most])
			most = r;
	}
	if (count > 0 && by_reason[KM_REASON_FITS] == 0 && by_reason[KM_REASON_TOO_SLOW] == 0 &&
	    by_reason[KM_REASON_HARM] == 0)
		km_counter_add(api->stats.neutral[most], 1);
}

/* Those that are remembered; all are counted into the record. */
static size_t pick(void *ctx, const struct km_verdict *verdict, size_t count, uint32_t *position)
{
	struct km_recorded *d = ctx;

	d->count = km_record_pick(verdict, count, d, position);
	return d->count;
}

/*
 * What would have been said of a pod that is only observed: remembered in place of the neutral
 * answer, from which nothing can be learned. Reserves nothing; without memory nothing is
 * remembered.
 */
static void judge_observed(struct km_api *api, const struct km_http_request *req,
                           const struct km_extender_args *args, const struct km_subject *who,
                           struct km_api_judged *out)
{
	struct km_subject strict = *who;
	const struct km_ask ask = { &strict, KM_CALL_ASK, args->name, args->count };
	const struct km_detail detail = { pick, &out->record, KM_RECORD_NODES_MAX, &out->detail };
	struct km_verdict *would = km_arena_alloc(req->arena, (args->count + 1) * sizeof(*would));

	strict.workload.mode = KM_MODE_ENFORCE;
	if (!would || km_decide_place_detail(api->decide, &ask, req->arena, would, &detail) != 0)
		out->detail.count = 0;
}

void km_api_judge(struct km_api *api, const struct km_http_request *req,
                  const struct km_extender_args *args, const struct km_subject *who,
                  enum km_call call, struct km_api_judged *out)
{
	const struct km_ask ask = { who, call, args->name, args->count };
	const struct km_detail detail = { pick, &out->record, KM_RECORD_NODES_MAX, &out->detail };
	bool observed = who->workload.mode == KM_MODE_OBSERVE;
	struct km_verdict *verdict =
		km_arena_alloc(req->arena, (args->count + 1) * sizeof(*verdict));

	*out = (struct km_api_judged){ .verdict = NULL };
	km_histogram_observe(api->stats.names, (double)args->count);
	if (!verdict || km_decide_place_detail(api->decide, &ask, req->arena, verdict,
	                                       api->record && !observed ? &detail : NULL) != 0) {
		km_counter_add(api->stats.neutral_no_memory, 1);
		return;
	}
	count_verdicts(api, verdict, args->count);
	out->verdict = verdict;
	if (api->record && observed)
		judge_observed(api, req, args, who, out);
}
