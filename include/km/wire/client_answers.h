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
	const char
		*filter; /* KM_CLIENT_PASS, the reason it was filtered out, or NULL = not asked */
	const char *reason; /* verdict's text */
	const char *main;   /* the largest contribution: "memory writes 4.1 GB/s: +0.31 slowdown" */
	double feature[KM_CLIENT_FEATURES_MAX]; /* as listed in the table */
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
