/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon behind TLS: who may ask what on which listener, and certificates that change. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/net/client.h"

#include "support/daemon.h"
#include "support/pki.h"
#include "support/tool.h"

static const char ask_ab[] = "{\"Pod\":{\"metadata\":{\"name\":\"p\"}},\"Nodes\":null,"
			     "\"NodeNames\":[\"a\",\"b\"]}";

static struct {
	struct pki ca, clients, server, client;
	char *ca_pem, *client_cert, *client_key;
} world;

static int make_world(void **state)
{
	(void)state;
	pki_make(&(struct pki_options){ .name = "CA" }, &world.ca);
	pki_make(&(struct pki_options){ .name = "clients' CA" }, &world.clients);
	pki_make(
		&(struct pki_options){ .name = "server", .issuer = &world.ca, .host = "127.0.0.1" },
		&world.server);
	pki_make(&(struct pki_options){ .name = "scheduler", .issuer = &world.clients },
	         &world.client);
	world.ca_pem = pki_cert_pem(&world.ca);
	world.client_cert = pki_cert_pem(&world.client);
	world.client_key = pki_key_pem(&world.client);
	return 0;
}

static int drop_world(void **state)
{
	(void)state;
	free(world.ca_pem);
	free(world.client_cert);
	free(world.client_key);
	pki_free(&world.ca);
	pki_free(&world.clients);
	pki_free(&world.server);
	pki_free(&world.client);
	return 0;
}

static void write_pair(const struct daemon *d, const struct pki *cert, const struct pki *key)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/tls.crt", d->dir);
	pki_write(cert, path, NULL);
	(void)snprintf(path, sizeof(path), "%s/tls.key", d->dir);
	pki_write(key, NULL, path);
	(void)snprintf(path, sizeof(path), "%s/ca.crt", d->dir);
	pki_write(&world.clients, path, NULL);
}

static bool start(struct daemon *d, const char *more)
{
	char config[1024];

	(void)snprintf(config, sizeof(config),
	               "nodes: [{name: a, cpus: 0-1}, {name: b, cpus: 2-3}]\n"
	               "model: {path: \"\"}\n"
	               "listen: {tls: {cert: %s/tls.crt, key: %s/tls.key, clientCA: %s/ca.crt}}\n"
	               "%s",
	               d->dir, d->dir, d->dir, more);
	daemon_write(d, "kubemarla.yaml", config);
	return daemon_start(d);
}

static int observe_port(struct daemon *d)
{
	const char *at;

	assert_true(daemon_wait_log(d, 0, "observing address="));
	at = strstr(strstr(d->text, "observing address="), "port=");
	assert_non_null(at);
	return (int)strtol(at + strlen("port="), NULL, 10);
}

/* On a connection of its own. */
static int ask(int port, bool with_certificate, const char *path, const char *body,
               struct km_buf *out)
{
	const struct km_client_tls tls = {
		.ca_pem = world.ca_pem,
		.cert_pem = with_certificate ? world.client_cert : NULL,
		.key_pem = with_certificate ? world.client_key : NULL,
	};
	const struct km_client_options o = { .tls = &tls };
	struct km_err err = { .code = 0 };
	struct km_client *c;
	char url[128];
	int rc;

	assert_int_equal(km_client_create(&o, &c, &err), 0);
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%d%s", port, path);
	km_buf_clear(out);
	rc = km_client_do(c, url, body, body != NULL ? strlen(body) : 0, out, &err);
	km_client_free(c);
	if (rc < 0)
		print_error("%s\n", err.text);
	return rc;
}

static void who_may_ask_what(void **state)
{
	static const struct {
		bool observe;
		bool certificate;
		const char *path;
		const char *body;
		int want;
	} rows[] = {
		{ false, true, "/prioritize", ask_ab, 200 },
		{ false, true, "/metrics", NULL, 200 },
		{ false, false, "/prioritize", ask_ab, 403 },
		{ false, false, "/healthz", NULL, 403 },
		{ true, true, "/metrics", NULL, 200 },
		{ true, true, "/v1/features", NULL, 200 },
		{ true, true, "/prioritize", ask_ab, 404 },
		{ true, false, "/healthz", NULL, 200 },
		{ true, false, "/readyz", NULL, 200 },
		{ true, false, "/metrics", NULL, 403 },
		{ true, false, "/v1/features", NULL, 403 },
	};
	struct daemon *d = *state;
	struct km_buf out;
	int port;

	km_buf_init(&out);
	write_pair(d, &world.server, &world.server);
	if (!start(d, "observe: {address: 127.0.0.1, port: 0, tls: true}\n"))
		fail_msg("not ready:\n%s", d->text);
	port = observe_port(d);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int rc = ask(rows[i].observe ? port : d->port, rows[i].certificate, rows[i].path,
		             rows[i].body, &out);

		if (rc != rows[i].want)
			fail_msg("row %zu: %d %s", i, rc, km_buf_cstr(&out));
		if (rc == 403)
			assert_non_null(strstr(km_buf_cstr(&out), "\"code\":\"forbidden\""));
	}
	km_buf_fini(&out);
}

static void the_tool_asks_it_too(void **state)
{
	static const struct {
		bool ca, certificate;
		int code;
		const char *says;
	} rows[] = {
		{ true, true, 0, "NODE" },
		{ true, false, 1, "status 403: client certificate: none was sent" },
		{ false, true, 1, "--ca FILE names the CA" },
	};
	struct daemon *d = *state;
	struct tool_result r;
	char url[64];
	char ca[128];
	char cert[128];
	char key[128];

	write_pair(d, &world.server, &world.server);
	daemon_write(d, "server-ca.crt", world.ca_pem);
	daemon_write(d, "me.crt", world.client_cert);
	daemon_write(d, "me.key", world.client_key);
	if (!start(d, ""))
		fail_msg("not ready:\n%s", d->text);
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%d", d->port);
	(void)snprintf(ca, sizeof(ca), "%s/server-ca.crt", d->dir);
	(void)snprintf(cert, sizeof(cert), "%s/me.crt", d->dir);
	(void)snprintf(key, sizeof(key), "%s/me.key", d->dir);
	tool_result_init(&r);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		const char *args[12] = { "top", "-s", url };
		size_t n = 3;

		if (rows[i].ca) {
			args[n++] = "--ca";
			args[n++] = ca;
		}
		if (rows[i].certificate) {
			args[n++] = "--cert";
			args[n++] = cert;
			args[n++] = "--key";
			args[n++] = key;
		}
		args[n] = NULL;
		tool_run(args, NULL, 0, &r);
		tool_want_code(&r, rows[i].code);
		tool_want_text(rows[i].code == 0 ? r.out.data : r.err.data, rows[i].says);
	}
	tool_result_fini(&r);
}

static void observe_is_plain_unless_told(void **state)
{
	struct daemon *d = *state;
	struct answer a;
	struct daemon plain;

	write_pair(d, &world.server, &world.server);
	if (!start(d, "observe: {address: 127.0.0.1, port: 0}\n"))
		fail_msg("not ready:\n%s", d->text);
	plain = *d;
	plain.port = observe_port(d);
	daemon_request(&plain, "GET", "/metrics", NULL, &a);
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.body, "kubemarla_tls_certificate_expiry_seconds 1"));
	answer_fini(&a);
}

static void a_rotated_certificate_is_taken_up(void **state)
{
	struct daemon *d = *state;
	struct pki fresh;
	struct pki other;
	struct km_buf out;
	size_t seen;

	km_buf_init(&out);
	write_pair(d, &world.server, &world.server);
	if (!start(d, ""))
		fail_msg("not ready:\n%s", d->text);
	pki_make(
		&(struct pki_options){ .name = "server", .issuer = &world.ca, .host = "127.0.0.1" },
		&fresh);
	pki_make(&(struct pki_options){ .name = "other" }, &other);
	seen = d->len;
	write_pair(d, &fresh, &fresh);
	assert_true(daemon_wait_log(d, seen, "certificates taken up"));
	assert_int_equal(ask(d->port, true, "/metrics", NULL, &out), 200);
	/* A pair that does not match, by the timer and by SIGHUP. */
	seen = d->len;
	write_pair(d, &fresh, &other);
	assert_true(daemon_wait_log(d, seen, "certificates refused"));
	seen = d->len;
	daemon_signal(d, SIGHUP);
	assert_true(daemon_wait_log(d, seen, "certificates refused"));
	assert_int_equal(ask(d->port, true, "/metrics", NULL, &out), 200);
	assert_non_null(strstr(km_buf_cstr(&out), "kubemarla_tls_loads_total{result=\"refused\"}"));
	pki_free(&fresh);
	pki_free(&other);
	km_buf_fini(&out);
}

static void a_bad_pair_at_start_is_one_line(void **state)
{
	struct daemon *d = *state;

	write_pair(d, &world.server, &world.client);
	assert_false(start(d, ""));
	assert_int_equal(daemon_exit_code(d), 1);
	assert_non_null(strstr(d->text, "want the key of the certificate"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_may_ask_what, daemon_set_up, daemon_tear_down),
		cmocka_unit_test_setup_teardown(the_tool_asks_it_too, daemon_set_up,
		                                daemon_tear_down),
		cmocka_unit_test_setup_teardown(observe_is_plain_unless_told, daemon_set_up,
		                                daemon_tear_down),
		cmocka_unit_test_setup_teardown(a_rotated_certificate_is_taken_up, daemon_set_up,
		                                daemon_tear_down),
		cmocka_unit_test_setup_teardown(a_bad_pair_at_start_is_one_line, daemon_set_up,
		                                daemon_tear_down),
	};

	return cmocka_run_group_tests_name("TLS of the daemon", tests, make_world, drop_world);
}
