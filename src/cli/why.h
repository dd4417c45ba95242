/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `kubemarla why`: why.c asks, why_text.c prints. */
#ifndef KM_CLI_WHY_H
#define KM_CLI_WHY_H

#include <stdio.h>

#include "km/core/vote.h"
#include "km/wire/client_answers.h"

#include "cli_internal.h"

struct why {
	struct km_client_decisions *decisions; /* [0] is shown; its nodes are sorted */
	struct km_client_table *now;           /* the same nodes explained by the newest counters */
	struct km_vote vote;
	bool votes_assumed;
};

/* returns an exit code. */
int why_print(struct why *w);

/* The pods that decisions are remembered of. */
void why_print_known(const struct km_client_decisions *d, FILE *to);

#endif
