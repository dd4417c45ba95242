/* SPDX-License-Identifier: Apache-2.0 */
/* What changed between two settings: the questions of a reload. */
#include <string.h>

#include "km/config/config.h"

#include "config_internal.h"

static bool same_value(const struct km_conf_option *o, const struct km_settings *a,
                       const struct km_settings *b)
{
	const char *x = (const char *)a + o->offset;
	const char *y = (const char *)b + o->offset;
	const char *x_text;
	const char *y_text;

	if (o->type != KM_CONF_STRING)
		return memcmp(x, y, o->size) == 0;
	memcpy(&x_text, x, sizeof(x_text));
	memcpy(&y_text, y, sizeof(y_text));
	return strcmp(x_text, y_text) == 0;
}

unsigned km_config_frozen_changes(const struct km_settings *running,
                                  const struct km_settings *loaded, struct km_buf *out)
{
	unsigned count = 0;

	for (size_t i = 0; i < conf_settings_table.count; i++) {
		const struct km_conf_option *o = &conf_settings_table.row[i];

		if (o->reload || same_value(o, running, loaded))
			continue;
		km_buf_printf(out, "%s%s", count > 0 ? ", " : "", o->key);
		count++;
	}
	return count;
}

static bool same_source(const struct km_source_settings *a, const struct km_source_settings *b)
{
	const struct km_replay_settings *x = &a->replay;
	const struct km_replay_settings *y = &b->replay;

	if (strcmp(a->kind, b->kind) != 0 || (x->file == NULL) != (y->file == NULL))
		return false;
	if (x->file != NULL && strcmp(x->file, y->file) != 0)
		return false;
	if (x->speed != y->speed || x->loop != y->loop || x->node_count != y->node_count)
		return false;
	for (size_t i = 0; i < x->node_count; i++) {
		if (strcmp(x->node[i], y->node[i]) != 0)
			return false;
	}
	return true;
}

static bool same_nodes(const struct km_settings *a, const struct km_settings *b)
{
	if (a->node_count != b->node_count)
		return false;
	for (size_t i = 0; i < a->node_count; i++) {
		const struct km_node_settings *x = &a->node[i];
		const struct km_node_settings *y = &b->node[i];

		if (strcmp(x->name, y->name) != 0 || x->cpus_given != y->cpus_given ||
		    memcmp(&x->cpus, &y->cpus, sizeof(x->cpus)) != 0 ||
		    strcmp(x->cgroup, y->cgroup) != 0)
			return false;
	}
	return true;
}

static bool same_live(const struct km_live_settings *a, const struct km_live_settings *b)
{
	return strcmp(a->procfs, b->procfs) == 0 && strcmp(a->sysfs, b->sysfs) == 0 &&
	       strcmp(a->resctrl, b->resctrl) == 0 && strcmp(a->cgroupfs, b->cgroupfs) == 0 &&
	       strcmp(a->pcm_library, b->pcm_library) == 0 &&
	       strcmp(a->pcm_helper, b->pcm_helper) == 0 &&
	       strcmp(a->pcm_server_url, b->pcm_server_url) == 0 &&
	       a->pcm_isolation_process == b->pcm_isolation_process &&
	       a->perf_core_events == b->perf_core_events;
}

bool km_config_same_layout(const struct km_settings *a, const struct km_settings *b)
{
	const struct km_collect_settings *x = &a->collect;
	const struct km_collect_settings *y = &b->collect;

	if (!same_nodes(a, b) || x->source_count != y->source_count)
		return false;
	for (size_t i = 0; i < x->source_count; i++) {
		if (!same_source(&x->source[i], &y->source[i]))
			return false;
	}
	return x->interval_ns == y->interval_ns && x->window_s == y->window_s &&
	       x->auto_sources == y->auto_sources && x->probe_interval_ns == y->probe_interval_ns &&
	       same_live(&x->live, &y->live);
}
