/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this room share. */
#ifndef KM_WIRE_INTERNAL_H
#define KM_WIRE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "km/base/arena.h"
#include "km/core/pod.h"
#include "km/wire/scan.h"

#define KM_WIRE_CONTROL_MAX 0x1f

/*
 * The first byte of [p, end) that a string's plain run cannot contain: a quote, a backslash or a
 * control character; `end` when there is none. *high is set when a byte >= 0x80 was passed.
 * The two must agree on every input (tests/unit/test_wire_scan.c).
 */
const char *km_wire_plain_run_scalar(const char *p, const char *end, bool *high);

#ifdef __SSE2__
/* 16 bytes a step; a node name is over in one or two. */
static inline const char *km_wire_plain_run(const char *p, const char *end, bool *high)
{
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i backslash = _mm_set1_epi8('\\');
	const __m128i control = _mm_set1_epi8(KM_WIRE_CONTROL_MAX);

	while (end - p >= 16) {
		__m128i bytes;
		__m128i stop;
		unsigned stops;
		unsigned highs;

		memcpy(&bytes, p, sizeof(bytes));
		/* unsigned bytes <= control: min(byte, control) is the byte itself */
		stop = _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes);
		stop = _mm_or_si128(stop, _mm_cmpeq_epi8(bytes, quote));
		stop = _mm_or_si128(stop, _mm_cmpeq_epi8(bytes, backslash));
		stops = (unsigned)_mm_movemask_epi8(stop);
		highs = (unsigned)_mm_movemask_epi8(bytes);
		if (stops != 0) {
			unsigned at = (unsigned)__builtin_ctz(stops);

			if ((highs & ((1u << at) - 1)) != 0)
				*high = true;
			return p + at;
		}
		if (highs != 0)
			*high = true;
		p += 16;
	}
	return km_wire_plain_run_scalar(p, end, high);
}
#else
static inline const char *km_wire_plain_run(const char *p, const char *end, bool *high)
{
	return km_wire_plain_run_scalar(p, end, high);
}
#endif

/*
 * Slices of a text that was scanned once (slices.c): reading them again cannot fail for their
 * syntax, and what is not of the wanted kind is taken as absent.
 */

/* The wanted members of an object; all absent when it is none. */
void km_wire_members(const struct km_json_slice *object, const struct km_json_want *want,
                     size_t count);

/* A string, decoded; len 0 for anything else. returns 0 or -ENOMEM. */
int km_wire_text(const struct km_json_slice *slice, struct km_arena *arena,
                 struct km_name *out) KM_MUST_CHECK;

/* Enters an array or object to read it entry by entry; false when it is not of that kind. */
bool km_wire_enter(struct km_scan *s, const struct km_json_slice *slice, enum km_json_kind kind);

/* A map of labels; values that are no strings are left out, as are those beyond 256. */
int km_wire_labels(const struct km_json_slice *labels, struct km_arena *arena,
                   const struct km_label **out, size_t *count) KM_MUST_CHECK;

/* What only an object of the API server's has, out of the same pass. */
struct km_wire_pod_life {
	struct km_json_slice version, created, deleted;
};

/* Members of v1.ObjectMeta -> a pod (pod.c). */
int km_wire_pod_metadata(const struct km_json_slice *metadata, struct km_arena *arena,
                         struct km_pod *out, struct km_wire_pod_life *life) KM_MUST_CHECK;

/* Bytes of the well-formed UTF-8 sequence at p (1..4), or 0. RFC 3629: no surrogates, shortest
 * form. */
size_t km_wire_utf8_len(const char *p, const char *end);

/* Is all of [p, end) well-formed UTF-8? */
bool km_wire_utf8_valid(const char *p, const char *end);

#endif
