/* SPDX-License-Identifier: Apache-2.0 */
/* A km_kube as a function, and parts of paths. */
#include "km/kube/via.h"

#include <ctype.h>
#include <string.h>

#include "kube_internal.h"

static int ask(void *ctx, const struct km_kube_request *r, struct km_buf *out, struct km_err *err)
{
	static const char *const verbs[][2] = {
		{ "GET", "get" }, { "POST", "create" }, { "PUT", "update" }, { "PATCH", "patch" }
	};
	struct kube_request real = {
		.method = r->method,
		.verb = "other",
		.path = r->path,
		.content_type = r->content_type,
		.body = r->body,
		.body_len = r->body_len,
		.timeout_ns = r->timeout_ns,
	};
	struct km_buf dropped;
	int rc;

	for (size_t i = 0; i < KM_ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i][0], r->method) == 0)
			real.verb = verbs[i][1];
	}
	km_buf_init(&dropped);
	rc = kube_request(ctx, &real, out != NULL ? out : &dropped, err);
	km_buf_fini(&dropped);
	return rc;
}

struct km_kube_via km_kube_via(struct km_kube *k)
{
	return (struct km_kube_via){ ask, k };
}

void km_kube_path_part(struct km_buf *out, const char *text, size_t len)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x80 && (isalnum(c) || c == '-' || c == '_' || c == '.')) {
			km_buf_char(out, (char)c);
			continue;
		}
		km_buf_char(out, '%');
		km_buf_char(out, hex[c >> 4]);
		km_buf_char(out, hex[c & 15]);
	}
}
