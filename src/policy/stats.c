/* SPDX-License-Identifier: Apache-2.0 */
/* What the controller counts. */
#include "policy_internal.h"

void policy_register_stats(struct policy_stats *s, struct km_metrics *m)
{
	static const struct {
		size_t offset;
		const char *name, *help, *result;
	} counters[] = {
		{ offsetof(struct policy_stats, rounds), "kubemarla_controller_reconciles_total",
		  "Looks at all policies as the leader.", NULL },
		{ offsetof(struct policy_stats, statuses),
		  "kubemarla_controller_status_writes_total", "Statuses of policies, by result.",
		  "written" },
		{ offsetof(struct policy_stats, status_failures),
		  "kubemarla_controller_status_writes_total", "Statuses of policies, by result.",
		  "failed" },
		{ offsetof(struct policy_stats, flips), "kubemarla_controller_wakeups_total",
		  "Nodes annotated to wake rejected pods, by result.", "written" },
		{ offsetof(struct policy_stats, flip_failures),
		  "kubemarla_controller_wakeups_total",
		  "Nodes annotated to wake rejected pods, by result.", "failed" },
		{ offsetof(struct policy_stats, evictions), "kubemarla_controller_evictions_total",
		  "Pods to be moved, by result.", "evicted" },
		{ offsetof(struct policy_stats, dry_runs), "kubemarla_controller_evictions_total",
		  "Pods to be moved, by result.", "dryRun" },
		{ offsetof(struct policy_stats, refused), "kubemarla_controller_evictions_total",
		  "Pods to be moved, by result.", "refused" },
		{ offsetof(struct policy_stats, eviction_failures),
		  "kubemarla_controller_evictions_total", "Pods to be moved, by result.",
		  "failed" },
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(counters); i++) {
		struct km_counter **at =
			(struct km_counter **)(void *)((char *)s + counters[i].offset);

		*at = counters[i].result != NULL
		              ? km_metrics_counter(m, counters[i].name, counters[i].help, "result",
		                                   counters[i].result, KM_LABELS_END)
		              : km_metrics_counter(m, counters[i].name, counters[i].help,
		                                   KM_LABELS_END);
	}
	s->leader = km_metrics_gauge(m, "kubemarla_controller_leader",
	                             "1 while this process holds the Lease.", KM_LABELS_END);
	s->waiting = km_metrics_gauge(m, "kubemarla_controller_waiting_pods",
	                              "Pods that were rejected for one of our reasons and wait.",
	                              KM_LABELS_END);
	s->policies = km_metrics_gauge(m, "kubemarla_controller_policies",
	                               "InterferencePolicies of the API.", KM_LABELS_END);
	s->last_round = km_metrics_gauge(m, "kubemarla_controller_round_seconds",
	                                 "How long the last round took.", KM_LABELS_END);
	s->queue_age = km_metrics_gauge(
		m, "kubemarla_controller_queue_age_seconds",
		"For how long the oldest status that is to be written has been waiting.",
		KM_LABELS_END);
}
