/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates made while the test runs; see pki.h. */
#include "support/pki.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "km/base/file.h"

#define HOUR_S 3600

static void must(int code, const char *what)
{
	if (code < 0)
		fail_msg("%s: %s", what, gnutls_strerror(code));
}

static void set_host(gnutls_x509_crt_t cert, const char *host)
{
	struct in_addr address;

	if (host == NULL)
		return;
	if (inet_pton(AF_INET, host, &address) == 1) {
		must(gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_IPADDRESS, &address,
		                                          sizeof(address), GNUTLS_FSAN_APPEND),
		     "address");
	} else {
		must(gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_DNSNAME, host,
		                                          (unsigned)strlen(host),
		                                          GNUTLS_FSAN_APPEND),
		     "name");
	}
}

void pki_make(const struct pki_options *o, struct pki *out)
{
	static unsigned char serial;
	const struct pki *issuer = o->issuer != NULL ? o->issuer : out;
	time_t now = time(NULL);

	serial++;
	must(gnutls_x509_privkey_init(&out->key), "key");
	must(gnutls_x509_privkey_generate(out->key, GNUTLS_PK_ECDSA,
	                                  GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
	     "key");
	must(gnutls_x509_crt_init(&out->cert), "certificate");
	must(gnutls_x509_crt_set_version(out->cert, 3), "version");
	must(gnutls_x509_crt_set_serial(out->cert, &serial, sizeof(serial)), "serial");
	must(gnutls_x509_crt_set_key(out->cert, out->key), "key");
	must(gnutls_x509_crt_set_dn_by_oid(out->cert, GNUTLS_OID_X520_COMMON_NAME, 0, o->name,
	                                   (unsigned)strlen(o->name)),
	     "name");
	must(gnutls_x509_crt_set_activation_time(
		     out->cert, now + (time_t)(o->from_s != 0 ? o->from_s : -HOUR_S)),
	     "from");
	must(gnutls_x509_crt_set_expiration_time(
		     out->cert, now + (time_t)(o->until_s != 0 ? o->until_s : HOUR_S)),
	     "until");
	must(gnutls_x509_crt_set_basic_constraints(out->cert, o->issuer == NULL, -1), "CA");
	must(gnutls_x509_crt_set_key_usage(
		     out->cert, GNUTLS_KEY_DIGITAL_SIGNATURE |
					(o->issuer == NULL ? GNUTLS_KEY_KEY_CERT_SIGN : 0)),
	     "usage");
	if (o->purpose != NULL)
		must(gnutls_x509_crt_set_key_purpose_oid(out->cert, o->purpose, 0), "purpose");
	set_host(out->cert, o->host);
	must(gnutls_x509_crt_sign2(out->cert, issuer->cert, issuer->key, GNUTLS_DIG_SHA256, 0),
	     "signature");
}

void pki_free(struct pki *p)
{
	gnutls_x509_crt_deinit(p->cert);
	gnutls_x509_privkey_deinit(p->key);
}

static char *text_of(gnutls_datum_t pem)
{
	char *text = strndup((const char *)pem.data, pem.size);

	assert_non_null(text);
	gnutls_free(pem.data);
	return text;
}

char *pki_cert_pem(const struct pki *p)
{
	gnutls_datum_t pem;

	must(gnutls_x509_crt_export2(p->cert, GNUTLS_X509_FMT_PEM, &pem), "certificate");
	return text_of(pem);
}

char *pki_key_pem(const struct pki *p)
{
	gnutls_datum_t pem;

	must(gnutls_x509_privkey_export2_pkcs8(p->key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
	                                       &pem),
	     "key");
	return text_of(pem);
}

static void write_text(const char *path, char *text)
{
	struct km_err err = { .code = 0 };

	if (path != NULL && km_file_write_atomic(path, text, strlen(text), &err) != 0)
		fail_msg("%s", err.text);
	free(text);
}

void pki_write(const struct pki *p, const char *cert_path, const char *key_path)
{
	write_text(cert_path, pki_cert_pem(p));
	write_text(key_path, pki_key_pem(p));
}
