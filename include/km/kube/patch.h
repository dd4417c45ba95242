/* SPDX-License-Identifier: Apache-2.0 */
/* The few changes that we make to objects of others: one annotation of a node, one eviction. */
#ifndef KM_KUBE_PATCH_H
#define KM_KUBE_PATCH_H

#include <stdint.h>

#include "km/base/err.h"
#include "km/core/name.h"
#include "km/kube/via.h"

#define KM_NODE_VERDICT_ANNOTATION "kubemarla.io/verdict"

/*
 * timeout_ns: of the request; 0 = as usual. return the HTTP status (200, 201: done) with the
 * server's words in err for one over 400, or a negative errno.
 */
int km_kube_annotate_node(const struct km_kube_via *via, struct km_name node, const char *key,
                          const char *value, int64_t timeout_ns, struct km_err *err) KM_MUST_CHECK;

/*
 * Asks the Eviction API to delete the pod, if it still is the one with that UID. 201: it will go;
 * 429: a PodDisruptionBudget says not now; 404, 409: it is gone, or another.
 */
int km_kube_evict(const struct km_kube_via *via, struct km_name namespace, struct km_name name,
                  struct km_name uid, int64_t timeout_ns, struct km_err *err) KM_MUST_CHECK;

/* A merge patch of the policy's status, `body` being {"status":{...}}. */
int km_kube_patch_policy_status(const struct km_kube_via *via, struct km_name namespace,
                                struct km_name name, const char *body, size_t body_len,
                                int64_t timeout_ns, struct km_err *err) KM_MUST_CHECK;

#endif
