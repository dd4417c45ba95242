/* SPDX-License-Identifier: Apache-2.0 */
/* A model of the made-up world, as a file that the daemon's own reader opens. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "km/core/schema.h"
#include "km/model/train.h"

#include "burst_internal.h"

#define COLUMNS        2
#define C0_STEPS       101
#define INFLIGHT_STEPS 9
#define ROWS           ((size_t)C0_STEPS * INFLIGHT_STEPS)
#define PATH_MAX_BYTES 4096

static void fill(float *rows, float *labels)
{
	for (int i = 0; i < C0_STEPS; i++) {
		for (int k = 0; k < INFLIGHT_STEPS; k++) {
			double c0 = i / (double)(C0_STEPS - 1);
			double demand = c0 + BURST_SHARE * k;

			*rows++ = (float)c0;
			*rows++ = (float)k;
			*labels++ = (float)log(burst_slowdown(demand));
		}
	}
}

static int train(struct km_booster **out, float *rows, struct km_err *err)
{
	struct km_train_params params;
	float labels[ROWS];
	struct km_train_rows table = {
		.rows = rows, .labels = labels, .row_count = ROWS, .feature_count = COLUMNS
	};

	fill(rows, labels);
	km_train_params_init(&params);
	params.rounds = 200;
	params.max_depth = 6;
	params.eta = 0.2;
	params.seed = 1;
	params.monotone_constraints = "(1,1)";
	return km_booster_train(&params, &table, NULL, NULL, NULL, out, err);
}

static int write_and_open(struct km_booster *b, const float *rows, struct km_model **out,
                          struct km_err *err)
{
	static const char *const names[COLUMNS] = { "node.c0_ratio.mean", "inflight." BURST_CLASS };
	static const double low[COLUMNS] = { 0, 0 };
	static const double high[COLUMNS] = { 1, INFLIGHT_STEPS - 1 };
	const char *dir = getenv("TMPDIR"); /* NOLINT(concurrency-mt-unsafe): one thread here */
	struct km_schema *schema = NULL;
	char path[PATH_MAX_BYTES];
	struct km_model_meta meta = {
		.name = "burst",
		.task = "placement",
		.provenance = "made up, for bursts",
		.residual_sd = NAN,
		.interval_low = NAN,
		.interval_high = NAN,
		.range_low = low,
		.range_high = high,
		.golden = rows,
		.golden_count = 4,
	};
	int fd;
	int rc = km_schema_create(names, COLUMNS, BURST_WINDOW_S, BURST_BIN_S, &schema, err);

	if (rc != 0)
		return rc;
	meta.schema = schema;
	(void)snprintf(path, sizeof(path), "%s/kubemarla-XXXXXX",
	               dir != NULL && dir[0] != '\0' ? dir : "/tmp");
	fd = mkstemp(path);
	if (fd < 0) {
		rc = km_err_errno(err, errno, "%s", path);
	} else {
		(void)close(fd);
		rc = km_model_write(path, b, &meta, err);
		if (rc == 0)
			rc = km_model_open(path, out, err);
		(void)unlink(path);
	}
	km_schema_unref(schema);
	return rc;
}

int burst_model(struct km_model **out, struct km_err *err)
{
	static float rows[ROWS * COLUMNS];
	struct km_booster *b = NULL;
	int rc = train(&b, rows, err);

	if (rc == 0)
		rc = write_and_open(b, rows, out, err);
	km_booster_free(b);
	return rc;
}
