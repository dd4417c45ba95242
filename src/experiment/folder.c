/* SPDX-License-Identifier: Apache-2.0 */
/* The results folder: whose it is, what is finished in it, and how a run becomes finished. */
#include "km/experiment/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "km/base/file.h"

#include "tables.h"

#define IDENTITY_MAX_BYTES (1u << 20)
#define DIFFERS_MAX        60 /* of each line that an error quotes */

static const char *const parts[] = { "runs", "traces", "gated" };

struct km_folder {
	char dir[PATH_MAX];
	int lock_fd;
	const struct km_plan *plan;
	char hash[17];
	struct km_run_spec *spec;      /* [count], in the plan's order */
	struct km_run_record **record; /* [count], NULL = not finished */
	unsigned *gated;               /* [count] */
	size_t count, finished;
};

static int path_in(const struct km_folder *f, char *out, const char *name, struct km_err *err)
{
	if (snprintf(out, PATH_MAX, "%s/%s", f->dir, name) >= PATH_MAX)
		return km_err_set(err, ENAMETOOLONG, "%.80s...: path too long", f->dir);
	return 0;
}

static int out_of_memory(const struct km_folder *f, struct km_err *err)
{
	return km_err_set(err, ENOMEM, "%.80s: out of memory", f->dir);
}

/* ---- opening ---- */

static int make_dir(const char *path, struct km_err *err)
{
	if (mkdir(path, 0777) == 0 || errno == EEXIST)
		return 0;
	return km_err_errno(err, errno, "%s: create", path);
}

static int lock(struct km_folder *f, struct km_err *err)
{
	f->lock_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->lock_fd < 0)
		return km_err_errno(err, errno, "%s", f->dir);
	if (flock(f->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return km_err_set(err, EBUSY, "%.100s: another kubemarla-lab works in it", f->dir);
	return km_err_errno(err, errno, "%s: lock", f->dir);
}

/* A folder without plan.identity may have what a trial left, and nothing else. */
static int refuse_strangers(const struct km_folder *f, struct km_err *err)
{
	DIR *d = opendir(f->dir);
	const struct dirent *e;
	int rc = 0;

	if (d == NULL)
		return km_err_errno(err, errno, "%s", f->dir);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
	while (rc == 0 && (e = readdir(d)) != NULL) {
		if (e->d_name[0] != '.' && strcmp(e->d_name, "trial") != 0) {
			rc = km_err_set(err, EEXIST,
			                "%.80s: has %.40s and no plan.identity: no experiment's "
			                "folder, want an empty or a new one",
			                f->dir, e->d_name);
		}
	}
	(void)closedir(d);
	return rc;
}

/* The first line that two identities do not share, both ways. */
static int say_difference(const struct km_folder *f, const char *old, const char *new,
                          struct km_err *err)
{
	size_t old_len;
	size_t new_len;

	for (;;) {
		old_len = strcspn(old, "\n");
		new_len = strcspn(new, "\n");
		if (old_len != new_len || memcmp(old, new, old_len) != 0 || *old == '\0')
			break;
		old += old_len + (old[old_len] != '\0');
		new += new_len + (new[new_len] != '\0');
	}
	if (old_len > DIFFERS_MAX)
		old_len = DIFFERS_MAX;
	if (new_len > DIFFERS_MAX)
		new_len = DIFFERS_MAX;
	return km_err_set(err, EEXIST,
	                  "%.40s: runs of another plan: it has \"%.*s\", here \"%.*s\"", f->dir,
	                  (int)old_len, old, (int)new_len, new);
}

/* Was nothing ever made there? Then a plan that was mended may have the folder. */
static bool is_unused(const struct km_folder *f)
{
	static const char *const made[] = { "runs", "gated" };
	bool unused = true;

	for (size_t i = 0; i < KM_ARRAY_LEN(made); i++) {
		char path[PATH_MAX];
		const struct dirent *e;
		DIR *d;

		if (path_in(f, path, made[i], NULL) != 0)
			return false;
		d = opendir(path);
		unused = unused && (d != NULL || errno == ENOENT);
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
		while (d != NULL && (e = readdir(d)) != NULL)
			unused = unused && e->d_name[0] == '.';
		if (d != NULL)
			(void)closedir(d);
	}
	return unused;
}

static int check_identity(struct km_folder *f, struct km_err *err)
{
	char path[PATH_MAX];
	struct km_buf old;
	struct km_buf new;
	int rc = path_in(f, path, "plan.identity", err);

	if (rc != 0)
		return rc;
	km_buf_init(&old);
	km_buf_init(&new);
	km_plan_identity(f->plan, &new);
	rc = km_file_read(path, IDENTITY_MAX_BYTES, &old, err);
	if (rc == -ENOENT)
		rc = refuse_strangers(f, err);
	else if (rc == 0 && strcmp(km_buf_cstr(&old), km_buf_cstr(&new)) != 0 && is_unused(f))
		km_buf_clear(&old);
	else if (rc == 0 && strcmp(km_buf_cstr(&old), km_buf_cstr(&new)) != 0)
		rc = say_difference(f, km_buf_cstr(&old), km_buf_cstr(&new), err);
	if (rc == 0 && !km_buf_ok(&new))
		rc = out_of_memory(f, err);
	for (size_t i = 0; rc == 0 && i < KM_ARRAY_LEN(parts); i++) {
		char part[PATH_MAX];

		rc = path_in(f, part, parts[i], err);
		if (rc == 0)
			rc = make_dir(part, err);
	}
	/* Last: a folder with an identity has all that belongs to it. */
	if (rc == 0 && old.len == 0)
		rc = km_file_write_atomic(path, new.data, new.len, err);
	km_buf_fini(&old);
	km_buf_fini(&new);
	return rc;
}

static bool readable(const struct km_folder *f, const char *name)
{
	char path[PATH_MAX];

	return path_in(f, path, name, NULL) == 0 && access(path, R_OK) == 0;
}

/* A record that cannot be read, or whose traces are gone, is a run to be made again. */
static int read_record(struct km_folder *f, size_t i, struct km_err *err)
{
	struct km_run_record *r = malloc(sizeof(*r));
	char name[KM_PLAN_ID_MAX + 16];
	char path[PATH_MAX];
	struct km_buf text;
	int rc;

	if (r == NULL)
		return out_of_memory(f, err);
	km_buf_init(&text);
	(void)snprintf(name, sizeof(name), "runs/%s.json", f->spec[i].id);
	rc = path_in(f, path, name, err);
	if (rc == 0 && km_file_read(path, KM_RUN_RECORD_MAX, &text, NULL) == 0 &&
	    km_run_record_decode(text.data != NULL ? text.data : "", text.len, r, NULL) == 0 &&
	    strcmp(r->id, f->spec[i].id) == 0 && strcmp(r->plan, f->hash) == 0 &&
	    readable(f, r->trace_before) && readable(f, r->trace_during)) {
		f->record[i] = r;
		f->finished++;
		r = NULL;
	}
	km_buf_fini(&text);
	free(r);
	return rc;
}

static void count_gated(struct km_folder *f, size_t i)
{
	char name[KM_PLAN_ID_MAX + 32];

	do {
		(void)snprintf(name, sizeof(name), "gated/%s.%u.json", f->spec[i].id,
		               ++f->gated[i]);
	} while (readable(f, name) && f->gated[i] < KM_PLAN_RUNS_MAX);
	f->gated[i]--;
}

/* What a write that was cut off left behind: NAME.PID-TIME.tmp. */
static void sweep(const struct km_folder *f, const char *part)
{
	char path[PATH_MAX];
	const struct dirent *e;
	DIR *d = NULL;

	if (path_in(f, path, part, NULL) == 0)
		d = opendir(path);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
	while (d != NULL && (e = readdir(d)) != NULL) {
		size_t len = strlen(e->d_name);

		if (len > 4 && strcmp(e->d_name + len - 4, ".tmp") == 0)
			(void)unlinkat(dirfd(d), e->d_name, 0); /* best effort */
	}
	if (d != NULL)
		(void)closedir(d);
}

int km_folder_open(const char *dir, const struct km_plan *plan, const char *text, size_t len,
                   struct km_folder **out, struct km_err *err)
{
	struct km_folder *f = calloc(1, sizeof(*f));
	struct km_buf copy = { .data = NULL };
	int rc;

	*out = NULL;
	if (f == NULL)
		return km_err_set(err, ENOMEM, "%.80s: out of memory", dir);
	f->lock_fd = -1;
	f->plan = plan;
	(void)snprintf(f->hash, sizeof(f->hash), "%016llx", (unsigned long long)km_plan_hash(plan));
	if (snprintf(f->dir, sizeof(f->dir), "%s", dir) >= (int)sizeof(f->dir))
		rc = km_err_set(err, ENAMETOOLONG, "%.80s...: path too long", dir);
	else
		rc = make_dir(dir, err);
	if (rc == 0)
		rc = lock(f, err);
	if (rc == 0)
		rc = check_identity(f, err);
	if (rc == 0 && km_plan_runs(plan, &f->spec, &f->count) != 0)
		rc = out_of_memory(f, err);
	f->record = rc == 0 ? calloc(f->count, sizeof(struct km_run_record *)) : NULL;
	f->gated = rc == 0 ? calloc(f->count, sizeof(*f->gated)) : NULL;
	if (rc == 0 && (f->record == NULL || f->gated == NULL))
		rc = out_of_memory(f, err);
	if (rc == 0)
		sweep(f, ".");
	for (size_t i = 0; rc == 0 && i < KM_ARRAY_LEN(parts); i++)
		sweep(f, parts[i]);
	for (size_t i = 0; rc == 0 && i < f->count; i++) {
		rc = read_record(f, i, err);
		count_gated(f, i);
	}
	km_buf_append(&copy, text, len);
	if (rc == 0)
		rc = km_folder_put(f, "plan.yaml", &copy, err);
	km_buf_fini(&copy);
	if (rc == 0)
		*out = f;
	else
		km_folder_close(f);
	return rc;
}

void km_folder_close(struct km_folder *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; f->record != NULL && i < f->count; i++)
		free(f->record[i]);
	free(f->record);
	free(f->gated);
	free(f->spec);
	if (f->lock_fd >= 0)
		(void)close(f->lock_fd);
	free(f);
}

/* ---- asking ---- */

size_t km_folder_run_count(const struct km_folder *f)
{
	return f->count;
}

const struct km_run_spec *km_folder_run(const struct km_folder *f, size_t i)
{
	return &f->spec[i];
}

size_t km_folder_finished(const struct km_folder *f)
{
	return f->finished;
}

const struct km_run_record *km_folder_record(const struct km_folder *f, size_t i)
{
	return f->record[i];
}

unsigned km_folder_gated(const struct km_folder *f, size_t i)
{
	return f->gated[i];
}

void km_folder_trace_name(const struct km_run_spec *spec, const char *window, char *out)
{
	_Static_assert(KM_PLAN_ID_MAX + 30 <= KM_RUN_TRACE_MAX, "a trace's name fits");
	(void)snprintf(out, KM_RUN_TRACE_MAX, "traces/%s__%s.csv.gz", spec->id, window);
}

/* ---- writing ---- */

int km_folder_put(struct km_folder *f, const char *name, const struct km_buf *content,
                  struct km_err *err)
{
	char path[PATH_MAX];
	int rc = path_in(f, path, name, err);

	if (rc == 0 && !km_buf_ok(content))
		rc = out_of_memory(f, err);
	if (rc == 0)
		rc = km_file_write_atomic(path, content->data, content->len, err);
	return rc;
}

static int put_trace(struct km_folder *f, const char *name, const struct km_buf *csv,
                     struct km_err *err)
{
	struct km_buf packed;
	int rc;

	km_buf_init(&packed);
	rc = km_buf_ok(csv) ? km_gz_pack(csv->data, csv->len, &packed, err) : out_of_memory(f, err);
	if (rc == 0)
		rc = km_folder_put(f, name, &packed, err);
	km_buf_fini(&packed);
	return rc;
}

static int put_record(struct km_folder *f, const char *name, const struct km_run_record *r,
                      struct km_err *err)
{
	struct km_buf text;
	int rc;

	km_buf_init(&text);
	km_run_record_encode(r, &text);
	rc = km_folder_put(f, name, &text, err);
	km_buf_fini(&text);
	return rc;
}

int km_folder_commit(struct km_folder *f, size_t i, const struct km_run_record *r,
                     const struct km_buf *before, const struct km_buf *during, struct km_err *err)
{
	struct km_run_record *kept = malloc(sizeof(*kept));
	char name[KM_PLAN_ID_MAX + 16];
	int rc;

	if (kept == NULL)
		return out_of_memory(f, err);
	*kept = *r;
	memcpy(kept->plan, f->hash, sizeof(kept->plan));
	km_folder_trace_name(&f->spec[i], "before", kept->trace_before);
	km_folder_trace_name(&f->spec[i], "during", kept->trace_during);
	(void)snprintf(name, sizeof(name), "runs/%s.json", f->spec[i].id);
	rc = put_trace(f, kept->trace_before, before, err);
	if (rc == 0)
		rc = put_trace(f, kept->trace_during, during, err);
	if (rc == 0)
		rc = put_record(f, name, kept, err);
	if (rc != 0) {
		free(kept);
		return rc;
	}
	f->finished += f->record[i] == NULL;
	free(f->record[i]);
	f->record[i] = kept;
	return km_folder_tables(f, err);
}

int km_folder_gate(struct km_folder *f, size_t i, const struct km_run_record *r, struct km_err *err)
{
	struct km_run_record kept = *r;
	char name[KM_PLAN_ID_MAX + 32];
	int rc;

	memcpy(kept.plan, f->hash, sizeof(kept.plan));
	/* Its traces are not kept. */
	(void)snprintf(kept.trace_before, sizeof(kept.trace_before), "none");
	(void)snprintf(kept.trace_during, sizeof(kept.trace_during), "none");
	(void)snprintf(name, sizeof(name), "gated/%s.%u.json", f->spec[i].id, f->gated[i] + 1);
	rc = put_record(f, name, &kept, err);
	f->gated[i] += rc == 0;
	return rc;
}

int km_folder_tables(struct km_folder *f, struct km_err *err)
{
	const struct km_run_record **all =
		calloc(f->count + 1, sizeof(const struct km_run_record *));
	struct km_buf runs;
	struct km_buf pairs;
	size_t n = 0;
	int rc;

	if (all == NULL)
		return out_of_memory(f, err);
	km_buf_init(&runs);
	km_buf_init(&pairs);
	for (size_t i = 0; i < f->count; i++) {
		if (f->record[i] != NULL)
			all[n++] = f->record[i];
	}
	experiment_tables(f->plan, all, n, &runs, &pairs);
	rc = km_folder_put(f, "runs.csv", &runs, err);
	if (rc == 0)
		rc = km_folder_put(f, "pairs.csv", &pairs, err);
	km_buf_fini(&runs);
	km_buf_fini(&pairs);
	free(all);
	return rc;
}
