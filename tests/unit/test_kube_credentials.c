/* SPDX-License-Identifier: Apache-2.0 */
/* Where credentials come from, and what of them is refused with which words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"

#include "kube/kube_internal.h"

static char dir[64];
static char account[96];

static void write_file(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void remove_file(const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(remove(path), 0);
}

static int set_up(void **state)
{
	char command[256];

	(void)state;
	strcpy(dir, "/tmp/km-test-kube-XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(account, sizeof(account), "%s/account", dir);
	(void)snprintf(command, sizeof(command), "mkdir %s %s/.kube", account, dir);
	assert_int_equal(system(command), 0);
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
	return 0;
}

static int find(const struct km_kubernetes_settings *settings,
                const struct km_kube_surroundings *at, struct km_kube_credentials **out,
                struct km_err *err)
{
	err->code = 0;
	err->text[0] = '\0';
	return km_kube_credentials_find_at(settings, at, out, err);
}

#define PEM_BASE64                                                                                 \
	"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="
#define PEM "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"

static void a_pod_has_an_account(void **state)
{
	const struct km_kube_surroundings at = { .service_host = "10.96.0.1",
		                                 .service_port = "443",
		                                 .account_dir = account,
		                                 .home = dir };
	const struct km_kube_surroundings six = { .service_host = "fd00::1",
		                                  .service_port = "6443",
		                                  .account_dir = account };
	struct km_kubernetes_settings settings = { 0 };
	struct km_kube_credentials *c;
	struct km_err err;

	(void)state;
	write_file("account/token", " abc\n");
	write_file("account/ca.crt", PEM);
	write_file("account/namespace", "kubemarla-system\n");
	write_file(".kube/config", "broken: [");
	assert_int_equal(find(&settings, &at, &c, &err), 0);
	assert_string_equal(km_kube_credentials_server(c), "https://10.96.0.1:443");
	assert_string_equal(km_kube_credentials_namespace(c), "kubemarla-system");
	assert_string_equal(km_kube_credentials_origin(c), "service account");
	assert_string_equal(km_kube_credentials_warning(c), "");
	assert_null(c->token);
	km_kube_credentials_free(c);
	settings.namespace = (char[]){ "other" };
	assert_int_equal(find(&settings, &six, &c, &err), 0);
	assert_string_equal(km_kube_credentials_server(c), "https://[fd00::1]:6443");
	assert_string_equal(km_kube_credentials_namespace(c), "other");
	km_kube_credentials_free(c);
	/* a part of it missing is a mistake, not "no account" */
	remove_file("account/ca.crt");
	assert_int_equal(find(&settings, &at, &c, &err), -EINVAL);
	assert_non_null(strstr(err.text, "account/ca.crt"));
	write_file("account/token", " \n");
	assert_int_equal(find(&settings, &at, &c, &err), -EINVAL);
	assert_non_null(strstr(err.text, "saw nothing, want a token"));
}

static void without_any_it_says_where_it_looked(void **state)
{
	const struct km_kube_surroundings nowhere = { .home = dir };
	const struct km_kube_surroundings no_token = { .service_host = "h",
		                                       .service_port = "1",
		                                       .account_dir = account };
	struct km_kubernetes_settings settings = { 0 };
	struct km_kube_credentials *c;
	char path[128];
	struct km_err err;

	(void)state;
	assert_int_equal(find(&settings, &nowhere, &c, &err), -ENOENT);
	assert_string_equal(err.text, "no service account: KUBERNETES_SERVICE_HOST and _PORT are "
	                              "not set; and no kubeconfig");
	assert_null(c);
	assert_int_equal(find(&settings, &no_token, &c, &err), -ENOENT);
	assert_non_null(strstr(err.text, "account/token"));
	/* one that is asked for by name has to be there */
	(void)snprintf(path, sizeof(path), "%s/none", dir);
	settings.kubeconfig = path;
	assert_int_equal(find(&settings, &nowhere, &c, &err), -EINVAL);
	assert_non_null(strstr(err.text, "kubernetes.kubeconfig: no file /tmp/"));
}

static const char good[] =
	"apiVersion: v1\nkind: Config\npreferences: {}\ncurrent-context: one\n"
	"clusters:\n"
	"- name: c1\n  cluster:\n    certificate-authority-data: " PEM_BASE64 "\n"
	"    server: https://127.0.0.1:6443/\n    tls-server-name: kubernetes\n"
	"- name: c2\n  cluster: {server: \"http://127.0.0.1:8001\"}\n"
	"- name: c3\n  cluster: {server: \"https://x\", insecure-skip-tls-verify: true}\n"
	"contexts:\n"
	"- name: one\n  context: {cluster: c1, user: u1, namespace: n1}\n"
	"- name: two\n  context: {cluster: c2}\n"
	"- name: three\n  context: {cluster: c3, user: u3}\n"
	"users:\n"
	"- name: u1\n  user:\n    client-certificate-data: " PEM_BASE64 "\n"
	"    client-key: keys/my.pem\n"
	"- name: u3\n  user: {tokenFile: tok, token: old}\n";

static void a_kubeconfig_gives_the_context_asked_for(void **state)
{
	struct km_kube_surroundings at = { .home = dir };
	struct km_kubernetes_settings settings = { 0 };
	struct km_kube_credentials *c;
	char list[256];
	char path[128];
	struct km_err err;

	(void)state;
	write_file(".kube/config", good);
	(void)snprintf(path, sizeof(path), "mkdir %s/.kube/keys", dir);
	assert_int_equal(system(path), 0);
	write_file(".kube/keys/my.pem", PEM);
	write_file(".kube/tok", "secret");
	assert_int_equal(find(&settings, &at, &c, &err), 0);
	assert_string_equal(km_kube_credentials_server(c), "https://127.0.0.1:6443");
	assert_string_equal(km_kube_credentials_namespace(c), "n1");
	assert_string_equal(km_kube_credentials_warning(c), "");
	assert_string_equal(c->ca_pem, PEM);
	assert_string_equal(c->cert_pem, PEM);
	assert_string_equal(c->server_name, "kubernetes");
	(void)snprintf(path, sizeof(path), "%s/.kube/keys/my.pem", dir);
	assert_string_equal(c->key_file, path);
	assert_null(c->token);
	km_kube_credentials_free(c);
	settings.context = (char[]){ "two" };
	assert_int_equal(find(&settings, &at, &c, &err), 0);
	assert_string_equal(km_kube_credentials_namespace(c), "default");
	assert_non_null(strstr(km_kube_credentials_origin(c), ".kube/config, context two"));
	assert_non_null(strstr(km_kube_credentials_warning(c), "without TLS"));
	km_kube_credentials_free(c);
	/* by $KUBECONFIG, whose first file is not there */
	settings.context = (char[]){ "three" };
	(void)snprintf(list, sizeof(list), ":%s/none:%s/.kube/config:%s/x", dir, dir, dir);
	at = (struct km_kube_surroundings){ .kubeconfig = list };
	assert_int_equal(find(&settings, &at, &c, &err), 0);
	assert_true(c->insecure);
	assert_non_null(strstr(km_kube_credentials_warning(c), "insecure-skip-tls-verify"));
	(void)snprintf(path, sizeof(path), "%s/.kube/tok", dir);
	assert_string_equal(c->token_file, path);
	assert_null(c->token);
	km_kube_credentials_free(c);
}

#define CLUSTER    "clusters: [{name: c, cluster: {server: 'https://h'}}]\n"
#define CONTEXT    "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
#define USER(what) "users: [{name: u, user: {" what "}}]\n"

static void a_kubeconfig_is_refused_by_what_is_wrong_in_it(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *words;
	} rows[] = {
		{ "", -EINVAL, "no current-context, want one or kubernetes.context" },
		{ "current-context: y\n", -EINVAL, "contexts: no context \"y\"" },
		{ "current-context: x\ncontexts: [{name: x}]\n", -EINVAL, "no context \"x\"" },
		{ CONTEXT, -EINVAL, "clusters: no cluster \"c\"" },
		{ CONTEXT CLUSTER, -EINVAL, "users: no user \"u\"" },
		{ CONTEXT CLUSTER USER("exec: {command: aws}"), -ENOTSUP,
		  ":4: user: saw exec, want a client certificate, token or tokenFile" },
		{ CONTEXT CLUSTER USER("auth-provider: {name: gcp}"), -ENOTSUP,
		  "saw auth-provider" },
		{ CONTEXT CLUSTER USER("username: a, password: b"), -ENOTSUP, "saw username" },
		{ CONTEXT CLUSTER USER("token: t, as: admin"), -ENOTSUP, "saw as" },
		{ CONTEXT CLUSTER USER("client-certificate-data: '" PEM_BASE64 "'"), -EINVAL,
		  "want client-certificate and client-key together" },
		{ CONTEXT CLUSTER USER("client-certificate-data: '!!!'"), -EINVAL,
		  "client-certificate-data: want PEM in base64" },
		{ CONTEXT CLUSTER USER("client-key-data: 'QUJD'"), -EINVAL,
		  "client-key-data: want PEM in base64" },
		{ CONTEXT CLUSTER USER("client-certificate: none.pem"), -EINVAL, "none.pem" },
		{ CONTEXT CLUSTER USER("tokenFile: none"), -EINVAL, "tokenFile: " },
		{ CONTEXT "clusters: [{name: c, cluster: {server: 'h:1'}}]\n", -EINVAL,
		  "server: saw \"h:1\", want an https:// URL" },
		{ CONTEXT "clusters: [{name: c, cluster: {}}]\n", -EINVAL, "server: saw \"\"" },
		{ CONTEXT
		  "clusters: [{name: c, cluster: {server: 'https://h', proxy-url: 'http://p'}}]",
		  -ENOTSUP, "proxy-url: proxies are not used" },
		{ CONTEXT "clusters: [{name: c, cluster: {server: 'https://h', "
		          "certificate-authority: no.crt}}]\n",
		  -EINVAL, "no.crt" },
		{ "a: [", -EINVAL, "config:" },
		{ "a: &x 1\nb: *x\n", -EINVAL, "config:" },
	};
	const struct km_kube_surroundings at = { .home = dir };
	struct km_kubernetes_settings settings = { 0 };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_kube_credentials *c;
		struct km_err err;
		int rc;

		write_file(".kube/config", rows[i].text);
		rc = find(&settings, &at, &c, &err);
		if (rc != rows[i].rc || err.code != -rc ||
		    strstr(err.text, rows[i].words) == NULL) {
			fail_msg("row %zu: %d %s", i, rc, err.text);
		}
		assert_null(c);
	}
}

static void a_user_who_says_nothing_is_nobody_in_particular(void **state)
{
	static const char *const rows[] = {
		CONTEXT CLUSTER USER(""),
		CONTEXT CLUSTER USER("exec: null, token: ''"),
		CLUSTER "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n",
	};
	const struct km_kube_surroundings at = { .home = dir };
	struct km_kubernetes_settings settings = { 0 };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_kube_credentials *c;
		struct km_err err;

		write_file(".kube/config", rows[i]);
		if (find(&settings, &at, &c, &err) != 0) {
			fail_msg("row %zu: %s", i, err.text);
		}
		assert_true(c->token == NULL && c->token_file == NULL && c->cert_pem == NULL);
		km_kube_credentials_free(c);
	}
}

static void base64_is_read_strictly(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ PEM_BASE64, true },
		{ "LS0t LS1C\\nRUdJ TiA=", true }, /* "-----BEGIN " with blanks between */
		{ "LS0tLS1CRUdJTiA", false },      /* no padding */
		{ "LS0tLS1CRUdJTiA==", false },
		{ "LS0tLS1CRUdJTi=A", false },
		{ "LS0tLS1CRUdJTiA=LS0t", false },
		{ "====", false },
		{ "LS0tLS1CRUdJTiAA", false }, /* a NUL in it */
		{ "LS0tLS1CRUdJTi-A", false }, /* the URL's alphabet */
	};
	const struct km_kube_surroundings at = { .home = dir };
	struct km_kubernetes_settings settings = { 0 };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_kube_credentials *c;
		struct km_err err;
		char text[512];
		int rc;

		(void)snprintf(text, sizeof(text),
		               "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n"
		               "clusters: [{name: c, cluster: {server: 'https://h', "
		               "certificate-authority-data: \"%s\"}}]\n",
		               rows[i].text);
		write_file(".kube/config", text);
		rc = find(&settings, &at, &c, &err);
		if (rc != (rows[i].good ? 0 : -EINVAL)) {
			fail_msg("row %zu: %d %s", i, rc, err.text);
		}
		km_kube_credentials_free(c);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_pod_has_an_account),
		TEST(without_any_it_says_where_it_looked),
		TEST(a_kubeconfig_gives_the_context_asked_for),
		TEST(a_kubeconfig_is_refused_by_what_is_wrong_in_it),
		TEST(a_user_who_says_nothing_is_nobody_in_particular),
		TEST(base64_is_read_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
