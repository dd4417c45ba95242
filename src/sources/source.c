/* SPDX-License-Identifier: Apache-2.0 */
/* The table of sources. A kind that has no open() is not in this build. */
#include "km/sources/source.h"

#include <errno.h>
#include <string.h>

#include "sources_internal.h"

/*
 * pcm-server first: where it runs, somebody has given it the PMU. perf before pcm: it needs fewer
 * rights, its probe tells for sure, and the kernel arbitrates its counters.
 */
static const struct km_source_ops *const table[] = {
	&km_source_pcm_server, &km_source_perf,   &km_source_pcm, &km_source_resctrl,
	&km_source_os,         &km_source_replay, NULL,
};

static const char *const fault_names[KM_FAULT_N] = {
	[KM_FAULT_TIMEOUT] = "timeout",     [KM_FAULT_GARBLED] = "garbled",
	[KM_FAULT_BACKWARDS] = "backwards", [KM_FAULT_VANISHED] = "vanished",
	[KM_FAULT_RESTARTED] = "restarted", [KM_FAULT_UNAVAILABLE] = "unavailable",
};

const char *km_source_fault_name(enum km_source_fault f)
{
	return fault_names[f];
}

const struct km_source_ops *const *km_source_table(void)
{
	return table;
}

const struct km_source_ops *km_source_find(const char *kind)
{
	for (size_t i = 0; table[i] != NULL; i++) {
		if (strcmp(table[i]->name, kind) == 0) {
			return table[i];
		}
	}
	return NULL;
}

static int not_in_this_build(const char *kind, struct km_err *err)
{
	return km_err_set(err, ENOTSUP, "source %s is not in this build", kind);
}

int km_source_probe(const struct km_source_args *args, struct km_source_offer *out,
                    struct km_err *err)
{
	const struct km_source_ops *ops = km_source_find(args->settings->kind);

	memset(out, 0, sizeof(*out));
	if (ops == NULL || ops->probe == NULL) {
		return not_in_this_build(args->settings->kind, err);
	}
	return ops->probe(args, out, err);
}

int km_source_open(const struct km_source_args *args, struct km_source **out, struct km_err *err)
{
	const struct km_source_ops *ops = km_source_find(args->settings->kind);
	int ret;

	*out = NULL;
	if (ops == NULL || ops->open == NULL) {
		return not_in_this_build(args->settings->kind, err);
	}
	ret = ops->open(args, out, err);
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
