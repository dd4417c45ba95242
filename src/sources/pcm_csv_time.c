/* SPDX-License-Identifier: Apache-2.0 */
/* PCM's date and time columns, and the splitting of lines that both need. */
#include <errno.h>

#include "km/base/clock.h"

#include "sources_internal.h"

/* Keeps ns below 2^62, which core takes; a later year is a broken clock. */
#define YEAR_MIN 1970
#define YEAR_MAX 2100

bool km_pcm_next_field(const char **at, const char *end, char separator, struct km_pcm_text *out)
{
	const char *p = *at;
	const char *stop;

	if (p == NULL) {
		return false;
	}
	for (stop = p; stop < end && *stop != separator;) {
		stop++;
	}
	*at = stop < end ? stop + 1 : NULL;
	while (p < stop && (*p == ' ' || *p == '\t')) {
		p++;
	}
	while (stop > p && (stop[-1] == ' ' || stop[-1] == '\t' || stop[-1] == '\r')) {
		stop--;
	}
	out->at = p;
	out->len = (size_t)(stop - p);
	return true;
}

/* Reads exactly `digits` digits. returns the number, or -1. */
static int digits(const char *p, int count)
{
	int v = 0;

	for (int i = 0; i < count; i++) {
		if (p[i] < '0' || p[i] > '9') {
			return -1;
		}
		v = v * 10 + (p[i] - '0');
	}
	return v;
}

/* Days from 1970-01-01 in the proleptic Gregorian calendar: years begin in March, leap day last. */
static int64_t days_from_civil(int year, int month, int day)
{
	int y = month <= 2 ? year - 1 : year;
	int m = month <= 2 ? month + 9 : month - 3;
	int64_t era_days = (int64_t)y * 365 + y / 4 - y / 100 + y / 400;

	return era_days + (153 * m + 2) / 5 + day - 1 - 719468;
}

static int parse_date(struct km_pcm_text t, int64_t *days)
{
	int year;
	int month;
	int day;

	if (t.len != 10 || t.at[4] != '-' || t.at[7] != '-') {
		return -EINVAL;
	}
	year = digits(t.at, 4);
	month = digits(t.at + 5, 2);
	day = digits(t.at + 8, 2);
	if (year < YEAR_MIN || year > YEAR_MAX || month < 1 || month > 12 || day < 1 || day > 31) {
		return -EINVAL;
	}
	*days = days_from_civil(year, month, day);
	return 0;
}

static int parse_time(struct km_pcm_text t, int64_t *ns)
{
	int hour;
	int minute;
	int second;
	int64_t fraction_ns = 0;
	int64_t unit_ns = KM_NS_PER_S / 10;

	if (t.len < 8 || t.len > 18 || t.at[2] != ':' || t.at[5] != ':') {
		return -EINVAL;
	}
	hour = digits(t.at, 2);
	minute = digits(t.at + 3, 2);
	second = digits(t.at + 6, 2);
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) {
		return -EINVAL;
	}
	if (t.len > 8 && (t.at[8] != '.' || t.len == 9)) {
		return -EINVAL;
	}
	for (size_t i = 9; i < t.len; i++, unit_ns /= 10) {
		int d = digits(t.at + i, 1);

		if (d < 0) {
			return -EINVAL;
		}
		fraction_ns += d * unit_ns;
	}
	*ns = ((hour * 60 + minute) * 60 + second) * KM_NS_PER_S + fraction_ns;
	return 0;
}

int km_pcm_time_parse(struct km_pcm_text date, struct km_pcm_text time, int64_t *out_ns)
{
	int64_t days;
	int64_t ns;

	if (parse_date(date, &days) != 0 || parse_time(time, &ns) != 0) {
		return -EINVAL;
	}
	*out_ns = days * 86400 * KM_NS_PER_S + ns;
	return 0;
}
