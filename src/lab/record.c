/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla-lab record`: what the agent would measure here, as a trace. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "km/base/clock.h"
#include "km/base/file.h"
#include "km/base/num.h"
#include "km/config/config.h"
#include "km/rig/recorder.h"
#include "km/wire/json.h"

#include "lab_internal.h"

/* A worker that is not up by then is recorded when it comes. */
#define READY_NS      (5 * KM_NS_PER_S)
#define READY_STEP_NS (50 * KM_NS_PER_MS)
#define SECONDS_MAX   604800

static const char record_usage[] =
	"record [OPTION]...\n\n"
	"Records the counters of this machine, as the daemon would read them, into a trace:\n"
	"samples as CSV, the unit in each column's name, what was not measured empty\n"
	"(docs/COUNTERS.md). `kubemarlad` replays it, datasets are made of such. Ends after\n"
	"--seconds, or at a signal (INT, TERM, HUP): what was recorded until then is written.\n\n"
	"  --nodes LIST      NAME=CPUS[@CGROUP],...: a=0-2,b=3,5 are the nodes a and b\n"
	"  --seconds N       how long; default 60\n"
	"  --interval TIME   between two samples; default 1s\n"
	"  --sources LIST    auto (default), or some of pcm-server, perf, pcm, resctrl, os\n"
	"  --config FILE     nodes and sources as in the daemon's configuration\n"
	"  --out FILE        default: standard output; with .gz at its end, gzip\n"
	"  --json            says what was recorded as JSON\n";

struct request {
	const char *nodes, *interval, *sources, *config, *out;
	double seconds;
	bool json;
};

/* A YAML string, whatever is in it. */
static void put_quoted(struct km_buf *out, const char *text, size_t len)
{
	km_buf_char(out, '"');
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"' || text[i] == '\\')
			km_buf_char(out, '\\');
		km_buf_char(out, text[i]);
	}
	km_buf_char(out, '"');
}

/* "a=0-2,4@group": the name, CPUs and group of a node. */
static void put_node(struct km_buf *out, const char *text, size_t len)
{
	const char *equals = memchr(text, '=', len);
	size_t name_len = equals != NULL ? (size_t)(equals - text) : len;
	const char *cpus = equals != NULL ? equals + 1 : text + len;
	size_t rest = len - (size_t)(cpus - text);
	const char *at = memchr(cpus, '@', rest);
	size_t cpus_len = at != NULL ? (size_t)(at - cpus) : rest;

	km_buf_str(out, "{name: ");
	put_quoted(out, text, name_len);
	if (cpus_len > 0 || at == NULL) {
		km_buf_str(out, ", cpus: ");
		put_quoted(out, cpus, cpus_len);
	}
	if (at != NULL) {
		km_buf_str(out, ", cgroup: ");
		put_quoted(out, at + 1, rest - cpus_len - 1);
	}
	km_buf_char(out, '}');
}

/* Commas part nodes and a node's CPUs: what has no "=" goes on with the node before. */
static void put_nodes(struct km_buf *out, const char *list)
{
	const char *at = list;

	while (*at != '\0') {
		const char *end = at;

		do {
			end += *end == ',';
			end += strcspn(end, ",");
		} while (*end == ',' && strcspn(end + 1, "=") > strcspn(end + 1, ","));
		put_node(out, at, (size_t)(end - at));
		at = *end == ',' ? end + 1 : end;
		km_buf_str(out, *at != '\0' ? ", " : "");
	}
}

/* The options as the daemon's own configuration says them: its rules are the rules here. */
static int settings_of(const struct request *r, struct km_settings *out, struct km_err *err)
{
	struct km_buf yaml;
	int rc;

	if (r->config != NULL)
		return km_config_load(r->config, out, err);
	km_buf_init(&yaml);
	if (r->nodes != NULL) {
		km_buf_str(&yaml, "nodes: [");
		put_nodes(&yaml, r->nodes);
		km_buf_str(&yaml, "]\n");
	}
	km_buf_str(&yaml, "collect: {interval: ");
	put_quoted(&yaml, r->interval, strlen(r->interval));
	if (strcmp(r->sources, "auto") == 0)
		km_buf_str(&yaml, ", sources: auto}\n");
	else
		km_buf_printf(&yaml, ", sources: [%s]}\n", r->sources);
	rc = km_buf_ok(&yaml) ? km_config_parse("options", yaml.data, yaml.len, out, err)
	                      : km_err_set(err, ENOMEM, "out of memory");
	km_buf_fini(&yaml);
	return rc;
}

/* Until `until_ns`, or a signal. returns false when one came. */
static bool wait_until(int stop_fd, int64_t until_ns)
{
	struct pollfd stop = { .fd = stop_fd, .events = POLLIN };
	int64_t left_ns = until_ns - km_clock_mono_ns(km_clock_system());
	struct timespec ts = { 0 };

	if (left_ns > 0) {
		ts.tv_sec = (time_t)(left_ns / KM_NS_PER_S);
		ts.tv_nsec = (long)(left_ns % KM_NS_PER_S);
	}
	return ppoll(&stop, 1, &ts, NULL) <= 0;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* returns KM_COMMAND_OK, or KM_COMMAND_STOPPED after a signal: csv is whole either way. */
static int record(struct km_recorder *rec, double seconds, int stop_fd, struct km_buf *csv,
                  struct km_err *err)
{
	const struct km_clock *clock = km_clock_system();
	int64_t now_ns = km_clock_mono_ns(clock);
	int64_t ready_ns = now_ns + READY_NS;
	bool go_on = true;
	int64_t end_ns;
	int rc = 0;

	while (go_on && !km_recorder_ready(rec, now_ns) && now_ns < ready_ns) {
		go_on = wait_until(stop_fd, now_ns + READY_STEP_NS);
		now_ns = km_clock_mono_ns(clock);
	}
	km_recorder_begin(rec, now_ns, km_clock_wall_ns(clock));
	end_ns = now_ns + (int64_t)(seconds * 1e9);
	while (rc == 0 && go_on && now_ns < end_ns) {
		go_on = wait_until(stop_fd, least(km_recorder_due_ns(rec), end_ns));
		now_ns = km_clock_mono_ns(clock);
		if (go_on && now_ns < end_ns)
			rc = km_recorder_tick(rec, now_ns, err);
	}
	if (rc == 0)
		rc = km_recorder_end(rec, now_ns, csv, err);
	if (rc != 0)
		return rc;
	return go_on ? KM_COMMAND_OK : KM_COMMAND_STOPPED;
}

static int write_trace(const char *path, const struct km_buf *csv, struct km_err *err)
{
	size_t len = strlen(path);
	struct km_buf packed;
	int rc;

	if (len < 3 || strcmp(path + len - 3, ".gz") != 0)
		return km_file_write_atomic(path, csv->data, csv->len, err);
	km_buf_init(&packed);
	rc = km_gz_pack(csv->data, csv->len, &packed, err);
	if (rc == 0)
		rc = km_file_write_atomic(path, packed.data, packed.len, err);
	km_buf_fini(&packed);
	return rc;
}

static size_t count_rows(const struct km_buf *csv)
{
	size_t lines = 0;

	for (size_t i = 0; i < csv->len; i++)
		lines += csv->data[i] == '\n';
	return lines - 1; /* the header */
}

/* What was recorded: on standard output, unless the trace is there. */
static void tell(const struct request *r, const struct km_recorder *rec, const struct km_buf *csv)
{
	FILE *to = r->out != NULL ? stdout : stderr;
	const char *tier = km_tier_name(km_recorder_tier(rec));
	struct km_json j;
	struct km_buf text;

	if (r->json) {
		km_buf_init(&text);
		j = km_json_to(&text);
		km_json_begin(&j, '{');
		km_json_put_integer(&j, "samples", (long long)count_rows(csv));
		km_json_put_string(&j, "sources", km_recorder_sources(rec));
		km_json_put_string(&j, "tier", tier);
		km_json_put_string(&j, "out", r->out);
		km_json_put_string(&j, "trouble", km_recorder_trouble(rec));
		km_json_end(&j, '}');
		fprintf(to, "%s\n", km_buf_cstr(&text));
		km_buf_fini(&text);
		return;
	}
	fprintf(to, "%zu samples of %s, tier %s%s%s\n", count_rows(csv), km_recorder_sources(rec),
	        tier, r->out != NULL ? ", in " : "", r->out != NULL ? r->out : "");
	if (km_recorder_trouble(rec)[0] != '\0')
		fprintf(stderr, "kubemarla-lab: %s\n", km_recorder_trouble(rec));
}

/* returns the exit code of the command. */
static int run(const struct request *r, const struct km_settings *s, int stop_fd)
{
	struct km_recorder *rec = NULL;
	struct km_err err = { .code = 0 };
	struct km_buf csv;
	int code;
	int rc = km_recorder_open(&s->collect, s->node, s->node_count,
	                          km_clock_mono_ns(km_clock_system()), &rec, &err);

	km_buf_init(&csv);
	code = rc != 0 ? rc : record(rec, r->seconds, stop_fd, &csv, &err);
	if (code >= 0) {
		rc = r->out != NULL ? write_trace(r->out, &csv, &err) : 0;
		if (r->out == NULL)
			(void)fwrite(csv.data, 1, csv.len, stdout); /* main checks stdout */
		code = rc == 0 ? code : rc;
	}
	if (code >= 0)
		tell(r, rec, &csv);
	km_recorder_free(rec);
	km_buf_fini(&csv);
	return code >= 0 ? code : km_lab_tell(&err);
}

static bool take_seconds(const char *text, double *out)
{
	if (km_num_double(text, strlen(text), out) == 0 && *out > 0 && *out <= SECONDS_MAX)
		return true;
	fprintf(stderr, "kubemarla-lab: --seconds: saw \"%.40s\", want more than 0, at most %d\n",
	        text, SECONDS_MAX);
	return false;
}

/* returns 1 = go on, 0 = --help, -1 = wrong. */
static int parse(int argc, char **argv, struct request *r)
{
	static const struct option options[] = {
		{ "nodes", required_argument, NULL, 'n' },
		{ "seconds", required_argument, NULL, 's' },
		{ "interval", required_argument, NULL, 'i' },
		{ "sources", required_argument, NULL, 'S' },
		{ "config", required_argument, NULL, 'c' },
		{ "out", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char **const texts[] = {
		['n'] = &r->nodes,  ['i'] = &r->interval, ['S'] = &r->sources,
		['c'] = &r->config, ['o'] = &r->out,      ['z'] = NULL
	};
	bool good = true;
	int opt;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the program has one thread here */
	while (good && (opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h')
			return 0;
		if (opt == 'j')
			r->json = true;
		else if (opt == 's')
			good = take_seconds(optarg, &r->seconds);
		else if (opt == '?' || texts[opt] == NULL)
			good = false;
		else
			*texts[opt] = optarg;
	}
	if (good && r->config != NULL &&
	    (r->nodes != NULL || r->interval != NULL || r->sources != NULL)) {
		fprintf(stderr, "kubemarla-lab: --config has the nodes, the interval and the "
		                "sources, want either it or those options\n");
		good = false;
	}
	r->interval = r->interval != NULL ? r->interval : "1s";
	r->sources = r->sources != NULL ? r->sources : "auto";
	return good && optind == argc ? 1 : -1;
}

int km_lab_record(int argc, char **argv)
{
	struct request r = { .seconds = 60 };
	struct km_settings settings = { .node_count = 0 };
	struct km_err err = { .code = 0 };
	sigset_t signals;
	int stop_fd;
	int go_on = parse(argc, argv, &r);
	int code;

	if (go_on <= 0)
		return km_command_usage(record_usage, go_on == 0);
	if (settings_of(&r, &settings, &err) != 0) {
		(void)km_lab_tell(&err);
		return KM_COMMAND_USAGE;
	}
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
	stop_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (stop_fd < 0) {
		(void)km_err_errno(&err, errno, "signalfd");
		code = km_lab_tell(&err);
	} else {
		code = run(&r, &settings, stop_fd);
		(void)close(stop_fd);
	}
	km_settings_fini(&settings);
	return code;
}
