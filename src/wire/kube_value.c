/* SPDX-License-Identifier: Apache-2.0 */
/* Quantities and times as the Kubernetes API writes them. Pure, any thread. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "km/base/num.h"
#include "km/wire/kube_objects.h"

#include "wire_internal.h"

#define NS_PER_S        INT64_C(1000000000)
#define MANTISSA_DIGITS 19 /* always fit into 64 bits */
#define EXPONENT_HIGHEST                                                                           \
	60 /* with 19 digits and 10^18 for the unit: beyond int64_t long before                    \
	    */
#define YEAR_FIRST 1970
#define YEAR_LAST  2261 /* 2262-04-11 is where 64 bits of nanoseconds end */

typedef unsigned __int128 wide;

/* Suffix -> power. k8s.io/apimachinery, pkg/api/resource/suffix.go. */
static const struct {
	char text[4];
	int ten; /* power of ten */
	int two; /* power of two */
} suffixes[] = {
	{ "", 0, 0 },    { "n", -9, 0 },  { "u", -6, 0 },  { "m", -3, 0 },
	{ "k", 3, 0 },   { "M", 6, 0 },   { "G", 9, 0 },   { "T", 12, 0 },
	{ "P", 15, 0 },  { "E", 18, 0 },  { "Ki", 0, 10 }, { "Mi", 0, 20 },
	{ "Gi", 0, 30 }, { "Ti", 0, 40 }, { "Pi", 0, 50 }, { "Ei", 0, 60 },
};

/* mantissa x 10^ten x 2^two; `rest` = digits that are not zero were left out of the mantissa. */
struct quantity {
	uint64_t mantissa;
	int64_t ten;
	int two;
	bool negative, rest;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits with at most one dot among them. returns where they end, NULL when there is no digit. */
static const char *read_mantissa(const char *p, const char *end, struct quantity *q)
{
	bool any = false;
	bool dot = false;
	int digits = 0;

	for (; p < end && (is_digit(*p) || (*p == '.' && !dot)); p++) {
		if (*p == '.') {
			dot = true;
			continue;
		}
		any = true;
		if (digits < MANTISSA_DIGITS) {
			q->mantissa = q->mantissa * 10 + (uint64_t)(*p - '0');
			digits += q->mantissa > 0;
			q->ten -= dot;
		} else {
			q->rest = q->rest || *p != '0';
			q->ten += !dot;
		}
	}
	return any ? p : NULL;
}

static int read_suffix(const char *p, const char *end, struct quantity *q)
{
	size_t len = (size_t)(end - p);
	int64_t exponent;

	for (size_t i = 0; i < KM_ARRAY_LEN(suffixes); i++) {
		if (strlen(suffixes[i].text) != len || memcmp(suffixes[i].text, p, len) != 0)
			continue;
		q->ten += suffixes[i].ten;
		q->two = suffixes[i].two;
		return 0;
	}
	if (len < 2 || (*p != 'e' && *p != 'E'))
		return -EINVAL;
	p++;
	p += *p == '+' && len > 2;
	/* 1e+-3 would else be let through by the number reader. */
	if (p[0] == '-' && end - p > 1 && p[-1] == '+')
		return -EINVAL;
	if (km_num_int(p, (size_t)(end - p), &exponent) != 0 || exponent > 1000 || exponent < -1000)
		return -EINVAL;
	q->ten += exponent;
	return 0;
}

/* The quantity's size in units of 1/per_one, rounded up; INT64_MAX when beyond. */
static uint64_t units_of(const struct quantity *q, uint64_t per_one)
{
	uint64_t mantissa = q->mantissa;
	int64_t ten = q->ten;
	bool rest = q->rest;
	wide value;

	while (__builtin_mul_overflow((wide)mantissa, (wide)per_one << q->two, &value)) {
		if (ten >= 0)
			return INT64_MAX;
		rest = rest || mantissa % 10 != 0;
		mantissa /= 10;
		ten++;
	}
	for (; ten > 0 && value > 0; ten--) {
		if (value > INT64_MAX)
			return INT64_MAX;
		value *= 10;
	}
	for (; ten < 0 && value > 0; ten++) {
		rest = rest || value % 10 != 0;
		value /= 10;
	}
	value += rest;
	return value > INT64_MAX ? INT64_MAX : (uint64_t)value;
}

int km_kube_quantity_parse(const char *text, size_t len, int64_t per_one, int64_t *out)
{
	struct quantity q = { 0 };
	const char *end = text + len;
	const char *p = text;
	int64_t units;

	if (len > 0 && (*p == '-' || *p == '+')) {
		q.negative = *p == '-';
		p++;
	}
	p = read_mantissa(p, end, &q);
	if (p == NULL || read_suffix(p, end, &q) != 0)
		return -EINVAL;
	if (q.ten > EXPONENT_HIGHEST)
		q.ten = EXPONENT_HIGHEST;
	units = (int64_t)units_of(&q, (uint64_t)per_one);
	*out = q.negative ? -units : units;
	return 0;
}

/* `count` digits at p, which has them; -1 when it has not. */
static int digits_of(const char *p, const char *end, int count)
{
	int value = 0;

	if (end - p < count)
		return -1;
	for (int i = 0; i < count; i++) {
		if (!is_digit(p[i]))
			return -1;
		value = value * 10 + (p[i] - '0');
	}
	return value;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar (year >= 1970). */
static int64_t days_of(int year, int month, int day)
{
	/* Years that begin in March put the leap day at their end; 719468 days lie between
	 * 0000-03-01 and 1970-01-01. */
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t m = (month + 9) % 12;

	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1 - 719468;
}

static int days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* ".digits" -> nanoseconds, further digits dropped. returns where it ends, NULL when it is none. */
static const char *read_fraction(const char *p, const char *end, int64_t *ns)
{
	int64_t unit = NS_PER_S;
	const char *from;

	*ns = 0;
	if (p >= end || *p != '.')
		return p;
	for (from = ++p; p < end && is_digit(*p); p++) {
		unit /= 10;
		*ns += unit * (*p - '0');
	}
	return p > from ? p : NULL;
}

/* "Z" or "+hh:mm". returns false when it is neither, or something follows. */
static bool read_offset(const char *p, const char *end, int64_t *offset_s)
{
	int hours;
	int minutes;

	*offset_s = 0;
	if (end - p == 1)
		return *p == 'Z' || *p == 'z';
	if (end - p != 6 || (*p != '+' && *p != '-') || p[3] != ':')
		return false;
	hours = digits_of(p + 1, end, 2);
	minutes = digits_of(p + 4, end, 2);
	if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
		return false;
	*offset_s = (hours * INT64_C(60) + minutes) * (*p == '-' ? -60 : 60);
	return true;
}

int km_kube_time_parse(const char *text, size_t len, int64_t *unix_ns)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd";
	static const unsigned char at[] = { 0, 5, 8, 11, 14, 17 }; /* of the six numbers */
	const char *end = text + len;
	const char *p;
	int64_t offset_s;
	int64_t seconds;
	int64_t ns;
	int v[6];

	if (len < sizeof(form))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(form) - 1; i++) {
		if (form[i] == 'd' ? !is_digit(text[i])
		                   : text[i] != form[i] && !(form[i] == 'T' && text[i] == 't'))
			return -EINVAL;
	}
	for (size_t i = 0; i < KM_ARRAY_LEN(v); i++)
		v[i] = digits_of(text + at[i], end, i == 0 ? 4 : 2);
	/* 60 is a leap second. */
	if (v[0] < YEAR_FIRST || v[0] > YEAR_LAST || v[1] < 1 || v[1] > 12 || v[2] < 1 ||
	    v[2] > days_in(v[0], v[1]) || v[3] > 23 || v[4] > 59 || v[5] > 60)
		return -EINVAL;
	p = read_fraction(text + sizeof(form) - 1, end, &ns);
	if (p == NULL || !read_offset(p, end, &offset_s))
		return -EINVAL;
	seconds = ((days_of(v[0], v[1], v[2]) * 24 + v[3]) * 60 + v[4]) * 60 + v[5] - offset_s;
	if (seconds < 0)
		return -EINVAL;
	*unix_ns = seconds * NS_PER_S + ns;
	return 0;
}

void km_kube_time_format(int64_t unix_ns, bool micro, char out[KM_KUBE_TIME_MAX])
{
	time_t seconds = (time_t)(unix_ns / NS_PER_S);
	struct tm t;
	size_t len;

	(void)gmtime_r(&seconds, &t); /* cannot fail for years of four digits */
	len = strftime(out, KM_KUBE_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &t);
	if (micro)
		(void)snprintf(out + len, KM_KUBE_TIME_MAX - len, ".%06dZ",
		               (int)(unix_ns % NS_PER_S / 1000));
	else
		(void)snprintf(out + len, KM_KUBE_TIME_MAX - len, "Z");
}
