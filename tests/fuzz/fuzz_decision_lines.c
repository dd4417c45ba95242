/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of a decision log: each is refused with a text, or what it says is in range and, written
 * again, says the same.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/wire/decision_lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
	if (!condition)
		abort();
}

static void same_decision(const struct km_logged_decision *a, const struct km_logged_decision *b)
{
	must(a->id == b->id && a->call == b->call && a->count == b->count);
	must(a->model_hash == b->model_hash);
	for (size_t i = 0; i < a->count; i++) {
		must(a->node[i] == b->node[i] && a->score[i] == b->score[i]);
		must(a->age_us[i] == b->age_us[i] && a->rejected[i] == b->rejected[i]);
	}
}

static void check(const struct km_decision_line *read, struct km_arena *arena)
{
	struct km_decision_line again;
	struct km_buf out;

	km_buf_init(&out);
	switch (read->kind) {
	case KM_LINE_SETTINGS:
		must(read->settings.score_scale >= 1 && read->settings.max_age_ns >= 0);
		km_decision_line_settings(&out, &read->settings, 0);
		break;
	case KM_LINE_NODES:
		km_decision_line_nodes(&out, read->name, read->count);
		break;
	case KM_LINE_ROW:
		must(read->row.version > 0 && read->row.count <= KM_FEATURES_MAX);
		km_decision_line_row(&out, &read->row);
		break;
	case KM_LINE_DECISION:
		km_decision_line_decision(&out, &read->decision);
		break;
	default:
		must(read->kind == KM_LINE_SCHEMA && read->count <= KM_FEATURES_MAX);
		must(read->window_s >= 1 && read->bin_s > 0);
		km_buf_fini(&out);
		return;
	}
	must(km_buf_ok(&out) && out.len > 0 && out.data[out.len - 1] == '\n');
	must(km_decision_line_read(out.data, out.len - 1, arena, &again, NULL) == 0);
	must(again.kind == read->kind);
	if (read->kind == KM_LINE_DECISION)
		same_decision(&read->decision, &again.decision);
	km_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct km_decision_line read;
	struct km_arena arena;
	struct km_err err = { .code = 0 };

	km_arena_init(&arena, 0);
	if (km_decision_line_read((const char *)data, size, &arena, &read, &err) == 0)
		check(&read, &arena);
	else
		must(err.text[0] != '\0');
	km_arena_fini(&arena);
	return 0;
}
