/* SPDX-License-Identifier: Apache-2.0 */
/* A folder opened: runs, then the rows its task asks for, with traces read as rows need them. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"

#include "dataset_internal.h"

#define ARENA_KEEP_BYTES 0
#define PATH_MAX_BYTES   4096

static const char *const layout_names[KM_LAYOUT_N] = {
	[KM_LAYOUT_RECORDED] = "recorded",
	[KM_LAYOUT_ONE_NODE] = "oneNode",
	[KM_LAYOUT_ALONE] = "alone",
};

static const char *const kind_names[KM_ROW_KIND_N] = {
	[KM_ROW_DIAGNOSIS] = "diagnosis",
	[KM_ROW_LIGHTER] = "lighter",
	[KM_ROW_EMPTY] = "empty",
	[KM_ROW_INFLIGHT] = "inflight",
};

const char *km_layout_kind_name(enum km_layout_kind l)
{
	return layout_names[l];
}

const char *km_row_kind_name(enum km_row_kind k)
{
	return kind_names[k];
}

int dataset_grow(void **array, size_t *cap, size_t count, size_t size)
{
	size_t wanted = *cap < 64 ? 64 : 2 * *cap;
	void *grown;

	if (count < *cap)
		return 0;
	grown = reallocarray(*array, wanted, size);
	if (grown == NULL)
		return -ENOMEM;
	*array = grown;
	*cap = wanted;
	return 0;
}

int dataset_name_id(struct km_dataset *d, struct km_name text, uint32_t *id)
{
	char *copy;

	if (km_map_get(&d->names, text.text, text.len, id))
		return 0;
	copy = km_arena_strndup(&d->arena, text.text, text.len);
	if (copy == NULL ||
	    dataset_grow((void **)&d->name, &d->name_cap, d->name_count, sizeof(*d->name)) != 0)
		return -ENOMEM;
	*id = (uint32_t)d->name_count;
	d->name[d->name_count++] = copy;
	return km_map_add(&d->names, copy, text.len, *id, NULL);
}

void dataset_note(struct km_dataset *d, size_t *counter, const char *fmt, ...)
{
	va_list args;

	(*counter)++;
	if (d->stats.first_bad[0] != '\0')
		return;
	va_start(args, fmt);
	(void)vsnprintf(d->stats.first_bad, sizeof(d->stats.first_bad), fmt, args);
	va_end(args);
}

int dataset_add_row(struct km_dataset *d, const struct km_dataset_row *row, struct km_err *err)
{
	if (d->row_count == KM_DATASET_ROWS_MAX)
		return km_err_set(err, E2BIG, "dataset: more than %u rows", KM_DATASET_ROWS_MAX);
	if (dataset_grow((void **)&d->row, &d->row_cap, d->row_count, sizeof(*d->row)) != 0)
		return km_err_set(err, ENOMEM, "dataset: out of memory");
	d->row[d->row_count++] = *row;
	return 0;
}

struct sight dataset_sight(const struct run *run, bool from_other)
{
	return (struct sight){
		.trace = run->trace,
		.target = from_other ? run->other : run->target,
		.other = from_other ? run->target : run->other,
		.target_name = from_other ? run->other_name : run->target_name,
		.other_name = from_other ? run->target_name : run->other_name,
		.interval_s = run->interval_s,
	};
}

static int new_view(struct km_dataset *d, const struct sight *sight, struct km_err *err)
{
	struct view view = { .first = d->pool_count };
	struct km_err why = { .code = 0 };
	int windows;

	if (dataset_grow((void **)&d->view, &d->view_cap, d->view_count, sizeof(*d->view)) != 0)
		return km_err_set(err, ENOMEM, "dataset: out of memory");
	windows = dataset_read_trace(d, sight, &why);
	if (windows == -ENOMEM)
		return km_err_set(err, ENOMEM, "dataset: out of memory");
	if (windows < 0) {
		dataset_note(d, &d->stats.no_trace, "%s: %s", sight->trace, why.text);
	} else {
		view.windows = (uint32_t)windows;
		d->stats.windows += view.windows;
		d->stats.traces++;
	}
	d->view[d->view_count++] = view;
	if (d->options->progress != NULL)
		d->options->progress(d->options->ctx, d->view_count, d->run_count);
	return 0;
}

int dataset_view(struct km_dataset *d, const struct sight *sight, uint32_t *view,
                 struct km_err *err)
{
	char text[PATH_MAX_BYTES];
	int len =
		snprintf(text, sizeof(text), "%s|%s|%s", sight->trace, sight->target, sight->other);
	char *key;
	int rc;

	if (len >= (int)sizeof(text))
		return km_err_set(err, ENAMETOOLONG, "dataset: path too long: %.80s", sight->trace);
	if (!km_map_get(&d->view_by_key, text, (size_t)len, view)) {
		*view = (uint32_t)d->view_count;
		rc = new_view(d, sight, err);
		if (rc != 0)
			return rc;
		key = km_arena_strndup(&d->arena, text, (size_t)len);
		if (key == NULL || km_map_add(&d->view_by_key, key, (size_t)len, *view, NULL) != 0)
			return km_err_set(err, ENOMEM, "dataset: out of memory");
	}
	return d->view[*view].windows > 0 ? 0 : -ENODATA;
}

/* The runs themselves as rows: the counters are those of the run that gives the label. */
static int diagnosis_rows(struct km_dataset *d, struct km_err *err)
{
	for (size_t i = 0; i < d->run_count; i++) {
		const struct run *run = &d->run[i];
		struct sight sight = dataset_sight(run, false);
		float share = run->replicas_here / run->replicas_all;
		struct km_dataset_row row = {
			.campaign = run->campaign,
			.family = run->family,
			.scenario = run->scenario,
			.before_campaign = run->campaign,
			.before_family = run->family,
			.before_scenario = run->scenario,
			.kind = KM_ROW_DIAGNOSIS,
			.score = true,
			.remote = run->placement == PLACEMENT_REMOTE,
			/* a service spreads its load evenly over its replicas */
			.rps = run->rps_all * share,
			.replicas = run->replicas_here,
			.rps_now = run->rps_all * share,
			.replicas_now = run->replicas_here,
			.slowdown = run->slowdown,
			.norm_perf = run->norm_perf,
			.weight = 1,
			.p99_ms = run->p99_ms,
		};
		int rc;

		if (isnan(run->slowdown))
			continue;
		rc = dataset_view(d, &sight, &row.view, err);
		if (rc == 0)
			rc = dataset_add_row(d, &row, err);
		if (rc != 0 && rc != -ENODATA)
			return rc;
	}
	return 0;
}

static int placement_rows(struct km_dataset *d, struct km_err *err)
{
	char path[PATH_MAX_BYTES];
	const char *pairs = d->options->pairs;
	int rc;

	if (pairs == NULL) {
		if (snprintf(path, sizeof(path), "%s/pairs.csv", d->dir) >= (int)sizeof(path))
			return km_err_set(err, ENAMETOOLONG, "dataset: path too long");
		pairs = path;
	}
	rc = dataset_read_pairs(d, pairs, err);
	if (rc == 0 && d->options->inflight)
		rc = dataset_add_inflight(d, err);
	return rc;
}

int km_dataset_open(const struct km_dataset_options *options, struct km_dataset **out,
                    struct km_err *err)
{
	struct km_dataset *d = calloc(1, sizeof(*d));
	int rc;

	*out = NULL;
	if (d == NULL)
		return km_err_set(err, ENOMEM, "dataset: out of memory");
	km_arena_init(&d->arena, ARENA_KEEP_BYTES);
	km_map_init(&d->names, 1);
	km_map_init(&d->run_by_id, 2);
	km_map_init(&d->view_by_key, 3);
	d->options = options;
	d->dir = options->dir;
	d->schema = km_schema_ref(options->schema);
	rc = dataset_read_runs(d, err);
	if (rc == 0)
		rc = options->placement ? placement_rows(d, err) : diagnosis_rows(d, err);
	if (rc == 0 && d->row_count == 0)
		rc = km_err_set(err, ENODATA, "%s: no usable row: %s", options->dir,
		                d->stats.first_bad[0] != '\0' ? d->stats.first_bad : "empty");
	d->options = NULL;
	d->dir = NULL;
	if (rc != 0) {
		km_dataset_free(d);
		return rc;
	}
	*out = d;
	return 0;
}

void km_dataset_free(struct km_dataset *d)
{
	if (d == NULL)
		return;
	free(d->row);
	free(d->pool);
	free(d->view);
	free(d->run);
	free(d->name);
	km_map_fini(&d->view_by_key);
	km_map_fini(&d->run_by_id);
	km_map_fini(&d->names);
	km_arena_fini(&d->arena);
	km_schema_unref(d->schema);
	free(d);
}

const struct km_dataset_row *km_dataset_rows(const struct km_dataset *d, size_t *count)
{
	*count = d->row_count;
	return d->row;
}

const struct km_schema *km_dataset_schema(const struct km_dataset *d)
{
	return d->schema;
}

void km_dataset_stats(const struct km_dataset *d, struct km_dataset_stats *out)
{
	*out = d->stats;
}

uint64_t km_dataset_fingerprint(const struct km_dataset *d)
{
	uint64_t sum = 0;

	/* a sum: the order of lines means nothing */
	for (size_t i = 0; i < d->run_count; i++) {
		const struct run *run = &d->run[i];
		const float numbers[] = { run->slowdown, run->rps_all, run->replicas_here };

		sum += km_hash64(run->id, strlen(run->id), km_hash64(numbers, sizeof(numbers), 1));
	}
	return sum;
}

const char *km_dataset_name(const struct km_dataset *d, uint32_t id)
{
	return d->name[id];
}

size_t km_dataset_windows(const struct km_dataset *d, const struct km_dataset_row *row)
{
	return d->view[row->view].windows;
}

static float brought_along(const struct km_schema *schema, const struct km_feature *f,
                           const struct km_dataset_row *row)
{
	static const char *const classes[DATASET_CLASSES] = { "cpu", "l3", "membw" };

	if (f->scope == KM_SCOPE_INFLIGHT) {
		for (int i = 0; i < DATASET_CLASSES; i++) {
			if (strcmp(schema->classes[f->class_index], classes[i]) == 0)
				return row->inflight[i];
		}
		return 0; /* a class of which no recorded pod was */
	}
	switch (f->input) {
	case KM_POD_RPS:
		return row->rps;
	case KM_POD_REPLICAS:
		return row->replicas;
	case KM_POD_RPS_NOW:
		return row->rps_now;
	case KM_POD_REPLICAS_NOW:
		return row->replicas_now;
	case KM_POD_INPUT_N:
		break;
	}
	return NAN;
}

void km_dataset_features(const struct km_dataset *d, const struct km_dataset_row *row,
                         enum km_layout_kind layout, size_t window, float *out)
{
	const struct view *view = &d->view[row->view];
	size_t columns = d->schema->count;
	const float *from =
		d->pool + view->first + (window * KM_LAYOUT_N + (size_t)layout) * columns;

	for (size_t i = 0; i < columns; i++) {
		const struct km_feature *f = &d->schema->feature[i];

		out[i] = f->scope < KM_SCOPE_POD ? from[i] : brought_along(d->schema, f, row);
	}
}
