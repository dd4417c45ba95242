/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nginx as the service under load: each replica an instance of its own with a prefix in the
 * scratch directory, listening on a port of 127.0.0.1, one worker for each CPU of its node. It
 * serves /body, a file, and /status. No log, no path outside its prefix. source: nginx.org/en/docs
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "km/base/file.h"

#include "local.h"

#define READY_NS    (15 * KM_NS_PER_S)
#define PAUSE_NS    (10 * KM_NS_PER_MS)
#define PORTS_TRIED 5 /* somebody may take a port between our look and nginx' */

int local_file(const char *path, const void *data, size_t len, struct km_err *err)
{
	FILE *f = fopen(path, "we");
	bool good;

	if (f == NULL)
		return km_err_errno(err, errno, "%.150s", path);
	good = fwrite(data, 1, len, f) == len;
	good = fclose(f) == 0 && good;
	return good ? 0 : km_err_errno(err, errno != 0 ? errno : EIO, "%.150s", path);
}

/* A port nobody listens on: `wanted`, or with 0 one the kernel picks. */
static int free_port(uint16_t wanted, uint16_t *port, struct km_err *err)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		                  .sin_port = htons(wanted),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = 0;

	if (fd < 0)
		return km_err_errno(err, errno, "socket");
	/* as nginx itself does: what only lingers is no hindrance */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 1) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &size) != 0)
		rc = errno;
	if (rc == EADDRINUSE) {
		rc = km_err_set(err, rc,
		                "target.port: 127.0.0.1:%u is in use, want a free one, or 0: the "
		                "kernel picks",
		                wanted);
	} else if (rc != 0) {
		rc = km_err_errno(err, rc, "127.0.0.1:%u", wanted);
	}
	(void)close(fd);
	*port = ntohs(at.sin_port);
	return rc;
}

static int write_config(const char *dir, unsigned workers, uint16_t port, struct km_err *err)
{
	char path[PATH_MAX];
	struct km_buf text;
	int rc;

	km_buf_init(&text);
	km_buf_printf(&text, "daemon off;\nworker_processes %u;\npid nginx.pid;\n", workers);
	/* its workers are who the lab is: they can read what the lab wrote */
	if (geteuid() == 0)
		km_buf_str(&text, "user root;\n");
	km_buf_printf(&text,
	              "error_log stderr error;\n"
	              "events { worker_connections 4096; }\n"
	              "http {\n"
	              "\taccess_log off;\n"
	              "\tlog_not_found off;\n"
	              "\tclient_body_temp_path client;\n"
	              "\tproxy_temp_path proxy;\n"
	              "\tfastcgi_temp_path fastcgi;\n"
	              "\tuwsgi_temp_path uwsgi;\n"
	              "\tscgi_temp_path scgi;\n"
	              "\tsendfile on;\n"
	              "\ttcp_nopush on;\n"
	              "\tkeepalive_requests 1000000000;\n"
	              "\tserver {\n"
	              "\t\tlisten 127.0.0.1:%u;\n"
	              "\t\troot www;\n"
	              "\t\tlocation = /status { stub_status; }\n"
	              "\t}\n"
	              "}\n",
	              port);
	(void)snprintf(path, sizeof(path), "%s/nginx.conf", dir);
	rc = km_buf_ok(&text) ? local_file(path, text.data, text.len, err)
	                      : km_err_set(err, ENOMEM, "rig: out of memory");
	km_buf_fini(&text);
	return rc;
}

/* The prefix of a replica with the page it serves. */
static int make_prefix(const struct km_rig *rig, unsigned replica, char *dir, size_t size,
                       struct km_err *err)
{
	size_t bytes = rig->plan->target.body_bytes;
	char path[PATH_MAX];
	char *body;
	int rc;

	(void)snprintf(dir, size, "%s/replica-%u", rig->scratch, replica);
	(void)snprintf(path, sizeof(path), "%s/www", dir);
	if ((mkdir(dir, 0700) != 0 && errno != EEXIST) ||
	    (mkdir(path, 0700) != 0 && errno != EEXIST))
		return km_err_errno(err, errno, "%.150s", path);
	body = malloc(bytes + 1);
	if (body == NULL)
		return km_err_set(err, ENOMEM, "target.bodyBytes: out of memory");
	memset(body, 'm', bytes);
	(void)snprintf(path, sizeof(path), "%s/www/body", dir);
	rc = local_file(path, body, bytes, err);
	free(body);
	return rc;
}

static int start_one(struct km_rig *rig, unsigned replica, size_t node, uint16_t wanted,
                     struct km_err *err)
{
	struct local *l = rig->backend;
	struct local_replica *r = &l->replica[replica];
	const struct km_node_settings *n = &rig->node[node];
	struct rig_entrance entrance;
	char dir[sizeof(rig->scratch) + 32];
	const char *const argv[] = {
		l->target, "-p", dir, "-c", "nginx.conf", "-e", "stderr", NULL
	};
	/* its master ends its workers at SIGTERM; at SIGKILL they would be orphans */
	const struct km_child_spec spec = {
		.argv = argv,
		.cpus = &n->cpus,
		.groups = rig_groups_entrance(&rig->groups, n->name, &entrance),
		.tied_signal = SIGTERM,
	};
	int rc = make_prefix(rig, replica, dir, sizeof(dir), err);

	rc = rc == 0 ? free_port(wanted, &r->port, err) : rc;
	rc = rc == 0 ? write_config(dir, km_cpuset_count(&n->cpus), r->port, err) : rc;
	rc = rc == 0 ? km_child_start(&spec, &r->child, err) : rc;
	if (rc != 0)
		return rc;
	rc = rig_watch(rig, r->child, err, "nginx of replica %u on %.30s", replica + 1, n->name);
	if (rc != 0) {
		km_child_free(r->child);
		r->child = NULL;
	}
	return rc;
}

static void stop_one(struct km_rig *rig, struct local_replica *r)
{
	if (r->child == NULL)
		return;
	rig_unwatch(rig, r->child);
	km_child_stop(r->child, SIGTERM, LOCAL_STOP_NS);
	km_child_free(r->child);
	r->child = NULL;
}

/* 200 with the whole page. */
static bool answers(struct km_rig *rig, const struct local_replica *r)
{
	const struct local *l = rig->backend;
	struct km_buf page;
	char url[64];
	bool good;

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/body", r->port);
	km_buf_init(&page);
	good = km_client_do(l->client, url, NULL, 0, &page, NULL) == 200 &&
	       page.len == rig->plan->target.body_bytes;
	km_buf_fini(&page);
	return good;
}

/* returns 0; -ECHILD when it has ended; -ETIMEDOUT; -EINTR. */
static int await_answer(struct km_rig *rig, const struct local_replica *r, struct km_err *err)
{
	int64_t deadline = rig_now_ns() + READY_NS;

	while (!answers(rig, r)) {
		int rc = rig_loop(rig, rig_now_ns() + PAUSE_NS, NULL, err);

		if (rc != 0)
			return rc;
		if (rig_now_ns() > deadline) {
			return km_err_set(err, ETIMEDOUT,
			                  "nginx on 127.0.0.1:%u does not answer /body with 200 "
			                  "and %zu bytes",
			                  r->port, rig->plan->target.body_bytes);
		}
	}
	return 0;
}

static int start_and_await(struct km_rig *rig, unsigned replica, size_t node, struct km_err *err)
{
	struct local *l = rig->backend;
	struct local_replica *r = &l->replica[replica];
	uint16_t first = rig->plan->target.port;
	uint16_t wanted = first == 0 ? 0 : (uint16_t)(first + replica);
	int rc = 0;

	for (int i = 0; i < PORTS_TRIED; i++) {
		struct km_err why = { .code = 0 };

		rc = start_one(rig, replica, node, wanted, &why);
		if (rc == 0)
			rc = await_answer(rig, r, &why);
		if (rc != 0 && err != NULL)
			*err = why;
		if (rc != -ECHILD || wanted != 0 || strstr(why.text, "in use") == NULL)
			return rc;
		stop_one(rig, r);
	}
	return rc;
}

int local_target_start(struct km_rig *rig, const size_t *node_of_replica, unsigned replicas,
                       struct km_err *err)
{
	struct local *l = rig->backend;
	int rc = 0;

	for (unsigned i = 0; i < replicas && rc == 0; i++) {
		l->replicas = i + 1;
		rc = start_and_await(rig, i, node_of_replica[i], err);
	}
	return rc;
}

void local_target_stop(struct km_rig *rig)
{
	struct local *l = rig->backend;

	if (l == NULL)
		return;
	for (unsigned i = 0; i < l->replicas; i++)
		stop_one(rig, &l->replica[i]);
	l->replicas = 0;
}
