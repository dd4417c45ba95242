/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_rig.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "km/rig/rig.h"

struct km_rig {
	int unused;
};

static struct fake_rig fake;
static struct km_rig only;
static const struct km_rig_facts facts = { .target = "fake/1", .generator = "fake 2" };
static unsigned stressors;

struct fake_rig *fake_rig_init(void)
{
	km_buf_fini(&fake.log);
	fake = (struct fake_rig){ .utilisation = 0.3 };
	km_buf_init(&fake.log);
	stressors = 0;
	return &fake;
}

void fake_rig_fini(void)
{
	km_buf_fini(&fake.log);
}

static unsigned calls_of(const char *op)
{
	const char *at = km_buf_cstr(&fake.log);
	size_t len = strlen(op);
	unsigned n = 0;

	while (*at != '\0') {
		n += strncmp(at, op, len) == 0 && (at[len] == ' ' || at[len] == '\n');
		at = strchr(at, '\n') + 1;
	}
	return n;
}

/* Writes the call down. returns what it is to answer. */
static int called(const char *op, struct km_err *err, const char *fmt, ...) KM_PRINTF(3, 4);

static int called(const char *op, struct km_err *err, const char *fmt, ...)
{
	char text[100];
	unsigned nth;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	km_buf_printf(&fake.log, "%s%s\n", op, text);
	nth = calls_of(op);
	for (size_t i = 0; i < fake.failures; i++) {
		const struct fake_rig_failure *f = &fake.failure[i];

		if (strcmp(f->op, op) == 0 && nth >= f->nth && nth - f->nth < f->times)
			return km_err_set(err, -f->rc, "%s", f->text);
	}
	return 0;
}

int km_rig_open(const struct km_plan *plan, const struct km_rig_options *options,
                struct km_rig **out, struct km_err *err)
{
	int rc = called("open", err, "%s", "");

	(void)plan;
	(void)options;
	*out = rc == 0 ? &only : NULL;
	fake.opened += rc == 0;
	return rc;
}

void km_rig_close(struct km_rig *rig)
{
	fake.closed += rig != NULL;
}

const struct km_rig_facts *km_rig_facts(const struct km_rig *rig)
{
	(void)rig;
	return &facts;
}

int km_rig_stress_start(struct km_rig *rig, size_t node, enum km_stress_kind kind,
                        unsigned level_pct, struct km_err *err)
{
	(void)rig;
	stressors++;
	return called("stress", err, " %zu %s %u", node, km_stress_kind_name(kind), level_pct);
}

int km_rig_stress_stop(struct km_rig *rig, struct km_stress_result *out, size_t max, size_t *count,
                       struct km_err *err)
{
	(void)rig;
	*count = 0;
	for (unsigned i = 0; i < stressors && i < max; i++) {
		out[i] = (struct km_stress_result){ .kind = KM_STRESS_CPU,
			                            .level_pct = 50,
			                            .seconds = 20,
			                            .duty_ratio = 0.5,
			                            .ops_per_s = 1e9,
			                            .bytes_per_s = NAN };
		(*count)++;
	}
	stressors = 0;
	return called("unstress", err, "%s", "");
}

int km_rig_target_start(struct km_rig *rig, const size_t *node_of_replica, unsigned replicas,
                        struct km_err *err)
{
	(void)rig;
	return called("target", err, " %zu x%u", node_of_replica[replicas - 1], replicas);
}

void km_rig_target_stop(struct km_rig *rig)
{
	(void)rig;
	(void)called("untarget", NULL, "%s", "");
}

void km_rig_kpi(const struct km_rig *rig, struct km_rig_kpi *out)
{
	(void)rig;
	*out = (struct km_rig_kpi){
		.served = 4000, .difference = 0, .prometheus_p99_ms = NAN, .prometheus_rps = NAN
	};
}

int km_rig_load(struct km_rig *rig, const struct km_load_spec *spec, struct km_load_result *out,
                struct km_err *err)
{
	(void)rig;
	km_load_result_init(out);
	(void)snprintf(out->generator, sizeof(out->generator), "fake");
	fake.loads++;
	out->p99_ms = 0.5 + fake.loads;
	out->offered_rps = spec->rps;
	out->achieved_rps = spec->rps;
	return called("load", err, " %g %lld", spec->rps, (long long)(spec->duration_ns / 1000000));
}

int km_rig_wait(struct km_rig *rig, int64_t duration_ns, struct km_err *err)
{
	(void)rig;
	return called("wait", err, " %lld", (long long)(duration_ns / 1000000));
}

int km_rig_record_begin(struct km_rig *rig, struct km_err *err)
{
	(void)rig;
	return called("begin", err, "%s", "");
}

int km_rig_record_end(struct km_rig *rig, struct km_buf *trace_csv, struct km_rig_usage *usage,
                      struct km_err *err)
{
	(void)rig;
	km_buf_printf(trace_csv, "start_ns,end_ns,cpu0.busy_ns\n0,1000000000,%u\n", fake.windows);
	*usage = (struct km_rig_usage){
		.seconds = 8,
		.busy_cpus = 1,
		.own_cpus = 1,
		.foreign_cpus =
			fake.windows < fake.foreign_count ? fake.foreign_cpus[fake.windows] : 0,
		.target_utilisation = fake.utilisation,
	};
	fake.windows++;
	return called("end", err, "%s", "");
}

enum km_tier km_rig_tier(const struct km_rig *rig)
{
	(void)rig;
	return KM_TIER_OS;
}

void km_rig_reset(struct km_rig *rig)
{
	(void)rig;
	stressors = 0;
	fake.resets++;
}

const char *km_rig_group(const struct km_rig *rig, size_t node)
{
	(void)rig;
	(void)node;
	return "";
}
