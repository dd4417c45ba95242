/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kubeconfig's certificates on the wire: whom we believe, and who we are, however they are given.
 * The server is our own; it answers everybody whose certificate it accepts, and 403 to others.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/kube/api.h"
#include "km/net/tls.h"

#include "support/http_server.h"
#include "support/pki.h"
#include "support/tree.h"

static struct {
	struct tree tree;
	struct pki ca, clients, server, me, stranger;
	struct km_tls *tls;
	struct http_server http;
	char *base64[3]; /* of ca.crt, me.crt, me.key */
} world;

static void path_of(const char *name, char out[128])
{
	(void)snprintf(out, 128, "%s/%s", world.tree.root, name);
}

static char *base64_of(const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
	size_t len = strlen(text);
	char *out = calloc(1, len / 3 * 4 + 8);
	char *p = out;

	assert_non_null(out);
	for (size_t i = 0; i < len; i += 3) {
		unsigned bits = (unsigned)(unsigned char)text[i] << 16;

		if (i + 1 < len)
			bits |= (unsigned)(unsigned char)text[i + 1] << 8;
		if (i + 2 < len)
			bits |= (unsigned char)text[i + 2];
		*p++ = digits[bits >> 18];
		*p++ = digits[bits >> 12 & 63];
		*p++ = digits[i + 1 < len ? bits >> 6 & 63 : 64];
		*p++ = digits[i + 2 < len ? bits & 63 : 64];
	}
	return out;
}

static void make_certificates(void)
{
	char path[128];
	char key[128];
	char *text;

	pki_make(&(struct pki_options){ .name = "CA" }, &world.ca);
	pki_make(&(struct pki_options){ .name = "clients' CA" }, &world.clients);
	pki_make(&(struct pki_options){ .name = "server",
	                                .issuer = &world.ca,
	                                .host = "kubernetes.test",
	                                .purpose = GNUTLS_KP_TLS_WWW_SERVER },
	         &world.server);
	pki_make(&(struct pki_options){ .name = "me",
	                                .issuer = &world.clients,
	                                .purpose = GNUTLS_KP_TLS_WWW_CLIENT },
	         &world.me);
	pki_make(&(struct pki_options){ .name = "stranger",
	                                .issuer = &world.ca,
	                                .purpose = GNUTLS_KP_TLS_WWW_CLIENT },
	         &world.stranger);
	path_of("ca.crt", path);
	pki_write(&world.ca, path, NULL);
	path_of("me.crt", path);
	path_of("me.key", key);
	pki_write(&world.me, path, key);
	path_of("stranger.crt", path);
	path_of("stranger.key", key);
	pki_write(&world.stranger, path, key);
	text = pki_cert_pem(&world.ca);
	world.base64[0] = base64_of(text);
	free(text);
	text = pki_cert_pem(&world.me);
	world.base64[1] = base64_of(text);
	free(text);
	text = pki_key_pem(&world.me);
	world.base64[2] = base64_of(text);
	free(text);
}

static int make_world(void **state)
{
	struct km_server_options o = http_server_options();
	struct km_err err = { .code = 0 };
	char clients[128];
	char cert[128];
	char key[128];

	(void)state;
	tree_init(&world.tree);
	make_certificates();
	path_of("clients.crt", clients);
	path_of("tls.crt", cert);
	path_of("tls.key", key);
	pki_write(&world.clients, clients, NULL);
	pki_write(&world.server, cert, key);
	if (km_tls_open(&(struct km_tls_files){ cert, key, clients }, &world.tls, &err) != 0) {
		fail_msg("%s", err.text);
	}
	o.tls = world.tls;
	http_server_start(&world.http, &o);
	return 0;
}

static int drop_world(void **state)
{
	(void)state;
	http_server_stop(&world.http);
	km_tls_free(world.tls);
	for (size_t i = 0; i < KM_ARRAY_LEN(world.base64); i++)
		free(world.base64[i]);
	pki_free(&world.ca);
	pki_free(&world.clients);
	pki_free(&world.server);
	pki_free(&world.me);
	pki_free(&world.stranger);
	tree_fini(&world.tree);
	return 0;
}

/* Asks with a kubeconfig of these parts. */
static int ask_with(const char *cluster, const char *user, struct km_err *err)
{
	struct km_kubernetes_settings settings = { 0 };
	struct km_kube_credentials *credentials;
	struct km_kube *k;
	char path[128];
	int rc;

	tree_put(&world.tree, "config",
	         "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
	         "clusters:\n- name: c\n  cluster:\n    server: https://127.0.0.1:%d\n%s"
	         "users:\n- name: u\n  user:\n    token: abc\n%s",
	         world.http.at.port, cluster, user);
	path_of("config", path);
	settings.kubeconfig = path;
	if (km_kube_credentials_find(&settings, &credentials, err) != 0) {
		fail_msg("%s", err->text);
	}
	assert_int_equal(km_kube_create(credentials, NULL, &k, err), 0);
	rc = km_kube_ask(k, "GET", "/api/v1/pods", NULL, NULL, err);
	km_kube_free(k);
	km_kube_credentials_free(credentials);
	return rc;
}

#define BY_NAME "    tls-server-name: kubernetes.test\n"
#define CA_FILE "    certificate-authority: ca.crt\n"
#define ME_FILE "    client-certificate: me.crt\n    client-key: me.key\n"

static void the_server_is_believed_by_its_certificate(void **state)
{
	static const struct {
		const char *cluster;
		int want;
		const char *why;
	} rows[] = {
		{ CA_FILE BY_NAME, 200, "by file and name" },
		{ CA_FILE, -EKEYREJECTED, "a certificate for another name" },
		{ BY_NAME, -EKEYREJECTED, "a CA that nobody named" },
		{ "    certificate-authority: me.crt\n" BY_NAME, -EKEYREJECTED, "another CA" },
		{ "    insecure-skip-tls-verify: true\n", 200, "not looked at" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_err err = { .code = 0 };
		int rc = ask_with(rows[i].cluster, ME_FILE, &err);

		if (rc != rows[i].want) {
			fail_msg("%s: %d %s", rows[i].why, rc, err.text);
		}
	}
}

static void we_are_who_our_certificate_says(void **state)
{
	static const struct {
		const char *user;
		int want;
	} rows[] = {
		{ ME_FILE, 200 },
		{ "", 403 },
		{ "    client-certificate: stranger.crt\n    client-key: stranger.key\n", 403 },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_err err = { .code = 0 };
		int rc = ask_with(CA_FILE BY_NAME, rows[i].user, &err);

		if (rc != rows[i].want) {
			fail_msg("%s: %d %s", rows[i].user, rc, err.text);
		}
	}
}

static void certificates_in_the_file_do_as_well(void **state)
{
	struct km_err err = { .code = 0 };
	struct km_buf cluster;
	struct km_buf user;
	int rc;

	(void)state;
	km_buf_init(&cluster);
	km_buf_init(&user);
	km_buf_printf(&cluster, "    certificate-authority-data: %s\n" BY_NAME, world.base64[0]);
	km_buf_printf(&user, "    client-certificate-data: %s\n    client-key-data: %s\n",
	              world.base64[1], world.base64[2]);
	rc = ask_with(km_buf_cstr(&cluster), km_buf_cstr(&user), &err);
	if (rc != 200) {
		fail_msg("%d %s", rc, err.text);
	}
	km_buf_fini(&cluster);
	km_buf_fini(&user);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_server_is_believed_by_its_certificate),
		cmocka_unit_test(we_are_who_our_certificate_says),
		cmocka_unit_test(certificates_in_the_file_do_as_well),
	};

	return cmocka_run_group_tests(tests, make_world, drop_world);
}
