/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside policy: a round, what is kept between rounds, and the steps of one. Everything here is
 * the controller thread's own, except where it says otherwise.
 */
#ifndef KM_POLICY_INTERNAL_H
#define KM_POLICY_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/arena.h"
#include "km/base/complain.h"
#include "km/base/rng.h"
#include "km/kube/event.h"
#include "km/kube/lease.h"
#include "km/kube/patch.h"
#include "km/kube/via.h"
#include "km/policy/controller.h"

#include "kpi.h"
#include "rebalance.h"
#include "status.h"

#define POLICY_ROOM "policy"

/* What is kept of a policy of the API while it is there. */
struct policy_kept {
	uint64_t key; /* km_policy_key */
	uint64_t uid;
	bool seen; /* in this round */
	bool read; /* `status` is what the API has */
	int64_t generation;
	struct km_policy_status status;
	struct status_memory memory;
	struct rebalance *rebalance; /* NULL = never needed */
	uint64_t moved_pod;          /* key of its UID; 0 = none */
	struct km_status_move move;  /* that the API has not been told yet */
	uint32_t ready_before;
	int64_t retry_ns;   /* after a write that failed: not before */
	int64_t waiting_ns; /* since when something is to be written; 0 = nothing is */
	int64_t learned_ns; /* 0 = never */
	double rps;         /* as decide was told; NaN or 0 = nothing */
};

/* A pod that a policy holds for. */
struct round_pod {
	const struct km_view_pod *at;
	size_t policy;    /* in round.policy */
	size_t node;      /* in the policy's nodes; SIZE_MAX = not bound */
	double predicted; /* where it is; NaN */
};

struct round_policy {
	const struct km_view_policy *object;
	const struct km_policy *policy; /* as decide has it; NULL = it is not used */
	const char *holds;              /* of those with the same selector; NULL = itself */
	struct round_pod *pod;          /* [pods], by node */
	size_t pods;
	uint32_t ready;
	struct policy_kept *kept;
};

struct round_node {
	const struct km_view_node *at;
	/* round_find_room: what of its allocatable nobody has requested; NaN = not said. */
	double cpu_cores, memory_bytes;
};

/* What is so now, of one moment each. */
struct policy_round {
	struct km_arena *arena;
	struct km_arena *scratch; /* of one question to decide, and reset after it */
	int64_t mono_ns, wall_ns;
	const struct km_view_snapshot *view;
	struct km_policies *policies; /* decide's */
	bool feeding;                 /* decide knows what is where */
	bool model;
	bool full; /* decide takes no more policies: who is not among them is left out */
	struct round_policy *policy; /* [count] */
	size_t count;
	struct round_node *node; /* [nodes], by name */
	size_t nodes;
	bool room_found;
};

/* Requests made as the leader: none begins when the Lease is not held. */
struct policy_acts {
	struct km_kube_via via;
	struct km_lease *lease;
	int64_t spare_ns; /* between the end of our time and another's */
};

/* For how long a request may take now; 0 = we do not lead. */
int64_t policy_act_ns(const struct policy_acts *a);

struct policy_stats {
	struct km_counter *rounds, *statuses, *status_failures, *flips, *flip_failures;
	struct km_counter *evictions, *dry_runs, *refused, *eviction_failures;
	struct km_gauge *leader, *waiting, *policies, *last_round, *queue_age;
};
void policy_register_stats(struct policy_stats *s, struct km_metrics *m);

/* ---- round.c ---- */
/* The snapshots of one moment; what is in them is read when it is needed. returns 0 or -ENOMEM. */
int round_open(struct policy_round *r, struct km_view *view, struct km_decide *decide,
               const struct km_clock *clock, struct km_arena *arena, struct km_arena *scratch);
void round_close(struct policy_round *r);
/* Nodes and policies, and with `pods` whose pods are whose; once. 0 or -ENOMEM. */
int round_read(struct policy_round *r, bool pods);
/* r->node; again for nothing. 0 or -ENOMEM. */
int round_find_nodes(struct policy_round *r);
/* What room there is on each node; once a round. */
void round_find_room(struct policy_round *r);
/* Is the object still this one, by its UID? A key for maps; never 0. */
uint64_t policy_uid_key(struct km_name uid);
bool policy_same_name(struct km_name a, struct km_name b);

/* ---- judge.c ---- */
/* The nodes of a policy's pods with predictions and observations, into facts. 0 or -ENOMEM. */
int judge_policy(struct km_decide *decide, struct policy_kpi *kpi, struct policy_round *r,
                 struct round_policy *p, struct policy_facts *facts);

/* ---- wake.c ---- */
struct policy_wake;
struct policy_wake *wake_create(void); /* NULL: out of memory */
void wake_free(struct policy_wake *w);
/* Flips nodes that rejected pods could go to now. returns how many pods wait. */
size_t wake_round(struct policy_wake *w, struct km_decide *decide, struct policy_round *r,
                  const struct policy_acts *acts, struct policy_stats *stats,
                  struct km_complain *trouble);

/* ---- advice.c ---- */
struct policy_advice;
struct policy_advice *advice_create(void);
void advice_free(struct policy_advice *a);
/* Events about decisions made here. */
void advice_round(struct policy_advice *a, struct km_record *record, const struct policy_round *r,
                  struct km_events *events);

/* ---- move.c ---- */
struct policy_mover {
	struct km_decide *decide;
	const struct policy_acts *acts;
	struct km_events *events;
	struct policy_stats *stats;
	struct km_complain *trouble;
	int64_t window_ns;
};
/*
 * Moves one pod of the policy at most, and none unless it may: looking goes on. returns true when
 * one was moved or told.
 */
bool move_round(const struct policy_mover *m, struct policy_round *r, struct round_policy *p,
                bool may, struct km_status_move *move);

/* ---- learn.c ---- */
/* What was observed on a node teaches effects, where one other class of pods is there alone. */
void learn_round(struct km_decide *decide, const struct policy_round *r,
                 const struct round_policy *p, const struct policy_facts *facts);

#endif
