/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Prometheus answers to an instant query (GET /api/v1/query): series with their labels and
 * values. Whatever else it is, it is no answer and says why: an error of Prometheus', a matrix, a
 * page of somebody else's. The reader is strict about JSON and tolerant of keys it does not know.
 */
#ifndef KM_WIRE_PROMETHEUS_H
#define KM_WIRE_PROMETHEUS_H

#include <stdbool.h>
#include <stddef.h>

#include "km/base/arena.h"
#include "km/base/err.h"
#include "km/core/name.h"

#define KM_PROMETHEUS_LABELS_MAX 64 /* of a series; further ones are left out */

struct km_prometheus_label {
	struct km_name name;
	struct km_name value;
};

struct km_prometheus_series {
	const struct km_prometheus_label *label; /* [label_count] */
	size_t label_count;
	double value;  /* NaN and infinities as they came: Prometheus has both */
	double time_s; /* since 1970: when the query was evaluated */
};

struct km_prometheus_answer {
	const struct km_prometheus_series *series; /* [count]; a scalar is one without labels */
	size_t count;                              /* 0: nothing matched */
	size_t left_out;                           /* series beyond `max` */
};

/*
 * body [len] -> *out, all of it in `arena`; names may point into the body, which outlives *out.
 * At most `max` series are kept. returns 0; -EREMOTEIO (Prometheus says status "error": its
 * errorType and error are in err); -EPROTO (a matrix or a string, or no answer of Prometheus');
 * -EINVAL (no JSON); -ENOMEM. Any thread. source:
 * prometheus.io/docs/prometheus/latest/querying/api, "Instant queries"
 */
int km_prometheus_decode(const char *body, size_t len, size_t max, struct km_arena *arena,
                         struct km_prometheus_answer *out, struct km_err *err) KM_MUST_CHECK;

/* The value of a label; text NULL when the series does not have it. */
struct km_name km_prometheus_label(const struct km_prometheus_series *s, const char *name);

/*
 * The one number that an answer without meaning in its labels is: its single series, or scalar.
 * NaN when there is none, when it is not finite, and when there are several (*several, NULL
 * allowed, says so): not known is never zero.
 */
double km_prometheus_number(const struct km_prometheus_answer *a, bool *several);

#endif
