/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of ours for the Kubernetes API. */
#include "km/wire/kube_write.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "km/wire/json.h"

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_US 1000

static bool break_down(int64_t unix_ns, struct tm *out)
{
	time_t seconds = (time_t)(unix_ns / NS_PER_S);

	return unix_ns > 0 && gmtime_r(&seconds, out) != NULL;
}

const char *km_time_seconds(int64_t unix_ns, char out[KM_TIME_TEXT_MAX])
{
	struct tm tm;

	out[0] = '\0';
	if (break_down(unix_ns, &tm))
		(void)strftime(out, KM_TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return out;
}

const char *km_time_micro(int64_t unix_ns, char out[KM_TIME_TEXT_MAX])
{
	struct tm tm;
	size_t len;

	out[0] = '\0';
	if (break_down(unix_ns, &tm)) {
		len = strftime(out, KM_TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
		(void)snprintf(out + len, KM_TIME_TEXT_MAX - len, ".%06dZ",
		               (int)(unix_ns % NS_PER_S / NS_PER_US));
	}
	return out;
}

/* A time that is not known is null: the API takes that for absent. */
static void put_micro(struct km_json *j, const char *key, int64_t unix_ns)
{
	char text[KM_TIME_TEXT_MAX];

	km_json_put_string(j, key, km_time_micro(unix_ns, text)[0] != '\0' ? text : NULL);
}

static void begin_object(struct km_json *j, const char *api_version, const char *kind)
{
	km_json_begin(j, '{');
	km_json_put_string(j, "apiVersion", api_version);
	km_json_put_string(j, "kind", kind);
	km_json_key(j, "metadata");
	km_json_begin(j, '{');
}

void km_lease_encode(struct km_buf *out, const struct km_lease_text *l)
{
	struct km_json j = km_json_to(out);

	begin_object(&j, "coordination.k8s.io/v1", "Lease");
	km_json_put_string(&j, "namespace", l->namespace);
	km_json_put_string(&j, "name", l->name);
	if (l->resource_version.len > 0)
		km_json_put_name(&j, "resourceVersion", l->resource_version);
	km_json_end(&j, '}');
	km_json_key(&j, "spec");
	km_json_begin(&j, '{');
	km_json_put_string(&j, "holderIdentity", l->holder);
	km_json_put_integer(&j, "leaseDurationSeconds", l->duration_s);
	put_micro(&j, "acquireTime", l->acquired_unix_ns);
	put_micro(&j, "renewTime", l->renewed_unix_ns);
	km_json_put_integer(&j, "leaseTransitions", l->transitions);
	km_json_end(&j, '}');
	km_json_end(&j, '}');
}

/* Cut between characters: the API takes valid UTF-8 of so many bytes. */
static struct km_name cut(const char *text)
{
	size_t len = strlen(text);

	if (len > KM_EVENT_NOTE_MAX) {
		len = KM_EVENT_NOTE_MAX;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	return (struct km_name){ text, (uint32_t)len };
}

void km_event_encode(struct km_buf *out, const struct km_event_text *e)
{
	struct km_json j = km_json_to(out);

	begin_object(&j, "events.k8s.io/v1", "Event");
	km_json_put_string(&j, "namespace", e->namespace);
	km_json_put_string(&j, "name", e->name);
	km_json_end(&j, '}');
	put_micro(&j, "eventTime", e->unix_ns);
	km_json_put_string(&j, "reportingController", e->controller);
	km_json_put_string(&j, "reportingInstance", e->instance);
	km_json_put_string(&j, "reason", e->reason);
	km_json_put_string(&j, "action", e->action);
	km_json_put_name(&j, "note", cut(e->note));
	km_json_put_string(&j, "type", e->warning ? "Warning" : "Normal");
	km_json_key(&j, "regarding");
	km_json_begin(&j, '{');
	km_json_put_string(&j, "apiVersion", e->api_version);
	km_json_put_string(&j, "kind", e->kind);
	km_json_put_name(&j, "namespace", e->about_namespace);
	km_json_put_name(&j, "name", e->about_name);
	km_json_put_name(&j, "uid", e->about_uid);
	km_json_end(&j, '}');
	km_json_end(&j, '}');
}

void km_event_series_encode(struct km_buf *out, uint64_t count, int64_t last_unix_ns)
{
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	km_json_key(&j, "series");
	km_json_begin(&j, '{');
	km_json_put_integer(&j, "count", (long long)count);
	put_micro(&j, "lastObservedTime", last_unix_ns);
	km_json_end(&j, '}');
	km_json_end(&j, '}');
}

void km_eviction_encode(struct km_buf *out, struct km_name namespace, struct km_name name,
                        struct km_name uid)
{
	struct km_json j = km_json_to(out);

	begin_object(&j, "policy/v1", "Eviction");
	km_json_put_name(&j, "namespace", namespace);
	km_json_put_name(&j, "name", name);
	km_json_end(&j, '}');
	km_json_key(&j, "deleteOptions");
	km_json_begin(&j, '{');
	km_json_key(&j, "preconditions");
	km_json_begin(&j, '{');
	km_json_put_name(&j, "uid", uid);
	km_json_end(&j, '}');
	km_json_end(&j, '}');
	km_json_end(&j, '}');
}

void km_annotation_encode(struct km_buf *out, const char *key, const char *value)
{
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	km_json_key(&j, "metadata");
	km_json_begin(&j, '{');
	km_json_key(&j, "annotations");
	km_json_begin(&j, '{');
	km_json_put_string(&j, key, value);
	km_json_end(&j, '}');
	km_json_end(&j, '}');
	km_json_end(&j, '}');
}
