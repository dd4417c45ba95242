/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SYNTHETIC traces beside the runs of a dataset folder: `pcm -csv` with a merged header, counts of
 * one interval. Levels are those of the recorded runs, roughly; each kind of pod moves IPC, C0,
 * misses and memory traffic its own way. First and last row are partial, as PCM writes them.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "km/base/buf.h"
#include "km/base/rng.h"

#include "support/dataset_world.h"

/* What one CPU does: percent of the time, and millions a second. */
struct load {
	double ipc, c0_pct, l2_miss, l3_miss;
};

static bool on_node(int cpu, int node)
{
	return node == 1 ? cpu <= 2 : cpu >= 3 && cpu <= 5;
}

static struct load load_of(const struct dataset_run *r, int cpu)
{
	double krps = r->rps / 1000.0;
	int noisy = r->place == DATASET_LOCAL ? r->target : 3 - r->target;
	double squeeze = 1 + 0.25 * r->pods[1] + 0.12 * r->pods[2];
	unsigned pods = (unsigned)r->pods[0] + r->pods[1] + r->pods[2];
	struct load l = { 0.90, 0.40, 0.020, 0.0030 };

	if (r->place == DATASET_NONE)
		squeeze = 1;
	if (on_node(cpu, r->target))
		l = (struct load){ 0.83, 0.20 + 0.33 * krps, 0.020 + 0.026 * krps, 0.0040 };
	else if (cpu >= 6)
		l = (struct load){ 0.80, 0.40 + 0.30 * krps, 0.018 + 0.025 * krps, 0.0030 };
	l.ipc /= squeeze;
	l.c0_pct *= squeeze;
	l.l3_miss *= squeeze * squeeze;
	if (r->place != DATASET_NONE && pods > 0 && on_node(cpu, noisy)) {
		l.ipc = (l.ipc * l.c0_pct + 1.5 * pods) / (l.c0_pct + pods);
		l.c0_pct += pods;
		l.l2_miss += 0.02 * pods;
		l.l3_miss += 0.004 * r->pods[1] + 0.003 * r->pods[2];
	}
	return l;
}

static double wander(struct km_rng *rng, double mean, double ratio)
{
	return mean * fmax(0.1, 1 + ratio * km_rng_normal(rng));
}

static void put_header(const struct dataset_run *r, struct km_buf *b)
{
	static const char *const metrics[] = { "IPC",    "L3MISS", "L2MISS", "C0res%",
		                               "C1res%", "C6res%", "PhysIPC" };

	km_buf_str(b, "System - Date,System - Time,System - IPC,System - L3MISS,System - L2MISS,"
	              "System - READ,System - WRITE,System Core C-States - C0res%,"
	              "System Core C-States - C1res%");
	for (int c = 0; c < r->cpus; c++) {
		for (size_t m = 0; m < KM_ARRAY_LEN(metrics); m++)
			km_buf_printf(b, ",Core%d (Socket 0) - %s", c, metrics[m]);
	}
	km_buf_char(b, '\n');
}

/* share: of the interval that the C-states account for. */
static void put_row(const struct dataset_run *r, struct km_rng *rng, int row, double share,
                    struct km_buf *b)
{
	int at_s = 36000 + row * r->interval_s;
	double s = share * r->interval_s;

	km_buf_printf(b, "2025-01-01,%02d:%02d:%02d.000,0.90,0.10,0.50", at_s / 3600,
	              at_s / 60 % 60, at_s % 60);
	if (isnan(r->read_gb)) {
		km_buf_str(b, ",,,1.00,98.00");
	} else {
		km_buf_printf(b, ",%.2f,%.2f,1.00,98.00", wander(rng, r->read_gb, 0.05) * s,
		              wander(rng, r->read_gb * 0.6, 0.05) * s);
	}
	/* noise is drawn for all CPUs, so that those which are written do not depend on how many */
	for (int c = 0; c < DATASET_CPUS; c++) {
		struct load l = load_of(r, c);
		double ipc = fmax(0.05, wander(rng, l.ipc, 0.05));
		double c0 = fmin(99, wander(rng, l.c0_pct, 0.08)) * share;
		double l3 = wander(rng, l.l3_miss, 0.25) * s;
		double l2 = wander(rng, l.l2_miss, 0.10) * s;

		if (c < r->first_cpu || c >= r->first_cpu + r->cpus)
			continue;
		km_buf_printf(b, ",%.2f,%.2f,%.2f,%.2f,%.2f,0.00,%.2f", ipc, l3, l2, c0,
		              100 * share - c0, 2 * ipc);
	}
	km_buf_char(b, '\n');
}

static void write_file(const char *path, const struct km_buf *b)
{
	size_t len = strlen(path);
	bool gzip = len > 3 && strcmp(path + len - 3, ".gz") == 0;
	gzFile gz = gzopen(path, gzip ? "wb1" : "wbT"); /* T: as it is */

	assert_non_null(gz);
	assert_int_equal(gzwrite(gz, b->data, (unsigned)b->len), (int)b->len);
	assert_int_equal(gzclose(gz), Z_OK);
}

void dataset_world_trace(const struct dataset_world *w, const struct dataset_run *r)
{
	struct km_rng rng;
	struct km_buf b;

	km_buf_init(&b);
	km_rng_init(&rng, r->seed);
	put_header(r, &b);
	for (int i = 0; i < r->samples; i++) {
		bool last = !r->whole_end && i > 4 && i == r->samples - 1;

		put_row(r, &rng, i, i == 0 ? 0.90 : last ? 0.83 : 1, &b);
	}
	assert_true(km_buf_ok(&b));
	write_file(dataset_world_path(w, r->trace), &b);
	km_buf_fini(&b);
}
