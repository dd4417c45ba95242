/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An experiment's results folder. A run counts once its record is there, and that is written last:
 * whatever happens before, nothing half-written is ever taken for a result.
 *
 *   plan.yaml, plan.identity      the plan as it was given; what must stay the same of it
 *   provenance.json               machine, programs, versions
 *   traces/<id>__before.csv.gz, traces/<id>__during.csv.gz
 *   runs/<id>.json                wire/run_record.h: the commit point
 *   gated/<id>.<n>.json           what was made again, and why
 *   runs.csv, pairs.csv           a dataset for `kubemarla train`, made anew from the records
 *
 * One process at a time has a folder (flock). One thread.
 */
#ifndef KM_EXPERIMENT_FOLDER_H
#define KM_EXPERIMENT_FOLDER_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/plan/plan.h"
#include "km/wire/run_record.h"

struct km_folder;

/*
 * Opens or makes the folder of a plan and reads which of its runs are finished. text [len] is the
 * plan's own file. plan is borrowed until km_folder_close.
 * returns 0 and *out owned; -EEXIST when another plan's runs are there, naming what differs, or
 * things that are no experiment's; -EBUSY when another process has it; another errno.
 */
int km_folder_open(const char *dir, const struct km_plan *plan, const char *text, size_t len,
                   struct km_folder **out, struct km_err *err) KM_MUST_CHECK;
void km_folder_close(struct km_folder *f); /* NULL allowed */

/* The finished runs, in the plan's order of `run`; both as long as f. */
size_t km_folder_run_count(const struct km_folder *f);
const struct km_run_spec *km_folder_run(const struct km_folder *f, size_t i);
size_t km_folder_finished(const struct km_folder *f);

/* NULL = not finished. Until the next km_folder_commit. */
const struct km_run_record *km_folder_record(const struct km_folder *f, size_t i);

/* How often run i was made and gated before, of this and of earlier processes. */
unsigned km_folder_gated(const struct km_folder *f, size_t i);

/* Where its traces are, below the folder: out [KM_RUN_TRACE_MAX]. */
void km_folder_trace_name(const struct km_run_spec *spec, const char *window, char *out);

/*
 * Makes run i finished: both traces (CSV, packed here), then the record, then the tables.
 * returns 0; -ENOSPC and others: the run counts only if its record could be written.
 */
int km_folder_commit(struct km_folder *f, size_t i, const struct km_run_record *r,
                     const struct km_buf *before, const struct km_buf *during,
                     struct km_err *err) KM_MUST_CHECK;

/* Keeps what is known of an attempt at run i that does not count; r->gate says why. */
int km_folder_gate(struct km_folder *f, size_t i, const struct km_run_record *r,
                   struct km_err *err) KM_MUST_CHECK;

/* Writes runs.csv and pairs.csv anew. */
int km_folder_tables(struct km_folder *f, struct km_err *err) KM_MUST_CHECK;

/* Writes another file of the folder, atomically. */
int km_folder_put(struct km_folder *f, const char *name, const struct km_buf *content,
                  struct km_err *err) KM_MUST_CHECK;

#endif
