/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside decide. Everything a verdict depends on is immutable and reference-counted:
 *
 *   context   settings and model                     until a reload swaps them
 *   table     one workload's predictions and         until the picture, the context or the room in
 *             verdicts over all nodes of a picture   the cache changes
 *
 * `lock` guards the pointers to them, never their content; it is held for a look through 64 slots.
 */
#ifndef KM_DECIDE_INTERNAL_H
#define KM_DECIDE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "km/base/complain.h"
#include "km/decide/decide.h"

#define DECIDE_WORKLOADS    64
#define DECIDE_WAIT_NS      (100 * KM_NS_PER_MS) /* half of kube-scheduler's httpTimeout, 200 ms */
#define DECIDE_NEVER_FRESH  INT64_MIN
#define DECIDE_PREDICT_ROWS 512 /* rows given to the model at once: bounds a build's memory */

struct decide_context {
	_Atomic uint32_t refs;
	struct km_decide_settings settings; /* without its texts */
	struct km_place_rules rules;        /* of the settings */
	struct km_model *model;             /* NULL = none */
	const struct km_schema *schema;     /* the model's */
	uint64_t model_hash;
};

/* A verdict in four bytes: four nodes share a cache line. */
struct decide_packed {
	uint8_t passes : 1;
	uint8_t unresolvable : 1;
	uint8_t reason;
	int16_t score;
};

/* What a request looks at. */
struct decide_cell {
	int64_t fresh_until_ns; /* monotonic; up to then `fresh` holds, `late` behind it */
	struct decide_packed fresh;
	struct decide_packed late;
};

/* What a verdict came from, for answers with details and for the next table. */
struct decide_known {
	struct km_prediction prediction; /* slowdown NaN = none */
	uint64_t version;                /* of the row predicted from; 0 = none */
	int64_t measured_ns;             /* monotonic; 0 = never */
	uint8_t state;                   /* enum km_data_state as if no time passed */
	uint8_t tier;
};

/* A workload as bytes that equal themselves: NaN does not. */
struct decide_key {
	uint64_t rps, replicas, max_slowdown;
	uint32_t mode, on_stale;
	char class_name[KM_CLASS_NAME_MAX];
};

struct decide_table {
	_Atomic uint32_t refs;
	struct km_workload workload;
	struct decide_key key;
	struct decide_context *context;
	uint64_t generation; /* of the picture it was made from */
	uint64_t topology;
	uint32_t node_count;
	struct decide_packed unknown; /* for names that the picture does not have */
	struct decide_cell *cell;     /* [node_count] */
	struct decide_known *known;   /* [node_count] */
};

struct decide_slot {
	bool taken;
	bool building; /* a thread is at it: neither evicted nor built by another */
	uint64_t hash;
	uint64_t used; /* of decide's count of uses */
	struct decide_key key;
	struct decide_table *table; /* NULL = none yet, or dropped */
};

struct decide_stats {
	struct km_counter *hits, *misses;
	struct km_counter *predicted, *outside, *reused, *failed;
	struct km_counter *previous, *expired, *evicted;
	struct km_histogram *build_s;
};

struct km_decide {
	struct km_cluster *cluster;
	const struct km_clock *clock;
	struct decide_stats stats;
	struct km_complain trouble; /* the model gives an error */
	int64_t wait_ns;            /* for another thread's table; tests do without */
	pthread_mutex_t lock;       /* all below */
	pthread_cond_t built;
	struct decide_context *context;
	struct decide_slot slot[DECIDE_WORKLOADS];
	uint64_t uses;
};

/* What one request works with, all of it its own references. */
struct decide_view {
	const struct km_cluster_snapshot *snapshot;
	struct decide_context *context;
	struct decide_table *table; /* NULL: another thread did not get it done in time */
	bool waited;                /* it was not there when the request came */
};

/* ---- context.c ---- */
struct decide_context *decide_context_get(struct km_decide *d); /* with a reference. Any thread. */
struct decide_context *decide_context_ref(struct decide_context *c);
void decide_context_unref(struct decide_context *c); /* NULL allowed */
struct decide_context *decide_context_create(const struct km_decide_settings *settings);

/* ---- workload.c ---- */
/* The same workload without what means nothing: impossible numbers are NaN, bytes behind the class
 * are zero. */
void decide_workload_normalise(const struct km_workload *w, struct km_workload *out);
struct decide_key decide_key_of(const struct km_workload *w); /* normalised */
bool decide_same_key(const struct decide_key *a, const struct decide_key *b);
/* Do both ask the model the same question? */
bool decide_same_question(const struct decide_key *a, const struct decide_key *b);
/* The model's row: what was measured, and what the decision brings along. out [schema->count] */
void decide_fill_row(const struct km_schema *schema, const double *row, const struct km_workload *w,
                     float *out);

/* ---- state.c: what happens on missing data ---- */
/* FRESH when the model may be asked; age is not looked at. f NULL = never published. */
enum km_data_state decide_data_state(const struct decide_context *c,
                                     const struct km_host_features *f);
/* The last moment at which data of then counts as fresh. */
int64_t decide_fresh_until_ns(const struct decide_context *c, int64_t measured_ns);
/* The verdict in both states of age: *fresh up to fresh_until_ns, *late behind it. */
void decide_judge(const struct decide_context *c, const struct km_workload *w,
                  const struct decide_known *k, struct decide_cell *out);
/* The verdict where there is no data, or no table. */
struct km_verdict decide_judge_without(const struct decide_context *c, const struct km_workload *w,
                                       enum km_data_state state);

static inline struct decide_packed decide_pack(struct km_verdict v)
{
	return (struct decide_packed){ .passes = v.passes,
		                       .unresolvable = v.unresolvable,
		                       .reason = (uint8_t)v.reason,
		                       .score = (int16_t)v.score };
}

static inline struct km_verdict decide_unpack(struct decide_packed p)
{
	return (struct km_verdict){ .passes = p.passes,
		                    .unresolvable = p.unresolvable,
		                    .reason = (enum km_reason)p.reason,
		                    .score = p.score };
}

/* ---- table.c ---- */
/*
 * A table of `w` (normalised) over the picture. Rows whose version `donor` (NULL = none; same
 * model, topology and question) has predicted already are copied, the others predicted in batches.
 * returns NULL when out of memory.
 */
struct decide_table *decide_table_build(struct km_decide *d, struct decide_context *context,
                                        const struct km_workload *w,
                                        const struct km_cluster_snapshot *s,
                                        const struct decide_table *donor);
struct decide_table *decide_table_ref(struct decide_table *t);
void decide_table_unref(struct decide_table *t); /* NULL allowed */

/* ---- cache.c ---- */
/* Fills *view, building the table if nobody is at it. returns 0 or -ENOMEM. */
int decide_view_open(struct km_decide *d, const struct km_workload *w, struct decide_view *view);
void decide_view_close(struct decide_view *view);
/* Forgets all tables; those in use stay with their users. Takes the lock. */
void decide_drop_tables(struct km_decide *d);

#endif
