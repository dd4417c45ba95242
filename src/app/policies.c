/* SPDX-License-Identifier: Apache-2.0 */
/* The policies that decisions are made from, out of their file. */
#include "km/base/log.h"
#include "km/config/policy_file.h"

#include "app_internal.h"

#define CONFLICTS_TOLD 4

/* Two that can never both hold are a slip: told here, once, not with each pod. */
static void tell_conflicts(const struct km_policies *p)
{
	size_t pair[CONFLICTS_TOLD][2];
	size_t count = km_policies_conflicts(p, pair, CONFLICTS_TOLD);

	for (size_t i = 0; i < count && i < CONFLICTS_TOLD; i++) {
		const struct km_policy *holds = km_policies_at(p, pair[i][0]);

		km_log_warn("app", "policies match the same pods namespace=%s holds=%s not=%s",
		            holds->namespace, holds->name, km_policies_at(p, pair[i][1])->name);
	}
	if (count > CONFLICTS_TOLD)
		km_log_warn("app", "more policies match the same pods pairs=%zu", count);
}

int app_policies_load(const struct km_settings *s, struct km_policies **out, struct km_err *err)
{
	int rc;

	*out = NULL;
	if (s->decide.policies_path[0] == '\0')
		return 0;
	rc = km_policy_file_load(s->decide.policies_path, s->decide.trusted_namespaces, out, err);
	if (rc != 0)
		return km_err_prefix(err, "decide.policies");
	tell_conflicts(*out);
	km_log_info("app", "policies loaded count=%zu path=%s", km_policies_count(*out),
	            s->decide.policies_path);
	return 0;
}
