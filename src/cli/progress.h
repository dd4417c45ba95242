/* SPDX-License-Identifier: Apache-2.0 */
/* Long work: a line that says how far it is, and an end on Ctrl-C that leaves nothing half done. */
#ifndef KM_CLI_PROGRESS_H
#define KM_CLI_PROGRESS_H

#include <stddef.h>

/* From here on SIGINT and SIGTERM only ask: progress_step then returns 1. */
void progress_start(void);

/*
 * A km_eval_progress_fn. On a terminal one line that overwrites itself; elsewhere a line for each
 * piece of work that is complete. To stderr.
 */
int progress_step(void *ctx, const char *what, size_t done, size_t all);

/* Clears the line. */
void progress_end(void);

#endif
