/* SPDX-License-Identifier: Apache-2.0 */
/* Load in a cluster: a Job, whose log ends with vegeta's report; or vegeta on this host. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/wire/json.h"

#include "cluster.h"

#define LATE_S        60 /* of the Job behind its duration */
#define NUMBER_MAX    48
#define NOTHING_MILLI 1 /* a thousandth of a request per second is none */

const char *cluster_last_object(const struct km_buf *log, size_t *len)
{
	const char *end;

	if (log->len == 0)
		return NULL;
	end = log->data + log->len;
	while (end > log->data) {
		const char *line;

		while (end > log->data && end[-1] == '\n')
			end--;
		line = memrchr(log->data, '\n', (size_t)(end - log->data));
		line = line != NULL ? line + 1 : log->data;
		if (line < end && *line == '{') {
			*len = (size_t)(end - line);
			return line;
		}
		end = line;
	}
	return NULL;
}

static void put_part(struct km_json *j, const struct km_load_part *part)
{
	long long milli = llround(part->rps * 1000);
	char text[NUMBER_MAX];

	/* vegeta's rate is a whole number in a time of one's choice; a pause is `sleep`'s */
	if (milli < NOTHING_MILLI)
		(void)snprintf(text, sizeof(text), "0");
	else
		(void)snprintf(text, sizeof(text), "%lld/%s",
		               milli % 1000 == 0 ? milli / 1000 : milli,
		               milli % 1000 == 0 ? "1s" : "1000s");
	km_json_string(j, text);
	(void)snprintf(text, sizeof(text), "%.3f%s",
	               (double)part->duration_ns / (double)KM_NS_PER_S,
	               milli < NOTHING_MILLI ? "" : "s");
	km_json_string(j, text);
}

/* URL, connections, warm-up, the profile: a JSON list. */
static int put_args(const struct km_rig *rig, const struct km_load_spec *spec, struct km_buf *out,
                    struct km_err *err)
{
	struct km_load_part *part = calloc(KM_PLAN_PARTS_MAX, sizeof(*part));
	const struct km_load_part warm_up = { spec->warm_up_ns,
		                              spec->warm_up_ns > 0 ? spec->rps : 0 };
	struct km_json j = km_json_to(out);
	char connections[NUMBER_MAX];
	size_t parts = 0;
	int rc = part != NULL ? km_plan_load_parts(rig->plan, spec->rps, spec->duration_ns, part,
	                                           KM_PLAN_PARTS_MAX, &parts)
	                      : -ENOMEM;

	(void)snprintf(connections, sizeof(connections), "%u", rig->plan->load.connections);
	km_json_begin(&j, '[');
	km_json_string(&j, "http://target/body");
	km_json_string(&j, connections);
	put_part(&j, &warm_up);
	for (size_t i = 0; i < parts; i++)
		put_part(&j, &part[i]);
	km_json_end(&j, ']');
	free(part);
	return rc == 0 ? 0 : km_err_errno(err, -rc, "load: profile");
}

static int apply_job(struct km_rig *rig, const struct km_load_spec *spec, const char *name,
                     struct km_err *err)
{
	static const char *const apply[] = { "apply", "-f", "-", NULL };
	const struct km_plan_cluster *plan = &rig->plan->cluster;
	char deadline[NUMBER_MAX];
	struct km_buf args;
	struct km_buf text;
	int rc;

	(void)snprintf(deadline, sizeof(deadline), "%lld",
	               (long long)((spec->duration_ns + spec->warm_up_ns) / KM_NS_PER_S) + LATE_S +
	                       (long long)(CLUSTER_READY_NS / KM_NS_PER_S));
	km_buf_init(&args);
	km_buf_init(&text);
	rc = put_args(rig, spec, &args, err);
	if (rc == 0) {
		const struct cluster_value value[] = {
			{ .name = "NAMESPACE", .value = plan->namespace },
			{ .name = "NAME", .value = name },
			{ .name = "DEADLINE_SECONDS", .value = deadline },
			{ .name = "ARGS", .value = km_buf_cstr(&args), .raw = true },
			{ .name = "IMAGE",
			  .value = plan->load_image[0] != '\0' ? plan->load_image
			                                       : CLUSTER_LAB_IMAGE },
		};

		rc = cluster_render(CLUSTER_LOAD, value, KM_ARRAY_LEN(value), &text, err);
	}
	rc = rc == 0 ? cluster_kubectl(rig, apply, &text, CLUSTER_ASK_NS, true, NULL, err) : rc;
	km_buf_fini(&text);
	km_buf_fini(&args);
	return rc;
}

/* What its log ends with. */
static int read_report(const struct km_buf *log, struct km_load_result *out, struct km_err *err)
{
	char said[120] = "";
	size_t len = 0;
	const char *report = cluster_last_object(log, &len);
	int rc;

	if (report == NULL)
		return km_err_set(err, EIO, "load: no report in the Job's log: %.100s",
		                  log->len > 0 ? log->data : "it is empty");
	rc = km_vegeta_decode(report, len, out, said, sizeof(said), err);
	if (rc != 0)
		return km_err_prefix(err, "load");
	if (out->errors == out->requests)
		return km_err_set(err, EIO, "vegeta: %llu requests, none answered well: %s",
		                  (unsigned long long)out->requests, said);
	return 0;
}

static int run_job(struct km_rig *rig, const struct km_load_spec *spec, struct km_load_result *out,
                   struct km_err *err)
{
	struct cluster *c = rig->backend;
	char name[CLUSTER_POD_MAX];
	char label[CLUSTER_POD_MAX + 8];
	const char *const follow[] = { "logs", "--follow", "-l", label, NULL };
	const char *const remove[] = { "delete",      "job",           name,
		                       "--wait=true", "--timeout=60s", "--ignore-not-found",
		                       NULL };
	int64_t limit_ns = spec->duration_ns + spec->warm_up_ns + LATE_S * KM_NS_PER_S;
	struct km_err ignored = { .code = 0 };
	struct km_buf log;
	int gone;
	int rc;

	(void)snprintf(name, sizeof(name), "load-%u", c->serial++);
	(void)snprintf(label, sizeof(label), "pod=%s", name);
	km_buf_init(&log);
	rc = apply_job(rig, spec, name, err);
	rc = rc == 0 ? cluster_pod_runs(rig, label, err) : rc;
	rc = rc == 0 ? cluster_kubectl(rig, follow, NULL, limit_ns, true, &log, err) : rc;
	(void)km_buf_cstr(&log);
	rc = rc == 0 ? read_report(&log, out, err) : rc;
	km_buf_fini(&log);
	/* an interrupted load must not go on; the namespace's end is behind it in any case */
	gone = cluster_kubectl(rig, remove, NULL, CLUSTER_GONE_NS, false, NULL, &ignored);
	if (gone != 0)
		rig_say(rig, "job %s may still be there: %s", name, ignored.text);
	return rc;
}

int cluster_load(struct km_rig *rig, const struct km_load_spec *spec, struct km_load_result *out,
                 struct km_err *err)
{
	const struct cluster *c = rig->backend;
	int rc;

	if (rig->plan->load.cpus_given)
		return local_load(rig, spec, out, err);
	if (c->local.replicas == 0)
		return km_err_set(err, EINVAL, "load: there is no target, want one started");
	rc = run_job(rig, spec, out, err);
	if (rc != 0)
		return rc;
	if (rig->plan->load.profile == KM_PLAN_STEADY && out->open_loop)
		out->offered_rps = spec->rps;
	local_ask_prometheus(rig);
	return 0;
}
