/* SPDX-License-Identifier: Apache-2.0 */
/* How many pods of each policy are ready: counted as pods come and go, told when it changed. */
#include "view_internal.h"

/* Nobody counts on it any more: a policy that came and went. */
static bool is_vacant(const struct view_ready *r)
{
	return r->count == 0 && (!r->known || r->told == 0);
}

/* The policy's place, or one that is free; NULL when there is none. */
static struct view_ready *place_of(struct view_feeder *f, uint64_t policy)
{
	struct view_ready *vacant = NULL;

	for (size_t i = 0; i < VIEW_READY_SLOTS; i++) {
		struct view_ready *r = &f->ready[(policy + i) & (VIEW_READY_SLOTS - 1)];

		if (r->policy == policy) {
			return r;
		}
		if (is_vacant(r) && vacant == NULL) {
			vacant = r;
		}
		if (r->policy == 0) {
			break;
		}
	}
	if (vacant != NULL) {
		*vacant = (struct view_ready){ .policy = policy };
	}
	return vacant;
}

void view_ready_count(struct view_feeder *f, uint64_t policy, int by)
{
	struct view_ready *r = policy != 0 ? place_of(f, policy) : NULL;

	if (r == NULL) {
		return;
	}
	r->count = (uint32_t)((int64_t)r->count + by);
}

void view_ready_tell(struct km_view *v)
{
	struct view_feeder *f = &v->feeder;

	for (size_t i = 0; i < VIEW_READY_SLOTS; i++) {
		struct view_ready *r = &f->ready[i];

		if (r->policy == 0 || (r->known && r->told == r->count)) {
			continue;
		}
		r->told = r->count;
		r->known = true;
		if (v->feed.ready_pods != NULL) {
			v->feed.ready_pods(v->feed.ctx, r->policy, r->count);
		}
	}
}
