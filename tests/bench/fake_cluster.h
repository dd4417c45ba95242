/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For bench_cluster: an API server and an agent a node, in one thread of a process of its own. A
 * stand-in: it knows what the daemon asks, and nothing else.
 */
#ifndef KM_TESTS_BENCH_FAKE_CLUSTER_H
#define KM_TESTS_BENCH_FAKE_CLUSTER_H

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "km/base/buf.h"

struct fake_cluster {
	size_t nodes, pods;
	int api_port, agent_port;
	pid_t pid;
	int api_fd, epoll_fd, timer_fd;
	int *agent_fd; /* [nodes] */
	bool *listens; /* [65536], by descriptor */
	int watch_fd;  /* of pods; -1 = nobody watches */
	size_t changes;
};

#define FAKE_CHANGES_PER_S 100
#define FAKE_POD_FILLER    2600 /* bytes of managedFields, env, volumes: what nobody reads */
#define FAKE_POLICIES      100

/* 127.1.0.0/16 without .0 and .255 of a /24. */
static inline uint32_t fake_agent_address(size_t i)
{
	return UINT32_C(0x7f010000) + (uint32_t)(i / 250 * 256 + i % 250 + 1);
}

static inline void fake_must(bool right, const char *what)
{
	if (right)
		return;
	perror(what);
	exit(1);
}

/* ---- objects ---- */

/* Pods 0 .. nodes - 1 are agents, the rest of services with ten replicas each. */
static inline void fake_put_pod(const struct fake_cluster *c, struct km_buf *out, size_t i,
                                unsigned generation, bool running)
{
	static char filler[FAKE_POD_FILLER + 1];
	size_t node = i < c->nodes ? i : i * 7919 % c->nodes;
	struct in_addr ip = { htonl(fake_agent_address(node)) };
	const char *role = i < c->nodes ? "\"app.kubernetes.io/name\":\"kubemarla\","
	                                  "\"app.kubernetes.io/component\":\"agent\""
	                                : "\"tier\":\"backend\",\"release\":\"stable\"";
	char address[INET_ADDRSTRLEN];

	if (filler[0] == '\0')
		memset(filler, 'x', FAKE_POD_FILLER);
	(void)inet_ntop(AF_INET, &ip, address, sizeof(address));
	km_buf_printf(out,
	              "{\"metadata\":{\"name\":\"service-%zu-7d9c8b6f5d-%05zu\",\"namespace\":"
	              "\"%s\",\"uid\":\"3f0c9a52-1d8e-4f6b-%04x-%012zx\",\"resourceVersion\":"
	              "\"%zu\",\"creationTimestamp\":\"2026-01-01T00:00:00Z\",\"labels\":{"
	              "\"app\":\"service-%zu\",\"pod-template-hash\":\"7d9c8b6f5d\",%s},"
	              "\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":"
	              "\"service-%zu-7d9c8b6f5d\",\"controller\":true}],\"managedFields\":[",
	              i / 10, i, i < c->nodes ? "kubemarla-system" : "shop", generation & 0xffff, i,
	              c->changes + 1, i / 10 % 1000, role, i / 10);
	km_buf_printf(out, "{\"manager\":\"%s\"}]},", filler);
	km_buf_printf(out,
	              "\"spec\":{\"nodeName\":\"node-%05zu.cluster.example\",\"schedulerName\":"
	              "\"default-scheduler\",\"containers\":[{\"name\":\"main\",\"image\":"
	              "\"registry.example/service:1.2.3\",\"resources\":{\"requests\":{\"cpu\":"
	              "\"100m\",\"memory\":\"128Mi\"}}}]},\"status\":{\"phase\":\"%s\",\"podIP\":"
	              "\"%s\",\"startTime\":\"2026-01-01T00:00:01Z\",\"conditions\":[{\"type\":"
	              "\"PodScheduled\",\"status\":\"True\"},{\"type\":\"Ready\",\"status\":\"%s\","
	              "\"lastTransitionTime\":\"2026-01-01T00:00:05Z\"}]}}",
	              node, running ? "Running" : "Pending", address, running ? "True" : "False");
}

static inline void fake_put_node(struct km_buf *out, size_t i)
{
	km_buf_printf(out,
	              "{\"metadata\":{\"name\":\"node-%05zu.cluster.example\",\"uid\":\"n%zu\","
	              "\"labels\":{\"kubernetes.io/hostname\":\"node-%05zu\","
	              "\"node.kubernetes.io/instance-type\":\"m%zu.large\"}},\"status\":{"
	              "\"allocatable\":{\"cpu\":\"16\",\"memory\":\"64Gi\"},\"conditions\":[{"
	              "\"type\":\"Ready\",\"status\":\"True\"}]}}",
	              i, i, i, i % 5);
}

static inline void fake_put_policy(struct km_buf *out, size_t i)
{
	km_buf_printf(
		out,
		"{\"metadata\":{\"name\":\"policy-%zu\",\"namespace\":\"shop\",\"generation\":1"
		"},\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"service-%zu\"}},"
		"\"mode\":\"Prefer\",\"maxSlowdown\":1.5,\"workload\":{\"rps\":1000}}}",
		i, i * 10);
}

/* ---- HTTP ---- */

static inline void fake_send(int fd, const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len > 0) {
		ssize_t sent = send(fd, p, len, MSG_NOSIGNAL);

		if (sent <= 0)
			return; /* gone: seen when it is read */
		p += sent;
		len -= (size_t)sent;
	}
}

static inline void fake_answer(int fd, const struct km_buf *body)
{
	char head[160];
	int len = snprintf(head, sizeof(head),
	                   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	                   "Content-Length: %zu\r\n\r\n",
	                   body->len);

	fake_send(fd, head, (size_t)len);
	fake_send(fd, body->data, body->len);
}

static inline size_t fake_number(const char *query, const char *name, size_t otherwise)
{
	const char *at = strstr(query, name);

	return at != NULL ? strtoul(at + strlen(name), NULL, 10) : otherwise;
}

static inline void fake_list(const struct fake_cluster *c, int fd, const char *path)
{
	bool pods = strncmp(path, "/api/v1/pods", 12) == 0;
	bool nodes = strncmp(path, "/api/v1/nodes", 13) == 0;
	bool policies = strstr(path, "interferencepolicies") != NULL;
	size_t all = pods ? c->pods + c->nodes : nodes ? c->nodes : policies ? FAKE_POLICIES : 1;
	size_t from = fake_number(path, "continue=", 0);
	size_t to = from + fake_number(path, "limit=", all);
	struct km_buf body;

	if (to > all)
		to = all;
	km_buf_init(&body);
	km_buf_str(&body, "{\"metadata\":{\"resourceVersion\":\"1\"");
	if (to < all)
		km_buf_printf(&body, ",\"continue\":\"%zu\"", to);
	km_buf_str(&body, "},\"items\":[");
	for (size_t i = from; i < to; i++) {
		if (i > from)
			km_buf_char(&body, ',');
		if (pods)
			fake_put_pod(c, &body, i, 0, true);
		else if (nodes)
			fake_put_node(&body, i);
		else if (policies)
			fake_put_policy(&body, i);
		else
			km_buf_str(&body, "{\"metadata\":{\"name\":\"shop\"}}");
	}
	km_buf_str(&body, "]}");
	fake_answer(fd, &body);
	km_buf_fini(&body);
}

/* 40 features of the model's and others, another value each time. */
static inline void fake_features(int fd)
{
	static const char *const metrics[] = { "ipc", "l2_miss_per_s", "l3_miss_per_s",
		                               "c0_ratio" };
	static const char *const scopes[] = { "node", "rest", "node_min", "node_max" };
	static const char *const stats[] = { "mean", "std", "p95" };
	struct sockaddr_in at = { .sin_port = 0 };
	socklen_t len = sizeof(at);
	static unsigned served;
	struct km_buf body;
	uint32_t host;

	(void)getsockname(fd, (struct sockaddr *)&at, &len);
	host = ntohl(at.sin_addr.s_addr) - UINT32_C(0x7f010000);
	km_buf_init(&body);
	km_buf_printf(&body,
	              "{\"windowSeconds\":60,\"binSeconds\":5,\"sources\":[],\"nodes\":[{\"name\":"
	              "\"node-%05u.cluster.example\",\"host\":0,\"sequence\":%u,\"tier\":\"core\","
	              "\"ageSeconds\":0.4,\"binAgeSeconds\":2.4,\"coveredSeconds\":60,"
	              "\"outsideCpus\":0,\"contention\":null,\"features\":{",
	              host / 256 * 250 + host % 256 - 1, ++served);
	for (size_t s = 0; s < 4; s++) {
		for (size_t m = 0; m < 4; m++) {
			for (size_t k = 0; k < 3; k++) {
				km_buf_printf(&body, "%s\"%s.%s.%s\":%.15g",
				              s + m + k > 0 ? "," : "", scopes[s], metrics[m],
				              stats[k], 0.5 + (served * 7919U % 1000) * 1e-3 / 3);
			}
		}
	}
	km_buf_str(&body, "},\"readings\":{\"node\":{\"cpus\":16");
	for (size_t m = 0; m < 4; m++)
		km_buf_printf(&body, ",\"%s\":%u.123", metrics[m], served % 977);
	km_buf_str(&body, "},\"host\":{\"cpus\":16");
	for (size_t m = 0; m < 4; m++)
		km_buf_printf(&body, ",\"%s\":%u.123", metrics[m], served % 977);
	km_buf_str(&body, "}}}]}\n");
	fake_answer(fd, &body);
	km_buf_fini(&body);
}

static inline void fake_begin_watch(struct fake_cluster *c, int fd, const char *path)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n";

	fake_send(fd, head, sizeof(head) - 1);
	if (strncmp(path, "/api/v1/pods", 12) == 0)
		c->watch_fd = fd;
}

/* Three changes a pod: deleted, there anew and bound, running. */
static inline void fake_change(struct fake_cluster *c)
{
	static const char *const types[] = { "DELETED", "ADDED", "MODIFIED" };
	size_t step = c->changes % 3;
	size_t pod = c->nodes + c->changes / 3 * 7919 % c->pods;
	unsigned generation = (unsigned)(c->changes / 3 / c->pods) + (step > 0);
	struct km_buf line;
	char size[24];

	c->changes++;
	if (c->watch_fd < 0)
		return;
	km_buf_init(&line);
	km_buf_printf(&line, "{\"type\":\"%s\",\"object\":", types[step]);
	fake_put_pod(c, &line, pod, generation, step != 1);
	km_buf_str(&line, "}\n");
	(void)snprintf(size, sizeof(size), "%zx\r\n", line.len);
	km_buf_str(&line, "\r\n");
	fake_send(c->watch_fd, size, strlen(size));
	fake_send(c->watch_fd, line.data, line.len);
	km_buf_fini(&line);
}

/* A request comes in one piece: it is small, and the way is short. */
static inline void fake_serve(struct fake_cluster *c, int fd)
{
	char request[4096];
	ssize_t got = recv(fd, request, sizeof(request) - 1, 0);
	char *end;

	if (got <= 4) {
		if (fd == c->watch_fd)
			c->watch_fd = -1;
		(void)close(fd);
		return;
	}
	request[got] = '\0';
	end = strstr(request + 4, " HTTP/");
	if (end != NULL)
		*end = '\0';
	if (strcmp(request + 4, "/v1/features") == 0)
		fake_features(fd);
	else if (strstr(request + 4, "watch=") != NULL)
		fake_begin_watch(c, fd, request + 4);
	else
		fake_list(c, fd, request + 4);
}

/* ---- life ---- */

static inline int fake_listen(uint32_t address, int *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		                  .sin_addr = { htonl(address) },
		                  .sin_port = htons((uint16_t)*port) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	fake_must(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 && listen(fd, 64) == 0 &&
	                  getsockname(fd, (struct sockaddr *)&at, &len) == 0,
	          "listen");
	*port = ntohs(at.sin_port);
	return fd;
}

static inline void fake_watch(const struct fake_cluster *c, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	fake_must(epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0, "epoll_ctl");
}

static inline void fake_run(struct fake_cluster *c)
{
	struct itimerspec every = { .it_interval = { .tv_nsec = 1000000000 / FAKE_CHANGES_PER_S },
		                    .it_value = { .tv_nsec = 1 } };
	struct epoll_event events[256];

	c->watch_fd = -1;
	c->epoll_fd = epoll_create1(0);
	c->timer_fd = timerfd_create(CLOCK_MONOTONIC, 0);
	(void)timerfd_settime(c->timer_fd, 0, &every, NULL);
	fake_watch(c, c->api_fd);
	for (size_t i = 0; i < c->nodes; i++)
		fake_watch(c, c->agent_fd[i]);
	fake_watch(c, c->timer_fd);
	for (;;) {
		int count = epoll_wait(c->epoll_fd, events, 256, -1);

		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;
			uint64_t ticks = 0;

			if (fd == c->timer_fd) {
				fake_must(read(fd, &ticks, sizeof(ticks)) > 0, "timer");
				for (; ticks > 0; ticks--)
					fake_change(c);
			} else if (c->listens[fd]) {
				fd = accept(fd, NULL, NULL);
				if (fd >= 0)
					fake_watch(c, fd);
			} else {
				fake_serve(c, fd);
			}
		}
	}
}

/* On CPUs that the bench itself does not run on, if there are any. */
static inline void fake_keep_away(void)
{
	cpu_set_t ours;
	cpu_set_t others;

	CPU_ZERO(&others);
	if (sched_getaffinity(0, sizeof(ours), &ours) != 0)
		return;
	for (int cpu = 0; cpu < (int)sysconf(_SC_NPROCESSORS_CONF); cpu++) {
		if (!CPU_ISSET(cpu, &ours))
			CPU_SET(cpu, &others);
	}
	if (CPU_COUNT(&others) > 0)
		(void)sched_setaffinity(0, sizeof(others), &others);
}

static inline void fake_cluster_start(struct fake_cluster *c)
{
	struct rlimit files;

	/* A listener and a connection an agent. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	c->api_fd = fake_listen(INADDR_LOOPBACK, &c->api_port);
	c->agent_fd = calloc(c->nodes, sizeof(int));
	c->listens = calloc(1 << 16, sizeof(bool));
	fake_must(c->agent_fd != NULL && c->listens != NULL, "memory");
	c->listens[c->api_fd] = true;
	for (size_t i = 0; i < c->nodes; i++) {
		c->agent_fd[i] = fake_listen(fake_agent_address(i), &c->agent_port);
		c->listens[c->agent_fd[i]] = true;
	}
	c->pid = fork();
	fake_must(c->pid >= 0, "fork");
	if (c->pid == 0) {
		fake_keep_away();
		fake_run(c);
	}
	(void)close(c->api_fd);
	for (size_t i = 0; i < c->nodes; i++)
		(void)close(c->agent_fd[i]);
	free(c->agent_fd);
	free(c->listens);
}

static inline void fake_cluster_stop(struct fake_cluster *c)
{
	(void)kill(c->pid, SIGKILL);
	(void)waitpid(c->pid, NULL, 0);
}

#endif
