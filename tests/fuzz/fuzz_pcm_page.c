/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two pages of pcm-sensor-server, any bytes, cut apart at the first form feed: read, and made a
 * sample. Whatever they say, the sample is plausible, so that the agent drops none for a page.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sources/pcm_page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int parse(struct km_pcm_page *page, const uint8_t *text, size_t len)
{
	/* ends with its block, so that a read past the end is found */
	char *exact = malloc(len + (len == 0));
	int ret;

	if (exact == NULL)
		abort();
	memcpy(exact, text, len);
	ret = km_pcm_page_parse(page, exact, len, NULL);
	free(exact);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *cut = size > 0 ? memchr(data, '\f', size) : NULL;
	size_t first = cut != NULL ? (size_t)(cut - data) : size;
	struct km_pcm_page a = { .cpu_count = 0 };
	struct km_pcm_page b = { .cpu_count = 0 };
	struct km_sample_space space = { .cpu_cap = 0 };
	struct km_source_stats stats = { .rows = 0 };
	struct km_source_offer offer = { .cpu = 0 };

	if (parse(&a, data, first) == 0 && cut != NULL &&
	    parse(&b, cut + 1, size - first - 1) == 0) {
		/* a second apart by our clock */
		if (km_pcm_page_sample(&a, &b, 1000000000, 5000000000, &space, &stats) == 1 &&
		    km_sample_implausible(&space.sample) != NULL)
			abort();
		km_pcm_page_offer(&b, &offer);
	}
	km_sample_space_fini(&space);
	km_pcm_page_fini(&a);
	km_pcm_page_fini(&b);
	return 0;
}
