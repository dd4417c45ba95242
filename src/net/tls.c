/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS of the server: identities read from files and exchanged while connections are made, and the
 * verification of clients. An identity is immutable and counted; a handshake gets copies, because
 * GnuTLS uses them until its end and the identity may be gone by then.
 */
#include <errno.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "km/base/buf.h"
#include "km/base/clock.h"
#include "km/base/file.h"

#include "tls_internal.h"

#define FILE_BYTES  ((size_t)1024 * 1024)
#define CHAIN_MAX   16
#define KEY_ID_SIZE 32 /* SHA-256 */
/* A kept connection's certificate is looked at again so often: it may have ended. */
#define PROOF_NS (60 * KM_NS_PER_S)

struct identity {
	atomic_uint refs;
	uint64_t number;
	gnutls_x509_crt_t chain[CHAIN_MAX]; /* [chain_len] */
	unsigned chain_len;
	gnutls_x509_privkey_t key;
	gnutls_x509_trust_list_t trust; /* NULL = clients prove nothing */
	int64_t expires_s;
};

/* Tells one version of a file from the next. */
struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
};

enum { CERT, KEY, CLIENT_CA, FILES };

static const char *const key_names[FILES] = { "listen.tls.cert", "listen.tls.key",
	                                      "listen.tls.clientCA" };

struct km_tls {
	char *path[FILES]; /* "" = none */
	struct stamp seen[FILES];
	uint64_t last_number;
	pthread_mutex_t lock; /* of `now` */
	struct identity *now;
};

/* ---- identities ------------------------------------------------------------------------------ */

static void identity_put(struct identity *id)
{
	if (id == NULL || atomic_fetch_sub(&id->refs, 1) != 1)
		return;
	for (unsigned i = 0; i < id->chain_len; i++)
		gnutls_x509_crt_deinit(id->chain[i]);
	if (id->key != NULL)
		gnutls_x509_privkey_deinit(id->key);
	if (id->trust != NULL)
		gnutls_x509_trust_list_deinit(id->trust, 1);
	free(id);
}

static struct identity *identity_get(struct km_tls *t)
{
	struct identity *id;

	(void)pthread_mutex_lock(&t->lock);
	id = t->now;
	(void)atomic_fetch_add(&id->refs, 1);
	(void)pthread_mutex_unlock(&t->lock);
	return id;
}

static int read_pem(const struct km_tls *t, int which, struct km_buf *text, gnutls_datum_t *pem,
                    struct km_err *err)
{
	int rc = km_file_read(t->path[which], FILE_BYTES, text, err);

	if (rc != 0) {
		(void)km_err_prefix(err, "%s", key_names[which]);
		return rc;
	}
	/* GnuTLS reads PEM up to a NUL. */
	(void)km_buf_cstr(text);
	if (!km_buf_ok(text))
		return km_err_set(err, ENOMEM, "%s: out of memory", key_names[which]);
	*pem = (gnutls_datum_t){ .data = (unsigned char *)text->data, .size = (unsigned)text->len };
	return 0;
}

static int bad_file(const struct km_tls *t, int which, const char *want, int code,
                    struct km_err *err)
{
	if (code == GNUTLS_E_MEMORY_ERROR)
		return km_err_set(err, ENOMEM, "%s: out of memory", key_names[which]);
	return km_err_set(err, EINVAL, "%s: %.80s: want %s (%.40s)", key_names[which],
	                  t->path[which], want, gnutls_strerror(code));
}

static int read_chain(const struct km_tls *t, struct identity *id, struct km_err *err)
{
	unsigned count = CHAIN_MAX;
	gnutls_datum_t pem;
	struct km_buf text;
	int rc;
	int code;

	km_buf_init(&text);
	rc = read_pem(t, CERT, &text, &pem, err);
	if (rc == 0) {
		code = gnutls_x509_crt_list_import(id->chain, &count, &pem, GNUTLS_X509_FMT_PEM,
		                                   GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
		if (code <= 0)
			rc = bad_file(t, CERT, "certificates in PEM, at most 16", code, err);
		else
			id->chain_len = (unsigned)code;
	}
	km_buf_fini(&text);
	if (rc == 0)
		id->expires_s = (int64_t)gnutls_x509_crt_get_expiration_time(id->chain[0]);
	return rc;
}

static int read_key(const struct km_tls *t, struct identity *id, struct km_err *err)
{
	unsigned char of_cert[KEY_ID_SIZE];
	unsigned char of_key[KEY_ID_SIZE];
	size_t cert_size = sizeof(of_cert);
	size_t key_size = sizeof(of_key);
	gnutls_datum_t pem;
	struct km_buf text;
	int rc;
	int code;

	km_buf_init(&text);
	rc = read_pem(t, KEY, &text, &pem, err);
	if (rc == 0) {
		code = gnutls_x509_privkey_init(&id->key);
		if (code == 0)
			code = gnutls_x509_privkey_import2(id->key, &pem, GNUTLS_X509_FMT_PEM, NULL,
			                                   0);
		if (code != 0)
			rc = bad_file(t, KEY, "a private key in PEM without a password", code, err);
	}
	/* It shall not stay readable in freed memory. */
	if (text.data != NULL)
		gnutls_memset(text.data, 0, text.cap);
	km_buf_fini(&text);
	if (rc != 0)
		return rc;
	if (gnutls_x509_crt_get_key_id(id->chain[0], GNUTLS_KEYID_USE_SHA256, of_cert,
	                               &cert_size) != 0 ||
	    gnutls_x509_privkey_get_key_id(id->key, GNUTLS_KEYID_USE_SHA256, of_key, &key_size) !=
	            0 ||
	    cert_size != key_size || memcmp(of_cert, of_key, cert_size) != 0)
		return km_err_set(err, EINVAL, "%s: %.60s: want the key of the certificate %.60s",
		                  key_names[KEY], t->path[KEY], t->path[CERT]);
	return 0;
}

static int read_trust(const struct km_tls *t, struct identity *id, struct km_err *err)
{
	gnutls_datum_t pem;
	struct km_buf text;
	int rc;
	int code;

	if (t->path[CLIENT_CA][0] == '\0')
		return 0;
	km_buf_init(&text);
	rc = read_pem(t, CLIENT_CA, &text, &pem, err);
	if (rc == 0) {
		code = gnutls_x509_trust_list_init(&id->trust, 0);
		if (code == 0)
			code = gnutls_x509_trust_list_add_trust_mem(id->trust, &pem, NULL,
			                                            GNUTLS_X509_FMT_PEM, 0, 0);
		if (code <= 0)
			rc = bad_file(t, CLIENT_CA, "certificates in PEM", code, err);
	}
	km_buf_fini(&text);
	return rc;
}

static int identity_read(struct km_tls *t, struct identity **out, struct km_err *err)
{
	struct identity *id = calloc(1, sizeof(*id));
	int rc;

	*out = NULL;
	if (id == NULL)
		return km_err_set(err, ENOMEM, "TLS: out of memory");
	atomic_init(&id->refs, 1);
	id->number = ++t->last_number;
	rc = read_chain(t, id, err);
	if (rc == 0)
		rc = read_key(t, id, err);
	if (rc == 0)
		rc = read_trust(t, id, err);
	if (rc != 0) {
		identity_put(id);
		return rc;
	}
	*out = id;
	return 0;
}

/* ---- the files ------------------------------------------------------------------------------- */

static void stamp_of(const char *path, struct stamp *out)
{
	struct stat st;

	memset(out, 0, sizeof(*out));
	if (path[0] == '\0' || stat(path, &st) != 0)
		return;
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	out->size = st.st_size;
	out->changed = st.st_mtim;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

int km_tls_look(struct km_tls *t, bool anyway, struct km_err *err)
{
	struct identity *fresh;
	struct identity *old;
	bool changed = anyway;
	int rc;

	/* Before they are read: what changes meanwhile is seen by the next look. */
	for (size_t i = 0; i < FILES; i++) {
		struct stamp now;

		stamp_of(t->path[i], &now);
		changed = changed || !same_stamp(&now, &t->seen[i]);
		t->seen[i] = now;
	}
	if (!changed)
		return 0;
	rc = identity_read(t, &fresh, err);
	if (rc != 0)
		return rc;
	(void)pthread_mutex_lock(&t->lock);
	old = t->now;
	t->now = fresh;
	(void)pthread_mutex_unlock(&t->lock);
	identity_put(old);
	return 1;
}

int km_tls_open(const struct km_tls_files *files, struct km_tls **out, struct km_err *err)
{
	const char *const names[FILES] = { files->cert, files->key, files->client_ca };
	struct km_tls *t = calloc(1, sizeof(*t));
	bool whole = true;
	int rc;

	*out = NULL;
	if (t == NULL)
		return km_err_set(err, ENOMEM, "TLS: out of memory");
	(void)pthread_mutex_init(&t->lock, NULL);
	for (size_t i = 0; i < FILES; i++) {
		t->path[i] = strdup(names[i] != NULL ? names[i] : "");
		whole = whole && t->path[i] != NULL;
	}
	rc = whole ? km_tls_look(t, true, err) : km_err_set(err, ENOMEM, "TLS: out of memory");
	if (rc < 0) {
		km_tls_free(t);
		return rc;
	}
	*out = t;
	return 0;
}

int64_t km_tls_expires_s(struct km_tls *t)
{
	struct identity *id = identity_get(t);
	int64_t expires_s = id->expires_s;

	identity_put(id);
	return expires_s;
}

void km_tls_free(struct km_tls *t)
{
	if (t == NULL)
		return;
	identity_put(t->now);
	for (size_t i = 0; i < FILES; i++)
		free(t->path[i]);
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
}

/* ---- handshakes ------------------------------------------------------------------------------ */

/* The callback of a handshake is told nothing of ours; but it comes on the connection's thread. */
static _Thread_local struct km_tls *served;

void net_tls_thread(struct km_tls *t)
{
	served = t;
}

static void free_chain(gnutls_pcert_st *list, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		gnutls_pcert_deinit(&list[i]);
	gnutls_free(list);
}

static gnutls_pcert_st *copy_chain(const struct identity *id)
{
	gnutls_pcert_st *list = gnutls_calloc(id->chain_len, sizeof(*list));

	for (unsigned i = 0; list != NULL && i < id->chain_len; i++) {
		if (gnutls_pcert_import_x509(&list[i], id->chain[i], 0) != 0) {
			free_chain(list, i);
			return NULL;
		}
	}
	return list;
}

static gnutls_privkey_t copy_key(const struct identity *id)
{
	gnutls_privkey_t key;

	if (gnutls_privkey_init(&key) != 0)
		return NULL;
	if (gnutls_privkey_import_x509(key, id->key, GNUTLS_PRIVKEY_IMPORT_COPY) != 0) {
		gnutls_privkey_deinit(key);
		return NULL;
	}
	return key;
}

/* NOLINTNEXTLINE(readability-function-size): GnuTLS says how many arguments there are */
int net_tls_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                     gnutls_pcert_st **certs, unsigned *certs_length, gnutls_ocsp_data_st **ocsp,
                     unsigned *ocsp_length, gnutls_privkey_t *key, unsigned *flags)
{
	struct identity *id;
	int rc = 0;

	(void)info;
	if (served == NULL)
		return -1;
	id = identity_get(served);
	/* Asked for, not required: who has none is told so in words, and probes may come without.
	 */
	gnutls_certificate_server_set_request(session, id->trust != NULL ? GNUTLS_CERT_REQUEST
	                                                                 : GNUTLS_CERT_IGNORE);
	*certs_length = id->chain_len;
	*certs = copy_chain(id);
	*key = *certs != NULL ? copy_key(id) : NULL;
	*ocsp = NULL;
	*ocsp_length = 0;
	*flags |= GNUTLS_CERT_RETR_DEINIT_ALL;
	if (*key == NULL) {
		free_chain(*certs, *certs != NULL ? id->chain_len : 0);
		rc = -1;
	}
	identity_put(id);
	return rc;
}

/* ---- clients --------------------------------------------------------------------------------- */

static const char *text_of(unsigned status)
{
	static const struct {
		unsigned bit;
		const char *text;
	} texts[] = {
		{ GNUTLS_CERT_SIGNER_NOT_FOUND, "client certificate: not of listen.tls.clientCA" },
		{ GNUTLS_CERT_EXPIRED, "client certificate: expired" },
		{ GNUTLS_CERT_NOT_ACTIVATED, "client certificate: not valid yet" },
		{ GNUTLS_CERT_PURPOSE_MISMATCH, "client certificate: not for clients" },
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(texts); i++) {
		if ((status & texts[i].bit) != 0)
			return texts[i].text;
	}
	return "client certificate: not valid";
}

static const char *verify(const struct identity *id, gnutls_session_t session)
{
	char purpose[] = GNUTLS_KP_TLS_WWW_CLIENT;
	gnutls_typed_vdata_st data = { .type = GNUTLS_DT_KEY_PURPOSE_OID };
	gnutls_x509_crt_t chain[CHAIN_MAX];
	const char *why = "client certificate: not readable";
	unsigned status = GNUTLS_CERT_INVALID;
	unsigned count = 0;
	unsigned read = 0;
	const gnutls_datum_t *peer = gnutls_certificate_get_peers(session, &count);

	data.data = (unsigned char *)purpose;
	if (peer == NULL || count == 0)
		return "client certificate: none was sent, want one of listen.tls.clientCA";
	for (; read < count && read < CHAIN_MAX; read++) {
		if (gnutls_x509_crt_init(&chain[read]) != 0)
			goto out;
		if (gnutls_x509_crt_import(chain[read], &peer[read], GNUTLS_X509_FMT_DER) != 0) {
			gnutls_x509_crt_deinit(chain[read]);
			goto out;
		}
	}
	if (gnutls_x509_trust_list_verify_crt2(id->trust, chain, read, &data, 1, 0, &status,
	                                       NULL) == 0)
		why = status == 0 ? NULL : text_of(status);
out:
	while (read > 0)
		gnutls_x509_crt_deinit(chain[--read]);
	return why;
}

const char *net_tls_refuse(struct km_tls *t, gnutls_session_t session, int64_t now_ns,
                           struct net_proof *proof)
{
	struct identity *id = identity_get(t);
	const char *why = NULL;

	if (id->trust != NULL &&
	    (proof->number != id->number || now_ns - proof->since_ns > PROOF_NS)) {
		why = verify(id, session);
		proof->number = why == NULL ? id->number : 0;
		proof->since_ns = now_ns;
	}
	identity_put(id);
	return why;
}
