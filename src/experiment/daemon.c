/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a trial's daemon: its configuration, its readiness, its end. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "km/base/clock.h"
#include "km/base/file.h"
#include "km/base/num.h"
#include "km/stress/stress.h"
#include "km/wire/client_answers.h"
#include "km/wire/pick.h"

#include "daemon_internal.h"

#define PROGRAM        "kubemarlad"
#define READY          "kubemarlad ready on "
#define READY_NS       (INT64_C(30) * KM_NS_PER_S)
#define GRACE_NS       (INT64_C(5) * KM_NS_PER_S)
#define ANSWER_NS      (INT64_C(5) * KM_NS_PER_S)
#define ANSWER_BYTES   (1u << 20)
#define SAID_BYTES     4096
#define PATH_BYTES     4096
#define MODEL_TEXT_MAX 64

/* ---- configuration -------------------------------------------------------------------------- */

/* As a double-quoted YAML scalar. Names and paths come from files that were read as YAML, too. */
static void put_quoted(struct km_buf *out, const char *text)
{
	km_buf_char(out, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			km_buf_char(out, '\\');
		if ((unsigned char)*text < 0x20)
			km_buf_printf(out, "\\x%02x", (unsigned)(unsigned char)*text);
		else
			km_buf_char(out, *text);
	}
	km_buf_char(out, '"');
}

static void put_nodes(const struct km_trial_daemon_options *o, struct km_buf *out)
{
	const struct km_plan *p = o->plan;

	km_buf_str(out, "nodes:\n");
	for (size_t i = 0; i < p->node_count; i++) {
		km_buf_str(out, "- name: ");
		put_quoted(out, p->node[i].name);
		if (p->node[i].cpus_given) {
			km_buf_str(out, "\n  cpus: \"");
			km_cpuset_format(&p->node[i].cpus, out);
			km_buf_char(out, '"');
		}
		if (o->group != NULL && o->group[i][0] != '\0') {
			km_buf_str(out, "\n  cgroup: ");
			put_quoted(out, o->group[i]);
		}
		km_buf_char(out, '\n');
	}
}

static void put_seconds(struct km_buf *out, const char *key, double seconds)
{
	km_buf_printf(out, "  %s: ", key);
	km_buf_double(out, seconds);
	km_buf_str(out, "s\n");
}

static void put_collect(const struct km_plan *p, struct km_buf *out)
{
	const struct km_collect_settings *c = &p->collect;
	const struct {
		const char *key, *value;
	} roots[] = {
		{ "procfs", c->live.procfs },
		{ "sysfs", c->live.sysfs },
		{ "resctrl", c->live.resctrl },
		{ "cgroupfs", c->live.cgroupfs },
	};

	km_buf_str(out, "collect:\n");
	put_seconds(out, "interval", (double)c->interval_ns / 1e9);
	/* its range is the daemon's; a model brings its own */
	put_seconds(out, "window", fmax(1, (double)p->trial.window_ns / 1e9));
	km_buf_str(out, "  sources: ");
	if (c->auto_sources) {
		km_buf_str(out, "auto\n");
	} else {
		for (size_t i = 0; i < c->source_count; i++)
			km_buf_printf(out, "%s%s", i == 0 ? "[" : ", ", c->source[i].kind);
		km_buf_str(out, "]\n");
	}
	km_buf_str(out, "  roots:\n");
	for (size_t i = 0; i < KM_ARRAY_LEN(roots); i++) {
		if (roots[i].value == NULL || roots[i].value[0] == '\0')
			continue;
		km_buf_printf(out, "    %s: ", roots[i].key);
		put_quoted(out, roots[i].value);
		km_buf_char(out, '\n');
	}
}

/* A control plane of its own: no Kubernetes, no peers, the finest scores. */
static int write_config(const struct km_trial_daemon_options *o, const char *path,
                        struct km_err *err)
{
	char model[PATH_BYTES];
	struct km_buf out;
	int rc;

	if (o->model == NULL)
		return km_err_set(err, ENOENT, "the arm kubemarla wants --model, or --daemon");
	if (realpath(o->model, model) == NULL)
		return km_err_errno(err, errno, "model %.100s", o->model);
	km_buf_init(&out);
	km_buf_str(&out, "roles: [agent, extender]\n");
	put_nodes(o, &out);
	put_collect(o->plan, &out);
	km_buf_str(&out, "model:\n  path: ");
	put_quoted(&out, model);
	km_buf_str(&out, "\nfeatures:\n  from: local\nkubernetes:\n  enabled: off\n"
	                 "decide:\n  scoreScale: 100\n  defaultWorkload:\n    rps: ");
	km_buf_double(&out, o->plan->trial.rps);
	km_buf_char(&out, '\n');
	rc = km_buf_ok(&out) ? km_file_write_atomic(path, out.data, out.len, err)
	                     : km_err_set(err, ENOMEM, "out of memory");
	km_buf_fini(&out);
	return rc;
}

/* ---- start and end -------------------------------------------------------------------------- */

/* What was asked for, the one beside this program, or the one in PATH. */
static int find_program(const char *asked, char *out, size_t size, struct km_err *err)
{
	char beside[PATH_BYTES];
	ssize_t len = readlink("/proc/self/exe", beside, sizeof(beside) - sizeof("/" PROGRAM));
	char *slash;

	if (asked != NULL)
		return km_child_find(asked, out, size, err);
	if (len > 0) {
		beside[len] = '\0';
		slash = strrchr(beside, '/');
		if (slash != NULL) {
			(void)snprintf(slash, sizeof("/" PROGRAM), "/" PROGRAM);
			if (km_child_find(beside, out, size, NULL) == 0)
				return 0;
		}
	}
	if (km_child_find(PROGRAM, out, size, NULL) == 0)
		return 0;
	return km_err_set(err, ENOENT,
	                  PROGRAM " is neither beside kubemarla-lab nor in PATH: build it, or give "
	                          "--kubemarlad");
}

/* Off the nodes' CPUs when any are left, so that it disturbs what is measured the least. */
static bool spare_cpus(const struct km_plan *p, struct km_cpuset *out)
{
	struct km_cpuset allowed;

	memset(out, 0, sizeof(*out));
	/* not as many as are online: numbers have gaps, and not all may be used */
	if (km_stress_allowed(&allowed, NULL) != 0)
		return false;
	km_cpuset_each (cpu, &allowed) {
		bool used = false;

		for (size_t i = 0; i < p->node_count; i++)
			used |= !p->node[i].cpus_given || km_cpuset_has(&p->node[i].cpus, cpu);
		if (!used)
			km_cpuset_add(out, cpu);
	}
	return km_cpuset_count(out) > 0;
}

int daemon_lives(struct km_trial_daemon *d, struct km_err *err)
{
	char words[KM_CHILD_WORDS_MAX + 1];

	if (d->child == NULL || !km_child_serve(d->child))
		return 0;
	return km_err_set(err, ECHILD, PROGRAM " ended: %s",
	                  km_child_words(d->child, false, words));
}

/* Reads what it says until the line with its address is whole. */
static int await_ready(struct km_trial_daemon *d, struct km_err *err)
{
	const struct km_clock *clock = km_clock_system();
	int64_t deadline_ns = km_clock_mono_ns(clock) + READY_NS;
	struct km_buf *said = km_child_output(d->child);

	for (;;) {
		struct pollfd fds[KM_CHILD_FDS];
		int64_t left_ns = deadline_ns - km_clock_mono_ns(clock);
		const char *text;
		const char *at;
		int rc = daemon_lives(d, err);

		if (rc != 0)
			return rc;
		text = km_buf_cstr(said);
		at = strstr(text, READY);
		if (at != NULL && strchr(at, '\n') != NULL) {
			at += strlen(READY);
			km_buf_str(&d->url, "http://");
			km_buf_append(&d->url, at, strcspn(at, "\n"));
			return 0;
		}
		if (left_ns <= 0)
			return km_err_set(err, ETIMEDOUT, PROGRAM ": not ready after %d s",
			                  (int)(READY_NS / KM_NS_PER_S));
		km_child_poll(d->child, fds);
		(void)poll(fds, KM_CHILD_FDS, (int)(left_ns / KM_NS_PER_MS) + 1);
	}
}

static int start_program(struct km_trial_daemon *d, const struct km_trial_daemon_options *o,
                         struct km_err *err)
{
	char program[PATH_BYTES];
	char config[PATH_BYTES];
	const char *argv[] = { program, "-c", config, "-l", "127.0.0.1:0", NULL };
	struct km_child_spec spec = {
		.argv = argv,
		.max_out_bytes = SAID_BYTES,
		.tied_signal = SIGKILL,
	};
	struct km_cpuset spare;
	int rc = find_program(o->program, program, sizeof(program), err);

	if (rc != 0)
		return rc;
	if (snprintf(config, sizeof(config), "%s/kubemarla.yaml", o->scratch_dir) >=
	    (int)sizeof(config))
		return km_err_set(err, ENAMETOOLONG, "%.100s: too long", o->scratch_dir);
	rc = write_config(o, config, err);
	if (rc != 0)
		return rc;
	if (spare_cpus(o->plan, &spare))
		spec.cpus = &spare;
	rc = km_child_start(&spec, &d->child, err);
	return rc == 0 ? await_ready(d, err) : rc;
}

int daemon_fetch(struct km_trial_daemon *d, const char *path, const struct km_buf *body,
                 struct km_buf *out, struct km_err *err)
{
	struct km_buf url;
	int rc = daemon_lives(d, err);

	if (rc != 0)
		return rc;
	km_buf_clear(out);
	km_buf_init(&url);
	km_buf_append(&url, d->url.data, d->url.len);
	km_buf_str(&url, path);
	rc = km_client_do(d->client, km_buf_cstr(&url), body != NULL ? body->data : NULL,
	                  body != NULL ? body->len : 0, out, err);
	km_buf_fini(&url);
	if (rc < 0 || rc == 200)
		return rc < 0 ? rc : 0;
	return km_err_set(err, EIO, "%s: status %d", path, rc);
}

static double seconds_of(const struct km_json_slice *whole, const char *key, double preset)
{
	const struct km_json_slice at = km_json_pick(whole, key);
	double value;

	if (at.kind != KM_JSON_NUMBER || km_num_double(at.text, at.len, &value) != 0)
		return preset;
	return value;
}

/* What it decides by, and that it is a kubemarlad at all. */
static int read_model(struct km_trial_daemon *d, struct km_err *err)
{
	char name[MODEL_TEXT_MAX];
	char hash[24];
	struct km_json_slice whole;
	int rc;

	rc = daemon_fetch(d, "/v1/model", NULL, &d->card, err);
	if (rc == 0 && km_json_whole(d->card.data, d->card.len, &whole, NULL) != 0)
		rc = km_err_set(err, EBADMSG, "%.100s is no " PROGRAM, km_buf_cstr(&d->url));
	if (rc == 0) {
		if (km_json_pick(&whole, "loaded").kind != KM_JSON_TRUE) {
			rc = km_err_set(err, EBADMSG,
			                "the daemon at %.80s has no model (a file that it refused, "
			                "or none)",
			                km_buf_cstr(&d->url));
		}
		d->window_s = seconds_of(&whole, "windowSeconds", d->window_s);
		d->bin_s = seconds_of(&whole, "binSeconds", d->bin_s);
		(void)km_json_pick_text(&whole, "name", name, sizeof(name));
		(void)km_json_pick_text(&whole, "hash", hash, sizeof(hash));
		if (name[0] != '\0')
			(void)snprintf(d->model, sizeof(d->model), "%s (%s)", name, hash);
	}
	return rc;
}

int km_trial_daemon_start(const struct km_trial_daemon_options *o, struct km_trial_daemon **out,
                          struct km_err *err)
{
	const struct km_client_options client = { .timeout_ns = ANSWER_NS,
		                                  .max_body_bytes = ANSWER_BYTES };
	struct km_trial_daemon *d = calloc(1, sizeof(*d));
	double age_s;
	int rc;

	*out = NULL;
	if (d == NULL)
		return km_err_set(err, ENOMEM, "out of memory");
	d->plan = o->plan;
	d->window_s = (double)o->plan->trial.window_ns / 1e9;
	d->bin_s = (double)o->plan->collect.interval_ns / 1e9;
	km_buf_init(&d->url);
	km_buf_init(&d->card);
	rc = km_client_create(&client, &d->client, err);
	if (rc == 0 && o->url == NULL)
		rc = start_program(d, o, err);
	if (rc == 0 && o->url != NULL) {
		km_buf_str(&d->url, strstr(o->url, "://") == NULL ? "http://" : "");
		km_buf_str(&d->url, o->url);
		while (d->url.len > 0 && d->url.data[d->url.len - 1] == '/')
			d->url.len--;
	}
	(void)km_buf_cstr(&d->url); /* ends it with NUL; an empty one asks nobody */
	if (rc == 0)
		rc = read_model(d, err);
	if (rc == 0)
		rc = km_trial_daemon_age(d, &age_s, err);
	if (rc != 0) {
		km_trial_daemon_stop(d);
		return rc;
	}
	*out = d;
	return 0;
}

void km_trial_daemon_stop(struct km_trial_daemon *d)
{
	if (d == NULL)
		return;
	if (d->child != NULL)
		km_child_stop(d->child, SIGTERM, GRACE_NS);
	km_child_free(d->child);
	km_client_free(d->client);
	km_buf_fini(&d->card);
	km_buf_fini(&d->url);
	free(d);
}

const char *km_trial_daemon_url(const struct km_trial_daemon *d)
{
	return d->url.data;
}

const char *km_trial_daemon_model(const struct km_trial_daemon *d)
{
	return d->model;
}

const struct km_buf *km_trial_daemon_card(const struct km_trial_daemon *d)
{
	return &d->card;
}

int km_trial_daemon_pid(const struct km_trial_daemon *d)
{
	return d->child != NULL ? km_child_pid(d->child) : 0;
}

double km_trial_daemon_window_s(const struct km_trial_daemon *d)
{
	return d->window_s;
}

double km_trial_daemon_bin_s(const struct km_trial_daemon *d)
{
	return d->bin_s;
}
