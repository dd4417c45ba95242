/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP out, one request at a time: the tool's way to a running daemon. The only room with libcurl.
 */
#ifndef KM_NET_CLIENT_H
#define KM_NET_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"

struct km_client;

struct km_client_options {
	int64_t timeout_ns;    /* whole request; 0 = 10 s */
	size_t max_body_bytes; /* of the answer; 0 = 64 MiB */
};

/* options may be NULL. returns 0 and *out owned; -ENOMEM. One thread at a time. */
int km_client_create(const struct km_client_options *options, struct km_client **out,
                     struct km_err *err) KM_MUST_CHECK;
void km_client_free(struct km_client *c); /* NULL allowed */

/*
 * GET when body is NULL, else POST of application/json. Redirects are not followed, proxies of the
 * environment are not used, only http and https URLs are taken. The answer's body is appended to
 * out, also a part of it before an error.
 * returns the HTTP status (100..599), or a negative errno: -ECONNREFUSED, -EHOSTUNREACH,
 * -ETIMEDOUT, -EFBIG, -EPROTO, -EINVAL, -ENOMEM, with the URL in the text.
 */
int km_client_do(struct km_client *c, const char *url, const char *body, size_t body_len,
                 struct km_buf *out, struct km_err *err) KM_MUST_CHECK;

#endif
