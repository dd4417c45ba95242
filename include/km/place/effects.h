/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pods do to one another, learned one observation at a time where no model knows better:
 *
 *   ln slowdown = platform + sensitivity of the subject + pressure of the neighbour + interaction
 *
 * What was seen little is drawn towards what holds in general; what was never seen is predicted
 * from the rest, with a wider sd. Pure: no clock, no randomness, no I/O. Memory is bounded by the
 * limits, from the first observation on. One thread at a time; predicting alone may be shared.
 */
#ifndef KM_PLACE_EFFECTS_H
#define KM_PLACE_EFFECTS_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"

struct km_effects;

/*
 * 0 = the default. What was not seen for longest goes first when a limit is reached. Memory grows
 * as it is used, at the defaults to 5 MiB.
 */
struct km_effects_limits {
	uint32_t platforms; /* kinds of machine; default 256, 5 KiB each */
	uint32_t workloads; /* default 1,024, 128 bytes each */
	uint32_t cells;     /* (platform, workload) seen together; default 32,768, 64 bytes each */
	uint32_t observations; /* kept for refining; default 32,768, 32 bytes each */
};

#define KM_EFFECTS_PLATFORMS_MAX    4096u
#define KM_EFFECTS_WORKLOADS_MAX    65536u
#define KM_EFFECTS_CELLS_MAX        (1u << 20)
#define KM_EFFECTS_OBSERVATIONS_MAX (1u << 20)

struct km_effect {
	double log_slowdown; /* of the subject; 0 = unharmed */
	double sd;           /* of ln slowdown: what one new observation would scatter by, with what
	                        is not known of the keys. Infinite before the first observation */
	double count;        /* weight of the observations behind the least known of the keys;
	                        0 is no key */
};

/* returns an owned one, or NULL: a limit is above its maximum, or memory is short. NULL = defaults.
 */
struct km_effects *km_effects_create(const struct km_effects_limits *limits);
void km_effects_free(struct km_effects *e); /* NULL allowed */

/*
 * What a workload takes alone on a platform, ln of a time in a unit that is the same for all: its
 * latency or run time without neighbours. Optional, and worth a lot: how long a workload takes, on
 * one kind of machine against others, says how it shares a machine, before it has met anyone.
 * Again: the newest counts. returns as km_effects_observe (dropped beyond +-50).
 */
int km_effects_describe(struct km_effects *e, uint64_t platform, uint64_t workload,
                        double log_alone);

/*
 * One observed slowdown of `subject` on a kind of machine beside one `neighbour`. Keys are hashes
 * of names; 0 = not known, and then nothing is learned of that one. Weight 1 = one window.
 * A log_slowdown that is no number or beyond +-10, and a weight outside [0.001, 1000], are dropped.
 * returns 0; -EINVAL (dropped); -ENOMEM (nothing changed).
 */
int km_effects_observe(struct km_effects *e, uint64_t platform, uint64_t subject,
                       uint64_t neighbour, double log_slowdown, double weight);

/*
 * Passes over the observations kept, oldest first: better estimates from the same data. For the
 * background; costs about as much as observing them again. Deterministic.
 */
void km_effects_refine(struct km_effects *e, uint32_t passes);

/* Never fails: what is not known is taken as average. neighbour 0: beside an average one. */
void km_effects_predict(const struct km_effects *e, uint64_t platform, uint64_t subject,
                        uint64_t neighbour, struct km_effect *out);

/*
 * Everything as bytes, with a checksum; appends. What reads them back predicts the same, bit for
 * bit, and goes on as the original would have. Little-endian.
 */
void km_effects_write(const struct km_effects *e, struct km_buf *out);

/*
 * returns 0 and *out owned; -EBADMSG (cut, damaged, of another version; says where), -ENOMEM.
 * Bytes from a stranger cost no more memory than the maxima of the limits.
 */
int km_effects_read(const void *bytes, size_t len, struct km_effects **out,
                    struct km_err *err) KM_MUST_CHECK;

#endif
