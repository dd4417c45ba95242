/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as vegeta's report, wrk's text and a stub_status page: an error has a text, and what is
 * taken has no number below zero and no more errors than requests.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/wire/load_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(int rc, const struct km_load_result *r, const struct km_err *err)
{
	const double value[] = { r->offered_rps, r->achieved_rps, r->mean_ms, r->p50_ms,
		                 r->p90_ms,      r->p95_ms,       r->p99_ms,  r->max_ms };

	if ((rc != 0) != (err->text[0] != '\0'))
		abort();
	if (rc != 0)
		return;
	for (size_t i = 0; i < KM_ARRAY_LEN(value); i++) {
		if (value[i] < 0) /* NaN is not */
			abort();
	}
	if (r->errors > r->requests)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct km_load_result r;
	struct km_stub_status status;
	struct km_err err = { .code = 0 };
	char said[16];
	int rc = km_vegeta_decode(text, size, &r, said, sizeof(said), &err);

	if (strlen(said) >= sizeof(said))
		abort();
	judge(rc, &r, &err);
	err = (struct km_err){ .code = 0 };
	rc = km_wrk_decode(text, size, &r, &err);
	judge(rc, &r, &err);
	err = (struct km_err){ .code = 0 };
	rc = km_stub_status_decode(text, size, &status, &err);
	if ((rc != 0) != (err.text[0] != '\0'))
		abort();
	return 0;
}
