/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifests of deploy/experiments, in the program itself: what a person reads there is what is
 * applied. Values come from a plan; they are words, never YAML.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "cluster.h"

/* NOLINTBEGIN(bugprone-macro-parentheses): names, not values */
/* NUL-terminated; the path is seen from the tree's root, where everything is compiled. */
#define EMBED(symbol, file)                                                                        \
	extern const char symbol[];                                                                \
	__asm__(".pushsection .rodata\n"                                                           \
	        ".global " #symbol "\n" #symbol ":\n"                                              \
	        ".incbin \"deploy/experiments/" file "\"\n"                                        \
	        ".byte 0\n"                                                                        \
	        ".popsection\n")

EMBED(cluster_namespace_yaml, "namespace.yaml");
EMBED(cluster_service_yaml, "service.yaml");
EMBED(cluster_target_yaml, "target.yaml");
EMBED(cluster_stressor_yaml, "stressor.yaml");
EMBED(cluster_load_yaml, "load.yaml");
/* NOLINTEND(bugprone-macro-parentheses) */

static const char *const texts[CLUSTER_MANIFEST_N] = {
	[CLUSTER_NAMESPACE] = cluster_namespace_yaml, [CLUSTER_SERVICE] = cluster_service_yaml,
	[CLUSTER_TARGET] = cluster_target_yaml,       [CLUSTER_STRESSOR] = cluster_stressor_yaml,
	[CLUSTER_LOAD] = cluster_load_yaml,
};

/* Names of nodes and namespaces, images with registry, tag and digest, numbers. */
static bool is_word(const char *value)
{
	for (const char *p = value; *p != '\0'; p++) {
		if (!isalnum((unsigned char)*p) && strchr("-._:/@+", *p) == NULL)
			return false;
	}
	return value[0] != '\0' && value[0] != '-';
}

static int put_value(const char *name, size_t len, const struct cluster_value *value, size_t values,
                     struct km_buf *out, struct km_err *err)
{
	for (size_t i = 0; i < values; i++) {
		if (strlen(value[i].name) != len || memcmp(value[i].name, name, len) != 0)
			continue;
		if (!value[i].raw && !is_word(value[i].value)) {
			return km_err_set(err, EINVAL,
			                  "manifest: %s: saw \"%.60s\", want letters, digits and "
			                  "-._:/@+",
			                  value[i].name, value[i].value);
		}
		km_buf_str(out, value[i].value);
		return 0;
	}
	return km_err_set(err, EINVAL, "manifest: ${%.*s} has no value", (int)len, name);
}

int cluster_render(enum cluster_manifest manifest, const struct cluster_value *value, size_t values,
                   struct km_buf *out, struct km_err *err)
{
	const char *text = texts[manifest];
	const char *open;

	km_buf_str(out, "---\n");
	while ((open = strstr(text, "${")) != NULL) {
		const char *name = open + 2;
		const char *close = strchr(name, '}');
		int rc;

		if (close == NULL)
			return km_err_set(err, EINVAL, "manifest: ${ without }");
		km_buf_append(out, text, (size_t)(open - text));
		rc = put_value(name, (size_t)(close - name), value, values, out, err);
		if (rc != 0)
			return rc;
		text = close + 1;
	}
	km_buf_str(out, text);
	return km_buf_ok(out) ? 0 : km_err_set(err, ENOMEM, "manifest: out of memory");
}
