/* SPDX-License-Identifier: Apache-2.0 */
/* base: the map, key by key and many keys at once. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/hash.h"
#include "km/base/map.h"
#include "km/base/rng.h"

static void map_finds_what_was_added(void **state)
{
	enum { COUNT = 20000 };
	static char keys[COUNT][24];
	struct km_map m;
	uint32_t value = 0;

	(void)state;
	km_map_init(&m, 42);
	assert_false(km_map_get(&m, "a", 1, &value));
	for (uint32_t i = 0; i < COUNT; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "node-%u", i);
		assert_int_equal(km_map_add(&m, keys[i], strlen(keys[i]), i, NULL), 0);
	}
	for (uint32_t i = 0; i < COUNT; i++) {
		assert_true(km_map_get(&m, keys[i], strlen(keys[i]), &value));
		assert_int_equal(value, i);
	}
	assert_int_equal(m.count, COUNT);
	assert_false(km_map_get(&m, "node-20000", 10, &value));
	assert_int_equal(km_map_add(&m, "node-7", 6, 99, &value), -EEXIST);
	assert_int_equal(value, 7);
	assert_int_equal(km_map_add(&m, "", 0, 5, NULL), 0);
	assert_true(km_map_get(&m, "", 0, &value));
	km_map_fini(&m);
}

/* Asks for many at once and one by one. */
static void assert_many_agree(const struct km_map *m, const struct km_map_key *key, size_t count)
{
	int64_t got[KM_MAP_MANY];

	km_map_get_many(m, key, count, got);
	for (size_t i = 0; i < count; i++) {
		uint32_t value = 0;
		bool there = km_map_get(m, key[i].text, key[i].len, &value);

		assert_int_equal(got[i], there ? (int64_t)value : -1);
	}
}

static void map_finds_many_as_one_by_one(void **state)
{
	enum { COUNT = 3000 };
	static char keys[2 * COUNT][24]; /* every other one is in the map */
	struct km_map_key asked[KM_MAP_MANY];
	struct km_rng rng;
	struct km_map m;

	(void)state;
	km_rng_init(&rng, 1);
	km_map_init(&m, 42);
	for (uint32_t i = 0; i < 2 * COUNT; i++)
		(void)snprintf(keys[i], sizeof(keys[i]), "node-%u", i);
	for (uint32_t i = 0; i <= 2 * COUNT; i += 2) {
		for (size_t n = 0; n <= KM_MAP_MANY; n++) {
			for (size_t k = 0; k < n; k++) {
				const char *key = keys[km_rng_below(&rng, 2 * COUNT)];

				asked[k] = (struct km_map_key){ key, (uint32_t)strlen(key) };
			}
			assert_many_agree(&m, asked, n);
		}
		if (i < 2 * COUNT)
			assert_int_equal(km_map_add(&m, keys[i], strlen(keys[i]), i, NULL), 0);
	}
	km_map_fini(&m);
}

struct hashed {
	uint64_t hash;
	uint32_t number;
};

static int by_tag_and_slot(const void *a, const void *b)
{
	uint64_t x = ((const struct hashed *)a)->hash & UINT64_C(0xffffffff0000000f);
	uint64_t y = ((const struct hashed *)b)->hash & UINT64_C(0xffffffff0000000f);

	return (x > y) - (x < y);
}

/* Two keys that share the slot they want and the half of the hash that is kept in it. */
static void map_tells_keys_of_equal_tags_apart(void **state)
{
	enum { COUNT = 1 << 20 };
	struct hashed *all = malloc(COUNT * sizeof(*all));
	unsigned pairs = 0;

	(void)state;
	assert_non_null(all);
	for (uint32_t i = 0; i < COUNT; i++)
		all[i] = (struct hashed){ km_hash64(&i, sizeof(i), 42), i };
	qsort(all, COUNT, sizeof(*all), by_tag_and_slot);
	for (uint32_t i = 1; i < COUNT; i++) {
		const struct km_map_key both[] = {
			{ (const char *)&all[i - 1].number, sizeof(uint32_t) },
			{ (const char *)&all[i].number, sizeof(uint32_t) },
		};
		struct km_map m;

		if (by_tag_and_slot(&all[i - 1], &all[i]) != 0)
			continue;
		pairs++;
		km_map_init(&m, 42);
		assert_int_equal(km_map_add(&m, both[0].text, both[0].len, 7, NULL), 0);
		assert_false(km_map_get(&m, both[1].text, both[1].len, NULL));
		assert_many_agree(&m, both, 2);
		assert_int_equal(km_map_add(&m, both[1].text, both[1].len, 8, NULL), 0);
		assert_many_agree(&m, both, 2);
		km_map_fini(&m);
	}
	assert_true(pairs > 0);
	free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_finds_what_was_added),
		cmocka_unit_test(map_finds_many_as_one_by_one),
		cmocka_unit_test(map_tells_keys_of_equal_tags_apart),
	};

	return cmocka_run_group_tests_name("base map", tests, NULL, NULL);
}
