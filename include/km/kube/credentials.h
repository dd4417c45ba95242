/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the API server is and who we are to it: a pod's own service account, or a kubeconfig.
 * Immutable once found; any thread may read it. Files that change (a rotated token) are named here
 * and read by whoever asks (kube/api.h).
 */
#ifndef KM_KUBE_CREDENTIALS_H
#define KM_KUBE_CREDENTIALS_H

#include <stdbool.h>

#include "km/base/err.h"
#include "km/core/settings.h"

struct km_kube_credentials;

/* What the environment says; every text may be NULL = not set. Borrowed for the call. */
struct km_kube_surroundings {
	const char *service_host, *service_port; /* $KUBERNETES_SERVICE_HOST, _PORT */
	const char *account_dir; /* of token, ca.crt, namespace; NULL = where a pod has it */
	const char *kubeconfig;  /* $KUBECONFIG: files with ':' between, the first that is there */
	const char *home;        /* $HOME */
};

/*
 * Looks for credentials: settings->kubeconfig if it names a file; else the service account, if this
 * is a pod; else $KUBECONFIG; else ~/.kube/config.
 * returns 0 and *out owned; -ENOENT when there is none (no error: err then says where was looked);
 * -EINVAL, -EACCES, -ENOMEM, ...: there is one and it cannot be used, with file, thing and what was
 * wanted in the text. -ENOTSUP: it wants a program to be run (exec, auth-provider) or the like.
 */
int km_kube_credentials_find(const struct km_kubernetes_settings *settings,
                             struct km_kube_credentials **out, struct km_err *err) KM_MUST_CHECK;

/* The same where the surroundings are not this process's own. */
int km_kube_credentials_find_at(const struct km_kubernetes_settings *settings,
                                const struct km_kube_surroundings *at,
                                struct km_kube_credentials **out, struct km_err *err) KM_MUST_CHECK;

void km_kube_credentials_free(struct km_kube_credentials *c); /* NULL allowed */

/* "https://10.96.0.1:443", without a slash at its end. Borrowed, as all texts below. */
const char *km_kube_credentials_server(const struct km_kube_credentials *c);

/* Where our own objects live: settings->namespace, else that of account or context, else
 * "default". */
const char *km_kube_credentials_namespace(const struct km_kube_credentials *c);

/* For people: "service account" or "kubeconfig FILE, context NAME". */
const char *km_kube_credentials_origin(const struct km_kube_credentials *c);

/* What whoever starts should log as a warning, or "": the server's certificate is not checked. */
const char *km_kube_credentials_warning(const struct km_kube_credentials *c);

#endif
