/* SPDX-License-Identifier: Apache-2.0 */
/*
 * InterferencePolicies from a YAML file, in the shape that the API server has them: one object, or
 * a List with `items`, as `kubectl get interferencepolicies -o yaml` writes it. For use without
 * Kubernetes.
 */
#ifndef KM_CONFIG_POLICY_FILE_H
#define KM_CONFIG_POLICY_FILE_H

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

#endif
