/* SPDX-License-Identifier: Apache-2.0 */
/* Inside `doctor --cluster`: one connection, and the parts that look through it. */
#ifndef KM_CLI_DOCTOR_INTERNAL_H
#define KM_CLI_DOCTOR_INTERNAL_H

#include "km/base/arena.h"
#include "km/kube/api.h"
#include "km/wire/pick.h"

#include "doctor.h"

struct ward {
	struct km_kube *kube;
	const char *ns;     /* where KubeMarla is */
	const char *server; /* urlPrefix of our extender, NULL = not said */
	struct findings *f;
	struct km_buf body; /* of the last answer */
	int64_t now_unix_ns;
};

/*
 * GET. returns the status, with the answer's value of a 200 in *out (borrowed until the next
 * request); 0 when it could not be looked at, which is a finding about `about` then.
 */
int ward_get(struct ward *w, const char *about, struct km_json_slice *out, const char *path, ...)
	KM_PRINTF(4, 5);

/*
 * A list in pages; fn is called for each object of it. path has a query already. returns false when
 * it could not be looked at whole, which is a finding then.
 */
bool ward_list(struct ward *w, const char *about, const char *path,
               void (*fn)(void *ctx, const struct km_json_slice *object), void *ctx);

/* A key of a ConfigMap in our namespace. returns its text, owned; NULL = there is a finding. */
char *ward_config(struct ward *w, const char *map, const char *key);

/* doctor_rights.c: what the scheduler pod's account may. */
void ward_rights(struct ward *w);
/* doctor_scheduler_pod.c: Deployment, configuration, Leases. */
void ward_scheduler(struct ward *w, unsigned minor);
/* doctor_agents.c: who measures which node. */
void ward_agents(struct ward *w);

#endif
