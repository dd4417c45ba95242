/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leader election. What was seen of the Lease and whether we hold it is under one lock, since
 * others ask while the one thread steps; requests are made without it.
 */
#include "km/kube/lease.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/arena.h"
#include "km/base/complain.h"
#include "km/base/hash.h"
#include "km/base/log.h"
#include "km/base/rng.h"
#include "km/wire/kube_objects.h"
#include "km/wire/kube_write.h"

#define ROOM         "kube"
#define ROUNDS       2 /* after a conflict once more, with what is there now */
#define IDENTITY_MAX 256
#define VERSION_MAX  64
#define PATH_MAX_    640
/* The wall clock went on without the monotonic one: the machine slept, and others' time ran. */
#define SLEPT_NS KM_NS_PER_S
#define MAX_DURATION                                                                               \
	(3600 * KM_NS_PER_S)   /* of another's lease: whoever says more is not waited for */
#define RELEASE_NS KM_NS_PER_S /* a stop does not wait for longer */
#define OK         200
#define CREATED    201
#define NOT_FOUND  404
#define CONFLICT   409

/* The Lease as it was last seen, and when that became different from before. */
struct observed {
	bool any;
	char holder[IDENTITY_MAX];
	char version[VERSION_MAX];
	uint64_t digest;
	int64_t acquired_unix_ns;
	int64_t transitions;
	int64_t duration_ns;
	int64_t since_ns; /* monotonic */
};

struct km_lease {
	char namespace[64];
	char name[254];
	char identity[IDENTITY_MAX];
	char path[PATH_MAX_];
	char all_path[PATH_MAX_];
	int64_t duration_ns, renew_ns, retry_ns;
	struct km_kube_via via;
	const struct km_clock *clock;
	struct km_rng rng;
	struct km_buf body, answer;
	struct km_arena arena;
	struct observed seen;
	bool told_leading; /* what was logged last */
	struct km_complain trouble;

	pthread_mutex_t lock; /* all below */
	bool holding;
	int64_t renewed_mono_ns; /* when the renewal that worked was asked for */
	int64_t renewed_wall_ns;
	char holder[IDENTITY_MAX];
	int64_t holder_until_ns; /* monotonic; then nobody knows */
};

static void make_paths(struct km_lease *l)
{
	struct km_buf path;

	km_buf_init(&path);
	km_buf_str(&path, "/apis/coordination.k8s.io/v1/namespaces/");
	km_kube_path_part(&path, l->namespace, strlen(l->namespace));
	km_buf_str(&path, "/leases");
	(void)snprintf(l->all_path, sizeof(l->all_path), "%s", km_buf_cstr(&path));
	km_buf_char(&path, '/');
	km_kube_path_part(&path, l->name, strlen(l->name));
	(void)snprintf(l->path, sizeof(l->path), "%s", km_buf_cstr(&path));
	km_buf_fini(&path);
}

int km_lease_create(const struct km_lease_options *o, struct km_lease **out, struct km_err *err)
{
	int64_t duration_ns = o->duration_ns != 0 ? o->duration_ns : KM_LEASE_DURATION_NS;
	int64_t renew_ns = o->renew_ns != 0 ? o->renew_ns : KM_LEASE_RENEW_NS;
	int64_t retry_ns = o->retry_ns != 0 ? o->retry_ns : KM_LEASE_RETRY_NS;
	struct km_lease *l;

	*out = NULL;
	if (!(duration_ns > renew_ns && renew_ns > retry_ns && retry_ns > 0)) {
		return km_err_set(
			err, EINVAL,
			"lease %.60s: saw duration %lld ns, renew %lld ns, retry %lld ns, "
			"want each longer than the next",
			o->name, (long long)duration_ns, (long long)renew_ns, (long long)retry_ns);
	}
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return km_err_set(err, ENOMEM, "lease %.60s: out of memory", o->name);
	(void)snprintf(l->namespace, sizeof(l->namespace), "%s", o->namespace);
	(void)snprintf(l->name, sizeof(l->name), "%s", o->name);
	(void)snprintf(l->identity, sizeof(l->identity), "%s", o->identity);
	make_paths(l);
	l->duration_ns = duration_ns;
	l->renew_ns = renew_ns;
	l->retry_ns = retry_ns;
	l->via = o->via;
	l->clock = o->clock;
	km_rng_init(&l->rng, o->seed);
	l->trouble = (struct km_complain)KM_COMPLAIN_INIT;
	km_buf_init(&l->body);
	km_buf_init(&l->answer);
	km_arena_init(&l->arena, 1u << 14);
	(void)pthread_mutex_init(&l->lock, NULL);
	*out = l;
	return 0;
}

void km_lease_free(struct km_lease *l)
{
	if (l == NULL)
		return;
	(void)pthread_mutex_destroy(&l->lock);
	km_arena_fini(&l->arena);
	km_buf_fini(&l->answer);
	km_buf_fini(&l->body);
	free(l);
}

/* ---- who holds it ---- */

/* Under the lock. Never more than what a renewal gave; 0 once the machine slept. */
static int64_t left_ns(const struct km_lease *l)
{
	int64_t mono_ns = km_clock_mono_ns(l->clock) - l->renewed_mono_ns;
	int64_t wall_ns = km_clock_wall_ns(l->clock) - l->renewed_wall_ns;

	if (!l->holding || mono_ns >= l->renew_ns || wall_ns - mono_ns > SLEPT_NS)
		return 0;
	return l->renew_ns - mono_ns;
}

bool km_lease_held(struct km_lease *l, int64_t *left)
{
	int64_t ns;

	(void)pthread_mutex_lock(&l->lock);
	ns = left_ns(l);
	(void)pthread_mutex_unlock(&l->lock);
	if (left != NULL)
		*left = ns;
	return ns > 0;
}

const char *km_lease_holder(struct km_lease *l, char *out, size_t size)
{
	int64_t now_ns = km_clock_mono_ns(l->clock);

	(void)pthread_mutex_lock(&l->lock);
	(void)snprintf(out, size, "%s", now_ns < l->holder_until_ns ? l->holder : "");
	(void)pthread_mutex_unlock(&l->lock);
	return out;
}

static void set_holding(struct km_lease *l, bool holding, int64_t mono_ns, int64_t wall_ns)
{
	(void)pthread_mutex_lock(&l->lock);
	l->holding = holding;
	l->renewed_mono_ns = mono_ns;
	l->renewed_wall_ns = wall_ns;
	(void)snprintf(l->holder, sizeof(l->holder), "%s", l->seen.holder);
	l->holder_until_ns =
		holding ? mono_ns + l->duration_ns : l->seen.since_ns + l->seen.duration_ns;
	(void)pthread_mutex_unlock(&l->lock);
}

static bool is_ours(const struct km_lease *l)
{
	return l->seen.any && strcmp(l->seen.holder, l->identity) == 0;
}

/* Has the holder let it run out, as far as we saw? */
static bool is_free(const struct km_lease *l, int64_t now_ns)
{
	return !l->seen.any || l->seen.holder[0] == '\0' ||
	       now_ns - l->seen.since_ns >= l->seen.duration_ns;
}

/* ---- the object ---- */

static void copy_name(char *to, size_t size, struct km_name from)
{
	size_t len = from.len < size ? from.len : size - 1;

	if (len > 0)
		memcpy(to, from.text, len);
	to[len] = '\0';
}

/* Takes in the answer's Lease. Any change of it restarts the clock. returns false: it is none. */
static bool observe(struct km_lease *l, int64_t now_ns)
{
	struct km_kube_lease lease;
	uint64_t digest;

	km_arena_reset(&l->arena);
	if (!km_buf_ok(&l->answer) || l->answer.len == 0 ||
	    km_kube_lease_decode(l->answer.data, l->answer.len, &l->arena, &lease) != 0 ||
	    lease.meta.resource_version.len == 0)
		return false;
	digest = km_hash64(lease.holder.text, lease.holder.len, 1);
	digest = km_hash64(&lease.renewed_unix_ns, sizeof(lease.renewed_unix_ns), digest);
	digest = km_hash64(&lease.acquired_unix_ns, sizeof(lease.acquired_unix_ns), digest);
	digest = km_hash64(&lease.transitions, sizeof(lease.transitions), digest);
	digest = km_hash64(&lease.duration_s, sizeof(lease.duration_s), digest);
	if (!l->seen.any || digest != l->seen.digest)
		l->seen.since_ns = now_ns;
	l->seen.any = true;
	l->seen.digest = digest;
	copy_name(l->seen.holder, sizeof(l->seen.holder), lease.holder);
	copy_name(l->seen.version, sizeof(l->seen.version), lease.meta.resource_version);
	l->seen.acquired_unix_ns = lease.acquired_unix_ns;
	l->seen.transitions = lease.transitions > 0 ? lease.transitions : 0;
	l->seen.duration_ns = lease.duration_s > 0 && lease.duration_s < MAX_DURATION / KM_NS_PER_S
	                              ? lease.duration_s * KM_NS_PER_S
	                              : l->duration_ns;
	return true;
}

/* What a request may take: what is left of the lease, or half a renewal's time. */
static int64_t time_to_ask(struct km_lease *l)
{
	int64_t most_ns = l->renew_ns / 2;
	int64_t left = 0;

	if (km_lease_held(l, &left) && left < most_ns)
		return left;
	return most_ns;
}

static int get(struct km_lease *l, struct km_err *err)
{
	const struct km_kube_request r = { .method = "GET",
		                           .path = l->path,
		                           .timeout_ns = time_to_ask(l) };
	int status;

	km_buf_clear(&l->answer);
	status = l->via.ask(l->via.ctx, &r, &l->answer, err);
	if (status == OK && !observe(l, km_clock_mono_ns(l->clock)))
		return km_err_set(err, EPROTO, "lease %.60s: saw no Lease in the answer", l->name);
	return status;
}

/* Writes `holder` into it; a new one when there was none. The status, or a negative errno. */
static int put(struct km_lease *l, const char *holder, int64_t duration_ns, int64_t timeout_ns,
               struct km_err *err)
{
	int64_t wall_ns = km_clock_wall_ns(l->clock);
	bool ours = is_ours(l);
	struct km_lease_text text = {
		.namespace = l->namespace,
		.name = l->name,
		.resource_version = { l->seen.version,
		                      l->seen.any ? (uint32_t)strlen(l->seen.version) : 0 },
		.holder = holder,
		.duration_s = duration_ns / KM_NS_PER_S,
		.acquired_unix_ns =
			ours && l->seen.acquired_unix_ns > 0 ? l->seen.acquired_unix_ns : wall_ns,
		.renewed_unix_ns = wall_ns,
		.transitions = l->seen.any ? l->seen.transitions + (ours ? 0 : 1) : 0,
	};
	struct km_kube_request r = { .method = l->seen.any ? "PUT" : "POST",
		                     .path = l->seen.any ? l->path : l->all_path,
		                     .timeout_ns = timeout_ns };
	int status;

	if (text.duration_s < 1)
		text.duration_s = 1;
	km_buf_clear(&l->body);
	km_lease_encode(&l->body, &text);
	if (!km_buf_ok(&l->body))
		return km_err_set(err, ENOMEM, "lease %.60s: out of memory", l->name);
	r.body = l->body.data;
	r.body_len = l->body.len;
	km_buf_clear(&l->answer);
	status = l->via.ask(l->via.ctx, &r, &l->answer, err);
	if ((status == OK || status == CREATED) && !observe(l, km_clock_mono_ns(l->clock)))
		return km_err_set(err, EPROTO, "lease %.60s: saw no Lease in the answer", l->name);
	return status;
}

/* ---- a try ---- */

/* Gets or renews it. returns 0: ours; -EBUSY: another's; else what went wrong. */
static int try_once(struct km_lease *l, struct km_err *err)
{
	int status = 0;

	for (int round = 0; round < ROUNDS; round++) {
		int64_t mono_ns;
		int64_t wall_ns;

		/* Who holds it knows what is there, unless a conflict said otherwise. */
		if (round > 0 || !is_ours(l)) {
			status = get(l, err);
			if (status != OK && status != NOT_FOUND)
				return status < 0 ? status : -EREMOTEIO;
			if (!is_ours(l) && !is_free(l, km_clock_mono_ns(l->clock)))
				return -EBUSY; /* also when somebody deleted it under its holder */
			if (status == NOT_FOUND)
				l->seen.any = false;
		}
		mono_ns = km_clock_mono_ns(l->clock);
		wall_ns = km_clock_wall_ns(l->clock);
		status = put(l, l->identity, l->duration_ns, time_to_ask(l), err);
		if (status == OK || status == CREATED) {
			set_holding(l, true, mono_ns, wall_ns);
			return 0;
		}
		if (status != CONFLICT && status != NOT_FOUND)
			break;
	}
	return status < 0 ? status : -EREMOTEIO;
}

/* Says it when it changes. */
static void tell(struct km_lease *l, bool leading, int rc, const struct km_err *err)
{
	if (rc != 0 && rc != -EBUSY) {
		km_complain(&l->trouble, km_clock_mono_ns(l->clock), ROOM,
		            "lease not to be had lease=%s/%s error=\"%s\"", l->namespace, l->name,
		            err->text);
	} else {
		km_recovered(&l->trouble, ROOM, "lease is answered for lease=%s/%s", l->namespace,
		             l->name);
	}
	if (leading == l->told_leading)
		return;
	l->told_leading = leading;
	if (leading)
		km_log_info(ROOM, "leading lease=%s/%s as=%s transitions=%lld", l->namespace,
		            l->name, l->identity, (long long)l->seen.transitions);
	else
		km_log_warn(ROOM, "no longer leading lease=%s/%s holder=%s error=\"%s\"",
		            l->namespace, l->name, l->seen.holder, rc != 0 ? err->text : "");
}

/* A holder is punctual; a watcher looks again by chance a little later, or when it may be free. */
static int64_t next_try(struct km_lease *l, int rc)
{
	double chance = km_rng_unit(&l->rng);
	int64_t wait_ns = l->retry_ns;
	int64_t free_ns;

	if (rc == 0)
		return wait_ns;
	wait_ns += (int64_t)((double)l->retry_ns * 0.2 * chance);
	if (rc == -EBUSY && l->seen.any) {
		free_ns = l->seen.since_ns + l->seen.duration_ns - km_clock_mono_ns(l->clock);
		free_ns += (int64_t)((double)l->retry_ns * 0.2 * chance);
		if (free_ns > 0 && free_ns < wait_ns)
			wait_ns = free_ns;
	}
	return wait_ns;
}

int64_t km_lease_step(struct km_lease *l)
{
	struct km_err err = { .code = 0 };
	int rc = try_once(l, &err);

	if (rc == -EBUSY)
		set_holding(l, false, 0, 0); /* another has it: at once */
	tell(l, km_lease_held(l, NULL), rc, &err);
	return next_try(l, rc);
}

void km_lease_release(struct km_lease *l)
{
	struct km_err err = { .code = 0 };
	bool held = km_lease_held(l, NULL) && is_ours(l);

	set_holding(l, false, 0, 0);
	l->told_leading = false;
	if (!held)
		return;
	if (put(l, "", KM_NS_PER_S, RELEASE_NS, &err) == OK)
		km_log_info(ROOM, "lease released lease=%s/%s", l->namespace, l->name);
	else
		km_log_warn(ROOM, "lease not released lease=%s/%s error=\"%s\"", l->namespace,
		            l->name, err.text);
}
