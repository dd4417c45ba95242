/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What being in a cluster costs the daemon: bench_cluster BUILD [NODES [PODS [SECONDS]]]
 *
 * A fake API server and a fake agent on every node (127.1.0.0/16), in a process of its own on other
 * CPUs, serve kubemarlad: pods of 4 KiB as real ones are, lists in pages, a stream of 100 changes a
 * second (deleted, created and bound, running), agents' answers that change each time.
 *
 *   alone    no Kubernetes: what the daemon needs for itself
 *   view     the cluster watched, no agents asked
 *   peers    and all agents asked every 5 s: decoded, joined, published
 *   trees    the floor of a simple client: the pods' list, each page a cJSON tree that is kept
 *
 * CPU time is the daemon's, of user and kernel, by /proc; RSS is VmRSS at the end, and the peak.
 * It proves nothing about a real API server's speed, TLS, or a network.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "km/base/buf.h"
#include "km/base/clock.h"
#include "km/base/file.h"
#include "km/net/client.h"

#include "fake_cluster.h"

#define PATIENCE_S 60

static struct fake_cluster fake = { .nodes = 5000, .pods = 50000 };
static int64_t seconds = 20;
static const char *build;
static char dir[] = "/tmp/km-bench-XXXXXX";

static double now_s(void)
{
	return (double)km_clock_mono_ns(km_clock_system()) / 1e9;
}

static void must(bool right, const char *what)
{
	if (right)
		return;
	perror(what);
	exit(1);
}

/* ---- the daemon ------------------------------------------------------------------------------ */

struct daemon {
	pid_t pid;
	int port;
	double started_s;
};

static void write_text(const char *name, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	must(km_file_write_atomic(path, text, strlen(text), NULL) == 0, path);
}

static void start_daemon(struct daemon *d, const char *yaml)
{
	char program[256];
	char config[256];
	char line[256] = "";
	size_t len = 0;
	int out[2];

	write_text("kubemarla.yaml", yaml);
	(void)snprintf(program, sizeof(program), "%s/kubemarlad", build);
	(void)snprintf(config, sizeof(config), "%s/kubemarla.yaml", dir);
	must(pipe(out) == 0, "pipe");
	d->started_s = now_s();
	d->pid = fork();
	must(d->pid >= 0, "fork");
	if (d->pid == 0) {
		(void)dup2(out[1], STDOUT_FILENO);
		(void)!freopen("/dev/null", "w", stderr);
		(void)execl(program, program, "-l", "127.0.0.1:0", "-c", config, (char *)NULL);
		_exit(127);
	}
	(void)close(out[1]);
	while (strchr(line, '\n') == NULL && len + 1 < sizeof(line)) {
		ssize_t got = read(out[0], line + len, sizeof(line) - 1 - len);

		must(got > 0, "the daemon's ready line");
		len += (size_t)got;
		line[len] = '\0';
	}
	(void)close(out[0]);
	d->port = atoi(strrchr(line, ':') + 1); /* NOLINT(cert-err34-c): our own line */
}

static void stop_daemon(struct daemon *d)
{
	int status;

	(void)kill(d->pid, SIGTERM);
	(void)waitpid(d->pid, &status, 0);
	if (status != 0)
		printf("the daemon ended with status %d\n", status);
}

/* The value of a series of /metrics; NaN when it is not there. */
static double metric(const struct daemon *d, struct km_client *client, const char *series)
{
	struct km_buf body;
	char url[64];
	char line[96];
	double value = NAN;
	const char *at;

	km_buf_init(&body);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/metrics", d->port);
	if (km_client_ask(client, &(struct km_http_ask){ .url = url }, &body, NULL, NULL) == 200) {
		(void)snprintf(line, sizeof(line), "\n%s ", series);
		at = strstr(km_buf_cstr(&body), line);
		if (at != NULL)
			value = strtod(at + strlen(line), NULL);
	}
	km_buf_fini(&body);
	return value;
}

/* returns the seconds since the daemon was started. */
static double wait_for(const struct daemon *d, const char *series, double least)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	struct km_client *client;

	must(km_client_create(NULL, &client, NULL) == 0, "client");
	while (!(metric(d, client, series) >= least) && now_s() - d->started_s < PATIENCE_S)
		(void)nanosleep(&pause, NULL);
	if (!(metric(d, client, series) >= least))
		printf("%s did not come to %g: %g\n", series, least, metric(d, client, series));
	km_client_free(client);
	return now_s() - d->started_s;
}

static double cpu_s(pid_t pid)
{
	unsigned long user = 0;
	unsigned long kernel = 0;
	char path[64];
	char text[1024];
	const char *at;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	must(f != NULL && fgets(text, sizeof(text), f) != NULL, path);
	(void)fclose(f);
	at = strrchr(text, ')');
	/* NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers */
	must(sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
	            &kernel) == 2,
	     path);
	return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static double status_mib(pid_t pid, const char *field)
{
	char path[64];
	char line[256];
	double kib = NAN;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	must(f != NULL, path);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, field, strlen(field)) == 0)
			kib = strtod(line + strlen(field) + 1, NULL);
	}
	(void)fclose(f);
	return kib / 1024;
}

/* CPU and memory of `seconds` from now on. */
static void measure(const struct daemon *d, const char *name, double synced_s)
{
	const struct timespec pause = { .tv_sec = seconds };
	double cpu = cpu_s(d->pid);
	double sync_cpu = cpu;
	double began = now_s();

	(void)nanosleep(&pause, NULL);
	cpu = cpu_s(d->pid) - cpu;
	printf("%-8s %9.2f %9.2f %9.2f %9.1f %9.1f\n", name, synced_s, sync_cpu,
	       100 * cpu / (now_s() - began), status_mib(d->pid, "VmRSS:"),
	       status_mib(d->pid, "VmHWM:"));
	(void)fflush(stdout);
}

static void run_daemon(const char *name, const char *kubernetes, const char *features,
                       const char *series, double least)
{
	struct daemon d;
	char yaml[1024];

	(void)snprintf(yaml, sizeof(yaml),
	               "roles: [extender]\nmodel: {path: models/pcm-nginx/model.ubj}\n"
	               "kubernetes: {%s, namespace: kubemarla-system}\n"
	               "features: {from: %s, port: %d}\n",
	               kubernetes, features, fake.agent_port);
	start_daemon(&d, yaml);
	measure(&d, name, series != NULL ? wait_for(&d, series, least) : 0);
	stop_daemon(&d);
}

/* ---- the floor of a simple client ------------------------------------------------------------ */

static void run_trees(void)
{
	double began = now_s();
	struct km_client *client;
	struct km_buf body;
	pid_t pid = fork();
	char url[256];

	must(pid >= 0, "fork");
	if (pid > 0) {
		(void)waitpid(pid, NULL, 0);
		return;
	}
	must(km_client_create(NULL, &client, NULL) == 0, "client");
	km_buf_init(&body);
	for (size_t at = 0; at < fake.pods + fake.nodes; at += 500) {
		km_buf_clear(&body);
		(void)snprintf(url, sizeof(url),
		               "http://127.0.0.1:%d/api/v1/pods?limit=500&continue=%zu",
		               fake.api_port, at);
		must(km_client_ask(client, &(struct km_http_ask){ .url = url }, &body, NULL,
		                   NULL) == 200,
		     "list");
		must(cJSON_ParseWithLength(body.data, body.len) != NULL, "page"); /* kept */
	}
	printf("%-8s %9.2f %9.2f %9s %9.1f %9.1f\n", "trees", now_s() - began, cpu_s(getpid()), "-",
	       status_mib(getpid(), "VmRSS:"), status_mib(getpid(), "VmHWM:"));
	(void)fflush(stdout);
	_exit(0);
}

int main(int argc, char **argv)
{
	char kubeconfig[512];

	build = argc > 1 ? argv[1] : "build";
	/* NOLINTBEGIN(cert-err34-c): numbers of our own scripts */
	fake.nodes = argc > 2 ? (size_t)atol(argv[2]) : fake.nodes;
	fake.pods = argc > 3 ? (size_t)atol(argv[3]) : fake.pods;
	seconds = argc > 4 ? atol(argv[4]) : seconds;
	/* NOLINTEND(cert-err34-c) */
	must(mkdtemp(dir) != NULL, dir);
	fake_cluster_start(&fake);
	(void)snprintf(kubeconfig, sizeof(kubeconfig),
	               "{\"current-context\":\"c\",\"contexts\":[{\"name\":\"c\",\"context\":{"
	               "\"cluster\":\"k\",\"user\":\"u\"}}],\"clusters\":[{\"name\":\"k\","
	               "\"cluster\":{\"server\":\"http://127.0.0.1:%d\"}}],\"users\":[{\"name\":"
	               "\"u\",\"user\":{\"token\":\"t\"}}]}",
	               fake.api_port);
	write_text("config", kubeconfig);
	printf("%zu nodes, %zu pods and %zu agents' pods; then 100 changes/s for %lld s\n",
	       fake.nodes, fake.pods, fake.nodes, (long long)seconds);
	printf("%-8s %9s %9s %9s %9s %9s\n", "", "synced s", "CPU s", "then %", "RSS MiB",
	       "peak MiB");
	{
		char with[300];

		(void)snprintf(with, sizeof(with), "kubeconfig: %s/config", dir);
		run_daemon("alone", "enabled: off", "local", NULL, 0);
		run_daemon("view", with, "local", "kubemarla_view_feeding", 1);
		run_daemon("peers", with, "peers", "kubemarla_nodes_fresh", (double)fake.nodes);
	}
	run_trees();
	fake_cluster_stop(&fake);
	return 0;
}
