/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the agent. Everything belongs to the sampler thread, except what `lock` guards: the
 * statuses, the schema to change to, whether it is outdated, and the wish to stop.
 */
#ifndef KM_AGENT_INTERNAL_H
#define KM_AGENT_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include "km/agent/agent.h"
#include "km/base/complain.h"
#include "km/core/feature.h"
#include "km/core/merge.h"
#include "km/sources/preflight.h"

struct agent_host {
	uint32_t index;
	size_t node_count;
	const struct km_node_settings **node; /* [node_count], borrowed from the settings */
	struct km_cpuset *cpus;               /* [node_count] */
	struct km_cpuset *claimed;            /* [node_count], before shared CPUs were taken out */
	struct km_cpuset *next_cpus;          /* [node_count], while the map is looked at */
	int64_t nodemap_ns;                   /* when to look at the nodes' groups again */
	char source[64];                      /* "replay", or the live set: "perf+resctrl+os" */
	struct km_merge *merge; /* of the live set's samples; NULL for a replayed host */
	size_t live_count;      /* sources in the set */
	struct km_features *features;
	struct km_features *next_features;  /* while the schema changes */
	uint64_t version_base;              /* bins under former schemas: no version comes twice */
	struct km_host_features *published; /* the last one, a reference; NULL = none yet */
	bool changed;                       /* something to publish at the end of this tick */
	uint32_t cpu_count;                 /* as the samples say */
	int64_t measured_mono_ns, measured_wall_ns;
	int64_t tick_mono_ns, tick_wall_ns; /* when this tick reads */
};

struct agent_source {
	const struct km_source_settings *settings;
	struct km_source *source; /* NULL = absent, tried again at retry_ns */
	struct agent_host *host;  /* receives its samples */
	bool wanted;              /* false: `auto` did not take it, its status says why */
	size_t slot;              /* of a live source: its place in the host's set */
	int64_t retry_ns, backoff_ns;
	int64_t live_ns; /* since when it has been live without a break; 0 = it is not */
	bool ended_said;
	struct km_complain complaint;
	struct km_source_stats stats; /* of the source that is open, as of the last tick */
	bool delivered;               /* since it was opened: only then can it be late */
	struct km_counter *samples_total, *bad_rows_total, *late_total;
	struct km_counter *fault_total[KM_FAULT_N];
	struct km_histogram *read_seconds;
	struct km_gauge *up;                  /* of a live source in the set */
	struct km_agent_source_status status; /* under the agent's lock */
};

struct km_agent {
	const struct km_settings *settings;
	const struct km_clock *clock;
	struct km_schema *schema;
	struct km_agent_sink sink;
	struct agent_host *host; /* [host_count] */
	size_t host_count;
	struct agent_source *source; /* [source_count] */
	size_t source_count;
	struct km_host_features **batch; /* [host_count], what a tick publishes */
	struct km_preflight preflight;   /* with sources: auto and nodes of this machine */
	struct agent_host *live_host;    /* this machine, NULL when all nodes are replayed */

	struct km_counter *deadline_misses_total, *implausible_total, *out_of_order_total;
	uint64_t implausible_seen, out_of_order_seen; /* what those two have counted */
	struct km_gauge *sources_up, *sources_starting, *sources_ended, *sources_absent;
	struct km_histogram *tick_seconds, *tick_late_seconds;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct km_schema *next_schema; /* NULL = no change wanted */
	bool stop;
	bool outdated; /* a better set of sources works by now */
	bool started, looking;
	pthread_t thread, lookout;
	unsigned gains; /* the lookout's: looks in a row that found a better set */
};

/* Hosts and their nodes by the settings. returns 0, -EINVAL, -ENOMEM. */
int agent_layout(struct km_agent *a, struct km_err *err) KM_MUST_CHECK;
void agent_layout_free(struct km_agent *a);

/* Do some nodes of the host have their CPUs by their control groups? */
bool agent_nodemap_follows(const struct agent_host *h);

/* Looks which CPUs the nodes have now: next [node_count]. returns whether that is news (logged). */
bool agent_nodemap_look(const struct km_agent *a, struct agent_host *h, int64_t now_ns,
                        struct km_cpuset *next);

/* What windows are of: another schema, or other CPUs of nodes, starts them anew (publish.c). */
void agent_change_schema(struct km_agent *a);
void agent_change_nodemap(struct km_agent *a, struct agent_host *h, int64_t now_ns);

/* Hands the hosts that changed to the sink. */
void agent_publish(struct km_agent *a);

/* Asks the kernel to let the calling thread in at once when it wakes; best effort. */
void agent_prompt(void);

/* Waits until `until_ns` (monotonic) or the wish to stop. returns false when it is time to stop. */
bool agent_wait_until(struct km_agent *a, int64_t until_ns);

/*
 * With sources: auto, whether another set would be taken by now (lookout.c). Asks what is absent;
 * may take KM_SOURCE_PROBE_MAX_NS for each of them. Lookout thread, or a test.
 */
void agent_look(struct km_agent *a);

/* The threads' bodies. */
void *agent_sampler(void *agent);
void *agent_lookout(void *agent);

#endif
