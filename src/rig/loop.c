/* SPDX-License-Identifier: Apache-2.0 */
/* The rig's loop: time passes here and nowhere else, while recorder and processes are served. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "rig_internal.h"

#define AT_WORK         " % on CPUs " /* of what a stressor says once its threads are */
#define AT_WORK_NS      (60 * KM_NS_PER_S)
#define AT_WORK_STEP_NS (10 * KM_NS_PER_MS)

#define FDS_MAX         (1 + KM_CHILD_FDS * (RIG_WATCHED_MAX + 1))

int64_t rig_now_ns(void)
{
	return km_clock_mono_ns(km_clock_system());
}

void rig_say(struct km_rig *rig, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	if (rig->say == NULL)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	rig->say(rig->say_ctx, line);
}

int rig_watch(struct km_rig *rig, struct km_child *child, struct km_err *err, const char *fmt, ...)
{
	struct rig_watched *w = &rig->watched[rig->watched_count];
	va_list ap;

	if (rig->watched_count == RIG_WATCHED_MAX)
		return km_err_set(err, E2BIG, "more than %d processes", RIG_WATCHED_MAX);
	w->child = child;
	va_start(ap, fmt);
	(void)vsnprintf(w->name, sizeof(w->name), fmt, ap);
	va_end(ap);
	rig->watched_count++;
	return 0;
}

void rig_unwatch(struct km_rig *rig, const struct km_child *child)
{
	for (size_t i = 0; i < rig->watched_count; i++) {
		if (rig->watched[i].child != child)
			continue;
		rig->watched_count--;
		memmove(&rig->watched[i], &rig->watched[i + 1],
		        (rig->watched_count - i) * sizeof(rig->watched[0]));
		return;
	}
}

int rig_stopped(const struct km_rig *rig, struct km_err *err)
{
	struct pollfd fd = { rig->stop_fd, POLLIN, 0 };

	if (rig->stop_fd >= 0 && poll(&fd, 1, 0) > 0)
		return km_err_set(err, EINTR, "interrupted");
	return 0;
}

/* Has one ended that should run? */
static int judge(struct km_rig *rig, const struct km_child *until, struct km_err *err)
{
	for (size_t i = 0; i < rig->watched_count; i++) {
		const struct rig_watched *w = &rig->watched[i];
		char words[KM_CHILD_WORDS_MAX + 1];

		if (km_child_serve(w->child) && w->child != until)
			return km_err_set(err, ECHILD, "%s has ended: %s", w->name,
			                  km_child_words(w->child, false, words));
	}
	return 0;
}

static void wait_for_any(const struct km_rig *rig, int64_t until_ns, const struct km_child *until)
{
	struct pollfd fds[FDS_MAX];
	int64_t left = until_ns - rig_now_ns();
	struct timespec time;
	nfds_t n = 1;

	left = left > 0 ? left : 0;
	time.tv_sec = left / KM_NS_PER_S;
	time.tv_nsec = left % KM_NS_PER_S;
	fds[0] = (struct pollfd){ rig->stop_fd, POLLIN, 0 };
	for (size_t i = 0; i < rig->watched_count; i++, n += KM_CHILD_FDS)
		km_child_poll(rig->watched[i].child, &fds[n]);
	if (until != NULL) {
		km_child_poll(until, &fds[n]);
		n += KM_CHILD_FDS;
	}
	(void)ppoll(fds, n, &time, NULL); /* the next round looks at all of them */
}

static int tick(struct km_rig *rig, int64_t *due_ns, struct km_err *err)
{
	int rc;

	*due_ns = INT64_MAX;
	if (!rig->recording || rig->recorder == NULL)
		return 0;
	rc = km_recorder_tick(rig->recorder, rig_now_ns(), err);
	*due_ns = km_recorder_due_ns(rig->recorder);
	return rc;
}

int rig_loop(struct km_rig *rig, int64_t deadline_ns, struct km_child *until, struct km_err *err)
{
	for (;;) {
		int64_t due_ns;
		int rc = tick(rig, &due_ns, err);

		rc = rc == 0 ? rig_stopped(rig, err) : rc;
		rc = rc == 0 ? judge(rig, until, err) : rc;
		if (rc != 0)
			return rc;
		if (until != NULL && km_child_serve(until))
			return 0;
		if (rig_now_ns() >= deadline_ns)
			return until == NULL ? 0
			                     : km_err_set(err, ETIMEDOUT, "did not finish in time");
		wait_for_any(rig, due_ns < deadline_ns ? due_ns : deadline_ns, until);
	}
}

int rig_await_work(struct km_rig *rig, struct km_child *says, bool on_stdout, const char *name,
                   struct km_err *err)
{
	const int64_t deadline_ns = rig_now_ns() + AT_WORK_NS;
	char words[KM_CHILD_WORDS_MAX + 1];

	while (strstr(on_stdout ? km_buf_cstr(km_child_output(says))
	                        : km_child_words(says, false, words),
	              AT_WORK) == NULL) {
		int rc = rig_loop(rig, rig_now_ns() + AT_WORK_STEP_NS, NULL, err);

		if (rc != 0)
			return rc;
		if (rig_now_ns() > deadline_ns)
			return km_err_set(err, ETIMEDOUT, "%s is not at work yet", name);
	}
	return 0;
}
