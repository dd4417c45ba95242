/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the reflector: a fake API server, a reflector on a thread of its own, and the
 * picture that its callbacks make, kept as the daemon keeps its own.
 */
#ifndef KM_TESTS_SUPPORT_KUBE_WORLD_H
#define KM_TESTS_SUPPORT_KUBE_WORLD_H

#include <pthread.h>
#include <stdbool.h>

#include "km/kube/watch.h"

#include "support/fake_apiserver.h"

#define KUBE_OBJECTS_MAX 4096

struct kube_object {
	char name[64]; /* "namespace/name" */
	char version[32];
	bool listed; /* by the list at hand */
};

struct kube_world {
	struct fake_apiserver server;
	char dir[64];
	char kubeconfig[96];
	struct km_kube_credentials *credentials;
	struct km_metrics *metrics;
	struct km_kube *kube;
	struct km_kube_watch_options options; /* to be changed before kube_world_run */
	pthread_t thread;
	bool running;
	int rc; /* of the reflector */

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	struct kube_object object[KUBE_OBJECTS_MAX];
	size_t count;
	unsigned listings, listeds, told[4]; /* by enum km_kube_event */
	unsigned lives, losses;
	bool live, mistaken; /* an event that cannot be: MODIFIED of nobody after a list */
	char why[256];
	int object_rc[8]; /* returned for the next objects, while there are some */
	size_t object_rcs;
};

/* Starts the server; the reflector is of /api/v1/pods, 3 a page, with short back-offs. */
void kube_world_init(struct kube_world *w);
void kube_world_run(struct kube_world *w);
/* Stops the reflector if it runs (it must say -ECANCELED), frees all. */
void kube_world_stop(struct kube_world *w);
void kube_world_fini(struct kube_world *w);

/* A pod of the server's. */
void kube_world_put(struct kube_world *w, const char *ns, const char *name);

typedef bool kube_world_fn(struct kube_world *w);
/* Until `is` (asked under the lock) is true. returns false after FAKE_WAIT_MS. */
bool kube_world_wait(struct kube_world *w, kube_world_fn *is);
/* Until the picture is that of the server, names and versions. */
bool kube_world_wait_same(struct kube_world *w);

/* The value behind `series` and a blank in the exposition; -1 = no such line. */
double kube_world_metric(struct kube_world *w, const char *series);
/* Until it is at least that. */
bool kube_world_wait_metric(struct kube_world *w, const char *series, double least);

#endif
