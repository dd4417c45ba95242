/* SPDX-License-Identifier: Apache-2.0 */
/* Other agents: who there is, and what their answers say, turned into rows. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"
#include "km/base/log.h"

#include "gather_internal.h"

#define AGENT_SEED UINT64_C(0x6b6d6167656e74)

/* Versions of an agent's own are small numbers: no row of ours is taken for one of the local agent.
 */
#define VERSION_BIT (UINT64_C(1) << 63)

static size_t bucket_of(uint64_t key)
{
	return km_hash64(&key, sizeof(key), AGENT_SEED) & (GATHER_BUCKETS - 1);
}

static struct gather_agent *find_agent(struct km_gather *g, uint64_t key)
{
	struct gather_agent *a = g->agent[bucket_of(key)];

	while (a != NULL && a->key != key) {
		a = a->next;
	}
	return a;
}

static struct gather_agent *agent_of(struct km_gather *g, uint64_t key)
{
	struct gather_agent *a = find_agent(g, key);

	if (a != NULL) {
		return a;
	}
	a = calloc(1, sizeof(*a));
	if (a != NULL) {
		a->key = key;
		a->next = g->agent[bucket_of(key)];
		g->agent[bucket_of(key)] = a;
		g->agent_count++;
	}
	return a;
}

int km_gather_set_agents(struct km_gather *g, const struct km_gather_agent *agent, size_t count)
{
	int rc = 0;

	pthread_mutex_lock(&g->lock);
	for (size_t b = 0; b < GATHER_BUCKETS; b++) {
		for (struct gather_agent *a = g->agent[b]; a != NULL; a = a->next) {
			a->wanted = false;
		}
	}
	for (size_t i = 0; i < count; i++) {
		struct gather_agent *a = agent_of(g, agent[i].key);

		if (a == NULL) {
			rc = -ENOMEM;
			continue;
		}
		a->wanted = true;
		a->gone = false;
		a->node_len = agent[i].node.len < sizeof(a->node) ? agent[i].node.len : 0;
		memcpy(a->node, agent[i].node.text, a->node_len);
	}
	for (size_t b = 0; b < GATHER_BUCKETS; b++) {
		for (struct gather_agent *a = g->agent[b]; a != NULL; a = a->next) {
			a->gone = !a->wanted;
		}
	}
	g->looked_ns = 0; /* at once: who is gone holds nothing while another is there */
	gather_news(g);
	pthread_mutex_unlock(&g->lock);
	return rc;
}

static bool same_rows(const struct km_host_features *a, const struct km_host_features *b)
{
	uint32_t count = a->schema->count;

	if (a->schema->hash != b->schema->hash || count != b->schema->count || a->tier != b->tier ||
	    a->outside_cpus != b->outside_cpus) {
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (a->row[i] != b->row[i] && !(isnan(a->row[i]) && isnan(b->row[i]))) {
			return false;
		}
	}
	return true;
}

/* Under the lock: f, a reference that is taken, is what the agent says of r's node now. */
static void put_row(struct km_gather *g, struct gather_row *r, struct km_host_features *f)
{
	if (f->version != 0) {
		f->version = r->features != NULL && r->features->version != 0 &&
		                             same_rows(r->features, f)
		                     ? r->features->version
		                     : (++g->version | VERSION_BIT);
	}
	km_host_features_unref(r->features);
	r->features = f;
	r->row = 0;
	r->named = true;
	gather_note_changed(g, r->node);
}

/* Rows that the agent does not speak of any more. */
static void drop_unnamed(struct km_gather *g, struct gather_agent *a)
{
	struct gather_row **at = &a->rows;

	while (*at != NULL) {
		struct gather_row *r = *at;

		if (r->named) {
			r->named = false;
			at = &r->next_of_agent;
			continue;
		}
		*at = r->next_of_agent;
		gather_row_free(g, r);
	}
}

void km_gather_take(struct km_gather *g, uint64_t key, const struct km_gather_row *row,
                    size_t count)
{
	struct gather_agent *a;

	pthread_mutex_lock(&g->lock);
	a = find_agent(g, key);
	for (size_t i = 0; a != NULL && i < count; i++) {
		struct gather_row *r = gather_row_of(g, a, row[i].node);

		if (r != NULL) {
			put_row(g, r, km_host_features_ref(row[i].features));
		}
	}
	if (a != NULL) {
		a->state = GATHER_ANSWERING;
		a->taken = true;
		drop_unnamed(g, a);
		gather_news(g);
	}
	pthread_mutex_unlock(&g->lock);
}

/* The state of an agent that gave no rows; `answered`: but something that is no such answer. */
static void note(struct km_gather *g, uint64_t key, enum gather_state state, bool answered,
                 const char *why)
{
	struct gather_agent *a;

	km_counter_add(g->answers[state], 1);
	pthread_mutex_lock(&g->lock);
	a = find_agent(g, key);
	if (a != NULL) {
		a->state = state;
		a->taken = a->taken && !answered;
		(void)snprintf(g->why, sizeof(g->why), "%s", why);
	}
	pthread_mutex_unlock(&g->lock);
}

/* What it said last still holds, for what it was worth. */
static void note_unchanged(struct km_gather *g, uint64_t key)
{
	struct gather_agent *a;

	km_counter_add(g->answers[GATHER_STATES], 1);
	pthread_mutex_lock(&g->lock);
	a = find_agent(g, key);
	if (a != NULL && a->taken) {
		a->state = GATHER_ANSWERING;
	}
	pthread_mutex_unlock(&g->lock);
}

/* A reader of the schema that holds now. NULL when out of memory. */
static const struct km_features_reader *current_reader(struct km_gather *g)
{
	struct km_schema *schema;

	pthread_mutex_lock(&g->lock);
	schema = km_schema_ref(g->schema);
	pthread_mutex_unlock(&g->lock);
	if (g->reader == NULL || km_features_reader_schema(g->reader) != schema) {
		km_features_reader_free(g->reader);
		(void)km_features_reader_create(schema, &g->reader); /* NULL then */
	}
	km_schema_unref(schema);
	return g->reader;
}

/* What its counters say right now; NULL = nothing, or no memory: pods in flight are unknown then.
 */
static struct km_readings *readings_of(const struct km_features_node *n)
{
	struct km_readings *r = NULL;

	if (n->node_reading != NULL && n->host_reading != NULL && n->host_cpus > 0) {
		r = km_readings_create(1, 0);
	}
	if (r != NULL) {
		memcpy(km_readings_node(r, 0), n->node_reading, KM_METRIC_N * sizeof(double));
		memcpy(km_readings_host(r), n->host_reading, KM_METRIC_N * sizeof(double));
		r->told_host_cpus = n->host_cpus;
		r->told_node_cpus = n->node_cpus;
	}
	return r;
}

/* By our clock: the answer was made after it was asked for, so data is no older than this says. */
static struct km_host_features *features_of(const struct km_gather *g,
                                            const struct km_schema *schema,
                                            const struct km_features_node *n, int64_t asked_ns)
{
	struct km_host_features *f = km_host_features_create(schema, 1);
	double age_ns = n->age_s * 1e9;

	if (f == NULL) {
		return NULL;
	}
	f->tier = n->tier;
	f->covered_s = n->covered_s;
	f->outside_cpus = n->outside_cpus;
	if (!(age_ns < 1e18) || n->sequence == 0) {
		return f; /* nothing measured yet: version 0 */
	}
	f->version = 1;
	f->measured_mono_ns = asked_ns - (int64_t)age_ns;
	f->measured_wall_ns =
		km_clock_wall_ns(g->clock) - (km_clock_mono_ns(g->clock) - f->measured_mono_ns);
	if (n->bin_age_s * 1e9 < 1e18) {
		f->window_end_mono_ns = asked_ns - (int64_t)(n->bin_age_s * 1e9);
	}
	memcpy(f->row, n->row, schema->count * sizeof(f->row[0]));
	f->readings = readings_of(n);
	return f;
}

/* returns 0, or -ENOMEM. */
static int take_answer(struct km_gather *g, uint64_t key, const struct km_schema *schema,
                       const struct km_features_answer *answer, int64_t asked_ns)
{
	struct km_gather_row *row = km_arena_calloc(&g->arena, answer->count + 1, sizeof(*row));
	size_t count = 0;
	int rc = row == NULL ? -ENOMEM : 0;

	for (size_t i = 0; rc == 0 && i < answer->count; i++) {
		row[count].node = answer->node[i].name;
		row[count].features = features_of(g, schema, &answer->node[i], asked_ns);
		rc = row[count].features == NULL ? -ENOMEM : 0;
		count += rc == 0;
	}
	if (rc == 0) {
		km_gather_take(g, key, row, count);
	}
	for (size_t i = 0; i < count; i++) {
		km_host_features_unref(row[i].features);
	}
	return rc;
}

/* Statistics of another window, or of other bins, are other numbers under the same names. */
static bool same_window(const struct km_schema *schema, const struct km_features_answer *a)
{
	return isnan(a->window_s) || isnan(a->bin_s) ||
	       (fabs(a->window_s - schema->window_s) < 1e-6 &&
	        fabs(a->bin_s - schema->bin_s) < 1e-6);
}

/* An answer that is not taken. */
static void refuse(struct km_gather *g, uint64_t key, enum gather_state state, int status,
                   const char *why)
{
	char text[32];

	if (why[0] == '\0') {
		(void)snprintf(text, sizeof(text), "status %d", status);
		why = text;
	}
	km_complain(&g->trouble, km_clock_mono_ns(g->clock), "cluster",
	            "features of an agent not taken status=%d error=\"%s\"", status, why);
	note(g, key, state, status == 200, why);
}

void km_gather_answer(struct km_gather *g, uint64_t key, int status, const char *body, size_t len,
                      int64_t asked_mono_ns, const struct km_err *why)
{
	const struct km_features_reader *reader;
	struct km_features_answer answer;
	struct km_err err = { .code = 0 };
	int rc = -ENOMEM;

	if (status == 304) {
		note_unchanged(g, key);
		return;
	}
	if (status != 200) {
		refuse(g, key, GATHER_FAILING, status,
		       why != NULL && why->code != 0 ? why->text : "");
		return;
	}
	km_arena_reset(&g->arena);
	reader = current_reader(g);
	if (reader != NULL) {
		rc = km_features_read_answer(reader, body, len, &g->arena, &answer, &err);
	}
	if (rc == 0 && !same_window(km_features_reader_schema(reader), &answer)) {
		refuse(g, key, GATHER_MISFIT, status, "window or bin is not the model's");
		return;
	}
	if (rc == 0) {
		rc = take_answer(g, key, km_features_reader_schema(reader), &answer, asked_mono_ns);
	}
	if (rc != 0) {
		refuse(g, key, GATHER_FAILING, status, err.code != 0 ? err.text : "out of memory");
		return;
	}
	km_counter_add(g->answers[GATHER_ANSWERING], 1);
}
