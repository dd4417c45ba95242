/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the API server: server, token, deadline, error texts and metrics in one place. One
 * km_kube per thread; km_kube_stop from any.
 *
 * Metric: kubemarla_kube_requests_total{verb,code}; verb is get, list, watch, create, update, patch
 * or delete, code an HTTP status, or "none" when no answer came.
 */
#ifndef KM_KUBE_API_H
#define KM_KUBE_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/kube/credentials.h"
#include "km/metrics/metrics.h"

struct km_kube;

#define KM_KUBE_MERGE_PATCH     "application/merge-patch+json"
#define KM_KUBE_STRATEGIC_PATCH "application/strategic-merge-patch+json"
#define KM_KUBE_APPLY_PATCH     "application/apply-patch+yaml"

/* credentials and metrics (NULL allowed) are borrowed until _free. returns 0 and *out owned. */
int km_kube_create(const struct km_kube_credentials *credentials, struct km_metrics *metrics,
                   struct km_kube **out, struct km_err *err) KM_MUST_CHECK;
void km_kube_free(struct km_kube *k); /* NULL allowed */

/* Any thread: the request, watch or wait in progress, and later ones, end with -ECANCELED. */
void km_kube_stop(struct km_kube *k);
bool km_kube_stopped(const struct km_kube *k);

struct km_kube_body {
	const char *type; /* NULL = application/json */
	const char *text;
	size_t len;
};

/*
 * One request, done after 10 s at the latest. `path` begins with '/', query included. body NULL =
 * none. The answer's body (16 MiB at most) is appended to out; NULL = nobody wants it.
 * returns the HTTP status, or a negative errno when there was none: -ECANCELED, -ETIMEDOUT,
 * -ECONNREFUSED, ... For a status >= 400 err holds "METHOD path: STATUS reason: message" out of the
 * answer's Status. After 401 the token's file is read again, and if it holds another token the
 * request is made once more.
 */
int km_kube_ask(struct km_kube *k, const char *method, const char *path,
                const struct km_kube_body *body, struct km_buf *out,
                struct km_err *err) KM_MUST_CHECK;

/* How long the last answer (429, 503) asked to wait; 0 = it did not. At most a minute. */
int64_t km_kube_retry_after_ns(const struct km_kube *k);

/* Waits so long, or until km_kube_stop. returns false when stopped. */
bool km_kube_wait(struct km_kube *k, int64_t ns);

const struct km_kube_credentials *km_kube_credentials_of(const struct km_kube *k);

#endif
