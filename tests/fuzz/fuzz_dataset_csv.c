/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the tables of a dataset folder: runs.csv, and behind a line "---" pairs.csv. Opened
 * for diagnosis and for placement with rows in flight, over two small traces that are good, one of
 * each kind. Rows must be labels and numbers that training can bear.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "km/base/macros.h"
#include "km/dataset/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = { "node.ipc.mean",     "peer.ipc.mean",
	                             "host.c0_ratio.std", "node.cpu_psi_ratio.mean",
	                             "pod.rps",           "pod.replicas",
	                             "pod.rps_now",       "pod.replicas_now",
	                             "inflight.cpu" };
#define NAMES KM_ARRAY_LEN(names)

static char dir[64];
static int table[2]; /* runs.csv, pairs.csv: in memory, by links in the directory */
static struct km_schema *schema;

static void in_dir(const char *name, char *out, size_t size)
{
	(void)snprintf(out, size, "%s/%s", dir, name);
}

static void clean_up(void)
{
	static const char *const files[] = { "runs.csv", "pairs.csv", "t", "o" };
	char path[128];

	for (size_t i = 0; i < KM_ARRAY_LEN(files); i++) {
		in_dir(files[i], path, sizeof(path));
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

/* Ten samples of 5 s from three CPUs. */
static void write_trace(void)
{
	char path[128];
	FILE *f;

	in_dir("t", path, sizeof(path));
	f = fopen(path, "w");
	if (f == NULL)
		abort();
	(void)fputs("System - Date,System - Time", f);
	for (int c = 0; c < 3; c++)
		(void)fprintf(f, ",Core%d (Socket 0) - IPC,Core%d (Socket 0) - C0res%%", c, c);
	for (int r = 0; r < 12; r++) {
		(void)fprintf(f, "\n2025-01-01,10:00:%02d.000", 5 * r);
		for (int c = 0; c < 3; c++)
			(void)fprintf(f, ",0.%d0,%d.00", r % 9 + 1, c + 1);
	}
	(void)fputs("\n", f);
	if (fclose(f) != 0)
		abort();
}

/* The same time in our own format, with rows of the nodes a and b. */
static void write_own_trace(void)
{
	char path[128];
	FILE *f;

	in_dir("o", path, sizeof(path));
	f = fopen(path, "w");
	if (f == NULL)
		abort();
	(void)fputs("start_ns,end_ns,cpu0.c0_ns,cpu1.c0_ns,cpu2.c0_ns,node.a.cpu_psi_ns,"
	            "node.b.cpu_psi_ns\n",
	            f);
	for (int r = 0; r < 60; r++)
		(void)fprintf(f, "%d000000000,%d000000000,1e8,2e8,,1e6,\n", r, r + 1);
	if (fclose(f) != 0)
		abort();
}

static void set_up(void)
{
	static const char *const files[] = { "runs.csv", "pairs.csv" };

	(void)snprintf(dir, sizeof(dir), "/tmp/km-fuzz-XXXXXX");
	if (mkdtemp(dir) == NULL || atexit(clean_up) != 0 ||
	    km_schema_create(names, NAMES, 60, 5, &schema, NULL) != 0)
		abort();
	for (size_t i = 0; i < KM_ARRAY_LEN(files); i++) {
		char target[64];
		char path[128];

		table[i] = memfd_create(files[i], MFD_CLOEXEC);
		(void)snprintf(target, sizeof(target), "/proc/self/fd/%d", table[i]);
		in_dir(files[i], path, sizeof(path));
		if (table[i] < 0 || symlink(target, path) != 0)
			abort();
	}
	write_trace();
	write_own_trace();
}

static void fill(int fd, const uint8_t *bytes, size_t len)
{
	if (ftruncate(fd, 0) != 0 || pwrite(fd, bytes, len, 0) != (ssize_t)len)
		abort();
}

static void check_rows(const struct km_dataset *d)
{
	size_t count;
	const struct km_dataset_row *row = km_dataset_rows(d, &count);

	if (count == 0)
		abort();
	for (size_t i = 0; i < count; i++) {
		float in[NAMES];

		if (!isfinite(logf(row[i].slowdown)) || !isfinite(row[i].norm_perf) ||
		    !isfinite(row[i].weight) || row[i].weight < 0 || row[i].kind >= KM_ROW_KIND_N ||
		    km_dataset_windows(d, &row[i]) < 1 ||
		    km_dataset_name(d, row[i].campaign) == NULL ||
		    km_dataset_name(d, row[i].before_family) == NULL ||
		    km_dataset_name(d, row[i].before_scenario) == NULL)
			abort();
		for (int l = 0; l < KM_LAYOUT_N; l++) {
			km_dataset_features(d, &row[i], (enum km_layout_kind)l, 0, in);
			for (size_t k = 0; k < NAMES; k++) {
				if (isinf(in[k]))
					abort();
			}
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char mark[] = "\n---\n";
	const uint8_t *at = size > 0 ? memmem(data, size, mark, sizeof(mark) - 1) : NULL;
	const uint8_t *pairs = at != NULL ? at + sizeof(mark) - 1 : data + size;

	if (dir[0] == '\0')
		set_up();
	fill(table[0], data, at != NULL ? (size_t)(at - data) + 1 : size);
	fill(table[1], pairs, (size_t)(data + size - pairs));
	for (int placement = 0; placement < 2; placement++) {
		const struct km_dataset_options o = {
			.dir = dir, .schema = schema, .placement = placement != 0, .inflight = true
		};
		struct km_dataset *d = NULL;
		struct km_err err = { .code = 0 };

		if (km_dataset_open(&o, &d, &err) == 0)
			check_rows(d);
		else if (err.text[0] == '\0' || strchr(err.text, '\n') != NULL)
			abort(); /* one line that says why */
		km_dataset_free(d);
	}
	return 0;
}
