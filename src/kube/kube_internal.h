/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this room share. */
#ifndef KM_KUBE_INTERNAL_H
#define KM_KUBE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/base/rng.h"
#include "km/kube/api.h"
#include "km/kube/credentials.h"
#include "km/net/client.h"

#define KUBE_PEM_MAX_BYTES   ((size_t)1 << 20) /* a bundle of roots has some 200 KB */
#define KUBE_TOKEN_MAX_BYTES ((size_t)16 << 10)

/* Texts are owned; NULL = not there. */
struct km_kube_credentials {
	char *server;
	char *namespace;
	char *origin;
	char *token; /* does not change */
	char *token_file;
	char *ca_file, *ca_pem;
	char *cert_file, *cert_pem;
	char *key_file, *key_pem;
	char *server_name;
	bool insecure;
	struct km_buf warning;
};

/*
 * Fills c from a kubeconfig's text. `file` is its name: other files in it are relative to it.
 * context "" = its current one. returns 0, -EINVAL, -ENOTSUP, -ENOMEM.
 */
int kube_config_read(const char *file, const char *text, size_t len, const char *context,
                     struct km_kube_credentials *c, struct km_err *err) KM_MUST_CHECK;

/* -ENOENT as -EINVAL: credentials that name a file which is not there are wrong, not absent. */
int kube_not_absent(int rc, struct km_err *err);

/* A token file's text without blanks around it, appended. returns 0, -EINVAL (empty), ... */
int kube_token_read(const char *file, struct km_buf *out, struct km_err *err) KM_MUST_CHECK;

/* A request as the reflector needs it. */
struct kube_request {
	const char *method;
	const char *verb; /* metric label */
	const char *path;
	const char *content_type, *body;
	size_t body_len;
	int64_t timeout_ns, silence_ns, head_ns; /* 0 = 10 s, none, none */
	bool gzip;
	int (*on_data)(void *ctx, const char *bytes, size_t len);
	void (*on_status)(void *ctx, int status);
	void *ctx;
};

/* As km_kube_ask. */
int kube_request(struct km_kube *k, const struct kube_request *r, struct km_buf *out,
                 struct km_err *err) KM_MUST_CHECK;

/* Spacing of attempts: each failure in a row doubles what the wait is drawn from. */
struct kube_backoff {
	int64_t min_ns, max_ns;
	uint32_t failures;
	struct km_rng rng;
};

void kube_backoff_init(struct kube_backoff *b, int64_t min_ns, int64_t max_ns, uint64_t seed);
/* Counts a failure. returns how long to wait: uniform up to the bound ("full jitter"), behind what
 * the server asked for (0 = nothing). */
int64_t kube_backoff_next(struct kube_backoff *b, int64_t asked_ns);
void kube_backoff_reset(struct kube_backoff *b);

/* Appends text as a query's value: all but unreserved characters escaped (RFC 3986). */
void kube_escape(struct km_buf *out, const char *text);

#endif
