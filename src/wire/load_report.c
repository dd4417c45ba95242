/* SPDX-License-Identifier: Apache-2.0 */
/* vegeta's JSON. What else it knows is left out; a report without latencies is none. */
#include "km/wire/load_report.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "km/base/num.h"
#include "km/wire/pick.h"

#include "load_report_internal.h"

#define NS_PER_MS 1e6

void km_load_result_init(struct km_load_result *out)
{
	*out = (struct km_load_result){
		.offered_rps = NAN,
		.achieved_rps = NAN,
		.mean_ms = NAN,
		.p50_ms = NAN,
		.p90_ms = NAN,
		.p95_ms = NAN,
		.p99_ms = NAN,
		.max_ms = NAN,
	};
}

void km_load_unmeasured(struct km_load_result *out)
{
	out->mean_ms = out->p50_ms = out->p90_ms = out->p95_ms = NAN;
	out->p99_ms = out->max_ms = NAN;
}

struct number {
	const char *path;
	size_t offset; /* of a double in struct km_load_result */
	double scale;
};

#define AT(field) offsetof(struct km_load_result, field)

static const struct number numbers[] = {
	{ "latencies/mean", AT(mean_ms), 1 / NS_PER_MS },
	{ "latencies/50th", AT(p50_ms), 1 / NS_PER_MS },
	{ "latencies/90th", AT(p90_ms), 1 / NS_PER_MS },
	{ "latencies/95th", AT(p95_ms), 1 / NS_PER_MS },
	{ "latencies/99th", AT(p99_ms), 1 / NS_PER_MS },
	{ "latencies/max", AT(max_ms), 1 / NS_PER_MS },
	{ "rate", AT(offered_rps), 1 },
	{ "throughput", AT(achieved_rps), 1 },
};

/* A number that is one and not below zero; everything else is -EINVAL. */
static int number_at(const struct km_json_slice *from, const char *path, double *out,
                     struct km_err *err)
{
	const struct km_json_slice value = km_json_pick(from, path);

	if (value.kind != KM_JSON_NUMBER || km_num_double(value.text, value.len, out) != 0 ||
	    !isfinite(*out) || *out < 0)
		return km_err_set(err, EINVAL, "vegeta: %s: saw %s, want a number from 0", path,
		                  value.kind == KM_JSON_NUMBER ? "another"
		                                               : km_json_kind_name(value.kind));
	return 0;
}

static void first_complaint(const struct km_json_slice *whole, char *said, size_t said_size)
{
	const struct km_json_slice list = km_json_pick(whole, "errors");
	struct km_json_items items = km_json_items(&list);
	struct km_json_slice item;

	if (said_size == 0)
		return;
	said[0] = '\0';
	if (km_json_next(&items, &item))
		(void)km_json_text(&item, said, said_size);
}

int km_vegeta_decode(const char *body, size_t len, struct km_load_result *out, char *said,
                     size_t said_size, struct km_err *err)
{
	struct km_json_slice whole;
	double success = NAN;
	int64_t requests;
	int rc;

	km_load_result_init(out);
	(void)snprintf(out->generator, sizeof(out->generator), "vegeta");
	out->open_loop = true;
	if (said_size > 0)
		said[0] = '\0';
	rc = km_json_whole(body, len, &whole, err);
	if (rc != 0)
		return km_err_prefix(err, "vegeta");
	if (whole.kind != KM_JSON_OBJECT)
		return km_err_set(err, EINVAL, "vegeta: saw %s, want an object",
		                  km_json_kind_name(whole.kind));
	requests = km_json_pick_integer(&whole, "requests", -1);
	if (requests < 0)
		return km_err_set(err, EINVAL, "vegeta: requests: want a number from 0");
	for (size_t i = 0; i < KM_ARRAY_LEN(numbers); i++) {
		double value = NAN;

		rc = number_at(&whole, numbers[i].path, &value, err);
		if (rc != 0)
			return rc;
		value *= numbers[i].scale;
		memcpy((char *)out + numbers[i].offset, &value, sizeof(value));
	}
	rc = number_at(&whole, "success", &success, err);
	if (rc != 0)
		return rc;
	if (success > 1)
		return km_err_set(err, EINVAL, "vegeta: success: saw %g, want 0 to 1", success);
	out->requests = (uint64_t)requests;
	out->errors = (uint64_t)llround((1 - success) * (double)requests);
	if (requests == 0)
		km_load_unmeasured(out);
	first_complaint(&whole, said, said_size);
	return 0;
}
