/* SPDX-License-Identifier: Apache-2.0 */
/* From one folder to another: campaigns, their runs, each run's counters, then the tables. */
#include "km/experiment/import.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "km/base/file.h"

#include "import_internal.h"

#define METRICS "nginx_metrics.csv"

struct import {
	const struct km_import_options *o;
	struct km_import_stats *stats;
	struct import_set set;
	struct km_cpuset node[2];
	struct km_buf text, packed; /* scratch */
};

static void skip(void *ctx, const char *what, const char *why)
{
	struct import *m = ctx;

	m->stats->skipped++;
	if (m->o->skipped != NULL)
		m->o->skipped(m->o->ctx, what, why);
}

static bool has_metrics(const char *dir)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", dir, METRICS) < (int)sizeof(path) &&
	       access(path, R_OK) == 0;
}

/* A campaign's lines. What is wrong with all of them costs the campaign, not the others. */
static int read_campaign(struct import *m, const char *dir, const char *name, struct km_err *err)
{
	struct km_err why = { .code = 0 };
	char path[PATH_MAX];
	int rc;

	if (strlen(name) >= IMPORT_NAME_MAX ||
	    snprintf(path, sizeof(path), "%s/%s", dir, METRICS) >= (int)sizeof(path)) {
		skip(m, name, "its name is too long");
		return 0;
	}
	km_buf_clear(&m->text);
	rc = km_file_read(path, IMPORT_BYTES_MAX, &m->text, &why);
	if (rc == 0)
		rc = import_metrics(name, m->o->single_on, m->text.data, m->text.len, &m->set,
		                    &why);
	if (rc == -ENOMEM || rc == -E2BIG) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (rc != 0)
		skip(m, name, why.text);
	m->stats->campaigns += rc == 0;
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static int is_entry(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* `root` without the slashes at its end. */
static int read_campaigns(struct import *m, const char *root, struct km_err *err)
{
	struct dirent **entry = NULL;
	char path[PATH_MAX];
	struct stat st;
	int count;
	int rc = 0;

	if (has_metrics(root))
		return read_campaign(m, root, base_name(root), err);
	count = scandir(root, &entry, is_entry, alphasort);
	if (count < 0)
		return km_err_errno(err, errno, "%s", root);
	for (int i = 0; i < count; i++) {
		const char *name = entry[i]->d_name;

		if (rc == 0 &&
		    snprintf(path, sizeof(path), "%s/%s", root, name) < (int)sizeof(path) &&
		    stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
			if (has_metrics(path))
				rc = read_campaign(m, path, name, err);
			else
				skip(m, name, "no " METRICS " in it");
		}
		free(entry[i]);
	}
	free(entry);
	if (rc == 0 && m->stats->campaigns == 0)
		rc = km_err_set(err, ENOENT, "%s: no folder with a %s that can be read", root,
		                METRICS);
	return rc;
}

/* Where a run's counters are: below root, or root itself for a single campaign. */
static int trace_path(const char *root, const struct import_run *r, const char *part, char *out)
{
	const char *campaign = has_metrics(root) ? "." : r->campaign;
	int len = snprintf(out, PATH_MAX, "%s/%s/pcm_%s_%s.csv", root, campaign, part, r->test);

	return len < PATH_MAX && access(out, R_OK) == 0 ? 0 : -ENOENT;
}

static int write_packed(struct import *m, const char *name, struct km_err *err)
{
	char path[PATH_MAX];
	int rc;

	if (snprintf(path, sizeof(path), "%s/%s", m->o->out, name) >= (int)sizeof(path))
		return km_err_set(err, ENAMETOOLONG, "%.80s: path too long", m->o->out);
	km_buf_clear(&m->packed);
	rc = km_gz_pack(m->text.data, m->text.len, &m->packed, err);
	return rc == 0 ? km_file_write_atomic(path, m->packed.data, m->packed.len, err) : rc;
}

/* The counters of one run. Those that cannot be read cost the run only. */
static int convert(struct import *m, const char *root, struct import_run *r, struct km_err *err)
{
	char core[PATH_MAX];
	char system[PATH_MAX];
	char name[2 * IMPORT_NAME_MAX + 32];
	struct km_err why = { .code = 0 };
	bool traffic = trace_path(root, r, "system", system) == 0;
	int rc = trace_path(root, r, "core", core);

	(void)snprintf(name, sizeof(name), "%s__%s", r->campaign, r->test);
	if (rc != 0) {
		skip(m, name, "no pcm_core file");
		return 0;
	}
	km_buf_clear(&m->text);
	rc = import_trace(core, traffic ? system : NULL, m->node, r, &m->text, &why);
	if (rc != 0 && rc != -ENOMEM) {
		skip(m, name, why.text);
		return 0;
	}
	(void)snprintf(name, sizeof(name), "traces/%s__%s.csv.gz", r->campaign, r->test);
	if (rc == 0)
		rc = write_packed(m, name, &why);
	r->traced = rc == 0;
	m->stats->no_memory_traffic += rc == 0 && !traffic;
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}

static int convert_all(struct import *m, const char *root, struct km_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < m->set.count; i++) {
		if (m->o->progress != NULL && m->o->progress(m->o->ctx, i, m->set.count) != 0)
			return km_err_set(err, EINTR, "import: stopped");
		rc = convert(m, root, &m->set.run[i], err);
	}
	return rc;
}

static int put(const struct import *m, const char *name, const struct km_buf *content,
               struct km_err *err)
{
	char path[PATH_MAX];

	if (!km_buf_ok(content))
		return km_err_set(err, ENOMEM, "import: out of memory");
	(void)snprintf(path, sizeof(path), "%s/%s", m->o->out, name);
	return km_file_write_atomic(path, content->data, content->len, err);
}

static int write_tables(struct import *m, struct km_err *err)
{
	struct km_buf runs;
	struct km_buf pairs;
	int rc = 0;

	km_buf_init(&runs);
	km_buf_init(&pairs);
	import_relate(&m->set);
	import_tables(&m->set, m->o, &runs, &pairs, m->stats);
	if (m->stats->rows == 0)
		rc = km_err_set(err, ENODATA, "%s: not one run can be used", m->o->from);
	if (rc == 0)
		rc = put(m, "pairs.csv", &pairs, err);
	if (rc == 0)
		rc = put(m, "runs.csv", &runs, err);
	km_buf_fini(&runs);
	km_buf_fini(&pairs);
	return rc;
}

static int make_folder(const struct km_import_options *o, struct km_err *err)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/runs.csv", o->out) >= (int)sizeof(path) - 16)
		return km_err_set(err, ENAMETOOLONG, "%.80s: path too long", o->out);
	if (access(path, F_OK) == 0)
		return km_err_set(err, EEXIST, "%s: is there already, want a folder without it",
		                  path);
	if (mkdir(o->out, 0777) != 0 && errno != EEXIST)
		return km_err_errno(err, errno, "%s", o->out);
	(void)snprintf(path, sizeof(path), "%s/traces", o->out);
	if (mkdir(path, 0777) != 0 && errno != EEXIST)
		return km_err_errno(err, errno, "%s", path);
	return 0;
}

static int check_nodes(struct import *m, struct km_err *err)
{
	for (size_t i = 0; i < 2; i++) {
		int rc = km_cpuset_parse(m->o->cpus[i], &m->node[i], err);

		if (rc != 0)
			return km_err_prefix(err, "CPUs of node%zu", i + 1);
		if (km_cpuset_count(&m->node[i]) == 0)
			return km_err_set(err, EINVAL, "CPUs of node%zu: none, want a list", i + 1);
	}
	return km_cpuset_intersects(&m->node[0], &m->node[1])
	               ? km_err_set(err, EINVAL, "node1 and node2 share CPUs, want each its own")
	               : 0;
}

int km_import(const struct km_import_options *options, struct km_import_stats *stats,
              struct km_err *err)
{
	struct import m = { .o = options, .stats = stats };
	char root[PATH_MAX];
	size_t len = (size_t)snprintf(root, sizeof(root), "%s", options->from);
	int rc = len < sizeof(root) ? 0 : km_err_set(err, ENAMETOOLONG, "path too long");

	memset(stats, 0, sizeof(*stats));
	m.set.skip = skip;
	m.set.ctx = &m;
	while (rc == 0 && len > 1 && root[len - 1] == '/')
		root[--len] = '\0';
	km_buf_init(&m.text);
	km_buf_init(&m.packed);
	if (rc == 0)
		rc = check_nodes(&m, err);
	if (rc == 0)
		rc = read_campaigns(&m, root, err);
	if (rc == 0)
		rc = make_folder(options, err);
	if (rc == 0)
		rc = convert_all(&m, root, err);
	if (rc == 0)
		rc = write_tables(&m, err);
	km_buf_fini(&m.text);
	km_buf_fini(&m.packed);
	free(m.set.run);
	return rc;
}
