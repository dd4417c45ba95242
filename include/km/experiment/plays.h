/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plays of a trial on disk, below a results folder. A play counts once its file is there; files
 * are written whole or not at all.
 *
 *   trial/plan.yaml              the plan as it was given
 *   trial/setup.json             model and window
 *   trial/model.json             what the model says of itself
 *   trial/provenance.json        machine, programs, versions
 *   trial/<id>.json              wire/trial_record.h, one a play
 *   trial/gated/<id>.<n>.json    what was played again, and why
 *   trial/result.json            what came of it
 *
 * One process at a time writes (flock). One thread.
 */
#ifndef KM_EXPERIMENT_PLAYS_H
#define KM_EXPERIMENT_PLAYS_H

#include <stdbool.h>
#include <stddef.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/plan/schedule.h"
#include "km/wire/trial_record.h"

struct km_plays {
	struct km_trial_record *play; /* [count] that count, by repeat and order */
	size_t count, cap;
	struct km_trial_record *gated; /* [gated_count] that were discarded */
	size_t gated_count, gated_cap;
	size_t unreadable; /* files that are no record: not counted, not touched */
	struct km_err why; /* of the first of them */
};

void km_plays_init(struct km_plays *p);
void km_plays_fini(struct km_plays *p);

/* Is there a trial below this folder? */
bool km_plays_there(const char *dir);

/* Reads all of them. returns 0 (none at all included), -ENOMEM, another errno of the folder. */
int km_plays_read(const char *dir, struct km_plays *out, struct km_err *err) KM_MUST_CHECK;

/* Is that its record? alone_on: the node's name, where the play is one alone. */
bool km_plays_is(const struct km_trial_record *r, const struct km_play *play, const char *alone_on);

/* The record of a play of the schedule; NULL = not played. */
const struct km_trial_record *km_plays_find(const struct km_plays *p, const struct km_play *play,
                                            const char *alone_on);

/*
 * Makes the directories, and locks them. returns a file descriptor to close, -EBUSY, another
 * negative errno.
 */
int km_plays_lock(const char *dir, struct km_err *err) KM_MUST_CHECK;

/*
 * Writes a record, none of those in p, into gated/ when it was discarded, and adds it to p. returns
 * 0; -ENOSPC and others: then it does not count.
 */
int km_plays_add(struct km_plays *p, const char *dir, const struct km_trial_record *r,
                 struct km_err *err) KM_MUST_CHECK;

/* Another file of trial/. */
int km_plays_put(const char *dir, const char *name, const struct km_buf *content,
                 struct km_err *err) KM_MUST_CHECK;

#endif
