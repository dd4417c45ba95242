/* SPDX-License-Identifier: Apache-2.0 */
/* core: feature names in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/core/schema.h"
#include "km/core/words.h"

static void names_become_words(void **state)
{
	static const struct {
		const char *name, *want;
	} rows[] = {
		{ "host.mem_write_bytes_per_s.mean", "memory writes" },
		{ "host.mem_read_bytes_per_s.std", "variation of memory reads" },
		{ "host.ipc.mean", "IPC on the host" },
		{ "node.c0_ratio.mean", "time executing (C0) on the node" },
		{ "node_min.ipc.p5", "5th percentile of IPC on the node's lowest CPU" },
		{ "node_vs_peer.ipc.mean", "IPC, node against other nodes of the host" },
		{ "host.cpu_psi_ratio.max", "highest time waiting for a CPU on the host" },
		{ "pod.rps_now", "load before the pod comes" },
		{ "inflight.membw", "pods of class membw on their way" },
		{ "no such feature", "no such feature" },
		{ "", "" },
	};
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		km_buf_clear(&out);
		km_feature_words(rows[i].name, &out);
		assert_string_equal(km_buf_cstr(&out), rows[i].want);
	}
	km_buf_fini(&out);
}

/* A metric, scope or statistic added without words would crash an explanation. */
static void every_feature_has_words_of_its_own(void **state)
{
	enum { SEEN_MAX = KM_METRIC_N * KM_SCOPE_N * KM_STAT_N };
	static char seen[SEEN_MAX][128];
	size_t count = 0;
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	for (int m = 0; m < KM_METRIC_N; m++) {
		assert_non_null(km_metric_words((enum km_metric)m));
		/* shares are without unit; not all without unit are shares */
		if (km_metric_reading((enum km_metric)m) == KM_READ_PERCENT)
			assert_string_equal(km_metric_info((enum km_metric)m)->unit, "");
		for (int s = 0; s < KM_SCOPE_POD * KM_STAT_N; s++) {
			struct km_feature f;
			char name[128];

			(void)snprintf(name, sizeof(name), "%s.%s.%s",
			               km_scope_name((enum km_scope)(s / KM_STAT_N)),
			               km_metric_info((enum km_metric)m)->name,
			               km_stat_name((enum km_stat)(s % KM_STAT_N)));
			if (km_feature_parse(name, &f, NULL) != 0)
				continue; /* no such metric in that scope */
			km_buf_clear(&out);
			km_feature_words(name, &out);
			for (size_t i = 0; i < count; i++)
				assert_string_not_equal(seen[i], km_buf_cstr(&out));
			(void)snprintf(seen[count++], sizeof(seen[0]), "%s", km_buf_cstr(&out));
			assert_string_not_equal(km_buf_cstr(&out), name);
		}
	}
	assert_true(count > KM_METRIC_N);
	km_buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_become_words),
		cmocka_unit_test(every_feature_has_words_of_its_own),
	};

	return cmocka_run_group_tests_name("core_words", tests, NULL, NULL);
}
