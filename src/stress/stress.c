/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads: one a CPU, pinned, each with working sets of its own. They meet at a gate once
 * everything is allocated, and then only look at `stopping`; their counts are read after they were
 * joined.
 */
#include "km/stress/stress.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "km/base/clock.h"

#include "stress_internal.h"

struct worker {
	struct km_stress *stress;
	unsigned cpu;
	pthread_t thread;
	int rc;         /* of getting ready */
	int64_t cpu_ns; /* CPU time at work */
	struct stress_state state[STRESS_KERNELS];
};

struct km_stress {
	enum km_stress_kind kind;
	unsigned level_pct;
	struct km_cpuset cpus;
	struct km_caches caches;
	struct worker *worker; /* [workers] */
	unsigned workers;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* ready, go or stopping; on the monotonic clock */
	unsigned ready;
	bool go;
	atomic_bool stopping;
	int64_t started_ns;
};

static int64_t thread_cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* cannot fail for a clock that exists */
	return t.tv_sec * KM_NS_PER_S + t.tv_nsec;
}

static int64_t now_ns(void)
{
	return km_clock_mono_ns(km_clock_system());
}

static bool stopping(struct km_stress *s)
{
	return atomic_load_explicit(&s->stopping, memory_order_relaxed);
}

int km_stress_allowed(struct km_cpuset *out, struct km_err *err)
{
	size_t size = CPU_ALLOC_SIZE(KM_CPU_MAX);
	cpu_set_t *set = CPU_ALLOC(KM_CPU_MAX);
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if (set == NULL)
		return km_err_set(err, ENOMEM, "out of memory");
	CPU_ZERO_S(size, set);
	if (sched_getaffinity(0, size, set) != 0)
		rc = km_err_errno(err, errno, "asking for this process's CPUs");
	for (unsigned cpu = 0; rc == 0 && cpu < KM_CPU_MAX; cpu++) {
		if (CPU_ISSET_S(cpu, size, set))
			km_cpuset_add(out, cpu);
	}
	CPU_FREE(set);
	return rc;
}

static int pin(unsigned cpu)
{
	size_t size = CPU_ALLOC_SIZE(KM_CPU_MAX);
	cpu_set_t *set = CPU_ALLOC(KM_CPU_MAX);
	int rc;

	if (set == NULL)
		return -ENOMEM;
	CPU_ZERO_S(size, set);
	CPU_SET_S(cpu, size, set);
	rc = pthread_setaffinity_np(pthread_self(), size, set);
	CPU_FREE(set);
	return -rc;
}

/* Does this thread run that kernel? */
static bool runs(const struct km_stress *s, size_t kernel)
{
	return s->kind == KM_STRESS_MIXED || (size_t)s->kind == kernel;
}

/* Threads of ours behind the L3 of the first; the machine's other sockets are taken to be alike. */
static unsigned sharers_of_l3(const struct km_stress *s)
{
	unsigned n = 0;

	km_cpuset_each (cpu, &s->cpus)
		n += km_cpuset_has(&s->caches.l3.sharers, cpu);
	return n > 0 ? n : 1;
}

/* After pinning, so that the pages are of the CPU's own memory node. */
static int allocate(struct km_stress *s, struct stress_state *state, size_t kernel)
{
	const struct stress_kernel *k = &stress_kernel[kernel];

	if (!runs(s, kernel) || k->want_bytes == NULL)
		return 0;
	state->bytes = k->want_bytes(&s->caches, sharers_of_l3(s));
	state->memory = mmap(NULL, state->bytes, PROT_READ | PROT_WRITE,
	                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (state->memory == MAP_FAILED) {
		state->memory = NULL;
		return -ENOMEM;
	}
	/* Caches are to be short, not the TLB. A kernel without huge pages does without. */
	(void)madvise(state->memory, state->bytes, MADV_HUGEPAGE);
	memset(state->memory, 0, state->bytes);
	if (k->prepare != NULL)
		k->prepare(state);
	return 0;
}

/* Sleeps until then, or until the stop. */
static void sleep_until(struct km_stress *s, int64_t until_ns)
{
	struct timespec until = { .tv_sec = until_ns / KM_NS_PER_S,
		                  .tv_nsec = until_ns % KM_NS_PER_S };

	(void)pthread_mutex_lock(&s->lock);
	while (!stopping(s) && pthread_cond_timedwait(&s->changed, &s->lock, &until) != ETIMEDOUT)
		continue;
	(void)pthread_mutex_unlock(&s->lock);
}

/* Periods are counted from the start, so that they do not drift; one that was slept through
 * (a stopped process) is left out. */
static void work(struct worker *w)
{
	struct km_stress *s = w->stress;
	int64_t busy_ns = KM_STRESS_PERIOD_NS / KM_STRESS_LEVEL_MAX * s->level_pct;

	while (!stopping(s)) {
		int64_t period = (now_ns() - s->started_ns) / KM_STRESS_PERIOD_NS;
		int64_t begin_ns = s->started_ns + period * KM_STRESS_PERIOD_NS;
		size_t kernel = s->kind == KM_STRESS_MIXED ? (size_t)period % STRESS_KERNELS
		                                           : (size_t)s->kind;

		while (now_ns() < begin_ns + busy_ns && !stopping(s))
			stress_kernel[kernel].piece(&w->state[kernel]);
		if (s->level_pct < KM_STRESS_LEVEL_MAX)
			sleep_until(s, begin_ns + KM_STRESS_PERIOD_NS);
	}
}

/* At the gate: says that it is ready and waits for the start. returns whether there is one. */
static bool wait_for_start(struct km_stress *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->ready++;
	(void)pthread_cond_broadcast(&s->changed);
	while (!s->go && !stopping(s))
		(void)pthread_cond_wait(&s->changed, &s->lock);
	(void)pthread_mutex_unlock(&s->lock);
	return !stopping(s);
}

static void *run(void *arg)
{
	struct worker *w = arg;
	int64_t before_ns;

	w->rc = pin(w->cpu);
	for (size_t k = 0; w->rc == 0 && k < STRESS_KERNELS; k++)
		w->rc = allocate(w->stress, &w->state[k], k);
	if (!wait_for_start(w->stress))
		return NULL;
	before_ns = thread_cpu_ns();
	work(w);
	w->cpu_ns = thread_cpu_ns() - before_ns;
	return NULL;
}

static void set_stopping(struct km_stress *s)
{
	(void)pthread_mutex_lock(&s->lock);
	atomic_store_explicit(&s->stopping, true, memory_order_relaxed);
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
}

/* Ends the threads that were started and frees everything. */
static void destroy(struct km_stress *s)
{
	for (unsigned i = 0; s->worker != NULL && i < km_cpuset_count(&s->cpus); i++) {
		for (size_t k = 0; k < STRESS_KERNELS; k++) {
			struct stress_state *state = &s->worker[i].state[k];

			if (state->memory != NULL)
				(void)munmap(state->memory, state->bytes);
		}
	}
	(void)pthread_cond_destroy(&s->changed);
	(void)pthread_mutex_destroy(&s->lock);
	free(s->worker);
	free(s);
}

static void join(struct km_stress *s)
{
	set_stopping(s);
	for (unsigned i = 0; i < s->workers; i++)
		(void)pthread_join(s->worker[i].thread, NULL);
}

static int check(const struct km_stress_options *o, struct km_err *err)
{
	if ((unsigned)o->kind >= KM_STRESS_KIND_N)
		return km_err_set(err, EINVAL, "no kind of stress %d", (int)o->kind);
	if (o->level_pct > KM_STRESS_LEVEL_MAX)
		return km_err_set(err, EINVAL, "intensity: saw %u, want 0 to %u (per cent)",
		                  o->level_pct, KM_STRESS_LEVEL_MAX);
	if (km_cpuset_count(o->cpus) == 0)
		return km_err_set(err, EINVAL, "no CPU to stress, want at least one");
	return 0;
}

static struct km_stress *create(const struct km_stress_options *o)
{
	struct km_stress *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;

	if (s == NULL)
		return NULL;
	s->kind = o->kind;
	s->level_pct = o->level_pct;
	s->cpus = *o->cpus;
	s->caches = *o->caches;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	s->worker = calloc(km_cpuset_count(o->cpus), sizeof(*s->worker));
	if (s->worker == NULL) {
		destroy(s);
		return NULL;
	}
	return s;
}

static int start_threads(struct km_stress *s, struct km_err *err)
{
	km_cpuset_each (cpu, &s->cpus) {
		struct worker *w = &s->worker[s->workers];
		char name[16];
		int rc;

		w->stress = s;
		w->cpu = cpu;
		rc = pthread_create(&w->thread, NULL, run, w);
		if (rc != 0)
			return km_err_errno(err, rc, "starting the thread of CPU %u", cpu);
		(void)snprintf(name, sizeof(name), "km-stress-%u", cpu);
		(void)pthread_setname_np(w->thread, name);
		s->workers++;
	}
	return 0;
}

static int tell(const struct worker *w, struct km_err *err)
{
	switch (-w->rc) {
	case 0:
		return 0;
	case EINVAL:
		return km_err_set(err, ERANGE,
		                  "CPU %u is none that this process may use: not there, or outside "
		                  "of its control group",
		                  w->cpu);
	case ENOMEM:
		return km_err_set(err, ENOMEM, "no memory for the working set of CPU %u", w->cpu);
	default:
		return km_err_errno(err, -w->rc, "pinning to CPU %u", w->cpu);
	}
}

/* Waits until all are ready. returns 0, or the first one's error. */
static int all_ready(struct km_stress *s, struct km_err *err)
{
	(void)pthread_mutex_lock(&s->lock);
	while (s->ready < s->workers)
		(void)pthread_cond_wait(&s->changed, &s->lock);
	(void)pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->workers; i++) {
		int rc = tell(&s->worker[i], err);

		if (rc != 0)
			return rc;
	}
	return 0;
}

int km_stress_start(const struct km_stress_options *options, struct km_stress **out,
                    struct km_err *err)
{
	struct km_stress *s;
	int rc = check(options, err);

	*out = NULL;
	if (rc != 0)
		return rc;
	s = create(options);
	if (s == NULL)
		return km_err_set(err, ENOMEM, "out of memory");
	rc = start_threads(s, err);
	if (rc == 0)
		rc = all_ready(s, err);
	if (rc != 0) {
		join(s);
		destroy(s);
		return rc;
	}
	(void)pthread_mutex_lock(&s->lock);
	s->started_ns = now_ns();
	s->go = true;
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
	*out = s;
	return 0;
}

static void sum_up(const struct km_stress *s, int64_t end_ns, struct km_stress_result *out)
{
	uint64_t ops = 0;
	uint64_t moved = 0;
	size_t bytes = 0;
	int64_t cpu_ns = 0;
	double seconds = (double)(end_ns - s->started_ns) / (double)KM_NS_PER_S;

	for (unsigned i = 0; i < s->workers; i++) {
		cpu_ns += s->worker[i].cpu_ns;
		for (size_t k = 0; k < STRESS_KERNELS; k++) {
			ops += s->worker[i].state[k].ops;
			moved += s->worker[i].state[k].moved_bytes;
			bytes += s->worker[i].state[k].bytes;
		}
	}
	*out = (struct km_stress_result){
		.kind = s->kind,
		.level_pct = s->level_pct,
		.cpus = s->cpus,
		.seconds = seconds,
		.duty_ratio = (double)cpu_ns / (double)KM_NS_PER_S / seconds / s->workers,
		.ops_per_s = (double)ops / seconds,
		.bytes_per_s = s->kind == KM_STRESS_CPU ? NAN : (double)moved / seconds,
		.working_set_bytes = (double)bytes,
		.caches_assumed = s->caches.l2.assumed || s->caches.l3.assumed,
	};
	(void)snprintf(out->unit, sizeof(out->unit), "%s", km_stress_unit(s->kind));
}

void km_stress_stop(struct km_stress *s, struct km_stress_result *out)
{
	int64_t end_ns;

	if (s == NULL)
		return;
	join(s);
	end_ns = now_ns();
	if (out != NULL)
		sum_up(s, end_ns, out);
	destroy(s);
}
