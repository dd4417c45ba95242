/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Number parsing. Most counter values have at most 15 digits and a small exponent: their digits and
 * the power of ten are both exact doubles, so one multiplication or division rounds correctly.
 * The rest goes to strtod, whose decimal point is '.' because nobody calls setlocale.
 */
#include "km/base/num.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* 10^22 is the largest power of ten that is an exact double. */
static const double exact_power[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
	                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
	                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

#define EXACT_DIGITS      15
#define EXACT_EXPONENT    ((int)KM_ARRAY_LEN(exact_power) - 1)
#define EXPONENT_SATURATE 100000

/* A number taken apart: value = digits * 10^exponent, `digits` valid while exact. */
struct decimal {
	uint64_t digits;
	int significant; /* digits counted from the first that is not 0 */
	int exponent;
	bool any;
};

static const char *scan_digits(const char *p, const char *end, int exponent_step, struct decimal *d)
{
	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		d->any = true;
		if (d->significant > 0 || *p != '0')
			d->significant++;
		if (d->significant <= EXACT_DIGITS)
			d->digits = d->digits * 10 + (uint64_t)(*p - '0');
		d->exponent += exponent_step;
	}
	return p;
}

/* returns the end of the exponent, or NULL when 'e' is not followed by a number. */
static const char *scan_exponent(const char *p, const char *end, struct decimal *d)
{
	const char *first;
	bool negative = false;
	int value = 0;

	if (p < end && (*p == '+' || *p == '-'))
		negative = *p++ == '-';
	first = p;
	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		if (value < EXPONENT_SATURATE)
			value = value * 10 + (*p - '0');
	}
	if (p == first)
		return NULL;
	d->exponent += negative ? -value : value;
	return p;
}

static int parse_special(const char *p, size_t len, bool negative, double *out)
{
	if (len != 3)
		return -EINVAL;
	if (strncasecmp(p, "nan", 3) == 0)
		*out = NAN;
	else if (strncasecmp(p, "inf", 3) == 0)
		*out = negative ? -INFINITY : INFINITY;
	else
		return -EINVAL;
	return 0;
}

static int parse_slow(const char *text, size_t len, double *out)
{
	char copy[KM_NUM_MAX_BYTES + 1];

	if (len > KM_NUM_MAX_BYTES)
		return -EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	*out = strtod(copy, NULL); /* overflow gives infinity, underflow 0: both are the rounding */
	return 0;
}

int km_num_double(const char *text, size_t len, double *out)
{
	const char *p = text;
	const char *end = text + len;
	const char *unsigned_part;
	struct decimal d = { .digits = 0 };
	bool negative = false;
	double value;

	if (len == 0)
		return -EINVAL;
	if (*p == '+' || *p == '-')
		negative = *p++ == '-';
	unsigned_part = p;
	p = scan_digits(p, end, 0, &d);
	if (p < end && *p == '.')
		p = scan_digits(p + 1, end, -1, &d);
	if (!d.any)
		return parse_special(unsigned_part, (size_t)(end - unsigned_part), negative, out);
	if (p < end && (*p == 'e' || *p == 'E'))
		p = scan_exponent(p + 1, end, &d);
	if (p != end)
		return -EINVAL;
	if (d.significant > EXACT_DIGITS || d.exponent > EXACT_EXPONENT ||
	    d.exponent < -EXACT_EXPONENT)
		return parse_slow(text, len, out);
	value = (double)d.digits;
	if (d.exponent < 0)
		value /= exact_power[-d.exponent];
	else
		value *= exact_power[d.exponent];
	*out = negative ? -value : value;
	return 0;
}

int km_num_int(const char *text, size_t len, int64_t *out)
{
	const char *p = text;
	const char *end = text + len;
	bool negative = false;
	bool overflow = false;
	int64_t value = 0;

	if (p < end && (*p == '+' || *p == '-'))
		negative = *p++ == '-';
	if (p == end)
		return -EINVAL;
	/* Built up below zero: the negative range is the larger one. */
	for (; p < end; p++) {
		if (*p < '0' || *p > '9')
			return -EINVAL;
		overflow |= __builtin_mul_overflow(value, (int64_t)10, &value);
		overflow |= __builtin_sub_overflow(value, (int64_t)(*p - '0'), &value);
	}
	if (overflow || (!negative && value == INT64_MIN))
		return -ERANGE;
	*out = negative ? value : -value;
	return 0;
}
