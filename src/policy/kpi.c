/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to Prometheus, thread km-queries. The table is under one lock, held for copies of a few
 * words; requests are made without it. A question is found again by policy, kind and text, so an
 * answer never counts for another query.
 */
#include "kpi.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/arena.h"
#include "km/base/complain.h"
#include "km/base/hash.h"
#include "km/net/client.h"
#include "km/wire/prometheus.h"

#include "policy_internal.h"

#define TIMEOUT_NS (5 * KM_NS_PER_S)
#define BODY_MAX   ((size_t)4 << 20)
#define NAME_SEED  UINT64_C(0x6b6d6b70696e616d)

static const char *const kind_names[KPI_KINDS] = {
	[KPI_RPS] = "spec.workload.rpsQuery",
	[KPI_LATENCY] = "spec.kpi.latencyQuery",
	[KPI_BASELINE] = "spec.kpi.baselineQuery",
};

struct asked {
	uint64_t policy;
	enum kpi_kind kind;
	char *query;
	int64_t answered_ns; /* monotonic; 0 = never */
	struct kpi_value *value;
	size_t count;
	bool several; /* series, of which none says what it is of */
	char error[KPI_ERROR_MAX];
};

struct policy_kpi {
	char *url; /* NULL = no Prometheus */
	int64_t interval_ns;
	const struct km_clock *clock;
	struct km_client *client; /* the asking thread's */
	struct km_arena arena;
	struct km_buf address, body;
	struct km_complain trouble;
	struct km_counter *answers, *failures;
	pthread_t thread;
	bool running;

	pthread_mutex_t lock; /* all below */
	pthread_cond_t change;
	bool stopping;
	struct asked *asked; /* [count], by policy and kind */
	size_t count;
};

uint64_t kpi_name_key(const char *text, size_t len)
{
	uint64_t key = len > 0 ? km_hash64(text, len, NAME_SEED) : 0;

	return len > 0 && key == 0 ? 1 : key;
}

static void asked_fini(struct asked *a)
{
	free(a->query);
	free(a->value);
}

int kpi_create(const char *url, int64_t interval_ns, const struct km_clock *clock,
               struct km_metrics *metrics, struct policy_kpi **out, struct km_err *err)
{
	static const char help[] = "Queries of policies, by result.";
	const struct km_client_options options = { .timeout_ns = TIMEOUT_NS,
		                                   .max_body_bytes = BODY_MAX };
	struct policy_kpi *k = calloc(1, sizeof(*k));
	pthread_condattr_t monotonic;
	int rc = 0;

	*out = NULL;
	if (k == NULL) {
		return km_err_set(err, ENOMEM, "queries of policies: out of memory");
	}
	k->interval_ns = interval_ns;
	k->clock = clock;
	km_arena_init(&k->arena, 1u << 16);
	km_buf_init(&k->address);
	km_buf_init(&k->body);
	k->trouble = (struct km_complain)KM_COMPLAIN_INIT;
	(void)pthread_mutex_init(&k->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&k->change, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	k->answers = km_metrics_counter(metrics, "kubemarla_controller_queries_total", help,
	                                "result", "answered", KM_LABELS_END);
	k->failures = km_metrics_counter(metrics, "kubemarla_controller_queries_total", help,
	                                 "result", "failed", KM_LABELS_END);
	if (url != NULL && url[0] != '\0') {
		size_t len = strlen(url);

		while (len > 0 && url[len - 1] == '/') {
			len--;
		}
		k->url = strndup(url, len);
		rc = k->url != NULL ? km_client_create(&options, &k->client, err)
		                    : km_err_set(err, ENOMEM, "queries of policies: out of memory");
	}
	if (rc != 0) {
		kpi_free(k);
		return rc;
	}
	*out = k;
	return 0;
}

void kpi_free(struct policy_kpi *k)
{
	if (k == NULL) {
		return;
	}
	if (k->running) {
		(void)pthread_mutex_lock(&k->lock);
		k->stopping = true;
		(void)pthread_cond_signal(&k->change);
		(void)pthread_mutex_unlock(&k->lock);
		km_client_stop(k->client);
		(void)pthread_join(k->thread, NULL);
	}
	for (size_t i = 0; i < k->count; i++) {
		asked_fini(&k->asked[i]);
	}
	free(k->asked);
	km_client_free(k->client);
	km_buf_fini(&k->body);
	km_buf_fini(&k->address);
	km_arena_fini(&k->arena);
	(void)pthread_cond_destroy(&k->change);
	(void)pthread_mutex_destroy(&k->lock);
	free(k->url);
	free(k);
}

/* ---- the table; under the lock ---- */

static int compare_asked(const void *a, const void *b)
{
	const struct asked *l = a;
	const struct asked *r = b;

	if (l->policy != r->policy) {
		return l->policy < r->policy ? -1 : 1;
	}
	return (l->kind > r->kind) - (l->kind < r->kind);
}

static struct asked *find(struct policy_kpi *k, uint64_t policy, enum kpi_kind kind)
{
	const struct asked key = { .policy = policy, .kind = kind };

	if (k->count == 0) {
		return NULL;
	}
	return bsearch(&key, k->asked, k->count, sizeof(key), compare_asked);
}

int kpi_set(struct policy_kpi *k, const struct kpi_question *question, size_t count)
{
	struct asked *fresh = calloc(count + 1, sizeof(*fresh));
	struct asked *old;
	size_t old_count;
	int rc = fresh != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && rc == 0; i++) {
		fresh[i].policy = question[i].policy;
		fresh[i].kind = question[i].kind;
		fresh[i].query = strdup(question[i].query);
		rc = fresh[i].query != NULL ? 0 : -ENOMEM;
	}
	if (rc == 0) {
		qsort(fresh, count, sizeof(*fresh), compare_asked);
		(void)pthread_mutex_lock(&k->lock);
		for (size_t i = 0; i < count; i++) {
			struct asked *was = find(k, fresh[i].policy, fresh[i].kind);

			if (was != NULL && strcmp(was->query, fresh[i].query) == 0) {
				char *query = fresh[i].query;

				fresh[i] = *was;
				fresh[i].query = query;
				was->value = NULL;
			}
		}
		old = k->asked;
		old_count = k->count;
		k->asked = fresh;
		k->count = count;
		(void)pthread_mutex_unlock(&k->lock);
		fresh = old;
		count = old_count;
	}
	for (size_t i = 0; fresh != NULL && i < count; i++) {
		asked_fini(&fresh[i]);
	}
	free(fresh);
	return rc;
}

static bool is_fresh(const struct policy_kpi *k, const struct asked *a)
{
	return a != NULL && a->answered_ns != 0 && a->error[0] == '\0' &&
	       km_clock_mono_ns(k->clock) - a->answered_ns <= KPI_FRESH_NS;
}

double kpi_number(struct policy_kpi *k, uint64_t policy, enum kpi_kind kind)
{
	double value = NAN;
	const struct asked *a;

	(void)pthread_mutex_lock(&k->lock);
	a = find(k, policy, kind);
	if (is_fresh(k, a) && a->count == 1 && !a->several) {
		value = a->value[0].value;
	}
	(void)pthread_mutex_unlock(&k->lock);
	return value;
}

size_t kpi_values(struct policy_kpi *k, uint64_t policy, enum kpi_kind kind,
                  struct kpi_value *value)
{
	size_t count = 0;
	const struct asked *a;

	(void)pthread_mutex_lock(&k->lock);
	a = find(k, policy, kind);
	if (is_fresh(k, a) && !a->several) {
		count = a->count;
		for (size_t i = 0; i < count; i++) {
			value[i] = a->value[i];
		}
	}
	(void)pthread_mutex_unlock(&k->lock);
	return count;
}

const char *kpi_error(struct policy_kpi *k, uint64_t policy, char out[KPI_ERROR_MAX])
{
	out[0] = '\0';
	(void)pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < k->count && out[0] == '\0'; i++) {
		const struct asked *a = &k->asked[i];

		if (a->policy == policy && a->error[0] != '\0') {
			(void)snprintf(out, KPI_ERROR_MAX, "%s: %.150s", kind_names[a->kind],
			               a->error);
		}
	}
	(void)pthread_mutex_unlock(&k->lock);
	return out;
}

size_t kpi_failing(struct policy_kpi *k, char out[KPI_ERROR_MAX])
{
	size_t count = 0;

	out[0] = '\0';
	(void)pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < k->count; i++) {
		if (k->asked[i].error[0] == '\0') {
			continue;
		}
		if (count++ == 0) {
			(void)snprintf(out, KPI_ERROR_MAX, "%s", k->asked[i].error);
		}
	}
	(void)pthread_mutex_unlock(&k->lock);
	return count;
}

/* ---- asking ---- */

static void make_address(struct policy_kpi *k, const char *query)
{
	km_buf_clear(&k->address);
	km_buf_str(&k->address, k->url);
	km_buf_str(&k->address, "/api/v1/query?query=");
	km_kube_path_part(&k->address, query, strlen(query));
}

/* Numbers that are none are not known. *several: more than one, and nothing tells them apart. */
static size_t keep(const struct km_prometheus_answer *answer, struct kpi_value *value,
                   bool *several)
{
	size_t count = 0;
	size_t plain = 0;

	for (size_t i = 0; i < answer->count; i++) {
		const struct km_prometheus_series *s = &answer->series[i];
		struct km_name pod = km_prometheus_label(s, "pod");
		struct km_name node = km_prometheus_label(s, "node");

		if (!isfinite(s->value) || s->value < 0) {
			continue;
		}
		value[count++] = (struct kpi_value){
			pod.text != NULL ? kpi_name_key(pod.text, pod.len) : 0,
			node.text != NULL ? kpi_name_key(node.text, node.len) : 0,
			s->value,
		};
		plain += pod.text == NULL && node.text == NULL;
	}
	*several = plain > 1;
	return count;
}

static int ask(struct policy_kpi *k, const char *query, struct km_prometheus_answer *answer,
               struct km_err *err)
{
	int status;

	make_address(k, query);
	km_buf_clear(&k->body);
	km_arena_reset(&k->arena);
	if (!km_buf_ok(&k->address)) {
		return km_err_set(err, ENOMEM, "out of memory");
	}
	status = km_client_do(k->client, km_buf_cstr(&k->address), NULL, 0, &k->body, err);
	if (status < 0) {
		return status;
	}
	/* An error of Prometheus' says more in its body than by its status. */
	status = km_prometheus_decode(k->body.data != NULL ? k->body.data : "", k->body.len,
	                              KPI_VALUES_MAX, &k->arena, answer, err);
	return status;
}

static void ask_one(struct policy_kpi *k, uint64_t policy, enum kpi_kind kind, const char *query)
{
	struct kpi_value *value = calloc(KPI_VALUES_MAX, sizeof(*value));
	struct km_prometheus_answer answer = { .count = 0 };
	struct km_err err = { .code = 0 };
	size_t count = 0;
	bool several = false;
	struct asked *a;
	int rc;

	if (value == NULL) {
		return;
	}
	rc = ask(k, query, &answer, &err);
	if (rc == -ECANCELED) {
		free(value);
		return;
	}
	if (rc == 0) {
		count = keep(&answer, value, &several);
		if (several || (kind != KPI_LATENCY && count > 1)) {
			rc = km_err_set(&err, EPROTO, "saw %zu series, want one%s",
			                answer.count + answer.left_out,
			                kind == KPI_LATENCY ? ", or a label pod or node on each"
			                                    : "");
		}
	}
	km_counter_add(rc == 0 ? k->answers : k->failures, 1);
	if (rc != 0) {
		km_complain(&k->trouble, km_clock_mono_ns(k->clock), POLICY_ROOM,
		            "query failed of=%s error=\"%s\"", kind_names[kind], err.text);
	} else {
		km_recovered(&k->trouble, POLICY_ROOM, "queries are answered");
	}
	(void)pthread_mutex_lock(&k->lock);
	a = find(k, policy, kind);
	if (a != NULL && strcmp(a->query, query) == 0) {
		struct kpi_value *old = a->value;

		a->answered_ns = km_clock_mono_ns(k->clock);
		a->count = rc == 0 ? count : 0;
		a->several = several;
		a->value = value;
		value = old;
		(void)snprintf(a->error, sizeof(a->error), "%s", rc != 0 ? err.text : "");
	}
	(void)pthread_mutex_unlock(&k->lock);
	free(value);
}

void kpi_ask_all(struct policy_kpi *k)
{
	for (size_t i = 0; k->url != NULL; i++) {
		uint64_t policy = 0;
		enum kpi_kind kind = KPI_RPS;
		char *query = NULL;
		bool stopping;

		(void)pthread_mutex_lock(&k->lock);
		stopping = k->stopping || i >= k->count;
		if (!stopping) {
			policy = k->asked[i].policy;
			kind = k->asked[i].kind;
			query = strdup(k->asked[i].query);
		}
		(void)pthread_mutex_unlock(&k->lock);
		if (query == NULL) {
			return;
		}
		ask_one(k, policy, kind, query);
		free(query);
	}
}

static void *serve(void *arg)
{
	struct policy_kpi *k = arg;
	bool stopping = false;

	(void)pthread_setname_np(pthread_self(), "km-queries");
	while (!stopping) {
		struct timespec until;
		int rc = 0;

		kpi_ask_all(k);
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += k->interval_ns / KM_NS_PER_S;
		(void)pthread_mutex_lock(&k->lock);
		while (!k->stopping && rc == 0) {
			rc = pthread_cond_timedwait(&k->change, &k->lock, &until);
		}
		stopping = k->stopping;
		(void)pthread_mutex_unlock(&k->lock);
	}
	return NULL;
}

int kpi_start(struct policy_kpi *k, struct km_err *err)
{
	sigset_t all;
	sigset_t before;
	int rc;

	if (k->url == NULL || k->running) {
		return 0;
	}
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&k->thread, NULL, serve, k);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	k->running = rc == 0;
	return rc == 0 ? 0 : km_err_errno(err, rc, "queries of policies: thread");
}
