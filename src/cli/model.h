/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `kubemarla model`: model.c has show and check, model_diff.c diff. */
#ifndef KM_CLI_MODEL_H
#define KM_CLI_MODEL_H

#include "km/model/model.h"

/* Opens a model file or says why not on stderr. returns an exit code, KM_COMMAND_OK with *out
 * owned. */
int model_open(const char *path, struct km_model **out);

/* Prints what two models do not share. returns 0: alike, 1: they differ, 2: it did not work. */
int model_diff(const char *path_a, const char *path_b);

#endif
