/* SPDX-License-Identifier: Apache-2.0 */
/* What doctor found: collected by its parts, printed at the end. */
#ifndef KM_CLI_FINDINGS_H
#define KM_CLI_FINDINGS_H

#include "cli_internal.h"

enum finding_level {
	FINDING_NOTE,    /* to know */
	FINDING_WARNING, /* works, but worse than it could */
	FINDING_ERROR    /* our vote is not heard, or is wrong */
};

struct finding {
	enum finding_level level;
	char about[96]; /* "extenders[0].httpTimeout" */
	char seen[160];
	const char *want; /* static storage, both */
	const char *mend;
};

struct findings {
	struct finding *item; /* [count] */
	size_t count;
	size_t cap;
	bool failed; /* memory ran out */
};

void findings_init(struct findings *f);
void findings_fini(struct findings *f);

/* seen: printf. want, mend: static storage. */
void findings_add(struct findings *f, enum finding_level level, const char *about, const char *want,
                  const char *mend, const char *seen, ...) KM_PRINTF(6, 7);

/* Prints them, the worst first. returns KM_COMMAND_OK when there are only notes, else
 * KM_COMMAND_FAILED. */
int findings_print(struct findings *f, bool json);

#endif
