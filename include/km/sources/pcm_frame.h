/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kubemarla-pcm writes to its pipe: frames of one fixed size, below PIPE_BUF so that a live
 * writer never leaves half of one, each with version and checksum. A reading of many CPUs takes
 * several, a part each.
 *
 *   0   magic "KPCM"   version   kind
 *   8   checksum (of everything else)
 *   16  run, code, counted, CPUs of the whole reading, part, parts
 *   40  sequence, time, bit per CPU of the part: measured
 *   64  64 CPUs x { cycles, instructions, L2 misses, L3 misses }, or a text
 *
 * Numbers are in the machine's own byte order: both ends are on it. Pure: bytes in, readings out.
 */
#ifndef KM_SOURCES_PCM_FRAME_H
#define KM_SOURCES_PCM_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "km/sources/libpcm.h"

#define KM_PCM_FRAME_VERSION    1
#define KM_PCM_FRAME_CPUS       64
#define KM_PCM_FRAME_HEAD_BYTES 64
#define KM_PCM_FRAME_BYTES      (KM_PCM_FRAME_HEAD_BYTES + KM_PCM_FRAME_CPUS * 32)
#define KM_PCM_TEXT_MAX         128 /* of a text in a frame, with its NUL */

enum km_pcm_kind {
	KM_PCM_LOADING = 1, /* the helper runs, libpcm is not started yet */
	KM_PCM_READY = 2,   /* counted says what will come; text: which processor */
	KM_PCM_READING = 3,
	KM_PCM_FAILED = 4, /* the helper is about to end; code: an errno; text: why */
};

/* ---- writing ------------------------------------------------------------------------------- */

/* A frame that is no reading. The text is cut to KM_PCM_TEXT_MAX. */
void km_pcm_frame_text(unsigned char out[KM_PCM_FRAME_BYTES], enum km_pcm_kind kind,
                       uint32_t counted, int code, const char *text);

/* Frames of a reading of so many CPUs. */
uint32_t km_pcm_frame_parts(uint32_t cpu_count);

/* Part 0..parts-1 of a reading. */
void km_pcm_frame_reading(unsigned char out[KM_PCM_FRAME_BYTES], const struct km_pcm_reading *r,
                          uint32_t part);

/* Sets the checksum of a frame whose other bytes were changed. */
void km_pcm_frame_seal(unsigned char frame[KM_PCM_FRAME_BYTES]);

/* ---- reading ------------------------------------------------------------------------------- */

/* Bytes in any cuts. Zeroed = empty. */
struct km_pcm_stream {
	unsigned char bytes[16 * KM_PCM_FRAME_BYTES];
	size_t from, to;    /* what is in bytes and not used yet */
	uint32_t next_part; /* of the reading being put together; 0 = none begun */
	struct km_pcm_reading reading;
};

enum km_pcm_event {
	KM_PCM_EVENT_NONE,    /* more bytes are needed */
	KM_PCM_EVENT_TEXT,    /* kind, counted, code, text */
	KM_PCM_EVENT_READING, /* whole, in stream.reading until the next call */
	KM_PCM_EVENT_BAD,     /* text: what was wrong; the stream goes on behind it */
	KM_PCM_EVENT_VERSION, /* text: ours and theirs; nothing behind it can be understood */
};

struct km_pcm_message {
	enum km_pcm_kind kind;
	uint32_t counted;
	int code;
	char text[KM_PCM_TEXT_MAX]; /* printable */
};

/* Where the next bytes go, and for how many there is room (never 0 once _next said NONE). */
unsigned char *km_pcm_stream_room(struct km_pcm_stream *s, size_t *room);
void km_pcm_stream_added(struct km_pcm_stream *s, size_t len);

/* What the bytes so far say, one thing at a time until NONE. */
enum km_pcm_event km_pcm_stream_next(struct km_pcm_stream *s, struct km_pcm_message *out);

#endif
