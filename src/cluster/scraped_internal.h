/* SPDX-License-Identifier: Apache-2.0 */
/* Inside what asks Prometheus: life and thread in scraped.c, the questions in scraped_round.c. */
#ifndef KM_SCRAPED_INTERNAL_H
#define KM_SCRAPED_INTERNAL_H

#include <pthread.h>

#include "km/base/arena.h"
#include "km/cluster/scraped.h"

#define SCRAPED_KEY 1 /* the one agent that the gatherer knows */

struct km_scraped {
	struct km_gather *gather;
	const struct km_clock *clock;
	struct km_client *client; /* NULL with `ask` */
	char *url;
	int64_t interval_ns;
	bool names_nodes;
	km_scraped_ask ask;
	void *ctx;

	pthread_mutex_t lock; /* schema, stop */
	pthread_cond_t wake;
	struct km_schema *schema;
	bool stop;

	struct km_arena arena, answer; /* of one round, of one answer; its thread's, as the next */
	struct km_buf body, query;
	pthread_t thread;
	bool started;
};

#endif
