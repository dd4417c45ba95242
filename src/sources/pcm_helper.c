/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Supervises kubemarla-pcm: starts it, asks it for readings, and starts it again when it dies,
 * hangs or talks nonsense, a few times and then no more. No thread and no waiting: everything is
 * done in poll(), by what the pipe and the kernel have to say at that moment, and every deadline is
 * against the time poll() is given.
 *
 *        start                 READY                  no answer, a flood, wrong version
 *   DOWN -----> STARTING ----------------> UP -------------------------------------> DYING
 *    ^             | too long, FAILED ---------------------------------------------->  |
 *    |             v dies                  v dies                                      | gone
 *    +-------------+-----------------------+-------------------------------------------+
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "km/base/clock.h"

#include "pcm_internal.h"

#define HELPER_NAME PCM_HELPER_NAME
/* Of one poll. A pipe holds 64 KiB and a reading has 36 KiB at most: more is a flood. */
#define DRAIN_MAX_BYTES ((size_t)512 * 1024)

/* ---- starting and ending it ----------------------------------------------------------------- */

static int start_helper(struct pcm_helper *h, int64_t now_ns, struct km_err *err)
{
	struct pcm_channel channel;
	int ret = pcm_spawn(h->live, false, &channel, err);

	if (ret != 0) {
		return ret;
	}
	h->pid = channel.pid;
	h->request_fd = channel.request_fd;
	h->frame_fd = channel.frame_fd;
	h->stream.from = 0;
	h->stream.to = 0;
	h->stream.next_part = 0;
	h->asked = false;
	h->owed = 0;
	h->nonsense = 0;
	h->why[0] = '\0';
	h->phase = PCM_STARTING;
	h->deadline_ns = now_ns + PCM_START_MAX_NS;
	return 0;
}

static void close_channel(struct pcm_helper *h)
{
	if (h->request_fd >= 0) {
		close(h->request_fd);
		close(h->frame_fd);
	}
	h->request_fd = -1;
	h->frame_fd = -1;
}

/* What went wrong, into the status. */
static void tell(struct pcm_helper *h)
{
	(void)snprintf(h->stats->note, sizeof(h->stats->note), "%.*s",
	               (int)sizeof(h->stats->note) - 1, h->why);
}

/* Says why, once, and kills it. */
KM_PRINTF(4, 5)
static void condemn(struct pcm_helper *h, int code, bool for_good, const char *fmt, ...)
{
	va_list ap;

	if (h->phase != PCM_STARTING && h->phase != PCM_UP) {
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(h->why, sizeof(h->why), fmt, ap);
	va_end(ap);
	tell(h); /* now: one that the kernel does not let die may never be reaped */
	h->code = code;
	h->gave_up = h->gave_up || for_good;
	h->phase = PCM_DYING;
	close_channel(h);
	if (h->pid != 0) {
		(void)kill(h->pid, SIGKILL);
	}
}

static void describe_end(struct pcm_helper *h, int status)
{
	const char *doing = h->phase == PCM_UP ? "reading" : "starting";

	if (WIFSIGNALED(status)) {
		const char *name = sigabbrev_np(WTERMSIG(status));

		(void)snprintf(h->why, sizeof(h->why), HELPER_NAME " died of SIG%s while %s",
		               name != NULL ? name : "?", doing);
	} else {
		(void)snprintf(h->why, sizeof(h->why), HELPER_NAME " ended with code %d while %s",
		               WEXITSTATUS(status), doing);
	}
	h->code = ECHILD;
}

/* It is gone: once more, later, or no more. */
static void plan_restart(struct pcm_helper *h, int64_t now_ns)
{
	h->phase = PCM_DOWN;
	h->failures++;
	h->gave_up = h->gave_up || h->failures >= PCM_FAILURES_MAX;
	h->retry_ns = now_ns + (PCM_BACKOFF_NS << (h->failures - 1));
	tell(h);
}

/* ---- hearing it ----------------------------------------------------------------------------- */

static void take_message(struct pcm_helper *h, int64_t now_ns, const struct km_pcm_message *m)
{
	switch (m->kind) {
	case KM_PCM_READY:
		if (h->phase == PCM_STARTING) {
			h->phase = PCM_UP;
			h->up_ns = now_ns;
			h->deadline_ns = now_ns + pcm_answer_ns(h->interval_ns);
			(void)snprintf(h->stats->note, sizeof(h->stats->note), "%.*s",
			               (int)sizeof(h->stats->note) - 1, m->text);
		}
		break;
	case KM_PCM_FAILED:
		/* it has tried and says so: trying again at once would give the same */
		condemn(h, m->code > 0 ? m->code : EIO, true, "%s", m->text);
		break;
	default:
		break;
	}
}

/* Once is nothing; a helper that goes on like that is no good. */
static void note_nonsense(struct pcm_helper *h)
{
	h->stats->fault[KM_FAULT_GARBLED]++;
	h->nonsense++;
	if (h->nonsense >= PCM_NONSENSE_MAX) {
		condemn(h, EBADMSG, false, HELPER_NAME " talks nonsense");
	}
}

static void take_reading(struct pcm_helper *h, int64_t now_ns, struct km_pcm_reading *out,
                         bool *fresh)
{
	if (h->owed == 0 || h->phase != PCM_UP) {
		note_nonsense(h);
		return; /* nobody asked for it */
	}
	h->owed--;
	h->asked = false;
	h->deadline_ns = now_ns + pcm_answer_ns(h->interval_ns);
	h->failures = now_ns - h->up_ns >= PCM_STEADY_NS ? 0 : h->failures;
	h->delivered = true;
	*out = h->stream.reading;
	*fresh = true;
}

/* Everything the bytes so far say. */
static void hear(struct pcm_helper *h, int64_t now_ns, struct km_pcm_reading *out, bool *fresh)
{
	while (h->phase == PCM_STARTING || h->phase == PCM_UP) {
		struct km_pcm_message m;

		switch (km_pcm_stream_next(&h->stream, &m)) {
		case KM_PCM_EVENT_NONE:
			return;
		case KM_PCM_EVENT_TEXT:
			take_message(h, now_ns, &m);
			break;
		case KM_PCM_EVENT_READING:
			take_reading(h, now_ns, out, fresh);
			break;
		case KM_PCM_EVENT_BAD:
			note_nonsense(h);
			h->asked = false; /* the answer may be lost with it: ask again */
			(void)snprintf(h->stats->last_bad, sizeof(h->stats->last_bad), "%.*s",
			               (int)sizeof(h->stats->last_bad) - 1, m.text);
			break;
		case KM_PCM_EVENT_VERSION:
			h->stats->fault[KM_FAULT_GARBLED]++;
			condemn(h, EPROTO, true, "%s", m.text);
			break;
		}
	}
}

/* Reads what there is. Its end is no news: waitpid tells more. */
static void drain(struct pcm_helper *h, int64_t now_ns, struct km_pcm_reading *out, bool *fresh)
{
	size_t drained = 0;

	while (h->phase == PCM_STARTING || h->phase == PCM_UP) {
		size_t room;
		unsigned char *to = km_pcm_stream_room(&h->stream, &room);
		ssize_t n = read(h->frame_fd, to, room);

		if (n <= 0) {
			return;
		}
		drained += (size_t)n;
		km_pcm_stream_added(&h->stream, (size_t)n);
		hear(h, now_ns, out, fresh);
		if (drained >= DRAIN_MAX_BYTES) {
			h->stats->fault[KM_FAULT_GARBLED]++;
			condemn(h, EMSGSIZE, false, HELPER_NAME " floods its pipe");
		}
	}
}

/* Has it ended? Its last words first: they say more than its status. */
static void reap(struct pcm_helper *h, int64_t now_ns, struct km_pcm_reading *out, bool *fresh)
{
	int status = 0;

	if (waitpid(h->pid, &status, WNOHANG) != h->pid) {
		return;
	}
	h->pid = 0; /* from here on the number may be somebody else's */
	if (h->phase != PCM_DYING) {
		drain(h, now_ns, out, fresh);
	}
	if (h->phase != PCM_DYING) {
		describe_end(h, status);
	}
	close_channel(h);
	plan_restart(h, now_ns);
}

static void check_deadline(struct pcm_helper *h, int64_t now_ns)
{
	bool up = h->phase == PCM_UP;

	if ((!up && h->phase != PCM_STARTING) || now_ns < h->deadline_ns) {
		return;
	}
	h->stats->fault[KM_FAULT_TIMEOUT]++;
	condemn(h, ETIMEDOUT, false, HELPER_NAME " hangs: %s in %lld s",
	        up ? "no good reading" : "libpcm not ready",
	        (long long)((up ? pcm_answer_ns(h->interval_ns) : PCM_START_MAX_NS) / KM_NS_PER_S));
}

static void ask(struct pcm_helper *h)
{
	if (h->phase != PCM_UP || h->asked) {
		return;
	}
	/* a byte into an all but empty socket: fails only when nobody is there; reap() will tell */
	h->asked = send(h->request_fd, "r", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
	h->owed += h->asked;
}

int pcm_helper_poll(struct pcm_helper *h, int64_t now_ns, struct km_pcm_reading *out, bool *fresh,
                    struct km_err *err)
{
	struct km_err why;

	*fresh = false;
	if (h->pid != 0) {
		drain(h, now_ns, out, fresh);
		check_deadline(h, now_ns);
		reap(h, now_ns, out, fresh);
	}
	if (h->phase == PCM_DOWN && h->gave_up) {
		return km_err_set(err, h->code, "%s", h->why);
	}
	if (h->phase == PCM_DOWN && now_ns >= h->retry_ns) {
		h->stats->fault[KM_FAULT_RESTARTED]++;
		if (start_helper(h, now_ns, &why) != 0) {
			return km_err_set(err, why.code, "%s", why.text);
		}
	}
	ask(h);
	return h->delivered ? KM_SOURCE_LIVE : KM_SOURCE_STARTING;
}

int pcm_helper_open(struct pcm_helper *h, const struct km_source_args *args,
                    struct km_source_stats *stats, struct km_err *err)
{
	memset(h, 0, sizeof(*h));
	h->live = args->live;
	h->interval_ns = args->interval_ns;
	h->stats = stats;
	h->request_fd = -1;
	h->frame_fd = -1;
	return start_helper(h, args->now_ns, err);
}

void pcm_helper_close(struct pcm_helper *h)
{
	close_channel(h);
	if (h->pid != 0) {
		pcm_end_process(h->pid);
	}
	h->pid = 0;
}

/* ---- probing -------------------------------------------------------------------------------- */

int pcm_helper_check(const struct km_source_args *args, struct km_pcm_message *out,
                     struct km_err *err)
{
	int64_t deadline_ns =
		km_clock_mono_ns(km_clock_system()) + KM_SOURCE_PROBE_MAX_NS - PCM_CLOSE_GRACE_NS;
	struct km_pcm_stream *s = calloc(1, sizeof(*s));
	enum km_pcm_event event = KM_PCM_EVENT_NONE;
	struct pcm_channel channel;
	ssize_t n = 1;
	int ret = -ENOMEM;

	if (s == NULL) {
		return km_err_set(err, ENOMEM, HELPER_NAME ": out of memory");
	}
	ret = pcm_spawn(args->live, true, &channel, err);
	if (ret != 0) {
		free(s);
		return ret;
	}
	memset(out, 0, sizeof(*out));
	while (n > 0 && (event == KM_PCM_EVENT_NONE || out->kind == KM_PCM_LOADING)) {
		struct pollfd fd = { .fd = channel.frame_fd, .events = POLLIN };
		int64_t left_ns = deadline_ns - km_clock_mono_ns(km_clock_system());
		size_t room;
		unsigned char *to = km_pcm_stream_room(s, &room);

		if (left_ns <= 0 || poll(&fd, 1, (int)(left_ns / KM_NS_PER_MS)) != 1) {
			break;
		}
		n = read(channel.frame_fd, to, room);
		km_pcm_stream_added(s, n > 0 ? (size_t)n : 0);
		event = km_pcm_stream_next(s, out);
	}
	close(channel.request_fd);
	close(channel.frame_fd);
	if (n > 0 && event == KM_PCM_EVENT_NONE) {
		ret = km_err_set(err, ETIMEDOUT, HELPER_NAME " --check: no answer in time");
	} else if (event != KM_PCM_EVENT_TEXT) {
		ret = km_err_set(err, EBADMSG, HELPER_NAME " --check: %s",
		                 out->text[0] != '\0' ? out->text : "ended without an answer");
	} else if (out->kind != KM_PCM_READY) {
		ret = km_err_set(err, out->code > 0 ? out->code : EIO, "%s", out->text);
	}
	pcm_end_process(channel.pid);
	free(s);
	return ret;
}
