/* SPDX-License-Identifier: Apache-2.0 */
/* Starting and stopping the HTTP server; what runs in between is listen.c and request.c. */
#include "km/net/server.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net_internal.h"

/*
 * Memory of libmicrohttpd for one connection: headers, and half of it is what one read of a body
 * may bring.
 */
#define CONNECTION_BYTES ((size_t)64 * 1024)

/* Paths and arguments stay as sent; km_http_query decodes what it is asked for. */
static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
	(void)cls;
	(void)connection;
	return strlen(text);
}

static void let_linger(struct km_server *s, const struct net_connection *conn)
{
	if (conn->linger_bytes > 0 && !atomic_load(&s->quiesced) &&
	    net_linger_keep(&s->linger, conn->fd, km_clock_mono_ns(s->clock), conn->linger_bytes))
		net_wake(s);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
	struct km_server *s = cls;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

		*context = net_connections_opened(&s->connections, info->connect_fd);
		net_tls_thread(s->options.tls);
	} else if (*context != NULL) {
		let_linger(s, *context);
		net_connections_closed(&s->connections, *context);
		*context = NULL;
	}
}

static void register_metrics(struct km_server *s)
{
	struct km_metrics *m = s->options.metrics;
	const char *name = s->options.name != NULL ? s->options.name : "listen";
	static const char refused_help[] = "Connections and requests refused, by reason.";
	struct net_stats *st = &s->stats;

	st->accepted = km_metrics_counter(m, "kubemarla_http_connections_accepted_total",
	                                  "Connections accepted.", "listener", name, KM_LABELS_END);
	st->requests = km_metrics_counter(m, "kubemarla_http_requests_total",
	                                  "Requests whose headers have arrived.", "listener", name,
	                                  KM_LABELS_END);
	st->refused_full =
		km_metrics_counter(m, "kubemarla_http_refused_total", refused_help, "listener",
	                           name, "reason", "connections", KM_LABELS_END);
	st->refused_body = km_metrics_counter(m, "kubemarla_http_refused_total", refused_help,
	                                      "listener", name, "reason", "body", KM_LABELS_END);
	st->refused_memory =
		km_metrics_counter(m, "kubemarla_http_refused_total", refused_help, "listener",
	                           name, "reason", "memory", KM_LABELS_END);
	st->refused_aside = km_metrics_counter(m, "kubemarla_http_refused_total", refused_help,
	                                       "listener", name, "reason", "aside", KM_LABELS_END);
	st->refused_certificate =
		km_metrics_counter(m, "kubemarla_http_refused_total", refused_help, "listener",
	                           name, "reason", "certificate", KM_LABELS_END);
	st->deadline_closed = km_metrics_counter(m, "kubemarla_http_deadline_closed_total",
	                                         "Connections shut at the request deadline.",
	                                         "listener", name, KM_LABELS_END);
	st->received_bytes = km_metrics_counter(m, "kubemarla_http_received_bytes_total",
	                                        "Bytes of request bodies received.", "listener",
	                                        name, KM_LABELS_END);
	st->sent_bytes = km_metrics_counter(m, "kubemarla_http_sent_bytes_total",
	                                    "Bytes of answers' bodies given to be sent.",
	                                    "listener", name, KM_LABELS_END);
}

static int check(const struct km_server_options *o, struct km_err *err)
{
	if (o->handler == NULL || o->refuse == NULL)
		return km_err_set(err, EINVAL, "server: no handler");
	if (o->connections == 0 || o->body_bytes == 0)
		return km_err_set(err, EINVAL,
		                  "server: connections %u, body bytes %zu: want at least 1",
		                  o->connections, o->body_bytes);
	if (o->request_deadline_ns <= 0 || o->idle_ns <= 0)
		return km_err_set(err, EINVAL, "server: deadline and idle time: want more than 0");
	return 0;
}

static int init_drain(struct km_server *s)
{
	pthread_condattr_t attr;
	int rc = pthread_condattr_init(&attr);

	if (rc == 0)
		rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (rc == 0)
		rc = pthread_cond_init(&s->drained, &attr);
	if (rc == 0)
		rc = pthread_mutex_init(&s->drain_lock, NULL);
	(void)pthread_condattr_destroy(&attr);
	return -rc;
}

static int create(const struct km_server_options *options, struct km_server **out)
{
	struct km_server *s = calloc(1, sizeof(*s));
	uint32_t workers = options->threads > 0 ? options->threads : 1;
	struct km_gauge *connections;
	int rc;

	if (s == NULL)
		return -ENOMEM;
	s->options = *options;
	s->clock = km_clock_system();
	s->listen_fd = -1;
	s->workers = workers < NET_THREADS_MAX ? workers : NET_THREADS_MAX;
	atomic_init(&s->body_limit, options->body_bytes);
	atomic_init(&s->deadline_ns, options->request_deadline_ns);
	register_metrics(s);
	connections = km_metrics_gauge(
		options->metrics, "kubemarla_http_connections", "Connections open now.", "listener",
		options->name != NULL ? options->name : "listen", KM_LABELS_END);
	net_linger_init(&s->linger);
	net_recycler_init(&s->recycler);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = s->wake_fd < 0 ? -errno : init_drain(s);
	if (rc == 0)
		rc = net_connections_init(&s->connections, options->connections, s->workers,
		                          connections);
	if (rc != 0) {
		if (s->wake_fd >= 0)
			(void)close(s->wake_fd);
		free(s);
		return rc;
	}
	*out = s;
	return 0;
}

static unsigned idle_s(const struct km_server *s)
{
	int64_t ns = s->options.idle_ns;

	/* Without the kernel's count the last byte is all that there is to go by. */
	if (!net_counts_received(s->listen_fd) && s->options.request_deadline_ns < ns)
		ns = s->options.request_deadline_ns;
	ns = (ns + KM_NS_PER_S - 1) / KM_NS_PER_S;
	return ns < UINT_MAX ? (unsigned)ns : UINT_MAX;
}

static int start_worker(struct km_server *s, uint32_t i, struct km_err *err)
{
	bool tls = s->options.tls != NULL;

	/* Its log is off: this room is silent, and what clients do wrong is in the metrics. */
	s->worker[i] = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET |
			MHD_ALLOW_SUSPEND_RESUME | (tls ? MHD_USE_TLS : MHD_NO_FLAG),
		0, NULL, NULL, net_on_request, s, MHD_OPTION_CONNECTION_LIMIT,
		s->options.connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
		MHD_OPTION_CONNECTION_TIMEOUT, idle_s(s), MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, s, MHD_OPTION_NOTIFY_COMPLETED, net_on_completed, s,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
		/* Without TLS the list ends here. */
		tls ? MHD_OPTION_HTTPS_CERT_CALLBACK2 : MHD_OPTION_END, net_tls_retrieve,
		MHD_OPTION_HTTPS_PRIORITIES, NET_TLS_PRIORITIES, MHD_OPTION_END);
	if (s->worker[i] == NULL)
		return km_err_set(err, ENOMEM, "libmicrohttpd: thread %u of %u does not start",
		                  i + 1, s->workers);
	return 0;
}

static int start_threads(struct km_server *s, struct km_err *err)
{
	sigset_t all;
	sigset_t before;
	int rc;

	/* The process's signals are read from a descriptor by one thread; none may come here. */
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = net_aside_start(s);
	if (rc != 0)
		rc = km_err_errno(err, -rc, "aside thread");
	for (uint32_t i = 0; i < s->workers && rc == 0; i++)
		rc = start_worker(s, i, err);
	if (rc == 0) {
		rc = pthread_create(&s->accept_thread, NULL, net_accept_loop, s);
		s->accept_running = rc == 0;
		if (rc != 0)
			rc = km_err_errno(err, rc, "accept thread");
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

int km_server_start(const struct km_server_options *options, struct km_server **out,
                    struct km_err *err)
{
	struct km_server *s = NULL;
	int rc = check(options, err);

	if (rc != 0)
		goto out;
	rc = create(options, &s);
	if (rc != 0) {
		rc = km_err_errno(err, -rc, "server");
		goto out;
	}
	s->listen_fd = net_listen(options->address, options->port, err);
	if (s->listen_fd < 0) {
		rc = s->listen_fd;
		goto out;
	}
	s->port = net_port(s->listen_fd);
	rc = start_threads(s, err);
out:
	if (rc != 0) {
		(void)km_server_free(s, 0);
		s = NULL;
	}
	*out = s;
	return rc;
}

uint16_t km_server_port(const struct km_server *s)
{
	return s->port;
}

void km_server_set_limits(struct km_server *s, size_t body_bytes, int64_t request_deadline_ns)
{
	if (body_bytes > 0)
		atomic_store(&s->body_limit, body_bytes);
	if (request_deadline_ns > 0)
		atomic_store(&s->deadline_ns, request_deadline_ns);
	net_wake(s);
}

uint32_t km_server_connections(const struct km_server *s)
{
	return atomic_load(&s->connections.count);
}

void km_server_quiesce(struct km_server *s)
{
	if (atomic_exchange(&s->quiesced, true))
		return;
	/* The kernel refuses from here on; the descriptor is closed when its thread is gone. */
	if (s->listen_fd >= 0)
		(void)shutdown(s->listen_fd, SHUT_RDWR);
	net_wake(s);
}

/* Waits until no request is in progress. */
static void drain(struct km_server *s, int64_t drain_ns)
{
	int64_t until_ns = km_clock_mono_ns(s->clock) + drain_ns;
	struct timespec until = { .tv_sec = (time_t)(until_ns / KM_NS_PER_S),
		                  .tv_nsec = (long)(until_ns % KM_NS_PER_S) };
	int rc = 0;

	(void)pthread_mutex_lock(&s->drain_lock);
	while (rc == 0 && atomic_load(&s->in_progress) > 0)
		rc = pthread_cond_timedwait(&s->drained, &s->drain_lock, &until);
	(void)pthread_mutex_unlock(&s->drain_lock);
}

uint32_t km_server_free(struct km_server *s, int64_t drain_ns)
{
	uint32_t cut;

	if (s == NULL)
		return 0;
	km_server_quiesce(s);
	drain(s, drain_ns);
	atomic_store(&s->stopping, true);
	net_wake(s);
	if (s->accept_running)
		(void)pthread_join(s->accept_thread, NULL);
	cut = atomic_load(&s->in_progress);
	net_aside_stop(s);
	for (uint32_t i = 0; i < s->workers; i++) {
		if (s->worker[i] != NULL)
			MHD_stop_daemon(s->worker[i]);
	}
	net_connections_fini(&s->connections);
	net_recycler_fini(&s->recycler);
	net_linger_fini(&s->linger);
	(void)pthread_cond_destroy(&s->drained);
	(void)pthread_mutex_destroy(&s->drain_lock);
	if (s->listen_fd >= 0)
		(void)close(s->listen_fd);
	(void)close(s->wake_fd);
	free(s);
	return cut;
}
