/* SPDX-License-Identifier: Apache-2.0 */
#include "km/wire/stress_report.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "km/base/num.h"
#include "km/wire/json.h"
#include "km/wire/pick.h"

#define DIGITS      9   /* of a rate; more is noise */
#define SECONDS_MAX 1e9 /* a generation */
#define RATE_MAX    1e18
#define BYTES_MAX   1e15
#define DUTY_MAX    1.5              /* rounding of the two clocks, when it ran for an instant */
#define CPUS_MAX    (5 * KM_CPU_MAX) /* of a list of them: every second one is the longest */

void km_stress_report_encode(const struct km_stress_result *r, struct km_buf *out)
{
	struct km_json j = km_json_to(out);
	struct km_buf cpus;

	km_buf_init(&cpus);
	km_cpuset_format(&r->cpus, &cpus);
	km_json_begin(&j, '{');
	km_json_put_string(&j, "kind", km_stress_kind_name(r->kind));
	km_json_put_integer(&j, "intensity", r->level_pct);
	km_json_put_string(&j, "cpus", km_buf_cstr(&cpus));
	km_json_put_rounded(&j, "seconds", r->seconds, DIGITS);
	km_json_put_rounded(&j, "dutyRatio", r->duty_ratio, DIGITS);
	km_json_put_rounded(&j, "opsPerSecond", r->ops_per_s, DIGITS);
	km_json_put_rounded(&j, "bytesPerSecond", r->bytes_per_s, DIGITS);
	km_json_put_number(&j, "workingSetBytes", r->working_set_bytes);
	km_json_put_string(&j, "unit", r->unit);
	km_json_put_bool(&j, "cachesAssumed", r->caches_assumed);
	km_json_end(&j, '}');
	km_buf_fini(&cpus);
}

/* null is NaN; the key has to be there. */
static int read_number(const struct km_json_slice *from, const char *key, double most, double *out,
                       struct km_err *err)
{
	struct km_json_slice slice = km_json_pick(from, key);

	*out = NAN;
	if (slice.kind == KM_JSON_NULL)
		return 0;
	if (slice.kind != KM_JSON_NUMBER || km_num_double(slice.text, slice.len, out) != 0 ||
	    !(*out >= 0 && *out <= most))
		return km_err_set(err, EINVAL, "%s: want a number, 0 to %g, or null", key, most);
	return 0;
}

static int read_words(const struct km_json_slice *from, struct km_stress_result *r,
                      struct km_err *err)
{
	char text[CPUS_MAX];
	int64_t level = km_json_pick_integer(from, "intensity", -1);
	int kind = km_stress_kind_parse(km_json_pick_text(from, "kind", text, sizeof(text)));
	int rc;

	if (kind < 0)
		return km_err_set(err, EINVAL, "kind: saw \"%.32s\", want a kind of stress", text);
	if (level < 0 || level > KM_STRESS_LEVEL_MAX)
		return km_err_set(err, EINVAL, "intensity: want 0 to %u", KM_STRESS_LEVEL_MAX);
	r->kind = (enum km_stress_kind)kind;
	r->level_pct = (unsigned)level;
	rc = km_cpuset_parse(km_json_pick_text(from, "cpus", text, sizeof(text)), &r->cpus, err);
	if (rc != 0)
		return km_err_prefix(err, "cpus");
	if (km_cpuset_count(&r->cpus) == 0)
		return km_err_set(err, EINVAL, "cpus: want a list of CPUs");
	(void)km_json_pick_text(from, "unit", r->unit, sizeof(r->unit));
	r->caches_assumed = km_json_pick(from, "cachesAssumed").kind == KM_JSON_TRUE;
	return 0;
}

int km_stress_report_decode(const char *text, size_t len, struct km_stress_result *out,
                            struct km_err *err)
{
	struct km_stress_result r = { .level_pct = 0 };
	struct km_json_slice whole;
	int rc = km_json_whole(text, len, &whole, err);

	if (rc == 0 && whole.kind != KM_JSON_OBJECT)
		rc = km_err_set(err, EINVAL, "want an object, saw %s",
		                km_json_kind_name(whole.kind));
	if (rc != 0 || (rc = read_words(&whole, &r, err)) != 0 ||
	    (rc = read_number(&whole, "seconds", SECONDS_MAX, &r.seconds, err)) != 0 ||
	    (rc = read_number(&whole, "dutyRatio", DUTY_MAX, &r.duty_ratio, err)) != 0 ||
	    (rc = read_number(&whole, "opsPerSecond", RATE_MAX, &r.ops_per_s, err)) != 0 ||
	    (rc = read_number(&whole, "bytesPerSecond", RATE_MAX, &r.bytes_per_s, err)) != 0 ||
	    (rc = read_number(&whole, "workingSetBytes", BYTES_MAX, &r.working_set_bytes, err)) !=
	            0)
		return rc == -ENOMEM ? rc : -EINVAL;
	*out = r;
	return 0;
}

double km_stress_ng_decode(const char *text, size_t len)
{
	static const char key[] = "bogo-ops-per-second-real-time: ";
	const char *end = text + len;
	double sum = NAN;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *stop = newline != NULL ? newline : end;
		double value;

		while (text < stop && *text == ' ')
			text++;
		if ((size_t)(stop - text) >= sizeof(key) - 1 &&
		    memcmp(text, key, sizeof(key) - 1) == 0 &&
		    km_num_double(text + sizeof(key) - 1, (size_t)(stop - text) - (sizeof(key) - 1),
		                  &value) == 0 &&
		    value >= 0 && value <= RATE_MAX)
			sum = isnan(sum) ? value : sum + value;
		text = stop + (newline != NULL);
	}
	return sum;
}
