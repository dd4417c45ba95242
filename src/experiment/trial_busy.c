/* SPDX-License-Identifier: Apache-2.0 */
/* What least-cpu sees: the busy share of each node's CPUs over a whole trace. */
#include <math.h>
#include <string.h>

#include "km/sources/trace.h"

#include "trial_internal.h"

/* CPU time and elapsed CPU time of one node. */
struct sums {
	double busy_ns, all_ns;
};

static void add(const struct km_plan *plan, const struct km_sample *s, struct sums *sum)
{
	double elapsed_ns = (double)(s->end_ns - s->start_ns);

	for (size_t i = 0; i < plan->node_count; i++) {
		if (!plan->node[i].cpus_given)
			continue;
		km_cpuset_each (cpu, &plan->node[i].cpus) {
			double busy = cpu < s->cpu_count ? km_sample_cpu(s, cpu, KM_COUNT_BUSY_NS)
			                                 : (double)NAN;

			if (isnan(busy))
				continue;
			sum[i].busy_ns += busy;
			sum[i].all_ns += elapsed_ns;
		}
	}
}

int trial_busy(const struct km_plan *plan, const struct km_buf *trace, double *busy,
               struct km_err *err)
{
	struct sums sum[KM_PLAN_NODES_MAX] = { { 0, 0 } };
	struct km_sample sample;
	struct km_trace *reader;
	const char *at = trace->data;
	const char *end = trace->data != NULL ? trace->data + trace->len : NULL;
	int rc = km_trace_create(&reader);

	if (rc != 0)
		return km_err_set(err, -rc, "out of memory");
	while (at != end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t len = stop != NULL ? (size_t)(stop - at) : (size_t)(end - at);
		struct km_err line = { .code = 0 };

		rc = km_trace_line(reader, at, len, &sample, &line);
		if (rc < 0) {
			(void)km_err_set(err, -rc, "the recorder's own trace: %.120s", line.text);
			break;
		}
		if (rc == KM_TRACE_ROW_SAMPLE)
			add(plan, &sample, sum);
		at += len + (stop != NULL);
	}
	km_trace_free(reader);
	for (size_t i = 0; i < plan->node_count; i++)
		busy[i] = sum[i].all_ns > 0 ? sum[i].busy_ns / sum[i].all_ns : (double)NAN;
	return rc < 0 ? rc : 0;
}
