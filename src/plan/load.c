/* SPDX-License-Identifier: Apache-2.0 */
/* The load's profile over one run: parts of constant rate; and the trace it may come from. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/file.h"
#include "km/base/num.h"

#include "plan_internal.h"

#define TRACE_LINE_MAX 256
#define TRACE_S_MAX    86400.0
#define LATE_S         1 /* that a part may take longer than it should */

struct parts {
	struct km_load_part *part;
	size_t max, count;
	double rps;
	int64_t left_ns;
	bool full;
};

/* Adds up to `ns` at factor, as much as the run has left; a part at the same rate grows. */
static void add(struct parts *a, int64_t ns, double factor)
{
	struct km_load_part *last = a->count > 0 ? &a->part[a->count - 1] : NULL;

	if (ns > a->left_ns)
		ns = a->left_ns;
	if (ns <= 0)
		return;
	a->left_ns -= ns;
	if (last != NULL && last->rps == factor * a->rps) {
		last->duration_ns += ns;
		return;
	}
	if (a->count == a->max) {
		a->full = true;
		return;
	}
	a->part[a->count++] = (struct km_load_part){ .duration_ns = ns, .rps = factor * a->rps };
}

static void add_trace(struct parts *a, const struct km_plan_load *l)
{
	for (size_t i = 0; i < l->trace_count; i++) {
		bool last = i + 1 == l->trace_count;
		double seconds = last ? 0 : l->trace[i + 1].at_s - l->trace[i].at_s;

		add(a, last ? a->left_ns : llround(seconds * 1e9), l->trace[i].factor);
	}
}

int km_plan_load_parts(const struct km_plan *p, double rps, int64_t duration_ns,
                       struct km_load_part *parts, size_t max, size_t *count)
{
	const struct km_plan_load *l = &p->load;
	struct parts a = { .part = parts, .max = max, .rps = rps, .left_ns = duration_ns };

	switch (l->profile) {
	case KM_PLAN_STEPPED:
		for (size_t i = 0; i < l->step_count; i++)
			add(&a, a.left_ns / (int64_t)(l->step_count - i), l->step[i]);
		break;
	case KM_PLAN_BURSTY:
		while (a.left_ns > 0 && !a.full) {
			add(&a, l->burst_length_ns, l->burst_factor);
			add(&a, l->burst_every_ns - l->burst_length_ns, 1);
		}
		break;
	case KM_PLAN_TRACE:
		add_trace(&a, l);
		break;
	case KM_PLAN_STEADY:
		break;
	}
	if (!a.full)
		add(&a, a.left_ns, 1);
	*count = a.count;
	return a.full ? -E2BIG : 0;
}

static int check_parts(const char *path, const struct km_load_part *part, size_t count,
                       struct km_err *err)
{
	bool sends = false;

	for (size_t i = 0; i < count; i++) {
		double seconds = (double)part[i].duration_ns / 1e9;

		/* a generator that waits for its first request is late for the next part */
		if (part[i].rps > 0 && 1 / part[i].rps > seconds + LATE_S) {
			return km_err_set(
				err, EINVAL,
				"%.80s: load: saw %gs at %g requests/s, want time for one "
				"request, or a factor of 0",
				path, seconds, part[i].rps);
		}
		sends |= part[i].rps > 0;
	}
	if (!sends)
		return km_err_set(err, EINVAL, "%.80s: load: saw a profile that sends nothing",
		                  path);
	return 0;
}

int plan_check_parts(const char *path, const struct km_plan *p, struct km_err *err)
{
	const struct {
		int64_t duration_ns;
		const double *rps;
		size_t count;
	} loads[] = {
		{ p->times.during_ns, p->matrix.rps, p->matrix.rps_count },
		{ p->trial.during_ns, &p->trial.rps, 1 },
	};
	struct km_load_part *part = calloc(KM_PLAN_PARTS_MAX, sizeof(*part));
	int rc = 0;

	if (part == NULL)
		return km_err_set(err, ENOMEM, "%.80s: out of memory", path);
	for (size_t i = 0; i < KM_ARRAY_LEN(loads); i++) {
		for (size_t k = 0; rc == 0 && k < loads[i].count; k++) {
			size_t count = 0;

			rc = km_plan_load_parts(p, loads[i].rps[k], loads[i].duration_ns, part,
			                        KM_PLAN_PARTS_MAX, &count);
			rc = rc == 0 ? check_parts(path, part, count, err)
			             : km_err_set(err, EINVAL,
			                          "%.80s: load.profile: saw more than %d parts in "
			                          "%gs, want fewer",
			                          path, KM_PLAN_PARTS_MAX,
			                          (double)loads[i].duration_ns / 1e9);
		}
	}
	free(part);
	return rc;
}

static int trace_line(const char *path, size_t number, const char *line, struct km_plan_load *l,
                      struct km_err *err)
{
	const char *comma = strchr(line, ',');
	struct km_plan_step s = { .at_s = NAN, .factor = NAN };
	double after = l->trace_count > 0 ? l->trace[l->trace_count - 1].at_s : -1;

	if (comma == NULL || km_num_double(line, (size_t)(comma - line), &s.at_s) != 0 ||
	    km_num_double(comma + 1, strlen(comma + 1), &s.factor) != 0 ||
	    !(s.at_s > after && s.at_s <= TRACE_S_MAX) || !(s.factor >= 0 && s.factor <= 100) ||
	    (l->trace_count == 0 && s.at_s != 0)) {
		return km_err_set(err, EINVAL,
		                  "%.80s:%zu: saw %.30s, want \"seconds,factor\": seconds rising "
		                  "from 0, a factor from 0 to 100",
		                  path, number, line);
	}
	if (l->trace_count == KM_PLAN_STEPS_MAX)
		return km_err_set(err, EINVAL, "%.80s: want at most %d lines", path,
		                  KM_PLAN_STEPS_MAX);
	l->trace[l->trace_count++] = s;
	return 0;
}

int plan_read_trace(const char *path, struct km_plan *p, struct km_err *err)
{
	struct km_plan_load *l = &p->load;
	struct km_lines *lines = NULL;
	const char *line;
	size_t len;
	int more;
	int rc = km_lines_open(path, TRACE_LINE_MAX, &lines, err);

	if (rc != 0)
		return rc;
	l->trace_count = 0;
	free(l->trace);
	l->trace = calloc(KM_PLAN_STEPS_MAX, sizeof(*l->trace));
	if (l->trace == NULL)
		rc = km_err_set(err, ENOMEM, "%.80s: out of memory", path);
	while (rc == 0 && (more = km_lines_next(lines, &line, &len, err)) != KM_LINE_END) {
		if (more < 0)
			rc = more;
		else if (len > 0 && line[0] != '#' && strcmp(line, "seconds,factor") != 0)
			rc = trace_line(path, km_lines_number(lines), line, l, err);
	}
	if (rc == 0 && l->trace_count == 0)
		rc = km_err_set(err, EINVAL, "%.80s: saw no line, want \"seconds,factor\" lines",
		                path);
	km_lines_close(lines);
	return rc;
}
