/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fake pcm-sensor-server on loopback, in a thread of the test: it answers with pages of a host
 * that is always the same (support/pcm_page_text.h), or misbehaves.
 */
#ifndef KM_TESTS_SUPPORT_FAKE_PCM_SERVER_H
#define KM_TESTS_SUPPORT_FAKE_PCM_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum fake_pcm_mode {
	FAKE_PCM_PAGES,
	FAKE_PCM_HANGS,  /* takes the request and says nothing */
	FAKE_PCM_STALLS, /* says half a page, and nothing more */
	FAKE_PCM_FLOODS, /* 100 MB */
	FAKE_PCM_CUTS,   /* closes in the middle of the page */
	FAKE_PCM_FAILS,  /* 500 */
	FAKE_PCM_OTHER,  /* somebody else's metrics */
};

struct fake_pcm_server {
	char url[64]; /* of its /metrics */
	_Atomic int mode;
	atomic_uint requests;
	int listener, stop[2];
	int64_t began_ns;
	pthread_t thread;
};

void fake_pcm_server_start(struct fake_pcm_server *s, enum fake_pcm_mode mode);
/* Ends connections that hang, too. */
void fake_pcm_server_stop(struct fake_pcm_server *s);

/* A URL on loopback where nobody listens. */
void fake_pcm_server_nobody(char url[64]);

#endif
