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
 *
 * CPU time is the reading process's, of user and kernel; latency is from asking to having it all.
 * It does not show what a network, or the agents' own work, adds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "km/base/clock.h"
#include "km/base/file.h"
#include "km/base/macros.h"
#include "km/net/client.h"
#include "km/net/pull.h"

#define INTERVAL_S   5
#define TIMEOUT_NS   (2 * KM_NS_PER_S)
#define BODY_BYTES   6144
#define SERIAL_COUNT 2000
#define SILENT_EACH  10
#define EVENTS       256
#define FIRST_HOST   UINT32_C(0x7f010000) /* 127.1.0.0 */

static size_t targets = 5000;
static int64_t seconds = 20;
static int port;

static void must(bool right, const char *what)
{
	if (right)
		return;
	perror(what);
	exit(1);
}

static struct sockaddr_in address_of(size_t i)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	/* No .0 and no .255 of a /24: that is what a cluster would have. */
	at.sin_addr.s_addr = htonl(FIRST_HOST + (uint32_t)(i / 250 * 256 + i % 250 + 1));
	return at;
}

/* ---- the fake agents ------------------------------------------------------------------------- */

static char answer[BODY_BYTES + 256];
static char *answer_etag; /* eight digits in it */
static size_t answer_len;
static atomic_bool silent_mode;

static void make_answer(void)
{
	int head = snprintf(answer, sizeof(answer),
	                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	                    "ETag: \"00000000\"\r\nContent-Length: %d\r\n\r\n",
	                    BODY_BYTES);

	memset(answer + head, ' ', BODY_BYTES);
	answer[head] = '{';
	answer[head + BODY_BYTES - 1] = '}';
	answer_etag = strstr(answer, "00000000");
	answer_len = (size_t)head + BODY_BYTES;
}

static void on_signal(int number)
{
	atomic_store(&silent_mode, number == SIGUSR1);
}

static void watch(int epoll_fd, int fd, uint64_t what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = what };

	must(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

/* A request comes in one piece: it is small, and the way is short. */
static void serve_one(int fd, bool silent)
{
	static unsigned long served;
	char request[2048];
	char digits[9];
	ssize_t got = recv(fd, request, sizeof(request), 0);

	if (got <= 0) {
		(void)close(fd);
		return;
	}
	if (silent)
		return;
	(void)snprintf(digits, sizeof(digits), "%08lx", ++served & 0xffffffff);
	memcpy(answer_etag, digits, 8);
	if (send(fd, answer, answer_len, MSG_NOSIGNAL) != (ssize_t)answer_len)
		(void)close(fd);
}

/* Of what is watched: bit 32 = a listener; bits 33.. = which agent. */
#define LISTENER (UINT64_C(1) << 32)

static void serve(int ready_fd)
{
	int epoll_fd = epoll_create1(0);
	struct epoll_event events[EVENTS];
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	const int on = 1;

	(void)sigaction(SIGUSR1, &act, NULL);
	(void)sigaction(SIGUSR2, &act, NULL);
	make_answer();
	for (size_t i = 0; i < targets; i++) {
		struct sockaddr_in at = address_of(i);
		socklen_t len = sizeof(at);
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		must(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		             bind(fd, (struct sockaddr *)&at, len) == 0 && listen(fd, 8) == 0,
		     "listen");
		if (port == 0 && getsockname(fd, (struct sockaddr *)&at, &len) == 0)
			port = ntohs(at.sin_port);
		watch(epoll_fd, fd, LISTENER | (uint64_t)i << 33 | (uint32_t)fd);
	}
	must(write(ready_fd, &port, sizeof(port)) == sizeof(port), "write");
	for (;;) {
		int count = epoll_wait(epoll_fd, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			uint64_t what = events[i].data.u64;
			uint64_t agent = what >> 33;
			int fd = (int)(what & 0x7fffffff);

			if ((what & LISTENER) != 0) {
				fd = accept(fd, NULL, NULL);
				if (fd >= 0)
					watch(epoll_fd, fd, agent << 33 | (uint32_t)fd);
			} else {
				serve_one(fd,
				          atomic_load(&silent_mode) && agent % SILENT_EACH == 0);
			}
		}
	}
}

static pid_t start_agents(void)
{
	int ready[2];
	pid_t pid;

	must(pipe(ready) == 0, "pipe");
	pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0) {
		(void)close(ready[0]);
		serve(ready[1]);
	}
	(void)close(ready[1]);
	must(read(ready[0], &port, sizeof(port)) == sizeof(port), "the agents");
	(void)close(ready[0]);
	return pid;
}

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
		watch(epoll_fd, b[i].fd, i);
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
			bare_read(&b[events[i].data.u64], &r);
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
	(void)why;
	(void)body;
	if (!atomic_load(&pulled.counts))
		return;
	if (status == 200 && len == BODY_BYTES)
		note(&pulled.run, asked_mono_ns);
	else
		pulled.run.failures++;
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
	(void)snprintf(out, out_size, "http://%s:%d/v1/features", host, port);
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
	const struct km_pull_options o = { .interval_ns = INTERVAL_S * KM_NS_PER_S,
		                           .timeout_ns = TIMEOUT_NS,
		                           .done = told };
	static const struct {
		const char *name;
		int signal;
	} arms[] = { { "pull", SIGUSR2 }, { "silent", SIGUSR1 } };
	struct km_err err = { .code = 0 };
	struct km_pull *p;
	pthread_t thread;

	must(km_pull_create(&o, &p, &err) == 0, "km_pull_create");
	set_targets(p);
	must(pthread_create(&thread, NULL, pull, p) == 0, "thread");
	for (size_t i = 0; i < KM_ARRAY_LEN(arms); i++) {
		(void)kill(agents, arms[i].signal);
		sleep_s(INTERVAL_S + 3); /* connections are made, silent ones are known */
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
	agents = start_agents();
	printf("%zu agents every %d s for %lld s, answers of %d bytes; peak RSS so far\n", targets,
	       INTERVAL_S, (long long)seconds, BODY_BYTES);
	printf("%-8s %8s %8s %10s %12s %10s %10s %8s\n", "", "answ./s", "failed", "CPU us/ask",
	       "% of a core", "p50 us", "p99 us", "RSS MiB");
	run_bare();
	run_pull(agents);
	run_serial();
	(void)kill(agents, SIGKILL);
	(void)waitpid(agents, NULL, 0);
	return 0;
}
