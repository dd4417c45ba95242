/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leader election by a Lease, with the semantics of client-go's leaderelection: who holds it
 * renews it every `retry`; who does not, watches it and takes it once it has not changed for its
 * duration by the watcher's own clock (no clock is compared with another's). Updates carry the
 * resourceVersion, so of two that take it one is refused.
 *
 *   renewal asked ──── renew (10 s) ───▶ stops acting      others may take it
 *        └──────────────── duration (15 s), counted by others from when they saw it ──▶ ┘
 *
 * A holder acts only until `renew` after it *asked* for its last renewal that worked; a request
 * that it begins then, and that ends within `duration - renew`, is over before anybody else leads.
 * A wall clock that jumps against the monotonic one (a machine that slept) ends that at once.
 */
#ifndef KM_KUBE_LEASE_H
#define KM_KUBE_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "km/base/clock.h"
#include "km/base/err.h"
#include "km/kube/via.h"

#define KM_LEASE_DURATION_NS (15 * KM_NS_PER_S)
#define KM_LEASE_RENEW_NS    (10 * KM_NS_PER_S)
#define KM_LEASE_RETRY_NS    (2 * KM_NS_PER_S)

struct km_lease;

/* Texts are copied. */
struct km_lease_options {
	const char *namespace, *name;
	const char *identity;                    /* of this process alone: "HOST_RANDOM" */
	int64_t duration_ns, renew_ns, retry_ns; /* 0 = as above; duration > renew > retry */
	struct km_kube_via via;
	const struct km_clock *clock; /* borrowed */
	uint64_t seed;                /* of the jitter */
};

/* returns 0 and *out owned; -EINVAL (spans that are no order), -ENOMEM. */
int km_lease_create(const struct km_lease_options *options, struct km_lease **out,
                    struct km_err *err) KM_MUST_CHECK;
void km_lease_free(struct km_lease *l); /* NULL allowed; does not release */

/*
 * One try to get or renew it: at most three requests, each bounded by what is left of the lease.
 * Logs who leads when that changes. returns how long to wait before the next try. One thread.
 */
int64_t km_lease_step(struct km_lease *l);

/* Is it ours, now? *left_ns (NULL allowed): for how long still. Any thread. */
bool km_lease_held(struct km_lease *l, int64_t *left_ns);

/* On a clean stop, when nothing acts any more: lets it go at once. The thread of km_lease_step. */
void km_lease_release(struct km_lease *l);

/* Who holds it, as far as it was seen within its duration: "" = nobody, or not known. returns out.
 * Any thread. */
const char *km_lease_holder(struct km_lease *l, char *out, size_t size);

#endif
