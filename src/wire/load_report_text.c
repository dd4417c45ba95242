/* SPDX-License-Identifier: Apache-2.0 */
/* wrk's text and nginx's stub_status page: words and numbers in places that never changed. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "km/base/num.h"
#include "km/wire/load_report.h"

#include "load_report_internal.h"

#define WORDS_MAX 10

struct word {
	const char *text;
	size_t len;
};

/* The next line of [*p, end) as its first words. returns whether there was a line. */
static bool next_line(const char **p, const char *end, struct word words[WORDS_MAX], size_t *count)
{
	const char *q = *p;

	*count = 0;
	if (q == end)
		return false;
	while (q < end && *q != '\n') {
		const char *from;

		while (q < end && (*q == ' ' || *q == '\t' || *q == '\r'))
			q++;
		from = q;
		while (q < end && *q != ' ' && *q != '\t' && *q != '\r' && *q != '\n')
			q++;
		if (q > from && *count < WORDS_MAX)
			words[(*count)++] = (struct word){ from, (size_t)(q - from) };
	}
	*p = q < end ? q + 1 : end;
	return true;
}

static bool is(const struct word *w, const char *text)
{
	return w->len == strlen(text) && memcmp(w->text, text, w->len) == 0;
}

static bool count_of(const struct word *w, uint64_t *out)
{
	size_t len = w->len > 0 && w->text[w->len - 1] == ',' ? w->len - 1 : w->len;
	int64_t value;

	if (km_num_int(w->text, len, &value) != 0 || value < 0)
		return false;
	*out = (uint64_t)value;
	return true;
}

/* "131.00us", "4.16ms", "1.20s", "1.50m", "1.00h" in milliseconds. */
static bool duration_ms(const struct word *w, double *out)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = { { "us", 1e-3 }, { "ms", 1 }, { "s", 1e3 }, { "m", 60e3 }, { "h", 3600e3 } };

	for (size_t i = 0; i < KM_ARRAY_LEN(units); i++) {
		size_t len = strlen(units[i].unit);
		double value;

		if (w->len <= len || memcmp(w->text + w->len - len, units[i].unit, len) != 0 ||
		    km_num_double(w->text, w->len - len, &value) != 0)
			continue;
		if (!isfinite(value) || value < 0)
			return false;
		*out = value * units[i].ms;
		return true;
	}
	return false;
}

/* What was found of a wrk report. */
struct wrk {
	struct km_load_result *result;
	double seconds;
	uint64_t bad_status, unsent, late;
};

static bool percentile(struct wrk *w, const struct word *word)
{
	static const struct {
		const char *name;
		size_t offset;
	} percentiles[] = { { "50%", offsetof(struct km_load_result, p50_ms) },
		            { "90%", offsetof(struct km_load_result, p90_ms) },
		            { "99%", offsetof(struct km_load_result, p99_ms) } };
	double value;

	for (size_t i = 0; i < KM_ARRAY_LEN(percentiles); i++) {
		if (!is(&word[0], percentiles[i].name))
			continue;
		if (!duration_ms(&word[1], &value))
			return false;
		memcpy((char *)w->result + percentiles[i].offset, &value, sizeof(value));
	}
	return true;
}

/*
 * "  Socket errors: connect 0, read 0, write 0, timeout 0". A timeout is an answer that came too
 * late and was counted as a request; the others were not.
 */
static bool socket_errors(struct wrk *w, const struct word *word, size_t n)
{
	uint64_t each;

	for (size_t i = 3; i < n; i += 2) {
		if (!count_of(&word[i], &each) || each > UINT32_MAX)
			return false;
		if (is(&word[i - 1], "timeout"))
			w->late += each;
		else
			w->unsent += each;
	}
	return true;
}

/* One line of the report. returns false when it is one we know with something else in it. */
static bool wrk_line(struct wrk *w, const struct word *word, size_t n)
{
	if (n >= 4 && is(&word[0], "Latency") && !is(&word[1], "Distribution"))
		return duration_ms(&word[1], &w->result->mean_ms) &&
		       duration_ms(&word[3], &w->result->max_ms);
	if (n == 2 && word[0].text[word[0].len - 1] == '%')
		return percentile(w, word);
	if (n >= 4 && is(&word[1], "requests") && is(&word[2], "in")) {
		struct word took = word[3];
		double ms = NAN;

		took.len -= took.len > 1 && took.text[took.len - 1] == ',';
		if (!duration_ms(&took, &ms))
			return false;
		w->seconds = ms / 1e3;
		return count_of(&word[0], &w->result->requests) &&
		       w->result->requests <= INT64_MAX / 2;
	}
	if (n >= 4 && is(&word[0], "Socket") && is(&word[1], "errors:"))
		return socket_errors(w, word, n);
	if (n == 5 && is(&word[0], "Non-2xx"))
		return count_of(&word[4], &w->bad_status) && w->bad_status <= INT64_MAX / 2;
	if (n == 2 && is(&word[0], "Requests/sec:"))
		return km_num_double(word[1].text, word[1].len, &w->result->achieved_rps) == 0 &&
		       isfinite(w->result->achieved_rps) && w->result->achieved_rps >= 0;
	return true;
}

int km_wrk_decode(const char *text, size_t len, struct km_load_result *out, struct km_err *err)
{
	struct wrk w = { .result = out, .seconds = NAN };
	const char *p = text;
	struct word word[WORDS_MAX];
	size_t line = 0;
	uint64_t good;
	uint64_t bad;
	size_t n;

	km_load_result_init(out);
	(void)snprintf(out->generator, sizeof(out->generator), "wrk");
	while (next_line(&p, text + len, word, &n)) {
		line++;
		if (!wrk_line(&w, word, n))
			return km_err_set(err, EINVAL, "wrk: line %zu: not a line of its report",
			                  line);
	}
	if (isnan(out->achieved_rps) || isnan(w.seconds))
		return km_err_set(err, EINVAL, "wrk: want Requests/sec: and N requests in T");
	if (isnan(out->p99_ms))
		return km_err_set(err, EINVAL,
		                  "wrk: want a Latency Distribution (--latency) with 99%%");
	bad = w.bad_status + w.late; /* one answer may be both */
	bad = bad < out->requests ? bad : out->requests;
	good = out->requests - bad;
	out->requests += w.unsent;
	out->errors = out->requests - good;
	if (w.seconds > 0 && out->errors > 0)
		out->achieved_rps = (double)good / w.seconds;
	if (good + bad == 0)
		km_load_unmeasured(out);
	return 0;
}

int km_stub_status_decode(const char *text, size_t len, struct km_stub_status *out,
                          struct km_err *err)
{
	const char *p = text;
	struct word word[WORDS_MAX];
	size_t n;

	*out = (struct km_stub_status){ .active = 0 };
	if (!next_line(&p, text + len, word, &n) || n != 3 || !is(&word[0], "Active") ||
	    !is(&word[1], "connections:") || !count_of(&word[2], &out->active))
		return km_err_set(err, EINVAL, "stub_status: want Active connections: N");
	if (!next_line(&p, text + len, word, &n) || n != 4 || !is(&word[0], "server") ||
	    !is(&word[3], "requests"))
		return km_err_set(err, EINVAL, "stub_status: want server accepts handled requests");
	if (!next_line(&p, text + len, word, &n) || n != 3 || !count_of(&word[0], &out->accepts) ||
	    !count_of(&word[1], &out->handled) || !count_of(&word[2], &out->requests))
		return km_err_set(err, EINVAL, "stub_status: want three counts");
	return 0;
}
