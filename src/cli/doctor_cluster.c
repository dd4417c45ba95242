/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla doctor --cluster`: the API server, its version, our resource; then the parts. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/clock.h"

#include "doctor_internal.h"

#define API_GROUP   "kubemarla.io"
#define API_VERSION "v1alpha1"
/* Objects of some 10 KB each, and answers are bounded. */
#define PAGE 250

int ward_get(struct ward *w, const char *about, struct km_json_slice *out, const char *path, ...)
{
	struct km_err err = { .code = 0 };
	char text[2048];
	va_list args;
	int status;

	*out = (struct km_json_slice){ .kind = KM_JSON_ABSENT };
	va_start(args, path);
	(void)vsnprintf(text, sizeof(text), path, args);
	va_end(args);
	km_buf_clear(&w->body);
	status = km_kube_ask(w->kube, "GET", text, NULL, &w->body, &err);
	if (status == 200 && km_json_whole(w->body.data, w->body.len, out, &err) != 0)
		status = -EBADMSG;
	if (status == 200 || status == 404)
		return status;
	findings_add(w->f, FINDING_WARNING, about, "an answer of the API server",
	             status == 403 ? "run doctor with an account that may read this" : "", "%.150s",
	             err.text);
	return 0;
}

bool ward_list(struct ward *w, const char *about, const char *path,
               void (*fn)(void *ctx, const struct km_json_slice *object), void *ctx)
{
	char token[1024] = "";

	do {
		struct km_json_slice page;
		struct km_json_slice list;
		struct km_json_slice item;
		struct km_json_items items;

		if (ward_get(w, about, &page, "%s&limit=%d%s%s", path, PAGE,
		             token[0] != '\0' ? "&continue=" : "", token) != 200)
			return false;
		list = km_json_pick(&page, "items");
		items = km_json_items(&list);
		while (km_json_next(&items, &item))
			fn(ctx, &item);
		/* Base64 for URLs: nothing in it needs an escape. */
		(void)km_json_pick_text(&page, "metadata/continue", token, sizeof(token));
	} while (token[0] != '\0');
	return true;
}

/* returns whether the API server is there, and its minor version. */
static bool look_at_version(struct ward *w, unsigned *minor)
{
	struct km_json_slice version;
	struct km_err err = { .code = 0 };
	char text[16];
	int status;

	km_buf_clear(&w->body);
	status = km_kube_ask(w->kube, "GET", "/version", NULL, &w->body, &err);
	if (status != 200 || km_json_whole(w->body.data, w->body.len, &version, &err) != 0) {
		findings_add(w->f, FINDING_ERROR, "API server", "an answer to GET /version",
		             "check --kubeconfig, --context and the server's certificate", "%.150s",
		             err.text);
		return false;
	}
	/* "36", or "36+" where somebody patched it. */
	*minor = (unsigned)strtoul(km_json_pick_text(&version, "minor", text, sizeof(text)), NULL,
	                           10);
	return true;
}

static void look_at_crd(struct ward *w)
{
	static const char about[] = "CRD interferencepolicies." API_GROUP;
	static const char mend[] = "kubectl apply --server-side -f deploy/base/crd.yaml";
	struct km_json_slice resources;
	struct km_json_slice group;
	struct km_json_slice list;
	struct km_json_slice item;
	struct km_json_items items;
	bool status_found = false;
	bool found = false;
	char name[64];
	int status = ward_get(w, about, &resources, "/apis/" API_GROUP "/" API_VERSION);

	if (status == 0)
		return;
	if (status == 404) {
		status = ward_get(w, about, &group, "/apis/" API_GROUP);
		if (status == 200) {
			findings_add(w->f, FINDING_ERROR, about, "version " API_VERSION, mend,
			             "another version: %s",
			             km_json_pick_text(&group, "preferredVersion/version", name,
			                               sizeof(name)));
		} else if (status == 404) {
			findings_add(w->f, FINDING_ERROR, about, "there, version " API_VERSION,
			             mend, "absent: there are no policies");
		}
		return;
	}
	list = km_json_pick(&resources, "resources");
	items = km_json_items(&list);
	while (km_json_next(&items, &item)) {
		(void)km_json_pick_text(&item, "name", name, sizeof(name));
		found = found || strcmp(name, "interferencepolicies") == 0;
		status_found = status_found || strcmp(name, "interferencepolicies/status") == 0;
	}
	if (!found || !status_found) {
		findings_add(w->f, FINDING_ERROR, about, "with its status sub-resource", mend,
		             found ? "without status: the controller cannot write what became of "
		                     "policies"
		                   : "the group is there, the resource is not");
	}
}

void doctor_cluster(const struct doctor_cluster *c, struct findings *f)
{
	struct ward w = { .ns = c->where->namespace,
		          .server = c->server,
		          .f = f,
		          .now_unix_ns = km_clock_wall_ns(km_clock_system()) };
	struct km_kube_credentials *credentials = NULL;
	struct km_err err = { .code = 0 };
	unsigned minor = 0;
	int rc = km_kube_credentials_find(c->where, &credentials, &err);

	km_buf_init(&w.body);
	if (rc == 0)
		rc = km_kube_create(credentials, NULL, &w.kube, &err);
	if (rc != 0) {
		findings_add(f, FINDING_ERROR, "credentials", "a kubeconfig or a service account",
		             "name one with --kubeconfig", "%.150s", err.text);
	} else if (look_at_version(&w, &minor)) {
		look_at_crd(&w);
		ward_rights(&w);
		ward_scheduler(&w, minor);
		ward_agents(&w);
	}
	km_buf_fini(&w.body);
	km_kube_free(w.kube);
	km_kube_credentials_free(credentials);
}
