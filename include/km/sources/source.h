/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where counters come from. A source is a row of operations; one that cannot work says why in one
 * line, and the daemon goes on without it. Not thread-safe: each source belongs to the sampler
 * thread (or to a training run).
 *
 * Two kinds of row:
 *
 *   replay   a recorded trace: a host of its own, any number of samples per read, in trace time
 *   live     this machine: several of them serve one host together, as a set
 *
 * THE CONTRACT OF A LIVE SOURCE
 *
 * 1. One sample a tick. Each tick the sampler calls read() once for every source of the set, in the
 *    set's order. A source emits at most one sample: what was counted since its own previous one,
 *    with its own start and end on the monotonic clock (that of now_ns). The first read after open
 *    takes the baseline and emits nothing. A count it does not give, or does not know this time,
 *    is NaN, never 0.
 * 2. The agent merges (core/merge.h). The samples of one tick become one host sample over the
 * tick's own interval: additive counts are scaled by the ratio of the two lengths, levels are taken
 * as they are, and for a count that several sources know the first in the set wins. An implausible
 *    sample is dropped whole and counted, the other sources' counts stay. NaN stays NaN. A sample
 *    longer than the tick speaks for as many ticks as it is long (at most 10 s): a source may be
 *    slower than collect.interval, and a bin wants half of its time measured.
 * 3. Late is absent, never a stall. A source that has nothing new emits nothing; its counts are NaN
 *    in that tick, and kubemarla_agent_source_late_total counts it once the source has delivered
 *    before.
 * 4. open(), read() and close() wait for nothing outside the kernel: no network, no pipe that may
 * be empty, no child, no lock that somebody holds across such a wait. Reading procfs, sysfs,
 * resctrl and perf descriptors is allowed. A source that needs more (pcm-server's HTTP, the
 * helper's pipe and its restarts) does it on a thread or in a process of its own, which hands over
 * its newest complete frame; read() takes it, or finds there is none. open() starts such a worker
 * and returns; until it has delivered, read() returns KM_SOURCE_STARTING. read() returns an error
 *    only when close() would be immediate; close() at shutdown may wait for the worker, for at most
 *    KM_SOURCE_CLOSE_MAX_NS.
 * 5. An error from read() means "close me": the sampler does, shows the reason as the source's
 *    status, and opens it again after a back-off of 1 s, doubling up to 60 s. What passes by itself
 *    (a CPU offline, a file that vanished, a frame cut short, a counter that ran backwards) is no
 *    error: NaN, and a fault counted in km_source_stats.
 * 6. CPUs are rows 0..cpu_count-1 by the kernel's numbers, offline ones all NaN. cpu_count may grow
 *    (that starts the windows anew) and should not shrink while the source is open.
 * 7. probe() asks the same questions as open(), changes nothing, leaves nothing behind, and may
 *    wait for KM_SOURCE_PROBE_MAX_NS in all; it runs at start, at reload, in `kubemarla doctor`
 *    and on the agent's lookout thread, beside an open source of its kind perhaps; never in a
 *    tick. Its reason text goes into the preflight table: it names what was looked at,
 *    what was seen and what would be needed.
 * 8. File-system roots, addresses and libraries come from args->live, so that tests and containers
 *    can put others in their place; nothing below /proc or /sys is named in code.
 * 9. One owner of the PMU's core counters per host: a probe that would program them sets owns_pmu;
 *    `auto` takes the first such row that works, the configuration refuses two.
 */
#ifndef KM_SOURCES_SOURCE_H
#define KM_SOURCES_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/core/sample.h"
#include "km/core/settings.h"

#define KM_SOURCE_PROBE_MAX_NS INT64_C(1000000000)
#define KM_SOURCE_CLOSE_MAX_NS INT64_C(1000000000)

struct km_source;

/* What a source is opened or probed with; all borrowed, and valid while the source is open. */
struct km_source_args {
	const struct km_source_settings *settings;  /* its kind; for a replay, its file */
	const struct km_live_settings *live;        /* NULL for a replay */
	const struct km_node_settings *const *node; /* [node_count], those on this host */
	size_t node_count;
	int64_t interval_ns; /* between two reads, as planned; 0 for a replay */
	int64_t now_ns;      /* monotonic; the zero of a replay */
};

/* Receives each sample of a read; the sample is borrowed for the call. */
typedef void km_sample_fn(void *ctx, const struct km_sample *sample);

/* What a read left behind. */
enum km_source_state {
	KM_SOURCE_LIVE = 0,  /* will deliver more */
	KM_SOURCE_ENDED = 1, /* a trace that is over and does not loop: data only gets older now */
	KM_SOURCE_STARTING = 2, /* a worker is not up yet: no data so far, none is late */
};

/* Troubles that pass by themselves; each is a reason of kubemarla_agent_source_faults_total. */
enum km_source_fault {
	KM_FAULT_TIMEOUT,     /* the other end did not deliver in time */
	KM_FAULT_GARBLED,     /* a file, frame or page that is not what it should be */
	KM_FAULT_BACKWARDS,   /* a counter wrapped or ran backwards */
	KM_FAULT_VANISHED,    /* a CPU, file or group that was there */
	KM_FAULT_RESTARTED,   /* a worker had to be started again */
	KM_FAULT_UNAVAILABLE, /* the system had no value to give: no free counter, no descriptor
	                         left */
	KM_FAULT_N,
};
const char *km_source_fault_name(enum km_source_fault f); /* "timeout", ... */

/* Counters since open. */
struct km_source_stats {
	uint64_t rows;     /* samples delivered */
	uint64_t bad_rows; /* unreadable or partial: skipped */
	uint64_t repeated; /* exact repeats: skipped */
	char last_bad[96]; /* what was wrong with the last bad row, "" = none */
	uint64_t fault[KM_FAULT_N];
	char note[96]; /* what a person should know of its state, "" = nothing: "2 CPUs offline" */
};

/* What a source gives: found by its probe, or by itself once it is open. */
struct km_source_offer {
	uint32_t cpu;  /* bit per enum km_count */
	uint32_t host; /* bit per enum km_host_count */
	uint32_t node; /* bit per enum km_node_count, of at least one node */
	bool owns_pmu; /* programs the PMU's core counters */
	char note[96]; /* "" or what else to know: "GenuineIntel 6/207, 4 events, no uncore" */
};

struct km_source_ops {
	const char *name; /* as in the configuration */
	const char *help; /* one line */
	bool live;
	/*
	 * Live only. returns 0 and *out, or a negative errno with the reason: -ENOENT (not there),
	 * -EACCES (rights), -ENOTSUP (not this machine) ...
	 */
	int (*probe)(const struct km_source_args *args, struct km_source_offer *out,
	             struct km_err *err);
	int (*open)(const struct km_source_args *args, struct km_source **out, struct km_err *err);
	int (*read)(struct km_source *s, int64_t now_ns, km_sample_fn *emit, void *ctx,
	            struct km_err *err);
	void (*close)(struct km_source *s);
	void (*stats)(const struct km_source *s, struct km_source_stats *out);
};

/* First member of every source's own struct. */
struct km_source {
	const struct km_source_ops *ops;
};

/*
 * The table, ended by NULL: the order in which `auto` prefers live sources, and of a set's
 * precedence for a count that two of them give. A row without open() is not in this build.
 */
const struct km_source_ops *const *km_source_table(void);

/* returns the row for `kind`, or NULL. */
const struct km_source_ops *km_source_find(const char *kind);

/* As the row's probe. returns -ENOTSUP also for a kind that is not in this build, or not live. */
int km_source_probe(const struct km_source_args *args, struct km_source_offer *out,
                    struct km_err *err) KM_MUST_CHECK;

/*
 * Opens the source named by args->settings->kind.
 * returns 0 and *out owned; negative errno with the reason (-ENOENT: nothing there).
 */
int km_source_open(const struct km_source_args *args, struct km_source **out,
                   struct km_err *err) KM_MUST_CHECK;

/*
 * Delivers everything due until now_ns (monotonic), oldest first; one call may deliver many
 * samples (a replay at speed 60) or none, a live source at most one.
 * returns enum km_source_state, or a negative errno (the source may be read again later).
 */
int km_source_read(struct km_source *s, int64_t now_ns, km_sample_fn *emit, void *ctx,
                   struct km_err *err) KM_MUST_CHECK;

void km_source_get_stats(const struct km_source *s, struct km_source_stats *out);
void km_source_close(struct km_source *s); /* NULL allowed */

#endif
