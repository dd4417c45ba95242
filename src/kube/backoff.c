/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long to wait after failures in a row. "Full jitter": drawn from nothing up to a bound that
 * doubles, so that many clients of one server do not come back together.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
#include "kube_internal.h"

void kube_backoff_init(struct kube_backoff *b, int64_t min_ns, int64_t max_ns, uint64_t seed)
{
	b->min_ns = min_ns;
	b->max_ns = max_ns;
	b->failures = 0;
	km_rng_init(&b->rng, seed);
}

int64_t kube_backoff_next(struct kube_backoff *b, int64_t asked_ns)
{
	int64_t bound_ns = b->min_ns;

	for (uint32_t i = 0; i < b->failures && bound_ns < b->max_ns; i++)
		bound_ns = bound_ns > b->max_ns / 2 ? b->max_ns : bound_ns * 2;
	b->failures++;
	/* What was asked for is waited out; a little on top, or all who were told so come at once.
	 */
	if (asked_ns > 0)
		return asked_ns + (int64_t)(km_rng_unit(&b->rng) * (double)b->min_ns);
	return (int64_t)(km_rng_unit(&b->rng) * (double)bound_ns);
}

void kube_backoff_reset(struct kube_backoff *b)
{
	b->failures = 0;
}
