/* SPDX-License-Identifier: Apache-2.0 */
/* What others say of the load: nginx by its stub_status page, Prometheus by the plan's queries. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "km/base/arena.h"
#include "km/kube/via.h"
#include "km/wire/prometheus.h"

#include "local.h"

#define SERIES_MAX 2 /* one is an answer, two are too many */

/* Requests by a replica since it started, the one that asks among them. */
static int requests_of(struct km_rig *rig, const struct local_replica *r, uint64_t *out,
                       struct km_err *err)
{
	const struct local *l = rig->backend;
	struct km_stub_status status = { .requests = 0 };
	struct km_buf page;
	char url[64];
	int rc;

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/status", r->port);
	km_buf_init(&page);
	rc = km_client_do(l->client, url, NULL, 0, &page, err);
	if (rc > 0 && rc != 200)
		rc = km_err_set(err, EPROTO, "%s: saw status %d, want 200", url, rc);
	if (rc > 0)
		rc = km_stub_status_decode(page.len > 0 ? page.data : "", page.len, &status, err);
	if (rc == 0)
		*out = status.requests;
	km_buf_fini(&page);
	return rc;
}

void local_served_begin(struct km_rig *rig)
{
	struct local *l = rig->backend;

	if (l->no_status)
		return;
	for (unsigned i = 0; i < l->replicas; i++) {
		struct local_replica *r = &l->replica[i];

		if (requests_of(rig, r, &r->requests, NULL) != 0)
			r->requests = UINT64_MAX; /* not known */
	}
}

void local_served_end(struct km_rig *rig, uint64_t requests)
{
	const struct local *l = rig->backend;
	double served = 0;

	if (l->no_status)
		return;
	for (unsigned i = 0; i < l->replicas; i++) {
		const struct local_replica *r = &l->replica[i];
		struct km_err err = { .code = 0 };
		uint64_t now;

		if (r->requests == UINT64_MAX || requests_of(rig, r, &now, &err) != 0) {
			rig_say(rig, "requests by nginx itself are not known: %s",
			        err.text[0] != '\0' ? err.text : "no count at the load's begin");
			return;
		}
		/* this question is one of them, the one at the begin is not */
		served += (double)now - (double)r->requests - 1;
	}
	rig->kpi.served = served;
	if (requests > 0)
		rig->kpi.difference = (served - (double)requests) / (double)requests;
}

/* The one number a query's answer is; NaN with a reason. */
static double ask(struct km_rig *rig, const char *query, struct km_err *err)
{
	const struct local *l = rig->backend;
	const char *base = rig->plan->kpi.prometheus;
	struct km_prometheus_answer answer;
	struct km_arena arena;
	struct km_buf url;
	struct km_buf body;
	double value = NAN;
	bool several = false;
	size_t len = strlen(base);

	while (len > 0 && base[len - 1] == '/')
		len--;
	km_arena_init(&arena, 0);
	km_buf_init(&url);
	km_buf_init(&body);
	km_buf_append(&url, base, len);
	km_buf_str(&url, "/api/v1/query?query=");
	km_kube_path_part(&url, query, strlen(query));
	/* an error of Prometheus' says more in its body than by its status */
	if (km_client_do(l->client, km_buf_cstr(&url), NULL, 0, &body, err) >= 0 &&
	    km_prometheus_decode(body.len > 0 ? body.data : "", body.len, SERIES_MAX, &arena,
	                         &answer, err) == 0) {
		value = km_prometheus_number(&answer, &several);
		if (isnan(value))
			(void)km_err_set(err, ENODATA, "saw %s, want one number",
			                 several ? "several series" : "nothing");
	}
	km_buf_fini(&body);
	km_buf_fini(&url);
	km_arena_fini(&arena);
	return value;
}

void local_ask_prometheus(struct km_rig *rig)
{
	const struct km_plan_kpi *kpi = &rig->plan->kpi;
	const struct {
		const char *key, *query;
		double *out;
		double scale;
	} rows[] = {
		{ "kpi.p99Query", kpi->p99_query, &rig->kpi.prometheus_p99_ms, 1e3 },
		{ "kpi.rpsQuery", kpi->rps_query, &rig->kpi.prometheus_rps, 1 },
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_err err = { .code = 0 };

		if (kpi->prometheus == NULL || kpi->prometheus[0] == '\0' ||
		    rows[i].query == NULL || rows[i].query[0] == '\0')
			continue;
		*rows[i].out = ask(rig, rows[i].query, &err) * rows[i].scale;
		if (isnan(*rows[i].out))
			rig_say(rig, "%s: %s", rows[i].key, err.text);
	}
}
