/* SPDX-License-Identifier: Apache-2.0 */
/* The table of sources: every row can be found, and a kind that is not there says so. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "km/sources/preflight.h"

static void kinds_come_from_the_table(void **state)
{
	struct km_source_settings settings = { .kind = "abacus" };
	const struct km_source_args args = { .settings = &settings };
	struct km_source_offer offer;
	struct km_source *s;
	struct km_err err = { 0 };

	(void)state;
	for (const struct km_source_ops *const *ops = km_source_table(); *ops != NULL; ops++) {
		assert_ptr_equal(km_source_find((*ops)->name), *ops);
	}
	assert_null(km_source_find("abacus"));
	assert_int_equal(km_source_open(&args, &s, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "source abacus is not in this build"));
	assert_int_equal(km_source_probe(&args, &offer, &err), -ENOTSUP);
	strcpy(settings.kind, "replay");
	assert_int_equal(km_source_probe(&args, &offer, &err), -ENOTSUP);
	km_source_close(NULL);
}

static void a_row_is_whole_or_not_in_this_build(void **state)
{
	size_t live = 0;

	(void)state;
	for (const struct km_source_ops *const *row = km_source_table(); *row != NULL; row++) {
		const struct km_source_ops *ops = *row;

		assert_true(strlen(ops->name) < sizeof(((struct km_source_settings *)0)->kind));
		assert_non_null(ops->help);
		live += ops->live;
		if (ops->open == NULL) {
			assert_null(ops->probe);
			continue;
		}
		assert_non_null(ops->read);
		assert_non_null(ops->close);
		assert_non_null(ops->stats);
		assert_int_equal(ops->probe != NULL, ops->live);
	}
	assert_true(live <= KM_PREFLIGHT_MAX);
	for (unsigned f = 0; f < KM_FAULT_N; f++) {
		assert_non_null(km_source_fault_name((enum km_source_fault)f));
	}
}

/* One source that gives these, and another that does as well but was not chosen. */
static void a_tier_is_what_the_chosen_sources_count(void **state)
{
	static const struct {
		uint32_t cpu, host;
		enum km_tier want;
	} rows[] = {
		{ 0, 0, KM_TIER_NONE },
		{ 0, 1U << KM_HOST_MEM_READ_BYTES, KM_TIER_NONE },
		{ 1U << KM_COUNT_BUSY_NS, 0, KM_TIER_OS },
		{ 0, 1U << KM_HOST_CPU_PSI_NS, KM_TIER_OS },
		{ 1U << KM_COUNT_C0_NS, 0, KM_TIER_OS },
		{ 1U << KM_COUNT_C0_NS, 1U << KM_HOST_MEM_READ_BYTES, KM_TIER_OS },
		{ 1U << KM_COUNT_CYCLES, 0, KM_TIER_CORE },
		{ 1U << KM_COUNT_L2_MISS, 0, KM_TIER_CORE },
		{ 1U << KM_COUNT_CYCLES, 1U << KM_HOST_MEM_READ_BYTES, KM_TIER_UNCORE },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_preflight p = { .count = 2 };

		p.row[0].chosen = true;
		p.row[0].offer.cpu = rows[i].cpu;
		p.row[0].offer.host = rows[i].host;
		p.row[1].offer.cpu = UINT32_MAX;
		p.row[1].offer.host = UINT32_MAX;
		assert_int_equal(km_preflight_tier(&p), rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_come_from_the_table),
		cmocka_unit_test(a_tier_is_what_the_chosen_sources_count),
		cmocka_unit_test(a_row_is_whole_or_not_in_this_build),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
