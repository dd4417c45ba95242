/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the gatherer: nodes, agents, and a row for each pair of them that is known.
 *
 *   node ──rows──▶ row ──next_on_node──▶ row        agent ──rows──▶ row ──next_of_agent──▶ row
 */
#ifndef KM_GATHER_INTERNAL_H
#define KM_GATHER_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include "km/base/arena.h"
#include "km/base/complain.h"
#include "km/cluster/gather.h"
#include "km/core/settings.h"
#include "km/wire/features.h"

#define GATHER_NONE UINT32_MAX

/* How long another must have been better before it holds a node. */
#define GATHER_HOLD_NS (15 * KM_NS_PER_S)
/* Pictures are not published more often. */
#define GATHER_BATCH_NS (50 * KM_NS_PER_MS)
/* Nor are other nodes: predictions are made anew then. */
#define GATHER_TOPOLOGY_NS (500 * KM_NS_PER_MS)
/* Old data has a last look at it every so often. */
#define GATHER_LOOK_NS KM_NS_PER_S
/* Rows of agents that are gone stay so long after they were measured, as stale data. */
#define GATHER_KEEP_NS (300 * KM_NS_PER_S)

struct gather_row {
	struct gather_node *node;
	struct gather_agent *agent;
	struct km_host_features *features; /* a reference; NULL = none yet */
	uint32_t row;                      /* in them */
	bool named;                        /* by the answer that is being taken */
	struct gather_row *next_on_node, *next_of_agent;
};

struct gather_node {
	struct gather_node *next; /* in its bucket */
	uint64_t hash;
	uint32_t at;     /* in the picture; GATHER_NONE = not in it */
	uint32_t local;  /* rows of our own agent */
	bool kubernetes; /* has it */
	bool changed;
	struct gather_row *rows;
	struct gather_row *holder; /* whose row is shown; NULL = nobody's */
	int64_t better_ns;         /* since when another is better; 0 = none is */
	uint32_t name_len;
	char name[];
};

enum gather_state { GATHER_SILENT, GATHER_ANSWERING, GATHER_FAILING, GATHER_MISFIT, GATHER_STATES };

struct gather_agent {
	struct gather_agent *next; /* in its bucket */
	uint64_t key;
	struct gather_row *rows;
	enum gather_state state;
	bool gone;
	bool taken;  /* its last answer with a body was */
	bool wanted; /* by the set that is being made */
	uint32_t node_len;
	char node[KM_NODE_NAME_MAX]; /* where it runs */
};

#define GATHER_BUCKETS 8192 /* of nodes, and of agents; a power of two */

struct km_gather {
	const struct km_clock *clock;
	struct km_cluster *cluster;
	struct km_complain trouble;
	struct km_counter *answers[GATHER_STATES + 1]; /* by what came of them */
	struct km_counter *pictures;
	uint64_t seed; /* of names */

	/*
	 * All below but the last three. Held while a picture is published, and while nodes and
	 * agents come, which allocates: requests never wait for it.
	 */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool news, stop;
	struct km_schema *schema;
	int64_t max_age_ns;
	uint64_t version;
	struct gather_node *node[GATHER_BUCKETS];
	struct gather_agent *agent[GATHER_BUCKETS];
	size_t agent_count;
	struct gather_agent local;     /* our own: its rows in the order of hosts */
	struct gather_row **local_row; /* [local_count]; of node n of host h: local_first[h] + n */
	size_t *local_first;           /* [local_hosts + 1] */
	size_t local_hosts;
	struct gather_node **shown; /* [shown_count], as in the picture */
	size_t shown_count, shown_cap;
	struct km_cluster_row *batch; /* [shown_cap] */
	struct gather_node **changed; /* [changed_count] of [node_cap] */
	size_t changed_count, changed_cap;
	size_t node_count;
	bool topology_due;
	int64_t topology_ns, looked_ns, published_ns; /* when last */
	uint64_t published;
	char why[96]; /* an answer was not taken, last */

	struct km_features_reader *reader; /* of the thread that answers, as is: */
	struct km_arena arena;

	pthread_t thread;
	bool started;
};

/* gather.c, under the lock */
struct gather_node *gather_find_node(struct km_gather *g, struct km_name name);
void gather_note_changed(struct km_gather *g, struct gather_node *n);
/* The row of that pair; made if it is not there. NULL when out of memory. */
struct gather_row *gather_row_of(struct km_gather *g, struct gather_agent *a, struct km_name node);
/* Gone from its node; the agent's list is the caller's. */
void gather_row_free(struct km_gather *g, struct gather_row *r);
void gather_rows_free(struct km_gather *g, struct gather_agent *a);
/* Frees a node that nobody speaks of any more and that is in no picture. */
void gather_node_release(struct km_gather *g, struct gather_node *n);
void gather_news(struct km_gather *g); /* wakes the thread */

/* gather_stats.c */
void gather_register_metrics(struct km_gather *g, struct km_metrics *m);

/* gather_choose.c, under the lock: publishes what is due. returns when something will be. */
int64_t gather_step(struct km_gather *g);

#endif
