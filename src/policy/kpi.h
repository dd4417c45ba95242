/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What policies want to know of Prometheus, and what it said: a table of questions, set by the
 * controller, asked by a thread of its own so that a slow Prometheus delays nothing. An answer
 * counts for a minute; a failed one, and numbers that are none, count as not known.
 */
#ifndef KM_POLICY_KPI_H
#define KM_POLICY_KPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/clock.h"
#include "km/base/err.h"
#include "km/metrics/metrics.h"

#define KPI_FRESH_NS   INT64_C(60000000000)
#define KPI_VALUES_MAX 1000 /* series of one answer */
#define KPI_ERROR_MAX  192

enum kpi_kind { KPI_RPS, KPI_LATENCY, KPI_BASELINE, KPI_KINDS };

struct kpi_question {
	uint64_t policy;
	enum kpi_kind kind;
	const char *query;
};

/* One series: of a pod, a node, or (both 0) of the whole. Names are keys: kpi_name_key. */
struct kpi_value {
	uint64_t pod, node;
	double value;
};

struct policy_kpi;

/* url "" or NULL: there is no Prometheus, questions are kept unasked. */
int kpi_create(const char *url, int64_t interval_ns, const struct km_clock *clock,
               struct km_metrics *metrics, struct policy_kpi **out, struct km_err *err);
int kpi_start(struct policy_kpi *k, struct km_err *err);
void kpi_free(struct policy_kpi *k); /* ends the thread; NULL allowed */

/* Replaces the questions; those that stay keep their answers. Any thread, as below. 0 or -ENOMEM.
 */
int kpi_set(struct policy_kpi *k, const struct kpi_question *question, size_t count);

/* The one number of an answer; NaN = not known. */
double kpi_number(struct policy_kpi *k, uint64_t policy, enum kpi_kind kind);

/* value [KPI_VALUES_MAX]. returns how many are known. */
size_t kpi_values(struct policy_kpi *k, uint64_t policy, enum kpi_kind kind,
                  struct kpi_value *value);

/* What is wrong with the policy's questions, "spec.kpi.latencyQuery: ..."; "" = nothing. */
const char *kpi_error(struct policy_kpi *k, uint64_t policy, char out[KPI_ERROR_MAX]);

/* How many questions are not answered, and what is wrong with the first of them. */
size_t kpi_failing(struct policy_kpi *k, char out[KPI_ERROR_MAX]);

uint64_t kpi_name_key(const char *text, size_t len);

/* For tests: asks all questions once, in the caller's thread. */
void kpi_ask_all(struct policy_kpi *k);

#endif
