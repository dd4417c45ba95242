/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole decision log, decided again: lines that do not go together, nodes named twice, clocks
 * that jump. Whatever it says, choices add up. The tool is in no library: its files are taken as
 * they are.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* NOLINTBEGIN(bugprone-suspicious-include) */
#include "cli/replay_choice.c"
#include "cli/replay_run.c"
/* NOLINTEND(bugprone-suspicious-include) */

#define MODEL     "tests/fixtures/model/test.ubj"
#define LINES_MAX 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
	if (!condition)
		abort();
}

/* returns false when it is over. */
static bool take(struct replay *r, const char *text, size_t len)
{
	struct km_decision_line line;
	struct km_err err = { .code = 0 };
	struct km_arena arena;
	int rc;

	km_arena_init(&arena, 0);
	rc = km_decision_line_read(text, len, &arena, &line, &err);
	if (rc == 0)
		rc = replay_line(r, &line, &err);
	must(rc == 0 || rc == -EINVAL || rc == -EPROTO);
	must(rc == 0 || err.text[0] != '\0');
	km_arena_fini(&arena);
	return rc != -EPROTO;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct km_decide_settings settings = {
		.max_age_ns = 15 * KM_NS_PER_S,
		.score_scale = 10,
		.min_max_slowdown = 1.2,
		.unknown_slowdown = 1.1,
		.default_workload = { .rps = 1000, .replicas = 1, .max_slowdown = 2 },
	};
	static struct km_model *model;
	const char *text = (const char *)data;
	const struct replay_result *res;
	struct replay *r = NULL;

	if (model == NULL)
		must(km_model_open(MODEL, &model, NULL) == 0);
	if (replay_create(model, &settings, size > 0 && data[0] == ' ', NULL, &r, NULL) != 0 ||
	    r == NULL)
		abort();
	for (int i = 0; size > 0 && i < LINES_MAX; i++) {
		const char *newline = memchr(text, '\n', size);
		size_t len = newline != NULL ? (size_t)(newline - text) : size;

		if (!take(r, text, len))
			break;
		text += newline != NULL ? len + 1 : len;
		size -= newline != NULL ? len + 1 : len;
	}
	res = replay_result(r);
	must(res->same + res->overlapping + res->changed == res->choices);
	must(res->identical <= res->calls && res->filter_changed <= res->filter_calls);
	must(res->choices + res->filter_calls <= res->calls);
	must(res->change_count <= res->changed && res->change_count <= REPLAY_CHANGES_MAX);
	replay_free(r);
	return 0;
}
