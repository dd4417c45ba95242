/* SPDX-License-Identifier: Apache-2.0 */
/*
 * API objects as watchers hear them, into a view that is fed: an object a line, the first byte
 * chooses kind and event. Whatever comes, what was told must add up: a pod is told gone once for
 * each time it was told bound to somewhere new.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/cluster/view.h"
#include "km/cluster/watchers.h"
#include "km/config/policy_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct told {
	size_t bound, gone, pods;
	int64_t ready;
};

static void told_bound(void *ctx, const struct km_pod *pod, struct km_name node, int64_t running_ns)
{
	(void)pod;
	(void)running_ns;
	if (node.len == 0)
		abort();
	((struct told *)ctx)->bound++;
}

static void told_gone(void *ctx, struct km_name uid)
{
	(void)uid;
	((struct told *)ctx)->gone++;
}

static void told_pod(void *ctx, const struct km_view_pod *old, const struct km_view_pod *now)
{
	struct told *t = ctx;

	t->pods += now != NULL;
	t->pods -= old != NULL;
}

static void hear(struct km_view *v, struct km_arena *arena, char what, const char *json, size_t len)
{
	enum km_view_kind kind = (enum km_view_kind)((unsigned char)what % KM_VIEW_KINDS);

	switch ((unsigned char)what / KM_VIEW_KINDS % 8) {
	case 0:
		km_view_listing(v, kind);
		break;
	case 1:
		km_view_listed(v, kind);
		break;
	case 2:
		km_view_stream(v, kind, false, "cut");
		break;
	case 3:
		km_view_step(v);
		break;
	case 4:
		(void)!km_watchers_object(v, kind, true, json, len, arena);
		break;
	default:
		(void)!km_watchers_object(v, kind, false, json, len, arena);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data;
	const char *end = at + size;
	struct told told = { .bound = 0 };
	const struct km_view_feed feed = {
		.pod_bound = told_bound, .pod_gone = told_gone, .pod = told_pod, .ctx = &told
	};
	const struct km_view_snapshot *s;
	struct km_arena arena;
	struct km_view *v;

	if (km_view_create(&(struct km_view_options){ .clock = km_clock_system(),
	                                              .feed = &feed,
	                                              .parse_policy = km_policy_parse },
	                   &v, NULL) != 0)
		abort();
	km_arena_init(&arena, 0);
	for (size_t k = 0; k < KM_VIEW_KINDS; k++)
		km_view_listed(v, (enum km_view_kind)k);
	while (at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));

		if (line_end == NULL)
			line_end = end;
		if (line_end > at)
			hear(v, &arena, *at, at + 1, (size_t)(line_end - at) - 1);
		at = line_end + 1;
	}
	km_view_step(v);
	s = km_view_get(v);
	if (s != NULL && told.pods != km_view_count(s, KM_VIEW_PODS))
		abort();
	if (told.gone > told.bound)
		abort();
	km_view_put(s);
	km_arena_fini(&arena);
	km_view_free(v);
	return 0;
}
