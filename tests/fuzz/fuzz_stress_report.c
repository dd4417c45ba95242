/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports of stressors: ours as JSON, stress-ng's as YAML, and the one in a pod's log. Exercises
 * ranges, nulls, CPU lists, cut lines; what was read is written and reads back the same.
 */
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/wire/stress_report.h"

#include "rig/cluster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static bool near(double a, double b)
{
	return (isnan(a) && isnan(b)) || fabs(a - b) <= fabs(a) * 1e-8;
}

static void last_object(const uint8_t *data, size_t size)
{
	struct km_buf log;
	const char *line;
	size_t len = 0;

	km_buf_init(&log);
	km_buf_append(&log, data, size);
	line = cluster_last_object(&log, &len);
	must(line == NULL || (line >= log.data && len > 0 && line + len <= log.data + log.len &&
	                      line[0] == '{' && memchr(line, '\n', len) == NULL));
	km_buf_fini(&log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct km_stress_result r;
	struct km_stress_result again;
	struct km_err err = { .code = 0 };
	struct km_buf out;
	double bogo = km_stress_ng_decode((const char *)data, size);
	int rc = km_stress_report_decode((const char *)data, size, &r, &err);

	last_object(data, size);
	must(isnan(bogo) || bogo >= 0);
	must(rc == 0 || (rc == -EINVAL && err.text[0] != '\0'));
	if (rc != 0)
		return 0;
	must((unsigned)r.kind < KM_STRESS_KIND_N && r.level_pct <= KM_STRESS_LEVEL_MAX);
	must(km_cpuset_count(&r.cpus) > 0 && memchr(r.unit, '\0', sizeof(r.unit)) != NULL);
	km_buf_init(&out);
	km_stress_report_encode(&r, &out);
	must(km_buf_ok(&out) && km_stress_report_decode(out.data, out.len, &again, NULL) == 0);
	must(again.kind == r.kind && again.level_pct == r.level_pct &&
	     memcmp(&again.cpus, &r.cpus, sizeof(r.cpus)) == 0 &&
	     again.caches_assumed == r.caches_assumed);
	must(near(again.seconds, r.seconds) && near(again.duty_ratio, r.duty_ratio) &&
	     near(again.ops_per_s, r.ops_per_s) && near(again.bytes_per_s, r.bytes_per_s) &&
	     near(again.working_set_bytes, r.working_set_bytes));
	km_buf_fini(&out);
	return 0;
}
