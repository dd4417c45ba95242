/* SPDX-License-Identifier: Apache-2.0 */
/*
 * InterferencePolicies, in the shape that the API server has them: from a YAML file, for use
 * without Kubernetes (one object, or a List with `items`, as `kubectl get ipol -o yaml` writes it),
 * or one object as the API server sends it. One reader for both; the CRD's schema refuses what it
 * refuses (tests/policies).
 */
#ifndef KM_CONFIG_POLICY_FILE_H
#define KM_CONFIG_POLICY_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "km/base/err.h"
#include "km/core/policy.h"

#define KM_POLICY_FILE_MAX_BYTES (4u << 20)

/*
 * `trusted`: namespaces with commas between, "*" = all, "" = none: which policies may protect
 * incumbents and ask queries. An object without metadata.namespace is of namespace "default".
 * What the API server adds to objects (status, other metadata) is not looked at.
 * returns 0 and an owned reference; -EINVAL "FILE:LINE: key: saw ..., want ..."; -EEXIST (a policy
 * twice); -ENOENT and other errnos of the file; -ENOMEM.
 */
int km_policy_file_load(const char *path, const char *trusted, struct km_policies **out,
                        struct km_err *err) KM_MUST_CHECK;

/* The same from memory; `name` stands for the file in errors. */
int km_policy_file_parse(const char *name, const char *text, size_t len, const char *trusted,
                         struct km_policies **out, struct km_err *err) KM_MUST_CHECK;

/*
 * One object as JSON (YAML will do too). `name` stands for it in errors, with the line; NULL leaves
 * both out, which is what people want to read in a status: "spec.mode: saw X, want ...".
 * `trusted`: its namespace is. returns 0 and *out, which the caller ends by km_policy_fini;
 * -EINVAL and -ENOMEM, *out zeroed (km_policy_fini does no harm).
 */
int km_policy_parse(const char *name, const char *json, size_t len, bool trusted,
                    struct km_policy *out, struct km_err *err) KM_MUST_CHECK;

#endif
