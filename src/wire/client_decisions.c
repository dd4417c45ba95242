/* SPDX-License-Identifier: Apache-2.0 */
/* The tool's reading of /v1/decisions. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "client_internal.h"

void km_client_decisions_init(struct km_client_decisions *d)
{
	memset(d, 0, sizeof(*d));
	km_client_table_init(&d->table);
}

void km_client_decisions_fini(struct km_client_decisions *d)
{
	km_client_table_fini(&d->table);
}

static void read_reasons(struct km_client_table *t, const cJSON *list, struct km_client_decision *d)
{
	const cJSON *entry;

	cJSON_ArrayForEach(entry, list)
	{
		struct km_client_reason *r = &d->reason[d->reason_count];

		if (d->reason_count == KM_CLIENT_REASONS_MAX)
			return;
		r->text = km_client_keep(t, km_client_text(entry, "message"));
		r->nodes = km_client_number(entry, "nodes");
		r->rejected = km_client_number(entry, "rejected");
		d->reason_count++;
	}
}

static void read_decision(struct km_client_table *t, const cJSON *entry,
                          struct km_client_decision *d)
{
	const cJSON *pod = cJSON_GetObjectItemCaseSensitive(entry, "pod");
	const cJSON *workload = cJSON_GetObjectItemCaseSensitive(entry, "workload");

	*d = (struct km_client_decision){
		.id = km_client_number(entry, "id"),
		.prioritize_id = km_client_number(entry, "prioritizeId"),
		.time = km_client_keep(t, km_client_text(entry, "time")),
		.pod_namespace = km_client_keep(t, km_client_text(pod, "namespace")),
		.pod_name = km_client_keep(t, km_client_text(pod, "name")),
		.policy = km_client_keep(t, km_client_text(entry, "policy")),
		.workload_from = km_client_keep(t, km_client_text(entry, "workloadFrom")),
		.mode = km_client_keep(t, km_client_text(workload, "mode")),
		.model_hash = km_client_keep(t, km_client_text(entry, "modelHash")),
		.rps = km_client_number(workload, "rps"),
		.max_slowdown = km_client_number(workload, "maxSlowdown"),
		.scale = km_client_number(entry, "scoreScale"),
		.asked = km_client_number(entry, "asked"),
		.passed = km_client_number(entry, "passed"),
		.scored = km_client_number(entry, "scored"),
		.best = km_client_number(entry, "bestScore"),
		.best_nodes = km_client_number(entry, "bestNodes"),
		.worst = km_client_number(entry, "worstScore"),
	};
	read_reasons(t, cJSON_GetObjectItemCaseSensitive(entry, "reasons"), d);
}

/* returns 0 or -ENOMEM. */
static int read_nodes(struct km_client_table *t, const cJSON *list)
{
	const cJSON *entry;

	cJSON_ArrayForEach(entry, list)
	{
		const char *name = km_client_text(entry, "node");
		struct km_client_node *row;
		const cJSON *harm;

		if (!name)
			continue;
		row = km_client_row(t, name);
		if (!row)
			return -ENOMEM;
		row->tier = km_client_keep(t, km_client_text(entry, "tier"));
		row->age_s = km_client_number(entry, "ageSeconds");
		row->slowdown = km_client_number(entry, "slowdown");
		row->low = km_client_number(entry, "low");
		row->high = km_client_number(entry, "high");
		row->score = km_client_number(entry, "score");
		row->scored = km_client_number(entry, "scoredSlowdown");
		row->in_flight = km_client_number(entry, "inFlight");
		harm = cJSON_GetObjectItemCaseSensitive(entry, "harm");
		row->harm_worst = km_client_number(harm, "worstSlowdown");
		row->harm_limit = km_client_number(harm, "worstTolerates");
		row->reason = km_client_keep(t, km_client_text(entry, "message"));
		row->filter = cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(entry, "passes"))
		                      ? row->reason
		                      : KM_CLIENT_PASS;
	}
	return 0;
}

int km_client_read_decisions(struct km_client_decisions *d, const char *body, size_t len,
                             struct km_err *err)
{
	cJSON *tree = cJSON_ParseWithLength(body, len);
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(tree, "decisions");
	const cJSON *entry;
	int rc = 0;

	d->count = 0;
	if (!cJSON_IsArray(list)) {
		rc = km_err_set(err, EBADMSG, "the answer is no list of decisions of a kubemarlad");
	} else {
		d->held = km_client_number(tree, "held");
		d->oldest = km_client_keep(&d->table, km_client_text(tree, "oldest"));
		d->cut = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(tree, "cut"));
	}
	cJSON_ArrayForEach(entry, list)
	{
		if (rc != 0 || d->count == KM_CLIENT_DECISIONS_MAX)
			break;
		if (d->count == 0 &&
		    read_nodes(&d->table, cJSON_GetObjectItemCaseSensitive(entry, "nodes")) != 0)
			rc = km_err_set(err, ENOMEM, "out of memory reading the answer");
		read_decision(&d->table, entry, &d->decision[d->count++]);
	}
	cJSON_Delete(tree);
	return rc;
}
