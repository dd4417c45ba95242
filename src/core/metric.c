/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of metrics and tiers. Bounds are far outside what hardware can do: they catch broken
 * counters and hostile traces, they are no model of the machine.
 */
#include "km/core/metric.h"

#include <string.h>

#include "km/base/macros.h"

static const struct km_metric_info metrics[KM_METRIC_N] = {
	[KM_METRIC_IPC] = { "ipc", "instructions/cycle",
	                    "Instructions retired per unhalted core cycle, weighted by activity.",
	                    KM_OF_CPUS, 0, 16 },
	[KM_METRIC_L2_MPKI] = { "l2_mpki", "misses/1000 instructions",
	                        "L2 cache misses per 1,000 instructions.", KM_OF_CPUS, 0, 1e4 },
	[KM_METRIC_L3_MPKI] = { "l3_mpki", "misses/1000 instructions",
	                        "L3 cache misses per 1,000 instructions.", KM_OF_CPUS, 0, 1e4 },
	[KM_METRIC_L3_PER_L2] = { "l3_per_l2", "",
	                          "L3 misses divided by L2 misses: how much of what leaves L2 goes "
	                          "to memory.",
	                          KM_OF_CPUS, 0, 1e4 },
	[KM_METRIC_L2_MISS_PER_S] = { "l2_miss_per_s", "misses/s",
	                              "L2 cache misses per second, summed over the CPUs.",
	                              KM_OF_CPUS, 0, 1e13 },
	[KM_METRIC_L3_MISS_PER_S] = { "l3_miss_per_s", "misses/s",
	                              "L3 cache misses per second, summed over the CPUs.",
	                              KM_OF_CPUS, 0, 1e13 },
	[KM_METRIC_INSTRUCTIONS_PER_S] = { "instructions_per_s", "instructions/s",
	                                   "Instructions retired per second, summed over the CPUs.",
	                                   KM_OF_CPUS, 0, 1e14 },
	[KM_METRIC_C0_RATIO] = { "c0_ratio", "",
	                         "Share of time executing (C0), mean over the CPUs.", KM_OF_CPUS, 0,
	                         1.02 },
	[KM_METRIC_C1_RATIO] = { "c1_ratio", "", "Share of time halted in C1, mean over the CPUs.",
	                         KM_OF_CPUS, 0, 1.02 },
	[KM_METRIC_C6_RATIO] = { "c6_ratio", "", "Share of time asleep in C6, mean over the CPUs.",
	                         KM_OF_CPUS, 0, 1.02 },
	[KM_METRIC_MEM_READ_BYTES_PER_S] = { "mem_read_bytes_per_s", "bytes/s",
	                                     "Bytes read from memory per second, whole host.",
	                                     KM_OF_HOST, 0, 1e13 },
	[KM_METRIC_MEM_WRITE_BYTES_PER_S] = { "mem_write_bytes_per_s", "bytes/s",
	                                      "Bytes written to memory per second, whole host.",
	                                      KM_OF_HOST, 0, 1e13 },
	[KM_METRIC_L3_OCCUPANCY_BYTES] = { "l3_occupancy_bytes", "bytes",
	                                   "L3 cache in use, all sockets.", KM_OF_HOST, 0, 1e12 },
	[KM_METRIC_MBM_TOTAL_BYTES_PER_S] = { "mbm_total_bytes_per_s", "bytes/s",
	                                      "Bytes per second that L3 exchanges with memory, own "
	                                      "and remote, as RDT counts them.",
	                                      KM_OF_HOST, 0, 1e13 },
	[KM_METRIC_MBM_LOCAL_BYTES_PER_S] = { "mbm_local_bytes_per_s", "bytes/s",
	                                      "Bytes per second that L3 exchanges with the memory "
	                                      "of its own socket, as RDT counts them.",
	                                      KM_OF_HOST, 0, 1e13 },
	[KM_METRIC_L2_MISS_PER_ACTIVE_S] = { "l2_miss_per_active_s", "misses/s",
	                                     "L2 cache misses per second of C0 time.", KM_OF_CPUS,
	                                     0, 1e12 },
	[KM_METRIC_L3_MISS_PER_ACTIVE_S] = { "l3_miss_per_active_s", "misses/s",
	                                     "L3 cache misses per second of C0 time.", KM_OF_CPUS,
	                                     0, 1e12 },
	[KM_METRIC_WORK_RATIO] = { "work_ratio", "instructions/cycle",
	                           "IPC times C0 share: instructions per nominal cycle.",
	                           KM_OF_CPUS, 0, 16.4 },
	[KM_METRIC_CPU_PSI_RATIO] = { "cpu_psi_ratio", "",
	                              "Share of time in which some task waited for a CPU.",
	                              KM_OF_PRESSURE, 0, 1.02 },
	[KM_METRIC_MEMORY_PSI_RATIO] = { "memory_psi_ratio", "",
	                                 "Share of time in which some task waited for memory.",
	                                 KM_OF_PRESSURE, 0, 1.02 },
	[KM_METRIC_IO_PSI_RATIO] = { "io_psi_ratio", "",
	                             "Share of time in which some task waited for I/O.",
	                             KM_OF_PRESSURE, 0, 1.02 },
	[KM_METRIC_BUSY_RATIO] = { "busy_ratio", "",
	                           "Share of time not idle by the kernel's accounting, mean over "
	                           "the CPUs; not C0.",
	                           KM_OF_CPUS, 0, 1.02 },
	[KM_METRIC_STEAL_RATIO] = { "steal_ratio", "",
	                            "Share of time taken by the hypervisor, mean over the CPUs.",
	                            KM_OF_CPUS, 0, 1.02 },
	[KM_METRIC_THROTTLED_RATIO] = { "throttled_ratio", "",
	                                "Time held back by the node's own CPU quota, summed over "
	                                "CPUs, divided by elapsed time.",
	                                KM_OF_NODE, 0, 1024 },
	[KM_METRIC_RUNNABLE_PER_CPU] = { "runnable_per_cpu", "tasks/CPU",
	                                 "Runnable tasks divided by the number of CPUs.",
	                                 KM_OF_HOST, 0, 1e5 },
	[KM_METRIC_CONTEXT_SWITCHES_PER_S] = { "context_switches_per_s", "switches/s",
	                                       "Context switches per second, summed over the "
	                                       "CPUs.",
	                                       KM_OF_CPUS, 0, 1e11 },
};

static const char *const tiers[KM_TIER_N] = {
	[KM_TIER_UNCORE] = "uncore",
	[KM_TIER_CORE] = "core",
	[KM_TIER_OS] = "os",
	[KM_TIER_NONE] = "none",
};

const struct km_metric_info *km_metric_info(enum km_metric m)
{
	return &metrics[m];
}

int km_metric_parse(const char *name, size_t len)
{
	for (int i = 0; i < KM_METRIC_N; i++) {
		if (strlen(metrics[i].name) == len && memcmp(metrics[i].name, name, len) == 0) {
			return i;
		}
	}
	return -1;
}

const char *km_tier_name(enum km_tier t)
{
	return tiers[t];
}

int km_tier_parse(const char *name)
{
	for (int i = 0; i < KM_TIER_N; i++) {
		if (strcmp(tiers[i], name) == 0) {
			return i;
		}
	}
	return -1;
}

bool km_tier_suffices(enum km_tier have, enum km_tier need)
{
	/* best first: the enumeration is the order */
	return have <= need;
}
