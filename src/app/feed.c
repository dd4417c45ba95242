/* SPDX-License-Identifier: Apache-2.0 */
/* What Kubernetes says, bound to decisions: a function for each thing the view tells. */
#include <errno.h>
#include <stdlib.h>

#include "km/base/log.h"

#include "kubernetes_internal.h"

static void on_live(void *ctx, bool live)
{
	struct app_kubernetes *k = ctx;

	if (k->app->decide != NULL)
		km_decide_set_feed(k->app->decide, live);
}

static void on_late(void *ctx, bool late)
{
	struct app_kubernetes *k = ctx;

	if (late)
		km_log_warn("app", "no news of pods from Kubernetes: reservations last longer");
	else
		km_log_info("app", "news of pods again");
	if (k->app->decide != NULL)
		km_decide_set_feed_late(k->app->decide, late);
}

static void on_pod_bound(void *ctx, const struct km_pod *pod, struct km_name node,
                         int64_t running_mono_ns)
{
	struct app_kubernetes *k = ctx;

	if (k->app->decide != NULL)
		km_decide_pod_bound(k->app->decide, pod, node,
		                    running_mono_ns == INT64_MAX ? KM_DECIDE_NOT_YET
		                                                 : running_mono_ns);
}

static void on_pod_running(void *ctx, struct km_name uid, int64_t running_mono_ns)
{
	struct app_kubernetes *k = ctx;

	if (k->app->decide != NULL)
		km_decide_pod_running(k->app->decide, uid, running_mono_ns);
}

static void on_pod_gone(void *ctx, struct km_name uid)
{
	struct app_kubernetes *k = ctx;

	if (k->app->decide != NULL)
		km_decide_pod_gone(k->app->decide, uid);
}

static void on_ready_pods(void *ctx, uint64_t policy, uint32_t ready)
{
	struct app_kubernetes *k = ctx;

	if (k->app->decide != NULL)
		km_decide_ready_pods(k->app->decide, policy, ready);
}

static bool has_policy(const struct km_policies *set, const struct km_policy *p)
{
	return km_policies_find(set, km_policy_key(p->namespace, p->name)) != NULL;
}

/* Those of the API, and of the file what the API does not have. NULL: no memory. */
static struct km_policies *merge(struct km_policies *api, const struct km_policies *file)
{
	struct km_policy *all = calloc(2 * (size_t)KM_POLICIES_MAX, sizeof(*all));
	const struct km_policies *from[] = { api, file };
	struct km_err err = { .code = 0 };
	struct km_policies *out = NULL;
	size_t count = 0;
	int rc = all != NULL ? 0 : -ENOMEM;

	for (size_t f = 0; f < KM_ARRAY_LEN(from); f++) {
		for (size_t i = 0; rc == 0 && i < km_policies_count(from[f]); i++) {
			const struct km_policy *p = km_policies_at(from[f], i);

			if (from[f] == file && has_policy(api, p)) {
				km_log_warn("app",
				            "policy of the file left out: the API has it too "
				            "namespace=%s name=%s",
				            p->namespace, p->name);
				continue;
			}
			rc = km_policy_copy(&all[count], p);
			count += rc == 0;
		}
	}
	if (rc == 0)
		rc = km_policies_create(all, count, &out, &err); /* takes them, also on error */
	else
		for (size_t i = 0; i < count; i++)
			km_policy_fini(&all[i]);
	if (rc != 0)
		km_log_error("app", "policies of the file left out error=\"%s\"",
		             err.code != 0 ? err.text : "out of memory");
	free(all);
	return out;
}

static struct km_policies *on_policies(void *ctx, struct km_policies *api)
{
	struct app_kubernetes *k = ctx;
	struct km_policies *file;
	struct km_policies *all = NULL;

	pthread_mutex_lock(&k->lock);
	file = k->of_file != NULL ? km_policies_ref(k->of_file) : NULL;
	pthread_mutex_unlock(&k->lock);
	if (km_policies_count(file) > 0)
		all = merge(api, file);
	km_policies_unref(file);
	if (all == NULL)
		all = km_policies_ref(api);
	if (k->app->decide != NULL)
		km_decide_set_policies(k->app->decide, all);
	return all;
}

static void on_node(void *ctx, const struct km_view_node *node)
{
	struct app_kubernetes *k = ctx;

	if (km_gather_set_node(k->gather, node->name) != 0)
		km_log_error("app", "node left out name=%.*s error=memory", (int)node->name.len,
		             node->name.text);
	if (k->app->decide != NULL && node->platform.len > 0)
		km_decide_set_platform(
			k->app->decide, node->name,
			km_decide_effects_key(node->platform.text, node->platform.len));
}

static void on_node_gone(void *ctx, struct km_name name)
{
	struct app_kubernetes *k = ctx;

	km_gather_drop_node(k->gather, name);
	if (k->app->decide != NULL)
		km_decide_set_platform(k->app->decide, name, 0);
}

static void on_pod(void *ctx, const struct km_view_pod *old, const struct km_view_pod *now)
{
	struct app_kubernetes *k = ctx;

	if (k->peers != NULL)
		km_peers_pod(k->peers, old, now);
}

static void on_settled(void *ctx)
{
	struct app_kubernetes *k = ctx;

	if (k->peers != NULL)
		km_peers_settle(k->peers);
}

struct km_view_feed app_feed_of(struct app_kubernetes *k)
{
	return (struct km_view_feed){ .live = on_live,
		                      .late = on_late,
		                      .pod_bound = on_pod_bound,
		                      .pod_running = on_pod_running,
		                      .pod_gone = on_pod_gone,
		                      .ready_pods = on_ready_pods,
		                      .policies = on_policies,
		                      .node = on_node,
		                      .node_gone = on_node_gone,
		                      .pod = on_pod,
		                      .settled = on_settled,
		                      .ctx = k };
}
