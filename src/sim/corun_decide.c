/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A choice as a request to the daemon's own code: two nodes of one platform, an incumbent bound to
 * each and protected by a policy, the newcomer asked about as /prioritize would. The nodes have no
 * counters; learned effects are all there is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/arena.h"
#include "km/base/clock.h"
#include "km/cluster/cluster.h"
#include "km/decide/decide.h"

#include "corun_internal.h"

#define NAMESPACE  "sim"
#define LONG_AGO_S 1000 /* the incumbents have been there for */

static const char *const node_names[CORUN_NODES] = { "node-a", "node-b" };
static const char *const incumbent_uids[CORUN_NODES] = { "incumbent-a", "incumbent-b" };

struct corun_decider {
	struct km_cluster *cluster;
	struct km_policies *policies;
	struct km_decide *decide;
	struct km_clock clock;
	struct km_arena arena;
	bool told; /* who is there */
};

static int64_t now_of(void *ctx)
{
	(void)ctx;
	return (LONG_AGO_S + 1) * KM_NS_PER_S; /* time stands still: nothing here ages */
}

static struct km_name name_of(const char *text)
{
	return (struct km_name){ text, (uint32_t)strlen(text) };
}

static int make_policies(double max_slowdown, struct km_policies **out, struct km_err *err)
{
	struct km_policy p;

	km_policy_init(&p);
	(void)snprintf(p.namespace, sizeof(p.namespace), "%s", NAMESPACE);
	(void)snprintf(p.name, sizeof(p.name), "%s", "everybody");
	p.mode = KM_MODE_PREFER;
	p.max_slowdown = max_slowdown;
	p.trusted = true;
	return km_policies_create(&p, 1, out, err);
}

int corun_decider_create(const struct km_sim_options *o, struct corun_powers powers,
                         struct km_effects *e, struct corun_decider **out, struct km_err *err)
{
	struct km_cluster_host hosts[CORUN_NODES];
	struct km_decide_settings settings;
	struct corun_decider *d = calloc(1, sizeof(*d));
	int rc;

	*out = NULL;
	if (d == NULL)
		return km_err_set(err, ENOMEM, "simulator: out of memory");
	km_arena_init(&d->arena, 1u << 16);
	d->clock = (struct km_clock){ .mono_ns = now_of, .wall_ns = now_of };
	for (size_t i = 0; i < CORUN_NODES; i++)
		hosts[i] = (struct km_cluster_host){ &node_names[i], 1 };
	rc = sim_decide_settings(o, &settings, err);
	if (rc == 0)
		rc = km_cluster_create(hosts, CORUN_NODES, &d->cluster, err);
	settings.harm_score = powers.harm;
	settings.harm_filter = powers.harm;
	if (rc == 0)
		rc = make_policies(o->max_slowdown, &d->policies, err);
	if (rc == 0)
		rc = km_decide_create(&settings, d->cluster, &d->clock, NULL, &d->decide, err);
	if (rc != 0) {
		corun_decider_free(d);
		return rc;
	}
	km_decide_set_policies(d->decide, d->policies);
	km_decide_attach_effects(d->decide, e);
	d->told = powers.ledger;
	km_decide_set_feed(d->decide, d->told);
	*out = d;
	return 0;
}

void corun_decider_free(struct corun_decider *d)
{
	if (d == NULL)
		return;
	km_decide_free(d->decide);
	km_policies_unref(d->policies);
	km_cluster_free(d->cluster);
	km_arena_fini(&d->arena);
	free(d);
}

static void pod_of(const char *class_name, const char *uid, struct km_pod *pod)
{
	km_pod_init(pod);
	pod->name = name_of(uid);
	pod->uid = name_of(uid);
	pod->namespace = name_of(NAMESPACE);
	pod->class_name = name_of(class_name);
}

int corun_decider_ask(struct corun_decider *d, const struct corun_source *judged,
                      const struct corun_choice *c, double *score)
{
	size_t count;
	const struct km_corun_row *row = km_corun_rows(judged->data, &count);
	struct km_verdict verdict[CORUN_NODES];
	struct km_name names[CORUN_NODES];
	struct km_subject who;
	struct km_pod pod;
	int rc;

	for (size_t i = 0; i < CORUN_NODES; i++) {
		const struct km_corun_row *r = &row[c->row[i]];

		names[i] = name_of(node_names[i]);
		km_decide_set_platform(d->decide, names[i], judged->platform[r->platform]);
		pod_of(judged->name[r->neighbour], incumbent_uids[i], &pod);
		if (d->told)
			km_decide_pod_bound(d->decide, &pod, names[i], KM_NS_PER_S);
	}
	pod_of(judged->name[row[c->row[0]].workload], "newcomer", &pod);
	km_decide_subject(d->decide, &pod, &who);
	km_arena_reset(&d->arena);
	rc = km_decide_place(d->decide, &(struct km_ask){ &who, KM_CALL_ASK, names, CORUN_NODES },
	                     &d->arena, verdict);
	for (size_t i = 0; rc == 0 && i < CORUN_NODES; i++)
		score[i] = verdict[i].score;
	return rc;
}
