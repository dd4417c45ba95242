/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For wire tests of the daemon in a cluster: an API server that is a stand-in, agents that are
 * daemons replaying traces on addresses of loopback, and the daemon under test, not started yet.
 */
#ifndef KM_TESTS_SUPPORT_CLUSTER_WORLD_H
#define KM_TESTS_SUPPORT_CLUSTER_WORLD_H

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/clock.h"
#include "km/base/macros.h"

#include "support/extender_case.h"
#include "support/fake_apiserver.h"

#define NODES    "/api/v1/nodes"
#define PODS     "/api/v1/pods"
#define SPACES   "/api/v1/namespaces"
#define POLICIES "/apis/kubemarla.io/v1alpha1/interferencepolicies"

#define AGENTS   2

struct cluster {
	struct fake_apiserver api;
	struct daemon extender;
	struct daemon agent[AGENTS];
	int port; /* of all agents */
};

/* A port that nobody has on any address of loopback, as far as one can know. */
static inline int free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

/* Agent i on 127.0.9.(i + 1); its nodes are "quiet", or "some" and "noisy". */
static inline void start_agent(struct cluster *c, size_t i)
{
	static const char *const nodes[AGENTS] = {
		"nodes: [{name: quiet, cpus: 0-3}]\n"
		"collect:\n  interval: 100ms\n  sources:\n"
		"  - replay: {file: \"@DIR@/quiet.csv\", node: quiet, speed: 100000}\n",
		"nodes: [{name: some, cpus: 0-3}, {name: noisy, cpus: 0-3}]\n"
		"collect:\n  interval: 100ms\n  sources:\n"
		"  - replay: {file: \"@DIR@/some.csv\", node: some, speed: 100000}\n"
		"  - replay: {file: \"@DIR@/noisy.csv\", node: noisy, speed: 100000}\n",
	};
	struct daemon *d = &c->agent[i];
	char yaml[1024];

	daemon_init(d);
	if (i == 0) {
		wire_trace(d, "quiet", "none", 1);
	} else {
		wire_trace(d, "some", "l3:2", 2);
		wire_trace(d, "noisy", "l3:4", 3);
	}
	(void)snprintf(yaml, sizeof(yaml),
	               "roles: [agent]\n%s" EXTENDER_MODEL
	               "observe: {address: 127.0.9.%zu, port: %d}\n",
	               nodes[i], i + 1, c->port);
	wire_start(d, yaml);
	wire_wait_replayed(d, i == 0 ? 1 : 2);
}

static inline void put_node(struct cluster *c, const char *name)
{
	char json[256];

	(void)snprintf(json, sizeof(json),
	               "{\"metadata\":{\"name\":\"%s\",\"labels\":{"
	               "\"node.kubernetes.io/instance-type\":\"m5\"}}}",
	               name);
	fake_apiserver_put(&c->api, NODES, json);
}

static inline void put_agent_pod(struct cluster *c, size_t i, const char *node)
{
	char json[512];

	(void)snprintf(json, sizeof(json),
	               "{\"metadata\":{\"namespace\":\"kubemarla-system\",\"name\":\"agent-%zu\","
	               "\"labels\":{\"app.kubernetes.io/name\":\"kubemarla\","
	               "\"app.kubernetes.io/component\":\"agent\"}},"
	               "\"spec\":{\"nodeName\":\"%s\"},"
	               "\"status\":{\"phase\":\"Running\",\"podIP\":\"127.0.9.%zu\"}}",
	               i, node, i + 1);
	fake_apiserver_put(&c->api, PODS, json);
}

static inline void put_web_pod(struct cluster *c, const char *name, const char *node)
{
	char json[512];

	(void)snprintf(json, sizeof(json),
	               "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"%s\",\"uid\":\"uid-%s\","
	               "\"labels\":{\"app\":\"web\"}},\"spec\":{\"nodeName\":\"%s\"},"
	               "\"status\":{\"phase\":\"Running\",\"startTime\":\"2026-01-01T00:00:00Z\"}}",
	               name, name, node);
	fake_apiserver_put(&c->api, PODS, json);
}

static inline void start_extender(struct cluster *c, const char *more)
{
	char yaml[1024];

	(void)snprintf(yaml, sizeof(yaml),
	               "roles: [extender]\n" EXTENDER_MODEL
	               "kubernetes: {kubeconfig: \"@DIR@/config\", namespace: kubemarla-system}\n"
	               "features: {interval: 200ms, port: %d}\n"
	               "decide: {maxAge: 1h, ledger: %s}\n",
	               c->port, more);
	wire_start(&c->extender, yaml);
}

static inline int set_up(void **state)
{
	struct cluster *c = calloc(1, sizeof(*c));
	char path[160];

	assert_non_null(c);
	c->port = free_port();
	fake_apiserver_start(&c->api);
	fake_apiserver_put(&c->api, SPACES, "{\"metadata\":{\"name\":\"shop\"}}");
	put_node(c, "quiet");
	put_node(c, "some");
	put_node(c, "noisy");
	put_node(c, "blind");
	for (size_t i = 0; i < AGENTS; i++)
		start_agent(c, i);
	put_agent_pod(c, 0, "quiet");
	put_agent_pod(c, 1, "some");
	daemon_init(&c->extender);
	(void)snprintf(path, sizeof(path), "%s/config", c->extender.dir);
	fake_apiserver_kubeconfig(&c->api, path);
	*state = c;
	return 0;
}

static inline int tear_down(void **state)
{
	struct cluster *c = *state;

	if (c->extender.pid != 0)
		wire_stop(&c->extender);
	else
		daemon_fini(&c->extender);
	for (size_t i = 0; i < AGENTS; i++)
		wire_stop(&c->agent[i]);
	fake_apiserver_stop(&c->api);
	free(c);
	return 0;
}

static inline void wait_for_agents(struct cluster *c)
{
	assert_true(wire_wait_metric(&c->extender, "kubemarla_nodes_fresh", 3) == 3);
}

/* Of a gauge that may also fall. */
static inline void wait_metric_is(const struct daemon *d, const char *series, double want)
{
	const int64_t deadline_ns =
		km_clock_mono_ns(km_clock_system()) + WIRE_PATIENCE_MS * KM_NS_PER_MS;
	double saw = wire_metric(d, series);

	while (saw != want && km_clock_mono_ns(km_clock_system()) < deadline_ns)
		saw = wire_metric(d, series);
	if (saw != want)
		fail_msg("%s: saw %g, want %g", series, saw, want);
}

#endif
