/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /prioritize is compared with: bench_http_baseline MODE [PORT]
 *
 *   empty   libmicrohttpd with a handler that collects the body and sends a constant
 *   cjson   the same with plain cJSON both ways: parse ExtenderArgs, build and print every score
 *   server  our own server with a handler that sends the constant: its cost over `empty`
 *
 * One thread. Prints "ready PORT", and at SIGTERM how many requests it had and the CPU time it
 * took.
 */
#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "km/base/num.h"
#include "km/net/server.h"

#define BODY_MAX         ((size_t)16 << 20)
#define CONNECTION_BYTES ((size_t)64 * 1024)

static const char constant[] = "[{\"Host\":\"node-0\",\"Score\":5}]\n";
static atomic_ulong requests;
static atomic_ulong pieces; /* calls that brought a part of a body */
static bool with_cjson;

static char *score_all(const char *body, size_t len)
{
	cJSON *args = cJSON_ParseWithLength(body, len);
	const cJSON *names = cJSON_GetObjectItem(args, "NodeNames");
	cJSON *list = cJSON_CreateArray();
	const cJSON *name;
	char *text;

	cJSON_ArrayForEach(name, names)
	{
		cJSON *entry = cJSON_CreateObject();

		cJSON_AddStringToObject(entry, "Host", cJSON_GetStringValue(name));
		cJSON_AddNumberToObject(entry, "Score", 5);
		cJSON_AddItemToArray(list, entry);
	}
	text = cJSON_PrintUnformatted(list);
	cJSON_Delete(list);
	cJSON_Delete(args);
	return text;
}

static enum MHD_Result reply(struct MHD_Connection *connection, const struct km_buf *body)
{
	static char fixed[sizeof(constant)];
	struct MHD_Response *response;
	enum MHD_Result result;

	memcpy(fixed, constant, sizeof(constant));
	if (with_cjson) {
		char *text = score_all(body->data, body->len);

		response = MHD_create_response_from_buffer(text != NULL ? strlen(text) : 0, text,
		                                           MHD_RESPMEM_MUST_FREE);
	} else {
		response = MHD_create_response_from_buffer(sizeof(constant) - 1, fixed,
		                                           MHD_RESPMEM_PERSISTENT);
	}
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	(void)atomic_fetch_add(&requests, 1);
	return result;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **slot)
{
	struct km_buf *body = *slot;

	(void)cls;
	(void)url;
	(void)method;
	(void)version;
	if (body == NULL) {
		body = malloc(sizeof(*body));
		if (body == NULL)
			return MHD_NO;
		km_buf_init(body);
		*slot = body;
		return MHD_YES;
	}
	if (*upload_size == 0)
		return reply(connection, body);
	km_buf_append(body, upload, *upload_size);
	*upload_size = 0;
	(void)atomic_fetch_add(&pieces, 1);
	return body->len <= BODY_MAX && km_buf_ok(body) ? MHD_YES : MHD_NO;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **slot,
                         enum MHD_RequestTerminationCode why)
{
	(void)cls;
	(void)connection;
	(void)why;
	if (*slot != NULL)
		km_buf_fini(*slot);
	free(*slot);
	*slot = NULL;
}

static void handle(void *ctx, const struct km_http_request *req, struct km_http_reply *out)
{
	(void)ctx;
	(void)req;
	km_buf_append(&out->body, constant, sizeof(constant) - 1);
	(void)atomic_fetch_add(&requests, 1);
}

static void refuse(void *ctx, int status, const char *message, struct km_http_reply *out)
{
	(void)ctx;
	(void)status;
	km_buf_str(&out->body, message);
}

static int serve_ours(uint16_t port, const sigset_t *ends)
{
	const struct km_server_options options = { .address = "127.0.0.1",
		                                   .port = port,
		                                   .body_bytes = BODY_MAX,
		                                   .connections = 512,
		                                   .request_deadline_ns = 5 * KM_NS_PER_S,
		                                   .idle_ns = 90 * KM_NS_PER_S,
		                                   .threads = 1,
		                                   .handler = handle,
		                                   .refuse = refuse };
	struct km_server *server;
	struct km_err err;
	int sig;

	if (km_server_start(&options, &server, &err) != 0) {
		fprintf(stderr, "bench_http_baseline: %s\n", err.text);
		return 1;
	}
	printf("ready %u\n", km_server_port(server));
	fflush(stdout);
	(void)sigwait(ends, &sig);
	(void)km_server_free(server, KM_NS_PER_S);
	return 0;
}

static int serve_plain(uint16_t port, const sigset_t *ends)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	const union MHD_DaemonInfo *info;
	struct MHD_Daemon *daemon;
	int sig;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, port, NULL, NULL, on_request, NULL,
	                          MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_NOTIFY_COMPLETED,
	                          on_completed, NULL, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	                          CONNECTION_BYTES, MHD_OPTION_END);
	if (daemon == NULL) {
		fprintf(stderr, "bench_http_baseline: port %u: cannot start\n", port);
		return 1;
	}
	info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
	printf("ready %u\n", info->port);
	fflush(stdout);
	(void)sigwait(ends, &sig);
	MHD_stop_daemon(daemon);
	return 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	struct rusage used;
	int64_t port = 0;
	sigset_t ends;
	int rc;

	with_cjson = strcmp(mode, "cjson") == 0;
	if (argc > 3 ||
	    (!with_cjson && strcmp(mode, "empty") != 0 && strcmp(mode, "server") != 0) ||
	    (argc == 3 &&
	     (km_num_int(argv[2], strlen(argv[2]), &port) != 0 || port < 0 || port > UINT16_MAX))) {
		fputs("Usage: bench_http_baseline empty|cjson|server [PORT]\n", stderr);
		return 2;
	}
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &ends, NULL);
	rc = strcmp(mode, "server") == 0 ? serve_ours((uint16_t)port, &ends)
	                                 : serve_plain((uint16_t)port, &ends);
	(void)getrusage(RUSAGE_SELF, &used);
	printf("requests %lu pieces %lu cpu_seconds %.3f\n", atomic_load(&requests),
	       atomic_load(&pieces),
	       (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec * 1e-6 +
	               (double)used.ru_stime.tv_sec + (double)used.ru_stime.tv_usec * 1e-6);
	return rc;
}
