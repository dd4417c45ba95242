/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which agents there are, and their answers into a gatherer: agents are pods of one namespace with
 * certain labels, told by the view's thread; they are read on thread km-pull.
 */
#ifndef KM_CLUSTER_PEERS_H
#define KM_CLUSTER_PEERS_H

#include <stdint.h>

#include "km/base/err.h"
#include "km/cluster/gather.h"
#include "km/cluster/view.h"
#include "km/net/client.h"

struct km_peers;

struct km_peers_options {
	struct km_gather *gather;        /* borrowed; outlives the peers */
	const char *namespace;           /* copied, as the next */
	const char *selector;            /* as km_labels_parse takes it (core/labels.h) */
	const struct km_client_tls *tls; /* borrowed, with its strings; NULL = plain HTTP */
	int64_t interval_ns, timeout_ns;
	uint16_t port;
};

/* returns 0 and *out owned; -EINVAL (a selector that is none), -ENOMEM, -EMFILE. */
int km_peers_create(const struct km_peers_options *options, struct km_peers **out,
                    struct km_err *err) KM_MUST_CHECK;
int km_peers_start(struct km_peers *p, struct km_err *err) KM_MUST_CHECK;
void km_peers_stop(struct km_peers *p); /* joins; NULL and not started are fine */
void km_peers_free(struct km_peers *p); /* after _stop; NULL allowed */

/* A pod came (old NULL), changed, or went (now NULL); then, after the last of them, _settle. One
 * thread. */
void km_peers_pod(struct km_peers *p, const struct km_view_pod *old, const struct km_view_pod *now);
void km_peers_settle(struct km_peers *p);

/* Everybody is asked anew, whatever was said before: rows are of another schema now. Any thread. */
void km_peers_renew(struct km_peers *p);

#endif
