/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nginx_metrics.csv: a line a run. What interfered is told by its name, not by its number: the same
 * number means other mixes in other campaigns, and "stress-ng_l3" is iBench's l3 by the author's
 * own word.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "km/base/num.h"

#include "import_internal.h"

#define COLUMNS_MAX 64

enum column {
	TEST_ID,
	REPLICAS,
	INTERFERENCE,
	RPS,
	THROUGHPUT,
	AVG,
	P50,
	P90,
	P95,
	P99,
	MOST,
	ERRORS,
	COLUMN_N,
};

static const struct {
	const char *name;
	size_t to; /* offset of a double; 0: a text */
} columns[COLUMN_N] = {
	[TEST_ID] = { "Test_ID", 0 },
	[REPLICAS] = { "Replicas", 0 },
	[INTERFERENCE] = { "Interference_Name", 0 },
	[RPS] = { "Given_RPS", offsetof(struct import_run, rps) },
	[THROUGHPUT] = { "Throughput", offsetof(struct import_run, throughput) },
	[AVG] = { "Avg_Latency", offsetof(struct import_run, avg_ms) },
	[P50] = { "P50_Latency", offsetof(struct import_run, p50_ms) },
	[P90] = { "P90_Latency", offsetof(struct import_run, p90_ms) },
	[P95] = { "P95_Latency", offsetof(struct import_run, p95_ms) },
	[P99] = { "P99_Latency", offsetof(struct import_run, p99_ms) },
	[MOST] = { "Max_Latency", offsetof(struct import_run, max_ms) },
	[ERRORS] = { "Errors", offsetof(struct import_run, errors) },
};

struct text {
	const char *at;
	size_t len;
};

static bool is(struct text t, const char *what)
{
	return t.len == strlen(what) && strncasecmp(t.at, what, t.len) == 0;
}

/* Cuts off what comes before the next `at`, or all. returns false when nothing is left. */
static bool cut(struct text *from, char at, struct text *out)
{
	const char *end;

	if (from->at == NULL)
		return false;
	end = memchr(from->at, at, from->len);
	*out = (struct text){ from->at, end != NULL ? (size_t)(end - from->at) : from->len };
	from->len -= end != NULL ? out->len + 1 : from->len;
	from->at = end != NULL ? end + 1 : NULL;
	return true;
}

static bool number(struct text t, unsigned most, unsigned *out)
{
	int64_t v = 0;

	if (t.len == 0 || !isdigit((unsigned char)t.at[0]) || km_num_int(t.at, t.len, &v) != 0 ||
	    v > (int64_t)most)
		return false;
	*out = (unsigned)v;
	return true;
}

/* Words of a name that tell a kind; others (iBench, stress-ng, pod, pods) tell nothing. */
static int kind_of(struct text word)
{
	static const char *const kinds[IMPORT_KINDS] = { "cpu", "l3", "membw" };

	for (int i = 0; i < IMPORT_KINDS; i++) {
		if (is(word, kinds[i]))
			return i;
	}
	return -1;
}

static bool is_filler(struct text word)
{
	return is(word, "ibench") || is(word, "stress-ng") || is(word, "pod") || is(word, "pods");
}

bool import_pods(const char *name, size_t len, unsigned *pods)
{
	struct text rest = { name, len };
	struct text word;
	unsigned count = 0;

	memset(pods, 0, IMPORT_KINDS * sizeof(*pods));
	if (len >= 8 && strncasecmp(name, "Baseline", 8) == 0)
		return true;
	while (cut(&rest, '_', &word)) {
		int kind = kind_of(word);

		if (number(word, IMPORT_PODS_MAX, &count))
			continue;
		if (kind < 0 && !is_filler(word))
			return false;
		if (kind < 0)
			continue;
		if (count == 0 || pods[kind] != 0)
			return false;
		pods[kind] = count;
		count = 0;
	}
	return count == 0 && pods[0] + pods[1] + pods[2] > 0;
}

bool import_replicas(const char *text, size_t len, unsigned single_on, unsigned *replicas)
{
	struct text rest = { text, len };
	struct text word;

	replicas[0] = 0;
	replicas[1] = 0;
	if (!cut(&rest, '_', &word))
		return false;
	if (is(word, "balanced")) {
		if (!cut(&rest, '_', &word) || !number(word, IMPORT_PODS_MAX, &replicas[0]))
			return false;
		replicas[1] = replicas[0];
	} else if (is(word, "weighted")) {
		if (!cut(&rest, '_', &word) || !number(word, IMPORT_PODS_MAX, &replicas[0]) ||
		    !cut(&rest, '_', &word) || !number(word, IMPORT_PODS_MAX, &replicas[1]))
			return false;
	} else if (!number(word, IMPORT_PODS_MAX, &replicas[single_on - 1])) {
		return false;
	}
	return rest.at == NULL && replicas[0] + replicas[1] > 0;
}

/* It becomes part of paths: no separators, nothing hidden, and room for it. */
static bool take_name(struct text t, char *out)
{
	if (t.len == 0 || t.len >= IMPORT_NAME_MAX || t.at[0] == '.')
		return false;
	for (size_t i = 0; i < t.len; i++) {
		unsigned char c = (unsigned char)t.at[i];

		if (!isalnum(c) && c != '_' && c != '-' && c != '.')
			return false;
		out[i] = (char)c;
	}
	out[t.len] = '\0';
	return true;
}

static bool take_numbers(const struct text *cell, struct import_run *r)
{
	for (size_t i = 0; i < COLUMN_N; i++) {
		double *to = (double *)(void *)((char *)r + columns[i].to);

		if (columns[i].to != 0 &&
		    (km_num_double(cell[i].at, cell[i].len, to) != 0 || !(*to >= 0) || isinf(*to)))
			return false;
	}
	return r->rps > 0 && r->p99_ms > 0;
}

/* returns NULL, or why the line is not used. */
static const char *take_run(const struct text *cell, unsigned single_on, struct import_run *r)
{
	if (!take_name(cell[TEST_ID], r->test))
		return "its Test_ID is no name";
	if (!take_name(cell[INTERFERENCE], r->name) ||
	    !import_pods(cell[INTERFERENCE].at, cell[INTERFERENCE].len, r->pods))
		return "its Interference_Name is of a kind that is not known";
	if (!import_replicas(cell[REPLICAS].at, cell[REPLICAS].len, single_on, r->replicas))
		return "its Replicas are of a kind that is not known";
	if (!take_numbers(cell, r))
		return "a rate or latency is no number, or 0";
	return NULL;
}

static int add(struct import_set *set, const struct import_run *r, struct km_err *err)
{
	if (set->count == IMPORT_RUNS_MAX)
		return km_err_set(err, E2BIG, "import: more than %d runs", IMPORT_RUNS_MAX);
	if (set->count == set->cap) {
		size_t cap = set->cap == 0 ? 256 : 2 * set->cap;
		void *grown = reallocarray(set->run, cap, sizeof(*set->run));

		if (grown == NULL)
			return km_err_set(err, ENOMEM, "import: out of memory");
		set->run = grown;
		set->cap = cap;
	}
	set->run[set->count++] = *r;
	return 0;
}

static struct text next_line(struct text *rest)
{
	struct text line = { NULL, 0 };

	(void)cut(rest, '\n', &line);
	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* Where each column is. */
static int read_header(const char *campaign, struct text line, int *at, struct km_err *err)
{
	struct text cell;

	for (size_t i = 0; i < COLUMN_N; i++)
		at[i] = -1;
	for (int n = 0; n < COLUMNS_MAX && cut(&line, ',', &cell); n++) {
		for (size_t i = 0; i < COLUMN_N; i++) {
			if (is(cell, columns[i].name))
				at[i] = n;
		}
	}
	for (size_t i = 0; i < COLUMN_N; i++) {
		if (at[i] < 0)
			return km_err_set(err, EBADMSG, "%s/nginx_metrics.csv: no column %s",
			                  campaign, columns[i].name);
	}
	return 0;
}

static void split(struct text line, const int *at, struct text *cell)
{
	struct text field;

	for (size_t i = 0; i < COLUMN_N; i++)
		cell[i] = (struct text){ "", 0 };
	for (int n = 0; n < COLUMNS_MAX && cut(&line, ',', &field); n++) {
		for (size_t i = 0; i < COLUMN_N; i++) {
			if (at[i] == n)
				cell[i] = field;
		}
	}
}

static bool is_known(const struct import_set *set, size_t from, const char *test)
{
	for (size_t i = from; i < set->count; i++) {
		if (strcmp(set->run[i].test, test) == 0)
			return true;
	}
	return false;
}

int import_metrics(const char *campaign, unsigned single_on, const char *text, size_t len,
                   struct import_set *set, struct km_err *err)
{
	struct text rest = { text, len };
	size_t first = set->count;
	unsigned number_of_line = 1;
	int at[COLUMN_N];
	int rc = read_header(campaign, next_line(&rest), at, err);

	while (rc == 0 && rest.at != NULL) {
		struct text line = next_line(&rest);
		struct import_run r = { .baseline_ms = NAN, .own_baseline_ms = NAN };
		struct text cell[COLUMN_N];
		const char *why;
		char what[2 * IMPORT_NAME_MAX];

		number_of_line++;
		if (line.len == 0)
			continue;
		split(line, at, cell);
		(void)snprintf(r.campaign, sizeof(r.campaign), "%s", campaign);
		why = take_run(cell, single_on, &r);
		if (why == NULL && is_known(set, first, r.test))
			why = "its Test_ID was there before";
		if (why == NULL) {
			rc = add(set, &r, err);
			continue;
		}
		(void)snprintf(what, sizeof(what), "%s/nginx_metrics.csv:%u", campaign,
		               number_of_line);
		set->skip(set->ctx, what, why);
	}
	return rc;
}
