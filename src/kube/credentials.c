/* SPDX-License-Identifier: Apache-2.0 */
/* Where credentials are looked for, and a pod's own service account. */
#include "km/kube/credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/file.h"

#include "kube_internal.h"

/* https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
#define ACCOUNT_DIR         "/var/run/secrets/kubernetes.io/serviceaccount"
#define CONFIG_MAX_BYTES    ((size_t)8 << 20)
#define NAMESPACE_MAX_BYTES ((size_t)4096)
#define PATH_MAX_BYTES      4096

void km_kube_credentials_free(struct km_kube_credentials *c)
{
	if (c == NULL)
		return;
	free(c->server);
	free(c->namespace);
	free(c->origin);
	free(c->token);
	free(c->token_file);
	free(c->ca_file);
	free(c->ca_pem);
	free(c->cert_file);
	free(c->cert_pem);
	free(c->key_file);
	free(c->key_pem);
	free(c->server_name);
	km_buf_fini(&c->warning);
	free(c);
}

const char *km_kube_credentials_server(const struct km_kube_credentials *c)
{
	return c->server;
}

const char *km_kube_credentials_namespace(const struct km_kube_credentials *c)
{
	return c->namespace;
}

const char *km_kube_credentials_origin(const struct km_kube_credentials *c)
{
	return c->origin;
}

const char *km_kube_credentials_warning(const struct km_kube_credentials *c)
{
	return c->warning.data != NULL ? c->warning.data : "";
}

static bool is_set(const char *text)
{
	return text != NULL && text[0] != '\0';
}

int kube_not_absent(int rc, struct km_err *err)
{
	if (rc != -ENOENT)
		return rc;
	if (err != NULL)
		err->code = EINVAL;
	return -EINVAL;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

int kube_token_read(const char *file, struct km_buf *out, struct km_err *err)
{
	size_t before = out->len;
	size_t blanks = 0;
	int rc = km_file_read(file, KUBE_TOKEN_MAX_BYTES, out, err);

	if (rc != 0)
		return rc;
	while (out->len > before && is_space(out->data[out->len - 1]))
		out->len--;
	while (before + blanks < out->len && is_space(out->data[before + blanks]))
		blanks++;
	if (before + blanks == out->len)
		return km_err_set(err, EINVAL, "%.120s: saw nothing, want a token", file);
	memmove(out->data + before, out->data + before + blanks, out->len - before - blanks);
	out->len -= blanks;
	return 0;
}

static char *joined(const char *dir, const char *name)
{
	char *path = NULL;

	return asprintf(&path, "%s/%s", dir, name) >= 0 ? path : NULL;
}

/* The account's namespace file; absent is fine. */
static int account_namespace(const char *dir, struct km_kube_credentials *c, struct km_err *err)
{
	char *path = joined(dir, "namespace");
	struct km_buf text;
	int rc;

	if (path == NULL)
		return km_err_set(err, ENOMEM, "service account: out of memory");
	km_buf_init(&text);
	rc = km_file_read(path, NAMESPACE_MAX_BYTES, &text, NULL);
	free(path);
	if (rc == 0) {
		while (text.len > 0 && is_space(text.data[text.len - 1]))
			text.len--;
		if (text.len > 0)
			c->namespace = strndup(text.data, text.len);
		if (text.len > 0 && c->namespace == NULL)
			rc = -ENOMEM;
	}
	km_buf_fini(&text);
	return rc == -ENOMEM ? km_err_set(err, ENOMEM, "service account: out of memory") : 0;
}

/* returns 0, -ENOENT when this is no pod with an account, or what is wrong with it. */
static int find_account(const struct km_kube_surroundings *at, struct km_kube_credentials *c,
                        struct km_err *err)
{
	const char *dir = at->account_dir != NULL ? at->account_dir : ACCOUNT_DIR;
	/* An IPv6 address comes without its brackets. */
	bool six = is_set(at->service_host) && strchr(at->service_host, ':') != NULL;
	struct km_buf token;
	int rc;

	if (!is_set(at->service_host) || !is_set(at->service_port))
		return km_err_set(err, ENOENT,
		                  "no service account: KUBERNETES_SERVICE_HOST and "
		                  "_PORT are not set");
	c->token_file = joined(dir, "token");
	c->ca_file = joined(dir, "ca.crt");
	c->origin = strdup("service account");
	if (asprintf(&c->server, six ? "https://[%s]:%s" : "https://%s:%s", at->service_host,
	             at->service_port) < 0)
		c->server = NULL;
	if (c->token_file == NULL || c->ca_file == NULL || c->origin == NULL || c->server == NULL)
		return km_err_set(err, ENOMEM, "service account: out of memory");
	km_buf_init(&token);
	rc = kube_token_read(c->token_file, &token, err);
	km_buf_fini(&token);
	if (rc != 0)
		return km_err_prefix(err, "service account");
	km_buf_init(&token);
	rc = km_file_read(c->ca_file, KUBE_PEM_MAX_BYTES, &token, err);
	km_buf_fini(&token);
	if (rc != 0) {
		(void)km_err_prefix(err, "service account");
		return kube_not_absent(rc, err); /* there is one, with a part missing */
	}
	return account_namespace(dir, c, err);
}

static int find_config(const char *file, const struct km_kubernetes_settings *settings,
                       struct km_kube_credentials *c, struct km_err *err)
{
	struct km_buf text;
	int rc;

	km_buf_init(&text);
	rc = km_file_read(file, CONFIG_MAX_BYTES, &text, err);
	if (rc == 0)
		rc = kube_config_read(file, text.data != NULL ? text.data : "", text.len,
		                      settings->context != NULL ? settings->context : "", c, err);
	km_buf_fini(&text);
	return rc;
}

/* Of a list with ':' between its files the first that is there. */
static int find_config_of_list(const char *files, const struct km_kubernetes_settings *settings,
                               struct km_kube_credentials *c, struct km_err *err)
{
	char path[PATH_MAX_BYTES];
	int rc = -ENOENT;

	(void)km_err_set(err, ENOENT, "KUBECONFIG: saw %.100s, want a file that is there", files);
	while (*files != '\0' && rc == -ENOENT) {
		size_t len = strcspn(files, ":");

		if (len > 0 && len < sizeof(path)) {
			memcpy(path, files, len);
			path[len] = '\0';
			rc = find_config(path, settings, c, err);
		}
		files += len;
		files += *files == ':';
	}
	return rc;
}

/* What every origin leaves to do. */
static int complete(const struct km_kubernetes_settings *settings, struct km_kube_credentials *c,
                    struct km_err *err)
{
	size_t len;

	if (c->server == NULL)
		return km_err_set(err, EINVAL, "credentials: no server");
	len = strlen(c->server);
	while (len > 0 && c->server[len - 1] == '/')
		c->server[--len] = '\0';
	if (c->namespace == NULL || is_set(settings->namespace)) {
		free(c->namespace);
		c->namespace =
			strdup(is_set(settings->namespace) ? settings->namespace : "default");
	}
	if (c->insecure) {
		km_buf_printf(&c->warning,
		              "%s: insecure-skip-tls-verify: the API server's certificate is not "
		              "checked, anybody may pose as it",
		              c->origin);
	} else if (strncmp(c->server, "http://", 7) == 0) {
		km_buf_printf(&c->warning, "%s: %s: without TLS anybody on the way reads the token",
		              c->origin, c->server);
	}
	(void)km_buf_cstr(&c->warning);
	if (c->namespace == NULL || !km_buf_ok(&c->warning))
		return km_err_set(err, ENOMEM, "credentials: out of memory");
	return 0;
}

int km_kube_credentials_find_at(const struct km_kubernetes_settings *settings,
                                const struct km_kube_surroundings *at,
                                struct km_kube_credentials **out, struct km_err *err)
{
	struct km_kube_credentials *c = calloc(1, sizeof(*c));
	char path[PATH_MAX_BYTES];
	struct km_err account = { .code = 0 };
	int rc;

	*out = NULL;
	if (c == NULL)
		return km_err_set(err, ENOMEM, "credentials: out of memory");
	if (is_set(settings->kubeconfig)) {
		rc = find_config(settings->kubeconfig, settings, c, err);
		if (rc == -ENOENT) /* asked for by name: its absence is an error */
			rc = km_err_set(err, EINVAL, "kubernetes.kubeconfig: no file %.120s",
			                settings->kubeconfig);
		goto out;
	}
	rc = find_account(at, c, &account);
	if (rc != -ENOENT) {
		if (rc != 0)
			(void)km_err_set(err, account.code, "%s", account.text);
		goto out;
	}
	km_kube_credentials_free(c);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return km_err_set(err, ENOMEM, "credentials: out of memory");
	if (is_set(at->kubeconfig)) {
		rc = find_config_of_list(at->kubeconfig, settings, c, err);
	} else if (is_set(at->home)) {
		(void)snprintf(path, sizeof(path), "%s/.kube/config", at->home);
		rc = find_config(path, settings, c, err);
	}
	if (rc == -ENOENT)
		(void)km_err_set(err, ENOENT, "%.90s; and no kubeconfig", account.text);
out:
	if (rc == 0)
		rc = complete(settings, c, err);
	if (rc != 0) {
		km_kube_credentials_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

int km_kube_credentials_find(const struct km_kubernetes_settings *settings,
                             struct km_kube_credentials **out, struct km_err *err)
{
	/* NOLINTBEGIN(concurrency-mt-unsafe): nobody here changes the environment */
	const struct km_kube_surroundings at = {
		.service_host = getenv("KUBERNETES_SERVICE_HOST"),
		.service_port = getenv("KUBERNETES_SERVICE_PORT"),
		.kubeconfig = getenv("KUBECONFIG"),
		.home = getenv("HOME"),
	};
	/* NOLINTEND(concurrency-mt-unsafe) */

	return km_kube_credentials_find_at(settings, &at, out, err);
}
