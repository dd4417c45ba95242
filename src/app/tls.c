/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listeners' certificates: opened at start, looked at by the main thread's timer and at SIGHUP.
 * A bad pair is refused in one line, and the old one serves on.
 */
#include <string.h>

#include "km/base/log.h"

#include "app_internal.h"

int app_tls_open(const struct km_settings *s, struct km_tls **out, struct km_err *err)
{
	const struct km_tls_files files = { s->tls_cert, s->tls_key, s->tls_client_ca };

	*out = NULL;
	return s->tls_cert[0] != '\0' ? km_tls_open(&files, out, err) : 0;
}

static void note_expiry(struct app *a)
{
	int64_t expires_s = km_tls_expires_s(a->tls);

	km_gauge_set(a->tls_metrics.expiry, (double)expires_s);
	if (expires_s <= km_clock_wall_ns(a->clock) / KM_NS_PER_S)
		km_log_warn("app", "the certificate of listen.tls.cert has expired file=%s",
		            a->settings->tls_cert);
}

int app_tls_start(struct app *a, struct km_err *err)
{
	static const char help[] = "Certificates read, by result.";
	struct app_tls_metrics *m = &a->tls_metrics;
	int rc = app_tls_open(a->settings, &a->tls, err);

	if (rc != 0 || a->tls == NULL)
		return rc;
	m->applied = km_metrics_counter(a->metrics, "kubemarla_tls_loads_total", help, "result",
	                                "applied", KM_LABELS_END);
	m->refused = km_metrics_counter(a->metrics, "kubemarla_tls_loads_total", help, "result",
	                                "refused", KM_LABELS_END);
	m->expiry =
		km_metrics_gauge(a->metrics, "kubemarla_tls_certificate_expiry_seconds",
	                         "When the serving certificate ends, in Unix time.", KM_LABELS_END);
	km_counter_add(m->applied, 1);
	note_expiry(a);
	return 0;
}

void app_tls_check(struct app *a, bool anyway)
{
	struct km_err err = { .code = 0 };
	int rc;

	if (a->tls == NULL)
		return;
	rc = km_tls_look(a->tls, anyway, &err);
	if (rc == 0)
		return;
	if (rc < 0) {
		km_counter_add(a->tls_metrics.refused, 1);
		km_log_error("app", "certificates refused error=\"%s\" serving=\"the old ones\"",
		             err.text);
		return;
	}
	km_counter_add(a->tls_metrics.applied, 1);
	note_expiry(a);
	km_log_info("app", "certificates taken up file=%s", a->settings->tls_cert);
}

static bool is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

void app_tls_warn(const struct app *a)
{
	const struct km_settings *s = a->settings;
	const char *address = s->listen.address;

	if (is_loopback(address))
		return;
	if (a->tls == NULL) {
		km_log_warn("app", "listening beyond loopback without TLS address=%s", address);
	} else if (s->tls_client_ca[0] == '\0') {
		km_log_warn("app",
		            "listening beyond loopback without listen.tls.clientCA: whoever "
		            "reaches it may ask address=%s",
		            address);
	}
}

bool app_tls_is_probe(void *ctx, const struct km_http_request *req)
{
	(void)ctx;
	return strcmp(req->path, "/healthz") == 0 || strcmp(req->path, "/readyz") == 0;
}
