/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller's threads, and the order of a round. Leading is asked before each request; a
 * request that begins gets no more time than there is before another process could lead.
 */
#include "km/policy/controller.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "km/base/hash.h"
#include "km/base/log.h"

#include "controller_internal.h"

#define TICK_NS    KM_NS_PER_S
#define ACT_MAX_NS (5 * KM_NS_PER_S)
#define ARENA_KEEP ((size_t)4 << 20)
#define HOST_MAX   128
#define STEP_RATIO 0.15 /* a policy's load is another when it is off by so much */

/* ---- leading ---- */

/*
 * What is left of our time, and half of what lies between its end and another's: a request may be
 * made twice (a token that was replaced), so each gets half.
 */
int64_t policy_act_ns(const struct policy_acts *a)
{
	int64_t left_ns = 0;
	int64_t most_ns;

	if (!km_lease_held(a->lease, &left_ns)) {
		return 0;
	}
	most_ns = (left_ns + a->spare_ns) / 2;
	return most_ns < ACT_MAX_NS ? most_ns : ACT_MAX_NS;
}

void controller_trouble(struct km_controller *c, const struct km_err *err)
{
	(void)pthread_mutex_lock(&c->lock);
	(void)snprintf(c->trouble, sizeof(c->trouble), "%s", err != NULL ? err->text : "");
	(void)pthread_mutex_unlock(&c->lock);
}

/* ---- queries ---- */

static size_t ask_of(const struct round_policy *p, struct kpi_question *out)
{
	const struct km_policy *policy = p->policy;
	size_t count = 0;

	if (policy == NULL || p->holds != NULL || !policy->trusted || p->kept == NULL) {
		return 0;
	}
	if (policy->rps_query != NULL) {
		out[count++] = (struct kpi_question){ p->kept->key, KPI_RPS, policy->rps_query };
	}
	if (policy->kpi.latency_query != NULL) {
		out[count++] = (struct kpi_question){ p->kept->key, KPI_LATENCY,
			                              policy->kpi.latency_query };
	}
	if (policy->kpi.baseline_query != NULL) {
		out[count++] = (struct kpi_question){ p->kept->key, KPI_BASELINE,
			                              policy->kpi.baseline_query };
	}
	return count;
}

/* Each process asks for loads: decisions need them. Latencies, too: another may lead soon. */
static void set_questions(struct km_controller *c, struct policy_round *r)
{
	struct kpi_question *q = km_arena_calloc(r->arena, r->count * KPI_KINDS + 1, sizeof(*q));
	size_t count = 0;

	for (size_t i = 0; q != NULL && i < r->count; i++) {
		count += ask_of(&r->policy[i], q + count);
	}
	if (q != NULL) {
		(void)kpi_set(c->kpi, q, count); /* short of memory: the old ones go on */
	}
}

/* A number that wobbles would be another workload each time. */
static void tell_loads(struct km_controller *c, const struct policy_round *r)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct round_policy *p = &r->policy[i];
		double rps;

		if (p->policy == NULL || p->policy->rps_query == NULL || p->kept == NULL) {
			continue;
		}
		rps = kpi_number(c->kpi, p->kept->key, KPI_RPS);
		if (isfinite(rps) && p->kept->rps > 0 &&
		    fabs(rps - p->kept->rps) <= STEP_RATIO * p->kept->rps) {
			rps = p->kept->rps;
		}
		p->kept->rps = rps;
		km_decide_policy_rps(c->decide, p->kept->key, rps);
	}
}

/* ---- a round ---- */

/* What a leader knew is of its own term: the next one reads again what the API has. */
static void change_term(struct km_controller *c, bool leading)
{
	if (leading == c->was_leading) {
		return;
	}
	c->was_leading = leading;
	reconcile_forget(c);
	wake_free(c->wake);
	c->wake = wake_create();
	c->reconciled_ns = 0;
	controller_trouble(c, NULL);
}

/* Each interval: what policies want to know, and as the leader their statuses and moves. */
static void reconcile(struct km_controller *c, struct policy_round *r, bool leading)
{
	int rc = round_read(r, leading);

	c->reconciled_ns = r->mono_ns;
	if (rc == 0) {
		rc = reconcile_open(c, r);
	}
	if (rc != 0) {
		return; /* short of memory: the next time */
	}
	set_questions(c, r);
	tell_loads(c, r);
	km_gauge_set(c->stats.policies, (double)r->count);
	if (leading) {
		reconcile_round(c, r);
	}
}

static bool is_due(const struct km_controller *c, const struct policy_round *r)
{
	return c->reconciled_ns == 0 || r->mono_ns - c->reconciled_ns >= c->interval_ns;
}

void controller_round(struct km_controller *c)
{
	int64_t began_ns = km_clock_mono_ns(c->clock);
	bool leading = km_lease_held(c->lease, NULL);
	struct policy_round r;
	int rc;

	(void)pthread_mutex_lock(&c->lock);
	c->round_ns = began_ns;
	(void)pthread_mutex_unlock(&c->lock);
	change_term(c, leading);
	km_gauge_set(c->stats.leader, leading);
	km_arena_reset(&c->arena);
	rc = round_open(&r, c->view, c->decide, c->clock, &c->arena, &c->scratch);
	/* Decisions reject pods also where there is no CRD, by policies of a file: who is rejected
	 * is woken and told without it. */
	if (rc == 0 && r.feeding) {
		advice_round(c->advice, c->record, &r, c->events);
		if (leading && c->wake != NULL) {
			km_gauge_set(c->stats.waiting,
			             (double)wake_round(c->wake, c->decide, &r, &c->acts, &c->stats,
			                                &c->wake_trouble));
		}
		if (km_view_synced(r.view) && is_due(c, &r)) {
			reconcile(c, &r, leading);
		}
	}
	round_close(&r);
	km_gauge_set(c->stats.last_round, (double)(km_clock_mono_ns(c->clock) - began_ns) * 1e-9);
}

/* ---- threads ---- */

/* Waits so long, or until all is to end. returns false then. */
static bool wait_for(struct km_controller *c, int64_t ns)
{
	struct timespec until;
	bool stopping;
	int rc = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ns / KM_NS_PER_S;
	until.tv_nsec += ns % KM_NS_PER_S;
	if (until.tv_nsec >= KM_NS_PER_S) {
		until.tv_nsec -= KM_NS_PER_S;
		until.tv_sec++;
	}
	(void)pthread_mutex_lock(&c->lock);
	while (!c->stopping && rc == 0) {
		rc = pthread_cond_timedwait(&c->change, &c->lock, &until);
	}
	stopping = c->stopping;
	(void)pthread_mutex_unlock(&c->lock);
	return !stopping;
}

static void *renew(void *arg)
{
	struct km_controller *c = arg;

	(void)pthread_setname_np(pthread_self(), "km-lease");
	while (wait_for(c, km_lease_step(c->lease))) {
	}
	(void)pthread_mutex_lock(&c->lock);
	c->lease_ended = true;
	(void)pthread_cond_broadcast(&c->change);
	(void)pthread_mutex_unlock(&c->lock);
	return NULL;
}

static void *control(void *arg)
{
	struct km_controller *c = arg;

	(void)pthread_setname_np(pthread_self(), "km-controller");
	km_model_thread_init();
	do {
		controller_round(c);
	} while (wait_for(c, TICK_NS));
	return NULL;
}

static int start_thread(pthread_t *thread, void *(*run)(void *), void *arg, const char *name,
                        struct km_err *err)
{
	sigset_t all;
	sigset_t before;
	int rc;

	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(thread, NULL, run, arg);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc == 0 ? 0 : km_err_errno(err, rc, "%s: thread", name);
}

int km_controller_start(struct km_controller *c, struct km_err *err)
{
	int rc = kpi_start(c->kpi, err);

	if (rc == 0) {
		rc = start_thread(&c->lease_thread, renew, c, "lease", err);
		c->lease_running = rc == 0;
	}
	if (rc == 0) {
		rc = start_thread(&c->thread, control, c, "controller", err);
		c->running = rc == 0;
	}
	return rc;
}

/* Has km-lease ended, within a second? */
static bool lease_ends_soon(struct km_controller *c)
{
	struct timespec until;
	bool ended;
	int rc = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 1;
	(void)pthread_mutex_lock(&c->lock);
	while (!c->lease_ended && rc == 0) {
		rc = pthread_cond_timedwait(&c->change, &c->lock, &until);
	}
	ended = c->lease_ended;
	(void)pthread_mutex_unlock(&c->lock);
	return ended;
}

/* Who acts ends before who says that we may; then the Lease is let go. */
void km_controller_stop(struct km_controller *c)
{
	if (c == NULL) {
		return;
	}
	(void)pthread_mutex_lock(&c->lock);
	c->stopping = true;
	(void)pthread_cond_broadcast(&c->change);
	(void)pthread_mutex_unlock(&c->lock);
	if (c->kube != NULL) {
		km_kube_stop(c->kube);
	}
	if (c->running) {
		(void)pthread_join(c->thread, NULL);
	}
	if (c->lease_running) {
		bool ended = lease_ends_soon(c);

		if (!ended) { /* the server hangs: it could not be told either */
			km_kube_stop(c->lease_kube);
		}
		(void)pthread_join(c->lease_thread, NULL);
		if (ended) {
			km_lease_release(c->lease);
		}
	}
	c->running = false;
	c->lease_running = false;
}

void km_controller_free(struct km_controller *c)
{
	if (c == NULL) {
		return;
	}
	km_controller_stop(c);
	kpi_free(c->kpi);
	reconcile_forget(c);
	advice_free(c->advice);
	wake_free(c->wake);
	km_events_free(c->events);
	km_lease_free(c->lease);
	km_kube_free(c->kube);
	km_kube_free(c->lease_kube);
	km_arena_fini(&c->scratch);
	km_arena_fini(&c->arena);
	km_buf_fini(&c->body);
	(void)pthread_cond_destroy(&c->change);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

/* ---- creation ---- */

static void name_ourselves(char *host, char *identity, size_t size, uint64_t *seed)
{
	if (gethostname(host, HOST_MAX) != 0 || host[0] == '\0') {
		(void)snprintf(host, HOST_MAX, "kubemarlad");
	}
	host[HOST_MAX - 1] = '\0';
	if (getrandom(seed, sizeof(*seed), GRND_NONBLOCK) != (ssize_t)sizeof(*seed)) {
		*seed = (uint64_t)km_clock_wall_ns(km_clock_system()) ^ (uint64_t)getpid() << 32;
	}
	(void)snprintf(identity, size, "%s_%016llx", host, (unsigned long long)*seed);
}

static int create_lease(struct km_controller *c, const struct km_controller_options *o,
                        const char *identity, uint64_t seed, struct km_err *err)
{
	const struct km_lease_options options = {
		.namespace = km_kube_credentials_namespace(o->credentials),
		.name = o->settings->lease,
		.identity = identity,
		.via = km_kube_via(c->lease_kube),
		.clock = o->clock,
		.seed = seed,
	};

	return km_lease_create(&options, &c->lease, err);
}

static int create_events(struct km_controller *c, const struct km_controller_options *o,
                         const char *host, uint64_t seed, struct km_err *err)
{
	const struct km_events_options options = {
		.instance = host,
		.via = km_kube_via(c->kube),
		.clock = o->clock,
		.metrics = o->metrics,
		.seed = seed + 1,
	};

	return km_events_create(&options, &c->events, err);
}

static void init(struct km_controller *c, const struct km_controller_options *o)
{
	pthread_condattr_t monotonic;

	c->view = o->view;
	c->decide = o->decide;
	c->record = o->record;
	c->clock = o->clock;
	c->interval_ns = o->settings->interval_ns;
	c->window_ns = (int64_t)(o->window_s * 1e9);
	c->status_trouble = (struct km_complain)KM_COMPLAIN_INIT;
	c->wake_trouble = (struct km_complain)KM_COMPLAIN_INIT;
	c->evict_trouble = (struct km_complain)KM_COMPLAIN_INIT;
	km_arena_init(&c->arena, ARENA_KEEP);
	km_arena_init(&c->scratch, ARENA_KEEP);
	km_buf_init(&c->body);
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&c->change, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	policy_register_stats(&c->stats, o->metrics);
}

int km_controller_create(const struct km_controller_options *o, struct km_controller **out,
                         struct km_err *err)
{
	struct km_controller *c = calloc(1, sizeof(*c));
	char host[HOST_MAX];
	char identity[HOST_MAX + 20];
	uint64_t seed;
	int rc;

	*out = NULL;
	if (c == NULL) {
		return km_err_set(err, ENOMEM, "controller: out of memory");
	}
	init(c, o);
	name_ourselves(host, identity, sizeof(identity), &seed);
	c->wake = wake_create();
	c->advice = advice_create();
	rc = c->wake != NULL && c->advice != NULL
	             ? 0
	             : km_err_set(err, ENOMEM, "controller: out of memory");
	if (rc == 0) {
		rc = km_kube_create(o->credentials, o->metrics, &c->lease_kube, err);
	}
	if (rc == 0) {
		rc = km_kube_create(o->credentials, o->metrics, &c->kube, err);
	}
	if (rc == 0) {
		rc = create_lease(c, o, identity, seed, err);
	}
	if (rc == 0) {
		rc = create_events(c, o, host, seed, err);
	}
	if (rc == 0) {
		rc = kpi_create(o->settings->prometheus, o->settings->query_interval_ns, o->clock,
		                o->metrics, &c->kpi, err);
	}
	if (rc != 0) {
		km_controller_free(c);
		return rc;
	}
	c->acts = (struct policy_acts){ .via = km_kube_via(c->kube),
		                        .lease = c->lease,
		                        .spare_ns = KM_LEASE_DURATION_NS - KM_LEASE_RENEW_NS };
	*out = c;
	return 0;
}

void km_controller_health(struct km_controller *c, struct km_controller_health *out)
{
	int64_t now_ns = km_clock_mono_ns(c->clock);

	*out = (struct km_controller_health){ .leading = km_lease_held(c->lease, NULL),
		                              .round_age_s = NAN };
	(void)km_lease_holder(c->lease, out->holder, sizeof(out->holder));
	out->queries_failing = kpi_failing(c->kpi, out->query_error);
	(void)pthread_mutex_lock(&c->lock);
	if (c->round_ns != 0) {
		out->round_age_s = (double)(now_ns - c->round_ns) * 1e-9;
	}
	(void)snprintf(out->trouble, sizeof(out->trouble), "%s", c->trouble);
	(void)pthread_mutex_unlock(&c->lock);
}
