/* SPDX-License-Identifier: Apache-2.0 */
/* Inside kubemarla-pcm: what libpcm prints, and what rights it keeps. */
#ifndef KM_PCMD_INTERNAL_H
#define KM_PCMD_INTERNAL_H

#include <stdbool.h>

#include "km/base/err.h"

/* ---- chatter.c: libpcm prints to both standard outputs, and more than anybody wants ---------- */

/*
 * From now on descriptors 1 and 2 lead to the thread "pcm-chatter", which logs their lines to the
 * former stderr, rate-limited unless `all`. *out_fd is the former stdout.
 */
int pcmd_chatter_start(bool all, int *out_fd, struct km_err *err) KM_MUST_CHECK;

/*
 * Waits, a second at most, until all that was printed so far is read, and ends the thread.
 * returns the last line that sounds like a reason for a failure, "" = none; static storage.
 */
const char *pcmd_chatter_stop(void);

/* ---- rights.c -------------------------------------------------------------------------------- */

/* First thing: no program started from here gains rights; with_parent: ends when the parent does.
 */
void pcmd_rights_limit(bool with_parent);

/*
 * Once libpcm has its descriptors open: user and group nobody where we are root and may, and no
 * capability in any thread. What could not be given up is logged.
 */
void pcmd_rights_drop(bool with_parent);

#endif
