/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A way to the API server as a function, so that what asks it can be tested without one: leases,
 * events, patches. The real one is a km_kube.
 */
#ifndef KM_KUBE_VIA_H
#define KM_KUBE_VIA_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"

struct km_kube;

/* All borrowed for the call. */
struct km_kube_request {
	const char *method;
	const char *path;         /* with its query */
	const char *content_type; /* NULL = application/json */
	const char *body;         /* NULL = none */
	size_t body_len;
	int64_t timeout_ns; /* 0 = as usual, 10 s */
};

struct km_kube_via {
	/* As km_kube_ask: the HTTP status, or a negative errno. out may be NULL. */
	int (*ask)(void *ctx, const struct km_kube_request *r, struct km_buf *out,
	           struct km_err *err);
	void *ctx;
};

/* Through k, which is borrowed. */
struct km_kube_via km_kube_via(struct km_kube *k);

/* In a path: what is no letter, digit, '-', '_' or '.' becomes %XX. Appends. */
void km_kube_path_part(struct km_buf *out, const char *text, size_t len);

#endif
