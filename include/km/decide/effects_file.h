/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Learned effects and the file they outlive the process in (decide.effects). Attached to decide
 * while open. Written atomically, and only when something was learned since.
 */
#ifndef KM_DECIDE_EFFECTS_FILE_H
#define KM_DECIDE_EFFECTS_FILE_H

#include <stdint.h>

#include "km/base/clock.h"
#include "km/base/err.h"
#include "km/decide/decide.h"
#include "km/metrics/metrics.h"

struct km_effects_file;

/* A process that is killed loses what it learned since then. */
#define KM_EFFECTS_SAVE_NS (INT64_C(300) * KM_NS_PER_S)

/*
 * Attaches what the file says to d. A file that is not there is no error: nothing was learned yet.
 * One that is damaged is renamed to PATH.bad, in place of the one before, and nothing was learned
 * either. One that cannot be read or set aside stays as it is: what is learned then is not kept.
 * Each of these is logged in one line.
 * d, clock and metrics (NULL allowed) are borrowed and outlive *out.
 * returns 0 and *out owned; -ENOMEM.
 */
int km_effects_file_open(const char *path, struct km_decide *d, const struct km_clock *clock,
                         struct km_metrics *metrics, struct km_effects_file **out,
                         struct km_err *err) KM_MUST_CHECK;

/* Writes when that is due. The thread that opened it. */
void km_effects_file_tick(struct km_effects_file *f);

/* Writes what was learned since, detaches, frees. NULL allowed. */
void km_effects_file_close(struct km_effects_file *f);

#endif
