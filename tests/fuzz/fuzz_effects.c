/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of learned effects from anywhere. First as they are; then as edits of good bytes, each 10
 * bytes long (which word, its new value), with the checksum made right again: a checksum keeps
 * nobody out. What is read must predict finite numbers, learn on, and read back as it was written.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"
#include "km/place/effects.h"

#define EDIT     10
#define PLACES   3
#define VERSION  1
#define CHECKSUM 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct km_effects *e)
{
	struct km_effects *again = NULL;
	struct km_effect out;
	struct km_buf bytes;

	for (uint64_t p = 0; p <= PLACES; p++) {
		for (uint64_t s = 0; s <= PLACES; s++) {
			km_effects_predict(e, p, s, PLACES - s, &out);
			if (isnan(out.log_slowdown) || isnan(out.sd) || isnan(out.count))
				abort();
		}
	}
	km_buf_init(&bytes);
	km_effects_write(e, &bytes);
	if (km_effects_read(bytes.data, bytes.len, &again, NULL) != 0)
		abort();
	km_effects_free(again);
	km_buf_fini(&bytes);
	if (km_effects_observe(e, 1, 77, 2, 0.25, 1) != 0 ||
	    km_effects_describe(e, 77, 1, 0.5) != 0)
		abort();
	km_effects_refine(e, 1);
	km_effects_predict(e, 1, 77, 2, &out);
	if (isnan(out.log_slowdown) || isnan(out.sd))
		abort();
}

static void read_bytes(const uint8_t *bytes, size_t len)
{
	struct km_effects *e = NULL;
	struct km_err err = { .code = 0 };
	int rc = km_effects_read(bytes, len, &e, &err);

	if (rc == 0)
		use(e);
	else if (e != NULL || err.code != -rc || err.text[0] == '\0')
		abort();
	km_effects_free(e);
}

static void good_bytes(struct km_buf *out)
{
	static const struct km_effects_limits limits = { 3, 4, 8, 16 };
	struct km_effects *e = km_effects_create(&limits);

	if (e == NULL)
		abort();
	for (uint64_t i = 0; i < 20; i++) {
		(void)km_effects_describe(e, 1 + i % 2, 1 + i % 3, (double)i * 0.1);
		(void)km_effects_observe(e, 1 + i % 2, 1 + i % 3, 1 + i % 4, 0.01 * (double)i, 1);
	}
	km_effects_refine(e, 1);
	km_effects_write(e, out);
	km_effects_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct km_buf good; /* made once: it is the same each time */
	struct km_buf bytes;
	uint64_t sum;

	read_bytes(data, size);
	if (good.len == 0)
		good_bytes(&good);
	km_buf_init(&bytes);
	km_buf_append(&bytes, good.data, good.len);
	if (!km_buf_ok(&bytes))
		abort();
	for (; size >= EDIT; data += EDIT, size -= EDIT) {
		size_t word = ((size_t)data[0] << 8 | data[1]) % (bytes.len / 8);

		memcpy(bytes.data + word * 8, data + 2, 8);
	}
	/* The rest cuts the end off. */
	if (size > 1 && data[0] == 0)
		bytes.len -= (size_t)data[1] % bytes.len;
	if (bytes.len > CHECKSUM) {
		sum = km_hash64(bytes.data, bytes.len - CHECKSUM, VERSION);
		for (size_t i = 0; i < CHECKSUM; i++)
			bytes.data[bytes.len - CHECKSUM + i] = (char)(sum >> (8 * i));
	}
	read_bytes((const uint8_t *)bytes.data, bytes.len);
	km_buf_fini(&bytes);
	return 0;
}
