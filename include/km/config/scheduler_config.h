/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a KubeSchedulerConfiguration says of votes: the weight of the extender that is ours, and of
 * the plugins that score beside it. Nothing else of the file is looked at.
 */
#ifndef KM_CONFIG_SCHEDULER_CONFIG_H
#define KM_CONFIG_SCHEDULER_CONFIG_H

#include <stddef.h>

#include "km/base/err.h"
#include "km/base/macros.h"

struct km_scheduler_votes {
	double weight;         /* of the extender */
	double in_tree_weight; /* of all plugins that score, together */
};

/*
 * The extender is the one with a prioritizeVerb; of several the one whose urlPrefix is `server`
 * (NULL = not known). The profile is the one named kubemarla, else the first. Plugins are the
 * default ones, with what the profile's plugins.multiPoint and plugins.score enable and disable.
 * returns 0; -EINVAL "PATH:LINE: ..."; another negative errno of reading.
 */
int km_scheduler_votes_load(const char *path, const char *server, struct km_scheduler_votes *out,
                            struct km_err *err) KM_MUST_CHECK;

/* The same of a text; `name` is for error texts. */
int km_scheduler_votes_parse(const char *name, const char *text, size_t len, const char *server,
                             struct km_scheduler_votes *out, struct km_err *err) KM_MUST_CHECK;

#endif
