/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `kubemarla replay`: replay.c reads and prints, replay_run.c decides again. */
#ifndef KM_CLI_REPLAY_H
#define KM_CLI_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/decide/decide.h"
#include "km/wire/decision_lines.h"

#define REPLAY_CHANGES_MAX 20
#define REPLAY_MODELS_MAX  8
#define REPLAY_NAME_MAX    256

/* A choice that would have been another. */
struct replay_change {
	uint64_t id;
	char pod[2 * REPLAY_NAME_MAX];
	char then[REPLAY_NAME_MAX]; /* a node of the best, as answered and as judged anew */
	char now[REPLAY_NAME_MAX];
	double slowdown_then; /* predicted by the new model there; NaN = not */
	double slowdown_now;
};

struct replay_model {
	uint64_t hash; /* 0 = none */
	size_t calls;
};

/* What came of it. A choice is the set of nodes with the best score: the scheduler picks of them.
 */
struct replay_result {
	size_t choices; /* calls to /prioritize with more than one node */
	size_t same;    /* the same best nodes */
	size_t overlapping;
	size_t changed;   /* none in common */
	size_t calls;     /* all */
	size_t identical; /* every score and every rejection as answered */
	size_t filter_calls;
	size_t filter_changed; /* other nodes rejected */
	size_t rows_missing;   /* candidates whose row is not in the log */
	/* sums of ln slowdown, predicted by the new model at the best nodes, where it is at both */
	double ln_then, ln_now;
	size_t predicted;
	double changed_ln_then, changed_ln_now; /* the same of changed choices */
	size_t changed_predicted;
	struct replay_change change[REPLAY_CHANGES_MAX]; /* the first */
	size_t change_count;
	struct replay_model model[REPLAY_MODELS_MAX]; /* that answered */
	size_t model_count;
};

struct replay;

/*
 * fixed: settings are these whatever the log says, and pods are asked anew what they are, by
 * `policies` (NULL = none), annotations and the default workload; else settings and workloads are
 * the log's. model and policies are borrowed. returns 0 and *out owned; -ENOMEM.
 */
int replay_create(struct km_model *model, const struct km_decide_settings *settings, bool fixed,
                  struct km_policies *policies, struct replay **out,
                  struct km_err *err) KM_MUST_CHECK;
void replay_free(struct replay *r); /* NULL allowed */

/*
 * Takes the log's next line. returns 0; -EINVAL: the line does not go together with those before;
 * -EPROTO: the model cannot be asked about this log, it is over; -ENOMEM.
 */
int replay_line(struct replay *r, const struct km_decision_line *line,
                struct km_err *err) KM_MUST_CHECK;

const struct replay_result *replay_result(const struct replay *r);

/* ---- replay_choice.c ---- */

/* Marks the nodes with the best score of those not rejected: best [count]. returns how many. */
size_t replay_best_of(const int32_t *score, const bool *rejected, size_t count, bool *best);

/* The name of the first marked node into out [REPLAY_NAME_MAX], "" when none is. */
void replay_copy_first(char *out, const struct km_name *name, const bool *best, size_t count);

/* One more call answered by the model with this hash; of the first REPLAY_MODELS_MAX models. */
void replay_count_model(struct replay_result *out, uint64_t hash);

#endif
