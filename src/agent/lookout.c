/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `auto` looks again now and then: PCM's server may start after us, resctrl be mounted, a right be
 * given. On a thread of its own, since a probe may wait. It changes nothing here: another set has
 * other counts and its windows start anew, so it takes another agent, which is up to the owner of
 * this one (km_agent_outdated).
 */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "km/base/log.h"

#include "agent_internal.h"

/* Looks in a row that must find it: a server that is being replaced is away for one. */
#define LOOKS 2

static bool stopped(struct km_agent *a)
{
	bool stop;

	pthread_mutex_lock(&a->lock);
	stop = a->stop;
	pthread_mutex_unlock(&a->lock);
	return stop;
}

/* Is the row in the set, and does it work? */
static bool works(struct km_agent *a, size_t row)
{
	bool yes = false;

	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < a->source_count; i++) {
		const struct agent_source *src = &a->source[i];

		yes = yes || (src->settings == &a->preflight.row[row].settings && src->wanted &&
		              src->status.state >= 0);
	}
	pthread_mutex_unlock(&a->lock);
	return yes;
}

/*
 * The set as it would be taken now: what works is as it was found, the others are asked anew. What
 * works gives `have`. returns false when it is time to stop.
 */
static bool look_around(struct km_agent *a, struct km_preflight *now, struct km_source_offer *have)
{
	const struct agent_host *own = a->live_host;
	const struct km_source_args args = {
		.live = &a->settings->collect.live,
		.node = own->node,
		.node_count = own->node_count,
		.interval_ns = a->settings->collect.interval_ns,
		.now_ns = km_clock_mono_ns(a->clock),
	};

	*now = a->preflight;
	memset(have, 0, sizeof(*have));
	for (size_t i = 0; i < now->count; i++) {
		const struct km_source_offer *offer = &now->row[i].offer;

		if (works(a, i)) {
			have->cpu |= offer->cpu;
			have->host |= offer->host;
			have->node |= offer->node;
			have->owns_pmu = have->owns_pmu || offer->owns_pmu;
			continue;
		}
		if (stopped(a)) {
			return false;
		}
		km_preflight_probe(&args, &now->row[i]);
	}
	km_preflight_choose(now);
	return true;
}

/* A metric that nothing gives now; or the PMU, when the one that has it would not get it again. */
static bool is_gain(const struct km_source_offer *offer, const struct km_source_offer *have)
{
	if (offer->owns_pmu && have->owns_pmu) {
		return true;
	}
	for (unsigned m = 0; m < KM_METRIC_N; m++) {
		if (km_offer_gives(offer, (enum km_metric)m) &&
		    !km_offer_gives(have, (enum km_metric)m)) {
			return true;
		}
	}
	return false;
}

void agent_look(struct km_agent *a)
{
	struct km_preflight now;
	struct km_source_offer have;
	const char *gain = NULL;

	if (!look_around(a, &now, &have)) {
		return;
	}
	for (size_t i = 0; i < now.count && gain == NULL; i++) {
		if (now.row[i].chosen && !a->preflight.row[i].chosen &&
		    is_gain(&now.row[i].offer, &have)) {
			gain = now.row[i].ops->name;
		}
	}
	a->gains = gain != NULL ? a->gains + 1 : 0;
	if (a->gains < LOOKS) {
		return;
	}
	a->gains = 0;
	km_log_info("agent", "a better set of sources works by now source=%s", gain);
	pthread_mutex_lock(&a->lock);
	a->outdated = true;
	pthread_mutex_unlock(&a->lock);
}

bool km_agent_outdated(struct km_agent *a)
{
	bool outdated;

	pthread_mutex_lock(&a->lock);
	outdated = a->outdated;
	a->outdated = false;
	pthread_mutex_unlock(&a->lock);
	return outdated;
}

void *agent_lookout(void *agent)
{
	struct km_agent *a = agent;
	int64_t next_ns = km_clock_mono_ns(km_clock_system());

	(void)pthread_setname_np(pthread_self(), "km-lookout");
	while (agent_wait_until(a, next_ns + a->settings->collect.probe_interval_ns)) {
		agent_look(a);
		next_ns = km_clock_mono_ns(km_clock_system());
	}
	return NULL;
}
