/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kubeconfig: context -> cluster and user. What would need a program to be run, or a login other
 * than certificate or token, is refused by name: a daemon that quietly asked as nobody would only
 * see 401.
 * https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/file.h"
#include "km/config/tree.h"

#include "kube_internal.h"

struct reading {
	const char *file;
	struct km_kube_credentials *c;
	struct km_err *err;
};

/* Keys that mean we would not be who the file says. */
static const char *const user_refused[] = { "exec", "auth-provider", "username",  "password",
	                                    "as",   "as-uid",        "as-groups", "as-user-extra" };

static int no_memory(const struct reading *r)
{
	return km_err_set(r->err, ENOMEM, "%.100s: out of memory", r->file);
}

/* A scalar's text; NULL when it is absent, null or empty, or something else. */
static const char *text_of(const struct km_tree *map, const char *key)
{
	const struct km_tree *v = km_tree_get(map, key);

	if (v == NULL || v->kind != KM_TREE_SCALAR || v->text[0] == '\0')
		return NULL;
	return !v->quoted && (strcmp(v->text, "null") == 0 || strcmp(v->text, "~") == 0) ? NULL
	                                                                                 : v->text;
}

static bool is_true(const struct km_tree *map, const char *key)
{
	const char *text = text_of(map, key);

	return text != NULL && strcmp(text, "true") == 0;
}

/* The entry `name` of a list of {name, <part>: {...}}; its <part>. NULL = there is none. */
static const struct km_tree *named(const struct km_tree *root, const char *list, const char *name,
                                   const char *part)
{
	const struct km_tree *entries = km_tree_get(root, list);

	if (entries == NULL || entries->kind != KM_TREE_LIST)
		return NULL;
	for (const struct km_tree *e = entries->child; e != NULL; e = e->next) {
		const char *its = text_of(e, "name");

		if (its != NULL && strcmp(its, name) == 0)
			return km_tree_get(e, part);
	}
	return NULL;
}

static int base64_value(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* RFC 4648, blanks between allowed. returns 0 and the owned text; -EINVAL, -ENOMEM. */
static int base64_decode(const char *text, char **decoded)
{
	char *out = malloc(strlen(text) / 4 * 3 + 4);
	uint32_t bits = 0;
	unsigned count = 0;
	unsigned padding = 0;
	size_t len = 0;

	if (out == NULL)
		return -ENOMEM;
	for (; *text != '\0'; text++) {
		int value;

		if (*text == ' ' || *text == '\n' || *text == '\r' || *text == '\t')
			continue;
		value = base64_value(*text);
		padding += *text == '=';
		if (*text == '=' ? padding > 2 : value < 0 || padding > 0)
			goto bad;
		bits = bits << 6 | (uint32_t)(value < 0 ? 0 : value);
		if (++count % 4 != 0)
			continue;
		out[len++] = (char)(bits >> 16);
		out[len++] = (char)(bits >> 8);
		out[len++] = (char)bits;
	}
	if (count % 4 != 0)
		goto bad;
	len -= padding;
	out[len] = '\0';
	if (strlen(out) != len) /* PEM is text */
		goto bad;
	*decoded = out;
	return 0;
bad:
	free(out);
	return -EINVAL;
}

/* A file's name as it counts from here: relative ones are beside the kubeconfig. */
static char *beside(const char *kubeconfig, const char *name)
{
	const char *slash = strrchr(kubeconfig, '/');
	char *path;
	size_t dir;

	if (name[0] == '/' || slash == NULL)
		return strdup(name);
	dir = (size_t)(slash - kubeconfig) + 1;
	return asprintf(&path, "%.*s%s", (int)dir, kubeconfig, name) >= 0 ? path : NULL;
}

/* `key` names a file, `key`-data is it: into *file or *pem. */
static int take_pem(const struct reading *r, const struct km_tree *map, const char *key,
                    char **file, char **pem)
{
	char data_key[64];
	const char *data;
	const char *name = text_of(map, key);
	struct km_buf text;
	int rc;

	(void)snprintf(data_key, sizeof(data_key), "%s-data", key);
	data = text_of(map, data_key);
	if (data != NULL) {
		rc = base64_decode(data, pem);
		if (rc == -ENOMEM)
			return no_memory(r);
		if (rc != 0 || strstr(*pem, "-----BEGIN ") == NULL)
			return km_err_set(r->err, EINVAL, "%.100s:%u: %s: want PEM in base64",
			                  r->file, km_tree_get(map, data_key)->line, data_key);
		return 0;
	}
	if (name == NULL)
		return 0;
	*file = beside(r->file, name);
	if (*file == NULL)
		return no_memory(r);
	km_buf_init(&text);
	rc = km_file_read(*file, KUBE_PEM_MAX_BYTES, &text, r->err);
	if (rc == 0 && strstr(km_buf_cstr(&text), "-----BEGIN ") == NULL)
		rc = km_err_set(r->err, EINVAL, "%.100s: want PEM", *file);
	km_buf_fini(&text);
	if (rc != 0)
		(void)km_err_prefix(r->err, "%.60s:%u: %s", r->file, km_tree_get(map, key)->line,
		                    key);
	return kube_not_absent(rc, r->err);
}

static int take_text(const struct reading *r, const struct km_tree *map, const char *key,
                     char **out)
{
	const char *text = text_of(map, key);

	if (text == NULL)
		return 0;
	*out = strdup(text);
	return *out != NULL ? 0 : no_memory(r);
}

static int take_cluster(const struct reading *r, const struct km_tree *cluster)
{
	const struct km_tree *proxy = km_tree_get(cluster, "proxy-url");
	struct km_kube_credentials *c = r->c;
	int rc = take_text(r, cluster, "server", &c->server);

	if (rc != 0)
		return rc;
	if (c->server == NULL ||
	    (strncmp(c->server, "https://", 8) != 0 && strncmp(c->server, "http://", 7) != 0))
		return km_err_set(r->err, EINVAL,
		                  "%.80s:%u: server: saw \"%.40s\", want an https:// URL", r->file,
		                  cluster->line, c->server != NULL ? c->server : "");
	if (proxy != NULL && text_of(cluster, "proxy-url") != NULL)
		return km_err_set(r->err, ENOTSUP,
		                  "%.80s:%u: proxy-url: proxies are not used, want it absent",
		                  r->file, proxy->line);
	c->insecure = is_true(cluster, "insecure-skip-tls-verify");
	rc = take_text(r, cluster, "tls-server-name", &c->server_name);
	return rc != 0 ? rc
	               : take_pem(r, cluster, "certificate-authority", &c->ca_file, &c->ca_pem);
}

static int take_token(const struct reading *r, const struct km_tree *user)
{
	const char *name = text_of(user, "tokenFile");
	struct km_kube_credentials *c = r->c;
	struct km_buf token;
	int rc;

	if (name == NULL)
		return take_text(r, user, "token", &c->token);
	c->token_file = beside(r->file, name);
	if (c->token_file == NULL)
		return no_memory(r);
	km_buf_init(&token);
	rc = kube_token_read(c->token_file, &token, r->err);
	km_buf_fini(&token);
	if (rc != 0)
		(void)km_err_prefix(r->err, "%.60s:%u: tokenFile", r->file,
		                    km_tree_get(user, "tokenFile")->line);
	return kube_not_absent(rc, r->err);
}

static int take_user(const struct reading *r, const struct km_tree *user)
{
	struct km_kube_credentials *c = r->c;
	int rc;

	for (size_t i = 0; i < KM_ARRAY_LEN(user_refused); i++) {
		const struct km_tree *v = km_tree_get(user, user_refused[i]);

		if (v == NULL ||
		    (v->kind == KM_TREE_SCALAR && text_of(user, user_refused[i]) == NULL))
			continue;
		return km_err_set(r->err, ENOTSUP,
		                  "%.70s:%u: user: saw %s, want a client certificate, token or "
		                  "tokenFile",
		                  r->file, v->line, user_refused[i]);
	}
	rc = take_pem(r, user, "client-certificate", &c->cert_file, &c->cert_pem);
	if (rc == 0)
		rc = take_pem(r, user, "client-key", &c->key_file, &c->key_pem);
	if (rc == 0)
		rc = take_token(r, user);
	if (rc != 0)
		return rc;
	if ((c->cert_file != NULL || c->cert_pem != NULL) !=
	    (c->key_file != NULL || c->key_pem != NULL))
		return km_err_set(r->err, EINVAL,
		                  "%.80s:%u: want client-certificate and client-key together",
		                  r->file, user->line);
	return 0;
}

/* The part of that name, or an error that says which name is missing where. */
static int want_named(const struct reading *r, const struct km_tree *root, const char *list,
                      const char *name, const char *part, const struct km_tree **out)
{
	*out = name != NULL ? named(root, list, name, part) : NULL;
	if (*out != NULL && (*out)->kind == KM_TREE_MAP)
		return 0;
	(void)km_err_set(r->err, EINVAL, "%.90s: %s: no %s \"%.40s\"", r->file, list, part,
	                 name != NULL ? name : "");
	return -EINVAL;
}

int kube_config_read(const char *file, const char *text, size_t len, const char *context,
                     struct km_kube_credentials *c, struct km_err *err)
{
	const struct reading r = { file, c, err };
	const struct km_tree *cluster;
	const struct km_tree *user;
	const struct km_tree *its;
	const struct km_tree *root;
	struct km_tree_doc *doc;
	const char *user_name;
	int rc = km_tree_parse(file, text, len, &doc, err);

	if (rc != 0)
		return rc;
	root = km_tree_root(doc);
	if (context[0] == '\0')
		context = text_of(root, "current-context");
	if (context == NULL) {
		rc = km_err_set(err, EINVAL,
		                "%.100s: no current-context, want one or kubernetes.context", file);
		goto out;
	}
	if ((rc = want_named(&r, root, "contexts", context, "context", &its)) != 0 ||
	    (rc = want_named(&r, root, "clusters", text_of(its, "cluster"), "cluster", &cluster)) !=
	            0 ||
	    (rc = take_cluster(&r, cluster)) != 0)
		goto out;
	/* Without a user the server is asked as nobody in particular: kubectl proxy wants that. */
	user_name = text_of(its, "user");
	user = user_name != NULL ? named(root, "users", user_name, "user") : NULL;
	if (user_name != NULL && user == NULL)
		rc = km_err_set(err, EINVAL, "%.90s: users: no user \"%.40s\"", file, user_name);
	else if (user != NULL && user->kind == KM_TREE_MAP)
		rc = take_user(&r, user);
	if (rc == 0)
		rc = take_text(&r, its, "namespace", &c->namespace);
	if (rc == 0 && asprintf(&c->origin, "kubeconfig %s, context %s", file, context) < 0) {
		c->origin = NULL;
		rc = no_memory(&r);
	}
out:
	km_tree_free(doc);
	return rc;
}
