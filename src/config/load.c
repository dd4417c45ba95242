/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file from first byte to validated settings; listen addresses. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "km/base/file.h"
#include "km/base/num.h"
#include "km/config/config.h"

#include "config_internal.h"

/*
 * Without `nodes` the one node is this host, under the name the kubelet gives it: lower case. In a
 * pod the host's name is the pod's, and only the API's downward field spec.nodeName tells the
 * node's.
 */
static int default_node(struct km_conf_ctx *c, struct km_settings *s)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets variables */
	const char *told = getenv("NODE_NAME");
	char name[KM_NODE_NAME_MAX] = "";

	if (told != NULL && told[0] != '\0' && strlen(told) < sizeof(name))
		memcpy(name, told, strlen(told));
	else if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0')
		memcpy(name, "localhost", sizeof("localhost"));
	for (char *p = name; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	s->node = calloc(1, sizeof(*s->node));
	if (s->node == NULL)
		return km_conf_no_memory(c);
	s->node_count = 1;
	memcpy(s->node[0].name, name, sizeof(name));
	s->node[0].cgroup = strdup("");
	return s->node[0].cgroup != NULL ? 0 : km_conf_no_memory(c);
}

static int defaults(struct km_conf_ctx *c, struct km_settings *out)
{
	int rc;

	memset(out, 0, sizeof(*out));
	rc = conf_presets(c, &conf_settings_table, out);
	if (rc == 0)
		rc = default_node(c, out);
	if (rc != 0)
		km_settings_fini(out);
	return rc;
}

/* What follows from other options and has no key of its own. */
static void derive(struct km_settings *s)
{
	s->decide.default_workload.mode = KM_MODE_PREFER; /* what a pod without a policy gets */
	s->decide.default_workload.on_stale = s->decide.on_stale;
}

int km_config_defaults(struct km_settings *out)
{
	struct km_conf_ctx c = { .file = "defaults" };
	int rc = defaults(&c, out);

	if (rc == 0)
		derive(out);
	return rc;
}

int km_config_parse(const char *name, const char *text, size_t len, struct km_settings *out,
                    struct km_err *err)
{
	struct km_conf_ctx c = { .file = name, .err = err };
	struct km_tree_doc *doc = NULL;
	const struct km_tree *root;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = km_tree_parse(name, text, len, &doc, err);
	if (rc != 0)
		goto out;
	rc = defaults(&c, out);
	if (rc != 0)
		goto out;
	root = km_tree_root(doc);
	rc = conf_apply(&c, &conf_settings_table, root, "", out);
	if (rc == 0)
		rc = conf_validate(&c, out, root);
	if (rc == 0)
		derive(out);
	else
		km_settings_fini(out);
out:
	km_tree_free(doc);
	return rc;
}

int km_conf_host(struct km_conf_ctx *c, const struct km_tree *root, struct km_settings *out)
{
	static const char *const keys[] = { "nodes", "collect" };
	struct km_tree part = { .kind = KM_TREE_MAP };
	int rc = defaults(c, out);

	for (size_t i = 0; rc == 0 && i < KM_ARRAY_LEN(keys); i++) {
		const struct km_tree *found = km_tree_get(root, keys[i]);
		struct km_tree only;

		if (found == NULL)
			continue;
		only = *found;
		only.next = NULL;
		part.child = &only;
		rc = conf_apply(c, &conf_settings_table, &part, "", out);
	}
	if (rc == 0)
		rc = conf_validate(c, out, root);
	if (rc != 0)
		km_settings_fini(out);
	return rc;
}

int km_config_load(const char *path, struct km_settings *out, struct km_err *err)
{
	struct km_buf text;
	int rc;

	memset(out, 0, sizeof(*out));
	km_buf_init(&text);
	rc = km_file_read(path, KM_CONFIG_MAX_BYTES, &text, err);
	if (rc == 0)
		rc = km_config_parse(path, text.data != NULL ? text.data : "", text.len, out, err);
	km_buf_fini(&text);
	return rc;
}

int km_config_parse_listen(const char *text, struct km_listen_settings *out, struct km_err *err)
{
	const char *colon = strrchr(text, ':');
	const char *start = text;
	const char *end = colon;
	int64_t port = -1;
	char *copy;

	if (colon != NULL && km_num_int(colon + 1, strlen(colon + 1), &port) != 0)
		port = -1;
	if (end != NULL && *text == '[') {
		start = text + 1;
		end = end > start && end[-1] == ']' ? end - 1 : NULL;
	} else if (end != NULL && memchr(text, ':', (size_t)(end - text)) != NULL) {
		end = NULL; /* a bare IPv6 address: which colon is the port's? */
	}
	if (end == NULL || end == start || port < 0 || port > 65535 || colon[1] == '+') {
		return km_err_set(err, EINVAL,
		                  "listen address: saw %.60s, want ADDR:PORT or [V6]:PORT", text);
	}
	copy = strndup(start, (size_t)(end - start));
	if (copy == NULL)
		return km_err_set(err, ENOMEM, "listen address: out of memory");
	if (!conf_numeric_address(copy)) {
		free(copy);
		return km_err_set(err, EINVAL,
		                  "listen address: saw %.60s, want a numeric address such as "
		                  "127.0.0.1:9191",
		                  text);
	}
	free(out->address);
	out->address = copy;
	out->port = (uint16_t)port;
	return 0;
}
