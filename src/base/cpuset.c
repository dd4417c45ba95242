/* SPDX-License-Identifier: Apache-2.0 */
/* CPU sets as bit words, and the kernel's list notation. */
#include "km/base/cpuset.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define WORDS KM_ARRAY_LEN(((struct km_cpuset *)0)->word)

/* returns 0 and moves *p behind the number, or -EINVAL / -ERANGE. */
static int parse_cpu(const char **p, unsigned *out)
{
	unsigned value = 0;

	if (!isdigit((unsigned char)**p))
		return -EINVAL;
	for (; isdigit((unsigned char)**p); (*p)++) {
		if (value < KM_CPU_MAX)
			value = value * 10 + (unsigned)(**p - '0');
	}
	if (value >= KM_CPU_MAX)
		return -ERANGE;
	*out = value;
	return 0;
}

/* One element, "5" or "2-7". */
static int parse_range(const char **p, struct km_cpuset *set)
{
	unsigned first = 0;
	unsigned last;
	int rc = parse_cpu(p, &first);

	if (rc != 0)
		return rc;
	last = first;
	if (**p == '-') {
		(*p)++;
		rc = parse_cpu(p, &last);
		if (rc != 0)
			return rc;
	}
	if (last < first)
		return -EINVAL;
	for (unsigned cpu = first; cpu <= last; cpu++)
		km_cpuset_add(set, cpu);
	return 0;
}

int km_cpuset_parse(const char *text, struct km_cpuset *out, struct km_err *err)
{
	struct km_cpuset set = { .word = { 0 } };
	const char *p = text;
	int rc = 0;

	while (*p != '\0' && *p != '\n') {
		rc = parse_range(&p, &set);
		if (rc == -ERANGE) {
			return km_err_set(err, ERANGE, "CPU list \"%.64s\": want CPUs 0 to %d",
			                  text, KM_CPU_MAX - 1);
		}
		if (rc == 0 && *p == ',' && isdigit((unsigned char)p[1]))
			p++;
		else if (rc != 0 || (*p != '\0' && *p != '\n'))
			break;
	}
	if (*p == '\n') /* the kernel's files end so */
		p++;
	if (rc != 0 || *p != '\0')
		return km_err_set(err, EINVAL, "CPU list \"%.64s\": want a list like 0-2,5", text);
	*out = set;
	return 0;
}

void km_cpuset_format(const struct km_cpuset *s, struct km_buf *out)
{
	bool first_range = true;
	unsigned cpu = km_cpuset_next(s, 0);

	while (cpu < KM_CPU_MAX) {
		unsigned last = cpu;

		while (km_cpuset_has(s, last + 1))
			last++;
		if (!first_range)
			km_buf_char(out, ',');
		first_range = false;
		km_buf_int(out, cpu);
		if (last > cpu) {
			km_buf_char(out, '-');
			km_buf_int(out, last);
		}
		cpu = km_cpuset_next(s, last + 1);
	}
}

void km_cpuset_add(struct km_cpuset *s, unsigned cpu)
{
	if (cpu < KM_CPU_MAX)
		s->word[cpu / 64] |= UINT64_C(1) << (cpu % 64);
}

bool km_cpuset_has(const struct km_cpuset *s, unsigned cpu)
{
	return cpu < KM_CPU_MAX && (s->word[cpu / 64] >> (cpu % 64) & 1) != 0;
}

unsigned km_cpuset_count(const struct km_cpuset *s)
{
	unsigned count = 0;

	for (size_t i = 0; i < WORDS; i++)
		count += (unsigned)__builtin_popcountll(s->word[i]);
	return count;
}

bool km_cpuset_intersects(const struct km_cpuset *a, const struct km_cpuset *b)
{
	for (size_t i = 0; i < WORDS; i++) {
		if ((a->word[i] & b->word[i]) != 0)
			return true;
	}
	return false;
}

unsigned km_cpuset_next(const struct km_cpuset *s, unsigned from)
{
	while (from < KM_CPU_MAX) {
		uint64_t rest = s->word[from / 64] >> (from % 64);

		if (rest != 0)
			return from + (unsigned)__builtin_ctzll(rest);
		from = (from / 64 + 1) * 64;
	}
	return KM_CPU_MAX;
}
