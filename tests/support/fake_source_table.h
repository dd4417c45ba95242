/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for src/sources/source.c: the same functions over a table of the program's own, so that
 * sources may misbehave, or cost nothing, as it wants. Include in one file, and define the table.
 */
#ifndef KM_TESTS_SUPPORT_FAKE_SOURCE_TABLE_H
#define KM_TESTS_SUPPORT_FAKE_SOURCE_TABLE_H

#include <errno.h>
#include <string.h>

#include "km/sources/source.h"

/* Ended by NULL. */
extern const struct km_source_ops *const fake_source_table[];

const struct km_source_ops *const *km_source_table(void)
{
	return fake_source_table;
}

const struct km_source_ops *km_source_find(const char *kind)
{
	for (size_t i = 0; fake_source_table[i] != NULL; i++) {
		if (strcmp(fake_source_table[i]->name, kind) == 0) {
			return fake_source_table[i];
		}
	}
	return NULL;
}

const char *km_source_fault_name(enum km_source_fault f)
{
	static const char *const names[] = { "timeout", "f1", "f2", "f3", "f4", "f5", "f6", "f7" };

	_Static_assert(KM_FAULT_N <= 8, "a name for each");
	return names[f];
}

int km_source_probe(const struct km_source_args *args, struct km_source_offer *out,
                    struct km_err *err)
{
	memset(out, 0, sizeof(*out));
	return km_source_find(args->settings->kind)->probe(args, out, err);
}

int km_source_open(const struct km_source_args *args, struct km_source **out, struct km_err *err)
{
	const struct km_source_ops *ops = km_source_find(args->settings->kind);
	int ret =
		ops != NULL ? ops->open(args, out, err) : km_err_set(err, ENOTSUP, "no such fake");

	if (ret == 0) {
		(*out)->ops = ops;
	}
	return ret;
}

int km_source_read(struct km_source *s, int64_t now_ns, km_sample_fn *emit, void *ctx,
                   struct km_err *err)
{
	return s->ops->read(s, now_ns, emit, ctx, err);
}

void km_source_get_stats(const struct km_source *s, struct km_source_stats *out)
{
	s->ops->stats(s, out);
}

void km_source_close(struct km_source *s)
{
	if (s != NULL) {
		s->ops->close(s);
	}
}

#endif
