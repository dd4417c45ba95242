/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubemarla-pcm: libpcm in a process of its own. It may crash, hang, print and ask for rights here
 * as it likes; what comes out are frames (km/sources/pcm_frame.h).
 *
 *   stdin    a byte = one reading, please; its end = end
 *   stdout   frames
 *   stderr   the log
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "km/base/buf.h"
#include "km/base/clock.h"
#include "km/base/log.h"
#include "km/base/num.h"
#include "km/sources/pcm_frame.h"

#include "pcmd_internal.h"

enum { PCMD_OK = 0, PCMD_FAILED = 1, PCMD_USAGE = 2 };

static const char usage[] =
	"Usage: kubemarla-pcm --frames | --check | --once [OPTIONS]\n"
	"\n"
	"  --frames        serve kubemarlad: a reading for each byte on standard input\n"
	"  --check         look at the processor, load libpcm, say what would be counted\n"
	"  --once          count for --seconds, print it as JSON\n"
	"  --seconds N     how long --once counts (1)\n"
	"  --library FILE  libpcm; without it, where the loader finds libpcm.so\n"
	"  --procfs DIR    where procfs is (/proc)\n"
	"  --sysfs DIR     where sysfs is (/sys)\n"
	"  -v, --verbose   log all that libpcm prints\n"
	"  -h, --help      print this and exit\n"
	"  -V, --version   print the version and exit\n";

struct options {
	bool frames, check, once, verbose;
	double seconds;
	struct km_libpcm_options library;
};

/* ---- frames ---------------------------------------------------------------------------------- */

/* returns false when nobody reads them any more. */
static bool write_frame(int fd, const unsigned char frame[KM_PCM_FRAME_BYTES])
{
	size_t done = 0;

	while (done < KM_PCM_FRAME_BYTES) {
		ssize_t n = write(fd, frame + done, KM_PCM_FRAME_BYTES - done);

		if (n < 0 && errno != EINTR) {
			return false;
		}
		done += n > 0 ? (size_t)n : 0;
	}
	return true;
}

static bool write_text(int fd, enum km_pcm_kind kind, uint32_t counted, int code, const char *text)
{
	unsigned char frame[KM_PCM_FRAME_BYTES];

	km_pcm_frame_text(frame, kind, counted, code, text);
	return write_frame(fd, frame);
}

static bool write_reading(int fd, const struct km_pcm_reading *r)
{
	unsigned char frame[KM_PCM_FRAME_BYTES];
	bool ok = true;

	for (uint32_t part = 0; ok && part < km_pcm_frame_parts(r->cpu_count); part++) {
		km_pcm_frame_reading(frame, r, part);
		ok = write_frame(fd, frame);
	}
	return ok;
}

static uint32_t events_counted(const struct km_libpcm *p)
{
	const struct km_pcm_events *e = km_libpcm_events(p);

	return (e->l2_slots != 0 ? KM_PCM_HAS_L2 : 0U) | (e->l3_slots != 0 ? KM_PCM_HAS_L3 : 0U);
}

/* "GenuineIntel 6/143, Sapphire Rapids: cycles, instructions, L2 and L3 misses" */
static void describe(const struct km_libpcm *p, char out[static KM_PCM_TEXT_MAX])
{
	static const char *const misses[] = { [0] = "",
		                              [KM_PCM_HAS_L2] = ", L2 misses",
		                              [KM_PCM_HAS_L3] = ", L3 misses",
		                              [KM_PCM_HAS_L2 | KM_PCM_HAS_L3] =
		                                      ", L2 and L3 misses" };
	const struct km_pcm_cpu *cpu = km_libpcm_cpu(p);

	(void)snprintf(out, KM_PCM_TEXT_MAX, "%s %u/%u, %s: cycles, instructions%s", cpu->vendor,
	               cpu->family, cpu->model, km_libpcm_events(p)->family,
	               misses[events_counted(p)]);
}

/* ---- modes ----------------------------------------------------------------------------------- */

/* Loads, starts and gives up what rights that took. */
static int start(const struct options *o, struct km_libpcm **out, struct km_err *err)
{
	int ret = km_libpcm_load(&o->library, out, err);

	if (ret == 0) {
		ret = km_libpcm_start(*out, err);
	}
	if (ret == 0) {
		pcmd_rights_drop(o->frames);
	}
	return ret;
}

/* The error, and what libpcm had to say to it. */
static void add_trouble(struct km_err *err)
{
	const char *trouble = pcmd_chatter_stop();

	if (trouble[0] != '\0') {
		size_t len = strlen(err->text);

		(void)snprintf(err->text + len, sizeof(err->text) - len, "; libpcm: %s", trouble);
	}
}

static int serve(struct km_libpcm *p, struct km_pcm_reading *r, int request_fd, int frame_fd,
                 struct km_err *err)
{
	char bytes[64];
	ssize_t n;
	int ret = 0;

	while ((n = read(request_fd, bytes, sizeof(bytes))) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0) {
			continue;
		}
		/* several requests at once are one: what matters is now */
		ret = km_libpcm_read(p, r, err);
		r->run = (uint32_t)getpid();
		if (ret != 0 || !write_reading(frame_fd, r)) {
			break;
		}
	}
	return ret;
}

static int run_frames(const struct options *o, int request_fd, int frame_fd)
{
	struct km_pcm_reading *r = calloc(1, sizeof(*r));
	struct km_libpcm *p = NULL;
	struct km_err err = { .code = 0 };
	char text[KM_PCM_TEXT_MAX];
	int ret;

	if (r == NULL || !write_text(frame_fd, KM_PCM_LOADING, 0, 0, "")) {
		return PCMD_FAILED;
	}
	ret = start(o, &p, &err);
	if (ret == 0) {
		describe(p, text);
		if (write_text(frame_fd, KM_PCM_READY, events_counted(p), 0, text)) {
			ret = serve(p, r, request_fd, frame_fd, &err);
		}
	}
	if (ret != 0) {
		add_trouble(&err);
		(void)write_text(frame_fd, KM_PCM_FAILED, 0, err.code, err.text);
	}
	return ret == 0 ? PCMD_OK : PCMD_FAILED;
}

static int run_check(const struct options *o, int out_fd)
{
	struct km_libpcm *p = NULL;
	struct km_err err = { .code = 0 };
	char text[KM_PCM_TEXT_MAX];
	int ret = km_libpcm_load(&o->library, &p, &err);

	if (ret == 0) {
		describe(p, text);
	} else {
		(void)snprintf(text, sizeof(text), "%.*s", (int)sizeof(text) - 1, err.text);
	}
	if (o->frames) {
		(void)write_text(out_fd, ret == 0 ? KM_PCM_READY : KM_PCM_FAILED,
		                 ret == 0 ? events_counted(p) : 0, err.code, text);
	} else {
		dprintf(out_fd, "%s: %s\n", ret == 0 ? "ok" : "absent",
		        err.code != 0 ? err.text : text);
	}
	return ret == 0 ? PCMD_OK : PCMD_FAILED;
}

static void append_count(struct km_buf *b, const char *name, bool known, uint64_t value)
{
	km_buf_printf(b, ",\"%s\":", name);
	if (known) {
		km_buf_printf(b, "%llu", (unsigned long long)value);
	} else {
		km_buf_str(b, "null");
	}
}

static void append_cpu(struct km_buf *b, const struct km_pcm_reading *from,
                       const struct km_pcm_reading *to, uint32_t cpu)
{
	bool known = km_cpuset_has(&from->measured, cpu) && km_cpuset_has(&to->measured, cpu);
	const struct km_pcm_counts *before = &from->cpu[cpu];
	const struct km_pcm_counts *now = &to->cpu[cpu];
	uint32_t counted = known ? to->counted : 0;

	km_buf_printf(b, "%s{\"cpu\":%u", cpu > 0 ? "," : "", cpu);
	append_count(b, "cycles", known, now->cycles - before->cycles);
	append_count(b, "instructions", known, now->instructions - before->instructions);
	append_count(b, "l2Misses", (counted & KM_PCM_HAS_L2) != 0, now->l2_miss - before->l2_miss);
	append_count(b, "l3Misses", (counted & KM_PCM_HAS_L3) != 0, now->l3_miss - before->l3_miss);
	km_buf_char(b, '}');
}

static int print_once(const struct km_libpcm *p, const struct km_pcm_reading r[static 2],
                      int out_fd)
{
	const struct km_pcm_cpu *cpu = km_libpcm_cpu(p);
	struct km_buf b;
	int rc;

	km_buf_init(&b);
	km_buf_printf(&b, "{\"processor\":\"%s/%u/%u\",\"family\":\"%s\",\"seconds\":", cpu->vendor,
	              cpu->family, cpu->model, km_libpcm_events(p)->family);
	km_buf_double(&b, (double)(r[1].time_ns - r[0].time_ns) * 1e-9);
	km_buf_str(&b, ",\"cpus\":[");
	for (uint32_t i = 0; i < r[1].cpu_count; i++) {
		append_cpu(&b, &r[0], &r[1], i);
	}
	km_buf_str(&b, "]}\n");
	rc = km_buf_ok(&b) && write(out_fd, b.data, b.len) == (ssize_t)b.len ? PCMD_OK
	                                                                     : PCMD_FAILED;
	km_buf_fini(&b);
	return rc;
}

static int run_once(const struct options *o, int out_fd)
{
	struct timespec wait = { .tv_sec = (time_t)o->seconds,
		                 .tv_nsec = (long)(fmod(o->seconds, 1) * 1e9) };
	struct km_pcm_reading *r = calloc(2, sizeof(*r));
	struct km_libpcm *p = NULL;
	struct km_err err = { .code = 0 };
	int ret = r != NULL ? start(o, &p, &err) : -ENOMEM;

	if (ret == 0) {
		ret = km_libpcm_read(p, &r[0], &err);
	}
	if (ret == 0) {
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
		ret = km_libpcm_read(p, &r[1], &err);
	}
	if (ret != 0) {
		add_trouble(&err);
		km_log_error("pcm", "absent reason=\"%s\"", err.text);
		return PCMD_FAILED;
	}
	return print_once(p, r, out_fd);
}

static int run(const struct options *o)
{
	int request_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct km_err err = { .code = 0 };
	int out_fd = -1;

	pcmd_rights_limit(o->frames);
	km_libpcm_environment_set();
	/* libpcm has questions for the user of its tools; nobody answers them here */
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    pcmd_chatter_start(o->verbose, &out_fd, &err) != 0) {
		km_log_error("pcm", "%s", err.code != 0 ? err.text : "no /dev/null");
		return PCMD_FAILED;
	}
	if (o->check) {
		return run_check(o, out_fd);
	}
	return o->once ? run_once(o, out_fd) : run_frames(o, request_fd, out_fd);
}

/* ---- options --------------------------------------------------------------------------------- */

enum {
	OPT_FRAMES = 256,
	OPT_CHECK,
	OPT_ONCE,
	OPT_SECONDS,
	OPT_LIBRARY,
	OPT_PROCFS,
	OPT_SYSFS,
};

static const struct option long_options[] = {
	{ "frames", no_argument, NULL, OPT_FRAMES },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "once", no_argument, NULL, OPT_ONCE },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "library", required_argument, NULL, OPT_LIBRARY },
	{ "procfs", required_argument, NULL, OPT_PROCFS },
	{ "sysfs", required_argument, NULL, OPT_SYSFS },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* returns -1 to go on, or the exit code. */
static int take_option(struct options *o, int opt)
{
	switch (opt) {
	case OPT_FRAMES:
		o->frames = true;
		return -1;
	case OPT_CHECK:
		o->check = true;
		return -1;
	case OPT_ONCE:
		o->once = true;
		return -1;
	case OPT_SECONDS:
		if (km_num_double(optarg, strlen(optarg), &o->seconds) == 0 &&
		    o->seconds >= 0.001 && o->seconds <= 3600) {
			return -1;
		}
		fprintf(stderr, "kubemarla-pcm: --seconds: saw %.40s, want 0.001 to 3600\n",
		        optarg);
		return PCMD_USAGE;
	case OPT_LIBRARY:
		o->library.file = optarg;
		return -1;
	case OPT_PROCFS:
		o->library.procfs = optarg;
		return -1;
	case OPT_SYSFS:
		o->library.sysfs = optarg;
		return -1;
	case 'v':
		o->verbose = true;
		return -1;
	case 'h':
		fputs(usage, stdout);
		return PCMD_OK;
	case 'V':
		puts("kubemarla-pcm " KM_VERSION);
		return PCMD_OK;
	default:
		fputs(usage, stderr);
		return PCMD_USAGE;
	}
}

int main(int argc, char **argv)
{
	struct options o = { .seconds = 1,
		             .library = { .file = "", .procfs = "/proc", .sysfs = "/sys" } };
	int rc = -1;
	int opt;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread yet */
	while (rc < 0 && (opt = getopt_long(argc, argv, "hvV", long_options, NULL)) != -1) {
		rc = take_option(&o, opt);
	}
	if (rc < 0 && (optind < argc || (!o.frames && !o.check && !o.once) ||
	               (o.once && (o.frames || o.check)))) {
		fputs(usage, stderr);
		rc = PCMD_USAGE;
	}
	if (rc < 0) {
		rc = run(&o);
		/* libpcm's destructors and its threads are not fit to run side by side */
		_exit(rc);
	}
	return fflush(stdout) == 0 ? rc : PCMD_FAILED;
}
