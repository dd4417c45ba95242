/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interference on purpose: a thread pinned to each CPU of a set keeps one resource of the machine
 * busy for a share of the time, and counts what it got done. The working sets follow the caches of
 * those CPUs.
 *
 *	cpu    integer and floating point units; touches no memory
 *	l2     reads and writes lines of a set as large as the L2, in random order
 *	l3     the same over the L3, which the threads that share it divide among them
 *	membw  a triad over arrays that are several times the L3
 *	mixed  the four in turn, one in each period
 *
 * source: the intent of iBench (Delimitrou, Kozyrakis: IISWC 2013), code of our own.
 */
#ifndef KM_STRESS_STRESS_H
#define KM_STRESS_STRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/cpuset.h"
#include "km/base/err.h"
#include "km/base/macros.h"
#include "km/stress/kind.h"
#include "km/stress/topology.h"

#define KM_STRESS_PERIOD_NS INT64_C(100000000) /* one duty cycle */
#define KM_STRESS_LEVEL_MAX 100U
#define KM_STRESS_UNIT_MAX  24

struct km_stress_options {
	enum km_stress_kind kind;
	unsigned level_pct;             /* share of each period at work, 0 to 100 */
	const struct km_cpuset *cpus;   /* at least one */
	const struct km_caches *caches; /* of these CPUs */
};

/* What all threads together achieved. NaN = not known, or there is no such thing. */
struct km_stress_result {
	enum km_stress_kind kind;
	unsigned level_pct;
	struct km_cpuset cpus;
	double seconds;                /* from start to stop */
	double duty_ratio;             /* CPU time had, as a share of seconds on all its CPUs */
	double ops_per_s;              /* per second of `seconds` */
	double bytes_per_s;            /* between the core and what is stressed; NaN for cpu */
	double working_set_bytes;      /* of all threads; 0 for cpu */
	bool caches_assumed;           /* sysfs did not say how large the caches are */
	char unit[KM_STRESS_UNIT_MAX]; /* what an operation is: "cache lines" */
};

struct km_stress;

/*
 * Allocates and touches the working sets, and starts the threads; when it returns, all are pinned
 * and at work. returns 0 and *out owned; -EINVAL (no CPU, level, kind), -ERANGE (a CPU this process
 * may not use), -ENOMEM, another errno of the system. mem: options borrowed for the call.
 * thread: signals should be blocked before; the threads inherit the mask.
 */
int km_stress_start(const struct km_stress_options *options, struct km_stress **out,
                    struct km_err *err) KM_MUST_CHECK;

/* Ends the threads, within a millisecond or two, and frees it. out may be NULL. NULL allowed. */
void km_stress_stop(struct km_stress *s, struct km_stress_result *out);

/* What an operation of this kind is, e.g. "cache lines". Static. */
const char *km_stress_unit(enum km_stress_kind kind);

/* The CPUs this thread may be moved to, its control group's. returns 0 or a negative errno. */
int km_stress_allowed(struct km_cpuset *out, struct km_err *err) KM_MUST_CHECK;

#endif
