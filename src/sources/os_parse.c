/* SPDX-License-Identifier: Apache-2.0 */
/* Line by line; unknown lines and fields are other kernels' business and skipped. */
#include "os_parse.h"

#include <errno.h>
#include <string.h>

#include "counter.h"

/* user, nice, system, idle: what the oldest kernels print. */
#define STAT_FIELDS_MIN 4
#define STAT_FIELDS     8 /* and iowait, irq, softirq, steal; guests' time is in user and nice */

struct text {
	const char *at, *end;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Cuts the next line off. returns false at the end. */
static bool next_line(struct text *from, struct text *line)
{
	const char *newline;

	if (from->at == from->end) {
		return false;
	}
	newline = memchr(from->at, '\n', (size_t)(from->end - from->at));
	line->at = from->at;
	line->end = newline != NULL ? newline : from->end;
	from->at = newline != NULL ? newline + 1 : from->end;
	return true;
}

/* Cuts the next word off. returns false when there is none. */
static bool next_word(struct text *line, struct text *word)
{
	while (line->at < line->end && is_blank(*line->at)) {
		line->at++;
	}
	word->at = line->at;
	while (line->at < line->end && !is_blank(*line->at)) {
		line->at++;
	}
	word->end = line->at;
	return word->end > word->at;
}

static bool is_word(const struct text *word, const char *want)
{
	size_t len = strlen(want);

	return (size_t)(word->end - word->at) == len && memcmp(word->at, want, len) == 0;
}

/* Takes `prefix` off the front of the word. returns whether it was there. */
static bool skip_prefix(struct text *word, const char *prefix)
{
	size_t len = strlen(prefix);

	if ((size_t)(word->end - word->at) < len || memcmp(word->at, prefix, len) != 0) {
		return false;
	}
	word->at += len;
	return true;
}

/* The whole word as a number. */
static bool is_number(const struct text *word, uint64_t *out)
{
	return km_counter_parse(word->at, (size_t)(word->end - word->at), out) == 0;
}

static bool next_number(struct text *line, uint64_t *out)
{
	struct text word;

	return next_word(line, &word) && is_number(&word, out);
}

static int bad_line(struct km_err *err, const char *what, const struct text *line)
{
	size_t len = (size_t)(line->end - line->at);

	return km_err_set(err, EBADMSG, "saw \"%.*s\", want %s", (int)(len < 60 ? len : 60),
	                  line->at, what);
}

/* The rest of a line "cpuN user nice system idle iowait irq softirq steal ...". */
static bool parse_cpu(struct text line, struct km_procstat_cpu *out)
{
	uint64_t field[STAT_FIELDS] = { 0 };
	size_t count = 0;
	struct text word;

	while (count < STAT_FIELDS && next_word(&line, &word)) {
		if (!is_number(&word, &field[count++])) {
			return false;
		}
	}
	if (count < STAT_FIELDS_MIN) {
		return false;
	}
	out->busy = field[0] + field[1] + field[2] + field[5] + field[6];
	out->idle = field[3] + field[4];
	out->steal = field[7];
	out->online = true;
	return true;
}

static int take_cpu(const struct text *whole, struct text word, struct text rest,
                    struct km_procstat *out, struct km_err *err)
{
	uint64_t cpu;

	if (!is_number(&word, &cpu)) {
		return bad_line(err, "a line cpuN", whole);
	}
	if (cpu >= KM_CPU_MAX) {
		return km_err_set(err, E2BIG, "CPU %llu, want at most %u", (unsigned long long)cpu,
		                  KM_CPU_MAX - 1);
	}
	if (!parse_cpu(rest, &out->cpu[cpu])) {
		return bad_line(err, "ticks of user, nice, system, idle, ...", whole);
	}
	if (cpu >= out->cpu_count) {
		out->cpu_count = (uint32_t)cpu + 1;
	}
	return 0;
}

int km_procstat_parse(const char *text, size_t len, struct km_procstat *out, struct km_err *err)
{
	struct text from = { text, text + len };
	struct text line;

	memset(out, 0, sizeof(*out));
	while (next_line(&from, &line)) {
		struct text rest = line;
		struct text word;
		int ret = 0;

		if (!next_word(&rest, &word) || is_word(&word, "cpu")) {
			continue; /* "cpu" alone is the sum */
		}
		if (is_word(&word, "ctxt")) {
			out->has_switches = next_number(&rest, &out->switches);
		} else if (is_word(&word, "procs_running")) {
			out->has_running = next_number(&rest, &out->running);
		} else if (skip_prefix(&word, "cpu")) {
			ret = take_cpu(&line, word, rest, out, err);
		}
		if (ret != 0) {
			return ret;
		}
	}
	if (out->cpu_count == 0) {
		return km_err_set(err, EBADMSG, "saw no line cpuN in %zu bytes, want one per CPU",
		                  len);
	}
	return 0;
}

int km_pressure_parse(const char *text, size_t len, uint64_t *some_us, struct km_err *err)
{
	struct text from = { text, text + len };
	struct text line;

	while (next_line(&from, &line)) {
		struct text rest = line;
		struct text word;

		if (!next_word(&rest, &word) || !is_word(&word, "some")) {
			continue;
		}
		while (next_word(&rest, &word)) {
			if (skip_prefix(&word, "total=")) {
				return is_number(&word, some_us)
				               ? 0
				               : bad_line(err, "total=MICROSECONDS", &line);
			}
		}
		return bad_line(err, "total= in it", &line);
	}
	return km_err_set(err, EBADMSG, "saw no line \"some\" in %zu bytes", len);
}

int km_throttled_parse(const char *text, size_t len, uint64_t *throttled_ns, struct km_err *err)
{
	static const struct {
		const char *key;
		uint64_t ns;
	} keys[] = { { "throttled_usec", 1000 }, { "throttled_time", 1 } };
	struct text from = { text, text + len };
	struct text line;

	while (next_line(&from, &line)) {
		struct text rest = line;
		struct text word;
		uint64_t value;

		if (!next_word(&rest, &word)) {
			continue;
		}
		for (size_t i = 0; i < KM_ARRAY_LEN(keys); i++) {
			if (!is_word(&word, keys[i].key)) {
				continue;
			}
			if (!next_number(&rest, &value) || value > UINT64_MAX / keys[i].ns) {
				return bad_line(err, "a time", &line);
			}
			*throttled_ns = value * keys[i].ns;
			return 0;
		}
	}
	return km_err_set(err, ENODATA, "saw no line throttled_usec or throttled_time");
}
