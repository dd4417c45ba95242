/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What load generators and the server under load say of one load: vegeta's JSON report, wrk's text,
 * nginx's stub_status page. Percentiles are the generator's own, never put together from parts.
 */
#ifndef KM_WIRE_LOAD_REPORT_H
#define KM_WIRE_LOAD_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/base/macros.h"

/* NaN = the generator does not say. Latencies are of all requests, failed ones included. */
struct km_load_result {
	char generator[16];
	char version[48];
	bool open_loop; /* sends at its own pace; false: waits for each answer before the next */
	double offered_rps;  /* asked of the generator; NaN in a closed loop */
	double achieved_rps; /* answered well per second */
	double mean_ms, p50_ms, p90_ms, p95_ms, p99_ms, max_ms;
	uint64_t requests; /* sent, as the next of them */
	uint64_t errors;   /* without a good answer (2xx or 3xx) */
};

/* All NaN, "" and 0. */
void km_load_result_init(struct km_load_result *out);

/*
 * `vegeta report -type json`: body [len] -> *out, initialised here; offered_rps is the pace it
 * kept, version stays "". What it complains of first is put into `said` (NUL-terminated, cut;
 * "" = nothing; size 0 = not wanted). returns 0 or -EINVAL: no JSON, or without requests,
 * latencies, success. Any thread. source: vegeta v12 lib/metrics.go
 */
int km_vegeta_decode(const char *body, size_t len, struct km_load_result *out, char *said,
                     size_t said_size, struct km_err *err) KM_MUST_CHECK;

/*
 * `wrk --latency`'s text, as above. It knows no 95th percentile: NaN. A closed loop: what it
 * measures above saturation says little. source: wrk 4.1 src/wrk.c, src/units.c
 */
int km_wrk_decode(const char *text, size_t len, struct km_load_result *out,
                  struct km_err *err) KM_MUST_CHECK;

/* nginx's own counts since it started. */
struct km_stub_status {
	uint64_t active; /* connections now */
	uint64_t accepts, handled, requests;
};

/* The page of ngx_http_stub_status_module. returns 0 or -EINVAL. */
int km_stub_status_decode(const char *text, size_t len, struct km_stub_status *out,
                          struct km_err *err) KM_MUST_CHECK;

#endif
