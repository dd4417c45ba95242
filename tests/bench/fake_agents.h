/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fake agents, in a process of their own: one port on many addresses of 127.1.0.0/16. Each request
 * gets the same bytes but for the ETag. Plain, or TLS with a certificate that is made here, serves
 * both sides and is its own CA. For one bench_*.c: it keeps its state here.
 */
#ifndef KM_BENCH_FAKE_AGENTS_H
#define KM_BENCH_FAKE_AGENTS_H

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BODY_BYTES 6144
#define EVENTS     256
#define FIRST_HOST UINT32_C(0x7f010000) /* 127.1.0.0 */
/* While they are told to be silent (SIGUSR1, until SIGUSR2), every tenth is. */
#define SILENT_EACH 10

static size_t targets = 5000;
static int port;
static bool with_tls;

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

static gnutls_certificate_credentials_t credentials;
static char *certificate; /* PEM: of both sides, and the CA of both */
static char *private_key;

static char *text_of(const gnutls_datum_t *pem)
{
	char *text = strndup((const char *)pem->data, pem->size);

	must(text != NULL, "memory");
	return text;
}

/* One that signs itself is enough to pay for. */
static void make_certificate(void)
{
	unsigned char serial = 1;
	gnutls_x509_privkey_t k;
	gnutls_x509_crt_t c;
	gnutls_datum_t pem;

	must(gnutls_x509_privkey_init(&k) == 0 && gnutls_x509_crt_init(&c) == 0 &&
	             gnutls_x509_privkey_generate(k, GNUTLS_PK_ECDSA,
	                                          GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
	                                          0) == 0 &&
	             gnutls_x509_crt_set_version(c, 3) == 0 &&
	             gnutls_x509_crt_set_serial(c, &serial, 1) == 0 &&
	             gnutls_x509_crt_set_dn_by_oid(c, GNUTLS_OID_X520_COMMON_NAME, 0, "agent", 5) ==
	                     0 &&
	             gnutls_x509_crt_set_key(c, k) == 0 &&
	             gnutls_x509_crt_set_activation_time(c, time(NULL) - 60) == 0 &&
	             gnutls_x509_crt_set_expiration_time(c, time(NULL) + 3600) == 0 &&
	             gnutls_x509_crt_set_basic_constraints(c, 1, -1) == 0 &&
	             gnutls_x509_crt_set_subject_alt_name(c, GNUTLS_SAN_DNSNAME, "agent", 5,
	                                                  GNUTLS_FSAN_SET) == 0 &&
	             gnutls_x509_crt_sign2(c, c, k, GNUTLS_DIG_SHA256, 0) == 0,
	     "certificate");
	must(gnutls_certificate_allocate_credentials(&credentials) == 0 &&
	             gnutls_certificate_set_x509_key(credentials, &c, 1, k) == 0,
	     "credentials");
	must(gnutls_x509_crt_export2(c, GNUTLS_X509_FMT_PEM, &pem) == 0, "PEM");
	certificate = text_of(&pem);
	must(gnutls_x509_privkey_export2(k, GNUTLS_X509_FMT_PEM, &pem) == 0, "PEM");
	private_key = text_of(&pem);
}

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

static void watch(int epoll_fd, int fd, void *what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = what };

	must(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

struct peer {
	int fd;
	bool listens;
	bool shaken; /* its handshake is over */
	size_t agent;
	gnutls_session_t tls;
};

static ssize_t receive(const struct peer *p, char *bytes, size_t len)
{
	return p->tls != NULL ? gnutls_record_recv(p->tls, bytes, len) : recv(p->fd, bytes, len, 0);
}

static ssize_t answer_to(const struct peer *p)
{
	return p->tls != NULL ? gnutls_record_send(p->tls, answer, answer_len)
	                      : send(p->fd, answer, answer_len, MSG_NOSIGNAL);
}

static void drop(struct peer *p)
{
	if (p->tls != NULL)
		gnutls_deinit(p->tls);
	(void)close(p->fd);
	free(p);
}

/* A request comes in one piece: it is small, and the way is short. */
static void serve_one(struct peer *p)
{
	static unsigned long served;
	char request[2048];
	char digits[9];
	ssize_t got;

	if (p->tls != NULL && !p->shaken) {
		int code = gnutls_handshake(p->tls);

		p->shaken = code == 0;
		if (code != 0 && gnutls_error_is_fatal(code) != 0)
			drop(p);
		if (code != 0 || gnutls_record_check_pending(p->tls) == 0)
			return;
	}
	got = receive(p, request, sizeof(request));
	if (got == GNUTLS_E_AGAIN && p->tls != NULL)
		return;
	if (got <= 0) {
		drop(p);
		return;
	}
	if (atomic_load(&silent_mode) && p->agent % SILENT_EACH == 0)
		return;
	(void)snprintf(digits, sizeof(digits), "%08lx", ++served & 0xffffffff);
	memcpy(answer_etag, digits, 8);
	if (answer_to(p) != (ssize_t)answer_len)
		drop(p);
}

static struct peer *peer_new(int fd, bool listens, size_t agent)
{
	struct peer *p = calloc(1, sizeof(*p));

	must(p != NULL, "memory");
	*p = (struct peer){ .fd = fd, .listens = listens, .agent = agent };
	if (with_tls && !listens) {
		must(gnutls_init(&p->tls, GNUTLS_SERVER | GNUTLS_NONBLOCK) == 0 &&
		             gnutls_set_default_priority(p->tls) == 0 &&
		             gnutls_credentials_set(p->tls, GNUTLS_CRD_CERTIFICATE, credentials) ==
		                     0,
		     "TLS");
		gnutls_certificate_server_set_request(p->tls, GNUTLS_CERT_REQUEST);
		gnutls_transport_set_int(p->tls, fd);
	}
	return p;
}

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
		watch(epoll_fd, fd, peer_new(fd, true, i));
	}
	must(write(ready_fd, &port, sizeof(port)) == sizeof(port), "write");
	for (;;) {
		int count = epoll_wait(epoll_fd, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			struct peer *p = events[i].data.ptr;
			int fd = p->listens
			                 ? accept4(p->fd, NULL, NULL, with_tls ? SOCK_NONBLOCK : 0)
			                 : -1;

			if (fd >= 0)
				watch(epoll_fd, fd, peer_new(fd, false, p->agent));
			else if (!p->listens)
				serve_one(p);
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

#endif
