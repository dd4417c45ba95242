/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of kubemarla-pcm, and the list of events: bytes and numbers only, no process. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/sources/pcm_frame.h"

struct bytes {
	unsigned char at[40 * KM_PCM_FRAME_BYTES];
	size_t len;
};

/* What a test feeds from, through and into; too large for a stack. */
struct pipe_end {
	struct km_pcm_stream stream;
	struct km_pcm_reading reading;
	struct bytes bytes;
};

static int set_up(void **state)
{
	*state = calloc(1, sizeof(struct pipe_end));
	return *state != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

static void add_reading(struct bytes *b, const struct km_pcm_reading *r)
{
	for (uint32_t part = 0; part < km_pcm_frame_parts(r->cpu_count); part++) {
		km_pcm_frame_reading(b->at + b->len, r, part);
		b->len += KM_PCM_FRAME_BYTES;
	}
}

static void fill(struct km_pcm_reading *r, uint32_t cpus, uint64_t sequence)
{
	memset(r, 0, sizeof(*r));
	r->run = 77;
	r->counted = KM_PCM_HAS_L3;
	r->sequence = sequence;
	r->time_ns = (int64_t)sequence * 1000;
	r->cpu_count = cpus;
	for (uint32_t cpu = 0; cpu < cpus; cpu++) {
		r->cpu[cpu] = (struct km_pcm_counts){ cpu, cpu + sequence, UINT64_MAX - cpu, 4 };
		if (cpu % 3 != 0) {
			km_cpuset_add(&r->measured, cpu);
		}
	}
}

/* Feeds so many bytes at a time. returns how often each event came; the last text in *m. */
static void feed(struct km_pcm_stream *s, const struct bytes *b, size_t step, unsigned seen[5],
                 struct km_pcm_message *m)
{
	size_t at = 0;

	memset(seen, 0, 5 * sizeof(seen[0]));
	while (at < b->len) {
		struct km_pcm_message now;
		enum km_pcm_event event;
		size_t room;
		unsigned char *to = km_pcm_stream_room(s, &room);
		size_t n = b->len - at < step ? b->len - at : step;

		assert_true(room > 0);
		n = n < room ? n : room;
		memcpy(to, b->at + at, n);
		km_pcm_stream_added(s, n);
		at += n;
		while ((event = km_pcm_stream_next(s, &now)) != KM_PCM_EVENT_NONE) {
			seen[event]++;
			*m = event == KM_PCM_EVENT_READING ? *m : now;
			if (event == KM_PCM_EVENT_VERSION) {
				return;
			}
		}
	}
}

static void a_reading_survives_any_cuts_of_the_stream(void **state)
{
	static const uint32_t cpus[] = { 1, 2, 63, 64, 65, 128, 1000, 1024 };
	static const size_t steps[] = { 1, 7, 2111, 2112, 2113, 100000 };
	struct pipe_end *p = *state;
	struct km_pcm_stream *s = &p->stream;
	struct km_pcm_reading *r = &p->reading;
	struct bytes *b = &p->bytes;
	struct km_pcm_message m;
	unsigned seen[5];

	for (size_t i = 0; i < KM_ARRAY_LEN(cpus); i++) {
		for (size_t j = 0; j < KM_ARRAY_LEN(steps); j++) {
			fill(r, cpus[i], i + j + 1);
			b->len = 0;
			add_reading(b, r);
			feed(s, b, steps[j], seen, &m);
			assert_int_equal(seen[KM_PCM_EVENT_READING], 1);
			assert_int_equal(seen[KM_PCM_EVENT_BAD], 0);
			assert_int_equal(s->reading.run, r->run);
			assert_int_equal(s->reading.counted, r->counted);
			assert_int_equal(s->reading.sequence, r->sequence);
			assert_int_equal(s->reading.time_ns, r->time_ns);
			assert_int_equal(s->reading.cpu_count, r->cpu_count);
			assert_memory_equal(&s->reading.measured, &r->measured,
			                    sizeof(r->measured));
			assert_memory_equal(s->reading.cpu, r->cpu, cpus[i] * sizeof(r->cpu[0]));
		}
	}
}

static void texts_come_printable_and_cut(void **state)
{
	struct pipe_end *p = *state;
	struct km_pcm_stream *s = &p->stream;
	struct bytes *b = &p->bytes;
	struct km_pcm_message m;
	unsigned seen[5];
	char longer[300];

	memset(longer, 'x', sizeof(longer));
	memcpy(longer, "two\nlines \x1b[31m", 15);
	longer[sizeof(longer) - 1] = '\0';
	km_pcm_frame_text(b->at, KM_PCM_FAILED, KM_PCM_HAS_L2, EACCES, longer);
	b->len = KM_PCM_FRAME_BYTES;
	feed(s, b, 500, seen, &m);
	assert_int_equal(seen[KM_PCM_EVENT_TEXT], 1);
	assert_int_equal(m.kind, KM_PCM_FAILED);
	assert_int_equal(m.counted, KM_PCM_HAS_L2);
	assert_int_equal(m.code, EACCES);
	assert_int_equal(strlen(m.text), KM_PCM_TEXT_MAX - 1);
	assert_memory_equal(m.text, "two?lines ?[31mxxx", 18);
}

/* What is wrong with the second of three readings costs that one, and is told. */
static void a_bad_frame_costs_its_own_reading_only(void **state)
{
	static const struct {
		size_t at; /* in the frame; changed */
		bool sealed;
		const char *want;
		unsigned want_bad;
	} rows[] = {
		{ 0, true, "bytes that are no frame", 1 },       /* magic */
		{ 6, true, "a frame of an unknown kind", 1 },    /* kind */
		{ 9, false, "bytes that are no frame", 2 },      /* checksum; and what it leaves */
		{ 31, true, "a frame whose numbers cannot", 1 }, /* too many CPUs */
		{ 32, true, "a frame whose numbers cannot", 1 }, /* part */
		{ 36, true, "a frame whose numbers cannot", 1 }, /* parts */
		{ 27, true, "a frame whose numbers cannot", 1 }, /* counted */
		{ 1000, false, "bytes that are no frame", 2 },   /* a count */
	};
	struct pipe_end *p = *state;
	struct km_pcm_stream *s = &p->stream;
	struct km_pcm_reading *r = &p->reading;
	struct bytes *b = &p->bytes;
	struct km_pcm_message m;
	unsigned seen[5];

	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		b->len = 0;
		for (uint64_t n = 1; n <= 3; n++) {
			fill(r, 64, n);
			add_reading(b, r);
		}
		b->at[KM_PCM_FRAME_BYTES + rows[i].at] ^= 0x55;
		if (rows[i].sealed) {
			km_pcm_frame_seal(b->at + KM_PCM_FRAME_BYTES);
		}
		feed(s, b, 3 * KM_PCM_FRAME_BYTES, seen, &m);
		assert_int_equal(seen[KM_PCM_EVENT_READING], 2);
		assert_int_equal(seen[KM_PCM_EVENT_BAD], rows[i].want_bad);
		assert_non_null(strstr(m.text, rows[i].want));
		assert_int_equal(s->reading.sequence, 3);
	}
}

static void parts_of_different_readings_are_not_mixed(void **state)
{
	struct pipe_end *p = *state;
	struct km_pcm_stream *s = &p->stream;
	struct km_pcm_reading *r = &p->reading;
	struct bytes *b = &p->bytes;
	struct km_pcm_message m;
	unsigned seen[5];

	/* 1: no second part; 2: no first part; 3: whole */
	fill(r, 100, 1);
	add_reading(b, r);
	b->len -= KM_PCM_FRAME_BYTES;
	fill(r, 100, 2);
	km_pcm_frame_reading(b->at + b->len, r, 1);
	b->len += KM_PCM_FRAME_BYTES;
	fill(r, 100, 3);
	add_reading(b, r);
	feed(s, b, 1000, seen, &m);
	assert_int_equal(seen[KM_PCM_EVENT_BAD], 1);
	assert_int_equal(seen[KM_PCM_EVENT_READING], 1);
	assert_int_equal(s->reading.sequence, 3);
	/* begun, and then another from its start: the other one is whole */
	b->len = 0;
	fill(r, 100, 4);
	add_reading(b, r);
	b->len -= KM_PCM_FRAME_BYTES;
	fill(r, 100, 5);
	add_reading(b, r);
	feed(s, b, 1000, seen, &m);
	assert_int_equal(seen[KM_PCM_EVENT_BAD], 1);
	assert_string_equal(m.text, "a reading whose parts do not belong together");
	assert_int_equal(seen[KM_PCM_EVENT_READING], 1);
	assert_int_equal(s->reading.sequence, 5);
}

static void noise_is_skipped_and_another_version_told(void **state)
{
	struct pipe_end *p = *state;
	struct km_pcm_stream *s = &p->stream;
	struct km_pcm_reading *r = &p->reading;
	struct bytes *b = &p->bytes;
	struct km_pcm_message m;
	unsigned seen[5];

	for (b->len = 0; b->len < 9999; b->len++) {
		b->at[b->len] = "KPC KP KPCK"[b->len % 11]; /* all but a beginning */
	}
	fill(r, 2, 1);
	add_reading(b, r);
	feed(s, b, 100, seen, &m);
	assert_true(seen[KM_PCM_EVENT_BAD] > 0);
	assert_int_equal(seen[KM_PCM_EVENT_READING], 1);
	b->len = 0;
	add_reading(b, r);
	b->at[4] = 9;
	km_pcm_frame_seal(b->at);
	feed(s, b, 100, seen, &m);
	assert_int_equal(seen[KM_PCM_EVENT_VERSION], 1);
	assert_non_null(strstr(m.text, "version 9, wanted 1"));
}

static void misses_are_counted_as_pcm_does_on_each_family(void **state)
{
	static const struct {
		struct km_pcm_cpu cpu;
		const char *event0, *event1;
		unsigned l2_slots, l3_slots;
		int ret;
	} rows[] = {
		/* Skylake server to Granite Rapids: MEM_LOAD_RETIRED */
		{ { "GenuineIntel", 6, 85, 4, 4 },
		  "umask=0x20,event=0xd1",
		  "umask=0x10,event=0xd1",
		  2,
		  1,
		  0 },
		{ { "GenuineIntel", 6, 106, 5, 8 },
		  "umask=0x20,event=0xd1",
		  "umask=0x10,event=0xd1",
		  2,
		  1,
		  0 },
		{ { "GenuineIntel", 6, 143, 5, 8 },
		  "umask=0x20,event=0xd1",
		  "umask=0x10,event=0xd1",
		  2,
		  1,
		  0 },
		{ { "GenuineIntel", 6, 207, 5, 8 },
		  "umask=0x20,event=0xd1",
		  "umask=0x10,event=0xd1",
		  2,
		  1,
		  0 },
		{ { "GenuineIntel", 6, 173, 6, 8 },
		  "umask=0x20,event=0xd1",
		  "umask=0x10,event=0xd1",
		  2,
		  1,
		  0 },
		{ { "GenuineIntel", 6, 175, 6, 8 },
		  "umask=0x41,event=0x2e",
		  "umask=0x80,event=0xd1",
		  2,
		  1,
		  0 },
		{ { "GenuineIntel", 6, 134, 5, 4 },
		  "umask=0x41,event=0x2e",
		  "umask=0x10,event=0xd1",
		  2,
		  1,
		  0 },
		{ { "GenuineIntel", 6, 63, 3, 4 },
		  "umask=0x41,event=0x2e",
		  "umask=0x3f,event=0x24",
		  2,
		  1,
		  0 },
		/* L2 misses are what hit L3 and what missed it */
		{ { "GenuineIntel", 6, 79, 3, 4 },
		  "umask=0x41,event=0x2e",
		  "umask=0x08,event=0xd2",
		  7,
		  1,
		  0 },
		/* fewer counters: no sum without all its parts */
		{ { "GenuineIntel", 6, 79, 3, 2 },
		  "umask=0x41,event=0x2e",
		  "umask=0x08,event=0xd2",
		  0,
		  1,
		  0 },
		{ { "GenuineIntel", 6, 143, 5, 2 },
		  "umask=0x20,event=0xd1",
		  "umask=0x10,event=0xd1",
		  2,
		  1,
		  0 },
		{ { "GenuineIntel", 6, 143, 5, 1 }, "umask=0x20,event=0xd1", NULL, 0, 1, 0 },
		/* IPC only */
		{ { "GenuineIntel", 6, 42, 3, 4 }, NULL, NULL, 0, 0, 0 },
		{ { "GenuineIntel", 18, 143, 6, 8 }, NULL, NULL, 0, 0, 0 },
		/* nothing */
		{ { "GenuineIntel", 6, 143, 0, 0 }, NULL, NULL, 0, 0, -ENOTSUP },
		{ { "AuthenticAMD", 25, 1, 0, 0 }, NULL, NULL, 0, 0, -ENOTSUP },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_pcm_events e;
		struct km_err err = { 0 };

		assert_int_equal(km_pcm_events_find(&rows[i].cpu, &e, &err), rows[i].ret);
		if (rows[i].ret != 0) {
			assert_non_null(strstr(err.text, rows[i].cpu.vendor));
			continue;
		}
		assert_int_equal(e.l2_slots, rows[i].l2_slots);
		assert_int_equal(e.l3_slots, rows[i].l3_slots);
		assert_int_equal(e.event[0] != NULL, rows[i].event0 != NULL);
		assert_int_equal(e.event[1] != NULL, rows[i].event1 != NULL);
		if (e.event[0] != NULL) {
			assert_non_null(strstr(e.event[0], rows[i].event0));
		}
		if (e.event[1] != NULL) {
			assert_non_null(strstr(e.event[1], rows[i].event1));
		}
	}
}

static void the_processor_is_what_cpuid_says_or_its_stand_in(void **state)
{
	struct km_pcm_cpu real;
	struct km_pcm_cpu cpu;

	(void)state;
	(void)unsetenv("KUBEMARLA_PCM_CPU");
	km_pcm_cpu_identify(&real);
	assert_int_equal(strlen(real.vendor), 12);
	assert_true(real.family > 0);
	(void)setenv("KUBEMARLA_PCM_CPU", "GenuineIntel/6/143", 1);
	km_pcm_cpu_identify(&cpu);
	assert_string_equal(cpu.vendor, "GenuineIntel");
	assert_int_equal(cpu.family, 6);
	assert_int_equal(cpu.model, 143);
	/* what cannot be read is no stand-in */
	(void)setenv("KUBEMARLA_PCM_CPU", "GenuineIntel of old/6/143", 1);
	km_pcm_cpu_identify(&cpu);
	assert_memory_equal(&cpu, &real, sizeof(cpu));
	(void)setenv("KUBEMARLA_PCM_CPU", "GenuineIntel/6", 1);
	km_pcm_cpu_identify(&cpu);
	assert_memory_equal(&cpu, &real, sizeof(cpu));
}

int main(void)
{
#define STREAM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		STREAM(a_reading_survives_any_cuts_of_the_stream),
		STREAM(texts_come_printable_and_cut),
		STREAM(a_bad_frame_costs_its_own_reading_only),
		STREAM(parts_of_different_readings_are_not_mixed),
		STREAM(noise_is_skipped_and_another_version_told),
		cmocka_unit_test(misses_are_counted_as_pcm_does_on_each_family),
		cmocka_unit_test(the_processor_is_what_cpuid_says_or_its_stand_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
