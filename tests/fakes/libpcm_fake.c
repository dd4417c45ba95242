/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in for Intel's libpcm.so: the seven functions with their real signatures, as strict where
 * the real one is dangerous (calls before init, cores it does not have, events in memory it may not
 * write), and as ill-behaved as the environment's LIBPCM_FAKE says. Words separated by commas; N
 * counts calls of pcm_c_stop, the first is 1:
 *
 *   cpus=N        so many cores (2)
 *   init=-1       the PMU is refused, with a message of two lines
 *   badevent      pcm_c_build_core_event says -1
 *   abort         it ends as with an exception that crosses extern "C"
 *   fifo=PATH     init waits until somebody opened PATH for writing and closed it
 *   hang          init never returns
 *   hang=N        the stop never returns;  hangfifo=N waits for PATH of fifo= there instead of in
 * init segv=N        the getters of that reading crash zeros         nothing is ever counted nol2
 * L2 misses are not backwards=N   every count is smaller than before;  wrap=N as if 48 bits had
 * overflown vanish=CPU    its counters stand still from stop 3 to 4 wild=CPU      100 instructions
 * a cycle, at stop 3 only burst=BYTES   printed in init and each stop, half of it to each standard
 * output watchdog=PATH init writes 0 there nofile        init lowers the limit of open files, where
 * the real one raises it thread        init starts a thread that does nothing
 *
 * Each stop counts 1000 (core + 1) cycles, 2 instructions a cycle, and for the events that were
 * built an L2 miss every 100 and an L3 miss every 1000 cycles.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define CORES_MAX 1024
#define SLOTS     4

int pcm_c_build_core_event(uint8_t idx, const char *event);
int pcm_c_init(void);
void pcm_c_start(void);
void pcm_c_stop(void);
uint64_t pcm_c_get_cycles(uint32_t core);
uint64_t pcm_c_get_instr(uint32_t core);
uint64_t pcm_c_get_core_event(uint32_t core, uint32_t slot);

static uint64_t slot_divisor[SLOTS]; /* a count every so many cycles; 0 = nothing programmed */
static uint64_t cycles[CORES_MAX];
static unsigned cores;
static unsigned stops;
static int ready;

/* The text behind `name` in the script, NULL when it is not there. */
static const char *word(const char *name)
{
	const char *at = getenv("LIBPCM_FAKE");
	size_t len = strlen(name);

	while (at != NULL && strncmp(at, name, len) != 0) {
		at = strchr(at, ',');
		at = at != NULL ? at + 1 : NULL;
	}
	if (at == NULL || (name[len - 1] != '=' && at[len] != ',' && at[len] != '\0')) {
		return NULL;
	}
	return at + len;
}

static long number(const char *name, long preset)
{
	const char *at = word(name);

	return at != NULL ? strtol(at, NULL, 10) : preset;
}

static void wait_fifo(void)
{
	char path[256];
	const char *at = word("fifo=");
	int fd;

	(void)snprintf(path, sizeof(path), "%.*s", (int)strcspn(at, ","), at);
	fd = open(path, O_RDONLY);                 /* waits for a writer, */
	while (read(fd, path, sizeof(path)) > 0) { /* and for its end */
	}
	close(fd);
}

static void never_return(void)
{
	for (;;) {
		pause();
	}
}

static void burst(void)
{
	for (long left = number("burst=", 0); left > 0; left -= 64) {
		(void)fprintf(left % 128 < 64 ? stdout : stderr, "%063ld\n", left);
	}
}

int pcm_c_build_core_event(uint8_t idx, const char *event)
{
	char *rest = NULL;
	char *part;
	char *text;
	int l2 = 0;
	int l3 = 0;

	if (idx >= SLOTS || word("badevent") != NULL) {
		return -1;
	}
	if (word("abort") != NULL) {
		(void)fprintf(stderr, "terminate called after throwing an instance of 'char*'\n");
		abort();
	}
	/* cuts the string up where it is, const or not, as the real one does */
	memcpy(&text, &event, sizeof(text));
	for (part = strtok_r(text, "/,", &rest); part != NULL; part = strtok_r(NULL, "/,", &rest)) {
		l2 = l2 || strcmp(part, "name=L2_MISS") == 0;
		l3 = l3 || strcmp(part, "name=L3_MISS") == 0;
		if (strcmp(part, "cpu") != 0 && strncmp(part, "event=0x", 8) != 0 &&
		    strncmp(part, "umask=0x", 8) != 0 && strncmp(part, "name=", 5) != 0) {
			(void)fprintf(stderr, "Event '%s' is not supported.\n", part);
			abort();
		}
	}
	slot_divisor[idx] = l2 ? 100 : l3 ? 1000 : 7;
	return 0;
}

static void *idle(void *unused)
{
	(void)unused;
	never_return();
	return NULL;
}

static void touch_system(void)
{
	const char *watchdog = word("watchdog=");
	struct rlimit files = { .rlim_cur = 32 };
	pthread_t thread;
	char path[256];
	int fd;

	if (watchdog != NULL) {
		(void)snprintf(path, sizeof(path), "%.*s", (int)strcspn(watchdog, ","), watchdog);
		fd = open(path, O_WRONLY);
		(void)!write(fd, "0", 1);
		close(fd);
	}
	if (word("nofile") != NULL) {
		struct rlimit now;

		(void)getrlimit(RLIMIT_NOFILE, &now);
		files.rlim_max = now.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	if (word("thread") != NULL) {
		(void)pthread_create(&thread, NULL, idle, NULL);
	}
}

int pcm_c_init(void)
{
	const char *no_msr = getenv("PCM_NO_MSR");

	if (word("quiet") == NULL) {
		(void)printf("fake libpcm\n");
	}
	burst();
	if (no_msr == NULL || strcmp(no_msr, "1") != 0) {
		(void)fprintf(stderr, "ERROR: this would have reset everybody's counters\n");
		return -1;
	}
	if (number("init=", 0) != 0) {
		(void)fprintf(stderr, "ERROR: fake vPMU is not enabled\nGood-bye\n");
		return (int)number("init=", 0);
	}
	if (word("hang") != NULL) {
		never_return();
	}
	if (word("fifo=") != NULL && word("hangfifo=") == NULL) {
		wait_fifo();
	}
	touch_system();
	cores = (unsigned)number("cpus=", 2);
	stops = 0;
	memset(cycles, 0, sizeof(cycles));
	ready = 1;
	return 0;
}

void pcm_c_start(void)
{
	if (!ready) {
		abort();
	}
}

void pcm_c_stop(void)
{
	stops++;
	burst();
	if (stops == (unsigned)number("hang=", 0)) {
		never_return();
	}
	if (stops == (unsigned)number("hangfifo=", 0)) {
		wait_fifo();
	}
	for (unsigned core = 0; core < cores; core++) {
		int still = core == (unsigned)number("vanish=", -1) && (stops == 3 || stops == 4);

		if (word("zeros") == NULL && !still) {
			cycles[core] += UINT64_C(1000) * (core + 1);
		}
		if (stops == (unsigned)number("backwards=", 0)) {
			cycles[core] -= UINT64_C(5000) * (core + 1);
		}
		if (stops == (unsigned)number("wrap=", 0)) {
			cycles[core] -= UINT64_C(1) << 48;
		}
	}
}

/* As the real one does not: no core that was not there at init, and not before init. */
static void check(uint32_t core)
{
	if (!ready || core >= cores) {
		abort();
	}
	if (stops == (unsigned)number("segv=", 0)) {
		*(volatile char *)mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) = 1;
	}
}

uint64_t pcm_c_get_cycles(uint32_t core)
{
	check(core);
	return cycles[core];
}

uint64_t pcm_c_get_instr(uint32_t core)
{
	check(core);
	return core == (unsigned)number("wild=", -1) && stops == 3 ? 100 * cycles[core]
	                                                           : 2 * cycles[core];
}

uint64_t pcm_c_get_core_event(uint32_t core, uint32_t slot)
{
	check(core);
	if (slot >= SLOTS || slot_divisor[slot] == 0 ||
	    (slot_divisor[slot] == 100 && word("nol2") != NULL)) {
		return 0;
	}
	return cycles[core] / slot_divisor[slot];
}
