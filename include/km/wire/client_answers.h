/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own answers, decoded for the tool: one table of nodes, filled from whichever answers were
 * fetched. What an answer does not say stays NaN or NULL. No thread shares a table.
 */
#ifndef KM_WIRE_CLIENT_ANSWERS_H
#define KM_WIRE_CLIENT_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>

#include "km/base/arena.h"
#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/base/map.h"

#define KM_CLIENT_FEATURES_MAX 8
#define KM_CLIENT_SHARES_MAX   5

/* What struct km_client_node.filter says of a node that passes. */
#define KM_CLIENT_PASS "pass"

struct km_client_node {
	const char *name;
	const char *tier;
	double age_s;
	double slowdown;
	double low;
	double high;
	double score;
	double scored;     /* the slowdown that the score is of */
	double in_flight;  /* pods on their way there */
	double harm_worst; /* slowdown of the protected pod worst off there */
	double harm_limit; /* what that one tolerates */
	const char
		*filter; /* KM_CLIENT_PASS, the reason it was filtered out, or NULL = not asked */
	const char *reason; /* verdict's text */
	const char *main;   /* the largest contribution: "memory writes 4.1 GB/s: +0.31 slowdown" */
	const char *share[KM_CLIENT_SHARES_MAX]; /* contributions, largest first; NULL-filled */
	double feature[KM_CLIENT_FEATURES_MAX];  /* as listed in the table */
};

struct km_client_table {
	struct km_arena arena;       /* every text */
	struct km_map index;         /* name -> position */
	struct km_client_node *node; /* [count], in the order the answers named them */
	size_t count;
	size_t cap;
	const char *const
		*feature_name; /* [feature_count], borrowed: what to take from /v1/nodes */
	size_t feature_count;
	const char *model; /* name, or NULL */
	double rps;        /* of the workload that was judged */
	double max_slowdown;
	double score_scale;
	bool cut; /* /v1/explain: more nodes than it gives contributions for */
};

/* How many nodes of a decision were judged for a reason. */
struct km_client_reason {
	const char *text;
	double nodes;
	double rejected;
};

#define KM_CLIENT_REASONS_MAX 16

/* A decision as /v1/decisions has it. Texts may be NULL, numbers NaN; its nodes are in the table.
 */
struct km_client_decision {
	double id;
	double prioritize_id;
	const char *time;
	const char *pod_namespace;
	const char *pod_name;
	const char *workload_from;
	const char *policy;
	const char *mode;
	const char *model_hash;
	double rps;
	double max_slowdown;
	double scale;
	double asked;
	double passed;
	double scored;
	double best;
	double best_nodes;
	double worst;
	struct km_client_reason reason[KM_CLIENT_REASONS_MAX];
	size_t reason_count;
};

#define KM_CLIENT_DECISIONS_MAX 200

struct km_client_decisions {
	struct km_client_table table; /* every text, and the nodes of decision[0] */
	struct km_client_decision decision[KM_CLIENT_DECISIONS_MAX];
	size_t count; /* newest first */
	double held;  /* by the daemon, of any pod */
	const char *oldest;
	bool cut; /* more would have matched */
};

void km_client_decisions_init(struct km_client_decisions *d);
void km_client_decisions_fini(struct km_client_decisions *d);

/* returns 0; -EBADMSG when it is no such answer, -ENOMEM. */
int km_client_read_decisions(struct km_client_decisions *d, const char *body, size_t len,
                             struct km_err *err) KM_MUST_CHECK;

void km_client_table_init(struct km_client_table *t);
void km_client_table_fini(struct km_client_table *t);

/*
 * Each merges one answer's body into the table. returns 0; -EBADMSG when it is not such an answer,
 * -ENOMEM.
 */
int km_client_read_filter(struct km_client_table *t, const char *body, size_t len,
                          struct km_err *err) KM_MUST_CHECK;
int km_client_read_priorities(struct km_client_table *t, const char *body, size_t len,
                              struct km_err *err) KM_MUST_CHECK;
/* /v1/explain, /v1/nodes and /v1/predict. */
int km_client_read_nodes(struct km_client_table *t, const char *body, size_t len,
                         struct km_err *err) KM_MUST_CHECK;

/* The message of an error body of ours, or "" when it is none. Appends to out. */
void km_client_read_error(const char *body, size_t len, struct km_buf *out);

#endif
