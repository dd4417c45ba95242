/* SPDX-License-Identifier: Apache-2.0 */
/* What commands share that take long, start processes, and can be stopped and gone on with. */
#ifndef KM_LAB_SESSION_H
#define KM_LAB_SESSION_H

#include <stdio.h>

#include "km/base/err.h"
#include "km/base/macros.h"

#define KM_LAB_PATH_BYTES 4096

struct km_lab_session {
	char self[KM_LAB_PATH_BYTES];    /* path of this program */
	char scratch[KM_LAB_PATH_BYTES]; /* a directory of its own */
	int stop_fd;                     /* readable once somebody wants us to stop */
};

/* Blocks SIGINT, SIGTERM and SIGHUP for stop_fd, makes scratch. returns 0 or a negative errno. */
int km_lab_session_begin(struct km_lab_session *s, struct km_err *err) KM_MUST_CHECK;

/* Removes scratch with all that is in it. */
void km_lab_session_end(struct km_lab_session *s);

/* "2 h 5 min", "3 min 20 s", "7 s". */
void km_lab_print_time(FILE *to, double seconds);

#endif
