/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pipe of kubemarla-pcm, any bytes. The input's first byte says in what cuts they arrive, and
 * whether frames get a right checksum first, so that what is behind it is reached. Looks for
 * crashes, for readings of no or too many CPUs, for measured bits beyond them, and for a stream
 * that neither consumes nor wants more.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/sources/pcm_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_reading(const struct km_pcm_reading *r)
{
	if (r->cpu_count == 0 || r->cpu_count > KM_CPU_MAX ||
	    km_cpuset_next(&r->measured, r->cpu_count) != KM_CPU_MAX ||
	    (r->counted & ~(uint32_t)(KM_PCM_HAS_L2 | KM_PCM_HAS_L3)) != 0) {
		abort();
	}
}

/* returns false when nothing behind can be understood. */
static bool take_all(struct km_pcm_stream *s)
{
	for (size_t n = 0; n <= 2 * sizeof(s->bytes); n++) {
		struct km_pcm_message m;

		switch (km_pcm_stream_next(s, &m)) {
		case KM_PCM_EVENT_NONE:
			return true;
		case KM_PCM_EVENT_READING:
			check_reading(&s->reading);
			break;
		case KM_PCM_EVENT_VERSION:
			return false;
		default:
			if (memchr(m.text, '\0', sizeof(m.text)) == NULL) {
				abort();
			}
			break;
		}
	}
	abort(); /* more events than bytes */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct km_pcm_stream *s = calloc(1, sizeof(*s));
	unsigned char *bytes = malloc(size + 1);
	size_t step = size > 0 && data[0] / 2 != 0 ? (size_t)(data[0] / 2) * 37 : SIZE_MAX;
	bool go_on = s != NULL && bytes != NULL && size > 1;

	if (go_on) {
		size--;
		memcpy(bytes, data + 1, size);
	}
	for (size_t at = 0; go_on && data[0] % 2 == 1 && at + KM_PCM_FRAME_BYTES <= size;
	     at += KM_PCM_FRAME_BYTES) {
		km_pcm_frame_seal(bytes + at);
	}
	for (size_t at = 0; go_on && at < size;) {
		size_t room;
		unsigned char *to = km_pcm_stream_room(s, &room);
		size_t n = size - at < step ? size - at : step;

		n = n < room ? n : room;
		if (n == 0) {
			abort(); /* no room although everything was taken */
		}
		memcpy(to, bytes + at, n);
		km_pcm_stream_added(s, n);
		at += n;
		go_on = take_all(s);
	}
	free(bytes);
	free(s);
	return 0;
}
