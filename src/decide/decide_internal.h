/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside decide. Everything a verdict depends on is immutable and reference-counted:
 *
 *   context    settings, model, policies              until a reload swaps them
 *   directory  keys of a picture's nodes              until the picture has other nodes
 *   table      one workload's predictions and         until the picture, the context or the room in
 *              verdicts over all nodes of a picture   the cache changes
 *   overlay    the same for nodes with pods in        until pods come, go or are taken in by
 *              flight, or to be protected             counters; shared block by block
 *
 * `lock` guards the pointers to them, never their content; it is held for a look through 64 slots.
 * `ledger_lock` guards the ledger, `effects_lock` the learned effects; none is taken within
 * another.
 */
#ifndef KM_DECIDE_INTERNAL_H
#define KM_DECIDE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "km/base/complain.h"
#include "km/base/map.h"
#include "km/core/policy.h"
#include "km/decide/decide.h"
#include "km/place/footprint.h"

#define DECIDE_WORKLOADS    64
#define DECIDE_WAIT_NS      (100 * KM_NS_PER_MS) /* half of kube-scheduler's httpTimeout, 200 ms */
#define DECIDE_WINDOW_S     60.0                 /* where no model says otherwise */
#define DECIDE_NEVER_FRESH  INT64_MIN
#define DECIDE_PREDICT_ROWS 512 /* rows given to the model at once: bounds a build's memory */
#define DECIDE_OVERLAYS     8   /* kept, of the workloads used last */
#define DECIDE_BLOCK        64  /* nodes of an overlay's block */
#define DECIDE_WATCHED      32  /* pods whose footprint is being learned */
#define DECIDE_RESCORE_MAX  2   /* for another pod's reservation that came first */

/* How old data is, in steps: the interval widens by half of its width at each of the first two. */
enum decide_age {
	DECIDE_AGE_FRESH,
	DECIDE_AGE_AGING, /* from half of maxAge on */
	DECIDE_AGE_OLD,   /* from three quarters on */
	DECIDE_AGE_LATE,  /* stale */
	DECIDE_AGE_N,
};

struct decide_context {
	_Atomic uint32_t refs;
	struct km_decide_settings settings; /* without its texts */
	struct km_place_rules rules;        /* of the settings */
	struct km_model *model;             /* NULL = none */
	const struct km_schema *schema;     /* the model's */
	const double *range_high;           /* [schema->count], the model's training range */
	uint64_t model_hash;
	struct km_policies *policies; /* NULL = none */
	bool feed;                    /* somebody tells which pods are where */
	bool effects;                 /* learned effects are attached, and know something */
};

/* A workload as bytes that equal themselves: NaN does not. */
struct decide_key {
	uint64_t rps, replicas, max_slowdown;
	uint32_t mode, on_stale;
	char class_name[KM_CLASS_NAME_MAX];
};

/* The keys of a topology's nodes, both ways. */
struct decide_directory {
	_Atomic uint32_t refs;
	uint64_t topology;
	uint32_t node_count;
	struct km_map map; /* key's bytes -> index */
	uint64_t key[];    /* [node_count] */
};

/* A verdict in four bytes. */
struct decide_packed {
	uint8_t passes : 1;
	uint8_t unresolvable : 1;
	uint8_t reason : 6;
	uint8_t score; /* KM_PLACE_SCALE_MAX at most */
	uint16_t fine;
};
_Static_assert(KM_REASON_N <= 64 && KM_PLACE_SCALE_MAX <= UINT8_MAX, "they fit");

/* What a request looks at. */
struct decide_cell {
	int64_t fresh_until_ns; /* monotonic; stale behind it */
	struct decide_packed verdict[DECIDE_AGE_N];
};

/* What a verdict came from, for answers with details and for the next table. */
struct decide_known {
	struct km_prediction prediction; /* slowdown NaN = none */
	uint64_t version;                /* of the row predicted from; 0 = none */
	int64_t measured_ns;             /* monotonic; 0 = never */
	uint8_t state;                   /* enum km_data_state as if no time passed */
	uint8_t tier;
	bool by_effects; /* no counters anywhere: nobody is there to slow it down, as far as known
	                  */
};

/* Harm as it is kept. */
struct decide_harm {
	float worst, mean;                           /* as place has them */
	float slowdown, worst_slowdown, worst_limit; /* NaN without incumbents */
	uint32_t pods;
	uint64_t worst_policy;
};

/* A node with pods that make a difference. */
struct decide_busy {
	uint64_t digest;  /* of what is on it */
	uint64_t version; /* of the row predicted from */
	struct km_prediction prediction;
	struct km_inflight_counts inflight;
	struct decide_harm harm;
	float width; /* of the interval in ln slowdown, upwards, without pods in flight */
	struct decide_packed verdict[DECIDE_AGE_N];
	uint8_t quarters; /* pods in flight, as place has them */
	uint8_t state;    /* of the table's node then */
	bool plain;       /* the table's own verdict holds: nothing can be said of it */
	bool bound;
};

/* Of DECIDE_BLOCK nodes side by side, those with a bit; in their order. */
struct decide_block {
	_Atomic uint32_t refs;
	uint32_t count;
	uint64_t bits;
	struct decide_busy busy[];
};

/* For pods of one workload and kind. */
struct decide_overlay {
	_Atomic uint32_t refs;
	struct decide_key key;
	struct km_pod_kind kind;
	struct decide_context *context;
	uint64_t topology;
	uint64_t generation; /* of the table it was checked against */
	uint64_t revision;   /* of the ledger */
	bool partial;        /* who it was made for had an entry, which is not in it */
	uint64_t effects_revision;
	uint32_t block_count;
	struct decide_block *block[]; /* [block_count], NULL = no such node in it */
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

struct decide_kept {
	struct decide_overlay *overlay; /* NULL = none */
	uint64_t used;
};

/* A pod that started and whose footprint is to be learned: what was there before it ran. */
struct decide_watch {
	uint64_t uid; /* 0 = free */
	uint64_t node;
	uint64_t others;    /* digest of what else is on the node: has to stay */
	int64_t since_ns;   /* when it was bound */
	int64_t running_ns; /* KM_DECIDE_NOT_YET until it runs */
	char class_name[KM_CLASS_NAME_MAX];
	struct km_footprint_base before;
};

struct decide_stats {
	struct km_counter *hits, *misses;
	struct km_counter *predicted, *outside, *reused, *failed;
	struct km_counter *previous, *expired, *evicted;
	struct km_histogram *build_s;
	struct km_counter *footprints_learned, *effects_learned, *effects_dropped;
	struct km_counter *busy_predicted, *bound, *harm, *rescored, *conflicts, *unseen_incumbents;
};

/* Of a policy: ready pods, 0 = not told; load of its service, 0 = not told. A place may be taken
 * where neither is. */
struct decide_ready {
	uint64_t policy; /* 0 = never taken: a search ends here */
	uint32_t count;
	double rps;
};

#define DECIDE_READY ((size_t)2 * KM_POLICIES_MAX) /* a power of two */

struct km_decide {
	struct km_cluster *cluster;
	const struct km_clock *clock;
	struct decide_stats stats;
	struct km_complain trouble;   /* the model gives an error */
	struct km_complain conflicts; /* policies contradict each other */
	int64_t wait_ns;              /* for another thread's table; tests do without */
	pthread_mutex_t lock;         /* all below */
	pthread_cond_t built;
	struct decide_context *context;
	struct decide_slot slot[DECIDE_WORKLOADS];
	struct decide_kept kept[DECIDE_OVERLAYS];
	uint64_t uses;
	struct decide_directory *directory; /* of the newest topology asked for; NULL = none */
	pthread_mutex_t ledger_lock;
	struct km_ledger *ledger;
	struct decide_ready ready[DECIDE_READY]; /* by policy, what the feed told */
	_Atomic bool feed_late;                  /* nothing confirms reservations for now */
	pthread_mutex_t effects_lock;
	struct km_effects *effects;        /* borrowed; NULL = none */
	_Atomic uint64_t effects_revision; /* changes with what they would say */
	_Atomic uint64_t effects_learned;  /* observations taken */
	pthread_mutex_t footprints_lock;
	struct km_footprints *footprints;
	struct decide_watch watch[DECIDE_WATCHED];
};

/* What one request works with, all of it its own references. */
struct decide_view {
	const struct km_cluster_snapshot *snapshot;
	struct decide_context *context;
	struct decide_table *table;     /* NULL: another thread did not get it done in time */
	bool waited;                    /* it was not there when the request came */
	struct decide_overlay *overlay; /* NULL: the ledger changes nothing */
	uint64_t revision;              /* of the ledger, for the overlay */
};

/* ---- context.c ---- */
struct decide_context *decide_context_get(struct km_decide *d); /* with a reference. Any thread. */
struct decide_context *decide_context_ref(struct decide_context *c);
void decide_context_unref(struct decide_context *c); /* NULL allowed */
struct decide_context *decide_context_create(const struct km_decide_settings *settings);
/* Do both ask the same model, and tell it of the same things? */
bool decide_predicts_alike(const struct decide_context *a, const struct decide_context *b);
/* Whether somebody feeds us, whether effects know something; NULL = as it was. */
void decide_set_flags(struct km_decide *d, const bool *feed, const bool *effects);

/* ---- workload.c ---- */
/* The same workload without what means nothing: impossible numbers are NaN, bytes behind the class
 * are zero. */
void decide_workload_normalise(const struct km_workload *w, struct km_workload *out);
struct decide_key decide_key_of(const struct km_workload *w); /* normalised */
bool decide_same_key(const struct decide_key *a, const struct decide_key *b);
/* Do both ask the model the same question? */
bool decide_same_question(const struct decide_key *a, const struct decide_key *b);
/*
 * The model's row: what was measured, and what the decision brings along. `now` is what stands for
 * replicas of the service that are there before: 0, or NaN where nobody tells. out [schema->count]
 */
void decide_fill_row(const struct km_schema *schema, const double *row, const struct km_workload *w,
                     float now, float *out);
uint64_t decide_uid_key(struct km_name uid); /* 0 = no UID */
/* Who a pod is, under a context. */
void decide_subject(struct km_decide *d, const struct decide_context *c, const struct km_pod *pod,
                    struct km_subject *out);
/* What stands for them where the ledger knows of none. */
float decide_now_input(const struct decide_context *c);

/* ---- state.c: what happens on missing data ---- */
/* FRESH when the model may be asked; age is not looked at. f NULL = never published. */
enum km_data_state decide_data_state(const struct decide_context *c,
                                     const struct km_host_features *f);
/* The last moment at which data of then counts as fresh. */
int64_t decide_fresh_until_ns(const struct decide_context *c, int64_t measured_ns);
enum decide_age decide_age(const struct decide_context *c, int64_t fresh_until_ns, int64_t now_ns);
/* The state as it is to be told. */
enum km_data_state decide_aged_state(enum km_data_state state, enum decide_age age);
/* The verdict at each age. */
void decide_judge(const struct decide_context *c, const struct km_workload *w,
                  const struct decide_known *k, struct decide_cell *out);
/* The same with harm; width as in struct decide_busy. */
void decide_judge_busy(const struct decide_context *c, const struct km_workload *w,
                       struct decide_busy *b);
/* The slowdown that is scored at an age; NaN = none. */
double decide_scored(const struct decide_context *c, const struct km_workload *w,
                     const struct km_prediction *p, double width, const struct decide_harm *h,
                     enum decide_age age);
/* The verdict where there is no data, or no table. */
struct km_verdict decide_judge_without(const struct decide_context *c, const struct km_workload *w,
                                       enum km_data_state state);

static inline struct decide_packed decide_pack(struct km_verdict v)
{
	return (struct decide_packed){ .passes = v.passes,
		                       .unresolvable = v.unresolvable,
		                       .reason = (uint8_t)v.reason & 63,
		                       .score = (uint8_t)v.score,
		                       .fine = v.fine };
}

static inline struct km_verdict decide_unpack(struct decide_packed p)
{
	return (struct km_verdict){ .passes = p.passes,
		                    .unresolvable = p.unresolvable,
		                    .reason = (enum km_reason)p.reason,
		                    .score = p.score,
		                    .fine = p.fine };
}

/* Nothing is known of any incumbent. */
extern const struct decide_harm decide_no_harm;

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
/* ---- directory.c ---- */
uint64_t decide_node_key(const char *name, size_t len); /* never 0 */
/* That of the snapshot, with a reference; NULL when out of memory. */
struct decide_directory *decide_directory_get(struct km_decide *d,
                                              const struct km_cluster_snapshot *s);
void decide_directory_unref(struct decide_directory *dir); /* NULL allowed */

/* ---- inflight.c: the ledger's side ---- */
bool decide_same_kind(const struct km_pod_kind *a, const struct km_pod_kind *b);
bool decide_ledger_off(struct km_decide *d);
/* Drops what is due. Under ledger_lock. */
void decide_ledger_expire(struct km_decide *d, const struct decide_context *c, int64_t now_ns);
/* When the window of the node's data ends; f NULL: without counters everything that runs is seen */
int64_t decide_window_end_ns(const struct km_host_features *f);
double decide_window_s(const struct decide_context *c);
/* Pods of the policy's service that run; NaN without a feed. */
double decide_ready_pods(struct km_decide *d, const struct decide_context *c, uint64_t policy);
/* What its query said; NaN = nothing. */
double decide_policy_rps(struct km_decide *d, uint64_t policy);
/* Where a pod is expected. */
struct decide_place {
	uint64_t key; /* of the node's name */
	int64_t at;   /* in the picture, -1 = not in it */
};
/*
 * The answer is made: replaces the subject's reservation by place [count <= KM_LEDGER_SHARED_MAX].
 * returns false, with nothing done, when another pod came to one of these nodes since the view saw
 * them; `anyway` does it all the same.
 */
bool decide_reserve(struct km_decide *d, const struct decide_view *view,
                    const struct km_subject *who, const struct decide_place *place, size_t count,
                    bool anyway);

/* ---- watch.c: footprints from what changed when a pod started. By the feed, without a lock. ----
 */
void decide_watch_bound(struct km_decide *d, uint64_t uid, int64_t running_ns);
void decide_watch_running(struct km_decide *d, uint64_t uid, int64_t running_ns);
void decide_watch_gone(struct km_decide *d, uint64_t uid);

/* ---- learned.c: footprints and effects, behind their locks ---- */
/* Was anything observed? Under effects_lock once attached; NULL: no. */
bool decide_effects_known(const struct km_effects *e);

/* What a pod of that kind adds to counters: declared by its policy (count 0), or learned. */
bool decide_footprint(struct km_decide *d, const struct decide_context *c,
                      const struct km_pod_kind *kind, struct km_footprint *out);
void decide_footprint_base(const struct km_host_features *f, uint32_t node,
                           struct km_footprint_base *out);
/* returns false when nothing is learned that could tell. */
bool decide_effect(struct km_decide *d, const struct decide_context *c, uint64_t platform,
                   uint64_t subject, uint64_t neighbour, struct km_effect *out);
/* ln of decide.unknownSlowdown, >= 0. */
double decide_unknown_log(const struct decide_context *c);

/* ---- decide.c, detail.c ---- */
/* The request's view with its overlay. returns 0 or -ENOMEM. */
int decide_look(struct km_decide *d, const struct km_subject *who, struct km_arena *arena,
                struct decide_view *view);
/* verdict [count] of all names, from the view; counted. names NULL: the picture's nodes. */
void decide_judge_names(struct km_decide *d, const struct decide_view *view,
                        const struct km_workload *w, const struct km_name *names, size_t count,
                        int64_t now_ns, struct km_verdict *verdict);
/* A workload that is nobody's in particular: without service, policy and UID. */
void decide_no_pod(const struct km_workload *w, struct km_subject *out);
/* The nodes that are wanted, into wanted->out. returns 0 or -ENOMEM. */
int decide_detail(const struct decide_view *view, const struct km_ask *ask, int64_t now_ns,
                  const struct km_verdict *verdict, struct km_arena *arena,
                  const struct km_detail *wanted);

/* ---- evaluate.c ---- */
/* Nodes to predict for: where each is, and where the result goes. */
struct decide_miss {
	uint32_t node; /* in the snapshot */
	uint64_t key;
	struct decide_busy *out;
};
/* Fills *out of all. returns 0 or -ENOMEM. */
int decide_evaluate(struct km_decide *d, const struct decide_view *view,
                    const struct km_subject *who, const struct decide_miss *miss, size_t count,
                    struct km_arena *arena);
/* The same for pods of `who` that are on those nodes already, without what they would harm. */
int decide_evaluate_there(struct km_decide *d, const struct decide_view *view,
                          const struct km_subject *who, const struct decide_miss *miss,
                          size_t count, struct km_arena *arena);

/* ---- overlay.c ---- */
/*
 * What the ledger changes in the view's table (there is one) for `who`, without its own entry: into
 * view->overlay. returns 0 or -ENOMEM.
 */
int decide_overlay_open(struct km_decide *d, struct decide_view *view, const struct km_subject *who,
                        struct km_arena *arena);
void decide_overlay_unref(struct decide_overlay *o); /* NULL allowed */
void decide_drop_overlays(struct km_decide *d);

/* The node's own record, or NULL when the table's holds. o NULL allowed. */
static inline const struct decide_busy *decide_busy_at(const struct decide_overlay *o, int64_t node)
{
	const struct decide_block *b = o != NULL ? o->block[node / DECIDE_BLOCK] : NULL;
	uint64_t bit = UINT64_C(1) << (node % DECIDE_BLOCK);

	if (b == NULL || (b->bits & bit) == 0) {
		return NULL;
	}
	return &b->busy[__builtin_popcountll(b->bits & (bit - 1))];
}

#endif
