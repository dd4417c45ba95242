/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP out, one request at a time: the tool's way to a running daemon, and the daemon's to what it
 * asks and watches. HTTP/1.1 only. The only room with libcurl.
 *
 * Redirects are not followed, proxies of the environment are not used, only http and https URLs are
 * taken. A connection is kept for the next request; when the peer has closed it meanwhile, the
 * request is sent once more on a new one.
 */
#ifndef KM_NET_CLIENT_H
#define KM_NET_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"

struct km_client;

/*
 * Whom to trust, and who we are. Each as a file's name or as PEM text, the text wins; all NULL =
 * the system's roots and no certificate of ours. Files are read again for each new connection
 * (roots at most once a minute), so they may be rotated.
 */
struct km_client_tls {
	const char *ca_file, *ca_pem;
	const char *cert_file, *cert_pem;
	const char *key_file, *key_pem;
	const char *server_name; /* the certificate is for this name; NULL = the URL's host */
	bool insecure;           /* takes any certificate: only what a kubeconfig asks for */
};

struct km_client_options {
	int64_t timeout_ns;              /* whole request; 0 = 10 s */
	size_t max_body_bytes;           /* of the answer, decoded; 0 = 64 MiB */
	const struct km_client_tls *tls; /* borrowed for the call; NULL = all of it NULL */
};

/* options may be NULL. returns 0 and *out owned; -ENOMEM. One thread at a time. */
int km_client_create(const struct km_client_options *options, struct km_client **out,
                     struct km_err *err) KM_MUST_CHECK;
void km_client_free(struct km_client *c); /* NULL allowed */

/* All strings are borrowed for the call; NULL = that header is not sent. */
struct km_http_ask {
	const char *method; /* NULL = GET without a body, POST with one */
	const char *url;
	const char *content_type; /* NULL with a body = application/json */
	const char *accept;
	const char *if_none_match;
	const char *bearer; /* the token */
	const char *body;   /* NULL = none */
	size_t body_len;
	bool gzip;          /* is asked for, and decoded before it is handed on */
	int64_t timeout_ns; /* whole request; 0 = the client's; INT64_MAX = none */
	int64_t silence_ns; /* nothing came for so long: -ETIMEDOUT; 0 = no such limit */
	int64_t head_ns;    /* the same until the answer's head is whole; 0 = silence_ns */
	/*
	 * Takes the body of a 200 as it comes, however much; less than 0 ends the request with
	 * that. NULL, and for every other status: the body is appended to out.
	 */
	int (*on_data)(void *ctx, const char *bytes, size_t len);
	/* The answer's head is there; a stream may say nothing else for long. May be NULL. */
	void (*on_status)(void *ctx, int status);
	void *ctx;
};

struct km_http_told {
	int status;            /* 0 = none came */
	char etag[128];        /* "" = none, or a longer one */
	int64_t retry_after_s; /* -1 = not said */
};

/*
 * out and told may be NULL; both are filled as far as it went, also when it fails. A body over the
 * client's bound is -EFBIG, unless on_data takes it.
 * returns the HTTP status (100..599), or a negative errno with the URL in the text: -ECONNREFUSED,
 * -EHOSTUNREACH, -ETIMEDOUT, -ECANCELED (stopped), -EKEYREJECTED (the peer's certificate),
 * -ENOKEY (our own files), -EFBIG, -EPROTO (no HTTP, a body cut short or not decodable), -EINVAL,
 * -ENOMEM, or what on_data returned.
 */
int km_client_ask(struct km_client *c, const struct km_http_ask *ask, struct km_buf *out,
                  struct km_http_told *told, struct km_err *err) KM_MUST_CHECK;

/* The same, GET when body is NULL, else POST of application/json. */
int km_client_do(struct km_client *c, const char *url, const char *body, size_t body_len,
                 struct km_buf *out, struct km_err *err) KM_MUST_CHECK;

/*
 * The request in progress and later ones end at once with -ECANCELED, until _resume. Any thread, as
 * long as the client lives.
 */
void km_client_stop(struct km_client *c);
void km_client_resume(struct km_client *c);

#endif
