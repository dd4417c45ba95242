/* SPDX-License-Identifier: Apache-2.0 */
/* pairs.csv: counters of a candidate node before, and the latency after the pod came. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "csv.h"
#include "dataset_internal.h"

enum column {
	KIND,
	ROLE,
	BEFORE_RUN_ID,
	CANDIDATE_CORES,
	BEFORE_REPLICAS,
	BEFORE_RPS,
	CAMPAIGN,
	FAMILY,
	SCENARIO,
	PLACEMENT,
	REPLICAS,
	RPS,
	P99_MS,
	SLOWDOWN,
	NORM_PERF,
	WEIGHT,
	BEFORE_TRACE_FILE,
	COLUMN_N,
};

static const struct csv_column columns[COLUMN_N] = {
	[KIND] = { "kind", false },
	[ROLE] = { "role", false },
	[BEFORE_RUN_ID] = { "before_run_id", false },
	[CANDIDATE_CORES] = { "candidate_cores", false },
	[BEFORE_REPLICAS] = { "before_replicas", false },
	[BEFORE_RPS] = { "before_rps", false },
	[CAMPAIGN] = { "campaign", false },
	[FAMILY] = { "family", true },
	[SCENARIO] = { "scenario", false },
	[PLACEMENT] = { "placement", false },
	[REPLICAS] = { "replicas", false },
	[RPS] = { "rps", false },
	[P99_MS] = { "p99_ms", true },
	[SLOWDOWN] = { "slowdown", false },
	[NORM_PERF] = { "norm_perf", true },
	[WEIGHT] = { "weight", true },
	[BEFORE_TRACE_FILE] = { "before_trace_file", true },
};

static bool is(struct km_name text, const char *what)
{
	return text.len == strlen(what) && memcmp(text.text, what, text.len) == 0;
}

static int parse_kind(const struct csv *c, const struct km_name *f, struct km_dataset_row *row,
                      struct km_err *err)
{
	if (is(f[KIND], "lighter"))
		row->kind = KM_ROW_LIGHTER;
	else if (is(f[KIND], "empty"))
		row->kind = KM_ROW_EMPTY;
	else
		return csv_bad(c, KIND, f[KIND], "lighter or empty", err);
	row->score = is(f[ROLE], "score");
	if (!row->score && !is(f[ROLE], "augment"))
		return csv_bad(c, ROLE, f[ROLE], "score or augment", err);
	row->remote = is(f[PLACEMENT], "remote");
	return 0;
}

static int parse_numbers(struct km_dataset *d, const struct csv *c, const struct km_name *f,
                         struct km_dataset_row *row, struct km_err *err)
{
	static const enum column numbers[] = { BEFORE_REPLICAS, BEFORE_RPS, REPLICAS,  RPS,
		                               P99_MS,          SLOWDOWN,   NORM_PERF, WEIGHT };
	double v[COLUMN_N];

	for (size_t i = 0; i < KM_ARRAY_LEN(numbers); i++) {
		if (csv_number(c, numbers[i], f[numbers[i]], &v[numbers[i]], err) != 0)
			return -EBADMSG;
	}
	if (!dataset_is_label((float)v[SLOWDOWN]) || !(v[RPS] > 0) || !(v[REPLICAS] > 0)) {
		dataset_note(d, &d->stats.no_label, "pair of %.*s: no slowdown, rps or replicas",
		             (int)(f[BEFORE_RUN_ID].len < 80 ? f[BEFORE_RUN_ID].len : 80),
		             f[BEFORE_RUN_ID].text);
		return -ENODATA;
	}
	row->rps = (float)v[RPS];
	row->replicas = (float)v[REPLICAS];
	row->rps_now = (float)v[BEFORE_RPS];
	row->replicas_now = (float)v[BEFORE_REPLICAS];
	row->slowdown = (float)v[SLOWDOWN];
	row->norm_perf = is(f[PLACEMENT], "none") ? 1 : (float)(1 / v[SLOWDOWN]);
	if (v[NORM_PERF] > 0)
		row->norm_perf = (float)v[NORM_PERF];
	row->p99_ms = (float)v[P99_MS];
	row->weight = (float)(v[WEIGHT] >= 0 ? v[WEIGHT] : 1);
	return 0;
}

/* The line of runs.csv whose node is the candidate, or one whose other node it is. */
static const struct run *find_run(const struct km_dataset *d, struct km_name id,
                                  struct km_name cores, bool *from_other)
{
	const struct run *found = NULL;
	uint32_t index;

	if (!km_map_get(&d->run_by_id, id.text, id.len, &index))
		return NULL;
	for (uint32_t next = index + 1; next != 0; next = found->next_same_id) {
		found = &d->run[next - 1];
		*from_other = false;
		if (is(cores, found->target))
			return found;
	}
	found = &d->run[index];
	*from_other = true;
	return is(cores, found->other) ? found : NULL;
}

/* What the scheduler saw, where that was recorded apart from the run itself. */
static int take_before_trace(struct km_dataset *d, const struct csv *c, struct km_name field,
                             struct sight *sight, struct km_err *err)
{
	if (field.len == 0)
		return 0;
	sight->trace = km_arena_strndup(&d->arena, field.text, field.len);
	if (sight->trace == NULL)
		return km_err_set(err, ENOMEM, "pairs: out of memory");
	if (!dataset_is_inside(sight->trace))
		return csv_bad(c, BEFORE_TRACE_FILE, field, "a path inside the folder", err);
	return 0;
}

/* returns 0 when the pair became a row or was noted as unusable. */
static int take_pair(struct km_dataset *d, const struct csv *c, const struct km_name *f,
                     struct km_err *err)
{
	struct km_dataset_row row = { .view = 0 };
	const struct run *before;
	bool from_other;
	struct sight sight;
	int rc = parse_kind(c, f, &row, err);

	if (rc == 0)
		rc = parse_numbers(d, c, f, &row, err);
	if (rc != 0)
		return rc == -ENODATA ? 0 : rc;
	before = find_run(d, f[BEFORE_RUN_ID], f[CANDIDATE_CORES], &from_other);
	if (before == NULL) {
		dataset_note(d, &d->stats.no_run, "pair of %.*s: no such run and node in runs.csv",
		             (int)(f[BEFORE_RUN_ID].len < 80 ? f[BEFORE_RUN_ID].len : 80),
		             f[BEFORE_RUN_ID].text);
		return 0;
	}
	row.before_campaign = before->campaign;
	row.before_family = before->family;
	row.before_scenario = before->scenario;
	if (dataset_name_id(d, f[CAMPAIGN], &row.campaign) != 0 ||
	    dataset_name_id(d, f[SCENARIO], &row.scenario) != 0 ||
	    dataset_name_id(d, f[FAMILY].len > 0 ? f[FAMILY] : f[CAMPAIGN], &row.family) != 0)
		return km_err_set(err, ENOMEM, "pairs: out of memory");
	sight = dataset_sight(before, from_other);
	rc = take_before_trace(d, c, f[BEFORE_TRACE_FILE], &sight, err);
	if (rc == 0)
		rc = dataset_view(d, &sight, &row.view, err);
	if (rc == 0)
		rc = dataset_add_row(d, &row, err);
	return rc == -ENODATA ? 0 : rc;
}

/*
 * Families are stated for the campaigns that give labels; a campaign that only gives counters keeps
 * the family its name suggests.
 */
static int settle_families(struct km_dataset *d)
{
	uint32_t *family = calloc(d->name_count + 1, sizeof(*family)); /* of a campaign's id */

	if (family == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < d->run_count; i++)
		family[d->run[i].campaign] = d->run[i].family;
	for (size_t i = 0; i < d->row_count; i++)
		family[d->row[i].campaign] = d->row[i].family;
	for (size_t i = 0; i < d->run_count; i++)
		d->run[i].family = family[d->run[i].campaign];
	for (size_t i = 0; i < d->row_count; i++)
		d->row[i].before_family = family[d->row[i].before_campaign];
	free(family);
	return 0;
}

int dataset_read_pairs(struct km_dataset *d, const char *path, struct km_err *err)
{
	struct km_name field[COLUMN_N];
	struct csv *csv = NULL;
	int rc = csv_open(path, columns, COLUMN_N, &csv, err);

	while (rc == 0 && (rc = csv_next(csv, field, err)) > 0)
		rc = take_pair(d, csv, field, err);
	csv_close(csv);
	if (rc == -ENOENT)
		rc = km_err_prefix(err, "a placement model is judged by pairs");
	if (rc == 0 && settle_families(d) != 0)
		rc = km_err_set(err, ENOMEM, "%s: out of memory", path);
	return rc;
}
