/* SPDX-License-Identifier: Apache-2.0 */
/* The decision log's two halves: decision_log.c queues and writes, decision_log_lines.c spells. */
#ifndef KM_DECIDE_DECISION_LOG_INTERNAL_H
#define KM_DECIDE_DECISION_LOG_INTERNAL_H

#include "km/decide/decision_log.h"

/* Another file, or the same opened anew. */
struct log_change {
	char *path;                         /* NULL = off */
	struct km_decide_settings settings; /* without strings */
};

/* A call as it waits to be written: one piece of memory. */
struct log_item {
	struct log_item *next;
	size_t bytes;
	struct log_change *change;                  /* NULL = a call; else all below is empty */
	const struct km_cluster_snapshot *snapshot; /* a reference */
	struct km_logged_decision decision;         /* texts and arrays behind the struct */
	const struct km_name *name;                 /* [count] */
};

/* What the file has been told: the writing thread's own. */
struct log_told {
	bool begun;
	uint64_t topology;
	uint64_t schema_hash; /* 0 = none */
	uint64_t *version;    /* [node_count] of the rows written; 0 = none */
	uint32_t node_count;
};

/* From now on nothing is told: another file, or one that lost a line. */
void log_forget(struct log_told *t);

/*
 * Appends the lines for one item, and before them what the file has not been told.
 * returns 0; -ENOMEM: out is of no use then, and nothing is told.
 */
int log_spell(struct log_told *t, const struct km_decide_settings *s, const struct log_item *item,
              struct km_buf *out);

#endif
