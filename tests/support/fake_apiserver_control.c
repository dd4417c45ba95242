/* SPDX-License-Identifier: Apache-2.0 */
/* What a test does with its fake API server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "support/fake_apiserver_internal.h"

void fake_apiserver_kubeconfig(const struct fake_apiserver *s, const char *path)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	(void)fprintf(f,
	              "apiVersion: v1\nkind: Config\ncurrent-context: fake\n"
	              "clusters: [{name: fake, cluster: {server: \"%s\"}}]\n"
	              "contexts: [{name: fake, context: {cluster: fake, user: fake}}]\n"
	              "users: [{name: fake, user: {token: \"%s\"}}]\n",
	              s->url, s->state->token != NULL ? s->state->token : "none");
	assert_int_equal(fclose(f), 0);
}

static struct fake_apiserver_state *locked(struct fake_apiserver *s)
{
	(void)pthread_mutex_lock(&s->state->lock);
	return s->state;
}

static void unlock(struct fake_apiserver *s)
{
	(void)pthread_mutex_unlock(&s->state->lock);
}

void fake_apiserver_token(struct fake_apiserver *s, const char *token)
{
	struct fake_apiserver_state *state = locked(s);

	free(state->token);
	state->token = token != NULL ? strdup(token) : NULL;
	unlock(s);
}

void fake_apiserver_pieces(struct fake_apiserver *s, size_t bytes)
{
	atomic_store(&locked(s)->piece_bytes, bytes);
	unlock(s);
}

void fake_apiserver_gzip(struct fake_apiserver *s, bool on)
{
	atomic_store(&locked(s)->gzip, on);
	unlock(s);
}

void fake_apiserver_put(struct fake_apiserver *s, const char *resource, const char *json)
{
	fake_store_put(locked(s), resource, json, NULL);
	unlock(s);
}

bool fake_apiserver_delete(struct fake_apiserver *s, const char *resource, const char *ns,
                           const char *name)
{
	bool was = fake_store_delete(locked(s), resource, ns != NULL ? ns : "", name);

	unlock(s);
	return was;
}

char *fake_apiserver_get(struct fake_apiserver *s, const char *resource, const char *ns,
                         const char *name)
{
	const struct fake_object *o =
		fake_store_find(locked(s), resource, ns != NULL ? ns : "", name);
	char *json = o != NULL ? strdup(o->json) : NULL;

	unlock(s);
	return json;
}

size_t fake_apiserver_count(struct fake_apiserver *s, const char *resource)
{
	const struct fake_apiserver_state *state = locked(s);
	size_t count = 0;

	for (size_t i = 0; i < state->object_count; i++)
		count += strcmp(state->object[i].resource, resource) == 0;
	unlock(s);
	return count;
}

void fake_apiserver_compact(struct fake_apiserver *s)
{
	struct fake_apiserver_state *state = locked(s);

	/* One on, so that even the newest list is too old to watch from. */
	state->compacted = ++state->version;
	for (size_t i = 0; i < state->event_count; i++) {
		free(state->event[i].resource);
		free(state->event[i].json);
	}
	state->event_count = 0;
	unlock(s);
}

void fake_apiserver_fault(struct fake_apiserver *s, const struct fake_fault *fault)
{
	struct fake_apiserver_state *state = locked(s);
	struct fake_rule *rule;

	state->rule = reallocarray(state->rule, state->rule_count + 1, sizeof(*state->rule));
	assert_non_null(state->rule);
	rule = &state->rule[state->rule_count++];
	rule->fault = *fault;
	rule->left = fault->count;
	rule->fault.match = strdup(fault->match);
	if (fault->headers != NULL)
		rule->fault.headers = strdup(fault->headers);
	if (fault->body != NULL)
		rule->fault.body = strdup(fault->body);
	unlock(s);
}

static void drop(const char *text)
{
	char *owned;

	memcpy(&owned, &text, sizeof(owned));
	free(owned);
}

void fake_apiserver_clear(struct fake_apiserver *s)
{
	struct fake_apiserver_state *state = locked(s);

	for (size_t i = 0; i < state->rule_count; i++) {
		drop(state->rule[i].fault.match);
		drop(state->rule[i].fault.headers);
		drop(state->rule[i].fault.body);
	}
	free(state->rule);
	state->rule = NULL;
	state->rule_count = 0;
	unlock(s);
}

/* One that was told to end is none any more, though its thread may not know yet. */
static bool is_open(const struct fake_connection *c, const char *match)
{
	return c->watching && c->end == FAKE_GO_ON && fake_matches(c->target, match);
}

unsigned fake_apiserver_say(struct fake_apiserver *s, const char *match, const char *bytes,
                            size_t len)
{
	struct fake_apiserver_state *state = locked(s);
	unsigned told = 0;

	for (struct fake_connection *c = state->connections; c != NULL; c = c->next) {
		if (!is_open(c, match))
			continue;
		km_buf_append(&c->said, bytes, len);
		told++;
	}
	fake_wake_all(state);
	unlock(s);
	return told;
}

unsigned fake_apiserver_bookmark(struct fake_apiserver *s, const char *match)
{
	struct km_buf line;
	unsigned told;

	km_buf_init(&line);
	fake_store_bookmark(locked(s), &line);
	unlock(s);
	told = fake_apiserver_say(s, match, line.data, line.len);
	km_buf_fini(&line);
	return told;
}

unsigned fake_apiserver_end(struct fake_apiserver *s, const char *match, bool in_order)
{
	struct fake_apiserver_state *state = locked(s);
	unsigned ended = 0;

	for (struct fake_connection *c = state->connections; c != NULL; c = c->next) {
		if (!is_open(c, match))
			continue;
		c->end = in_order ? FAKE_END_IN_ORDER : FAKE_BREAK;
		ended++;
	}
	fake_wake_all(state);
	unlock(s);
	return ended;
}

static unsigned requests(const struct fake_apiserver_state *state, const char *match)
{
	unsigned count = 0;

	for (size_t i = 0; i < state->seen_count; i++)
		count += fake_matches(state->seen[i].line, match);
	return count;
}

static unsigned watches(const struct fake_apiserver_state *state, const char *match)
{
	unsigned count = 0;

	for (const struct fake_connection *c = state->connections; c != NULL; c = c->next)
		count += is_open(c, match);
	return count;
}

unsigned fake_apiserver_requests(struct fake_apiserver *s, const char *match)
{
	unsigned count = requests(locked(s), match);

	unlock(s);
	return count;
}

static struct timespec deadline(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += FAKE_WAIT_MS / 1000;
	return t;
}

bool fake_apiserver_wait_requests(struct fake_apiserver *s, const char *match, unsigned count)
{
	struct timespec until = deadline();
	struct fake_apiserver_state *state = locked(s);
	bool enough;

	while (!(enough = requests(state, match) >= count) &&
	       pthread_cond_timedwait(&state->changed, &state->lock, &until) == 0)
		;
	unlock(s);
	return enough;
}

bool fake_apiserver_wait_watches(struct fake_apiserver *s, const char *match, unsigned count)
{
	struct timespec until = deadline();
	struct fake_apiserver_state *state = locked(s);
	bool enough;

	while (!(enough = watches(state, match) == count) &&
	       pthread_cond_timedwait(&state->changed, &state->lock, &until) == 0)
		;
	unlock(s);
	return enough;
}

char *fake_apiserver_last_body(struct fake_apiserver *s, const char *match)
{
	const struct fake_apiserver_state *state = locked(s);
	char *body = NULL;

	for (size_t i = state->seen_count; i > 0 && body == NULL; i--) {
		if (fake_matches(state->seen[i - 1].line, match))
			body = strdup(state->seen[i - 1].body);
	}
	unlock(s);
	return body;
}
