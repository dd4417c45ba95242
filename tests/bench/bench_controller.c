/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the controller's rounds cost a large cluster: CPU time of its one thread, without requests
 * (the API server is a function) and with a model that is a formula. The baseline is the least that
 * anybody can do who looks at all pods: reading them once, with their namespace compared.
 */
#define WITHOUT_CMOCKA
#include <time.h>

#include "support/controller_world.h"

#define NODES    5000
#define PODS     50000
#define APPS     40
#define POLICIES 20 /* over half of the pods */
#define WAITING  100
#define ROUNDS   61
#define INTERVAL 5

static struct cluster k;

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void fill(void)
{
	char name[32];
	char app[16];

	for (int i = 0; i < POLICIES; i++) {
		(void)snprintf(name, sizeof(name), "policy-%d", i);
		(void)snprintf(app, sizeof(app), "app-%d", i);
		set_policy(&k, name, app,
		           ", \"mode\": \"Enforce\", \"maxSlowdown\": 4, "
		           "\"rebalance\": {\"enabled\": true}");
	}
	for (int i = 0; i < PODS; i++) {
		(void)snprintf(name, sizeof(name), "pod-%d", i);
		(void)snprintf(app, sizeof(app), "app-%d", i % APPS);
		set_pod(&k, name, app, i % NODES, "");
	}
	for (int i = 0; i < WAITING; i++) {
		(void)snprintf(name, sizeof(name), "waits-%d", i);
		set_pod(&k, name, "app-0", -1, km_reason_text(KM_REASON_TOO_SLOW));
	}
}

static void publish_nodes(double c0)
{
	for (uint32_t i = 0; i < NODES; i++)
		publish(&k.w, i, c0);
}

/* The least: every pod once. */
static double read_all(void)
{
	double began_ms = now_ms();
	const struct km_view_snapshot *s = km_view_get(k.view);
	const struct km_view_pod *pod;
	volatile size_t count = 0;
	size_t at = 0;

	while ((pod = km_view_next_pod(s, &at)) != NULL)
		count += pod->pod.namespace.len == 4 &&
		         memcmp(pod->pod.namespace.text, "shop", 4) == 0;
	km_view_put(s);
	return now_ms() - began_ms;
}

int main(void)
{
	double between = 0;
	double at_interval = 0;
	double baseline = 0;
	int intervals = 0;

	cluster_open(&k, NODES);
	fill();
	for (int i = 0; i < ROUNDS; i++) {
		double began_ms;
		double took_ms;

		k.w.now_ns += S;
		if (i % INTERVAL == 0)
			publish_nodes(2.5 + 0.01 * i); /* so bad that nobody may go anywhere */
		if (i % 2 == 0)
			(void)km_lease_step(k.c->lease);
		k.requests = 0;
		began_ms = now_ms();
		controller_round(k.c);
		took_ms = now_ms() - began_ms;
		baseline += read_all();
		if (i == 0)
			continue; /* statuses are written for the first time */
		if (i % INTERVAL == 0) {
			at_interval += took_ms;
			intervals++;
		} else {
			between += took_ms;
		}
	}
	printf("%d nodes, %d pods, %d policies over half of them, %d pods waiting\n\n", NODES, PODS,
	       POLICIES, WAITING);
	printf("| | CPU ms |\n| --- | --: |\n");
	printf("| reading every pod once (baseline) | %.2f |\n", baseline / ROUNDS);
	printf("| a round: decisions made here, nodes that rejected pods could go to | %.2f |\n",
	       between / (ROUNDS - 1 - intervals));
	printf("| a round that also looks at every policy (each 5 s) | %.2f |\n",
	       at_interval / intervals);
	printf("| together, %% of a core | %.2f |\n",
	       (between + at_interval) / (ROUNDS - 1) / 1e3 * 100);
	cluster_close(&k);
	return 0;
}
