/* SPDX-License-Identifier: Apache-2.0 */
/* A run: the worlds there is data for, one after another, into one report. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/clock.h"
#include "km/config/config.h"

#include "sim_internal.h"

#define NOTE_MAX 512

static const struct {
	const char *name, *help;
} arms[KM_SIM_ARM_N] = {
	[KM_SIM_RANDOM] = { "random", "any node" },
	[KM_SIM_SPREAD] = { "spread", "as kube-scheduler by default: least requested, evenly" },
	[KM_SIM_LEAST_CPU] = { "least-cpu", "mean and spread of CPU use, as Trimaran" },
	[KM_SIM_LEAST_BANDWIDTH] = { "least-bandwidth", "least memory traffic" },
	[KM_SIM_LOWEST_C0] = { "lowest-c0", "cores awake for the smallest share of time" },
	[KM_SIM_NODE_AVERAGE] = { "node-average", "the node's slowdowns so far" },
	[KM_SIM_PRESSURE] = { "pressure", "learned: how much a node's load hurts anybody" },
	[KM_SIM_ADDITIVE] = { "additive",
	                      "learned: platform + sensitivity + pressure, both sides" },
	[KM_SIM_THESIS] = { "thesis", "25 counters of the target's cores, XGBoost's defaults" },
	[KM_SIM_NO_LEDGER] = { "ours-no-ledger", "ours, told of no pods: neither those there nor "
	                                         "those on their way" },
	[KM_SIM_NO_HARM] = { "ours-no-harm", "ours, blind to harm to incumbents" },
	[KM_SIM_OURS] = { "ours", "kubemarlad's own decision" },
	[KM_SIM_ONE_SIDED_ORACLE] = { "oracle-one-sided", "knows the newcomer's slowdown" },
	[KM_SIM_LATE_ORACLE] = { "oracle-late", "knows everything, one window ago" },
	[KM_SIM_ORACLE] = { "oracle", "knows everything" },
};

static const struct {
	const char *name, *title;
} metrics[KM_SIM_METRIC_N] = {
	[KM_SIM_COST] = { "cost", "cost" },
	[KM_SIM_OWN] = { "own", "own" },
	[KM_SIM_OTHERS] = { "others", "others" },
	[KM_SIM_P95] = { "p95", "p95" },
	[KM_SIM_VIOLATIONS] = { "violations", "violations" },
	[KM_SIM_REGRET] = { "regret", "regret" },
	[KM_SIM_CLOSED] = { "gapClosed", "gap closed" },
	[KM_SIM_RIGHT] = { "right", "right" },
	[KM_SIM_MOVES] = { "moves", "moves" },
	[KM_SIM_AGAINST] = { "oursAgainst", "ours against it" },
};

const char *km_sim_arm_name(enum km_sim_arm a)
{
	return arms[a].name;
}

const char *km_sim_arm_help(enum km_sim_arm a)
{
	return arms[a].help;
}

const char *km_sim_metric_name(enum km_sim_metric m)
{
	return metrics[m].name;
}

const char *km_sim_metric_title(enum km_sim_metric m)
{
	return metrics[m].title;
}

int sim_progress(const struct sim_run *r, const char *what, size_t done, size_t all,
                 struct km_err *err)
{
	const struct km_sim_options *o = r->options;

	if (o->progress != NULL && o->progress(o->ctx, what, done, all) != 0)
		return km_err_set(err, EINTR, "%s: stopped", what);
	return 0;
}

void sim_note(struct sim_run *r, const char *fmt, ...)
{
	char text[NOTE_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	km_buf_str(&r->report->notes, text);
	km_buf_char(&r->report->notes, '\n');
}

struct km_sim_setting *sim_add_setting(struct sim_run *r)
{
	struct km_sim_report *to = r->report;
	struct km_sim_setting *grown =
		reallocarray(to->setting, to->setting_count + 1, sizeof(*grown));

	if (grown == NULL)
		return NULL;
	to->setting = grown;
	grown += to->setting_count++;
	memset(grown, 0, sizeof(*grown));
	return grown;
}

void sim_name_setting(struct km_sim_setting *s, const char *name, const char *title,
                      const char *unit, const char *cluster)
{
	(void)snprintf(s->name, sizeof(s->name), "%s", name);
	(void)snprintf(s->title, sizeof(s->title), "%s", title);
	(void)snprintf(s->unit, sizeof(s->unit), "%s", unit);
	(void)snprintf(s->cluster, sizeof(s->cluster), "%s", cluster);
}

struct km_sim_burst *sim_add_burst(struct sim_run *r)
{
	struct km_sim_report *to = r->report;
	struct km_sim_burst *grown = reallocarray(to->burst, to->burst_count + 1, sizeof(*grown));

	if (grown == NULL)
		return NULL;
	to->burst = grown;
	grown += to->burst_count++;
	memset(grown, 0, sizeof(*grown));
	return grown;
}

int sim_decide_settings(const struct km_sim_options *o, struct km_decide_settings *out,
                        struct km_err *err)
{
	struct km_settings defaults;

	if (km_config_defaults(&defaults) != 0)
		return km_err_set(err, ENOMEM, "simulator: out of memory");
	*out = defaults.decide;
	out->policies_path = NULL;
	out->trusted_namespaces = NULL;
	out->effects_path = NULL;
	out->log_path = NULL;
	out->score_scale = o->score_scale;
	out->default_workload.max_slowdown = o->max_slowdown;
	if (out->min_max_slowdown > o->max_slowdown)
		out->min_max_slowdown = o->max_slowdown;
	km_settings_fini(&defaults);
	return 0;
}

int km_sim_run(const struct km_sim_options *options, struct km_sim_report *out, struct km_err *err)
{
	int64_t began_ns = km_clock_mono_ns(km_clock_system());
	struct sim_run r = { .options = options, .report = out };
	int rc = 0;

	memset(out, 0, sizeof(*out));
	km_buf_init(&out->notes);
	out->first_seed = options->first_seed;
	out->seeds = options->seeds;
	out->score_scale = options->score_scale;
	if (options->seeds == 0)
		return km_err_set(err, EINVAL, "seeds: saw 0, want at least 1");
	if (options->dataset == NULL)
		sim_note(&r, "nginx: skipped, no dataset was named");
	else
		rc = sim_nginx(&r, err);
	if (rc == 0 && options->corun == NULL)
		sim_note(&r, "corun: skipped, no co-runs were named");
	else if (rc == 0)
		rc = sim_corun(&r, err);
	if (rc == 0 && options->burst)
		rc = sim_burst(&r, err);
	if (rc == 0 && !km_buf_ok(&out->notes))
		rc = km_err_set(err, ENOMEM, "simulator: out of memory");
	out->seconds = (double)(km_clock_mono_ns(km_clock_system()) - began_ns) * 1e-9;
	if (rc != 0)
		km_sim_report_fini(out);
	return rc;
}

void km_sim_report_fini(struct km_sim_report *r)
{
	free(r->setting);
	free(r->burst);
	km_buf_fini(&r->notes);
	memset(r, 0, sizeof(*r));
}
