/* SPDX-License-Identifier: Apache-2.0 */
/* A source "pcm" of one's own for a test; see pcm_world.h. */
#include "support/pcm_world.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/clock.h"

static char *text_of(const char *fmt, ...)
{
	char *out = NULL;
	va_list ap;

	va_start(ap, fmt);
	assert_true(vasprintf(&out, fmt, ap) >= 0);
	va_end(ap);
	return out;
}

void pcm_world_init(struct pcm_world *w, unsigned cpus, const char *script,
                    const char *helper_script)
{
	const char *build = getenv("KM_BUILD");

	memset(w, 0, sizeof(*w));
	build = build != NULL ? build : "build";
	tree_init(&w->tree);
	assert_int_equal(chmod(w->tree.root, 0755), 0); /* the helper reads it as nobody */
	w->deadline_ns = km_clock_mono_ns(km_clock_system()) + 3 * PCM_WORLD_WAIT_MS * KM_NS_PER_MS;
	tree_put(&w->tree, "sys/devices/system/cpu/present", "0-%u\n", cpus - 1);
	tree_put(&w->tree, "sys/devices/system/cpu/online", "0-%u\n", cpus - 1);
	tree_put(&w->tree, "proc/sys/kernel/nmi_watchdog", "1\n");

	/* The sanitizers' own handlers would turn a crash into an exit code. */
	(void)setenv("ASAN_OPTIONS", "handle_segv=0:handle_abort=0:detect_leaks=0", 1);
	(void)setenv("TSAN_OPTIONS", "handle_segv=0:handle_abort=0", 1);
	(void)setenv("KUBEMARLA_PCM_CPU", "GenuineIntel/6/143", 1);
	(void)setenv("LIBPCM_FAKE", script, 1);
	(void)setenv("PCM_HELPER_FAKE", helper_script != NULL ? helper_script : "", 1);
	w->live.procfs = text_of("%s/proc", w->tree.root);
	w->live.sysfs = text_of("%s/sys", w->tree.root);
	w->live.pcm_library = text_of("%s/tests/libpcm_fake.so", build);
	w->live.pcm_helper = text_of(
		"%s/%s", build, helper_script != NULL ? "tests/pcm_helper_fake" : "kubemarla-pcm");
	w->live.pcm_isolation_process = true;
	(void)snprintf(w->settings.kind, sizeof(w->settings.kind), "pcm");
	w->args.settings = &w->settings;
	w->args.live = &w->live;
	w->args.interval_ns = KM_NS_PER_S;
}

void pcm_world_set(char **setting, const char *text)
{
	free(*setting);
	*setting = text_of("%s", text);
}

void pcm_world_fini(struct pcm_world *w)
{
	pcm_world_close(w);
	tree_fini(&w->tree);
	free(w->live.procfs);
	free(w->live.sysfs);
	free(w->live.pcm_library);
	free(w->live.pcm_helper);
}

int64_t pcm_world_now(const struct pcm_world *w)
{
	return (w->frozen_ns != 0 ? w->frozen_ns : km_clock_mono_ns(km_clock_system())) +
	       w->ahead_ns;
}

int pcm_world_probe(struct pcm_world *w, struct km_source_offer *out)
{
	int ret;

	do {
		ret = km_source_probe(&w->args, out, &w->err);
	} while (ret == -ETIMEDOUT && km_clock_mono_ns(km_clock_system()) < w->deadline_ns);
	return ret;
}

int pcm_world_open(struct pcm_world *w)
{
	w->args.now_ns = pcm_world_now(w);
	w->samples = 0;
	memset(&w->err, 0, sizeof(w->err));
	w->state = km_source_open(&w->args, &w->source, &w->err);
	return w->state;
}

void pcm_world_close(struct pcm_world *w)
{
	km_source_close(w->source);
	w->source = NULL;
}

static void keep(void *ctx, const struct km_sample *sample)
{
	struct pcm_world *w = ctx;

	assert_true(sample->cpu_count <= PCM_WORLD_CPUS);
	assert_null(km_sample_implausible(sample));
	assert_true(w->samples == 0 || sample->end_ns > w->last.end_ns);
	w->last = *sample;
	memcpy(w->cpu, sample->cpu,
	       (size_t)sample->cpu_count * KM_COUNT_CPU_N * sizeof(sample->cpu[0]));
	w->last.cpu = w->cpu;
	w->samples++;
}

int pcm_world_read(struct pcm_world *w)
{
	w->state = km_source_read(w->source, pcm_world_now(w), keep, w, &w->err);
	return w->state;
}

struct pcm_helper *pcm_world_helper(const struct pcm_world *w)
{
	return ((struct pcm *)w->source)->helper;
}

void pcm_world_step(struct pcm_world *w)
{
	const struct pcm_helper *h = pcm_world_helper(w);
	struct pollfd fds[2] = { { .fd = h->frame_fd, .events = POLLIN },
		                 { .fd = -1, .events = POLLIN } };

	if (km_clock_mono_ns(km_clock_system()) > w->deadline_ns) {
		fail_msg("what the test waits for does not come");
	}
	if (h->pid == 0) {
		/* it waits to be started again */
		w->ahead_ns += h->retry_ns > pcm_world_now(w) ? h->retry_ns - pcm_world_now(w) : 0;
	} else {
		fds[1].fd = pidfd_open(h->pid, 0);
		assert_true(fds[1].fd >= 0);
		if (poll(fds, 2, PCM_WORLD_WAIT_MS) <= 0) {
			fail_msg("the helper neither says anything nor ends");
		}
		close(fds[1].fd);
	}
	(void)pcm_world_read(w);
}

void pcm_world_until_samples(struct pcm_world *w, unsigned samples)
{
	while (w->samples < samples) {
		pcm_world_step(w);
		if (w->state < 0) {
			fail_msg("absent: %s", w->err.text);
		}
	}
}

void pcm_world_until_absent(struct pcm_world *w)
{
	do {
		pcm_world_step(w);
	} while (w->state >= 0);
}

void pcm_world_stats(const struct pcm_world *w, struct km_source_stats *out)
{
	km_source_get_stats(w->source, out);
}

double pcm_world_count(const struct pcm_world *w, unsigned cpu, enum km_count count)
{
	assert_true(cpu < w->last.cpu_count);
	return km_sample_cpu(&w->last, cpu, count);
}
