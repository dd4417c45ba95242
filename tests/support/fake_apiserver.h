/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fake API server on loopback, in threads of the test: keeps objects of any resource, lists them
 * in pages, watches them with bookmarks, and misbehaves on request. It proves how we read and what
 * we ask; it proves nothing about admission, RBAC, defaults, server-side apply, or how the real one
 * words its answers: those are tests/e2e's business.
 *
 *	fake_apiserver_start(&s);
 *	fake_apiserver_put(&s, "/api/v1/pods",
 *"{\"metadata\":{\"namespace\":\"a\",\"name\":\"b\"}}"); fake_apiserver_kubeconfig(&s, path); ->
 *settings.kubeconfig = path fake_apiserver_wait_watches(&s, "/pods", 1); fake_apiserver_fault(&s,
 *&(struct fake_fault){ .match = "/pods", .count = 1, .status = 503 }); fake_apiserver_cut(&s,
 *"/pods"); fake_apiserver_stop(&s);
 *
 * A resource is named as it is listed over all namespaces
 *("/apis/kubemarla.io/v1alpha1/interferencepolicies"). Served: GET (one, list, watch with
 *labelSelector of "k=v" or "k" joined by ',', fieldSelector of metadata.name= and spec.nodeName=),
 *POST, PUT (409 when its resourceVersion is not the object's), PATCH (any kind is taken as a merge
 *patch), DELETE, and POST on the sub-resource `eviction` (deletes the pod); other sub-resources act
 *on the object itself.
 */
#ifndef KM_TESTS_SUPPORT_FAKE_APISERVER_H
#define KM_TESTS_SUPPORT_FAKE_APISERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_WAIT_MS 20000 /* far beyond what anything takes: a sanitizer on a busy machine */

/* Done to the next requests whose "METHOD target" contains `match`; the first that fits counts. */
struct fake_fault {
	const char *match;   /* copied, as all texts */
	unsigned count;      /* so many requests; 0 = until fake_apiserver_clear */
	int status;          /* is answered, with a Status as body; 0 = as without a fault */
	const char *headers; /* more of them: "Retry-After: 1\r\n"; NULL = none */
	const char *body;    /* instead of what would be; NULL = that */
	bool cut;            /* the connection closes after cut_after bytes of the body */
	size_t cut_after;
	bool hang;      /* nothing is said any more after cut_after bytes, the connection stays */
	bool no_answer; /* the connection closes without a head */
};

struct fake_apiserver_state;

struct fake_apiserver {
	char url[64];
	int port;
	struct fake_apiserver_state *state;
};

void fake_apiserver_start(struct fake_apiserver *s);
/* At a given port of loopback, 0 = a free one: for one that comes back where it was. */
void fake_apiserver_start_at(struct fake_apiserver *s, int port);
/* Closes every connection, also those that hang. */
void fake_apiserver_stop(struct fake_apiserver *s);

/* Writes a kubeconfig that leads here, with the token of fake_apiserver_token if there is one. */
void fake_apiserver_kubeconfig(const struct fake_apiserver *s, const char *path);

/* Requests without this bearer get 401. NULL = everybody is served. */
void fake_apiserver_token(struct fake_apiserver *s, const char *token);
/* Bodies and streams leave in pieces of so many bytes; 0 = whole. */
void fake_apiserver_pieces(struct fake_apiserver *s, size_t bytes);
/* Whether answers are compressed for those who ask for that. */
void fake_apiserver_gzip(struct fake_apiserver *s, bool on);

/* ---- objects -------------------------------------------------------------------------------- */

/*
 * Adds or replaces by metadata.namespace and name; resourceVersion and, when it has none, uid are
 * given. Watches get ADDED or MODIFIED.
 */
void fake_apiserver_put(struct fake_apiserver *s, const char *resource, const char *json);
/* ns NULL = cluster-scoped. Watches get DELETED. returns whether it was there. */
bool fake_apiserver_delete(struct fake_apiserver *s, const char *resource, const char *ns,
                           const char *name);
/* The object as text, owned by the caller; NULL = there is none. */
char *fake_apiserver_get(struct fake_apiserver *s, const char *resource, const char *ns,
                         const char *name);
size_t fake_apiserver_count(struct fake_apiserver *s, const char *resource);

/* What happened so far is forgotten: to watch or list on from there gives 410. */
void fake_apiserver_compact(struct fake_apiserver *s);

/* ---- misbehaving ---------------------------------------------------------------------------- */

void fake_apiserver_fault(struct fake_apiserver *s, const struct fake_fault *fault);
void fake_apiserver_clear(struct fake_apiserver *s);

/* To the open watches whose target contains `match`: a bookmark, raw bytes, or the end; `in order`
 * = with the last chunk, else the connection breaks. returns to how many. */
unsigned fake_apiserver_bookmark(struct fake_apiserver *s, const char *match);
unsigned fake_apiserver_say(struct fake_apiserver *s, const char *match, const char *bytes,
                            size_t len);
unsigned fake_apiserver_end(struct fake_apiserver *s, const char *match, bool in_order);
static inline unsigned fake_apiserver_cut(struct fake_apiserver *s, const char *match)
{
	return fake_apiserver_end(s, match, false);
}

/* ---- waiting for it ------------------------------------------------------------------------- */

/* Requests so far whose "METHOD target" contains `match`. */
unsigned fake_apiserver_requests(struct fake_apiserver *s, const char *match);
/* Until there were so many. returns false after FAKE_WAIT_MS. */
bool fake_apiserver_wait_requests(struct fake_apiserver *s, const char *match, unsigned count);
/* Until exactly so many watches are open. */
bool fake_apiserver_wait_watches(struct fake_apiserver *s, const char *match, unsigned count);
/* The body of the last request that matched; owned by the caller, NULL = none. */
char *fake_apiserver_last_body(struct fake_apiserver *s, const char *match);

#endif
