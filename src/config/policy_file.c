/* SPDX-License-Identifier: Apache-2.0 */
/*
 * InterferencePolicies from YAML, or from the API server's JSON, which is YAML too: the object
 * around a spec, alone or in a List. The spec's own keys have a file of their own.
 */
#include "km/config/policy_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/file.h"

#include "config_internal.h"

#define API_VERSION  "kubemarla.io/v1alpha1"
#define KIND         "InterferencePolicy"
#define WITHIN_MAX   64
#define NS_LABEL_MAX (KM_POLICY_NAMESPACE_MAX - 1)

/* A name of Kubernetes': a DNS label, or with dots a subdomain. */
static bool is_dns(const char *text, size_t max, bool dots)
{
	size_t len = strlen(text);

	if (len == 0 || len > max || !isalnum((unsigned char)text[0]) ||
	    !isalnum((unsigned char)text[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char letter = (unsigned char)text[i];

		if (letter > 127 || (!islower(letter) && !isdigit(letter) && letter != '-' &&
		                     !(dots && letter == '.')))
			return false;
	}
	return true;
}

static int read_metadata(struct km_conf_ctx *c, const struct km_tree *object, struct km_policy *p)
{
	static const struct km_tree none = { .kind = KM_TREE_SCALAR, .text = "" };
	const struct km_tree *metadata = km_tree_get(object, "metadata");
	const struct km_tree *name = km_tree_get(metadata, "name");
	const struct km_tree *namespace = km_tree_get(metadata, "namespace");
	struct km_tree nothing = none;

	nothing.line = metadata != NULL ? metadata->line : object->line;
	if (name == NULL || name->kind != KM_TREE_SCALAR ||
	    !is_dns(name->text, KM_POLICY_NAME_MAX - 1, true))
		return km_conf_bad_value(c, "metadata.name", name != NULL ? name : &nothing,
		                         "a name of lower-case letters, digits, '-' and '.'");
	memcpy(p->name, name->text, strlen(name->text) + 1);
	if (namespace == NULL) {
		memcpy(p->namespace, "default", sizeof("default"));
		return 0;
	}
	if (namespace->kind != KM_TREE_SCALAR || !is_dns(namespace->text, NS_LABEL_MAX, false))
		return km_conf_bad_value(c, "metadata.namespace", namespace,
		                         "a namespace of lower-case letters, digits and '-'");
	memcpy(p->namespace, namespace->text, strlen(namespace->text) + 1);
	return 0;
}

static bool is_trusted(const char *trusted, const char *namespace)
{
	size_t len = strlen(namespace);

	for (const char *at = trusted; *at != '\0'; at += strspn(at, ", ")) {
		size_t word = strcspn(at, ", ");

		if ((word == 1 && *at == '*') || (word == len && memcmp(at, namespace, len) == 0))
			return true;
		at += word;
	}
	return false;
}

static int want_text(struct km_conf_ctx *c, const struct km_tree *object, const char *key,
                     const char *want)
{
	const struct km_tree *v = km_tree_get(object, key);

	if (v == NULL)
		return km_conf_fail(c, object->line, "%s%s%s: saw nothing, want %s",
		                    c->within != NULL ? c->within : "",
		                    c->within != NULL ? "." : "", key, want);
	if (v->kind != KM_TREE_SCALAR || strcmp(v->text, want) != 0)
		return km_conf_bad_value(c, key, v, want);
	return 0;
}

/* *p is initialised, whatever is returned. */
static int read_policy(struct km_conf_ctx *outer, const struct km_tree *object, const char *within,
                       struct km_policy *p)
{
	static const char *const known[] = { "apiVersion", "kind", "metadata", "spec", "status" };
	struct km_conf_ctx c = { .file = outer->file, .err = outer->err, .within = within };
	const struct km_tree *spec = km_tree_get(object, "spec");
	int rc;

	km_policy_init(p);
	if (object->kind != KM_TREE_MAP)
		return km_conf_bad_value(outer, within != NULL ? within : "the file", object,
		                         "an InterferencePolicy");
	for (const struct km_tree *i = object->child; i != NULL; i = i->next) {
		size_t k = 0;

		while (k < KM_ARRAY_LEN(known) && strcmp(known[k], i->key) != 0)
			k++;
		if (k == KM_ARRAY_LEN(known))
			return km_conf_fail(&c, i->line, "%.40s: no such key of a policy", i->key);
	}
	rc = want_text(&c, object, "apiVersion", API_VERSION);
	if (rc == 0)
		rc = want_text(&c, object, "kind", KIND);
	if (rc == 0)
		rc = read_metadata(&c, object, p);
	if (rc == 0 && spec == NULL)
		rc = km_conf_fail(&c, object->line, "spec: saw nothing, want a map of keys");
	if (rc == 0)
		rc = conf_parse_policy_spec(&c, spec, p);
	return rc;
}

static int read_list(struct km_conf_ctx *c, const struct km_tree *items, const char *trusted,
                     struct km_policies **out)
{
	struct km_policy *policy;
	char within[WITHIN_MAX];
	size_t count = 0;
	size_t done = 0;
	int rc = 0;

	if (items->kind != KM_TREE_LIST)
		return km_conf_bad_value(c, "items", items, "a list of InterferencePolicies");
	for (const struct km_tree *i = items->child; i != NULL; i = i->next)
		count++;
	if (count > KM_POLICIES_MAX)
		return km_conf_fail(c, items->line, "items: saw %zu, want at most %d", count,
		                    KM_POLICIES_MAX);
	policy = calloc(count + 1, sizeof(*policy));
	if (policy == NULL)
		return km_conf_no_memory(c);
	for (const struct km_tree *i = items->child; i != NULL && rc == 0; i = i->next) {
		(void)snprintf(within, sizeof(within), "items[%zu]", done);
		rc = read_policy(c, i, within, &policy[done]);
		policy[done].trusted = is_trusted(trusted, policy[done].namespace);
		done++;
	}
	if (rc == 0)
		rc = km_policies_create(policy, done, out, c->err);
	else
		for (size_t i = 0; i < done; i++)
			km_policy_fini(&policy[i]);
	free(policy);
	return rc;
}

static int read_file(struct km_conf_ctx *c, const struct km_tree *root, const char *trusted,
                     struct km_policies **out)
{
	const struct km_tree *items = km_tree_get(root, "items");
	struct km_policy one;
	int rc;

	if (root->kind == KM_TREE_MAP && root->child == NULL)
		return km_policies_create(NULL, 0, out, c->err); /* everything commented out */
	if (items != NULL)
		return read_list(c, items, trusted, out);
	rc = read_policy(c, root, NULL, &one);
	one.trusted = is_trusted(trusted, one.namespace);
	if (rc == 0)
		return km_policies_create(&one, 1, out, c->err);
	km_policy_fini(&one);
	return rc;
}

int km_policy_file_parse(const char *name, const char *text, size_t len, const char *trusted,
                         struct km_policies **out, struct km_err *err)
{
	struct km_conf_ctx c = { .file = name, .err = err };
	struct km_tree_doc *doc = NULL;
	int rc;

	*out = NULL;
	rc = km_tree_parse(name, text, len, &doc, err);
	if (rc == 0)
		rc = read_file(&c, km_tree_root(doc), trusted, out);
	km_tree_free(doc);
	return rc;
}

int km_policy_parse(const char *name, const char *json, size_t len, bool trusted,
                    struct km_policy *out, struct km_err *err)
{
	struct km_conf_ctx c = { .file = name, .err = err };
	struct km_tree_doc *doc = NULL;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = km_tree_parse(name != NULL ? name : KIND, json, len, &doc, err);
	if (rc != 0)
		return rc;
	rc = read_policy(&c, km_tree_root(doc), NULL, out);
	out->trusted = trusted;
	if (rc != 0)
		km_policy_fini(out);
	km_tree_free(doc);
	return rc;
}

int km_policy_file_load(const char *path, const char *trusted, struct km_policies **out,
                        struct km_err *err)
{
	struct km_buf text;
	int rc;

	*out = NULL;
	km_buf_init(&text);
	rc = km_file_read(path, KM_POLICY_FILE_MAX_BYTES, &text, err);
	if (rc == 0)
		rc = km_policy_file_parse(path, text.data != NULL ? text.data : "", text.len,
		                          trusted, out, err);
	km_buf_fini(&text);
	return rc;
}
