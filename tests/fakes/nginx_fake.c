/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fake of nginx, for the rig's tests: it takes nginx' arguments, finds `listen` in the
 * configuration, serves www/body and a stub_status page, and ends at SIGTERM. It proves nothing of
 * nginx: neither that it takes such a configuration nor how it answers under load.
 *
 * In the environment, KM_FAKE_NGINX = "dies" (at once, with words), "lies" (404 to everything).
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "km/base/macros.h"

#define CONNECTIONS_MAX 64
#define REQUEST_MAX     4096
#define BODY_MAX        (1u << 20)

struct connection {
	int fd;
	size_t len;
	char request[REQUEST_MAX];
};

static char body[BODY_MAX];
static size_t body_len;
static unsigned long requests;
static bool lies;

static size_t read_file(const char *dir, const char *name, char *out, size_t size)
{
	char path[4096];
	size_t n = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (f != NULL) {
		n = fread(out, 1, size, f);
		(void)fclose(f);
	}
	return n;
}

static int listen_on(unsigned port)
{
	const struct sockaddr_in at = { .sin_family = AF_INET,
		                        .sin_port = htons((uint16_t)port),
		                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 16) != 0) {
		perror("fake nginx: bind()");
		exit(1);
	}
	return fd;
}

static bool put(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

static bool answer(const struct connection *c)
{
	bool is_body = strncmp(c->request, "GET /body ", 10) == 0 && !lies;
	bool is_status = strncmp(c->request, "GET /status ", 12) == 0;
	char status[256];
	char head[128];
	int len;
	int n;

	requests++;
	len = snprintf(status, sizeof(status),
	               "Active connections: 1 \nserver accepts handled requests\n 1 1 %lu \n"
	               "Reading: 0 Writing: 1 Waiting: 0 \n",
	               requests);
	n = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n",
	             is_body || is_status ? "200 OK" : "404 Not Found",
	             is_body     ? body_len
	             : is_status ? (size_t)len
	                         : 0);
	return put(c->fd, head, (size_t)n) && (!is_body || put(c->fd, body, body_len)) &&
	       (!is_status || put(c->fd, status, (size_t)len));
}

/* returns whether the connection goes on. */
static bool serve(struct connection *c)
{
	ssize_t n = recv(c->fd, c->request + c->len, sizeof(c->request) - 1 - c->len, 0);

	if (n <= 0)
		return false;
	c->len += (size_t)n;
	c->request[c->len] = '\0';
	if (strstr(c->request, "\r\n\r\n") == NULL)
		return true;
	c->len = 0;
	return answer(c);
}

static void run(int listener)
{
	static struct connection c[CONNECTIONS_MAX];
	struct pollfd fds[CONNECTIONS_MAX + 1] = { { listener, POLLIN, 0 } };
	size_t count = 0;

	while (poll(fds, count + 1, -1) > 0) {
		for (size_t i = count; i-- > 0;) {
			if (fds[i + 1].revents == 0 || serve(&c[i]))
				continue;
			(void)close(c[i].fd);
			c[i] = c[--count];
		}
		if (fds[0].revents != 0 && count < CONNECTIONS_MAX) {
			c[count].len = 0;
			c[count].fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
			count += c[count].fd >= 0;
		}
		for (size_t i = 0; i < count; i++)
			fds[i + 1] = (struct pollfd){ c[i].fd, POLLIN, 0 };
	}
}

int main(int argc, char **argv)
{
	const char *mode = getenv("KM_FAKE_NGINX"); /* NOLINT(concurrency-mt-unsafe) */
	char config[8192];
	const char *at;
	unsigned port = 0;

	if (argc == 2 && strcmp(argv[1], "-v") == 0) {
		fprintf(stderr, "nginx version: nginx/fake\n");
		return 0;
	}
	if (argc < 5 || strcmp(argv[1], "-p") != 0 || strcmp(argv[3], "-c") != 0)
		return 2;
	if (mode != NULL && strcmp(mode, "dies") == 0) {
		fprintf(stderr, "fake nginx: out of luck\n");
		return 1;
	}
	lies = mode != NULL && strcmp(mode, "lies") == 0;
	config[read_file(argv[2], argv[4], config, sizeof(config) - 1)] = '\0';
	body_len = read_file(argv[2], "www/body", body, sizeof(body));
	at = strstr(config, "listen 127.0.0.1:");
	if (at != NULL)
		port = (unsigned)strtoul(at + strlen("listen 127.0.0.1:"), NULL, 10);
	run(listen_on(port));
	return 1;
}
