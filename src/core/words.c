/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of words. What goes without saying is not said: the mean, and the host of a host's metric.
 */
#include "km/core/words.h"

#include <string.h>

#include "km/core/schema.h"

static const struct {
	const char *words;
	enum km_reading reading;
} metrics[KM_METRIC_N] = {
	[KM_METRIC_IPC] = { "IPC", KM_READ_BARE },
	[KM_METRIC_L2_MPKI] = { "L2 misses per 1,000 instructions", KM_READ_UNIT },
	[KM_METRIC_L3_MPKI] = { "L3 misses per 1,000 instructions", KM_READ_UNIT },
	[KM_METRIC_L3_PER_L2] = { "L3 misses per L2 miss", KM_READ_UNIT },
	[KM_METRIC_L2_MISS_PER_S] = { "L2 misses", KM_READ_UNIT },
	[KM_METRIC_L3_MISS_PER_S] = { "L3 misses", KM_READ_UNIT },
	[KM_METRIC_INSTRUCTIONS_PER_S] = { "instructions", KM_READ_UNIT },
	[KM_METRIC_C0_RATIO] = { "time executing (C0)", KM_READ_PERCENT },
	[KM_METRIC_C1_RATIO] = { "time halted (C1)", KM_READ_PERCENT },
	[KM_METRIC_C6_RATIO] = { "time asleep (C6)", KM_READ_PERCENT },
	[KM_METRIC_MEM_READ_BYTES_PER_S] = { "memory reads", KM_READ_UNIT },
	[KM_METRIC_MEM_WRITE_BYTES_PER_S] = { "memory writes", KM_READ_UNIT },
	[KM_METRIC_L3_OCCUPANCY_BYTES] = { "L3 cache in use", KM_READ_UNIT },
	[KM_METRIC_MBM_TOTAL_BYTES_PER_S] = { "memory traffic of L3", KM_READ_UNIT },
	[KM_METRIC_MBM_LOCAL_BYTES_PER_S] = { "local memory traffic of L3", KM_READ_UNIT },
	[KM_METRIC_L2_MISS_PER_ACTIVE_S] = { "L2 misses while executing", KM_READ_UNIT },
	[KM_METRIC_L3_MISS_PER_ACTIVE_S] = { "L3 misses while executing", KM_READ_UNIT },
	[KM_METRIC_WORK_RATIO] = { "work done (IPC x C0)", KM_READ_BARE },
	[KM_METRIC_CPU_PSI_RATIO] = { "time waiting for a CPU", KM_READ_PERCENT },
	[KM_METRIC_MEMORY_PSI_RATIO] = { "time waiting for memory", KM_READ_PERCENT },
	[KM_METRIC_IO_PSI_RATIO] = { "time waiting for I/O", KM_READ_PERCENT },
	[KM_METRIC_BUSY_RATIO] = { "time busy", KM_READ_PERCENT },
	[KM_METRIC_STEAL_RATIO] = { "time taken by the hypervisor", KM_READ_PERCENT },
	[KM_METRIC_THROTTLED_RATIO] = { "time held back by the CPU quota", KM_READ_PERCENT },
	[KM_METRIC_RUNNABLE_PER_CPU] = { "runnable tasks", KM_READ_UNIT },
	[KM_METRIC_CONTEXT_SWITCHES_PER_S] = { "context switches", KM_READ_UNIT },
};

/* Behind the metric. */
static const char *const scopes[KM_SCOPE_N] = {
	[KM_SCOPE_NODE] = " on the node",
	[KM_SCOPE_NODE_MIN] = " on the node's lowest CPU",
	[KM_SCOPE_NODE_MAX] = " on the node's highest CPU",
	[KM_SCOPE_NODE_SPREAD] = ", highest less lowest CPU of the node",
	[KM_SCOPE_REST] = " on the host's other CPUs",
	[KM_SCOPE_PEER] = " on other nodes of the host",
	[KM_SCOPE_SPARE] = " on CPUs of no node",
	[KM_SCOPE_NODE_VS_PEER] = ", node against other nodes of the host",
	[KM_SCOPE_NODE_VS_REST] = ", node against the host's other CPUs",
	[KM_SCOPE_NODE_VS_SPARE] = ", node against CPUs of no node",
	[KM_SCOPE_HOST] = " on the host",
};

/* Before the metric. */
static const char *const stats[KM_STAT_N] = {
	[KM_STAT_MEAN] = "",
	[KM_STAT_STD] = "variation of ",
	[KM_STAT_P95] = "95th percentile of ",
	[KM_STAT_P5] = "5th percentile of ",
	[KM_STAT_MAX] = "highest ",
};

static const char *const inputs[KM_POD_INPUT_N] = {
	[KM_POD_RPS] = "load with the pod there",
	[KM_POD_REPLICAS] = "replicas with the pod there",
	[KM_POD_RPS_NOW] = "load before the pod comes",
	[KM_POD_REPLICAS_NOW] = "replicas before the pod comes",
};

const char *km_metric_words(enum km_metric m)
{
	return metrics[m].words;
}

enum km_reading km_metric_reading(enum km_metric m)
{
	return metrics[m].reading;
}

void km_feature_words(const char *name, struct km_buf *out)
{
	struct km_feature f;

	if (km_feature_parse(name, &f, NULL) != 0) {
		km_buf_str(out, name);
		return;
	}
	if (f.scope == KM_SCOPE_POD) {
		km_buf_str(out, inputs[f.input]);
		return;
	}
	if (f.scope == KM_SCOPE_INFLIGHT) {
		km_buf_printf(out, "pods of class %s on their way", strchr(f.name, '.') + 1);
		return;
	}
	km_buf_str(out, stats[f.stat]);
	km_buf_str(out, metrics[f.metric].words);
	if (km_metric_info(f.metric)->of != KM_OF_HOST)
		km_buf_str(out, scopes[f.scope]);
}
