/* SPDX-License-Identifier: Apache-2.0 */
/* From two readings of a group to what its events counted between them. */
#include "perf_scale.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define HEADER_WORDS 3

int km_perf_reading_parse(const void *bytes, size_t len, uint32_t count,
                          struct km_perf_reading *out)
{
	uint64_t words[HEADER_WORDS + KM_PERF_GROUP_MAX];

	if (count > KM_PERF_GROUP_MAX || len != (HEADER_WORDS + (size_t)count) * sizeof(words[0])) {
		return -EBADMSG;
	}
	memcpy(words, bytes, len);
	if (words[0] != count) {
		return -EBADMSG;
	}
	out->enabled_ns = words[1];
	out->running_ns = words[2];
	memcpy(out->value, words + HEADER_WORDS, count * sizeof(words[0]));
	return 0;
}

static int check(const struct km_perf_reading *before, const struct km_perf_reading *after,
                 uint32_t count)
{
	if (after->enabled_ns < before->enabled_ns || after->running_ns < before->running_ns) {
		return -ERANGE;
	}
	for (uint32_t i = 0; i < count; i++) {
		/* the kernel's counts are 64 bits wide and may wrap; the half that lies back may
		 * not be */
		if (after->value[i] - before->value[i] > UINT64_MAX / 2) {
			return -ERANGE;
		}
	}
	if (after->enabled_ns == before->enabled_ns) {
		return -ENODEV;
	}
	return 0;
}

int km_perf_scale(const struct km_perf_reading *before, const struct km_perf_reading *after,
                  uint32_t count, double *out)
{
	double enabled_ns = (double)(after->enabled_ns - before->enabled_ns);
	double running_ns = (double)(after->running_ns - before->running_ns);
	double scale = running_ns < enabled_ns ? enabled_ns / running_ns : 1;
	int ret = check(before, after, count);

	if (ret == 0 && running_ns < KM_PERF_RUNNING_MIN_RATIO * enabled_ns) {
		ret = -EAGAIN;
	}
	for (uint32_t i = 0; i < count; i++) {
		out[i] = ret == 0 ? (double)(after->value[i] - before->value[i]) * scale : NAN;
	}
	return ret;
}
