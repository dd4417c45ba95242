/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says a repeating trouble once, then less and less often (interval doubles from 10 s to 1 h), and
 * says "recovered" once when it is over. One km_complain per trouble; any thread may call it.
 */
#ifndef KM_BASE_COMPLAIN_H
#define KM_BASE_COMPLAIN_H

#include <stdatomic.h>
#include <stdint.h>

#include "km/base/macros.h"

struct km_complain {
	_Atomic int64_t next_ns;     /* not before this monotonic time; 0 = quiet so far */
	_Atomic int64_t interval_ns; /* current spacing */
	_Atomic uint64_t count;      /* since the trouble began */
};

#define KM_COMPLAIN_INIT                                                                           \
	{                                                                                          \
		0, 0, 0                                                                            \
	}

/* Logs at warn level when it is due; appends count=N of occurrences so far. */
void km_complain(struct km_complain *c, int64_t now_ns, const char *room, const char *fmt, ...)
	KM_PRINTF(4, 5);

/* Logs at info level if, and only if, there was a complaint since the last recovery. */
void km_recovered(struct km_complain *c, const char *room, const char *fmt, ...) KM_PRINTF(3, 4);

#endif
