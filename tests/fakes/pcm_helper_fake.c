/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in for kubemarla-pcm that does as PCM_HELPER_FAKE says: what a broken helper, or another
 * build's, could send. It counts as the fake libpcm does, on two CPUs unless said otherwise.
 *
 *   mute      says nothing                     deaf      is ready, and never answers
 *   die       ends with code 3                 quit      is ready, and ends when asked
 *   garbage   noise and a corrupt frame before each answer
 *   cut       70 CPUs; half a reading before each answer
 *   half      70 CPUs; half a reading is the answer
 *   version   frames of version 2              flood     is ready, and writes readings for ever
 *   unasked   three readings for each request  future    readings from an hour ahead
 *   endless   noise for ever
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "km/base/clock.h"
#include "km/sources/pcm_frame.h"

static struct km_pcm_reading reading = { .run = 1, .cpu_count = 2 };
static const char *script;

static bool is(const char *name)
{
	return script != NULL && strcmp(script, name) == 0;
}

static void put(const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, at, len);

		if (n <= 0) {
			exit(0);
		}
		at += n;
		len -= (size_t)n;
	}
}

static void say(enum km_pcm_kind kind)
{
	unsigned char frame[KM_PCM_FRAME_BYTES];

	km_pcm_frame_text(frame, kind, 0, 0, "fake");
	if (is("version")) {
		frame[4] = 2;
		km_pcm_frame_seal(frame);
	}
	put(frame, sizeof(frame));
}

static void answer(void)
{
	unsigned char frame[KM_PCM_FRAME_BYTES];

	reading.sequence++;
	reading.time_ns =
		km_clock_mono_ns(km_clock_system()) + (is("future") ? 3600 * KM_NS_PER_S : 0);
	for (unsigned cpu = 0; cpu < reading.cpu_count; cpu++) {
		km_cpuset_add(&reading.measured, cpu);
		reading.cpu[cpu].cycles += 1000U * (cpu + 1);
		reading.cpu[cpu].instructions += 2000U * (cpu + 1);
	}
	for (uint32_t part = 0; part < km_pcm_frame_parts(reading.cpu_count); part++) {
		if (part == 1 && (is("half") || (is("cut") && reading.sequence % 2 == 1))) {
			continue;
		}
		km_pcm_frame_reading(frame, &reading, part);
		if (is("garbage")) {
			put("not a frame, and far from one", 29);
			frame[100] ^= 1;
			put(frame, sizeof(frame));
			frame[100] ^= 1;
		}
		put(frame, sizeof(frame));
	}
}

int main(void)
{
	char request;

	script = getenv("PCM_HELPER_FAKE");
	if (is("die")) {
		return 3;
	}
	reading.cpu_count = is("cut") || is("half") ? 70 : 2;
	while (is("endless")) {
		put("KPCM and so on, and so forth. ", 30);
	}
	while (is("mute")) {
		pause();
	}
	say(KM_PCM_LOADING);
	say(KM_PCM_READY);
	while (read(STDIN_FILENO, &request, 1) == 1) {
		if (is("quit")) {
			return 4;
		}
		while (is("deaf")) {
			pause();
		}
		do {
			answer();
		} while (is("flood") || (is("unasked") && reading.sequence % 3 != 0) ||
		         (is("cut") && reading.sequence % 2 == 1));
	}
	return 0;
}
