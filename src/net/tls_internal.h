/* SPDX-License-Identifier: Apache-2.0 */
/* TLS inside the server: tls.c. */
#ifndef KM_NET_TLS_INTERNAL_H
#define KM_NET_TLS_INTERNAL_H

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "km/net/tls.h"

/* Nothing older: what kube-scheduler, curl and Prometheus of these days speak. */
#define NET_TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* The calling thread serves connections of this one from now on. */
void net_tls_thread(struct km_tls *t);

/* GnuTLS asks for the certificate of a handshake: a gnutls_certificate_retrieve_function3. */
int net_tls_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                     gnutls_pcert_st **certs, unsigned *certs_length, gnutls_ocsp_data_st **ocsp,
                     unsigned *ocsp_length, gnutls_privkey_t *key, unsigned *flags);

/* What a connection has proved; its daemon's thread. */
struct net_proof {
	uint64_t number;  /* by which identity; 0 = nothing yet */
	int64_t since_ns; /* when (monotonic) */
};

/* returns NULL when the client may ask, else why not, static storage. */
const char *net_tls_refuse(struct km_tls *t, gnutls_session_t session, int64_t now_ns,
                           struct net_proof *proof);

#endif
