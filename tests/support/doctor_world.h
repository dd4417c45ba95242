/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fake API server of a test says of an installation that is well: for tests of
 * `kubemarla doctor --cluster`, which then plant one mistake each.
 */
#ifndef KM_TESTS_SUPPORT_DOCTOR_WORLD_H
#define KM_TESTS_SUPPORT_DOCTOR_WORLD_H

#include <stdbool.h>

#include "support/fake_apiserver.h"
#include "support/tree.h"

#define NS           "kubemarla-system"
#define DEPLOYMENTS  "/apis/apps/v1/deployments"
#define CONFIG_MAPS  "/api/v1/configmaps"
#define LEASES       "/apis/coordination.k8s.io/v1/leases"
#define PODS         "/api/v1/pods"
#define NODES        "/api/v1/nodes"
#define REVIEWS      "POST /apis/authorization.k8s.io/v1/subjectaccessreviews"
#define SELF_REVIEWS "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
#define GROUP        "/apis/kubemarla.io"

extern struct doctor_world {
	struct fake_apiserver server;
	struct tree tree;
	char kubeconfig[96];
} well;

void well_say(const char *match, unsigned count, const char *body);
void well_refuse(const char *match, unsigned count, int status);
void well_put_deployment(const char *scheduler_env, const char *our_env, const char *command,
                         int ready);
void well_put_scheduler_config(const char *from, const char *to);
void well_put_our_config(const char *from, const char *to);
void well_put_agent_config(const char *from, const char *to);
void well_put_lease(const char *name, const char *holder, int age_s);
void well_put_agent(char letter, bool ready);
void well_say_features(char letter, const char *tier, const char *source);
void well_put_node(char letter);
void well_say_the_rest(void);
void well_put(void);

#endif
