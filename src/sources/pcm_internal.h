/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the source "pcm": where readings come from. Two of them, the same to pcm.c: a helper
 * process, and a thread of this process. Both work on request: each poll takes what the one before
 * asked for, and asks again. Neither ever waits.
 */
#ifndef KM_SOURCES_PCM_INTERNAL_H
#define KM_SOURCES_PCM_INTERNAL_H

#include <sys/types.h>

#include "km/base/clock.h"
#include "km/sources/libpcm.h"
#include "km/sources/pcm_frame.h"
#include "km/sources/source.h"

#define PCM_ANSWER_MIN_NS (5 * KM_NS_PER_S)  /* to answer in, or three intervals if longer */
#define PCM_START_MAX_NS  (60 * KM_NS_PER_S) /* libpcm looks at every CPU and PCI device */
#define PCM_BACKOFF_NS    (1 * KM_NS_PER_S)  /* before the first restart; doubles */
#define PCM_FAILURES_MAX  3                  /* in a row, then the source is absent */
#define PCM_NONSENSE_MAX  256                /* in one run of the helper, then it is ended */
#define PCM_STEADY_NS     (60 * KM_NS_PER_S) /* a run this long makes former failures forgotten */
#define PCM_HELPER_NAME   "kubemarla-pcm"

/* ---- a process, pcm_spawn.c ---------------------------------------------------------------- */

#define PCM_CLOSE_GRACE_NS (200 * KM_NS_PER_MS) /* between closing its pipes and SIGKILL */

struct pcm_channel {
	pid_t pid;
	int request_fd; /* a byte asks for a reading; its end tells the helper to end */
	int frame_fd;   /* non-blocking */
};

/* Starts a helper, to serve or, with `check`, only to say what it would count. */
int pcm_spawn(const struct km_live_settings *live, bool check, struct pcm_channel *out,
              struct km_err *err) KM_MUST_CHECK;

/* Once its pipes are closed: waits, kills, waits, for KM_SOURCE_CLOSE_MAX_NS together at most. */
void pcm_end_process(pid_t pid);

/* ---- the helper process, pcm_helper.c ------------------------------------------------------ */

enum pcm_phase {
	PCM_DOWN,     /* no process; the next start is at retry_ns, if any */
	PCM_STARTING, /* the helper runs, libpcm is not ready */
	PCM_UP,
	PCM_DYING, /* killed, not gone yet */
};

struct pcm_helper {
	const struct km_live_settings *live;
	int64_t interval_ns;
	struct km_source_stats *stats; /* faults and note are written here */
	enum pcm_phase phase;
	pid_t pid;                /* 0 = none */
	int request_fd, frame_fd; /* -1 without a process, and while it dies */
	int64_t up_ns;            /* when it was ready */
	int64_t deadline_ns;      /* of READY, then of the next good reading */
	bool asked;               /* a reading is being waited for */
	unsigned owed;            /* requests without a reading so far, spoilt ones among them */
	bool delivered;           /* ever */
	unsigned nonsense;        /* bad frames and readings nobody asked for, of this run */
	unsigned failures;
	bool gave_up; /* nothing more to try; code and why say it */
	int64_t retry_ns;
	int code;
	char why[KM_ERR_TEXT_MAX];
	struct km_pcm_stream stream;
};

/* Starts the first helper. returns 0; negative errno when it cannot even be executed. */
int pcm_helper_open(struct pcm_helper *h, const struct km_source_args *args,
                    struct km_source_stats *stats, struct km_err *err) KM_MUST_CHECK;

/* returns enum km_source_state and whether *out is a new reading; or a negative errno, for good. */
int pcm_helper_poll(struct pcm_helper *h, int64_t now_ns, struct km_pcm_reading *out, bool *fresh,
                    struct km_err *err) KM_MUST_CHECK;

/* Ends what runs, within KM_SOURCE_CLOSE_MAX_NS; at once when there was nothing more to try. */
void pcm_helper_close(struct pcm_helper *h);

/* Asks a helper what it would count here (KM_PCM_HAS_*) and where; loads libpcm, starts nothing. */
int pcm_helper_check(const struct km_source_args *args, struct km_pcm_message *out,
                     struct km_err *err) KM_MUST_CHECK;

/* ---- a thread of ours, pcm_worker.c -------------------------------------------------------- */

struct pcm_worker;

/*
 * Loads libpcm here and starts the thread. returns -EBUSY while a former one still sits in a call
 * that never came back: libpcm bears one caller only.
 */
int pcm_worker_open(const struct km_source_args *args, struct km_source_stats *stats,
                    struct pcm_worker **out, struct km_err *err) KM_MUST_CHECK;
int pcm_worker_poll(struct pcm_worker *w, int64_t now_ns, struct km_pcm_reading *out, bool *fresh,
                    struct km_err *err) KM_MUST_CHECK;

/* NULL allowed. A thread that hangs in libpcm is left behind. */
void pcm_worker_close(struct pcm_worker *w);

/* ---- the source, pcm.c --------------------------------------------------------------------- */

struct pcm {
	struct km_source base; /* first: the source is the struct */
	bool process;
	struct pcm_helper *helper; /* one of the two */
	struct pcm_worker *worker;
	struct km_pcm_reading *last, *now;
	bool has_last;
	struct km_sample_space space;
	struct km_source_stats stats;
};

/* How long a reading may take at this interval. */
static inline int64_t pcm_answer_ns(int64_t interval_ns)
{
	int64_t three = 3 * interval_ns;

	return three > PCM_ANSWER_MIN_NS ? three : PCM_ANSWER_MIN_NS;
}

#endif
