/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a server is and whom it lets in: a certificate with its key and, when clients have to prove
 * themselves too, the CA that theirs must come from. Files that may be rotated while it serves: a
 * connection has what was good when it was made. Client certificates are verified by us, request by
 * request, because libmicrohttpd answers a client without one all the same.
 */
#ifndef KM_NET_TLS_H
#define KM_NET_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "km/base/err.h"

struct km_tls;

struct km_tls_files {
	const char *cert;      /* PEM, the leaf first, then intermediates */
	const char *key;       /* PEM, not encrypted */
	const char *client_ca; /* PEM, one or more; "" or NULL = clients prove nothing */
};

/*
 * Reads the files; their names are copied. returns 0 and *out owned; -EINVAL (no certificate, a key
 * that is another's), -ENOENT, -EACCES, ... with the file and its key of the configuration in the
 * text; -ENOMEM.
 */
int km_tls_open(const struct km_tls_files *files, struct km_tls **out,
                struct km_err *err) KM_MUST_CHECK;

/*
 * Reads them again if they changed since the last attempt, or in any case with `anyway`. Any
 * thread, one at a time. returns 0 = nothing new; 1 = what is new serves from now on; else as
 * _open, and what served goes on serving.
 */
int km_tls_look(struct km_tls *t, bool anyway, struct km_err *err) KM_MUST_CHECK;

/* When the serving certificate ends, in Unix seconds. Any thread. */
int64_t km_tls_expires_s(struct km_tls *t);

/* After the servers that borrow it. NULL allowed. */
void km_tls_free(struct km_tls *t);

#endif
