/* SPDX-License-Identifier: Apache-2.0 */
/* Pods to agents to URLs; the reading itself is net/pull.h's. Entry: km_peers_pod. */
#include "km/cluster/peers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"
#include "km/base/log.h"
#include "km/core/labels.h"
#include "km/core/settings.h"
#include "km/net/pull.h"

#define URL_MAX      96
#define UID_SEED     UINT64_C(0x6b6d70656572)
#define SIDE_BY_SIDE 256
#define BODY_MAX     ((size_t)4 << 20) /* KM_FEATURES_NODES_MAX nodes */

/* Keys of one renewal are no keys of the next: what was said to the old ones holds for nobody. */
#define RENEWAL_SHIFT 40

struct peer {
	uint64_t id; /* of the pod's UID */
	uint64_t number;
	char url[URL_MAX];
	char node[KM_NODE_NAME_MAX];
	uint32_t node_len;
};

struct km_peers {
	struct km_gather *gather;
	struct km_pull *pull;
	char *namespace;
	char *selector;
	struct km_labels labels; /* of agents; into `selector` */
	uint16_t port;
	bool tls;

	pthread_mutex_t lock; /* all below; held while the set of agents is handed on */
	struct peer *peer;    /* [count] */
	size_t count, cap;
	uint64_t numbers, renewal;
	bool changed;

	pthread_t thread;
	bool started;
};

static void on_answer(void *ctx, uint64_t key, int status, const char *body, size_t len,
                      int64_t asked_mono_ns, const struct km_err *why)
{
	struct km_peers *p = ctx;

	km_gather_answer(p->gather, key, status, body, len, asked_mono_ns, why);
}

int km_peers_create(const struct km_peers_options *options, struct km_peers **out,
                    struct km_err *err)
{
	struct km_peers *p = calloc(1, sizeof(*p));
	const struct km_pull_options pull = {
		.interval_ns = options->interval_ns,
		.timeout_ns = options->timeout_ns,
		.max_body_bytes = BODY_MAX,
		.side_by_side = SIDE_BY_SIDE,
		.tls = options->tls,
		.done = on_answer,
		.ctx = p,
	};
	int rc;

	*out = NULL;
	if (p == NULL) {
		return km_err_set(err, ENOMEM, "peers: out of memory");
	}
	(void)pthread_mutex_init(&p->lock, NULL); /* never fails with default attributes */
	p->gather = options->gather;
	p->port = options->port;
	p->tls = options->tls != NULL;
	p->namespace = strdup(options->namespace);
	p->selector = strdup(options->selector);
	if (p->namespace == NULL || p->selector == NULL) {
		rc = km_err_set(err, ENOMEM, "peers: out of memory");
	} else {
		rc = km_labels_parse(p->selector, &p->labels, err);
	}
	if (rc == 0) {
		rc = km_pull_create(&pull, &p->pull, err);
	}
	if (rc != 0) {
		km_peers_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

void km_peers_free(struct km_peers *p)
{
	if (p == NULL) {
		return;
	}
	km_pull_free(p->pull);
	free(p->namespace);
	free(p->selector);
	free(p->peer);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

static void *pull_thread(void *arg)
{
	struct km_peers *p = arg;

	(void)pthread_setname_np(pthread_self(), "km-pull");
	km_pull_run(p->pull);
	return NULL;
}

int km_peers_start(struct km_peers *p, struct km_err *err)
{
	int code = pthread_create(&p->thread, NULL, pull_thread, p);

	if (code != 0) {
		return km_err_errno(err, code, "thread of the puller");
	}
	p->started = true;
	return 0;
}

void km_peers_stop(struct km_peers *p)
{
	if (p == NULL || !p->started) {
		return;
	}
	km_pull_stop(p->pull);
	(void)pthread_join(p->thread, NULL);
	p->started = false;
}

/* ---- which pods are agents ---- */

static bool is_agent(const struct km_peers *p, const struct km_view_pod *pod)
{
	return pod != NULL && pod->phase == KM_VIEW_RUNNING && pod->ip.len > 0 &&
	       pod->pod.uid.len > 0 && pod->pod.namespace.len == strlen(p->namespace) &&
	       memcmp(pod->pod.namespace.text, p->namespace, pod->pod.namespace.len) == 0 &&
	       km_labels_match(&p->labels, &pod->pod);
}

/* Only what is an address becomes part of a URL. returns false when it is none. */
static bool make_url(const struct km_peers *p, struct km_name ip, char *out)
{
	unsigned char address[sizeof(struct in6_addr)];
	const char *scheme = p->tls ? "https" : "http";
	char text[INET6_ADDRSTRLEN];

	if (ip.len >= sizeof(text)) {
		return false;
	}
	memcpy(text, ip.text, ip.len);
	text[ip.len] = '\0';
	if (inet_pton(AF_INET, text, address) == 1) {
		(void)snprintf(out, URL_MAX, "%s://%s:%u/v1/features", scheme, text, p->port);
		return true;
	}
	if (inet_pton(AF_INET6, text, address) == 1) {
		(void)snprintf(out, URL_MAX, "%s://[%s]:%u/v1/features", scheme, text, p->port);
		return true;
	}
	return false;
}

static uint64_t id_of(const struct km_view_pod *pod)
{
	return km_hash64(pod->pod.uid.text, pod->pod.uid.len, UID_SEED);
}

static void drop_peer(struct km_peers *p, uint64_t id)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->peer[i].id == id) {
			p->peer[i] = p->peer[--p->count];
			p->changed = true;
			return;
		}
	}
}

static struct peer *peer_of(struct km_peers *p, uint64_t id)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->peer[i].id == id) {
			return &p->peer[i];
		}
	}
	if (p->count == p->cap) {
		size_t cap = p->cap == 0 ? 64 : p->cap * 2;
		struct peer *grown = reallocarray(p->peer, cap, sizeof(*grown));

		if (grown == NULL) {
			return NULL;
		}
		p->peer = grown;
		p->cap = cap;
	}
	p->peer[p->count] = (struct peer){ .id = id, .number = ++p->numbers };
	return &p->peer[p->count++];
}

static void set_peer(struct km_peers *p, const struct km_view_pod *pod)
{
	char url[URL_MAX];
	struct peer *peer;

	if (!make_url(p, pod->ip, url)) {
		km_log_warn("cluster", "agent left out pod=%.*s ip=%.*s", (int)pod->pod.name.len,
		            pod->pod.name.text, (int)pod->ip.len, pod->ip.text);
		return;
	}
	peer = peer_of(p, id_of(pod));
	if (peer == NULL || (strcmp(peer->url, url) == 0 && pod->node.len == peer->node_len &&
	                     memcmp(pod->node.text, peer->node, peer->node_len) == 0)) {
		return;
	}
	memcpy(peer->url, url, sizeof(peer->url));
	peer->node_len = pod->node.len < sizeof(peer->node) ? pod->node.len : 0;
	memcpy(peer->node, pod->node.text, peer->node_len);
	p->changed = true;
}

void km_peers_pod(struct km_peers *p, const struct km_view_pod *old, const struct km_view_pod *now)
{
	bool was = is_agent(p, old);
	bool is = is_agent(p, now);

	if (!was && !is) {
		return;
	}
	pthread_mutex_lock(&p->lock);
	if (was && (!is || id_of(old) != id_of(now))) {
		drop_peer(p, id_of(old));
	}
	if (is) {
		set_peer(p, now);
	}
	pthread_mutex_unlock(&p->lock);
}

/* Under the lock. returns 0 or -ENOMEM. */
static int hand_on(struct km_peers *p)
{
	struct km_pull_target *target = calloc(p->count + 1, sizeof(*target));
	struct km_gather_agent *agent = calloc(p->count + 1, sizeof(*agent));
	int rc = target == NULL || agent == NULL ? -ENOMEM : 0;

	for (size_t i = 0; rc == 0 && i < p->count; i++) {
		const struct peer *peer = &p->peer[i];
		uint64_t key = peer->number | p->renewal << RENEWAL_SHIFT;

		target[i] = (struct km_pull_target){ .key = key, .url = peer->url };
		/* The gatherer knows the agent across renewals. */
		agent[i] = (struct km_gather_agent){ .key = key,
			                             .node = { peer->node, peer->node_len } };
	}
	if (rc == 0) {
		rc = km_gather_set_agents(p->gather, agent, p->count);
	}
	if (rc == 0) {
		rc = km_pull_set(p->pull, target, p->count);
	}
	free(target);
	free(agent);
	return rc;
}

static void settle(struct km_peers *p, bool renew)
{
	size_t count;
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	p->renewal += renew;
	p->changed = p->changed || renew;
	count = p->count;
	if (p->changed) {
		rc = hand_on(p);
		p->changed = rc != 0;
		renew = true;
	}
	pthread_mutex_unlock(&p->lock);
	if (rc != 0) {
		km_log_error("cluster", "agents left as they were error=memory");
	} else if (renew) {
		km_log_info("cluster", "agents to read count=%zu", count);
	}
}

void km_peers_settle(struct km_peers *p)
{
	settle(p, false);
}

void km_peers_renew(struct km_peers *p)
{
	settle(p, true);
}
