/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Features out of a Prometheus server that scrapes the agents' /metrics, into a gatherer: range
 * functions over the gauges of each bin, one query a metric. Thread km-scraped.
 *
 * What gauges can tell: scopes node and host (the latter for the first node of each host, which is
 * all that its label names); other scopes are NaN. Statistics are of the scrapes in the window: to
 * be what a model was trained on, agents are scraped once a bin.
 */
#ifndef KM_CLUSTER_SCRAPED_H
#define KM_CLUSTER_SCRAPED_H

#include <stdbool.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/clock.h"
#include "km/base/err.h"
#include "km/cluster/gather.h"
#include "km/core/schema.h"
#include "km/net/client.h"

struct km_scraped;

/* One query's answer, appended to out. returns the HTTP status or a negative errno. */
typedef int (*km_scraped_ask)(void *ctx, const char *query, struct km_buf *out, struct km_err *err);

struct km_scraped_options {
	struct km_gather *gather; /* borrowed, as all here; outlives this */
	const struct km_clock *clock;
	const struct km_schema *schema;  /* a reference is taken */
	const char *url;                 /* "http://prometheus:9090" */
	const struct km_client_tls *tls; /* NULL = none */
	int64_t interval_ns, timeout_ns;
	bool names_nodes; /* nodes it knows are shown: there is no Kubernetes to say which there are
	                   */
	km_scraped_ask ask; /* NULL = url is asked; else for tests */
	void *ctx;
};

/* returns 0 and *out owned; -ENOMEM. */
int km_scraped_create(const struct km_scraped_options *options, struct km_scraped **out,
                      struct km_err *err) KM_MUST_CHECK;
int km_scraped_start(struct km_scraped *s, struct km_err *err) KM_MUST_CHECK;
void km_scraped_stop(struct km_scraped *s); /* joins; NULL and not started are fine */
void km_scraped_free(struct km_scraped *s); /* after _stop; NULL allowed */

/* Rows of another schema from the next round on. Any thread. */
void km_scraped_set_schema(struct km_scraped *s, const struct km_schema *schema);

/* One round of queries; what the thread does each interval. */
void km_scraped_round(struct km_scraped *s);

#endif
