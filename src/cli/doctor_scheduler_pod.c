/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler's Deployment, what its two containers are told, and who holds which Lease. */
#include <stdlib.h>
#include <string.h>

#include "km/base/clock.h"
#include "km/config/config.h"
#include "km/wire/kube_objects.h"

#include "doctor_internal.h"

#define DEPLOYMENT "kubemarla-scheduler"
/* Kubernetes' minor version from which identical pods may share one decision. */
#define BATCHING_SINCE 35
#define CONFIG_BYTES   65536
/* A Lease that nobody renewed for so long is nobody's; holders renew each 2 s. */
#define LEASE_DEAD_NS (60 * KM_NS_PER_S)

static const char *const proxy_names[] = { "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",
	                                   "http_proxy", "https_proxy", "all_proxy" };

/* ---- containers ------------------------------------------------------------------------------ */

struct container {
	char name[64];
	char image[160];
	char proxy[160]; /* "HTTP_PROXY=..." of the first that is set, "" = none */
	char no_proxy[256];
	bool batching_off;
};

static void read_env(const struct km_json_slice *env, struct container *out)
{
	struct km_json_items items = km_json_items(env);
	struct km_json_slice item;
	char name[64];
	char value[256];

	while (km_json_next(&items, &item)) {
		(void)km_json_pick_text(&item, "name", name, sizeof(name));
		(void)km_json_pick_text(&item, "value", value, sizeof(value));
		for (size_t i = 0; i < KM_ARRAY_LEN(proxy_names); i++) {
			if (strcmp(name, proxy_names[i]) == 0 && out->proxy[0] == '\0')
				(void)snprintf(out->proxy, sizeof(out->proxy), "%s=%.90s", name,
				               value);
		}
		if (strcasecmp(name, "NO_PROXY") == 0)
			(void)snprintf(out->no_proxy, sizeof(out->no_proxy), "%s", value);
	}
}

static void read_words(const struct km_json_slice *list, struct container *out)
{
	struct km_json_items items = km_json_items(list);
	struct km_json_slice item;
	char word[512];

	while (km_json_next(&items, &item)) {
		if (strstr(km_json_text(&item, word, sizeof(word)), "OpportunisticBatching=false"))
			out->batching_off = true;
	}
}

/* returns whether the pod has it. */
static bool find_container(const struct km_json_slice *deployment, const char *name,
                           struct container *out)
{
	const struct km_json_slice list = km_json_pick(deployment, "spec/template/spec/containers");
	struct km_json_items items = km_json_items(&list);
	struct km_json_slice item;

	while (km_json_next(&items, &item)) {
		struct km_json_slice part;

		*out = (struct container){ .batching_off = false };
		(void)km_json_pick_text(&item, "name", out->name, sizeof(out->name));
		if (strcmp(out->name, name) != 0)
			continue;
		(void)km_json_pick_text(&item, "image", out->image, sizeof(out->image));
		part = km_json_pick(&item, "env");
		read_env(&part, out);
		part = km_json_pick(&item, "command");
		read_words(&part, out);
		part = km_json_pick(&item, "args");
		read_words(&part, out);
		return true;
	}
	return false;
}

/* ---- findings -------------------------------------------------------------------------------- */

static void look_at_replicas(struct ward *w, const struct km_json_slice *deployment)
{
	int64_t wanted = km_json_pick_integer(deployment, "spec/replicas", 1);
	int64_t ready = km_json_pick_integer(deployment, "status/readyReplicas", 0);

	if (ready >= wanted && ready > 0)
		return;
	findings_add(w->f, ready > 0 ? FINDING_WARNING : FINDING_ERROR, "Deployment " DEPLOYMENT,
	             "as many ready replicas as asked for, one at least",
	             "kubectl describe pods -l app.kubernetes.io/component=scheduler",
	             "%lld of %lld ready", (long long)ready, (long long)wanted);
}

/* Whether NO_PROXY exempts a host: by its name, by a domain that it ends with, by "*". */
static bool is_listed(const char *no_proxy, const char *host)
{
	size_t host_len = strlen(host);

	while (*no_proxy != '\0') {
		size_t len = strcspn(no_proxy, ", ");
		const char *tail = host_len >= len ? host + host_len - len : "";
		bool whole = host_len == len || no_proxy[0] == '.' ||
		             (host_len > len && tail[-1] == '.');

		if (len > 0 && ((len == 1 && no_proxy[0] == '*') ||
		                (whole && strncasecmp(tail, no_proxy, len) == 0)))
			return true;
		no_proxy += len + strspn(no_proxy + len, ", ");
	}
	return false;
}

static void look_at_proxy(struct ward *w, const struct container *c, bool scheduler,
                          const struct doctor_seen *seen)
{
	char about[96];

	(void)snprintf(about, sizeof(about), "Deployment " DEPLOYMENT ": env of %s", c->name);
	if (c->proxy[0] == '\0')
		return;
	if (!scheduler) {
		findings_add(w->f, FINDING_NOTE, about, "no proxy variables", "remove them",
		             "%s, which kubemarlad does not use", c->proxy);
	} else if (!seen->loopback &&
	           (seen->host[0] == '\0' || !is_listed(c->no_proxy, seen->host))) {
		findings_add(w->f, FINDING_ERROR, about,
		             "no proxy variables, or NO_PROXY with the extender's host",
		             "remove them, or add the host of urlPrefix to NO_PROXY",
		             "%s, NO_PROXY=%.60s: calls to us go to the proxy", c->proxy,
		             c->no_proxy);
	} else if (seen->loopback && strstr(c->no_proxy, "127.0.0.1") == NULL) {
		findings_add(w->f, FINDING_WARNING, about,
		             "no proxy variables, or NO_PROXY with 127.0.0.1",
		             "add NO_PROXY=127.0.0.1,localhost",
		             "%s, NO_PROXY=%.60s: whether loopback goes there is up to the version",
		             c->proxy, c->no_proxy);
	}
}

static void look_at_batching(struct ward *w, const struct container *c, unsigned minor)
{
	if (minor < BATCHING_SINCE || c->batching_off)
		return;
	findings_add(w->f, FINDING_NOTE, "kube-scheduler: OpportunisticBatching",
	             "to know: 1.35.4 and 1.36.3 leave it off where there are extenders",
	             "--feature-gates=OpportunisticBatching=false asks us for each pod",
	             "on by default in 1.%u: where it batches, only the first of identical pods "
	             "is scored by us",
	             minor);
}

/* ---- what the two are told ------------------------------------------------------------------- */

char *ward_config(struct ward *w, const char *map, const char *key)
{
	struct km_json_slice object;
	struct km_json_slice value;
	char about[96];
	char *text;
	int status;

	(void)snprintf(about, sizeof(about), "ConfigMap %s", map);
	status = ward_get(w, about, &object, "/api/v1/namespaces/%s/configmaps/%s", w->ns, map);
	if (status == 404)
		findings_add(w->f, FINDING_ERROR, about, "there",
		             "make deploy, or kubectl apply -k", "absent in namespace %s", w->ns);
	if (status != 200)
		return NULL;
	value = km_json_pick(&object, "data");
	value = km_json_pick(&value, key);
	if (value.kind != KM_JSON_STRING || value.len > CONFIG_BYTES) {
		findings_add(w->f, FINDING_ERROR, about, "its file as a text", "apply it again",
		             "no key %s, or over %d bytes", key, CONFIG_BYTES);
		return NULL;
	}
	text = malloc(value.len + 1);
	if (text == NULL) {
		w->f->failed = true;
		return NULL;
	}
	text[km_json_unescape(&value, text)] = '\0';
	return text;
}

static void look_at_configuration(struct ward *w, struct doctor_seen *seen)
{
	char *ours = ward_config(w, "kubemarla-config", "kubemarla.yaml");
	char *theirs = ward_config(w, "kubemarla-scheduler-config", "scheduler-config.yaml");
	struct km_settings settings = { .roles = 0 };
	struct km_err err = { .code = 0 };
	bool known = false;

	*seen = (struct doctor_seen){ .loopback = true };
	if (ours != NULL) {
		known = km_config_parse("kubemarla.yaml", ours, strlen(ours), &settings, &err) == 0;
		if (!known)
			findings_add(w->f, FINDING_ERROR, "ConfigMap kubemarla-config",
			             "a configuration that kubemarlad takes",
			             "mend it, then restart the Deployment", "%.150s", err.text);
	}
	if (theirs != NULL) {
		doctor_scheduler(&(struct doctor_scheduler){ .name = "scheduler-config.yaml",
		                                             .text = theirs,
		                                             .len = strlen(theirs),
		                                             .server = w->server,
		                                             .settings = known ? &settings : NULL },
		                 w->f, seen);
	}
	km_settings_fini(&settings);
	free(ours);
	free(theirs);
}

/* ---- Leases ---------------------------------------------------------------------------------- */

static void look_at_lease(struct ward *w, const char *ns, const char *name, const char *what,
                          const char *without)
{
	struct km_kube_lease lease;
	struct km_json_slice object;
	struct km_arena arena;
	char about[96];
	int status;

	(void)snprintf(about, sizeof(about), "Lease %.40s/%.40s", ns, name);
	status = ward_get(w, about, &object, "/apis/coordination.k8s.io/v1/namespaces/%s/leases/%s",
	                  ns, name);
	if (status == 404)
		findings_add(w->f, FINDING_WARNING, about, "held and renewed", without,
		             "absent: no %s has led yet", what);
	if (status != 200)
		return;
	km_arena_init(&arena, CONFIG_BYTES);
	if (km_kube_lease_decode(object.text, object.len, &arena, &lease) == 0 &&
	    (lease.holder.len == 0 || w->now_unix_ns - lease.renewed_unix_ns > LEASE_DEAD_NS)) {
		findings_add(w->f, FINDING_ERROR, about, "held and renewed", without,
		             "%.*s%s: no %s leads", (int)lease.holder.len,
		             lease.holder.len > 0 ? lease.holder.text : "",
		             lease.holder.len > 0 ? " has not renewed it for over a minute"
		                                  : "nobody holds it",
		             what);
	}
	km_arena_fini(&arena);
}

static void look_at_leases(struct ward *w, const struct doctor_seen *seen)
{
	if (seen->elects && seen->lease_name[0] != '\0')
		look_at_lease(w, seen->lease_namespace, seen->lease_name, "kube-scheduler of ours",
		              "look at its log, and at its rights on this Lease");
	look_at_lease(w, w->ns, "kubemarla-controller", "controller",
	              "look at kubemarlad's log, and at its rights on this Lease");
}

void ward_scheduler(struct ward *w, unsigned minor)
{
	struct km_json_slice deployment;
	struct container c[2] = { { .batching_off = false } };
	static const char *const names[] = { "kube-scheduler", "kubemarlad" };
	struct doctor_seen seen;
	int status = ward_get(w, "Deployment " DEPLOYMENT, &deployment,
	                      "/apis/apps/v1/namespaces/%s/deployments/" DEPLOYMENT, w->ns);

	if (status == 404)
		findings_add(w->f, FINDING_ERROR, "Deployment " DEPLOYMENT, "there",
		             "make deploy, or name where it is with --namespace",
		             "absent in namespace %s", w->ns);
	if (status != 200)
		return;
	look_at_replicas(w, &deployment);
	for (size_t i = 0; i < KM_ARRAY_LEN(names); i++) {
		if (!find_container(&deployment, names[i], &c[i]))
			findings_add(w->f, FINDING_ERROR, "Deployment " DEPLOYMENT,
			             "containers kube-scheduler and kubemarlad",
			             "apply deploy/ again", "no container %s", names[i]);
	}
	look_at_configuration(w, &seen);
	for (size_t i = 0; i < KM_ARRAY_LEN(names); i++)
		look_at_proxy(w, &c[i], i == 0, &seen);
	look_at_batching(w, &c[0], minor);
	look_at_leases(w, &seen);
}
