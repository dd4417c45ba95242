/* SPDX-License-Identifier: Apache-2.0 */
/* Asks every live row and composes the best set: all that work, but one owner of the PMU. */
#include "km/sources/preflight.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sources_internal.h"

#define BIT(n) (UINT32_C(1) << (n))

#define CORE_COUNTS                                                                                \
	(BIT(KM_COUNT_CYCLES) | BIT(KM_COUNT_IPC_NS) | BIT(KM_COUNT_L2_MISS) |                     \
	 BIT(KM_COUNT_L3_MISS))
/* C0 alone says how busy a CPU is: as core/feature_bin.c */
#define OS_COUNTS (BIT(KM_COUNT_BUSY_NS) | BIT(KM_COUNT_STEAL_NS) | BIT(KM_COUNT_C0_NS))
#define OS_HOST_COUNTS                                                                             \
	(BIT(KM_HOST_CPU_PSI_NS) | BIT(KM_HOST_MEMORY_PSI_NS) | BIT(KM_HOST_IO_PSI_NS) |           \
	 BIT(KM_HOST_RUNNABLE))
#define BANDWIDTH_COUNTS (BIT(KM_HOST_MEM_READ_BYTES) | BIT(KM_HOST_MEM_WRITE_BYTES))

/* What a metric needs of an offer: all of these. */
static const struct {
	uint32_t cpu, host, node;
} needs[KM_METRIC_N] = {
	[KM_METRIC_IPC] = { BIT(KM_COUNT_INSTRUCTIONS) | BIT(KM_COUNT_CYCLES), 0 },
	[KM_METRIC_L2_MPKI] = { BIT(KM_COUNT_L2_MISS) | BIT(KM_COUNT_INSTRUCTIONS), 0 },
	[KM_METRIC_L3_MPKI] = { BIT(KM_COUNT_L3_MISS) | BIT(KM_COUNT_INSTRUCTIONS), 0 },
	[KM_METRIC_L3_PER_L2] = { BIT(KM_COUNT_L3_MISS) | BIT(KM_COUNT_L2_MISS), 0 },
	[KM_METRIC_L2_MISS_PER_S] = { BIT(KM_COUNT_L2_MISS), 0 },
	[KM_METRIC_L3_MISS_PER_S] = { BIT(KM_COUNT_L3_MISS), 0 },
	[KM_METRIC_INSTRUCTIONS_PER_S] = { BIT(KM_COUNT_INSTRUCTIONS), 0 },
	[KM_METRIC_C0_RATIO] = { BIT(KM_COUNT_C0_NS), 0 },
	[KM_METRIC_C1_RATIO] = { BIT(KM_COUNT_C1_NS), 0 },
	[KM_METRIC_C6_RATIO] = { BIT(KM_COUNT_C6_NS), 0 },
	[KM_METRIC_MEM_READ_BYTES_PER_S] = { 0, BIT(KM_HOST_MEM_READ_BYTES) },
	[KM_METRIC_MEM_WRITE_BYTES_PER_S] = { 0, BIT(KM_HOST_MEM_WRITE_BYTES) },
	[KM_METRIC_L3_OCCUPANCY_BYTES] = { 0, BIT(KM_HOST_L3_OCCUPANCY_BYTES) },
	[KM_METRIC_MBM_TOTAL_BYTES_PER_S] = { 0, BIT(KM_HOST_MBM_TOTAL_BYTES) },
	[KM_METRIC_MBM_LOCAL_BYTES_PER_S] = { 0, BIT(KM_HOST_MBM_LOCAL_BYTES) },
	[KM_METRIC_L2_MISS_PER_ACTIVE_S] = { BIT(KM_COUNT_L2_MISS) | BIT(KM_COUNT_C0_NS), 0 },
	[KM_METRIC_L3_MISS_PER_ACTIVE_S] = { BIT(KM_COUNT_L3_MISS) | BIT(KM_COUNT_C0_NS), 0 },
	[KM_METRIC_WORK_RATIO] = { BIT(KM_COUNT_INSTRUCTIONS) | BIT(KM_COUNT_CYCLES) |
	                                   BIT(KM_COUNT_C0_NS),
	                           0 },
	[KM_METRIC_CPU_PSI_RATIO] = { 0, BIT(KM_HOST_CPU_PSI_NS) },
	[KM_METRIC_MEMORY_PSI_RATIO] = { 0, BIT(KM_HOST_MEMORY_PSI_NS) },
	[KM_METRIC_IO_PSI_RATIO] = { 0, BIT(KM_HOST_IO_PSI_NS) },
	[KM_METRIC_BUSY_RATIO] = { BIT(KM_COUNT_BUSY_NS), 0 },
	[KM_METRIC_STEAL_RATIO] = { BIT(KM_COUNT_STEAL_NS), 0 },
	[KM_METRIC_THROTTLED_RATIO] = { 0, 0, BIT(KM_NODE_THROTTLED_NS) },
	[KM_METRIC_RUNNABLE_PER_CPU] = { 0, BIT(KM_HOST_RUNNABLE) },
	[KM_METRIC_CONTEXT_SWITCHES_PER_S] = { BIT(KM_COUNT_CONTEXT_SWITCHES), 0 },
};

bool km_offer_gives(const struct km_source_offer *offer, enum km_metric m)
{
	uint32_t cpu = offer->cpu;
	uint32_t host = offer->host;

	/* what is counted of all CPUs, or of a node, gives the metric in those scopes */
	if ((host & BIT(KM_HOST_CONTEXT_SWITCHES)) != 0) {
		cpu |= BIT(KM_COUNT_CONTEXT_SWITCHES);
	}
	host |= ((offer->node & BIT(KM_NODE_CPU_PSI_NS)) != 0) * BIT(KM_HOST_CPU_PSI_NS);
	host |= ((offer->node & BIT(KM_NODE_MEMORY_PSI_NS)) != 0) * BIT(KM_HOST_MEMORY_PSI_NS);
	host |= ((offer->node & BIT(KM_NODE_IO_PSI_NS)) != 0) * BIT(KM_HOST_IO_PSI_NS);
	return (needs[m].cpu & ~cpu) == 0 && (needs[m].host & ~host) == 0 &&
	       (needs[m].node & ~offer->node) == 0;
}

void km_offer_metrics(const struct km_source_offer *offer, struct km_buf *out)
{
	const char *comma = "";

	for (unsigned m = 0; m < KM_METRIC_N; m++) {
		if (km_offer_gives(offer, (enum km_metric)m)) {
			km_buf_printf(out, "%s%s", comma, km_metric_info((enum km_metric)m)->name);
			comma = ", ";
		}
	}
}

enum km_tier km_preflight_tier(const struct km_preflight *p)
{
	uint32_t cpu = 0;
	uint32_t host = 0;
	uint32_t node = 0;

	for (size_t i = 0; i < p->count; i++) {
		const struct km_preflight_row *row = &p->row[i];

		cpu |= row->chosen ? row->offer.cpu : 0;
		host |= row->chosen ? row->offer.host : 0;
		node |= row->chosen ? row->offer.node : 0;
	}
	if ((cpu & CORE_COUNTS) != 0) {
		return (host & BANDWIDTH_COUNTS) != 0 ? KM_TIER_UNCORE : KM_TIER_CORE;
	}
	return (cpu & OS_COUNTS) != 0 || (host & OS_HOST_COUNTS) != 0 || node != 0 ? KM_TIER_OS
	                                                                           : KM_TIER_NONE;
}

void km_preflight_probe(const struct km_source_args *args, struct km_preflight_row *row)
{
	struct km_source_args own = *args;
	struct km_err why = { .code = 0 };

	own.settings = &row->settings;
	row->result = km_source_probe(&own, &row->offer, &why);
	(void)snprintf(row->why, sizeof(row->why), "%s", row->result != 0 ? why.text : "");
}

void km_preflight_choose(struct km_preflight *p)
{
	const char *owner = NULL;

	for (size_t i = 0; i < p->count; i++) {
		struct km_preflight_row *row = &p->row[i];

		row->chosen = row->result == 0 && !(row->offer.owns_pmu && owner != NULL);
		if (row->chosen) {
			owner = row->offer.owns_pmu ? row->ops->name : owner;
			row->why[0] = '\0';
		} else if (row->result == 0) {
			(void)snprintf(row->why, sizeof(row->why),
			               "not taken: %s has the core counters, and one source may",
			               owner);
		}
	}
}

void km_preflight_run(const struct km_source_args *args, struct km_preflight *out)
{
	memset(out, 0, sizeof(*out));
	for (const struct km_source_ops *const *ops = km_source_table(); *ops != NULL; ops++) {
		struct km_preflight_row *row = &out->row[out->count];

		if (!(*ops)->live || out->count == KM_PREFLIGHT_MAX) {
			continue;
		}
		out->count++;
		row->ops = *ops;
		(void)snprintf(row->settings.kind, sizeof(row->settings.kind), "%s", (*ops)->name);
		km_preflight_probe(args, row);
	}
	km_preflight_choose(out);
}
