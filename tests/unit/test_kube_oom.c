/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials without memory: the Nth allocation fails, for every N that is reached. The allocator
 * is replaced in this program, which sanitizers do themselves: their flavours skip this test.
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

#include "km/base/macros.h"
#include "km/kube/credentials.h"

#include "support/failing_alloc.h"

static char dir[64];

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	(void)fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* With the first, second, ... allocation failing, until none of them does. */
static void with_every_failure(const struct km_kubernetes_settings *settings,
                               const struct km_kube_surroundings *at)
{
	long n = 0;

	if (!REPLACED) {
		skip();
	}
	do {
		struct km_kube_credentials *c = NULL;
		struct km_err err = { .code = 0 };
		int rc;

		has_failed = false;
		allocations_left = n++;
		rc = km_kube_credentials_find_at(settings, at, &c, &err);
		allocations_left = -1;
		if (rc != (has_failed ? -ENOMEM : 0)) {
			fail_msg("allocation %ld: %d %s", n, rc, err.text);
		}
		km_kube_credentials_free(c);
		assert_true(n < 10000);
	} while (has_failed);
	assert_true(n > 5);
}

static void of_a_pod(void **state)
{
	const struct km_kube_surroundings at = { .service_host = "10.0.0.1",
		                                 .service_port = "443",
		                                 .account_dir = dir };
	const struct km_kubernetes_settings settings = { 0 };

	(void)state;
	with_every_failure(&settings, &at);
}

static void of_a_kubeconfig(void **state)
{
	const struct km_kube_surroundings at = { .home = "/nonexistent" };
	struct km_kubernetes_settings settings = { 0 };
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/config", dir);
	settings.kubeconfig = path;
	with_every_failure(&settings, &at);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/km-test-kube-XXXXXX");
	assert_non_null(mkdtemp(dir));
	write_file("token", "abc");
	write_file("ca.crt", "-----BEGIN CERTIFICATE-----\n");
	write_file("namespace", "here\n");
	write_file("config",
	           "current-context: x\n"
	           "contexts: [{name: x, context: {cluster: c, user: u, namespace: n}}]\n"
	           "clusters: [{name: c, cluster: {server: 'https://h', tls-server-name: k,\n"
	           "  certificate-authority-data: LS0tLS1CRUdJTiA=,\n"
	           "  insecure-skip-tls-verify: true}}]\n"
	           "users: [{name: u, user: {client-certificate: ca.crt, client-key: ca.crt,\n"
	           "  tokenFile: token}}]\n");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_pod),
		cmocka_unit_test(of_a_kubeconfig),
	};

	return cmocka_run_group_tests_name("credentials without memory", tests, set_up, tear_down);
}
