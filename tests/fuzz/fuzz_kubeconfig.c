/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kubeconfig. What it names is looked for beside a file that cannot be: no file of the machine is
 * read unless the input names it whole, so those with an absolute path are left out.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kube/kube_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
	if (!condition)
		abort();
}

static void must_be_pem(const char *text)
{
	must(text == NULL || strstr(text, "-----BEGIN ") != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct km_kube_credentials *c = calloc(1, sizeof(*c));
	struct km_err err = { .code = 0 };
	int rc;

	must(c != NULL);
	/* Not in https:// : any other slash may begin a path. */
	for (size_t i = 0; i < size; i++) {
		if (data[i] == '/' && !(i + 1 < size && data[i + 1] == '/') &&
		    !(i > 0 && data[i - 1] == '/'))
			goto out;
	}
	rc = kube_config_read("/nonexistent/config", (const char *)data, size, "", c, &err);
	if (rc == 0) {
		must(c->server != NULL && c->origin != NULL && c->token_file == NULL &&
		     c->ca_file == NULL && c->cert_file == NULL && c->key_file == NULL);
		must((c->cert_pem != NULL) == (c->key_pem != NULL));
		must_be_pem(c->ca_pem);
		must_be_pem(c->cert_pem);
		must_be_pem(c->key_pem);
	} else {
		must(err.text[0] != '\0' && -rc == err.code);
	}
out:
	km_kube_credentials_free(c);
	return 0;
}
