/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon has of a cluster: put together in kubernetes.c, told to decisions in feed.c. */
#ifndef KM_APP_KUBERNETES_INTERNAL_H
#define KM_APP_KUBERNETES_INTERNAL_H

#include <pthread.h>

#include "km/cluster/gather.h"
#include "km/cluster/peers.h"
#include "km/cluster/scraped.h"
#include "km/cluster/view.h"
#include "km/cluster/watchers.h"
#include "km/kube/credentials.h"

#include "app_internal.h"

struct app_kubernetes {
	struct app *app;
	struct km_kube_credentials
		*credentials; /* NULL = none: Prometheus alone says what there is */
	struct km_gather *gather;
	struct km_view *view;       /* NULL without credentials, as the watchers */
	struct km_peers *peers;     /* with features.from: peers, else NULL */
	struct km_scraped *scraped; /* with features.from: prometheus, else NULL */
	struct km_watchers *watchers;
	struct km_client_tls tls;    /* of peers; strings are the settings' as started */
	pthread_mutex_t lock;        /* the next */
	struct km_policies *of_file; /* decide.policies; NULL = none */
};

/* feed.c: what the view tells, bound to decisions, gatherer and peers. Thread km-view. */
struct km_view_feed app_feed_of(struct app_kubernetes *k);

#endif
