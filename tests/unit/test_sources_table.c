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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_come_from_the_table),
		cmocka_unit_test(a_row_is_whole_or_not_in_this_build),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
