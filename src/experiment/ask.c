/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a trial's daemon as kube-scheduler does, and what it is taken to have said. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "km/experiment/arm.h"
#include "km/wire/client_answers.h"
#include "km/wire/extender_args.h"

#include "daemon_internal.h"

#define NAMESPACE "kubemarla-lab"
#define UID_BYTES (KM_TRIAL_ID_MAX + 64)

/* One choice in progress. */
struct choice {
	struct km_trial_daemon *d;
	struct km_trial_record *r;
	struct km_rng *luck;
	struct km_buf body, answer; /* reused */
	const char *name[KM_TRIAL_NODES_MAX];
};

static void note_trouble(struct km_trial_record *r, const struct km_err *err)
{
	r->failed++;
	(void)snprintf(r->trouble, sizeof(r->trouble), "%s", err->text);
}

/* The replica's pod: nobody else's, in this play and all others. */
static void put_request(struct choice *c, unsigned replica, const char *const *name, size_t count)
{
	char id[KM_TRIAL_ID_MAX];
	char set[UID_BYTES];
	char uid[UID_BYTES + 16];
	const struct km_asked_pod pod = {
		.namespace = NAMESPACE,
		.name = uid,
		.uid = uid,
		.replica_set = set,
		.rps = c->r->rps / c->r->replicas,
		.max_slowdown = NAN,
	};

	(void)snprintf(set, sizeof(set), "%s__%u-%lld", km_trial_record_id(c->r, id), c->r->attempt,
	               (long long)c->r->started_unix_ms);
	(void)snprintf(uid, sizeof(uid), "%s-%u", set, replica);
	km_buf_clear(&c->body);
	km_extender_args_encode(&c->body, &pod, name, count);
}

/* POSTs the request. returns 0, -ECHILD, or a negative errno of an answer that is none. */
static int post(struct choice *c, const char *path, struct km_err *err)
{
	if (!km_buf_ok(&c->body))
		return km_err_set(err, ENOMEM, "out of memory");
	c->r->asked++;
	return daemon_fetch(c->d, path, &c->body, &c->answer, err);
}

static const struct km_client_node *row_of(const struct km_client_table *t, const char *name)
{
	uint32_t at;

	return km_map_get(&t->index, name, strlen(name), &at) ? &t->node[at] : NULL;
}

/* ---- what it knows of nodes: /v1/explain, which reserves nothing ---- */

static void take_prediction(struct km_trial_node *n, const struct km_client_node *row)
{
	n->age_s = row->age_s;
	n->slowdown = row->slowdown;
	n->low = row->low;
	n->high = row->high;
}

static int explain(struct choice *c, struct km_err *err)
{
	struct km_client_table t;
	bool neutral = false;
	int rc;

	put_request(c, 0, c->name, c->r->node_count);
	km_client_table_init(&t);
	rc = post(c, "/v1/explain", err);
	if (rc == 0)
		rc = km_client_read_nodes(&t, c->answer.data, c->answer.len, err);
	for (size_t i = 0; rc == 0 && i < c->r->node_count; i++) {
		const struct km_client_node *row = row_of(&t, c->name[i]);

		if (row != NULL)
			take_prediction(&c->r->node[i], row);
		neutral |= isnan(c->r->node[i].slowdown);
	}
	c->r->neutral += neutral;
	km_client_table_fini(&t);
	return rc;
}

/* ---- /filter, /prioritize ---- */

static int filter(struct choice *c, unsigned replica, struct km_client_table *t, struct km_err *err)
{
	int rc;

	put_request(c, replica, c->name, c->r->node_count);
	rc = post(c, "/filter", err);
	return rc == 0 ? km_client_read_filter(t, c->answer.data, c->answer.len, err) : rc;
}

static int prioritize(struct choice *c, unsigned replica, const struct km_arm_node *node,
                      struct km_client_table *t, struct km_err *err)
{
	const char *name[KM_TRIAL_NODES_MAX];
	size_t count = 0;
	int rc;

	for (size_t i = 0; i < c->r->node_count; i++) {
		if (!node[i].filtered)
			name[count++] = c->name[i];
	}
	if (count == 0) {
		/* A cluster would leave the pod pending; here all arms place as many. */
		c->r->all_filtered++;
		put_request(c, replica, c->name, c->r->node_count);
	} else {
		put_request(c, replica, name, count);
	}
	rc = post(c, "/prioritize", err);
	return rc == 0 ? km_client_read_priorities(t, c->answer.data, c->answer.len, err) : rc;
}

static int ask(struct choice *c, unsigned replica, struct km_arm_node *node, struct km_err *err)
{
	struct km_client_table t;
	int rc;

	km_client_table_init(&t);
	rc = filter(c, replica, &t, err);
	for (size_t i = 0; rc == 0 && i < c->r->node_count; i++) {
		const struct km_client_node *row = row_of(&t, c->name[i]);
		const char *why = row != NULL ? row->filter : "not in the answer";

		node[i].filtered = why == NULL || strcmp(why, KM_CLIENT_PASS) != 0;
		if (node[i].filtered)
			(void)snprintf(c->r->node[i].filter, sizeof(c->r->node[i].filter), "%s",
			               why != NULL && why[0] != '\0' ? why : "no reason given");
	}
	if (rc == 0)
		rc = prioritize(c, replica, node, &t, err);
	for (size_t i = 0; rc == 0 && i < c->r->node_count; i++) {
		const struct km_client_node *row = row_of(&t, c->name[i]);

		if (row == NULL)
			continue;
		node[i].score = row->score;
		if (replica == 0)
			c->r->node[i].score = row->score;
	}
	km_client_table_fini(&t);
	return rc;
}

static int choose_one(struct choice *c, unsigned replica, struct km_err *err)
{
	struct km_arm_node node[KM_TRIAL_NODES_MAX];
	struct km_err trouble = { .code = 0 };
	size_t count = c->r->node_count;
	int rc;

	for (size_t i = 0; i < count; i++)
		node[i] = (struct km_arm_node){ .busy_ratio = NAN, .score = NAN };
	rc = ask(c, replica, node, &trouble);
	if (rc == -ECHILD || rc == -ENOMEM)
		return km_err_set(err, trouble.code, "%s", trouble.text);
	if (rc != 0) {
		note_trouble(c->r, &trouble);
		for (size_t i = 0; i < count; i++)
			node[i] = (struct km_arm_node){ .busy_ratio = NAN, .score = NAN };
	}
	c->r->placed[replica] =
		km_arm_choose(KM_PLAN_ARM_KUBEMARLA, node, count, km_rng_unit(c->luck));
	return 0;
}

int km_trial_daemon_choose(struct km_trial_daemon *d, struct km_rng *luck,
                           struct km_trial_record *r, struct km_err *err)
{
	struct choice c = { .d = d, .r = r, .luck = luck };
	struct km_err trouble = { .code = 0 };
	int rc;

	km_buf_init(&c.body);
	km_buf_init(&c.answer);
	(void)snprintf(r->model, sizeof(r->model), "%s", d->model);
	for (size_t i = 0; i < r->node_count; i++)
		c.name[i] = r->node[i].name;
	rc = explain(&c, &trouble);
	if (rc == -ECHILD || rc == -ENOMEM) {
		(void)km_err_set(err, trouble.code, "%s", trouble.text);
	} else {
		if (rc != 0)
			note_trouble(r, &trouble);
		rc = 0;
	}
	for (unsigned i = 0; rc == 0 && i < r->replicas; i++)
		rc = choose_one(&c, i, err);
	km_buf_fini(&c.answer);
	km_buf_fini(&c.body);
	return rc;
}

int km_trial_daemon_age(struct km_trial_daemon *d, double *age_s, struct km_err *err)
{
	struct km_client_table t;
	struct km_buf answer;
	int rc;

	*age_s = 0;
	km_buf_init(&answer);
	km_client_table_init(&t);
	rc = daemon_fetch(d, "/v1/nodes", NULL, &answer, err);
	if (rc == 0)
		rc = km_client_read_nodes(&t, answer.data, answer.len, err);
	for (size_t i = 0; rc == 0 && i < d->plan->node_count; i++) {
		const struct km_client_node *row = row_of(&t, d->plan->node[i].name);

		if (row == NULL)
			rc = km_err_set(err, EBADMSG, "%.80s does not know node %.60s", d->url.data,
			                d->plan->node[i].name);
		else
			*age_s = isnan(row->age_s) ? INFINITY : fmax(*age_s, row->age_s);
	}
	km_client_table_fini(&t);
	km_buf_fini(&answer);
	return rc;
}
