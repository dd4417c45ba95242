/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins what several agents say into one picture: the nodes that Kubernetes has, and for each the
 * row of the agent that knows it best. Answers come one by one, some thousand a second; pictures
 * are published in batches (thread km-gather, the cluster's only writer).
 *
 *	Kubernetes ──set_node, drop_node──┐
 *	puller ──answer──▶ rows by agent ─┼─▶ which agent holds ─▶ km_cluster_publish_rows
 *	own agent ──local────────────────┘
 *
 * Which agent holds a node of whom two speak: data not older than maxAge before older data; of
 * those the higher tier; then the agent that runs on the node itself; then the newer. The holder
 * changes at once when its data is too old or it is gone, else only when another has been better
 * for 15 s.
 */
#ifndef KM_CLUSTER_GATHER_H
#define KM_CLUSTER_GATHER_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/clock.h"
#include "km/base/err.h"
#include "km/cluster/cluster.h"
#include "km/core/host_features.h"
#include "km/core/name.h"
#include "km/core/schema.h"
#include "km/metrics/metrics.h"

struct km_gather;

struct km_gather_options {
	const struct km_clock *clock;   /* borrowed, as all here; they outlive it */
	struct km_metrics *metrics;     /* NULL allowed */
	struct km_cluster *cluster;     /* nobody else writes it */
	const struct km_schema *schema; /* of the rows; a reference is taken */
	int64_t max_age_ns;
};

/* returns 0 and *out owned; -ENOMEM. */
int km_gather_create(const struct km_gather_options *options, struct km_gather **out,
                     struct km_err *err) KM_MUST_CHECK;
void km_gather_free(struct km_gather *g); /* after _stop; NULL allowed */

/* Thread km-gather: publishes until stopped. Without it, km_gather_step publishes what came. */
int km_gather_start(struct km_gather *g, struct km_err *err) KM_MUST_CHECK;
void km_gather_stop(struct km_gather *g); /* joins; NULL and not started are fine */
void km_gather_step(struct km_gather *g);

/* ---- any thread, each ---- */

/* Rows of another schema from the next answers on. */
void km_gather_set_schema(struct km_gather *g, const struct km_schema *schema);
void km_gather_set_max_age(struct km_gather *g, int64_t max_age_ns);
int64_t km_gather_max_age(struct km_gather *g);

/* Kubernetes has a node of that name, or has no more. returns 0 or -ENOMEM. */
int km_gather_set_node(struct km_gather *g, struct km_name name);
void km_gather_drop_node(struct km_gather *g, struct km_name name);

/* What the agent of this process measures; its nodes are in the picture whoever else knows them.
 * returns 0 or -ENOMEM. */
int km_gather_set_local(struct km_gather *g, const struct km_cluster_host *hosts, size_t count);
/* Its rows, as for km_cluster_publish. Takes references. */
void km_gather_local(struct km_gather *g, struct km_host_features *const *hosts, size_t count);

/* Who is asked. */
struct km_gather_agent {
	uint64_t key;
	struct km_name node; /* where it runs */
};

/* Agents from now on, by key. Rows of those who are gone age, and go after a while. */
int km_gather_set_agents(struct km_gather *g, const struct km_gather_agent *agent, size_t count);

/*
 * An agent's answer, as km_pull tells it (net/pull.h): age is counted from when it was asked, by
 * our own clock. An answer that cannot be read changes nothing. One thread.
 */
void km_gather_answer(struct km_gather *g, uint64_t key, int status, const char *body, size_t len,
                      int64_t asked_mono_ns, const struct km_err *why);

/* One row of an agent: the only one of `features`. */
struct km_gather_row {
	struct km_name node;
	struct km_host_features *features;
};

/*
 * All rows that an agent has, however they came; references are taken. Versions are set here: a
 * row that is as it was keeps its own. The thread of km_gather_answer.
 */
void km_gather_take(struct km_gather *g, uint64_t key, const struct km_gather_row *row,
                    size_t count);

struct km_gather_stats {
	size_t nodes;     /* in the picture */
	size_t with_data; /* of them, data not older than maxAge */
	size_t agents, answering, failing, silent, misfit;
	uint64_t published; /* pictures */
	char why[96];       /* what was last wrong with an answer; "" = nothing was */
};

void km_gather_stats(struct km_gather *g, struct km_gather_stats *out);

#endif
