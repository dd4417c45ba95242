/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of /v1/predict, and the same bytes as an answer to the tool. Exercises the numbers'
 * ranges, names with escapes, and the readers that take a daemon's word for nothing.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "km/wire/client_answers.h"
#include "km/wire/json.h"
#include "km/wire/predict.h"
#include "km/wire/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void must_read(int rc)
{
	must(rc == 0 || rc == -EBADMSG);
}

static void predict(const char *body, size_t len)
{
	struct km_workload base = { .rps = 1, .replicas = 1, .max_slowdown = 2 };
	struct km_predict_args args;
	struct km_workload w;
	struct km_arena arena;
	struct km_err err = { .code = 0 };
	struct km_scan s;
	struct km_buf out;
	struct km_json j;
	int rc;

	km_arena_init(&arena, 0);
	km_buf_init(&out);
	rc = km_predict_decode(body, len, 64, &arena, &args, &err);
	must(rc == 0 || (rc == -EINVAL && err.text[0] != '\0'));
	if (rc == 0) {
		km_predict_workload(&args, &base, &w);
		must(w.rps > 0 && w.rps <= 1e9 && w.replicas >= 1 && w.max_slowdown >= 1.05);
		j = km_json_to(&out);
		km_json_begin(&j, '[');
		for (size_t i = 0; i < args.count; i++)
			km_json_name(&j, args.name[i]);
		km_json_end(&j, ']');
		km_scan_init(&s, out.data, out.len, 1, NULL);
		must(km_buf_ok(&out) && km_scan_value(&s, NULL) == 0 && s.p == s.end);
	}
	km_buf_fini(&out);
	km_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const features[] = { "node.ipc.mean" };
	const char *body = (const char *)data;
	struct km_client_table table;
	struct km_buf message;

	predict(body, size);
	km_client_table_init(&table);
	table.feature_name = features;
	table.feature_count = 1;
	must_read(km_client_read_filter(&table, body, size, NULL));
	must_read(km_client_read_priorities(&table, body, size, NULL));
	must_read(km_client_read_nodes(&table, body, size, NULL));
	km_client_table_fini(&table);
	km_buf_init(&message);
	km_client_read_error(body, size, &message);
	km_buf_fini(&message);
	return 0;
}
