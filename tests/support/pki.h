/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates made while the test runs, with whatever is wrong with them: nothing of them is in
 * the tree, and none of them ends some day.
 */
#ifndef KM_TESTS_PKI_H
#define KM_TESTS_PKI_H

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdint.h>

struct pki {
	gnutls_x509_crt_t cert;
	gnutls_x509_privkey_t key;
};

struct pki_options {
	const char *name;         /* common name */
	const struct pki *issuer; /* NULL = a CA, signed by itself */
	const char *host;    /* alternative name: a DNS name, or an IPv4 address; NULL = none */
	const char *purpose; /* OID, GNUTLS_KP_TLS_WWW_SERVER or _CLIENT; NULL = any */
	int64_t from_s;      /* valid so long from now; 0 = since an hour */
	int64_t until_s;     /* and until so long from now; 0 = for an hour */
};

/* Fails the test when it cannot. */
void pki_make(const struct pki_options *options, struct pki *out);
void pki_free(struct pki *p);

/* PEM, the caller frees it. */
char *pki_cert_pem(const struct pki *p);
char *pki_key_pem(const struct pki *p);

/* Writes them as PEM, atomically; either path may be NULL. */
void pki_write(const struct pki *p, const char *cert_path, const char *key_path);

#endif
