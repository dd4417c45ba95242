/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `kubemarla doctor --node`: what this machine can measure and what stands in the way, by the same
 * probes as the daemon's at start. Nothing is opened for good and nothing is changed.
 */
#include <stdlib.h>
#include <string.h>

#include "km/base/clock.h"
#include "km/config/config.h"
#include "km/core/settings.h"
#include "km/sources/cgroup.h"
#include "km/sources/preflight.h"
#include "km/wire/json.h"

#include "doctor.h"

/* What is examined: this machine and the nodes on it. */
struct patient {
	struct km_settings settings;
	const struct km_node_settings **node; /* [node_count], those no replay claims */
	size_t node_count;
	struct km_preflight found;
};

static bool is_replayed(const struct km_settings *s, const char *name)
{
	for (size_t i = 0; i < s->collect.source_count; i++) {
		const struct km_replay_settings *r = &s->collect.source[i].replay;

		for (size_t n = 0; n < r->node_count; n++) {
			if (strcmp(r->node[n], name) == 0)
				return true;
		}
	}
	return false;
}

/* With a list of sources those of it that work are taken; `auto` has chosen by itself. */
static void choose_listed(struct patient *p)
{
	const struct km_collect_settings *c = &p->settings.collect;

	for (size_t i = 0; i < p->found.count && !c->auto_sources; i++) {
		struct km_preflight_row *row = &p->found.row[i];
		bool listed = false;

		for (size_t n = 0; n < c->source_count; n++)
			listed = listed || strcmp(c->source[n].kind, row->ops->name) == 0;
		row->chosen = listed && row->result == 0;
		if (row->result == 0 && !listed)
			(void)snprintf(row->why, sizeof(row->why), "not in collect.sources");
	}
}

static int examine(struct patient *p)
{
	const struct km_settings *s = &p->settings;
	struct km_source_args args = { .live = &s->collect.live,
		                       .interval_ns = s->collect.interval_ns,
		                       .now_ns = km_clock_mono_ns(km_clock_system()) };

	p->node = calloc(s->node_count + 1, sizeof(void *));
	if (p->node == NULL)
		return -1;
	for (size_t i = 0; i < s->node_count; i++) {
		if (!is_replayed(s, s->node[i].name))
			p->node[p->node_count++] = &s->node[i];
	}
	args.node = p->node;
	args.node_count = p->node_count;
	km_preflight_run(&args, &p->found);
	choose_listed(p);
	return 0;
}

static const char *state_of(const struct km_preflight_row *row)
{
	if (row->chosen)
		return "taken";
	return row->result == 0 ? "spare" : "absent";
}

/* The node's CPUs as a list, or why they are not known. returns where they are from. */
static const char *node_cpus(const struct patient *p, const struct km_node_settings *n,
                             struct km_buf *out)
{
	struct km_cpuset cpus;
	struct km_err why = { .code = 0 };

	km_buf_clear(out);
	if (n->cpus_given) {
		km_cpuset_format(&n->cpus, out);
		return "settings";
	}
	if (n->cgroup[0] == '\0') {
		km_buf_str(out, "all");
		return "default";
	}
	if (km_cgroup_cpus(p->settings.collect.live.cgroupfs, n->cgroup, &cpus, &why) == 0)
		km_cpuset_format(&cpus, out);
	else
		km_buf_printf(out, "unknown: %s", why.text);
	return "group";
}

static int print_table(const struct patient *p)
{
	static const struct km_table_column sources[] = { { .title = "SOURCE" },
		                                          { .title = "STATE" },
		                                          { .title = "GIVES, OR WHY NOT" } };
	static const struct km_table_column nodes[] = { { .title = "NODE" },
		                                        { .title = "CPUS FROM" },
		                                        { .title = "CPUS" } };
	struct km_table t;
	struct km_buf text;
	int rc;

	km_buf_init(&text);
	km_table_init(&t, sources, KM_ARRAY_LEN(sources));
	for (size_t i = 0; i < p->found.count; i++) {
		const struct km_preflight_row *row = &p->found.row[i];

		km_buf_clear(&text);
		if (row->result == 0)
			km_offer_metrics(&row->offer, &text);
		if (row->result == 0 && row->offer.note[0] != '\0')
			km_buf_printf(&text, " (%s)", row->offer.note);
		if (row->why[0] != '\0')
			km_buf_printf(&text, "%s%s", text.len > 0 ? "; " : "", row->why);
		km_table_cell(&t, row->ops->name);
		km_table_cell(&t, state_of(row));
		km_table_cell(&t, km_buf_cstr(&text));
	}
	rc = km_table_print(&t, stdout, 0);
	km_table_fini(&t);
	printf("\ntier %s\n\n", km_tier_name(km_preflight_tier(&p->found)));
	km_table_init(&t, nodes, KM_ARRAY_LEN(nodes));
	for (size_t i = 0; i < p->node_count; i++) {
		km_table_cell(&t, p->node[i]->name);
		km_table_cell(&t, node_cpus(p, p->node[i], &text));
		km_table_cell(&t, km_buf_cstr(&text));
	}
	if (km_table_print(&t, stdout, 0) != 0)
		rc = -1;
	km_table_fini(&t);
	km_buf_fini(&text);
	return rc;
}

static void put_source(const struct km_preflight_row *row, struct km_json *j)
{
	km_json_begin(j, '{');
	km_json_put_string(j, "source", row->ops->name);
	km_json_put_string(j, "state", state_of(row));
	km_json_key(j, "metrics");
	km_json_begin(j, '[');
	for (unsigned m = 0; m < KM_METRIC_N; m++) {
		if (row->result == 0 && km_offer_gives(&row->offer, (enum km_metric)m))
			km_json_string(j, km_metric_info((enum km_metric)m)->name);
	}
	km_json_end(j, ']');
	km_json_put_bool(j, "ownsPmu", row->offer.owns_pmu);
	km_json_put_string(j, "note", row->offer.note[0] != '\0' ? row->offer.note : NULL);
	km_json_put_string(j, "reason", row->why[0] != '\0' ? row->why : NULL);
	km_json_end(j, '}');
}

static int print_json(const struct patient *p)
{
	struct km_json j;
	struct km_buf out;
	struct km_buf text;
	int rc;

	km_buf_init(&out);
	km_buf_init(&text);
	j = km_json_to(&out);
	km_json_begin(&j, '{');
	km_json_put_string(&j, "tier", km_tier_name(km_preflight_tier(&p->found)));
	km_json_key(&j, "sources");
	km_json_begin(&j, '[');
	for (size_t i = 0; i < p->found.count; i++)
		put_source(&p->found.row[i], &j);
	km_json_end(&j, ']');
	km_json_key(&j, "nodes");
	km_json_begin(&j, '[');
	for (size_t i = 0; i < p->node_count; i++) {
		const char *from = node_cpus(p, p->node[i], &text);

		km_json_begin(&j, '{');
		km_json_put_string(&j, "name", p->node[i]->name);
		km_json_put_string(&j, "cpus", km_buf_cstr(&text));
		km_json_put_string(&j, "cpusFrom", from);
		km_json_end(&j, '}');
	}
	km_json_end(&j, ']');
	km_json_end(&j, '}');
	km_buf_char(&out, '\n');
	rc = km_buf_ok(&out) && km_buf_ok(&text) ? 0 : -1;
	if (rc == 0)
		fwrite(out.data, 1, out.len, stdout);
	km_buf_fini(&text);
	km_buf_fini(&out);
	return rc;
}

int doctor_node(const char *path, bool json)
{
	struct patient p = { .node = NULL };
	struct km_err err = { .code = 0 };
	int rc;

	rc = path != NULL ? km_config_load(path, &p.settings, &err)
	                  : km_config_defaults(&p.settings);
	if (rc != 0) {
		fprintf(stderr, "kubemarla: %s\n", err.code != 0 ? err.text : "out of memory");
		return KM_COMMAND_USAGE;
	}
	rc = examine(&p);
	if (rc == 0)
		rc = json ? print_json(&p) : print_table(&p);
	if (rc != 0)
		fprintf(stderr, "kubemarla: out of memory\n");
	free(p.node);
	km_settings_fini(&p.settings);
	return rc == 0 ? KM_COMMAND_OK : KM_COMMAND_FAILED;
}
