/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request: its memory, its body as it arrives, the handler, the answer. Runs on the daemons'
 * threads; a request stays on one. libmicrohttpd calls net_on_request once with the headers, then
 * for each piece of the body, then once more for the answer, and net_on_completed at the end
 * whatever happened. The answer's bytes are not copied: they are the request's own buffer, which is
 * recycled only in net_on_completed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/num.h"

#include "net_internal.h"

/* What one request's buffer, reply or arena may keep for the next; with 15,000 names they take 0.5,
 * 1 and 1.1 MiB. */
#define KEEP_EACH_BYTES ((size_t)2 * 1024 * 1024)
/* And all waiting requests of one server together. */
#define KEEP_ALL_BYTES (8 * KEEP_EACH_BYTES)
#define KEEP_COUNT     32
/* A body's announced length is believed up to here; what is longer grows as it arrives. */
#define PRESIZE_BYTES ((size_t)1024 * 1024)
/* All bodies in progress, in multiples of the limit of one. */
#define BODIES_IN_PROGRESS 8
/* Of a body over the limit so many limits more are read, to be able to say so. */
#define DROP_LIMITS 8

static atomic_uint_fast64_t last_id;

/* ---- recycling ----------------------------------------------------------------------------- */

void net_recycler_init(struct net_recycler *r)
{
	*r = (struct net_recycler){ .lock = PTHREAD_MUTEX_INITIALIZER };
}

static void request_free(struct net_request *r)
{
	km_buf_fini(&r->body);
	km_buf_fini(&r->reply.body);
	km_arena_fini(&r->arena);
	free(r);
}

void net_recycler_fini(struct net_recycler *recycler)
{
	struct net_request *next;

	for (struct net_request *r = recycler->head; r != NULL; r = next) {
		next = r->next;
		request_free(r);
	}
	(void)pthread_mutex_destroy(&recycler->lock);
}

static size_t held_bytes(const struct net_request *r)
{
	return r->body.cap + r->reply.body.cap + r->arena.total;
}

static struct net_request *request_take(struct net_recycler *recycler)
{
	struct net_request *r;

	(void)pthread_mutex_lock(&recycler->lock);
	r = recycler->head;
	if (r != NULL) {
		recycler->head = r->next;
		recycler->kept--;
		recycler->kept_bytes -= held_bytes(r);
	}
	(void)pthread_mutex_unlock(&recycler->lock);
	if (r != NULL)
		return r;
	r = calloc(1, sizeof(*r));
	if (r != NULL) {
		km_buf_init(&r->body);
		km_buf_init(&r->reply.body);
		km_arena_init(&r->arena, KEEP_EACH_BYTES);
	}
	return r;
}

static void trim(struct km_buf *b)
{
	if (b->cap > KEEP_EACH_BYTES)
		km_buf_fini(b);
	else
		km_buf_clear(b);
}

static void request_give(struct net_recycler *recycler, struct net_request *r)
{
	size_t bytes;
	bool keep;

	trim(&r->body);
	trim(&r->reply.body);
	km_arena_reset(&r->arena);
	bytes = held_bytes(r);
	(void)pthread_mutex_lock(&recycler->lock);
	keep = recycler->kept < KEEP_COUNT && recycler->kept_bytes + bytes <= KEEP_ALL_BYTES;
	if (keep) {
		r->next = recycler->head;
		recycler->head = r;
		recycler->kept++;
		recycler->kept_bytes += bytes;
	}
	(void)pthread_mutex_unlock(&recycler->lock);
	if (!keep)
		request_free(r);
}

/* ---- the parts of a request ----------------------------------------------------------------- */

static enum km_http_method method_of(const char *name)
{
	static const struct {
		const char *name;
		enum km_http_method method;
	} methods[] = {
		{ MHD_HTTP_METHOD_POST, KM_HTTP_POST },
		{ MHD_HTTP_METHOD_GET, KM_HTTP_GET },
		{ MHD_HTTP_METHOD_HEAD, KM_HTTP_HEAD },
		{ MHD_HTTP_METHOD_PUT, KM_HTTP_PUT },
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(methods); i++) {
		if (strcmp(name, methods[i].name) == 0)
			return methods[i].method;
	}
	return KM_HTTP_OTHER;
}

const char *km_http_header(const struct km_http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->source->connection, MHD_HEADER_KIND, name);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *km_http_query(const struct km_http_request *r, const char *name)
{
	const char *in =
		MHD_lookup_connection_value(r->source->connection, MHD_GET_ARGUMENT_KIND, name);
	char *decoded = in != NULL ? km_arena_strndup(r->arena, in, strlen(in)) : NULL;
	char *to = decoded;

	if (decoded == NULL)
		return NULL;
	for (const char *at = decoded; *at != '\0'; at++) {
		int high = *at == '%' ? hex_digit(at[1]) : -1;
		int low = high >= 0 ? hex_digit(at[2]) : -1;

		/* "%00" stays as it is: nobody behind this expects a name with a NUL in it. */
		if (low >= 0 && high + low > 0) {
			*to++ = (char)(high << 4 | low);
			at += 2;
		} else {
			*to++ = *at;
		}
	}
	*to = '\0';
	return decoded;
}

/* The announced length of the body; 0 when there is none or it comes in chunks. */
static size_t announced_bytes(struct MHD_Connection *connection)
{
	const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
	                                               MHD_HTTP_HEADER_CONTENT_LENGTH);
	int64_t value = 0;
	int rc = text != NULL ? km_num_int(text, strlen(text), &value) : 0;

	if (rc == -ERANGE)
		return SIZE_MAX;
	return rc == 0 && value > 0 ? (size_t)value : 0; /* what is no length was refused */
}

/* ---- answers -------------------------------------------------------------------------------- */

static bool add_header(struct MHD_Response *response, const char *name, const char *value)
{
	return value == NULL || value[0] == '\0' ||
	       MHD_add_response_header(response, name, value) == MHD_YES;
}

/* Hands the reply to libmicrohttpd. MHD_NO closes the connection. */
static enum MHD_Result send_reply(struct km_server *s, struct net_request *r, bool close)
{
	struct km_http_reply *reply = &r->reply;
	char none[1] = "";
	/* Persistent: it borrows the bytes until net_on_completed and never writes to them. */
	struct MHD_Response *response = MHD_create_response_from_buffer(
		reply->body.len, reply->body.data != NULL ? reply->body.data : none,
		MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result = MHD_NO;

	if (response == NULL)
		return MHD_NO;
	close = close || atomic_load_explicit(&s->quiesced, memory_order_relaxed);
	if (add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type) &&
	    add_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow) &&
	    add_header(response, MHD_HTTP_HEADER_ETAG, reply->etag) &&
	    add_header(response, MHD_HTTP_HEADER_CONNECTION, close ? "close" : NULL))
		result =
			MHD_queue_response(r->source.connection, (unsigned)reply->status, response);
	MHD_destroy_response(response);
	if (result == MHD_YES)
		km_counter_add(s->stats.sent_bytes, reply->body.len);
	return result;
}

static void reply_reset(struct km_http_reply *reply, int status)
{
	reply->status = status;
	reply->content_type = "application/json";
	reply->allow = NULL;
	reply->etag[0] = '\0';
	km_buf_clear(&reply->body);
}

static enum MHD_Result refuse(struct km_server *s, struct net_request *r, int status,
                              const char *message, bool close)
{
	reply_reset(&r->reply, status);
	s->options.refuse(s->options.ctx, status, message, &r->reply);
	if (!km_buf_ok(&r->reply.body))
		km_buf_clear(&r->reply.body); /* the status says it too */
	return send_reply(s, r, close);
}

static enum MHD_Result send_refusal(struct km_server *s, struct net_request *r, int status,
                                    bool close)
{
	bool too_large = status == MHD_HTTP_CONTENT_TOO_LARGE;

	km_counter_add(too_large ? s->stats.refused_body : s->stats.refused_memory, 1);
	return refuse(s, r, status,
	              too_large ? "the body is larger than limits.bodyBytes"
	                        : "out of memory for this request",
	              close);
}

static enum MHD_Result refuse_aside(struct km_server *s, struct net_request *r)
{
	km_counter_add(s->stats.refused_aside, 1);
	return refuse(s, r, MHD_HTTP_SERVICE_UNAVAILABLE,
	              "too many requests that take long; try again", false);
}

static enum MHD_Result answer(struct km_server *s, struct net_request *r)
{
	if (r->refused != 0)
		return send_refusal(s, r, r->refused, false);
	if (r->aside == NET_ASIDE_REFUSED)
		return refuse_aside(s, r);
	if (r->aside == NET_ASIDE_NOT) {
		r->request.body = r->body.len > 0 ? r->body.data : NULL;
		r->request.body_len = r->body.len;
		reply_reset(&r->reply, MHD_HTTP_OK);
		if (s->options.aside != NULL && s->options.aside(s->options.ctx, &r->request))
			return net_aside_give(s, r) ? MHD_YES : refuse_aside(s, r);
		s->options.handler(s->options.ctx, &r->request, &r->reply);
	}
	if (!km_buf_ok(&r->reply.body))
		return send_refusal(s, r, MHD_HTTP_SERVICE_UNAVAILABLE, false);
	return send_reply(s, r, false);
}

/* ---- libmicrohttpd's callbacks -------------------------------------------------------------- */

static void init_thread_once(const struct km_server *s)
{
	static _Thread_local bool done; /* a daemon's thread serves one server only */

	if (done)
		return;
	done = true;
	(void)pthread_setname_np(pthread_self(), "km-http");
	if (s->options.thread_init != NULL)
		s->options.thread_init();
}

static struct net_connection *context_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info != NULL ? info->socket_context : NULL;
}

/* The client is sending a body that nobody wants: it shall see why. */
static void linger(struct MHD_Connection *connection, size_t body_limit)
{
	struct net_connection *conn = context_of(connection);

	if (conn != NULL)
		conn->linger_bytes =
			body_limit < SIZE_MAX / DROP_LIMITS ? DROP_LIMITS * body_limit : SIZE_MAX;
}

/* returns NULL when the request may be answered, else why not. */
static const char *refuse_client(struct km_server *s, const struct net_request *r)
{
	struct MHD_Connection *connection = r->source.connection;
	struct net_connection *conn = context_of(connection);
	const union MHD_ConnectionInfo *info;
	const char *why;

	if (s->options.tls == NULL)
		return NULL;
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (info == NULL || info->tls_session == NULL || conn == NULL)
		return "no TLS session";
	why = net_tls_refuse(s->options.tls, info->tls_session, km_clock_mono_ns(s->clock),
	                     &conn->proof);
	if (why != NULL && s->options.open != NULL && s->options.open(s->options.ctx, &r->request))
		return NULL;
	return why;
}

/* The headers are here. */
static enum MHD_Result begin(struct km_server *s, struct MHD_Connection *connection,
                             const char *url, const char *method, void **slot)
{
	size_t announced = announced_bytes(connection);
	struct net_request *r;
	const char *why;

	init_thread_once(s);
	r = request_take(&s->recycler);
	if (r == NULL) {
		km_counter_add(s->stats.refused_memory, 1);
		return MHD_NO;
	}
	*slot = r;
	(void)atomic_fetch_add(&s->in_progress, 1);
	km_counter_add(s->stats.requests, 1);
	r->source.connection = connection;
	r->request = (struct km_http_request){
		.method = method_of(method),
		.path = url,
		.id = atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1,
		.arena = &r->arena,
		.source = &r->source,
	};
	r->refused = 0;
	r->aside = NET_ASIDE_NOT;
	r->dropped_bytes = 0;
	r->body_limit = atomic_load_explicit(&s->body_limit, memory_order_relaxed);
	/* Nothing of the body is read: the connection ends with these answers. */
	why = refuse_client(s, r);
	if (why != NULL) {
		linger(connection, r->body_limit);
		km_counter_add(s->stats.refused_certificate, 1);
		return refuse(s, r, MHD_HTTP_FORBIDDEN, why, true);
	}
	if (announced > r->body_limit) {
		linger(connection, r->body_limit);
		return send_refusal(s, r, MHD_HTTP_CONTENT_TOO_LARGE, true);
	}
	/* A failure sticks, and shows when the body is there. */
	(void)km_buf_reserve(&r->body, announced < PRESIZE_BYTES ? announced : PRESIZE_BYTES);
	return MHD_YES;
}

/* The body will not be used: its memory goes back at once. */
static void drop_body(struct km_server *s, struct net_request *r, int status)
{
	r->refused = status;
	(void)atomic_fetch_sub(&s->bodies_bytes, r->body.len);
	km_buf_fini(&r->body);
}

/* returns false when the rest of the request is not worth waiting for. */
static bool take_body(struct km_server *s, struct net_request *r, const char *bytes, size_t len)
{
	km_counter_add(s->stats.received_bytes, len);
	if (r->refused == 0 && len > r->body_limit - r->body.len)
		drop_body(s, r, MHD_HTTP_CONTENT_TOO_LARGE);
	if (r->refused == 0) {
		size_t all = SIZE_MAX;

		km_buf_append(&r->body, bytes, len);
		if (km_buf_ok(&r->body))
			all = atomic_fetch_add(&s->bodies_bytes, len) + len;
		if (all / BODIES_IN_PROGRESS <= r->body_limit)
			return true;
		drop_body(s, r, MHD_HTTP_SERVICE_UNAVAILABLE);
	}
	/* It can only be answered when the body is over, and that is worth so much. */
	r->dropped_bytes += len;
	return r->dropped_bytes / DROP_LIMITS <= r->body_limit;
}

/* NOLINTNEXTLINE(readability-function-size): libmicrohttpd says how many arguments there are */
enum MHD_Result net_on_request(void *cls, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_size, void **slot)
{
	struct km_server *s = cls;
	struct net_request *r = *slot;
	size_t len = *upload_size;

	(void)version;
	if (r == NULL)
		return begin(s, connection, url, method, slot);
	if (len == 0)
		return answer(s, r);
	*upload_size = 0;
	return take_body(s, r, upload, len) ? MHD_YES : MHD_NO;
}

void net_on_completed(void *cls, struct MHD_Connection *connection, void **slot,
                      enum MHD_RequestTerminationCode why)
{
	struct net_connection *conn = context_of(connection);
	struct km_server *s = cls;
	struct net_request *r = *slot;

	(void)why;
	if (conn != NULL)
		net_connection_answered(conn);
	if (r == NULL)
		return;
	*slot = NULL;
	(void)atomic_fetch_sub(&s->bodies_bytes, r->body.len);
	request_give(&s->recycler, r);
	if (atomic_fetch_sub(&s->in_progress, 1) == 1 && atomic_load(&s->quiesced)) {
		(void)pthread_mutex_lock(&s->drain_lock);
		(void)pthread_cond_broadcast(&s->drained);
		(void)pthread_mutex_unlock(&s->drain_lock);
	}
}
