/* SPDX-License-Identifier: Apache-2.0 */
/* What the client and the puller share of libcurl: curl.c. */
#ifndef KM_NET_CURL_INTERNAL_H
#define KM_NET_CURL_INTERNAL_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "km/net/client.h"

/* The library is ready. Any thread. returns 0 or -ENOMEM. */
int net_curl_init(void) KM_MUST_CHECK;

/* As libcurl counts: at least 1, because 0 means for ever; INT64_MAX is for ever. */
long net_curl_ms(int64_t ns);

/* Whether it is a URL of http:// or https://; libcurl would guess a scheme. */
bool net_curl_is_http(const char *url);

/*
 * What holds for every request: no redirects, no proxies, no signals. tls may be NULL. no_socket
 * receives the errno when a socket cannot be had, which libcurl does not tell; it lives as long as
 * the handle.
 */
CURLcode net_curl_configure(CURL *h, const struct km_client_tls *tls, int *no_socket) KM_MUST_CHECK;

/*
 * Where to, and by which name the peer has to prove itself. *connect_to is owned by the caller and
 * has to live until the request is over (curl_slist_free_all). server_name NULL = the URL's host.
 */
CURLcode net_curl_address(CURL *h, const char *url, const char *server_name,
                          struct curl_slist **connect_to) KM_MUST_CHECK;

/* The positive errno of a request that failed with `code`; takes no_socket back to 0. */
int net_curl_errno(CURL *h, CURLcode code, int *no_socket);

/* Copies a header of the answer; out is "" when it is absent or does not fit. */
void net_curl_header(CURL *h, const char *name, char *out, size_t out_size);

#endif
