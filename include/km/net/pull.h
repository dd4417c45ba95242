/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many GETs side by side on one thread, each target again and again: what a cluster's agents are
 * read with. Connections are kept, unchanged answers cost a 304, turns are spread over the interval
 * and jittered, and each request has a deadline of its own. A target that fails goes on being
 * asked, but those that failed last time never hold more than half of the places, so that however
 * many are silent, the others have their turn.
 */
#ifndef KM_NET_PULL_H
#define KM_NET_PULL_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/net/client.h"

struct km_pull;

struct km_pull_target {
	uint64_t key; /* unique: the caller's name for it; of equal ones the first counts */
	const char *url;
};

struct km_pull_options {
	int64_t interval_ns; /* between two requests of one target, give or take a tenth; 0 = 5 s */
	int64_t timeout_ns;  /* of one request; 0 = 2 s */
	size_t max_body_bytes; /* larger answers: -EFBIG; 0 = 1 MiB */
	uint32_t side_by_side; /* at once; 0 = 512, with tls 128. Fewer when descriptors are scarce
	                        */
	const struct km_client_tls *tls; /* borrowed until _free, with its strings; NULL = none */
	/*
	 * Told once for each request, on the thread of km_pull_run. status 0: there was no answer,
	 * and `why` says why; 304: what the last 200 for this key said still holds, without a body;
	 * else body [len], borrowed for the call. asked_mono_ns: when it was asked.
	 */
	void (*done)(void *ctx, uint64_t key, int status, const char *body, size_t len,
	             int64_t asked_mono_ns, const struct km_err *why);
	void *ctx;
};

/* returns 0 and *out owned; -EINVAL without `done`, -ENOMEM, -EMFILE. */
int km_pull_create(const struct km_pull_options *options, struct km_pull **out,
                   struct km_err *err) KM_MUST_CHECK;

/*
 * What is to be read from now on; target [n] is copied. Who stays with the same key and URL keeps
 * connection, ETag and turn; who is gone may still be told of until the thread has seen it. New
 * ones are asked soon: all of them within the interval, few of them at once. Any thread, also from
 * `done`. returns 0 or -ENOMEM, then nothing changed.
 */
int km_pull_set(struct km_pull *p, const struct km_pull_target *target, size_t n) KM_MUST_CHECK;

/* Reads until km_pull_stop. One thread. */
void km_pull_run(struct km_pull *p);
/* Ends km_pull_run, also one that is yet to be called; requests in progress are dropped. Any
 * thread. */
void km_pull_stop(struct km_pull *p);

/* Not while km_pull_run runs. NULL allowed. */
void km_pull_free(struct km_pull *p);

#endif
