/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of kubemarla-pcm: writing them, and making sense of whatever comes out of its pipe. */
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "km/base/hash.h"
#include "km/sources/pcm_frame.h"

#define MAGIC UINT32_C(0x4d43504b) /* "KPCM" */

struct frame {
	uint32_t magic;
	uint16_t version;
	uint16_t kind;
	uint64_t checksum;
	uint32_t run;
	int32_t code;
	uint32_t counted;
	uint32_t cpu_count;
	uint32_t part;
	uint32_t parts;
	uint64_t sequence;
	int64_t time_ns;
	uint64_t measured;
	union {
		struct km_pcm_counts cpu[KM_PCM_FRAME_CPUS];
		char text[KM_PCM_TEXT_MAX];
	} u;
};

static_assert(sizeof(struct frame) == KM_PCM_FRAME_BYTES, "no padding");
static_assert(offsetof(struct frame, u) == KM_PCM_FRAME_HEAD_BYTES, "no padding");
static_assert(KM_PCM_FRAME_BYTES <= PIPE_BUF, "a frame is written whole or not at all");
static_assert(sizeof(struct km_pcm_counts) == 32, "no padding");
static_assert(KM_CPU_MAX % KM_PCM_FRAME_CPUS == 0, "a part is a word of a CPU set");
static_assert(sizeof(((struct km_cpuset *)0)->word[0]) * CHAR_BIT == KM_PCM_FRAME_CPUS, "the same");

/* Everything but the checksum itself. */
static uint64_t checksum(const unsigned char *bytes)
{
	const size_t at = offsetof(struct frame, checksum);
	const size_t behind = at + sizeof(uint64_t);

	return km_hash64(bytes + behind, KM_PCM_FRAME_BYTES - behind,
	                 km_hash64(bytes, at, KM_PCM_FRAME_VERSION));
}

void km_pcm_frame_seal(unsigned char frame[KM_PCM_FRAME_BYTES])
{
	uint64_t sum = checksum(frame);

	memcpy(frame + offsetof(struct frame, checksum), &sum, sizeof(sum));
}

void km_pcm_frame_text(unsigned char out[KM_PCM_FRAME_BYTES], enum km_pcm_kind kind,
                       uint32_t counted, int code, const char *text)
{
	struct frame f = { .magic = MAGIC,
		           .version = KM_PCM_FRAME_VERSION,
		           .kind = (uint16_t)kind,
		           .counted = counted,
		           .code = code };

	(void)snprintf(f.u.text, sizeof(f.u.text), "%s", text);
	memcpy(out, &f, sizeof(f));
	km_pcm_frame_seal(out);
}

uint32_t km_pcm_frame_parts(uint32_t cpu_count)
{
	return (cpu_count + KM_PCM_FRAME_CPUS - 1) / KM_PCM_FRAME_CPUS;
}

static uint32_t cpus_of_part(uint32_t cpu_count, uint32_t part)
{
	uint32_t left = cpu_count - part * KM_PCM_FRAME_CPUS;

	return left < KM_PCM_FRAME_CPUS ? left : KM_PCM_FRAME_CPUS;
}

void km_pcm_frame_reading(unsigned char out[KM_PCM_FRAME_BYTES], const struct km_pcm_reading *r,
                          uint32_t part)
{
	struct frame f = {
		.magic = MAGIC,
		.version = KM_PCM_FRAME_VERSION,
		.kind = KM_PCM_READING,
		.run = r->run,
		.counted = r->counted,
		.cpu_count = r->cpu_count,
		.part = part,
		.parts = km_pcm_frame_parts(r->cpu_count),
		.sequence = r->sequence,
		.time_ns = r->time_ns,
		.measured = r->measured.word[part],
	};

	memcpy(f.u.cpu, &r->cpu[(size_t)part * KM_PCM_FRAME_CPUS],
	       cpus_of_part(r->cpu_count, part) * sizeof(f.u.cpu[0]));
	memcpy(out, &f, sizeof(f));
	km_pcm_frame_seal(out);
}

unsigned char *km_pcm_stream_room(struct km_pcm_stream *s, size_t *room)
{
	if (s->from > 0) {
		memmove(s->bytes, s->bytes + s->from, s->to - s->from);
		s->to -= s->from;
		s->from = 0;
	}
	*room = sizeof(s->bytes) - s->to;
	return s->bytes + s->to;
}

void km_pcm_stream_added(struct km_pcm_stream *s, size_t len)
{
	s->to += len;
}

static enum km_pcm_event bad(struct km_pcm_message *out, const char *what)
{
	(void)snprintf(out->text, sizeof(out->text), "%s", what);
	return KM_PCM_EVENT_BAD;
}

/* Goes forward to where a frame may begin. returns whether bytes had to be skipped. */
static bool resync(struct km_pcm_stream *s)
{
	const uint32_t magic = MAGIC;
	size_t start = s->from;

	while (s->from < s->to) {
		size_t left = s->to - s->from;

		if (memcmp(s->bytes + s->from, &magic,
		           left < sizeof(magic) ? left : sizeof(magic)) == 0) {
			break;
		}
		s->from++;
	}
	return s->from != start;
}

static enum km_pcm_event take_text(const struct frame *f, struct km_pcm_message *out)
{
	out->kind = (enum km_pcm_kind)f->kind;
	out->counted = f->counted & (KM_PCM_HAS_L2 | KM_PCM_HAS_L3);
	out->code = f->code;
	memcpy(out->text, f->u.text, sizeof(out->text));
	out->text[sizeof(out->text) - 1] = '\0';
	for (char *c = out->text; *c != '\0'; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f) {
			*c = '?';
		}
	}
	return KM_PCM_EVENT_TEXT;
}

/* Is the frame a part of the reading being put together? */
static bool continues(const struct km_pcm_stream *s, const struct frame *f)
{
	const struct km_pcm_reading *r = &s->reading;

	return f->run == r->run && f->sequence == r->sequence && f->time_ns == r->time_ns &&
	       f->cpu_count == r->cpu_count && f->counted == r->counted;
}

static enum km_pcm_event take_part(struct km_pcm_stream *s, const struct frame *f,
                                   struct km_pcm_message *out)
{
	struct km_pcm_reading *r = &s->reading;
	uint32_t cpus;

	if (f->cpu_count == 0 || f->cpu_count > KM_CPU_MAX ||
	    f->parts != km_pcm_frame_parts(f->cpu_count) || f->part >= f->parts ||
	    (f->counted & ~(uint32_t)(KM_PCM_HAS_L2 | KM_PCM_HAS_L3)) != 0) {
		s->next_part = 0;
		return bad(out, "a frame whose numbers cannot be");
	}
	if (f->part != s->next_part || (f->part > 0 && !continues(s, f))) {
		if (f->part == 0) {
			s->from -=
				KM_PCM_FRAME_BYTES; /* the next one is whole: take it after this */
		}
		s->next_part = 0;
		return bad(out, "a reading whose parts do not belong together");
	}
	if (f->part == 0) {
		r->run = f->run;
		r->counted = f->counted;
		r->sequence = f->sequence;
		r->time_ns = f->time_ns;
		r->cpu_count = f->cpu_count;
		memset(&r->measured, 0, sizeof(r->measured));
	}
	cpus = cpus_of_part(f->cpu_count, f->part);
	memcpy(&r->cpu[(size_t)f->part * KM_PCM_FRAME_CPUS], f->u.cpu, cpus * sizeof(f->u.cpu[0]));
	r->measured.word[f->part] =
		cpus == KM_PCM_FRAME_CPUS ? f->measured : f->measured & ((UINT64_C(1) << cpus) - 1);
	s->next_part = f->part + 1 < f->parts ? f->part + 1 : 0;
	return s->next_part == 0 ? KM_PCM_EVENT_READING : KM_PCM_EVENT_NONE;
}

static enum km_pcm_event take_frame(struct km_pcm_stream *s, struct km_pcm_message *out)
{
	struct frame f;

	memcpy(&f, s->bytes + s->from, sizeof(f));
	if (f.version != KM_PCM_FRAME_VERSION) {
		(void)snprintf(out->text, sizeof(out->text),
		               "frames of version %u, wanted %d: another build's kubemarla-pcm?",
		               f.version, KM_PCM_FRAME_VERSION);
		return KM_PCM_EVENT_VERSION;
	}
	if (f.checksum != checksum(s->bytes + s->from)) {
		s->from++; /* the length is not to be trusted either: look for the next one */
		return bad(out, "a frame with a wrong checksum");
	}
	s->from += sizeof(f);
	switch (f.kind) {
	case KM_PCM_LOADING:
	case KM_PCM_READY:
	case KM_PCM_FAILED:
		return take_text(&f, out);
	case KM_PCM_READING:
		return take_part(s, &f, out);
	default:
		return bad(out, "a frame of an unknown kind");
	}
}

enum km_pcm_event km_pcm_stream_next(struct km_pcm_stream *s, struct km_pcm_message *out)
{
	enum km_pcm_event event = KM_PCM_EVENT_NONE;

	memset(out, 0, sizeof(*out));
	if (resync(s)) {
		s->next_part = 0;
		return bad(out, "bytes that are no frame");
	}
	while (event == KM_PCM_EVENT_NONE && s->to - s->from >= KM_PCM_FRAME_BYTES) {
		if (resync(s)) {
			s->next_part = 0;
			return bad(out, "bytes that are no frame");
		}
		if (s->to - s->from >= KM_PCM_FRAME_BYTES) {
			event = take_frame(s, out);
		}
	}
	return event;
}
