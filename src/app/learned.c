/* SPDX-License-Identifier: Apache-2.0 */
/* Files beside the configuration that decisions are made from: policies, and learned effects. */
#include <errno.h>

#include "km/base/file.h"
#include "km/base/log.h"
#include "km/config/policy_file.h"

#include "app_internal.h"

#define CONFLICTS_TOLD    4
#define EFFECTS_MAX_BYTES (256u << 20)

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

static int read_effects(const char *path, struct km_effects **out, struct km_err *err)
{
	struct km_buf bytes;
	int rc;

	km_buf_init(&bytes);
	rc = km_file_read(path, EFFECTS_MAX_BYTES, &bytes, err);
	if (rc == 0)
		rc = km_effects_read(bytes.data, bytes.len, out, err);
	km_buf_fini(&bytes);
	return rc;
}

void app_effects_attach(struct app *a)
{
	const char *path = a->started->decide.effects_path;
	struct km_err err = { .code = 0 };
	int rc;

	if (path[0] == '\0' || a->decide == NULL)
		return;
	rc = read_effects(path, &a->effects, &err);
	if (rc != 0 && rc != -ENOENT) {
		/* Not written over at the end either: somebody may want to look at it. */
		km_log_error("app", "learned effects refused serving=\"without\" error=\"%s\"",
		             err.text);
		return;
	}
	if (rc == -ENOENT)
		a->effects = km_effects_create(NULL);
	if (a->effects == NULL) {
		km_log_error("app", "learned effects: out of memory serving=\"without\"");
		return;
	}
	km_decide_attach_effects(a->decide, a->effects);
}

void app_effects_keep(struct app *a)
{
	struct km_err err = { .code = 0 };
	struct km_buf bytes;

	if (a->effects == NULL)
		return;
	km_decide_attach_effects(a->decide, NULL);
	km_buf_init(&bytes);
	km_effects_write(a->effects, &bytes);
	if (!km_buf_ok(&bytes))
		km_log_error("app", "learned effects not written error=memory");
	else if (km_file_write_atomic(a->started->decide.effects_path, bytes.data, bytes.len,
	                              &err) != 0)
		km_log_error("app", "learned effects not written error=\"%s\"", err.text);
	km_buf_fini(&bytes);
	km_effects_free(a->effects);
	a->effects = NULL;
}
