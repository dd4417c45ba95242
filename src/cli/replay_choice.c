/* SPDX-License-Identifier: Apache-2.0 */
/* What a choice is, and who answered. */
#include <stdio.h>

#include "replay.h"

size_t replay_best_of(const int32_t *score, const bool *rejected, size_t count, bool *best)
{
	int32_t top = INT32_MIN;
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		if (!rejected[i] && score[i] > top)
			top = score[i];
	}
	for (size_t i = 0; i < count; i++) {
		best[i] = !rejected[i] && score[i] == top;
		found += best[i];
	}
	return found;
}

void replay_copy_first(char *out, const struct km_name *name, const bool *best, size_t count)
{
	out[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		if (best[i]) {
			(void)snprintf(out, REPLAY_NAME_MAX, "%.*s",
			               name[i].len < REPLAY_NAME_MAX ? (int)name[i].len
			                                             : REPLAY_NAME_MAX - 1,
			               name[i].text);
			return;
		}
	}
}

void replay_count_model(struct replay_result *out, uint64_t hash)
{
	for (size_t i = 0; i < out->model_count; i++) {
		if (out->model[i].hash == hash) {
			out->model[i].calls++;
			return;
		}
	}
	if (out->model_count < REPLAY_MODELS_MAX)
		out->model[out->model_count++] = (struct replay_model){ hash, 1 };
}
