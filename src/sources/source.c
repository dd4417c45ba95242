/* SPDX-License-Identifier: Apache-2.0 */
/* The table of sources. A kind that is not in it is not in this build. */
#include "km/sources/source.h"

#include <errno.h>
#include <string.h>

#include "sources_internal.h"

static const struct km_source_ops table[] = {
	{ .name = "replay",
	  .help = "a recorded `pcm -csv` file, plain or gzip, or one still being written",
	  .open = km_replay_open,
	  .read = km_replay_read,
	  .close = km_replay_close,
	  .stats = km_replay_stats },
	{ .name = NULL },
};

const struct km_source_ops *km_source_table(void)
{
	return table;
}

const struct km_source_ops *km_source_find(const char *kind)
{
	for (const struct km_source_ops *ops = table; ops->name != NULL; ops++) {
		if (strcmp(ops->name, kind) == 0) {
			return ops;
		}
	}
	return NULL;
}

int km_source_open(const struct km_source_settings *settings, int64_t now_ns,
                   struct km_source **out, struct km_err *err)
{
	const struct km_source_ops *ops = km_source_find(settings->kind);
	int ret;

	*out = NULL;
	if (ops == NULL) {
		return km_err_set(err, ENOTSUP, "source \"%s\" is not in this build",
		                  settings->kind);
	}
	ret = ops->open(settings, now_ns, out, err);
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
