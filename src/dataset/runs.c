/* SPDX-License-Identifier: Apache-2.0 */
/* runs.csv: what was run where, and how fast it was. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "csv.h"
#include "dataset_internal.h"

#define PATH_MAX_BYTES 4096
#define INTERVAL_MAX_S 3600 /* of a trace; more is no sampling */

enum column {
	RUN_ID,
	CAMPAIGN,
	SCENARIO,
	N_CPU,
	N_L3,
	N_MEMBW,
	TARGET_CORES,
	OTHER_CORES,
	PLACEMENT,
	REPLICAS_ON_TARGET,
	REPLICAS_NODE1,
	REPLICAS_NODE2,
	RPS,
	P99_MS,
	BASELINE_P99_MS,
	BASELINE_CAMPAIGN_P99_MS,
	SLOWDOWN,
	NORM_PERF_THESIS,
	SAMPLE_INTERVAL_S,
	TRACE_FILE,
	TARGET_NAME,
	OTHER_NAME,
	COLUMN_N,
};

static const struct csv_column columns[COLUMN_N] = {
	[RUN_ID] = { "run_id", false },
	[CAMPAIGN] = { "campaign", false },
	[SCENARIO] = { "scenario", false },
	[N_CPU] = { "n_cpu", false },
	[N_L3] = { "n_l3", false },
	[N_MEMBW] = { "n_membw", false },
	[TARGET_CORES] = { "target_cores", false },
	[OTHER_CORES] = { "other_cores", true },
	[PLACEMENT] = { "placement", false },
	[REPLICAS_ON_TARGET] = { "replicas_on_target", false },
	[REPLICAS_NODE1] = { "replicas_node1", true },
	[REPLICAS_NODE2] = { "replicas_node2", true },
	[RPS] = { "rps", false },
	[P99_MS] = { "p99_ms", false },
	[BASELINE_P99_MS] = { "baseline_p99_ms", true },
	[BASELINE_CAMPAIGN_P99_MS] = { "baseline_campaign_p99_ms", true },
	[SLOWDOWN] = { "slowdown", false },
	[NORM_PERF_THESIS] = { "norm_perf_thesis", true },
	[SAMPLE_INTERVAL_S] = { "sample_interval_s", true },
	[TRACE_FILE] = { "trace_file", false },
	[TARGET_NAME] = { "target_name", true },
	[OTHER_NAME] = { "other_name", true },
};

static bool is(struct km_name text, const char *what)
{
	return text.len == strlen(what) && memcmp(text.text, what, text.len) == 0;
}

/*
 * Campaigns that repeat one another: the name before "_V<digit>", apart from those of mixed
 * scenarios. pairs.csv states families itself; this is for folders without it.
 */
static int family_of(struct km_dataset *d, struct km_name campaign, uint32_t *id)
{
	char text[256];
	size_t len = campaign.len < 240 ? campaign.len : 240;
	bool mixed = false;

	for (size_t i = 0; i + 2 < len; i++) {
		const char *c = campaign.text + i;

		if (c[0] != '_' || c[1] != 'V' || !isdigit((unsigned char)c[2]))
			continue;
		for (size_t j = i + 2; j + 3 <= campaign.len && !mixed; j++)
			mixed = strncasecmp(campaign.text + j, "mix", 3) == 0;
		len = i;
		break;
	}
	len = (size_t)snprintf(text, sizeof(text), "%.*s%s", (int)len, campaign.text,
	                       mixed ? "+mix" : "");
	return dataset_name_id(d, (struct km_name){ text, (uint32_t)len }, id);
}

static int parse_names(struct km_dataset *d, const struct csv *c, const struct km_name *f,
                       struct run *run, struct km_err *err)
{
	struct km_arena *a = &d->arena;

	run->id = km_arena_strndup(a, f[RUN_ID].text, f[RUN_ID].len);
	run->trace = km_arena_strndup(a, f[TRACE_FILE].text, f[TRACE_FILE].len);
	run->target = km_arena_strndup(a, f[TARGET_CORES].text, f[TARGET_CORES].len);
	run->other = km_arena_strndup(a, f[OTHER_CORES].text, f[OTHER_CORES].len);
	run->target_name = km_arena_strndup(a, f[TARGET_NAME].text, f[TARGET_NAME].len);
	run->other_name = km_arena_strndup(a, f[OTHER_NAME].text, f[OTHER_NAME].len);
	if (run->id == NULL || run->trace == NULL || run->target == NULL || run->other == NULL ||
	    run->target_name == NULL || run->other_name == NULL ||
	    dataset_name_id(d, f[CAMPAIGN], &run->campaign) != 0 ||
	    dataset_name_id(d, f[SCENARIO], &run->scenario) != 0 ||
	    family_of(d, f[CAMPAIGN], &run->family) != 0)
		return km_err_set(err, ENOMEM, "runs: out of memory");
	if (!dataset_is_inside(run->trace))
		return csv_bad(c, TRACE_FILE, f[TRACE_FILE], "a path inside the folder", err);
	if (is(f[PLACEMENT], "local"))
		run->placement = PLACEMENT_LOCAL;
	else if (is(f[PLACEMENT], "remote"))
		run->placement = PLACEMENT_REMOTE;
	else if (is(f[PLACEMENT], "none"))
		run->placement = PLACEMENT_NONE;
	else
		return csv_bad(c, PLACEMENT, f[PLACEMENT], "local, remote or none", err);
	return 0;
}

static int parse_numbers(struct km_dataset *d, const struct csv *c, const struct km_name *f,
                         struct run *run, struct km_err *err)
{
	double v[COLUMN_N];
	double alone;
	double all;

	for (int i = N_CPU; i < TRACE_FILE; i++) {
		if (i == TARGET_CORES || i == OTHER_CORES || i == PLACEMENT)
			continue;
		if (csv_number(c, (size_t)i, f[i], &v[i], err) != 0)
			return -EBADMSG;
	}
	for (int i = 0; i < DATASET_CLASSES; i++) {
		if (!(v[N_CPU + i] <= 255) || v[N_CPU + i] != floor(v[N_CPU + i]))
			return csv_bad(c, (size_t)N_CPU + (size_t)i, f[N_CPU + i],
			               "a whole number, 0..255", err);
		run->pods[i] = (uint8_t)v[N_CPU + i];
	}
	/* Not stated is NaN, and 0 in some tables. */
	if (v[SAMPLE_INTERVAL_S] > INTERVAL_MAX_S)
		return csv_bad(c, SAMPLE_INTERVAL_S, f[SAMPLE_INTERVAL_S],
		               "seconds between samples, at most 3600", err);
	all = v[REPLICAS_NODE1] + v[REPLICAS_NODE2];
	run->replicas_here = (float)v[REPLICAS_ON_TARGET];
	run->replicas_all = (float)(all > 0 ? all : v[REPLICAS_ON_TARGET]);
	run->rps_all = (float)v[RPS];
	run->interval_s = (float)v[SAMPLE_INTERVAL_S];
	run->p99_ms = (float)v[P99_MS];
	run->slowdown = (float)v[SLOWDOWN];
	alone = v[BASELINE_P99_MS] > 0 ? v[BASELINE_P99_MS] : v[BASELINE_CAMPAIGN_P99_MS];
	if (isnan(v[SLOWDOWN]) && alone > 0)
		run->slowdown = (float)(v[P99_MS] / alone);
	if (!dataset_is_label(run->slowdown) || !(run->rps_all > 0) || !(run->replicas_here > 0)) {
		run->slowdown = NAN;
		dataset_note(d, &d->stats.no_label, "%s: no slowdown, rps or replicas", run->id);
	}
	run->norm_perf = run->placement == PLACEMENT_NONE ? 1 : 1 / run->slowdown;
	if (v[NORM_PERF_THESIS] > 0)
		run->norm_perf = (float)v[NORM_PERF_THESIS];
	return 0;
}

static int add_run(struct km_dataset *d, const struct run *run)
{
	uint32_t first;
	uint32_t index = (uint32_t)d->run_count;
	int rc = dataset_grow((void **)&d->run, &d->run_cap, d->run_count, sizeof(*d->run));

	if (rc != 0)
		return rc;
	d->run[d->run_count++] = *run;
	rc = km_map_add(&d->run_by_id, run->id, strlen(run->id), index, &first);
	if (rc != -EEXIST)
		return rc;
	d->run[index].next_same_id = d->run[first].next_same_id;
	d->run[first].next_same_id = index + 1;
	return 0;
}

int dataset_read_runs(struct km_dataset *d, struct km_err *err)
{
	struct km_name field[COLUMN_N];
	char path[PATH_MAX_BYTES];
	struct csv *csv = NULL;
	int rc;

	if (snprintf(path, sizeof(path), "%s/runs.csv", d->dir) >= (int)sizeof(path))
		return km_err_set(err, ENAMETOOLONG, "dataset: path too long");
	rc = csv_open(path, columns, COLUMN_N, &csv, err);
	while (rc == 0 && (rc = csv_next(csv, field, err)) > 0) {
		struct run run = { .id = NULL };

		if (d->run_count == KM_DATASET_ROWS_MAX) {
			rc = km_err_set(err, E2BIG, "%s: more than %u runs", path,
			                KM_DATASET_ROWS_MAX);
			break;
		}
		rc = parse_names(d, csv, field, &run, err);
		if (rc == 0)
			rc = parse_numbers(d, csv, field, &run, err);
		if (rc == 0 && add_run(d, &run) != 0)
			rc = km_err_set(err, ENOMEM, "%s: out of memory", path);
	}
	csv_close(csv);
	d->stats.runs = d->run_count;
	if (rc == 0 && d->run_count == 0)
		rc = km_err_set(err, ENODATA, "%s: a header and no runs", path);
	return rc;
}
