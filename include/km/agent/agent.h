/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sampler: one thread that reads every source each interval, folds samples into per-host
 * windows and publishes immutable feature rows. It owns sources and windows; others only ever see
 * what it published.
 */
#ifndef KM_AGENT_AGENT_H
#define KM_AGENT_AGENT_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/clock.h"
#include "km/base/err.h"
#include "km/core/host_features.h"
#include "km/core/settings.h"
#include "km/metrics/metrics.h"
#include "km/sources/source.h"

struct km_agent;

/*
 * Called on the sampler thread, at most once per tick, with the rows that changed:
 * hosts [host_count], borrowed for the call (take a reference to keep one).
 */
typedef void km_agent_publish_fn(void *ctx, struct km_host_features *const *hosts,
                                 size_t host_count);

/* Where rows go. */
struct km_agent_sink {
	km_agent_publish_fn *publish;
	void *ctx;
};

/* What one host of this agent is: fixed until the next km_agent_create. */
struct km_agent_host {
	uint32_t host;
	size_t node_count;
	const struct km_node_settings *const *node; /* [node_count] */
	const char *source; /* "replay", or the live set: "perf+resctrl+os"; "none" */
};

/* A copy that outlives the agent: a reload may end that while a route still writes. */
struct km_agent_source_status {
	char source[KM_SOURCE_KIND_MAX]; /* "replay" */
	char detail[128];                /* file name, or why it is absent */
	int state;                       /* enum km_source_state, or negative errno when absent */
	struct km_source_stats stats;
};

/*
 * Lays out hosts and nodes by the settings (replayed hosts first; the nodes no replay claims belong
 * to this machine) and, with sources: auto, probes what this machine has (seconds at worst). The
 * sampler opens the sources; one that fails is reported in its status and retried with back-off.
 * settings and clock are borrowed and must outlive the agent; schema is referenced. returns 0 and
 * *out owned; -EINVAL for a layout that cannot be (unknown node, CPU overlap within a host),
 * -ENOMEM.
 */
int km_agent_create(const struct km_settings *settings, const struct km_schema *schema,
                    const struct km_clock *clock, struct km_metrics *metrics,
                    struct km_agent_sink sink, struct km_agent **out,
                    struct km_err *err) KM_MUST_CHECK;

/* Starts the threads "km-sampler" and, with sources: auto, "km-lookout". returns 0 or a negative
 * errno. */
int km_agent_start(struct km_agent *a, struct km_err *err) KM_MUST_CHECK;

/* One tick, by hand: what the thread does each interval. For tests, before km_agent_start only. */
void km_agent_tick(struct km_agent *a);

/* Asks the sampler to use another schema from its next tick on. Windows start empty, unless the new
 * schema has the hash of the old one. Should memory be short, the old schema stays (logged). Any
 * thread. */
int km_agent_set_schema(struct km_agent *a, const struct km_schema *schema) KM_MUST_CHECK;

size_t km_agent_host_count(const struct km_agent *a);
void km_agent_host(const struct km_agent *a, size_t host, struct km_agent_host *out);

/*
 * Whether, with sources: auto, a set that gives more works by now than the one that was taken. Only
 * a new agent takes it. Says so once; looks on (collect.probeInterval). Any thread.
 */
bool km_agent_outdated(struct km_agent *a);

/* Copies the status of up to `max` sources. returns how many there are. Any thread. */
size_t km_agent_sources(struct km_agent *a, struct km_agent_source_status *out, size_t max);

/* Stops and joins the threads, closes the sources. NULL allowed. */
void km_agent_free(struct km_agent *a);

#endif
