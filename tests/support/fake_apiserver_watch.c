/* SPDX-License-Identifier: Apache-2.0 */
/* The fake API server's watches. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/fake_apiserver_internal.h"

void fake_wake_all(struct fake_apiserver_state *s)
{
	for (struct fake_connection *c = s->connections; c != NULL; c = c->next)
		(void)eventfd_write(c->wake, 1);
	(void)pthread_cond_broadcast(&s->changed);
}

static bool of_interest(const struct fake_event *e, const struct fake_request *r)
{
	char in_ns[300];

	if (strcmp(e->resource, r->resource) != 0)
		return false;
	(void)snprintf(in_ns, sizeof(in_ns), "\"namespace\":\"%s\"", r->ns);
	return (r->ns[0] == '\0' || strstr(e->json, in_ns) != NULL) &&
	       fake_request_selects(r, e->json);
}

void fake_store_events(struct fake_apiserver_state *s, const struct fake_request *r, uint64_t *from,
                       struct km_buf *out)
{
	for (size_t i = 0; i < s->event_count; i++) {
		const struct fake_event *e = &s->event[i];

		if (e->version <= *from || !of_interest(e, r))
			continue;
		km_buf_printf(out, "{\"type\":\"%s\",\"object\":%s}\n", e->type, e->json);
	}
	*from = s->version;
}

void fake_store_bookmark(const struct fake_apiserver_state *s, struct km_buf *out)
{
	km_buf_printf(out,
	              "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"X\",\"apiVersion\":\"v1\","
	              "\"metadata\":{\"resourceVersion\":\"%llu\",\"creationTimestamp\":null}}}\n",
	              (unsigned long long)s->version);
}

void fake_store_free(struct fake_apiserver_state *s)
{
	for (size_t i = 0; i < s->object_count; i++) {
		free(s->object[i].resource);
		free(s->object[i].ns);
		free(s->object[i].name);
		free(s->object[i].json);
	}
	for (size_t i = 0; i < s->event_count; i++) {
		free(s->event[i].resource);
		free(s->event[i].json);
	}
	for (size_t i = 0; i < s->seen_count; i++) {
		free(s->seen[i].line);
		free(s->seen[i].body);
	}
	free(s->object);
	free(s->event);
	free(s->seen);
}

static bool send_chunk(const struct fake_connection *c, const struct km_buf *bytes)
{
	char head[32];

	if (bytes->len == 0)
		return true;
	(void)snprintf(head, sizeof(head), "%zx\r\n", bytes->len);
	return fake_send(c, head, strlen(head)) && fake_send(c, bytes->data, bytes->len) &&
	       fake_send(c, "\r\n", 2);
}

/* Under the lock: what there is to say by now. */
static void collect(struct fake_connection *c, const struct fake_request *r, uint64_t *from,
                    bool *gone, struct km_buf *out)
{
	struct fake_apiserver_state *s = c->state;

	*gone = *from < s->compacted;
	if (*gone) {
		km_buf_str(out, "{\"type\":\"ERROR\",\"object\":");
		fake_status(out, 410, "Expired", "too old resource version");
		km_buf_str(out, "}\n");
		return;
	}
	fake_store_events(s, r, from, out);
	km_buf_append(out, c->said.data != NULL ? c->said.data : "", c->said.len);
	km_buf_clear(&c->said);
}

/* From version 0 or none: all there is, as ADDED. */
static void all_of_it(struct fake_apiserver_state *s, const struct fake_request *r,
                      struct km_buf *out)
{
	for (size_t i = 0; i < s->object_count; i++) {
		const struct fake_object *o = &s->object[i];

		if (strcmp(o->resource, r->resource) == 0 &&
		    (r->ns[0] == '\0' || strcmp(o->ns, r->ns) == 0) &&
		    fake_request_selects(r, o->json))
			km_buf_printf(out, "{\"type\":\"ADDED\",\"object\":%s}\n", o->json);
	}
}

bool fake_watch(struct fake_connection *c, const struct fake_request *r)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n";
	struct fake_apiserver_state *s = c->state;
	bool alive = fake_send(c, head, sizeof(head) - 1);
	char text[32];
	uint64_t from = 0;
	bool gone = false;
	int end = FAKE_GO_ON;
	struct km_buf out;

	km_buf_init(&out);
	if (fake_request_argument(r, "resourceVersion", text, sizeof(text)))
		from = strtoull(text, NULL, 10);
	(void)pthread_mutex_lock(&s->lock);
	if (from == 0) {
		all_of_it(s, r, &out);
		from = s->version;
	}
	(void)snprintf(c->target, sizeof(c->target), "%s", r->target);
	c->end = FAKE_GO_ON;
	km_buf_clear(&c->said);
	c->watching = true;
	(void)pthread_cond_broadcast(&s->changed);
	while (alive && end == FAKE_GO_ON && !gone) {
		collect(c, r, &from, &gone, &out);
		end = s->stopping ? FAKE_BREAK : (int)c->end;
		(void)pthread_mutex_unlock(&s->lock);
		alive = send_chunk(c, &out) && !gone && end == FAKE_GO_ON;
		km_buf_clear(&out);
		alive = alive && fake_wait_readable(c);
		(void)pthread_mutex_lock(&s->lock);
	}
	c->watching = false;
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
	km_buf_fini(&out);
	return (gone || end == FAKE_END_IN_ORDER) && fake_send(c, "0\r\n\r\n", 5);
}

/* Peers say nothing during a watch: what may be read then is their end. */
bool fake_wait_readable(const struct fake_connection *c)
{
	struct pollfd p[2] = { { .fd = c->wake, .events = POLLIN },
		               { .fd = c->fd, .events = POLLIN } };
	eventfd_t count;
	char byte;

	while (poll(p, 2, -1) < 0) {
	}
	if (p[0].revents != 0)
		(void)eventfd_read(c->wake, &count);
	return p[1].revents == 0 || recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}
