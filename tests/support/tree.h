/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory tree of a test's own: what procfs, sysfs or resctrl would show. Every call fails the
 * test when it cannot do its work.
 */
#ifndef KM_TESTS_SUPPORT_TREE_H
#define KM_TESTS_SUPPORT_TREE_H

#include "km/base/macros.h"

struct tree {
	char root[64];
};

void tree_init(struct tree *t);
/* Removes it, with everything below. */
void tree_fini(struct tree *t);

/* Writes a file, with the directories above it; replaces what was there. */
void tree_put(const struct tree *t, const char *path, const char *fmt, ...) KM_PRINTF(3, 4);
/* A directory, with those above it. */
void tree_dir(const struct tree *t, const char *path);
/* Removes a file or directory, with everything below. */
void tree_remove(const struct tree *t, const char *path);

#endif
