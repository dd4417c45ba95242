/* SPDX-License-Identifier: Apache-2.0 */
/*
 * InterferencePolicies from YAML, spec by a table of options like everything else. The table is
 * also what the CRD's schema says. Selectors have a file of their own.
 */
#include "km/config/policy_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/file.h"
#include "km/base/num.h"
#include "km/place/footprint.h"

#include "config_internal.h"

#define API_VERSION  "kubemarla.io/v1alpha1"
#define KIND         "InterferencePolicy"
#define WITHIN_MAX   64
#define PER_S_MAX    1e15 /* of any quantity: beyond all hardware */
#define NS_LABEL_MAX (KM_POLICY_NAMESPACE_MAX - 1)

#define FIELD(member)                                                                              \
	.offset = offsetof(struct km_policy, member),                                              \
	.size = sizeof(((struct km_policy *)0)->member)

static int parse_class(struct conf_ctx *c, const struct conf_option *o, const char *key,
                       const struct km_tree *v, void *base)
{
	struct km_policy *p = base;
	size_t len = v->kind == KM_TREE_SCALAR ? strlen(v->text) : 0;

	if (len == 0 || len >= sizeof(p->class_name) || conf_is_null(v))
		return conf_bad_value(c, key, v, o->want);
	for (size_t i = 0; i < len; i++) {
		unsigned char letter = (unsigned char)v->text[i];

		if (letter > 127 || (!isalnum(letter) && letter != '-' && letter != '_'))
			return conf_bad_value(c, key, v, o->want);
	}
	memcpy(p->class_name, v->text, len + 1);
	return 0;
}

static int parse_on_stale(struct conf_ctx *c, const struct conf_option *o, const char *key,
                          const struct km_tree *v, void *base)
{
	struct km_policy *p = base;
	int value = v->kind == KM_TREE_SCALAR ? km_on_stale_parse(v->text) : -1;

	if (value < 0)
		return conf_bad_value(c, key, v, o->want);
	p->on_stale = (enum km_on_stale)value;
	p->on_stale_given = true;
	return 0;
}

static int parse_footprint(struct conf_ctx *c, const struct conf_option *o, const char *key,
                           const struct km_tree *v, void *base)
{
	struct km_policy *p = base;

	if (v->kind != KM_TREE_MAP)
		return conf_bad_value(c, key, v, o->want);
	for (const struct km_tree *i = v->child; i != NULL; i = i->next) {
		struct km_policy_footprint *f = &p->footprint[p->footprint_count];
		double value = -1;

		if (km_quantity_parse(i->key) < 0 || p->footprint_count == KM_POLICY_FOOTPRINTS_MAX)
			return conf_fail(c, i->line, "%s.%s: saw the key %.40s, want %s", c->within,
			                 key, i->key, o->want);
		if (i->kind != KM_TREE_SCALAR || i->quoted ||
		    km_num_double(i->text, strlen(i->text), &value) != 0 ||
		    !(value >= 0 && value <= PER_S_MAX))
			return conf_bad_value(c, i->key, i, "a number per second, 0 or more");
		memcpy(f->quantity, i->key, strlen(i->key) + 1); /* a known name: it fits */
		f->per_s = value;
		p->footprint_count++;
	}
	return 0;
}

/* For the controller, which reads them when there is one. */
static int skip_map(struct conf_ctx *c, const struct conf_option *o, const char *key,
                    const struct km_tree *v, void *base)
{
	(void)base;
	return v->kind == KM_TREE_MAP ? 0 : conf_bad_value(c, key, v, o->want);
}

static const char *const modes[] = { "Observe", "Prefer", "Enforce", NULL };
_Static_assert(KM_MODE_OBSERVE == 0 && KM_MODE_PREFER == 1 && KM_MODE_ENFORCE == 2,
               "modes[] is indexed by the enum");

#define QUANTITIES                                                                                 \
	"a map of activeCpus, workCpus, instructionsPerS, l2MissPerS, l3MissPerS, "                \
	"memReadBytesPerS, memWriteBytesPerS"

/* clang-format off: a table */
static const struct conf_option spec_rows[] = {
	{ .key = "selector",
	  .type = CONF_CUSTOM,
	  .custom = conf_parse_selector,
	  .required = true,
	  .want = "a map of matchLabels and matchExpressions" },
	{ .key = "mode", .type = CONF_CHOICE, .preset = "Observe", .choices = modes, FIELD(mode) },
	{ .key = "maxSlowdown", .type = CONF_NUMBER, .min = 1.05, .max = 100, FIELD(max_slowdown) },
	{ .key = "workload.rps", .type = CONF_NUMBER, .min = 0.001, .max = 1e9, FIELD(rps) },
	{ .key = "workload.rpsQuery", .type = CONF_STRING, .preset = "", FIELD(rps_query) },
	{ .key = "workload.class",
	  .type = CONF_CUSTOM,
	  .custom = parse_class,
	  .want = "1 to 31 letters, digits, '-' or '_'" },
	{ .key = "footprint", .type = CONF_CUSTOM, .custom = parse_footprint, .want = QUANTITIES },
	{ .key = "onStale",
	  .type = CONF_CUSTOM,
	  .custom = parse_on_stale,
	  .want = "Neutral, Avoid or Reject" },
	{ .key = "weight",
	  .type = CONF_NUMBER,
	  .preset = "1",
	  .min = 0.001,
	  .max = 1000,
	  FIELD(weight) },
	{ .key = "kpi", .type = CONF_CUSTOM, .custom = skip_map, .want = "a map of keys" },
	{ .key = "rebalance", .type = CONF_CUSTOM, .custom = skip_map, .want = "a map of keys" },
};
/* clang-format on */

static const struct conf_table spec_table = { spec_rows, KM_ARRAY_LEN(spec_rows) };

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

static int read_metadata(struct conf_ctx *c, const struct km_tree *object, struct km_policy *p)
{
	static const struct km_tree none = { .kind = KM_TREE_SCALAR, .text = "" };
	const struct km_tree *metadata = km_tree_get(object, "metadata");
	const struct km_tree *name = km_tree_get(metadata, "name");
	const struct km_tree *namespace = km_tree_get(metadata, "namespace");
	struct km_tree nothing = none;

	nothing.line = metadata != NULL ? metadata->line : object->line;
	if (name == NULL || name->kind != KM_TREE_SCALAR ||
	    !is_dns(name->text, KM_POLICY_NAME_MAX - 1, true))
		return conf_bad_value(c, "metadata.name", name != NULL ? name : &nothing,
		                      "a name of lower-case letters, digits, '-' and '.'");
	memcpy(p->name, name->text, strlen(name->text) + 1);
	if (namespace == NULL) {
		memcpy(p->namespace, "default", sizeof("default"));
		return 0;
	}
	if (namespace->kind != KM_TREE_SCALAR || !is_dns(namespace->text, NS_LABEL_MAX, false))
		return conf_bad_value(c, "metadata.namespace", namespace,
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

static int want_text(struct conf_ctx *c, const struct km_tree *object, const char *key,
                     const char *want)
{
	const struct km_tree *v = km_tree_get(object, key);

	if (v == NULL)
		return conf_fail(c, object->line, "%s%s%s: saw nothing, want %s",
		                 c->within != NULL ? c->within : "", c->within != NULL ? "." : "",
		                 key, want);
	if (v->kind != KM_TREE_SCALAR || strcmp(v->text, want) != 0)
		return conf_bad_value(c, key, v, want);
	return 0;
}

/* *p is initialised, whatever is returned. */
static int read_policy(struct conf_ctx *outer, const struct km_tree *object, const char *within,
                       const char *trusted, struct km_policy *p)
{
	static const char *const known[] = { "apiVersion", "kind", "metadata", "spec", "status" };
	struct conf_ctx c = { .file = outer->file, .err = outer->err, .within = within };
	struct conf_ctx in_spec = { .file = outer->file, .err = outer->err, .within = "spec" };
	const struct km_tree *spec = km_tree_get(object, "spec");
	int rc;

	km_policy_init(p);
	if (object->kind != KM_TREE_MAP)
		return conf_bad_value(outer, within != NULL ? within : "the file", object,
		                      "an InterferencePolicy");
	for (const struct km_tree *i = object->child; i != NULL; i = i->next) {
		size_t k = 0;

		while (k < KM_ARRAY_LEN(known) && strcmp(known[k], i->key) != 0)
			k++;
		if (k == KM_ARRAY_LEN(known))
			return conf_fail(&c, i->line, "%.40s: no such key of a policy", i->key);
	}
	rc = want_text(&c, object, "apiVersion", API_VERSION);
	if (rc == 0)
		rc = want_text(&c, object, "kind", KIND);
	if (rc == 0)
		rc = read_metadata(&c, object, p);
	if (rc == 0 && spec == NULL)
		rc = conf_fail(&c, object->line, "spec: saw nothing, want a map of keys");
	if (rc == 0)
		rc = conf_apply_all(&in_spec, &spec_table, spec, p);
	p->trusted = is_trusted(trusted, p->namespace);
	return rc;
}

static int read_list(struct conf_ctx *c, const struct km_tree *items, const char *trusted,
                     struct km_policies **out)
{
	struct km_policy *policy;
	char within[WITHIN_MAX];
	size_t count = 0;
	size_t done = 0;
	int rc = 0;

	if (items->kind != KM_TREE_LIST)
		return conf_bad_value(c, "items", items, "a list of InterferencePolicies");
	for (const struct km_tree *i = items->child; i != NULL; i = i->next)
		count++;
	if (count > KM_POLICIES_MAX)
		return conf_fail(c, items->line, "items: saw %zu, want at most %d", count,
		                 KM_POLICIES_MAX);
	policy = calloc(count + 1, sizeof(*policy));
	if (policy == NULL)
		return conf_no_memory(c);
	for (const struct km_tree *i = items->child; i != NULL && rc == 0; i = i->next) {
		(void)snprintf(within, sizeof(within), "items[%zu]", done);
		rc = read_policy(c, i, within, trusted, &policy[done++]);
	}
	if (rc == 0)
		rc = km_policies_create(policy, done, out, c->err);
	else
		for (size_t i = 0; i < done; i++)
			km_policy_fini(&policy[i]);
	free(policy);
	return rc;
}

static int read_file(struct conf_ctx *c, const struct km_tree *root, const char *trusted,
                     struct km_policies **out)
{
	const struct km_tree *items = km_tree_get(root, "items");
	struct km_policy one;
	int rc;

	if (root->kind == KM_TREE_MAP && root->child == NULL)
		return km_policies_create(NULL, 0, out, c->err); /* everything commented out */
	if (items != NULL)
		return read_list(c, items, trusted, out);
	rc = read_policy(c, root, NULL, trusted, &one);
	if (rc == 0)
		return km_policies_create(&one, 1, out, c->err);
	km_policy_fini(&one);
	return rc;
}

int km_policy_file_parse(const char *name, const char *text, size_t len, const char *trusted,
                         struct km_policies **out, struct km_err *err)
{
	struct conf_ctx c = { .file = name, .err = err };
	struct km_tree_doc *doc = NULL;
	int rc;

	*out = NULL;
	rc = km_tree_parse(name, text, len, &doc, err);
	if (rc == 0)
		rc = read_file(&c, km_tree_root(doc), trusted, out);
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
