/* SPDX-License-Identifier: Apache-2.0 */
/* Changes to objects of others. */
#include "km/kube/patch.h"

#include <errno.h>

#include "km/wire/kube_write.h"

#define MERGE_PATCH "application/merge-patch+json"

static int send(const struct km_kube_via *via, const char *method, struct km_buf *path,
                struct km_buf *body, int64_t timeout_ns, struct km_err *err)
{
	struct km_kube_request r = { .method = method,
		                     .path = km_buf_cstr(path),
		                     .content_type = method[1] == 'A' ? MERGE_PATCH : NULL,
		                     .body = body->data,
		                     .body_len = body->len,
		                     .timeout_ns = timeout_ns };
	int rc;

	if (!km_buf_ok(path) || !km_buf_ok(body))
		rc = km_err_set(err, ENOMEM, "request to the API server: out of memory");
	else
		rc = via->ask(via->ctx, &r, NULL, err);
	km_buf_fini(path);
	km_buf_fini(body);
	return rc;
}

int km_kube_annotate_node(const struct km_kube_via *via, struct km_name node, const char *key,
                          const char *value, int64_t timeout_ns, struct km_err *err)
{
	struct km_buf path;
	struct km_buf body;

	km_buf_init(&path);
	km_buf_init(&body);
	km_buf_str(&path, "/api/v1/nodes/");
	km_kube_path_part(&path, node.text, node.len);
	km_annotation_encode(&body, key, value);
	return send(via, "PATCH", &path, &body, timeout_ns, err);
}

int km_kube_evict(const struct km_kube_via *via, struct km_name namespace, struct km_name name,
                  struct km_name uid, int64_t timeout_ns, struct km_err *err)
{
	struct km_buf path;
	struct km_buf body;

	km_buf_init(&path);
	km_buf_init(&body);
	km_buf_str(&path, "/api/v1/namespaces/");
	km_kube_path_part(&path, namespace.text, namespace.len);
	km_buf_str(&path, "/pods/");
	km_kube_path_part(&path, name.text, name.len);
	km_buf_str(&path, "/eviction");
	km_eviction_encode(&body, namespace, name, uid);
	return send(via, "POST", &path, &body, timeout_ns, err);
}

int km_kube_patch_policy_status(const struct km_kube_via *via, struct km_name namespace,
                                struct km_name name, const char *body, size_t body_len,
                                int64_t timeout_ns, struct km_err *err)
{
	struct km_buf path;
	struct km_buf copy;

	km_buf_init(&path);
	km_buf_init(&copy);
	km_buf_str(&path, "/apis/kubemarla.io/v1alpha1/namespaces/");
	km_kube_path_part(&path, namespace.text, namespace.len);
	km_buf_str(&path, "/interferencepolicies/");
	km_kube_path_part(&path, name.text, name.len);
	km_buf_str(&path, "/status");
	km_buf_append(&copy, body, body_len);
	return send(via, "PATCH", &path, &copy, timeout_ns, err);
}
