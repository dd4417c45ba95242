/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load by vegeta (an open loop: it sends at its pace, whatever the service does) or wrk (a closed
 * one). A profile is one attack after the other, each at its rate; vegeta itself makes one report
 * of all of them. Between two attacks lie the milliseconds of a process' start.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "km/stress/stress.h"

#include "load_cpus.h"
#include "local.h"

#define REQUEST_S   10                               /* after which one has failed */
#define LATE_NS     ((REQUEST_S + 10) * KM_NS_PER_S) /* of the generator behind its duration */
#define REPORT_NS   (60 * KM_NS_PER_S)
#define OUT_MAX     ((size_t)1 << 20)
#define RR_PRIORITY 1
#define NUMBER_MAX  48

/* Runs one program of the generator's on its CPUs, until it has ended. */
static int run(struct km_rig *rig, const char *const *argv, int64_t limit_ns, struct km_buf *out,
               struct km_err *err)
{
	const struct km_plan_load *load = &rig->plan->load;
	struct rig_entrance entrance;
	struct km_cpuset allowed;
	struct km_cpuset cpus;
	const struct km_child_spec spec = {
		.argv = argv,
		.max_out_bytes = OUT_MAX,
		.cpus = &cpus,
		.groups = rig_groups_entrance(&rig->groups, RIG_GROUP_LOAD, &entrance),
		.round_robin = rig->facts.realtime ? RR_PRIORITY : 0,
		.tied_signal = SIGKILL,
	};
	const char *name = km_plan_generator_name(load->generator);
	char words[KM_CHILD_WORDS_MAX + 1];
	struct km_child *c;
	int rc = km_stress_allowed(&allowed, err);

	if (rc == 0) {
		rig_load_cpus(rig->plan, &allowed, &rig->target_cpus, &cpus);
		rc = km_child_start(&spec, &c, err);
	}
	if (rc != 0)
		return rc;
	rc = rig_loop(rig, rig_now_ns() + limit_ns, c, err);
	if (rc == -ETIMEDOUT)
		(void)km_err_prefix(err, "%s", name);
	if (rc == 0 && !km_child_succeeded(c))
		rc = km_err_set(err, EIO, "%s: %s", name, km_child_words(c, false, words));
	if (rc == 0 && km_child_overflowed(c))
		rc = km_err_set(err, EFBIG, "%s said more than %zu bytes", name, OUT_MAX);
	if (rc == 0 && out != NULL)
		km_buf_append(out, km_child_output(c)->data, km_child_output(c)->len);
	km_child_free(c);
	return rc;
}

/* ---- vegeta ---- */

/* "GET http://HOST:PORT/body" for each replica: vegeta takes them in turn. */
static int write_targets(struct km_rig *rig, char *path, size_t size, struct km_err *err)
{
	const struct local *l = rig->backend;
	struct km_buf text;
	int rc;

	km_buf_init(&text);
	for (unsigned i = 0; i < l->replicas; i++)
		km_buf_printf(&text, "GET http://%s:%u/body\n", l->host, l->replica[i].port);
	(void)snprintf(path, size, "%s/targets", rig->scratch);
	rc = km_buf_ok(&text) ? local_file(path, km_buf_cstr(&text), text.len, err)
	                      : km_err_set(err, ENOMEM, "load: out of memory");
	km_buf_fini(&text);
	return rc;
}

static int attack(struct km_rig *rig, const char *targets, const char *results,
                  const struct km_load_part *part, struct km_err *err)
{
	const struct local *l = rig->backend;
	char rate[NUMBER_MAX];
	char duration[NUMBER_MAX];
	char connections[NUMBER_MAX];
	const char *const argv[] = { l->generator,   "attack",    "-targets",
		                     targets,        "-output",   results,
		                     "-rate",        rate,        "-duration",
		                     duration,       "-workers",  connections,
		                     "-connections", connections, "-max-connections",
		                     connections,    "-max-body", "0",
		                     "-timeout",     "10s",       NULL };
	long long milli = llround(part->rps * 1000);

	if (milli < 1) /* a pause */
		return rig_loop(rig, rig_now_ns() + part->duration_ns, NULL, err);
	/* vegeta's rate is a whole number in a time of one's choice */
	(void)snprintf(rate, sizeof(rate), "%lld/%s", milli % 1000 == 0 ? milli / 1000 : milli,
	               milli % 1000 == 0 ? "1s" : "1000s");
	(void)snprintf(duration, sizeof(duration), "%lldns", (long long)part->duration_ns);
	(void)snprintf(connections, sizeof(connections), "%u", rig->plan->load.connections);
	return run(rig, argv, part->duration_ns + LATE_NS, NULL, err);
}

static int report(struct km_rig *rig, size_t files, struct km_load_result *out, struct km_err *err)
{
	const struct local *l = rig->backend;
	const char **argv = calloc(files + 5, sizeof(*argv));
	char said[120] = "";
	struct km_buf names;
	struct km_buf text;
	size_t n = 0;
	int rc;

	km_buf_init(&names);
	km_buf_init(&text);
	for (size_t i = 0; i < files; i++)
		km_buf_printf(&names, "%s/part-%zu%c", rig->scratch, i, '\0');
	if (argv == NULL || !km_buf_ok(&names)) {
		rc = km_err_set(err, ENOMEM, "load: out of memory");
	} else {
		const char *name = names.data;

		argv[n++] = l->generator;
		argv[n++] = "report";
		argv[n++] = "-type";
		argv[n++] = "json";
		for (size_t i = 0; i < files; i++, name += strlen(name) + 1)
			argv[n++] = name;
		rc = run(rig, argv, REPORT_NS, &text, err);
	}
	if (rc == 0)
		rc = km_vegeta_decode(text.len > 0 ? text.data : "", text.len, out, said,
		                      sizeof(said), err);
	if (rc == -EINVAL)
		rc = -EIO;
	if (rc == 0 && out->errors == out->requests)
		rc = km_err_set(err, EIO, "vegeta: %llu requests, none answered well: %s",
		                (unsigned long long)out->requests, said);
	free(argv);
	km_buf_fini(&text);
	km_buf_fini(&names);
	return rc;
}

/* The attacks of the profile, in turn. *files = results there are. */
static int attack_all(struct km_rig *rig, const struct km_load_spec *spec, const char *targets,
                      size_t *files, struct km_err *err)
{
	struct km_load_part *part = calloc(KM_PLAN_PARTS_MAX, sizeof(*part));
	size_t parts = 0;
	int rc = part != NULL ? km_plan_load_parts(rig->plan, spec->rps, spec->duration_ns, part,
	                                           KM_PLAN_PARTS_MAX, &parts)
	                      : -ENOMEM;

	*files = 0;
	if (rc != 0)
		rc = km_err_errno(err, -rc, "load: profile");
	for (size_t i = 0; i < parts && rc == 0; i++) {
		char results[PATH_MAX];

		(void)snprintf(results, sizeof(results), "%s/part-%zu", rig->scratch, *files);
		rc = attack(rig, targets, results, &part[i], err);
		*files += llround(part[i].rps * 1000) >= 1;
	}
	free(part);
	if (rc == 0 && *files == 0)
		rc = km_err_set(err, EINVAL, "load: the profile sends nothing in this time");
	return rc;
}

static int vegeta(struct km_rig *rig, const struct km_load_spec *spec, struct km_load_result *out,
                  struct km_err *err)
{
	const struct km_load_part warm_up = { spec->warm_up_ns, spec->rps };
	char targets[PATH_MAX];
	size_t files = 0;
	int rc = write_targets(rig, targets, sizeof(targets), err);

	if (rc == 0 && warm_up.duration_ns > 0)
		rc = attack(rig, targets, "/dev/null", &warm_up, err);
	local_served_begin(rig);
	rc = rc == 0 ? attack_all(rig, spec, targets, &files, err) : rc;
	rc = rc == 0 ? report(rig, files, out, err) : rc;
	for (size_t i = 0; i < files; i++) {
		(void)snprintf(targets, sizeof(targets), "%s/part-%zu", rig->scratch, i);
		(void)unlink(targets);
	}
	return rc;
}

/* ---- wrk ---- */

/* wrk knows one address; each of its threads is sent to a replica of its own. */
static int write_script(struct km_rig *rig, char *path, size_t size, struct km_err *err)
{
	const struct local *l = rig->backend;
	struct km_buf text;
	int rc;

	km_buf_init(&text);
	km_buf_str(&text, "local ports = {");
	for (unsigned i = 0; i < l->replicas; i++)
		km_buf_printf(&text, "%s\"%u\"", i > 0 ? ", " : "", l->replica[i].port);
	km_buf_str(&text, "}\nlocal n = 0\n"
	                  "function setup(thread)\n"
	                  "\tn = n + 1\n"
	                  "\tthread.addr = wrk.lookup(\"127.0.0.1\", ports[(n - 1) % #ports + 1])"
	                  "[1]\n"
	                  "end\n");
	(void)snprintf(path, size, "%s/replicas.lua", rig->scratch);
	rc = km_buf_ok(&text) ? local_file(path, text.data, text.len, err)
	                      : km_err_set(err, ENOMEM, "load: out of memory");
	km_buf_fini(&text);
	return rc;
}

static int wrk_once(struct km_rig *rig, int64_t duration_ns, const char *script,
                    struct km_buf *text, struct km_err *err)
{
	const struct local *l = rig->backend;
	unsigned connections = rig->plan->load.connections;
	char threads[NUMBER_MAX];
	char number[NUMBER_MAX];
	char duration[NUMBER_MAX];
	char url[64];
	const char *const argv[] = { l->generator, "--latency", "--timeout",     "10s",
		                     "--threads",  threads,     "--connections", number,
		                     "--duration", duration,    "--script",      script,
		                     url,          NULL };

	connections = connections < l->replicas ? l->replicas : connections;
	(void)snprintf(threads, sizeof(threads), "%u", l->replicas);
	(void)snprintf(number, sizeof(number), "%u", connections);
	/* whole seconds are all that it knows */
	(void)snprintf(duration, sizeof(duration), "%llds",
	               (long long)((duration_ns + KM_NS_PER_S - 1) / KM_NS_PER_S));
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/body", l->replica[0].port);
	return run(rig, argv, duration_ns + LATE_NS, text, err);
}

static int wrk(struct km_rig *rig, const struct km_load_spec *spec, struct km_load_result *out,
               struct km_err *err)
{
	char script[PATH_MAX];
	struct km_buf text;
	int rc = write_script(rig, script, sizeof(script), err);

	km_buf_init(&text);
	if (rc == 0 && spec->warm_up_ns > 0)
		rc = wrk_once(rig, spec->warm_up_ns, script, NULL, err);
	local_served_begin(rig);
	rc = rc == 0 ? wrk_once(rig, spec->duration_ns, script, &text, err) : rc;
	if (rc == 0)
		rc = km_wrk_decode(text.len > 0 ? text.data : "", text.len, out, err);
	if (rc == -EINVAL)
		rc = -EIO;
	if (rc == 0 && out->errors == out->requests)
		rc = km_err_set(err, EIO, "wrk: %llu requests, none answered well",
		                (unsigned long long)out->requests);
	km_buf_fini(&text);
	return rc;
}

int local_load(struct km_rig *rig, const struct km_load_spec *spec, struct km_load_result *out,
               struct km_err *err)
{
	const struct local *l = rig->backend;
	int rc;

	if (l->replicas == 0)
		return km_err_set(err, EINVAL, "load: there is no target, want one started");
	rc = rig->plan->load.generator == KM_PLAN_WRK ? wrk(rig, spec, out, err)
	                                              : vegeta(rig, spec, out, err);
	if (rc != 0)
		return rc;
	(void)snprintf(out->version, sizeof(out->version), "%s", l->generator_version);
	if (rig->plan->load.profile == KM_PLAN_STEADY && out->open_loop)
		out->offered_rps = spec->rps;
	local_served_end(rig, out->requests);
	local_ask_prometheus(rig);
	return 0;
}
