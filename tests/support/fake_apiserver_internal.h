/* SPDX-License-Identifier: Apache-2.0 */
/* Between the two halves of the fake API server: sockets, and what is kept. */
#ifndef KM_TESTS_SUPPORT_FAKE_APISERVER_INTERNAL_H
#define KM_TESTS_SUPPORT_FAKE_APISERVER_INTERNAL_H

#include <string.h>

#include "km/base/buf.h"

#include "support/fake_apiserver.h"

#define FAKE_PATH_MAX 512

struct fake_object {
	char *resource, *ns, *name; /* ns "" = cluster-scoped */
	char *json;
	uint64_t version;
};

struct fake_event {
	uint64_t version;
	const char *type; /* static */
	char *resource;
	char *json;
};

struct fake_seen {
	char *line; /* "METHOD target" */
	char *body;
};

struct fake_connection {
	struct fake_connection *next;
	struct fake_apiserver_state *state;
	int fd, wake; /* wake: an eventfd */
	pthread_t thread;
	bool done;
	/* Of a watch; under the lock. */
	bool watching;
	char target[FAKE_PATH_MAX * 4];
	struct km_buf said; /* raw bytes to send */
	enum { FAKE_GO_ON, FAKE_END_IN_ORDER, FAKE_BREAK } end;
};

struct fake_rule {
	struct fake_fault fault;
	unsigned left;
};

struct fake_apiserver_state {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* requests and watches, for those who wait */
	int listener, stop_fd;
	pthread_t thread;
	bool stopping;

	uint64_t version, compacted;
	struct fake_object *object; /* sorted by resource, ns, name */
	size_t object_count, object_room;
	struct fake_event *event;
	size_t event_count, event_room;
	struct fake_seen *seen;
	size_t seen_count, seen_room;
	struct fake_rule *rule;
	size_t rule_count;
	struct fake_connection *connections;
	char *token;
	_Atomic size_t piece_bytes;
	atomic_bool gzip;
};

struct fake_request {
	char method[16];
	char target[FAKE_PATH_MAX * 4]; /* as it came */
	char bearer[4096];
	bool gzip;
	char *body; /* NUL-terminated */
	/* Of the target. */
	char resource[FAKE_PATH_MAX];
	char ns[256], name[256], sub[64];
};

/* Splits the target's path. returns false when it names no resource. */
bool fake_request_split(struct fake_request *r);
/* The query's argument, decoded; returns whether it is there. */
bool fake_request_argument(const struct fake_request *r, const char *key, char *out,
                           size_t out_size);

/* labelSelector and fieldSelector. */
bool fake_request_selects(const struct fake_request *r, const char *json);

/* Under the lock. Everything but a watch: fills body, returns the status. */
int fake_store_answer(struct fake_apiserver_state *s, const struct fake_request *r,
                      struct km_buf *body);
void fake_store_put(struct fake_apiserver_state *s, const char *resource, const char *json,
                    struct km_buf *out);
bool fake_store_delete(struct fake_apiserver_state *s, const char *resource, const char *ns,
                       const char *name);
const struct fake_object *fake_store_find(const struct fake_apiserver_state *s,
                                          const char *resource, const char *ns, const char *name);
/* Events of the watch behind *from, which moves on, as lines. */
void fake_store_events(struct fake_apiserver_state *s, const struct fake_request *r, uint64_t *from,
                       struct km_buf *out);
void fake_store_bookmark(const struct fake_apiserver_state *s, struct km_buf *out);
void fake_status(struct km_buf *out, int code, const char *reason, const char *message);
void fake_store_free(struct fake_apiserver_state *s);

/* Sends all of it, in pieces if that is asked for. returns false when the peer or we are done. */
bool fake_send(const struct fake_connection *c, const char *bytes, size_t len);
/* Waits for what may be read, or for `wake`. returns false when it is over. */
bool fake_wait_readable(const struct fake_connection *c);
/* Serves a watch until it ends. returns whether the connection may go on. */
bool fake_watch(struct fake_connection *c, const struct fake_request *r);
/* Whether a request with this line is meant. */
static inline bool fake_matches(const char *line, const char *match)
{
	return strstr(line, match) != NULL;
}

/* Under the lock: every watch looks again. */
void fake_wake_all(struct fake_apiserver_state *s);

#endif
