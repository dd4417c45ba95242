/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the corun world: a choice is one newcomer and two equal nodes, each with an incumbent it
 * was measured beside, both ways. What may be learned from is a mark on every row.
 */
#ifndef KM_SIM_CORUN_INTERNAL_H
#define KM_SIM_CORUN_INTERNAL_H

#include "km/dataset/corun.h"
#include "km/place/effects.h"

#include "sim_internal.h"

#define CORUN_NODES 2

struct corun_choice {
	uint32_t row[CORUN_NODES]; /* the newcomer beside either incumbent */
};

/* A file to learn from, and by what its names are known to learners. */
struct corun_source {
	struct km_corun *data; /* owned */
	uint64_t *platform;    /* [platforms] keys */
	uint64_t *workload;    /* [workloads] keys */
	char (*name)[32]; /* [workloads]: the class a workload is to decide; its hash is the key */
};

/* Takes data, also on error. */
int corun_source_init(struct corun_source *s, struct km_corun *data, const char *prefix,
                      const bool *other) KM_MUST_CHECK;
void corun_source_fini(struct corun_source *s);

/*
 * What an oracle would close that chooses by a second measurement: by the first with noise of the
 * size that repeated lines show, twenty times.
 */
double corun_second_oracle(const struct km_corun_row *row, const struct corun_choice *choice,
                           size_t count, double sd, uint64_t seed);

/* Same name, other times alone: another workload. other [workloads of b]. */
void corun_find_others(const struct km_corun *a, const struct km_corun *b, bool *other);

/* ---- what is learned: corun_learn.c ---- */

/*
 * Effects learned from rows of `from` with learn[i], of slowdown y [rows]. Times alone are known of
 * both files, or of none. returns NULL when out of memory.
 */
struct km_effects *corun_effects(const struct corun_source *from, const bool *learn,
                                 const double *y, const struct corun_source *judged,
                                 bool described);

/* Terms by key, ascending. */
struct corun_terms {
	uint64_t *key;
	double *value;
	size_t count;
};

/* ln slowdown = mean + platform + sensitivity + pressure, by ridge regression. */
struct corun_additive {
	double mean;
	struct corun_terms platform, sensitivity, pressure;
};

int corun_additive_fit(struct corun_additive *a, const struct corun_source *from, const bool *learn,
                       const double *y) KM_MUST_CHECK;
void corun_additive_fini(struct corun_additive *a);
/* The term of a key; 0 for one that is not known. */
double corun_term(const struct corun_terms *t, uint64_t key);

/* ---- the daemon's decision: corun_decide.c ---- */

struct corun_decider;

/* What it is told and does. */
struct corun_powers {
	bool harm;   /* counts that to incumbents */
	bool ledger; /* knows who is there */
};

int corun_decider_create(const struct km_sim_options *o, struct corun_powers powers,
                         struct km_effects *e, struct corun_decider **out,
                         struct km_err *err) KM_MUST_CHECK;
void corun_decider_free(struct corun_decider *d);

/* score [CORUN_NODES], what /prioritize would answer. returns 0 or -ENOMEM. */
int corun_decider_ask(struct corun_decider *d, const struct corun_source *judged,
                      const struct corun_choice *c, double *score) KM_MUST_CHECK;

#endif
