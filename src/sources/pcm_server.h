/* SPDX-License-Identifier: Apache-2.0 */
/* Inside sources: the scrape of pcm-sensor-server, with its times as parameters for tests. */
#ifndef KM_SOURCES_PCM_SERVER_H
#define KM_SOURCES_PCM_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "km/sources/source.h"

struct km_pcm_server_times {
	int64_t period_ns;  /* between two scrapes */
	int64_t timeout_ns; /* of one */
	int64_t give_up_ns; /* without a page for so long: the source says it is absent */
	int64_t close_ns;   /* close() waits for a scrape in progress at most so long */
	size_t body_max_bytes;
};

/* As open() has them for this interval. */
struct km_pcm_server_times km_pcm_server_times(int64_t interval_ns);

/* Opens with these. Everything else is the row's. */
int km_pcm_server_open(const struct km_source_args *args, const struct km_pcm_server_times *times,
                       struct km_source **out, struct km_err *err) KM_MUST_CHECK;

#endif
