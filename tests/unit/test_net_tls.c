/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS of the server and of the client, against each other: who is let in, who is believed, and
 * certificates that change while connections are made.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/base/macros.h"
#include "km/net/client.h"

#include "support/http_server.h"
#include "support/pki.h"
#include "support/tree.h"

static struct {
	struct tree tree;
	char cert[96], key[96], client_ca[96];
	struct pki ca;      /* of the server */
	struct pki foreign; /* a CA that nobody trusts */
	struct pki clients; /* the CA of clients */
	struct pki server;
	char *ca_pem, *foreign_pem;
} world;

static int make_world(void **state)
{
	(void)state;
	tree_init(&world.tree);
	(void)snprintf(world.cert, sizeof(world.cert), "%s/tls.crt", world.tree.root);
	(void)snprintf(world.key, sizeof(world.key), "%s/tls.key", world.tree.root);
	(void)snprintf(world.client_ca, sizeof(world.client_ca), "%s/ca.crt", world.tree.root);
	pki_make(&(struct pki_options){ .name = "CA" }, &world.ca);
	pki_make(&(struct pki_options){ .name = "foreign CA" }, &world.foreign);
	pki_make(&(struct pki_options){ .name = "clients' CA" }, &world.clients);
	pki_make(&(struct pki_options){ .name = "server",
	                                .issuer = &world.ca,
	                                .host = "kubemarla.test",
	                                .purpose = GNUTLS_KP_TLS_WWW_SERVER },
	         &world.server);
	pki_write(&world.clients, world.client_ca, NULL);
	world.ca_pem = pki_cert_pem(&world.ca);
	world.foreign_pem = pki_cert_pem(&world.foreign);
	return 0;
}

static int drop_world(void **state)
{
	(void)state;
	free(world.ca_pem);
	free(world.foreign_pem);
	pki_free(&world.ca);
	pki_free(&world.foreign);
	pki_free(&world.clients);
	pki_free(&world.server);
	tree_fini(&world.tree);
	return 0;
}

static struct km_tls *open_tls(bool clients_prove)
{
	const struct km_tls_files files = { world.cert, world.key,
		                            clients_prove ? world.client_ca : "" };
	struct km_err err = { .code = 0 };
	struct km_tls *t;

	pki_write(&world.server, world.cert, world.key);
	if (km_tls_open(&files, &t, &err) != 0)
		fail_msg("%s", err.text);
	return t;
}

static bool is_probe(void *ctx, const struct km_http_request *req)
{
	(void)ctx;
	return strcmp(req->path, "/healthz") == 0;
}

static void start(struct http_server *s, struct km_tls *t)
{
	struct km_server_options o = http_server_options();

	o.tls = t;
	o.open = is_probe;
	http_server_start(s, &o);
}

/* One request on a connection of its own. */
static int ask(const struct http_server *s, const struct km_client_tls *tls, const char *path,
               struct km_buf *out, struct km_err *err)
{
	const struct km_client_options o = { .tls = tls };
	struct km_client *c;
	char url[128];
	int rc;

	assert_int_equal(km_client_create(&o, &c, err), 0);
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%d%s", s->at.port, path);
	km_buf_clear(out);
	rc = km_client_do(c, url, NULL, 0, out, err);
	km_client_free(c);
	return rc;
}

/* ---- the client believes --------------------------------------------------------------------- */

static void the_client_believes_whom_it_was_told_to(void **state)
{
	const struct {
		struct km_client_tls tls;
		int want;
		const char *why;
	} rows[] = {
		{ { .ca_pem = world.ca_pem, .server_name = "kubemarla.test" }, 200, "its CA" },
		{ { .ca_pem = world.ca_pem }, -EKEYREJECTED, "not the address's certificate" },
		{ { .ca_pem = world.ca_pem, .server_name = "other.test" },
		  -EKEYREJECTED,
		  "another name" },
		{ { .ca_pem = world.foreign_pem, .server_name = "kubemarla.test" },
		  -EKEYREJECTED,
		  "another CA" },
		{ { .server_name = "kubemarla.test" }, -EKEYREJECTED, "the system's roots" },
		{ { .ca_file = "/nonexistent", .server_name = "kubemarla.test" },
		  -ENOKEY,
		  "no such CA file" },
		{ { .ca_pem = world.ca_pem,
		    .cert_file = "/nonexistent",
		    .key_file = "/nonexistent",
		    .server_name = "kubemarla.test" },
		  -ENOKEY,
		  "no such certificate of ours" },
		{ { .insecure = true }, 200, "told to believe anyone" },
	};
	struct km_tls *t = open_tls(false);
	struct km_err err = { .code = 0 };
	struct http_server s;
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	start(&s, t);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int rc = ask(&s, &rows[i].tls, "/a", &out, &err);

		if (rc != rows[i].want)
			fail_msg("%s: %d %s, want %d", rows[i].why, rc, err.text, rows[i].want);
	}
	http_server_stop(&s);
	km_tls_free(t);
	km_buf_fini(&out);
}

static void plain_and_tls_do_not_talk(void **state)
{
	struct km_tls *t = open_tls(false);
	struct km_err err = { .code = 0 };
	struct http_server tls;
	struct http_server plain;
	struct km_server_options o = http_server_options();
	struct km_client *c;
	struct km_buf out;
	char url[64];

	(void)state;
	km_buf_init(&out);
	start(&tls, t);
	http_server_start(&plain, &o);
	assert_int_equal(km_client_create(NULL, &c, &err), 0);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/", tls.at.port);
	assert_int_equal(km_client_do(c, url, NULL, 0, &out, &err), -EPROTO);
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/", plain.at.port);
	assert_int_equal(km_client_do(c, url, NULL, 0, &out, &err), -EPROTO);
	km_client_free(c);
	http_server_stop(&tls);
	http_server_stop(&plain);
	km_tls_free(t);
	km_buf_fini(&out);
}

/* ---- the server lets in ---------------------------------------------------------------------- */

static void clients_prove_who_they_are(void **state)
{
	const struct {
		struct pki_options cert; /* without a name: none is sent */
		const char *path;
		int want;
		const char *says;
	} rows[] = {
		{ { .name = "good", .issuer = &world.clients }, "/a", 200, "GET /a" },
		{ { .name = "for clients",
		    .issuer = &world.clients,
		    .purpose = GNUTLS_KP_TLS_WWW_CLIENT },
		  "/a",
		  200,
		  "GET /a" },
		{ { .name = NULL }, "/a", 403, "none was sent" },
		{ { .name = NULL }, "/healthz", 200, "GET /healthz" },
		{ { .name = "foreign", .issuer = &world.foreign }, "/a", 403, "not of listen.tls" },
		{ { .name = "server's CA", .issuer = &world.ca }, "/a", 403, "not of listen.tls" },
		{ { .name = "own CA" }, "/a", 403, "not of listen.tls" },
		{ { .name = "expired", .issuer = &world.clients, .from_s = -7200, .until_s = -60 },
		  "/a",
		  403,
		  "expired" },
		{ { .name = "early", .issuer = &world.clients, .from_s = 1800 },
		  "/a",
		  403,
		  "not valid yet" },
		{ { .name = "a server",
		    .issuer = &world.clients,
		    .purpose = GNUTLS_KP_TLS_WWW_SERVER },
		  "/a",
		  403,
		  "not for clients" },
		{ { .name = "expired", .issuer = &world.clients, .from_s = -7200, .until_s = -60 },
		  "/healthz",
		  200,
		  "GET /healthz" },
	};
	struct km_tls *t = open_tls(true);
	struct km_err err = { .code = 0 };
	struct http_server s;
	struct km_buf out;
	unsigned refused = 0;
	char line[128];

	(void)state;
	km_buf_init(&out);
	start(&s, t);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_client_tls tls = { .ca_pem = world.ca_pem,
			                     .server_name = "kubemarla.test" };
		char *cert = NULL;
		char *key = NULL;
		int rc;

		if (rows[i].cert.name != NULL) {
			struct pki client;

			pki_make(&rows[i].cert, &client);
			cert = pki_cert_pem(&client);
			key = pki_key_pem(&client);
			pki_free(&client);
			tls.cert_pem = cert;
			tls.key_pem = key;
		}
		rc = ask(&s, &tls, rows[i].path, &out, &err);
		if (rc != rows[i].want || strstr(km_buf_cstr(&out), rows[i].says) == NULL)
			fail_msg("row %zu: %d \"%s\" %s", i, rc, km_buf_cstr(&out), err.text);
		refused += rc == 403;
		free(cert);
		free(key);
	}
	(void)snprintf(line, sizeof(line),
	               "kubemarla_http_refused_total{listener=\"test\",reason=\"certificate\"} %u",
	               refused);
	assert_true(http_server_wait_metric(&s, line));
	http_server_stop(&s);
	km_tls_free(t);
	km_buf_fini(&out);
}

static void a_client_is_let_in_once_its_ca_is_trusted(void **state)
{
	struct km_client_tls tls = { .ca_pem = world.ca_pem, .server_name = "kubemarla.test" };
	struct km_tls *t = open_tls(true);
	const struct km_client_options o = { .tls = &tls };
	struct km_err err = { .code = 0 };
	struct km_client *c;
	struct pki client;
	struct http_server s;
	struct km_buf out;
	char *cert;
	char *key;
	char url[64];

	(void)state;
	km_buf_init(&out);
	pki_make(&(struct pki_options){ .name = "x", .issuer = &world.foreign }, &client);
	cert = pki_cert_pem(&client);
	key = pki_key_pem(&client);
	tls.cert_pem = cert;
	tls.key_pem = key;
	start(&s, t);
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/a", s.at.port);
	assert_int_equal(km_client_create(&o, &c, &err), 0);
	assert_int_equal(km_client_do(c, url, NULL, 0, &out, &err), 403);
	pki_write(&world.foreign, world.client_ca, NULL);
	assert_int_equal(km_tls_look(t, false, &err), 1);
	assert_int_equal(km_client_do(c, url, NULL, 0, &out, &err), 200);
	pki_write(&world.clients, world.client_ca, NULL);
	assert_int_equal(km_tls_look(t, false, &err), 1);
	/* The connection stayed, and what it proved is proved no more. */
	assert_int_equal(km_client_do(c, url, NULL, 0, &out, &err), 403);
	km_client_free(c);
	http_server_stop(&s);
	km_tls_free(t);
	pki_free(&client);
	free(cert);
	free(key);
	km_buf_fini(&out);
}

/* What a client says that never gets as far as a request. */
static void handshakes_that_fail_or_hang_leave_nothing(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *why;
	} rows[] = {
		{ "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, "no TLS" },
		{ "\x16\x03\x01\xff\xff\x01\xff\xff\xff\x03\x03", 11, "a record too large" },
		{ "\x15\x03\x03\x00\x02\x02\x28", 7, "an alert" },
		{ "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11, "a part of a hello" },
		{ "", 0, "nothing" },
	};
	struct km_tls *t = open_tls(true);
	struct km_server_options o = http_server_options();
	struct http_server s;

	(void)state;
	o.tls = t;
	o.request_deadline_ns = 200 * KM_NS_PER_MS;
	http_server_start(&s, &o);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int fd = daemon_connect(&s.at);

		assert_true(fd >= 0);
		assert_true(wire_send(fd, rows[i].bytes, rows[i].len));
		if (http_closed_after_ms(fd, WIRE_PATIENCE_MS) < 0)
			fail_msg("%s: the connection stays", rows[i].why);
		(void)close(fd);
	}
	assert_true(http_server_wait_metric(&s, "kubemarla_http_connections{listener=\"test\"} 0"));
	http_server_stop(&s);
	km_tls_free(t);
}

/* ---- rotation -------------------------------------------------------------------------------- */

struct asker {
	const struct http_server *s;
	atomic_bool end;
	unsigned answers;
	unsigned failures;
	char text[KM_ERR_TEXT_MAX];
};

static void *ask_on(void *arg)
{
	const struct km_client_tls tls = { .ca_pem = world.ca_pem,
		                           .server_name = "kubemarla.test" };
	struct asker *a = arg;
	struct km_buf out;

	km_buf_init(&out);
	while (!atomic_load(&a->end)) {
		struct km_err err = { .code = 0 };

		if (ask(a->s, &tls, "/a", &out, &err) == 200) {
			a->answers++;
		} else {
			a->failures++;
			memcpy(a->text, err.text, sizeof(a->text));
		}
	}
	km_buf_fini(&out);
	return NULL;
}

static void certificates_rotate_under_load(void **state)
{
	struct km_tls *t = open_tls(false);
	struct km_err err = { .code = 0 };
	struct asker askers[2];
	pthread_t thread[2];
	struct http_server s;

	(void)state;
	start(&s, t);
	for (size_t i = 0; i < 2; i++) {
		askers[i] = (struct asker){ .s = &s };
		assert_int_equal(pthread_create(&thread[i], NULL, ask_on, &askers[i]), 0);
	}
	for (int64_t i = 1; i <= 20; i++) {
		struct pki fresh;

		pki_make(&(struct pki_options){ .name = "server",
		                                .issuer = &world.ca,
		                                .host = "kubemarla.test",
		                                .until_s = 3600 + 100 * i },
		         &fresh);
		/* The pair cannot be written at once: what is seen in between is refused. */
		pki_write(&fresh, world.cert, NULL);
		assert_int_equal(km_tls_look(t, false, &err), -EINVAL);
		assert_non_null(strstr(err.text, "listen.tls.key"));
		assert_int_equal(km_tls_look(t, false, &err), 0);
		pki_write(&fresh, NULL, world.key);
		assert_int_equal(km_tls_look(t, false, &err), 1);
		assert_true(km_tls_expires_s(t) - (int64_t)time(NULL) >= 3500 + 100 * i);
		pki_free(&fresh);
	}
	for (size_t i = 0; i < 2; i++) {
		atomic_store(&askers[i].end, true);
		assert_int_equal(pthread_join(thread[i], NULL), 0);
		if (askers[i].failures > 0 || askers[i].answers == 0)
			fail_msg("%u answers, %u failures: %s", askers[i].answers,
			         askers[i].failures, askers[i].text);
	}
	http_server_stop(&s);
	km_tls_free(t);
}

static void bad_files_are_refused_and_the_old_serve_on(void **state)
{
	static const char no_pem[] = "no PEM\n";
	struct km_tls *t = open_tls(true);
	const struct km_client_tls tls = { .insecure = true };
	struct km_err err = { .code = 0 };
	struct http_server s;
	struct pki other;
	struct km_buf out;
	const struct {
		const char *path;
		const char *bytes; /* NULL = the file is gone */
		int want;
		const char *says;
	} rows[] = {
		{ world.cert, no_pem, -EINVAL, "listen.tls.cert: " },
		{ world.cert, "", -EINVAL, "listen.tls.cert: " },
		{ world.cert, NULL, -ENOENT, "listen.tls.cert: " },
		{ world.key, no_pem, -EINVAL, "listen.tls.key: " },
		{ world.key, NULL, -ENOENT, "listen.tls.key: " },
		{ world.client_ca, no_pem, -EINVAL, "listen.tls.clientCA: " },
		{ world.client_ca, NULL, -ENOENT, "listen.tls.clientCA: " },
	};

	(void)state;
	km_buf_init(&out);
	start(&s, t);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int rc;

		if (rows[i].bytes == NULL)
			rc = unlink(rows[i].path);
		else
			rc = km_file_write_atomic(rows[i].path, rows[i].bytes,
			                          strlen(rows[i].bytes), &err);
		assert_int_equal(rc, 0);
		rc = km_tls_look(t, false, &err);
		if (rc != rows[i].want ||
		    strncmp(err.text, rows[i].says, strlen(rows[i].says)) != 0)
			fail_msg("row %zu: %d %s", i, rc, err.text);
		assert_int_equal(km_tls_look(t, false, &err), 0); /* said once */
		assert_int_equal(km_tls_look(t, true, &err), rows[i].want);
		assert_int_equal(ask(&s, &tls, "/healthz", &out, &err), 200);
		pki_write(&world.server, world.cert, world.key);
		pki_write(&world.clients, world.client_ca, NULL);
		assert_int_equal(km_tls_look(t, false, &err), 1);
	}
	pki_make(&(struct pki_options){ .name = "other" }, &other);
	pki_write(&other, NULL, world.key);
	assert_int_equal(km_tls_look(t, false, &err), -EINVAL);
	assert_non_null(strstr(err.text, "want the key of the certificate"));
	pki_free(&other);
	http_server_stop(&s);
	km_tls_free(t);
	km_buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_client_believes_whom_it_was_told_to),
		cmocka_unit_test(plain_and_tls_do_not_talk),
		cmocka_unit_test(clients_prove_who_they_are),
		cmocka_unit_test(a_client_is_let_in_once_its_ca_is_trusted),
		cmocka_unit_test(handshakes_that_fail_or_hang_leave_nothing),
		cmocka_unit_test(certificates_rotate_under_load),
		cmocka_unit_test(bad_files_are_refused_and_the_old_serve_on),
	};

	return cmocka_run_group_tests_name("TLS", tests, make_world, drop_world);
}
