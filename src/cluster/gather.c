/* SPDX-License-Identifier: Apache-2.0 */
/* The gatherer's tables: nodes, agents, rows, and the thread. Entry: km_gather_answer. */
#include "km/cluster/gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "km/base/hash.h"

#include "gather_internal.h"

/* ---- nodes ---- */

struct gather_node *gather_find_node(struct km_gather *g, struct km_name name)
{
	uint64_t hash = km_hash64(name.text, name.len, g->seed);
	struct gather_node *n = g->node[hash & (GATHER_BUCKETS - 1)];

	while (n != NULL && (n->hash != hash || n->name_len != name.len ||
	                     memcmp(n->name, name.text, name.len) != 0)) {
		n = n->next;
	}
	return n;
}

/* Room to note every node as changed. */
static int grow_changed(struct km_gather *g)
{
	size_t cap = g->changed_cap == 0 ? 64 : g->changed_cap * 2;
	struct gather_node **grown;

	if (g->node_count < g->changed_cap) {
		return 0;
	}
	grown = reallocarray(g->changed, cap, sizeof(struct gather_node *));
	if (grown == NULL) {
		return -ENOMEM;
	}
	g->changed = grown;
	g->changed_cap = cap;
	return 0;
}

static struct gather_node *node_of(struct km_gather *g, struct km_name name)
{
	struct gather_node *n = gather_find_node(g, name);
	size_t bucket;

	/* A name that ends before its end would be another's. */
	if (n != NULL || name.len == 0 || name.len >= KM_NODE_NAME_MAX ||
	    memchr(name.text, '\0', name.len) != NULL || grow_changed(g) != 0) {
		return n;
	}
	n = calloc(1, sizeof(*n) + name.len + 1);
	if (n == NULL) {
		return NULL;
	}
	memcpy(n->name, name.text, name.len);
	n->name_len = name.len;
	n->hash = km_hash64(name.text, name.len, g->seed);
	n->at = GATHER_NONE;
	bucket = n->hash & (GATHER_BUCKETS - 1);
	n->next = g->node[bucket];
	g->node[bucket] = n;
	g->node_count++;
	return n;
}

void gather_node_release(struct km_gather *g, struct gather_node *n)
{
	struct gather_node **at = &g->node[n->hash & (GATHER_BUCKETS - 1)];

	if (n->kubernetes || n->local > 0 || n->rows != NULL || n->at != GATHER_NONE ||
	    n->changed) {
		return;
	}
	while (*at != n) {
		at = &(*at)->next;
	}
	*at = n->next;
	g->node_count--;
	free(n);
}

void gather_note_changed(struct km_gather *g, struct gather_node *n)
{
	if (!n->changed) {
		n->changed = true;
		g->changed[g->changed_count++] = n;
	}
}

/* ---- rows ---- */

struct gather_row *gather_row_of(struct km_gather *g, struct gather_agent *a, struct km_name node)
{
	struct gather_node *n = gather_find_node(g, node);
	struct gather_row *r = n != NULL ? n->rows : NULL;

	/* Of few agents each; an agent may have rows of all nodes. */
	while (r != NULL && r->agent != a) {
		r = r->next_on_node;
	}
	if (r != NULL) {
		return r;
	}
	n = node_of(g, node);
	r = n != NULL ? calloc(1, sizeof(*r)) : NULL;
	if (r == NULL) {
		return NULL;
	}
	*r = (struct gather_row){
		.node = n, .agent = a, .next_on_node = n->rows, .next_of_agent = a->rows
	};
	n->rows = r;
	a->rows = r;
	return r;
}

void gather_row_free(struct km_gather *g, struct gather_row *r)
{
	struct gather_node *n = r->node;
	struct gather_row **at = &n->rows;

	while (*at != r) {
		at = &(*at)->next_on_node;
	}
	*at = r->next_on_node;
	if (n->holder == r) {
		n->holder = NULL;
		gather_note_changed(g, n);
	}
	km_host_features_unref(r->features);
	free(r);
	gather_node_release(g, n);
}

void gather_rows_free(struct km_gather *g, struct gather_agent *a)
{
	while (a->rows != NULL) {
		struct gather_row *r = a->rows;

		a->rows = r->next_of_agent;
		gather_row_free(g, r);
	}
}

/* ---- life ---- */

int km_gather_create(const struct km_gather_options *options, struct km_gather **out,
                     struct km_err *err)
{
	struct km_gather *g = calloc(1, sizeof(*g));
	pthread_condattr_t attr;

	*out = NULL;
	if (g == NULL) {
		return km_err_set(err, ENOMEM, "gathering features: out of memory");
	}
	g->clock = options->clock;
	g->cluster = options->cluster;
	g->schema = km_schema_ref(options->schema);
	g->max_age_ns = options->max_age_ns;
	g->topology_due = true;
	/* Names come from outside: nobody there may know where they collide. */
	if (getrandom(&g->seed, sizeof(g->seed), GRND_NONBLOCK) != (ssize_t)sizeof(g->seed)) {
		g->seed = (uint64_t)(uintptr_t)g;
	}
	km_arena_init(&g->arena, (size_t)64 * 1024);
	(void)pthread_mutex_init(&g->lock, NULL); /* never fails with these attributes */
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&g->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	gather_register_metrics(g, options->metrics);
	*out = g;
	return 0;
}

void km_gather_free(struct km_gather *g)
{
	if (g == NULL) {
		return;
	}
	gather_rows_free(g, &g->local);
	for (size_t b = 0; b < GATHER_BUCKETS; b++) {
		while (g->agent[b] != NULL) {
			struct gather_agent *a = g->agent[b];

			g->agent[b] = a->next;
			gather_rows_free(g, a);
			free(a);
		}
	}
	for (size_t b = 0; b < GATHER_BUCKETS; b++) {
		while (g->node[b] != NULL) {
			struct gather_node *n = g->node[b];

			g->node[b] = n->next;
			free(n);
		}
	}
	km_features_reader_free(g->reader);
	km_arena_fini(&g->arena);
	km_schema_unref(g->schema);
	free(g->local_row);
	free(g->local_first);
	free(g->shown);
	free(g->batch);
	free(g->changed);
	(void)pthread_cond_destroy(&g->wake);
	(void)pthread_mutex_destroy(&g->lock);
	free(g);
}

/* ---- the thread ---- */

void gather_news(struct km_gather *g)
{
	g->news = true;
	pthread_cond_signal(&g->wake);
}

/* Under the lock: until then, or until there are news (with `any`), or the end. */
static void wait_until(struct km_gather *g, int64_t until_ns, bool any)
{
	int64_t left_ns = until_ns - km_clock_mono_ns(g->clock);
	int64_t at_ns = km_clock_mono_ns(km_clock_system()) + (left_ns > 0 ? left_ns : 0);
	struct timespec deadline = { .tv_sec = (time_t)(at_ns / KM_NS_PER_S),
		                     .tv_nsec = (long)(at_ns % KM_NS_PER_S) };
	int rc = 0;

	while (rc == 0 && !g->stop && !(any && g->news)) {
		rc = pthread_cond_timedwait(&g->wake, &g->lock, &deadline);
	}
}

static void *gather_thread(void *arg)
{
	struct km_gather *g = arg;
	int64_t until_ns = 0;

	(void)pthread_setname_np(pthread_self(), "km-gather");
	pthread_mutex_lock(&g->lock);
	while (!g->stop) {
		wait_until(g, until_ns, true);
		wait_until(g, g->published_ns + GATHER_BATCH_NS, false);
		if (!g->stop) {
			g->news = false;
			until_ns = gather_step(g);
		}
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

int km_gather_start(struct km_gather *g, struct km_err *err)
{
	int code = pthread_create(&g->thread, NULL, gather_thread, g);

	if (code != 0) {
		return km_err_errno(err, code, "thread of the gatherer");
	}
	g->started = true;
	return 0;
}

void km_gather_stop(struct km_gather *g)
{
	if (g == NULL || !g->started) {
		return;
	}
	pthread_mutex_lock(&g->lock);
	g->stop = true;
	pthread_cond_signal(&g->wake);
	pthread_mutex_unlock(&g->lock);
	(void)pthread_join(g->thread, NULL);
	g->started = false;
}

void km_gather_step(struct km_gather *g)
{
	pthread_mutex_lock(&g->lock);
	(void)gather_step(g);
	pthread_mutex_unlock(&g->lock);
}

/* ---- what is told ---- */

void km_gather_set_schema(struct km_gather *g, const struct km_schema *schema)
{
	struct km_schema *old;

	pthread_mutex_lock(&g->lock);
	old = g->schema;
	g->schema = km_schema_ref(schema);
	pthread_mutex_unlock(&g->lock);
	km_schema_unref(old);
}

void km_gather_set_max_age(struct km_gather *g, int64_t max_age_ns)
{
	pthread_mutex_lock(&g->lock);
	g->max_age_ns = max_age_ns;
	pthread_mutex_unlock(&g->lock);
}

int64_t km_gather_max_age(struct km_gather *g)
{
	int64_t max_age_ns;

	pthread_mutex_lock(&g->lock);
	max_age_ns = g->max_age_ns;
	pthread_mutex_unlock(&g->lock);
	return max_age_ns;
}

int km_gather_set_node(struct km_gather *g, struct km_name name)
{
	struct gather_node *n;

	pthread_mutex_lock(&g->lock);
	n = node_of(g, name);
	if (n != NULL && !n->kubernetes) {
		n->kubernetes = true;
		g->topology_due = true;
		gather_news(g);
	}
	pthread_mutex_unlock(&g->lock);
	return n != NULL ? 0 : -ENOMEM;
}

void km_gather_drop_node(struct km_gather *g, struct km_name name)
{
	struct gather_node *n;

	pthread_mutex_lock(&g->lock);
	n = gather_find_node(g, name);
	if (n != NULL && n->kubernetes) {
		n->kubernetes = false;
		g->topology_due = true;
		gather_news(g);
		gather_node_release(g, n);
	}
	pthread_mutex_unlock(&g->lock);
}

/* Which rows there are, in the order of hosts. returns 0 or -ENOMEM: some may be missing then. */
static int fill_local(struct km_gather *g, const struct km_cluster_host *hosts, size_t count)
{
	size_t nodes = 0;

	for (size_t h = 0; h < count; h++) {
		g->local_first[h] = nodes;
		for (size_t i = 0; i < hosts[h].node_count; i++) {
			const char *text = hosts[h].node_name[i];
			struct km_name name = { text, (uint32_t)strlen(text) };
			struct gather_row *r = gather_row_of(g, &g->local, name);

			if (r == NULL) {
				return -ENOMEM;
			}
			r->row = (uint32_t)i;
			r->node->local++;
			g->local_row[nodes++] = r;
			g->local_first[h + 1] = nodes;
		}
		g->local_first[h + 1] = nodes;
		g->local_hosts = h + 1;
	}
	return 0;
}

int km_gather_set_local(struct km_gather *g, const struct km_cluster_host *hosts, size_t count)
{
	struct gather_row **row;
	size_t *first;
	size_t nodes = 0;
	int rc;

	for (size_t h = 0; h < count; h++) {
		nodes += hosts[h].node_count;
	}
	row = calloc(nodes + 1, sizeof(struct gather_row *));
	first = calloc(count + 2, sizeof(*first));
	if (row == NULL || first == NULL) {
		free(row);
		free(first);
		return -ENOMEM;
	}
	pthread_mutex_lock(&g->lock);
	for (struct gather_row *r = g->local.rows; r != NULL; r = r->next_of_agent) {
		r->node->local = 0;
	}
	gather_rows_free(g, &g->local);
	free(g->local_row);
	free(g->local_first);
	g->local_row = row;
	g->local_first = first;
	g->local_hosts = 0;
	rc = fill_local(g, hosts, count);
	g->topology_due = true;
	gather_news(g);
	pthread_mutex_unlock(&g->lock);
	return rc;
}

void km_gather_local(struct km_gather *g, struct km_host_features *const *hosts, size_t count)
{
	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < count; i++) {
		uint32_t h = hosts[i]->host;

		if (h >= g->local_hosts ||
		    hosts[i]->node_count != g->local_first[h + 1] - g->local_first[h]) {
			continue; /* of a former layout */
		}
		for (size_t n = g->local_first[h]; n < g->local_first[h + 1]; n++) {
			struct gather_row *r = g->local_row[n];

			km_host_features_unref(r->features);
			r->features = km_host_features_ref(hosts[i]);
			gather_note_changed(g, r->node);
		}
	}
	gather_news(g);
	pthread_mutex_unlock(&g->lock);
}
