/* SPDX-License-Identifier: Apache-2.0 */
/* Source: k8s.io/kube-scheduler/extender/v1/types.go, whose Go field names are the keys. */
#include "km/wire/extender_args.h"

#include <math.h>

#include "km/wire/json.h"

static void put_text(struct km_json *j, const char *key, const char *text)
{
	if (text != NULL)
		km_json_put_string(j, key, text);
}

/* Annotations are strings, whatever they say. */
static void put_annotation(struct km_json *j, const char *key, double value)
{
	struct km_buf text;

	if (!isfinite(value))
		return;
	km_buf_init(&text);
	km_buf_double(&text, value);
	km_json_put_string(j, key, km_buf_cstr(&text));
	if (!km_buf_ok(&text))
		j->out->failed = true;
	km_buf_fini(&text);
}

static void put_owner(struct km_json *j, const char *replica_set)
{
	if (replica_set == NULL)
		return;
	km_json_key(j, "ownerReferences");
	km_json_begin(j, '[');
	km_json_begin(j, '{');
	km_json_put_string(j, "apiVersion", "apps/v1");
	km_json_put_string(j, "kind", "ReplicaSet");
	km_json_put_string(j, "name", replica_set);
	km_json_put_bool(j, "controller", true);
	km_json_end(j, '}');
	km_json_end(j, ']');
}

void km_extender_args_encode(struct km_buf *out, const struct km_asked_pod *pod,
                             const char *const *node, size_t count)
{
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	km_json_key(&j, "Pod");
	km_json_begin(&j, '{');
	km_json_key(&j, "metadata");
	km_json_begin(&j, '{');
	put_text(&j, "name", pod->name);
	put_text(&j, "namespace", pod->namespace);
	put_text(&j, "uid", pod->uid);
	km_json_key(&j, "annotations");
	km_json_begin(&j, '{');
	put_annotation(&j, "kubemarla.io/rps", pod->rps);
	put_annotation(&j, "kubemarla.io/max-slowdown", pod->max_slowdown);
	km_json_end(&j, '}');
	put_owner(&j, pod->replica_set);
	km_json_end(&j, '}');
	km_json_end(&j, '}');
	km_json_key(&j, "Nodes");
	km_json_raw(&j, "", 0);
	km_json_key(&j, "NodeNames");
	km_json_begin(&j, '[');
	for (size_t i = 0; i < count; i++)
		km_json_string(&j, node[i]);
	km_json_end(&j, ']');
	km_json_end(&j, '}');
}
