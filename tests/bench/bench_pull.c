/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What reading a cluster's agents costs: bench_pull [TARGETS [SECONDS]]
 *
 * A fake of 5,000 agents in a process of its own, each with an address of 127.1.0.0/16, answers
 * with 6 KiB that change each time. They are read every 5 s by
 *
 *   bare     sockets of the bench's own that are open already, a fixed request, no HTTP: the floor
 *   pull     km_pull
 *   silent   km_pull while every tenth agent takes the connection and never answers
 *   serial   one request after the other on a new connection each, as fast as it goes
 *   tls      km_pull of agents that speak TLS and want a certificate (bench_pull TARGETS SECONDS
 * tls)
 *
 * CPU time is the reading process's, of user and kernel; latency is from asking to having it all.
 * It does not show what a network, or the agents' own work, adds.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "km/base/clock.h"
#include "km/base/macros.h"
#include "km/net/client.h"
#include "km/net/pull.h"

#include "bench/fake_agents.h"

#define INTERVAL_S   5
#define TIMEOUT_NS   (2 * KM_NS_PER_S)
#define SERIAL_COUNT 2000

static int64_t seconds = 20;

/* ---- measuring ------------------------------------------------------------------------------- */

struct run {
	double cpu_s;
	int64_t wall_ns;
	size_t answers;
	size_t failures;
	float *latency_us; /* [answers] */
	size_t cap;
};

static double cpu_s(void)
{
	struct rusage used;

	(void)getrusage(RUSAGE_SELF, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	       1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static int64_t now_ns(void)
{
	return km_clock_mono_ns(km_clock_system());
}

static void begin(struct run *r, size_t cap)
{
	*r = (struct run){ .cap = cap };
	r->latency_us = calloc(cap, sizeof(*r->latency_us));
	must(r->latency_us != NULL, "memory");
	r->cpu_s = -cpu_s();
	r->wall_ns = -now_ns();
}

static void note(struct run *r, int64_t asked_ns)
{
	if (r->answers < r->cap)
		r->latency_us[r->answers++] = (float)(now_ns() - asked_ns) / 1000;
}

static long rss_kib(void)
{
	struct rusage used;

	(void)getrusage(RUSAGE_SELF, &used);
	return used.ru_maxrss;
}

static int by_value(const void *a, const void *b)
{
	const float *x = a;
	const float *y = b;

	return (*x > *y) - (*x < *y);
}

static void end(struct run *r, const char *name)
{
	double wall_s;
	size_t asked = r->answers + r->failures;

	r->cpu_s += cpu_s();
	r->wall_ns += now_ns();
	wall_s = (double)r->wall_ns / 1e9;
	if (r->answers > 1)
		qsort(r->latency_us, r->answers, sizeof(*r->latency_us), by_value);
	printf("%-8s %8.0f %8zu %10.1f %12.1f %10.0f %10.0f %8.1f\n", name,
	       (double)r->answers / wall_s, r->failures,
	       asked > 0 ? r->cpu_s * 1e6 / (double)asked : 0, 100 * r->cpu_s / wall_s,
	       r->answers > 0 ? (double)r->latency_us[r->answers / 2] : 0,
	       r->answers > 0 ? (double)r->latency_us[r->answers * 99 / 100] : 0,
	       (double)rss_kib() / 1024);
	(void)fflush(stdout);
	free(r->latency_us);
}

/* ---- bare sockets ---------------------------------------------------------------------------- */

struct bare {
	int fd;
	size_t left_bytes; /* of the answer */
	int64_t asked_ns;
};

static const char bare_request[] = "GET /v1/features HTTP/1.1\r\nHost: agent\r\n\r\n";

static void bare_open(struct bare *b, int epoll_fd)
{
	const int on = 1;

	for (size_t i = 0; i < targets; i++) {
		struct sockaddr_in at = address_of(i);

		b[i] = (struct bare){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
		must(b[i].fd >= 0 && connect(b[i].fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
		             setsockopt(b[i].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0,
		     "connect");
		watch(epoll_fd, b[i].fd, &b[i]);
	}
}

static void bare_read(struct bare *b, struct run *r)
{
	static char bytes[2 * BODY_BYTES];
	ssize_t got = recv(b->fd, bytes, sizeof(bytes), 0);

	must(got > 0 && (size_t)got <= b->left_bytes, "recv");
	b->left_bytes -= (size_t)got;
	if (b->left_bytes == 0)
		note(r, b->asked_ns);
}

static void run_bare(void)
{
	int epoll_fd = epoll_create1(0);
	struct bare *b = calloc(targets, sizeof(*b));
	struct epoll_event events[EVENTS];
	int64_t each_ns = INTERVAL_S * KM_NS_PER_S / (int64_t)targets;
	int64_t start_ns;
	size_t asked = 0;
	struct run r;

	must(b != NULL, "memory");
	make_answer();
	bare_open(b, epoll_fd);
	begin(&r, (size_t)(seconds + 1) * targets / INTERVAL_S);
	start_ns = now_ns();
	for (int64_t t = start_ns; t < start_ns + seconds * KM_NS_PER_S; t = now_ns()) {
		int count;

		for (; start_ns + (int64_t)asked * each_ns <= t; asked++) {
			struct bare *next = &b[asked % targets];

			next->asked_ns = now_ns();
			next->left_bytes = answer_len;
			must(send(next->fd, bare_request, sizeof(bare_request) - 1, 0) > 0, "send");
		}
		count = epoll_wait(epoll_fd, events, EVENTS, 1);
		for (int i = 0; i < count; i++)
			bare_read(events[i].data.ptr, &r);
	}
	end(&r, "bare");
	for (size_t i = 0; i < targets; i++)
		(void)close(b[i].fd);
	(void)close(epoll_fd);
	free(b);
}

/* ---- the puller ------------------------------------------------------------------------------ */

static struct {
	atomic_bool counts;
	struct run run;
} pulled;

/* NOLINTNEXTLINE(readability-function-size): the puller says how many arguments there are */
static void told(void *ctx, uint64_t key, int status, const char *body, size_t len,
                 int64_t asked_mono_ns, const struct km_err *why)
{
	(void)ctx;
	(void)key;
	(void)body;
	if (!atomic_load(&pulled.counts))
		return;
	if (status == 200 && len == BODY_BYTES)
		note(&pulled.run, asked_mono_ns);
	else if (pulled.run.failures++ == 0 && why != NULL && why->code != ETIMEDOUT)
		(void)fprintf(stderr, "bench_pull: %s\n", why->text);
}

static void *pull(void *arg)
{
	km_pull_run(arg);
	return NULL;
}

static void url_of(size_t i, char *out, size_t out_size)
{
	struct sockaddr_in at = address_of(i);
	char host[INET_ADDRSTRLEN];

	(void)inet_ntop(AF_INET, &at.sin_addr, host, sizeof(host));
	(void)snprintf(out, out_size, "%s://%s:%d/v1/features", with_tls ? "https" : "http", host,
	               port);
}

static void sleep_s(int64_t s)
{
	struct timespec left = { .tv_sec = (time_t)s };

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

static void set_targets(struct km_pull *p)
{
	struct km_pull_target *target = calloc(targets, sizeof(*target));
	char(*url)[64] = calloc(targets, sizeof(*url));

	must(target != NULL && url != NULL, "memory");
	for (size_t i = 0; i < targets; i++) {
		url_of(i, url[i], sizeof(url[i]));
		target[i] = (struct km_pull_target){ i, url[i] };
	}
	must(km_pull_set(p, target, targets) == 0, "km_pull_set");
	free(target);
	free(url);
}

static void run_pull(pid_t agents)
{
	const struct km_client_tls tls = { .ca_pem = certificate,
		                           .cert_pem = certificate,
		                           .key_pem = private_key,
		                           .server_name = "agent" };
	const struct km_pull_options o = { .tls = with_tls ? &tls : NULL,
		                           .interval_ns = INTERVAL_S * KM_NS_PER_S,
		                           .timeout_ns = TIMEOUT_NS,
		                           .done = told };
	const struct {
		const char *name;
		int signal;
	} arms[] = { { with_tls ? "tls" : "pull", SIGUSR2 }, { "silent", SIGUSR1 } };
	struct km_err err = { .code = 0 };
	struct km_pull *p;
	pthread_t thread;

	must(km_pull_create(&o, &p, &err) == 0, "km_pull_create");
	set_targets(p);
	must(pthread_create(&thread, NULL, pull, p) == 0, "thread");
	for (size_t i = 0; i < (with_tls ? 1 : KM_ARRAY_LEN(arms)); i++) {
		(void)kill(agents, arms[i].signal);
		sleep_s((with_tls ? 4 : 1) * INTERVAL_S +
		        3); /* connections are made, silent ones are known */
		begin(&pulled.run, (size_t)(seconds + 2) * targets / INTERVAL_S * 2);
		atomic_store(&pulled.counts, true);
		sleep_s(seconds);
		atomic_store(&pulled.counts, false);
		sleep_s(0);
		end(&pulled.run, arms[i].name);
	}
	km_pull_stop(p);
	(void)pthread_join(thread, NULL);
	km_pull_free(p);
	(void)kill(agents, SIGUSR2);
}

/* ---- one by one ------------------------------------------------------------------------------ */

static void run_serial(void)
{
	struct km_err err = { .code = 0 };
	struct km_client *c;
	struct km_buf out;
	struct run r;

	km_buf_init(&out);
	must(km_client_create(NULL, &c, &err) == 0, "km_client_create");
	begin(&r, SERIAL_COUNT);
	for (size_t i = 0; i < SERIAL_COUNT; i++) {
		int64_t asked_ns = now_ns();
		char url[64];

		url_of(i % targets, url, sizeof(url));
		km_buf_clear(&out);
		if (km_client_do(c, url, NULL, 0, &out, &err) == 200)
			note(&r, asked_ns);
		else
			r.failures++;
	}
	end(&r, "serial");
	km_client_free(c);
	km_buf_fini(&out);
}

static void end_agents(pid_t agents)
{
	(void)kill(agents, SIGKILL);
	(void)waitpid(agents, NULL, 0);
	port = 0;
}

int main(int argc, char **argv)
{
	struct rlimit files;
	pid_t agents;

	if (argc > 1)
		targets = strtoul(argv[1], NULL, 10);
	if (argc > 2)
		seconds = (int64_t)strtoul(argv[2], NULL, 10);
	(void)getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	if (targets == 0 || targets > 60000 || seconds < 1 || files.rlim_cur < 2 * targets + 300) {
		(void)fprintf(stderr, "bench_pull: %zu targets, %lld descriptors\n", targets,
		              (long long)files.rlim_cur);
		return 1;
	}
	printf("%zu agents every %d s for %lld s, answers of %d bytes; peak RSS so far\n", targets,
	       INTERVAL_S, (long long)seconds, BODY_BYTES);
	printf("%-8s %8s %8s %10s %12s %10s %10s %8s\n", "", "answ./s", "failed", "CPU us/ask",
	       "% of a core", "p50 us", "p99 us", "RSS MiB");
	agents = start_agents();
	run_bare();
	run_pull(agents);
	run_serial();
	end_agents(agents);
	with_tls = true;
	make_certificate();
	agents = start_agents();
	run_pull(agents);
	end_agents(agents);
	return 0;
}
