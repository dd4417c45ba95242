/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the account of the scheduler pod may, verb by verb, asked of the API server: rules bind in
 * ways that reading Roles would not show.
 */
#include <errno.h>
#include <string.h>

#include "km/wire/json.h"

#include "doctor_internal.h"

#define ACCOUNT "kubemarla-scheduler"

static const struct right {
	const char *verb;
	const char *group;
	const char *resource;
	const char *subresource;
	const char *name; /* of one object, NULL = any */
	bool ours;        /* in our namespace only */
	const char *without;
} rights[] = {
	{ "list", "", "pods", "", NULL, false, "pods in flight and incumbents are not known" },
	{ "watch", "", "pods", "", NULL, false, "pods in flight and incumbents are not known" },
	{ "list", "", "nodes", "", NULL, false, "nodes are not known" },
	{ "watch", "", "nodes", "", NULL, false, "nodes are not known" },
	{ "patch", "", "nodes", "", NULL, false, "rejected pods wait for minutes" },
	{ "list", "", "namespaces", "", NULL, false, "no namespace counts as trusted" },
	{ "watch", "", "namespaces", "", NULL, false, "no namespace counts as trusted" },
	{ "list", "kubemarla.io", "interferencepolicies", "", NULL, false, "no policy holds" },
	{ "watch", "kubemarla.io", "interferencepolicies", "", NULL, false, "no policy holds" },
	{ "patch", "kubemarla.io", "interferencepolicies", "status", NULL, false,
	  "policies have no status" },
	{ "create", "events.k8s.io", "events", "", NULL, false, "there are no Events" },
	{ "patch", "events.k8s.io", "events", "", NULL, false, "Events are not counted" },
	{ "get", "coordination.k8s.io", "leases", "", "kubemarla-controller", true,
	  "no controller leads" },
	{ "create", "coordination.k8s.io", "leases", "", NULL, true, "no controller leads" },
	{ "update", "coordination.k8s.io", "leases", "", "kubemarla-controller", true,
	  "no controller leads" },
	{ "create", "", "pods", "eviction", NULL, false, "nothing is rebalanced" },
	/* kube-scheduler's own */
	{ "create", "", "pods", "binding", NULL, false, "kube-scheduler binds no pod" },
	{ "get", "coordination.k8s.io", "leases", "", "kubemarla-scheduler", true,
	  "kube-scheduler never leads" },
	{ "update", "coordination.k8s.io", "leases", "", "kubemarla-scheduler", true,
	  "kube-scheduler never leads" },
};

/* A SubjectAccessReview of the account; `self`: of whoever asks. */
static void write_review(const struct ward *w, const struct right *r, bool self, struct km_buf *out)
{
	struct km_json j = km_json_to(out);
	char user[160];

	(void)snprintf(user, sizeof(user), "system:serviceaccount:%s:" ACCOUNT, w->ns);
	km_json_begin(&j, '{');
	km_json_put_string(&j, "apiVersion", "authorization.k8s.io/v1");
	km_json_put_string(&j, "kind", self ? "SelfSubjectAccessReview" : "SubjectAccessReview");
	km_json_key(&j, "spec");
	km_json_begin(&j, '{');
	km_json_key(&j, "resourceAttributes");
	km_json_begin(&j, '{');
	km_json_put_string(&j, "verb", r->verb);
	km_json_put_string(&j, "group", r->group);
	km_json_put_string(&j, "resource", r->resource);
	if (r->subresource[0] != '\0')
		km_json_put_string(&j, "subresource", r->subresource);
	if (r->name != NULL)
		km_json_put_string(&j, "name", r->name);
	if (r->ours)
		km_json_put_string(&j, "namespace", w->ns);
	km_json_end(&j, '}');
	if (!self) {
		km_json_put_string(&j, "user", user);
		km_json_key(&j, "groups");
		km_json_begin(&j, '[');
		km_json_string(&j, "system:serviceaccounts");
		(void)snprintf(user, sizeof(user), "system:serviceaccounts:%s", w->ns);
		km_json_string(&j, user);
		km_json_string(&j, "system:authenticated");
		km_json_end(&j, ']');
	}
	km_json_end(&j, '}');
	km_json_end(&j, '}');
}

/* returns 1 = allowed, 0 = not, -EACCES = may not be asked, another negative errno. */
static int review(struct ward *w, const struct right *r, bool self, struct km_err *err)
{
	const char *path = self ? "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
	                        : "/apis/authorization.k8s.io/v1/subjectaccessreviews";
	struct km_json_slice answer;
	struct km_json_slice allowed;
	struct km_buf text;
	int status;

	km_buf_init(&text);
	write_review(w, r, self, &text);
	km_buf_clear(&w->body);
	status = km_buf_ok(&text) ? km_kube_ask(w->kube, "POST", path,
	                                        &(struct km_kube_body){ NULL, text.data, text.len },
	                                        &w->body, err)
	                          : km_err_set(err, ENOMEM, "rights: out of memory");
	km_buf_fini(&text);
	if (status == 403)
		return -EACCES;
	if (status < 0)
		return status;
	if (status > 299 || km_json_whole(w->body.data, w->body.len, &answer, err) != 0)
		return -EBADMSG;
	allowed = km_json_pick(&answer, "status/allowed");
	return allowed.kind == KM_JSON_TRUE;
}

static void name_right(const struct right *r, char *out, size_t out_size)
{
	(void)snprintf(out, out_size, "rights: %s %s%s%s%s%s%s%s", r->verb, r->resource,
	               r->subresource[0] != '\0' ? "/" : "", r->subresource,
	               r->group[0] != '\0' ? "." : "", r->group, r->name != NULL ? " " : "",
	               r->name != NULL ? r->name : "");
}

void ward_rights(struct ward *w)
{
	/* In a pod it is the account itself that asks; an administrator asks for it. */
	bool self = strncmp(km_kube_credentials_origin(km_kube_credentials_of(w->kube)),
	                    "service account", strlen("service account")) == 0;
	struct km_err err = { .code = 0 };

	for (size_t i = 0; i < KM_ARRAY_LEN(rights); i++) {
		const struct right *r = &rights[i];
		char about[96];
		int rc = review(w, r, self, &err);

		if (rc == -EACCES && !self) {
			findings_add(w->f, FINDING_NOTE, "rights",
			             "an account that may create subjectaccessreviews",
			             "run doctor as an administrator",
			             "not asked for %s: what follows is about whoever runs doctor",
			             ACCOUNT);
			self = true;
			rc = review(w, r, self, &err);
		}
		if (rc < 0) {
			findings_add(w->f, FINDING_WARNING, "rights", "an answer about rights", "",
			             "%.150s", err.text);
			return;
		}
		name_right(r, about, sizeof(about));
		if (rc == 0)
			findings_add(w->f, FINDING_ERROR, about, "allowed",
			             "kubectl apply -k deploy/... brings Roles and bindings",
			             "not allowed to %s: %s", self ? "us" : ACCOUNT, r->without);
	}
}
