/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sysfs says of PMUs and their events (Documentation/ABI/testing/
 * sysfs-bus-event_source-devices-format and -events), and of the CPU in cpuinfo.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/num.h"

#include "counter.h"
#include "perf_event.h"
#include "sysdir.h"

#define PMU_DIR "%s/bus/event_source/devices/%s"

/* strtoull would take blanks, signs and what does not fit. */
static int parse_number(const char *text, size_t len, uint64_t *out)
{
	uint64_t value = 0;

	if (len < 3 || text[0] != '0' || (text[1] != 'x' && text[1] != 'X')) {
		return km_counter_parse(text, len, out);
	}
	if (len > 2 + 16) {
		return -ERANGE;
	}
	for (size_t i = 2; i < len; i++) {
		const char *digits = "0123456789abcdefABCDEF";
		const char *at = text[i] != '\0' ? strchr(digits, text[i]) : NULL;
		uint64_t digit;

		if (at == NULL) {
			return -EINVAL;
		}
		digit = (uint64_t)(at - digits);
		value = value << 4 | (digit < 16 ? digit : digit - 6);
	}
	*out = value;
	return 0;
}

int km_perf_terms_parse(const char *text, struct km_perf_terms *out)
{
	memset(out, 0, sizeof(*out));
	while (*text != '\0') {
		size_t len = strcspn(text, ",");
		const char *equals = memchr(text, '=', len);
		size_t name_len = equals != NULL ? (size_t)(equals - text) : len;
		uint64_t value = 1;

		if (out->count == KM_PERF_TERMS_MAX) {
			return -E2BIG;
		}
		if (name_len == 0 || name_len >= sizeof(out->term[0].name)) {
			return -EBADMSG;
		}
		/* '/' and '.' would lead out of the format directory */
		if (memchr(text, '/', name_len) != NULL || text[0] == '.') {
			return -EBADMSG;
		}
		if (equals != NULL && parse_number(equals + 1, len - name_len - 1, &value) != 0) {
			return -EBADMSG;
		}
		memcpy(out->term[out->count].name, text, name_len);
		out->term[out->count].value = value;
		out->count++;
		text += len;
		if (*text == ',' && *++text == '\0') {
			return -EBADMSG; /* nothing behind the last comma */
		}
	}
	return out->count > 0 ? 0 : -EBADMSG;
}

/* "7" or "0-7". returns 0 or -EBADMSG. */
static int parse_bits(const char *text, size_t len, unsigned *low, unsigned *high)
{
	const char *dash = memchr(text, '-', len);
	size_t low_len = dash != NULL ? (size_t)(dash - text) : len;
	uint64_t a = 0;
	uint64_t b = 0;

	if (km_counter_parse(text, low_len, &a) != 0) {
		return -EBADMSG;
	}
	b = a;
	if (dash != NULL && km_counter_parse(dash + 1, len - low_len - 1, &b) != 0) {
		return -EBADMSG;
	}
	if (a > b || b > 63) {
		return -EBADMSG;
	}
	*low = (unsigned)a;
	*high = (unsigned)b;
	return 0;
}

int km_perf_format_apply(const char *format, uint64_t value, struct km_perf_event *event)
{
	static const char *const words[] = { "config", "config1", "config2" };
	const char *bits = strchr(format, ':');
	uint64_t *word = NULL;

	if (bits == NULL) {
		return -EBADMSG;
	}
	for (size_t i = 0; i < KM_ARRAY_LEN(words); i++) {
		if (strlen(words[i]) == (size_t)(bits - format) &&
		    memcmp(format, words[i], (size_t)(bits - format)) == 0) {
			word = &event->config[i];
		}
	}
	if (word == NULL) {
		return -EBADMSG;
	}
	/* the value's bits go into the ranges from the lowest on */
	for (bits++;; bits++) {
		size_t len = strcspn(bits, ",");
		unsigned low;
		unsigned high;

		if (parse_bits(bits, len, &low, &high) != 0) {
			return -EBADMSG;
		}
		for (unsigned bit = low; bit <= high; bit++, value >>= 1) {
			*word |= (value & 1) << bit;
		}
		bits += len;
		if (*bits == '\0') {
			break;
		}
	}
	return value == 0 ? 0 : -EBADMSG; /* it does not fit */
}

double km_perf_unit_bytes(const char *unit)
{
	static const struct {
		const char *name;
		double bytes;
	} units[] = { { "Bytes", 1 }, { "KiB", 0x1p10 }, { "MiB", 0x1p20 }, { "GiB", 0x1p30 } };

	for (size_t i = 0; i < KM_ARRAY_LEN(units); i++) {
		if (strcmp(units[i].name, unit) == 0) {
			return units[i].bytes;
		}
	}
	return 0;
}

int km_perf_pmu_read(const char *sysfs, const char *name, struct km_perf_pmu *out,
                     struct km_err *err)
{
	/* CPUs to open its events on, one for each socket or core; or all that are of its kind */
	static const char *const lists[] = { "cpumask", "cpus" };
	char path[PATH_MAX];
	char text[1024];
	uint64_t type = 0;
	int len;

	memset(out, 0, sizeof(*out));
	if (strlen(name) >= sizeof(out->name) ||
	    km_sysdir_path(path, sizeof(path), PMU_DIR "/type", sysfs, name) != 0) {
		return km_err_set(err, EBADMSG, "PMU %.80s: name too long", name);
	}
	memcpy(out->name, name, strlen(name) + 1);
	len = km_sysdir_value(path, text, sizeof(text));
	if (len < 0) {
		return km_err_errno(err, -len, "%.120s", path);
	}
	if (km_counter_parse(text, (size_t)len, &type) != 0 || type > UINT32_MAX) {
		return km_err_set(err, EBADMSG, "%.120s: saw \"%.20s\", want a number", path, text);
	}
	out->type = (uint32_t)type;
	len = -ENOENT;
	for (size_t i = 0; i < KM_ARRAY_LEN(lists) && len == -ENOENT; i++) {
		if (km_sysdir_path(path, sizeof(path), PMU_DIR "/%s", sysfs, name, lists[i]) != 0) {
			return km_err_set(err, EBADMSG, "PMU %.80s: path too long", name);
		}
		len = km_sysdir_value(path, text, sizeof(text));
	}
	if (len == -ENOENT) {
		return 0;
	}
	if (len < 0) {
		return km_err_errno(err, -len, "%.120s", path);
	}
	if (km_cpuset_parse(text, &out->cpus, err) != 0) {
		return km_err_set(err, EBADMSG, "%.120s: saw \"%.20s\", want CPUs", path, text);
	}
	return 0;
}

/* A file beside or below a PMU's events. returns its length or a negative errno. */
static int pmu_file(const char *sysfs, const struct km_perf_pmu *pmu, const char *file, char *text,
                    size_t size)
{
	char path[PATH_MAX];

	if (km_sysdir_path(path, sizeof(path), PMU_DIR "/%s", sysfs, pmu->name, file) != 0) {
		return -ENAMETOOLONG;
	}
	return km_sysdir_value(path, text, size);
}

/* events/NAME into out->config. */
static int read_config(const char *sysfs, const struct km_perf_pmu *pmu, const char *name,
                       struct km_perf_event *out, struct km_err *err)
{
	struct km_perf_terms terms;
	char file[128];
	char text[256] = "";
	int len = km_sysdir_path(file, sizeof(file), "events/%s", name);

	if (len == 0) {
		len = pmu_file(sysfs, pmu, file, text, sizeof(text));
	}
	if (len < 0) {
		return km_err_errno(err, -len, "PMU %s: event %s", pmu->name, name);
	}
	if (km_perf_terms_parse(text, &terms) != 0) {
		return km_err_set(err, EBADMSG, "PMU %s: event %s is \"%.60s\"", pmu->name, name,
		                  text);
	}
	memset(out->config, 0, sizeof(out->config));
	for (size_t i = 0; i < terms.count; i++) {
		if (km_sysdir_path(file, sizeof(file), "format/%s", terms.term[i].name) != 0 ||
		    pmu_file(sysfs, pmu, file, text, sizeof(text)) < 0 ||
		    km_perf_format_apply(text, terms.term[i].value, out) != 0) {
			return km_err_set(err, EBADMSG, "PMU %s: event %s: term %s has no place",
			                  pmu->name, name, terms.term[i].name);
		}
	}
	return 0;
}

int km_perf_pmu_event(const char *sysfs, const struct km_perf_pmu *pmu, const char *name,
                      bool in_bytes, struct km_perf_event *out, struct km_err *err)
{
	char file[128];
	char text[64];
	int ret = read_config(sysfs, pmu, name, out, err);
	int len;

	if (ret != 0) {
		return ret;
	}
	out->type = pmu->type;
	out->scale = 1;
	if (km_sysdir_path(file, sizeof(file), "events/%s.scale", name) != 0) {
		return km_err_set(err, EBADMSG, "PMU %s: event %s: name too long", pmu->name, name);
	}
	len = pmu_file(sysfs, pmu, file, text, sizeof(text));
	if (len >= 0 && (km_num_double(text, (size_t)len, &out->scale) != 0 ||
	                 !isfinite(out->scale) || out->scale <= 0)) {
		return km_err_set(err, EBADMSG, "PMU %s: %s is \"%.20s\"", pmu->name, file, text);
	}
	if (!in_bytes) {
		return 0;
	}
	if (km_sysdir_path(file, sizeof(file), "events/%s.unit", name) != 0) {
		return km_err_set(err, EBADMSG, "PMU %s: event %s: name too long", pmu->name, name);
	}
	len = pmu_file(sysfs, pmu, file, text, sizeof(text));
	if (len < 0 || km_perf_unit_bytes(text) <= 0) {
		return km_err_set(err, EBADMSG, "PMU %s: %s is \"%.20s\", want MiB or the like",
		                  pmu->name, file, len < 0 ? "" : text);
	}
	out->scale *= km_perf_unit_bytes(text);
	return 0;
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t')) {
		p++;
	}
	return p;
}

/* The value of "key : value" in [at, end), or NULL; *len is its length. */
static const char *cpuinfo_field(const char *at, const char *end, const char *key, size_t *len)
{
	size_t key_len = strlen(key);

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline != NULL ? newline : end;
		const char *p = at + key_len;

		if ((size_t)(stop - at) > key_len && memcmp(at, key, key_len) == 0) {
			p = skip_blanks(p, stop);
			if (p < stop && *p == ':') {
				p = skip_blanks(p + 1, stop);
				*len = (size_t)(stop - p);
				return p;
			}
		}
		at = stop + 1;
	}
	return NULL;
}

int km_perf_cpu_id_parse(const char *text, size_t len, struct km_perf_cpu_id *out)
{
	const char *end = text + len;
	uint64_t family = 0;
	uint64_t model = 0;
	size_t n = 0;
	const char *v = cpuinfo_field(text, end, "vendor_id", &n);

	memset(out, 0, sizeof(*out));
	if (v == NULL || n == 0 || n >= sizeof(out->vendor) || memchr(v, 0, n) != NULL) {
		return -EBADMSG;
	}
	memcpy(out->vendor, v, n);
	v = cpuinfo_field(text, end, "cpu family", &n);
	if (v == NULL || km_counter_parse(v, n, &family) != 0 || family > UINT16_MAX) {
		return -EBADMSG;
	}
	v = cpuinfo_field(text, end, "model", &n);
	if (v == NULL || km_counter_parse(v, n, &model) != 0 || model > UINT16_MAX) {
		return -EBADMSG;
	}
	out->family = (unsigned)family;
	out->model = (unsigned)model;
	return 0;
}
