/* SPDX-License-Identifier: Apache-2.0 */
/* Directory trees for tests; see tree.h. */
#include "support/tree.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

void tree_init(struct tree *t)
{
	(void)snprintf(t->root, sizeof(t->root), "/tmp/km-test-tree-XXXXXX");
	assert_non_null(mkdtemp(t->root));
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

void tree_remove(const struct tree *t, const char *path)
{
	char full[PATH_MAX];

	(void)snprintf(full, sizeof(full), "%s/%s", t->root, path);
	assert_int_equal(nftw(full, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void tree_fini(struct tree *t)
{
	assert_int_equal(nftw(t->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void tree_dir(const struct tree *t, const char *path)
{
	char full[PATH_MAX];

	(void)snprintf(full, sizeof(full), "%s/%s", t->root, path);
	for (char *slash = full + strlen(t->root) + 1; slash != NULL;) {
		slash = strchr(slash, '/');
		if (slash != NULL)
			*slash = '\0';
		assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
		if (slash != NULL)
			*slash++ = '/';
	}
}

void tree_put(const struct tree *t, const char *path, const char *fmt, ...)
{
	char full[PATH_MAX];
	const char *slash = strrchr(path, '/');
	va_list args;
	FILE *f;

	if (slash != NULL) {
		(void)snprintf(full, sizeof(full), "%.*s", (int)(slash - path), path);
		tree_dir(t, full);
	}
	(void)snprintf(full, sizeof(full), "%s/%s", t->root, path);
	f = fopen(full, "w");
	assert_non_null(f);
	va_start(args, fmt);
	assert_true(vfprintf(f, fmt, args) >= 0);
	va_end(args);
	assert_int_equal(fclose(f), 0);
}
