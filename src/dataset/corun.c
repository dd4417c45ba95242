/* SPDX-License-Identifier: Apache-2.0 */
/* Co-runs: read line by line, sorted, repeated lines joined, each row told its mirror. */
#include "km/dataset/corun.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/arena.h"
#include "km/base/map.h"
#include "km/core/name.h"

#include "csv.h"

enum column { PLATFORM, WORKLOAD, NEIGHBOUR, ALONE_MS, WITH_NEIGHBOUR_MS, COLUMN_N };

static const struct csv_column columns[COLUMN_N] = {
	[PLATFORM] = { "platform", false },
	[WORKLOAD] = { "workload", false },
	[NEIGHBOUR] = { "neighbour", false },
	[ALONE_MS] = { "alone_ms", false },
	[WITH_NEIGHBOUR_MS] = { "with_neighbour_ms", false },
};

struct names {
	struct km_map ids;
	const char **name; /* [count] */
	uint32_t count;
	size_t cap;
};

struct km_corun {
	struct km_arena arena; /* names */
	struct names platforms, workloads;
	struct km_corun_row *row; /* [row_count] */
	size_t row_count, row_cap;
	struct km_corun_stats stats;
};

static int name_id(struct km_corun *c, struct names *n, struct km_name text, uint32_t *id)
{
	char *copy;

	if (km_map_get(&n->ids, text.text, text.len, id))
		return 0;
	copy = km_arena_strndup(&c->arena, text.text, text.len);
	if (copy == NULL)
		return -ENOMEM;
	if (n->count == n->cap) {
		size_t cap = n->cap == 0 ? 64 : 2 * n->cap;
		const char **grown = reallocarray(n->name, cap, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		n->name = grown;
		n->cap = cap;
	}
	*id = n->count;
	n->name[n->count++] = copy;
	return km_map_add(&n->ids, copy, text.len, *id, NULL);
}

static int take_names(struct km_corun *c, const struct csv *csv, const struct km_name *f,
                      struct km_corun_row *row, struct km_err *err)
{
	for (size_t i = PLATFORM; i <= NEIGHBOUR; i++) {
		if (f[i].len == 0 || f[i].len > KM_CORUN_NAME_MAX)
			return csv_bad(csv, i, f[i], "a name of 1 to 64 bytes", err);
	}
	if (name_id(c, &c->platforms, f[PLATFORM], &row->platform) != 0 ||
	    name_id(c, &c->workloads, f[WORKLOAD], &row->workload) != 0 ||
	    name_id(c, &c->workloads, f[NEIGHBOUR], &row->neighbour) != 0)
		return km_err_set(err, ENOMEM, "co-runs: out of memory");
	return 0;
}

static int add_row(struct km_corun *c, const struct km_corun_row *row, struct km_err *err)
{
	if (c->row_count == KM_CORUN_ROWS_MAX)
		return km_err_set(err, E2BIG, "co-runs: more than %u rows", KM_CORUN_ROWS_MAX);
	if (c->row_count == c->row_cap) {
		size_t cap = c->row_cap == 0 ? 1024 : 2 * c->row_cap;
		struct km_corun_row *grown = reallocarray(c->row, cap, sizeof(*grown));

		if (grown == NULL)
			return km_err_set(err, ENOMEM, "co-runs: out of memory");
		c->row = grown;
		c->row_cap = cap;
	}
	c->row[c->row_count++] = *row;
	return 0;
}

static int take_line(struct km_corun *c, const struct csv *csv, const struct km_name *f,
                     struct km_err *err)
{
	struct km_corun_row row = { .mirror = KM_CORUN_NONE };
	double alone;
	double with;

	c->stats.lines++;
	if (csv_number(csv, ALONE_MS, f[ALONE_MS], &alone, err) != 0 ||
	    csv_number(csv, WITH_NEIGHBOUR_MS, f[WITH_NEIGHBOUR_MS], &with, err) != 0)
		return -EBADMSG;
	if (!(alone > 0) || !(with > 0)) {
		c->stats.unusable++;
		return 0;
	}
	row.log_alone = log(alone);
	row.log_slowdown = log(with) - log(alone);
	if (take_names(c, csv, f, &row, err) != 0)
		return err != NULL ? -err->code : -EBADMSG;
	return add_row(c, &row, err);
}

static int compare(const void *a, const void *b)
{
	const struct km_corun_row *x = a;
	const struct km_corun_row *y = b;

	if (x->platform != y->platform)
		return x->platform < y->platform ? -1 : 1;
	if (x->workload != y->workload)
		return x->workload < y->workload ? -1 : 1;
	if (x->neighbour != y->neighbour)
		return x->neighbour < y->neighbour ? -1 : 1;
	return 0;
}

/* Sums, not an order of lines, so it does not matter that qsort mixes equal ones. */
static void join_repeated(struct km_corun *c)
{
	size_t kept = 0;
	double square = 0;

	for (size_t i = 0; i < c->row_count;) {
		struct km_corun_row row = c->row[i];
		double alone = 0;
		double slowdown = 0;
		size_t n = 0;

		for (; i < c->row_count && compare(&row, &c->row[i]) == 0; i++, n++) {
			double off = c->row[i].log_slowdown - row.log_slowdown;

			alone += c->row[i].log_alone;
			slowdown += c->row[i].log_slowdown;
			if (off != 0 && row.workload != row.neighbour) {
				c->stats.differ++;
				square += off * off / 2;
			}
		}
		row.log_alone = alone / (double)n;
		row.log_slowdown = slowdown / (double)n;
		c->stats.repeated += n - 1;
		c->row[kept++] = row;
	}
	c->row_count = kept;
	c->stats.repeat_sd = c->stats.differ > 0 ? sqrt(square / (double)c->stats.differ) : NAN;
}

static void find_mirrors(struct km_corun *c)
{
	for (size_t i = 0; i < c->row_count; i++) {
		struct km_corun_row key = { .platform = c->row[i].platform,
			                    .workload = c->row[i].neighbour,
			                    .neighbour = c->row[i].workload };
		const struct km_corun_row *found =
			bsearch(&key, c->row, c->row_count, sizeof(key), compare);

		c->row[i].mirror = found != NULL ? (uint32_t)(found - c->row) : KM_CORUN_NONE;
	}
}

int km_corun_open(const char *path, struct km_corun **out, struct km_err *err)
{
	struct km_corun *c = calloc(1, sizeof(*c));
	struct km_err why = { .code = 0 };
	struct km_name field[COLUMN_N];
	struct csv *csv = NULL;
	int rc;

	*out = NULL;
	if (c == NULL)
		return km_err_set(err, ENOMEM, "%s: out of memory", path);
	km_arena_init(&c->arena, 0);
	km_map_init(&c->platforms.ids, 1);
	km_map_init(&c->workloads.ids, 2);
	rc = csv_open(path, columns, COLUMN_N, &csv, &why);
	while (rc == 0 && (rc = csv_next(csv, field, &why)) > 0)
		rc = take_line(c, csv, field, &why);
	csv_close(csv);
	if (rc == 0 && c->row_count == 0)
		rc = km_err_set(&why, ENODATA, "%s: no usable row of %zu", path, c->stats.lines);
	if (rc != 0) {
		if (err != NULL)
			*err = why;
		km_corun_free(c);
		return rc;
	}
	qsort(c->row, c->row_count, sizeof(*c->row), compare);
	join_repeated(c);
	find_mirrors(c);
	*out = c;
	return 0;
}

void km_corun_free(struct km_corun *c)
{
	if (c == NULL)
		return;
	km_map_fini(&c->platforms.ids);
	km_map_fini(&c->workloads.ids);
	free(c->platforms.name);
	free(c->workloads.name);
	km_arena_fini(&c->arena);
	free(c->row);
	free(c);
}

const struct km_corun_row *km_corun_rows(const struct km_corun *c, size_t *count)
{
	*count = c->row_count;
	return c->row;
}

void km_corun_stats(const struct km_corun *c, struct km_corun_stats *out)
{
	*out = c->stats;
}

uint32_t km_corun_platforms(const struct km_corun *c)
{
	return c->platforms.count;
}

uint32_t km_corun_workloads(const struct km_corun *c)
{
	return c->workloads.count;
}

const char *km_corun_platform(const struct km_corun *c, uint32_t id)
{
	return c->platforms.name[id];
}

const char *km_corun_workload(const struct km_corun *c, uint32_t id)
{
	return c->workloads.name[id];
}

double km_corun_alone(const struct km_corun *c, uint32_t platform, uint32_t workload)
{
	size_t low = 0;
	size_t high = c->row_count;

	/* The first row of the two, if there is one: all of them say the same. */
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct km_corun_row *r = &c->row[mid];

		if (r->platform < platform || (r->platform == platform && r->workload < workload))
			low = mid + 1;
		else
			high = mid;
	}
	if (low < c->row_count && c->row[low].platform == platform &&
	    c->row[low].workload == workload)
		return c->row[low].log_alone;
	return NAN;
}
